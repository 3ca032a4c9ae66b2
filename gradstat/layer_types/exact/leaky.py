"""y = x for x > 0 and a·x below, a uniform between two slopes and drawn anew for each x: moments as enclosures.

Powers of x over a half line have closed forms (`special.below`). E|y − E[y]| is an integral of a function of x alone,
the distance of a uniform number between two ends, which `moments` computes with a proof.
"""

import math
from fractions import Fraction
from functools import lru_cache
from typing import Any

from flint import arb

from gradstat.assumptions import Input, Upstream
from gradstat.layer_types.exact import inputs, upstream
from gradstat.layer_types.exact.closed_forms import ZERO, central
from gradstat.layer_types.exact.enclosure import BITS, Enclosure, enclosure
from gradstat.layer_types.exact.moments import moments
from gradstat.layer_types.exact.precision import ball_around, from_ball, not_negative, within, working_precision
from gradstat.layer_types.exact.special import Integrals, below
from gradstat.layer_types.record import Exact
from gradstat.numerics import elementary as el


def leaky(lower: Fraction, upper: Fraction, x: Input) -> Exact:
    """Moments of y."""
    mean, powers = _powers(lower, upper, x)
    var, skewness, kurtosis = central(*powers)
    whole = mean + powers[0]
    size = _abs_mean(lower, upper, x)
    return Exact.proven(whole, var, size, _distance(lower, upper, x, whole), kurtosis, skewness)


def gradient_of_leaky(lower: Fraction, upper: Fraction, x: Input, dy: Upstream) -> Exact:
    """dx = dy or a·dy."""
    positive, negative = _masses(x)
    square, fourth = (positive + negative * _average(lower, upper, k) for k in (2, 4))
    spread = upstream.abs_mean(dy) * (positive + negative * _abs_slope(lower, upper))
    kurtosis = None if square.contains_zero else upstream.kurtosis(dy) * fourth / square.squared()
    return Exact.proven(ZERO, square, spread, spread, kurtosis)


def _average(lower: Fraction, upper: Fraction, k: int) -> Fraction:
    """E[aᵏ] = Σ lowerⁱ·upperᵏ⁻ⁱ/(k + 1)."""
    return sum((lower**i * upper ** (k - i) for i in range(k + 1)), Fraction(0)) / (k + 1)


def _abs_slope(lower: Fraction, upper: Fraction) -> Fraction:
    """E|a|."""
    if lower * upper >= 0:
        return abs(lower + upper) / 2
    return (lower**2 + upper**2) / (2 * (upper - lower))


def _precision(x: Input) -> int:
    """Bits for closed forms: central moments lose those of (μ/σ)⁴."""
    return BITS + 60 + 8 * int(math.log2(1.0 + abs(x.mean) / x.std))


def _masses(x: Input) -> tuple[Enclosure, Enclosure]:
    """P(x > 0) and P(x < 0)."""
    with working_precision(_precision(x)):
        _, _, lows, highs = _halves(x)
        return not_negative(from_ball(highs[0])), not_negative(from_ball(lows[0]))


def _halves(x: Input) -> tuple[arb, arb, Integrals, Integrals]:
    """μ, σ, and ∫ zᵏ·p over x < 0 and over x > 0, where x = μ + σz; each to its own relative precision."""
    mean, std = ball_around(inputs.mean(x)), ball_around(inputs.std(x))
    lows, mirrored = below(x.distribution, -mean / std), below(x.distribution, mean / std)
    zeroth, first, second, third, fourth = mirrored
    return mean, std, lows, (zeroth, -first, second, -third, fourth)


Powers = tuple[Enclosure, Enclosure, Enclosure, Enclosure]


@lru_cache(maxsize=64)
def _powers(lower: Fraction, upper: Fraction, x: Input) -> tuple[Enclosure, Powers]:
    """t, and E[(y − t)ᵏ] for k = 1 … 4, t being what μ becomes: nearly all of y is there if σ is small."""
    middle = (lower + upper) / 2
    positive = x.mean >= 0.0
    bend = 1 - middle
    mean = inputs.mean(x)
    with working_precision(_precision(x)):
        m, s, lows, highs = _halves(x)
        slope, step = ball_around(enclosure(middle)), ball_around(enclosure(bend)) * m
        above, under = (arb(0), -step) if positive else (step, arb(0))
        half = ball_around(enclosure((upper - lower) / 2))
        spreads = [arb(1), arb(0), half**2 / 3, arb(0), half**4 / 5]  # E[(a − middle)ᵏ]
        values = []
        for k in range(1, 5):
            total = sum((math.comb(k, i) * above ** (k - i) * s**i * highs[i] for i in range(k + 1)), arb(0))
            for j in range(0, k + 1, 2):  # (under + slope·σz + b·(μ + σz))ᵏ with b = a − middle
                for i in range(k - j + 1):
                    for h in range(j + 1):
                        times = math.comb(k, j) * math.comb(k - j, i) * math.comb(j, h)
                        fixed = under ** (k - j - i) * slope**i * m ** (j - h)
                        total += times * spreads[j] * fixed * s ** (i + h) * lows[i + h]
            values.append(from_ball(total))
    first, second, third, fourth = values
    return (mean if positive else mean * middle), (first, second, third, fourth)


def _abs_mean(lower: Fraction, upper: Fraction, x: Input) -> Enclosure:
    """E[x⁺] + E|a|·E[x⁻]."""
    with working_precision(_precision(x)):
        m, s, lows, highs = _halves(x)
        positive, negative = m * highs[0] + s * highs[1], -(m * lows[0] + s * lows[1])
        slope = ball_around(enclosure(_abs_slope(lower, upper)))
        return not_negative(from_ball(positive + slope * negative))


def _distance(lower: Fraction, upper: Fraction, x: Input, centre: Enclosure) -> Enclosure | None:
    """E|y − c|: an integral about the middle of c, and its radius."""
    if lower == upper:
        fixed = moments(_fixed_slope, (lower,), (0.0,), x)
        return None if fixed is None else fixed.mad
    known = moments(_mean_distance, (lower, upper, centre.middle), (), x)
    if known is None or known.mean is None:
        return None
    return not_negative(within(known.mean, centre.radius))


def _fixed_slope(v: Any, slope: Any) -> tuple[Any, Any]:
    """y and dy/dx for one slope."""
    return el.where(v > 0.0, v, slope * v), el.where(v > 0.0, 1.0, slope)


def _mean_distance(v: Any, lower: Any, upper: Any, centre: Any) -> tuple[Any, Any]:
    """E|y − c| given x = v, and no slope.

    Between ends at distances p and q on two sides of c, a uniform number is (p² + q²)/(2(p + q)) away on average;
    otherwise (p + q)/2.
    """
    p, q = lower * v - centre, upper * v - centre
    outside = el.where(p > 0.0, 0.5 * (p + q), -0.5 * (p + q))
    inside = el.where(p > 0.0, (p * p + q * q) / (2.0 * (p - q)), (p * p + q * q) / (2.0 * (q - p)))
    below_ = el.where(p * q < 0.0, inside, outside)
    return el.where(v > 0.0, el.where(v > centre, v - centre, centre - v), below_), 0.0
