"""How many bits a formula loses where it cancels or hardly changes, which the working precision has to add.

erf x is 1 − 10⁻¹²⁷ at x = 17: what the mean and the variance measure is the 127th digit. An attempt at fewer digits
finds nothing.
"""

import math

from flint import acb, arb, ctx

from gradstat.layer_types.exact.balls import Ball, in_plane
from gradstat.layer_types.exact.constants import ball
from gradstat.layer_types.exact.integrand import Integrand
from gradstat.layer_types.exact.spans import Span
from gradstat.layer_types.exact.traced import Trace, Undecided, Undefined

PLACES = (0.25, -1.0, 1.0)  # in standard deviations from the mean of x
Values = list[acb]


def cancelled(integrand: Integrand, bits: int, most: int) -> int:
    """The bits of differences of y and of dy/dx that are wrong at a working precision of `bits`; 0 if unknown.

    Compared are the rounding errors at that precision and the values at `most` more bits. The answer is at most `most`.
    """
    try:
        with ctx.workprec(bits + most):
            right = _values(integrand)
        with ctx.workprec(bits):
            rounded = _values(integrand)
    except (ArithmeticError, Undecided, Undefined):
        return 0
    return max(0, *(_lost(*both, bits, most) for both in zip(right, rounded, strict=True)))


def _lost(right: Values, rounded: Values, bits: int, most: int) -> int:
    """The bits that the largest of some values loses to the largest rounding error."""
    size = max(_log2(value.abs_lower()) for value in right)
    error = max(_log2(value.rad()) for value in rounded)
    if not math.isfinite(size) or not math.isfinite(error):
        return 0
    return min(most, bits + math.ceil(error - size))


def _values(integrand: Integrand) -> tuple[Values, Values]:
    """Differences of y, and dy/dx, at a few points next to the mean of x, in the arithmetic of rectangles."""
    mean, std = ball(integrand.x.mean), ball(integrand.x.std)
    (first, *ys), slopes = zip(*(_at(integrand, (mean + std * part).mid()) for part in PLACES), strict=True)
    return [y - first for y in ys], list(slopes)


def _at(integrand: Integrand, place: arb) -> tuple[acb, acb]:
    """y and dy/dx at a point."""
    trace = Trace()
    span = Span(place, place, trace)
    integrand.values(span)(span)
    point = Ball(in_plane(place), Trace(trace.decisions))
    y, slope = integrand.values(point)(point)
    return acb(y.value), acb(slope.value)


def _log2(value: arb) -> float:
    """log₂ of a number that is not negative; ±inf where it has no finite one."""
    if not value.is_finite():
        return math.inf
    return float(value.log()) / math.log(2.0) if value > 0 else -math.inf
