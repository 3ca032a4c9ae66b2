"""Balls: a formula at a point, or on all points of a rectangle of the complex plane at once.

On a piece whose signs are proven the formula is one analytic expression, and its signs are replayed. A rectangle on
which it is not analytic (a pole, a cut) has no finite value.
"""

from typing import Any

from flint import acb, arb, ctx

from gradstat.layer_types.exact.constants import ball
from gradstat.layer_types.exact.traced import Trace, Traced

Value = Any  # arb at a point of the real line, acb on a rectangle
NOTHING = acb(arb("nan"), arb("nan"))


def in_plane(x: arb) -> acb:
    """A real point with an imaginary part that is not known to be 0: it has the rounding errors of rectangles."""
    return acb(x, arb(0, arb(2) ** (-8 * ctx.prec)))


class Ball(Traced):
    """A value and all that rounding, or the width of a rectangle, may make of it."""

    __slots__ = ("trace", "value")

    def __init__(self, value: Value, trace: Trace) -> None:
        self.value, self.trace = value, trace

    def of(self, value: Any) -> "Ball":
        if isinstance(value, Ball):
            return value
        if isinstance(value, arb):
            return Ball(value, self.trace)
        known = self.trace.constants.get(value)
        if known is None:
            known = self.trace.constants[value] = Ball(ball(value), self.trace)
        return known

    def sign(self) -> int:
        return self.trace.sign(self)

    def nothing(self) -> "Ball":
        return Ball(arb("nan"), self.trace)

    def plus(self, other: "Ball") -> "Ball":
        return Ball(self.value + other.value, self.trace)

    def minus(self, other: "Ball") -> "Ball":
        return Ball(self.value - other.value, self.trace)

    def times(self, other: "Ball") -> "Ball":
        a, b = self.value, other.value
        return Ball(arb(0) if a.is_zero() or b.is_zero() else a * b, self.trace)

    def negative(self) -> "Ball":
        return Ball(-self.value, self.trace)

    def inverse(self) -> "Ball":
        return Ball(1 / self.value, self.trace)

    def exp(self) -> "Ball":
        return Ball(self.value.exp(), self.trace)

    def expm1(self) -> "Ball":
        return Ball(self.value.expm1(), self.trace)

    def log_positive(self) -> "Ball":
        value = self.value
        return Ball(value.log(analytic=True) if isinstance(value, acb) else value.log(), self.trace)

    def log1p_positive(self) -> "Ball":
        value = self.value
        if isinstance(value, acb):
            return Ball(value.log1p() if (value + 1).real > 0 else NOTHING, self.trace)
        return Ball(value.log1p(), self.trace)

    def sqrt_positive(self) -> "Ball":
        value = self.value
        return Ball(value.sqrt(analytic=True) if isinstance(value, acb) else value.sqrt(), self.trace)

    def erf(self) -> "Ball":
        return Ball(self.value.erf(), self.trace)

    def sin(self) -> "Ball":
        return Ball(self.value.sin(), self.trace)

    def cos(self) -> "Ball":
        return Ball(self.value.cos(), self.trace)

    def atan(self) -> "Ball":
        return Ball(self.value.atan() if _off_the_cuts(self.value) else NOTHING, self.trace)

    def asinh(self) -> "Ball":
        """ln(z + √(z² + 1)) on rectangles, mirrored on the left, where the sum would cancel."""
        value = self.value
        if isinstance(value, arb):
            return Ball(value.asinh(), self.trace)
        mirrored = value.real < 0
        size = -value if mirrored else value
        result = (size + (size * size + 1).sqrt(analytic=True)).log(analytic=True)
        return Ball(-result if mirrored else result, self.trace)


def _off_the_cuts(value: Value) -> bool:
    """Away from i·t with |t| ≥ 1, where arctan jumps."""
    return isinstance(value, arb) or value.imag.abs_upper() < 1 or not value.real.contains(0)
