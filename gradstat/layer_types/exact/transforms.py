"""E[g/Sᵐ] = ∫₀^∞ tᵐ⁻¹ E[g·e^(−tS)] dt / Γ(m) for S > 0 and g ≥ 0, with a proven error.

In s = ln t the integrand is analytic for |Im s| < π/2. Its modulus at s + iy is at most
E[g·e^(ms)·e^(−cos(y)·S·eˢ)], and the integral of that is cos(y)⁻ᵐ times the wanted one, whatever the law of S. So the
trapezoidal rule of step h has a relative error of at most 2·cos(y)⁻ᵐ/(e^(2πy/h) − 1)
(Trefethen & Weideman, SIAM Review 56, 2014, theorem 5.1).
"""

import math
from collections.abc import Callable

from flint import arb, ctx, fmpq

from gradstat.layer_types.exact.constants import as_float
from gradstat.layer_types.exact.enclosure import Enclosure, wanted_digits
from gradstat.layer_types.exact.engine import Integral
from gradstat.layer_types.exact.moments import enclosed
from gradstat.layer_types.exact.precision import LOCK

HEIGHT = 1.5  # y, below π/2
EXTRA = 12.0  # of the exponent 2πy/h beyond the wanted bits, for cos(y)⁻ᵐ and the like
MOST_POINTS = 200_000  # on one side
MARGIN = 8  # bits beyond the wanted digits
GUARDS = (0, 40, 120, 400)  # further bits, one attempt each
GROUP = 4  # points between two looks at the tail

Transform = Callable[[arb], arb]
Tail = Callable[[arb, arb], arb | None]


class TooManyPoints(ArithmeticError):
    """An integral needs more points than are allowed."""


def proven(compute: Callable[[int], list[arb]], spare: int = 0) -> list[Enclosure | None]:
    """The numbers of `compute(bits)`, with bits growing until all have the wanted digits.

    `spare`: bits beyond them in the first attempt. A number that no attempt bounds is None.
    """
    wanted = int(3.33 * wanted_digits()) + MARGIN
    found: list[Enclosure | None] = []
    for guard in GUARDS:
        bits = wanted + spare + guard
        with LOCK, ctx.workprec(bits + 80):
            try:
                values = compute(bits)
            except TooManyPoints:
                if found:  # of fewer digits
                    break
                raise
            found = [enclosed(Integral(value), arb(0)) if value.is_finite() else None for value in values]
            if all(value.is_zero() or value.rad() <= abs(value) * arb(2) ** -wanted for value in values):
                break
    return found


def step_for(bits: int, height: float = HEIGHT, growth: float = 0.0) -> fmpq:
    """A short fraction h for which e^(growth − 2πy/h) is below 2^−bits."""
    step = 2.0 * math.pi * height / (bits * math.log(2.0) + growth + EXTRA)
    digits = 20 - min(0, math.frexp(step)[1])
    return fmpq(int(step * 2**digits), 2**digits)


def trapezoid_error(step: fmpq, height: float = HEIGHT) -> arb:
    """2/(e^(2πy/h) − 1): the factor of ∫|f(s + iy)| ds in the error bound."""
    return 2 / (2 * arb.pi() * arb(height) / arb(step)).expm1()


def inverse_power(m: fmpq, transform: Transform, at_0: arb, tail: Tail, scale: arb, bits: int) -> arb:
    """E[g/Sᵐ] from t ↦ E[g·e^(−tS)].

    at_0: E[g]. tail(t, term): a bound of all terms tᵐ·E[g·e^(−tS)] beyond t and its term, or None for none yet.
    scale: about the size of S; the sum begins at t = 1/scale.
    """
    step, power = step_for(bits), arb(m)
    tiny = arb(2) ** -bits
    start = -round(float(scale.log().mid()) / as_float(step))

    def at(j: int) -> tuple[arb, arb, arb]:
        s = arb(step * j)
        t, factor = s.exp(), (power * s).exp()
        return t, factor, factor * transform(t)

    def below(factor: arb) -> arb:
        return factor * at_0 / (power * arb(step)).expm1()

    total = arb(0)
    for j in range(start, start + MOST_POINTS):
        t, _, term = at(j)
        total += term
        if (j - start) % GROUP == 0:
            rest = tail(t, term)
            if rest is not None and rest <= total * tiny:
                break
    else:
        raise TooManyPoints(f"more than {MOST_POINTS}")
    total += zero_to(rest)
    for j in range(start - 1, start - MOST_POINTS, -1):
        _, factor, term = at(j)
        total += term
        if (start - j) % GROUP == 0 and below(factor) <= total * tiny:
            break
    else:
        raise TooManyPoints(f"more than {MOST_POINTS}")
    total += zero_to(below(factor))
    error = trapezoid_error(step) * arb(HEIGHT).cos() ** -power
    return total * arb(step) / power.gamma() / (1 + arb(0, error.upper()))


def zero_to(bound: arb) -> arb:
    """The ball of all numbers from 0 to a bound."""
    return arb(0).union(bound.upper())
