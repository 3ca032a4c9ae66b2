"""Sums of squares of n independent x that are not normal, as enclosures: zero mean and unit variance.

E[e^(−tS)] is φ(t)ⁿ with φ(t) = E[e^(−t·x²)]: error functions for uniform and Laplace x, and for logistic x the
trapezoidal rule, whose error is bounded by |p(x + iy)| ≤ p(x)/cos²(πy/√12).
"""

import math
from collections.abc import Callable
from fractions import Fraction
from functools import lru_cache

from flint import arb, fmpq

from gradstat.layer_types.exact.constants import as_float
from gradstat.layer_types.exact.enclosure import Enclosure, wanted_digits
from gradstat.layer_types.exact.transforms import inverse_power, proven, step_for, trapezoid_error, zero_to

Pair = tuple[arb, arb]
STRIP = 0.85 * math.sqrt(3.0)  # of half-width √3: where a logistic density has no pole


def normalized(n: int, distribution: str, a: Fraction) -> tuple[Enclosure | None, Enclosure | None]:
    """E[S/(S + a)] and E[(n − 1 + (a/(S + a))²)/(S + a)], S = Σx²."""
    return _normalized(n, distribution, a, wanted_digits())


@lru_cache(maxsize=128)
def _normalized(n: int, distribution: str, a: Fraction, digits: int) -> tuple[Enclosure | None, Enclosure | None]:
    def compute(bits: int) -> list[arb]:
        shift, h = arb(fmpq(a.numerator, a.denominator)), arb(step_for(bits))
        pair, highest = one(distribution, bits)
        size = (highest * arb.pi().sqrt()) ** n

        def power(m: int, times: Callable[[Pair], arb], at_0: int, more: int) -> arb:
            """E[g/(S + a)ᵐ]; the transform is at most at_0·size·t^(−n/2 − more), since φ(t) ≤ max p·√(π/t)."""
            falls = arb(m - more) - arb(n) / 2

            def tail(t: arb, term: arb) -> arb | None:
                rest = (falls * h - shift * t * (h.exp() - 1)).exp()
                return at_0 * size * t**falls * (-shift * t).exp() * rest / (1 - rest) if rest < 1 else None

            return inverse_power(
                fmpq(m), lambda t: times(pair(t)) * (-shift * t).exp(), arb(at_0), tail, n + shift, bits
            )

        def alone(values: Pair) -> arb:
            return values[0] ** n

        inverse = power(1, alone, 1, 0)
        if not a:
            return [arb(1), (n - 1) * inverse]
        squares = power(1, lambda values: n * values[1] * values[0] ** (n - 1), n, 1)
        return [squares, (n - 1) * inverse + shift**2 * power(3, alone, 1, 0)]

    forward, backward = proven(compute)
    return forward, backward


def one(distribution: str, bits: int) -> tuple[Callable[[arb], Pair], arb]:
    """t ↦ (E[e^(−t·x²)], E[x²·e^(−t·x²)]), and the largest density."""
    if distribution == "uniform":
        return _uniform, 1 / (2 * arb(3).sqrt())
    if distribution == "laplace":
        return _laplace, arb(2).sqrt() / 2
    return lambda t: _logistic(t, bits), arb.pi() / (4 * arb(3).sqrt())


def _uniform(t: arb) -> Pair:
    """√π·erf(√(3t))/√(12t) and γ(3/2, 3t)/(√12·t^(3/2))."""
    root = (12 * t).sqrt()
    return arb.pi().sqrt() * (3 * t).sqrt().erf() / root, (3 * t).gamma_lower(arb("1.5")) / (root * t)


def _laplace(t: arb) -> Pair:
    """√2·U(½, ½, 1/2t)/√(4t) and √8·U(3/2, ½, 1/2t)/(4t)^(3/2), U being Tricomi's function."""
    half, z, root = arb("0.5"), 1 / (2 * t), 2 * t.sqrt()
    return (
        arb(2).sqrt() * z.hypgeom_u(half, half) / root,
        arb(8).sqrt() * z.hypgeom_u(arb("1.5"), half) / root**3,
    )


def _logistic(t: arb, bits: int) -> Pair:
    """Σ h·p(jh)·e^(−t(jh)²), and the same times (jh)²."""
    about, most = min(max(float(t.mid()), 1e-300), 1e300), bits * math.log(2.0)
    height = min(STRIP, math.sqrt(most / about))
    step = step_for(bits, height, about * height**2 + 4.0)
    rate, h, y = arb.pi() / arb(3).sqrt(), arb(step), arb(height)
    last = math.ceil(min((most + 20.0) / float(rate.mid()), math.sqrt((most + 20.0) / about)) / as_float(step))
    first = h * rate / 4
    zeroth, second = first, arb(0)
    for j in range(1, last + 1):
        v = h * j
        term = 2 * first * (-t * v * v).exp() / (rate * v / 2).cosh() ** 2
        zeroth, second = zeroth + term, second + term * v * v
    end = h * last
    beyond = 2 * (-t * end * end - rate * end).exp()  # p falls, and ∫p < e^(−rate·v)
    zeroth += zero_to(beyond)
    second += zero_to(beyond * (end**2 + 2 * end / rate + 2 / rate**2))
    growth = trapezoid_error(step, height) * (t * y * y).exp() / (rate * y / 2).cos() ** 2
    return (
        zeroth / (1 + arb(0, growth.upper())),
        second + arb(0, (growth * (second + 2 * y * y * zeroth)).upper()),
    )
