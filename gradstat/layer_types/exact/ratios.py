"""Moments of softmax and log_softmax over n independent inputs, as enclosures.

With S = Σeˣ, E[e^(k·x₁)/Sᵏ] = ∫₀^∞ tᵏ⁻¹ E[e^(k·x₁)·e^(−tS)] dt/Γ(k) (`transforms`), and e^(−tS) is a product, so that
its expectation is a product of expectations over one input (`exponentials`).
"""

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from flint import arb, fmpq

from gradstat.assumptions import Input
from gradstat.layer_types.exact.constants import as_float
from gradstat.layer_types.exact.distributions import density
from gradstat.layer_types.exact.enclosure import Enclosure, wanted_digits
from gradstat.layer_types.exact.exponentials import (
    Cut,
    Law,
    beyond,
    check_size,
    grid_step,
    left_cut,
    right_cut,
    rows,
)
from gradstat.layer_types.exact.transforms import HEIGHT, proven, trapezoid_error, zero_to

LN_2 = math.log(2.0)
SPARE = 24  # bits that are lost to cancellation in most cases
SPREADS = (0.005, 10.0)  # standard deviations of x for a quadrature


@dataclass(frozen=True)
class Softmax:
    """Variance, skewness and kurtosis of y, and the variance of dx for independent dy."""

    var: Enclosure
    skewness: Enclosure
    kurtosis: Enclosure
    gradient: Enclosure


@dataclass(frozen=True)
class Grid:
    """E[uᵏ·e^(−u)] at s = step·i, and bounds for what lies beyond both ends."""

    law: Law
    step: fmpq
    first: int
    last: int
    rows: list[list[arb]]

    def sum(self, values: list[arb], k: int, cuts: tuple[Cut, Cut], power: int = 1) -> arb:
        """h·Σ values, each at most E[uᵏ·e^(−u)]^power."""
        total = arb(0)
        for value in values:
            total += value
        for cut, end in zip(cuts, (self.first, self.last), strict=True):
            rate = (arb(abs(cut.j) * power) * arb(self.step)).expm1()
            total += zero_to(beyond(self.law, k, cut, arb(self.step * end)) ** power / rate)
        return total * arb(self.step)


def softmax(n: int, law: Law) -> Softmax | None:
    """Moments of eˣ¹/Σeˣ, and E[y²(1 − 2y + Σy²)]; None where they are not bounded."""
    return _softmax(n, law, wanted_digits())


@lru_cache(maxsize=128)
def _softmax(n: int, law: Law, digits: int) -> Softmax | None:
    def compute(bits: int) -> list[arb]:
        cuts = {k: _cuts(law, k, -(bits + 4) * LN_2 - k * math.log(n)) for k in (2, 3, 4)}
        grid = _grid(law, bits, n, [cut.place for pair in cuts.values() for cut in pair])
        none, _, two, *_ = grid.rows
        others = [power(value, n - 1) for value in none]
        powers = []
        for k in (2, 3, 4):
            values = [value * other for value, other in zip(grid.rows[k], others, strict=True)]
            powers.append(grid.sum(values, k, cuts[k]) / math.factorial(k - 1) / _error(grid.step, k))
        pairs = [value * value * power(other, n - 2) for value, other in zip(two, none, strict=True)]
        both = grid.sum(pairs, 2, cuts[2], 2) / math.factorial(3) / _error(grid.step, 4)
        second, third, fourth = powers
        mean = 1 / arb(n)
        var = second - mean**2
        skewness = (third - 3 * mean * second + 2 * mean**3) / var ** arb("1.5") if n > 2 else arb(0)
        kurtosis = (fourth - 4 * mean * third + 6 * mean**2 * second - 3 * mean**4) / var**2
        return [var, skewness, kurtosis, second - 2 * third + fourth + (n - 1) * both]

    found = proven(compute, SPARE)
    return None if None in found else Softmax(*found)  # type: ignore[arg-type]


def log_sum(n: int, law: Law) -> tuple[Enclosure, Enclosure] | None:
    """Mean and variance of lse = ln S, S = Σeˣ; None where they are not bounded.

    With L = lse − r for any r, f(s) = e^(−eˢ) − E[e^(−e^(s + L))] has ∫ f ds = E[L] (Frullani) and
    ∫ s·f ds = −γ·E[L] − E[L²]/2. On the line Im s = y, ∫ |f| ≤ E|L|/cos y and
    ∫ |s·f| ≤ ((1.02 + |ln cos y| + y)·E|L| + E[L²]/2)/cos y, since ∫ |ln t|·e^(−t) dt < 1.02.
    """
    return _log_sum(n, law, wanted_digits())


@lru_cache(maxsize=128)
def _log_sum(n: int, law: Law, digits: int) -> tuple[Enclosure, Enclosure] | None:
    def compute(bits: int) -> list[arb]:
        target = -(bits + 20) * LN_2
        left, right = left_cut(law, 1, target - math.log(n)), right_cut(law, 0, target)
        grid = _grid(law, bits, n, [left.place, right.place])
        h = arb(grid.step)
        shift = round(math.log(n) / as_float(grid.step))  # r in steps
        total, weighted = arb(0), arb(0)
        for i, none in enumerate(grid.rows[0], grid.first + shift):
            f = (-(h * i).exp()).exp() - power(none, n)
            total += f
            weighted += h * i * f
        ends = (
            (grid.first, n * _capped(law, left, h * grid.first), arb(left.j)),
            (grid.first, (h * (grid.first + shift)).exp(), arb(1)),
            (grid.last, beyond(law, 0, right, h * grid.last), arb(-right.j)),
            (grid.last, (-(h * (grid.last + shift)).exp()).exp(), arb(1)),
        )
        for end, bound, rate in ends:
            far = abs(h * (end + shift))
            if not (far > 1 and rate * far > 1):
                return [arb("nan")] * 2
            total += arb(0, (bound / (rate * h).expm1()).upper())
            weighted += arb(0, (far * bound / ((rate - 1 / far) * h).expm1()).upper())
        y = arb(HEIGHT)
        square = 2 * h**2 + 2 * n * law.sigma**2  # at least E[L²], since |lse − ln n| ≤ max |x|
        error = trapezoid_error(grid.step) / y.cos()
        total = h * total + arb(0, (error * square.sqrt()).upper())
        rest = (arb("1.02") - y.cos().log() + y) * square.sqrt() + square / 2
        weighted = h * weighted + arb(0, (error * rest).upper())
        second = -2 * weighted - 2 * arb.const_euler() * total
        return [h * shift + total, second - total**2]

    mean, var = proven(compute, SPARE)
    return None if mean is None or var is None else (mean, var)


def _capped(law: Law, cut: Cut, s: arb) -> arb:
    """1 − e^(−u) ≤ uʲ for 0 < j ≤ 1: a bound of 1 − E[e^(−u)] at s."""
    return (arb(cut.j) * s).exp() * law.mean_exponential(cut.j)


def _cuts(law: Law, k: int, target: float) -> tuple[Cut, Cut]:
    return left_cut(law, k, target), right_cut(law, k, target)


def covariance(n: int, law: Law) -> Enclosure | None:
    """Cov(x₁, lse) = −∫ E[x·e^(−u)]·E[e^(−u)]ⁿ⁻¹ ds by quadrature; its error is estimated with half the step."""
    if not SPREADS[0] <= law.std <= SPREADS[1]:
        return None
    coarse, fine = (_covariance(n, law, step, nodes) for step, nodes in ((0.125, 20), (0.0625, 30)))
    return Enclosure.about(fine, 4.0 * abs(fine - coarse) + 1e-13 * float(law.variance))


def _covariance(n: int, law: Law, step: float, nodes: int) -> float:
    x = Input(law.name, 0.0, law.std)
    reach = x.law.bulk * x.std
    edges = np.linspace(-reach, reach, 2 * math.ceil(reach / min(x.std, 2.0)) + 1)  # the mean is an edge
    points, weights = np.polynomial.legendre.leggauss(nodes)
    half, middle = 0.5 * np.diff(edges)[:, None], 0.5 * (edges[1:] + edges[:-1])[:, None]
    v = (middle + half * points).ravel()
    weights = (half * weights).ravel() * density(x, v)
    total: list[float] = []
    for part in np.array_split(np.arange(-reach - 60.0, reach + 6.0, step), math.ceil(reach / step / 64.0)):
        u = np.exp(np.minimum(v + part[:, None], 7.0))  # e^(−e⁷) = 0
        total.extend((np.exp(-u) @ weights) ** (n - 1) * (-np.expm1(-u) @ (v * weights)))
    return step * math.fsum(total)


def _grid(law: Law, bits: int, n: int, places: list[float]) -> Grid:
    step = grid_step(law, bits)
    first, last = math.floor(min(places) / as_float(step)) - 1, math.ceil(max(places) / as_float(step)) + 1
    check_size(law, step, first, last)
    spare = math.ceil(4.0 * math.log2(n)) + 30
    return Grid(law, step, first, last, rows(law, step, first, last, bits, spare))


def power(value: arb, exponent: int) -> arb:
    """A probability to a whole power; its ball may reach below 0, of which arb takes no logarithm."""
    return value**exponent if value > 0 else zero_to(value.upper() ** exponent)


def _error(step: fmpq, k: int) -> arb:
    """1 + the relative error of the trapezoidal rule."""
    return 1 + arb(0, (trapezoid_error(step) * arb(HEIGHT).cos() ** -k).upper())
