"""Intervals that carry their derivative by x: a quantity whose derivative has one sign has at most one zero.

An interval alone cannot decide a sign close to a zero, where it is always too wide; with the derivative it can.
"""

from typing import Any

from flint import arb

from gradstat.layer_types.exact.spans import Span
from gradstat.layer_types.exact.traced import Traced


class Jet(Traced):
    """A quantity and its derivative by x on an interval."""

    __slots__ = ("slope", "value")

    def __init__(self, value: Span, slope: Span) -> None:
        self.value, self.slope = value, slope

    @classmethod
    def variable(cls, x: Span) -> "Jet":
        """x itself."""
        return cls(x, x.of(1))

    @property
    def is_monotone(self) -> bool:
        """True where the derivative is shown not to change its sign."""
        return bool(self.slope.lo >= 0 or self.slope.hi <= 0)

    def of(self, value: Any) -> "Jet":
        return value if isinstance(value, Jet) else Jet(self.value.of(value), self.value.of(0))

    def known_sign(self) -> int | None:
        return self.value.known_sign()

    def sign(self) -> int:
        return self.value.trace.sign(self)

    def nothing(self) -> "Jet":
        return Jet(self.value.nothing(), self.value.nothing())

    def plus(self, other: "Jet") -> "Jet":
        return Jet(self.value.plus(other.value), self.slope.plus(other.slope))

    def negative(self) -> "Jet":
        return Jet(self.value.negative(), self.slope.negative())

    def times(self, other: "Jet") -> "Jet":
        if self is other:
            return Jet(self.value.times(self.value), self.value.times(self.slope).times(self.value.of(2)))
        slope = self.value.times(other.slope).plus(other.value.times(self.slope))
        return Jet(self.value.times(other.value), slope)

    def chained(self, value: Span, slope: Span) -> "Jet":
        """f(u) and f′(u)·u′."""
        return Jet(value, slope.times(self.slope))

    def inverse(self) -> "Jet":
        value = self.value.inverse()
        return self.chained(value, value.times(value).negative())

    def exp(self) -> "Jet":
        value = self.value.exp()
        return self.chained(value, value)

    def expm1(self) -> "Jet":
        return self.chained(self.value.expm1(), self.value.exp())

    def log_positive(self) -> "Jet":
        return self.chained(self.value.log_positive(), self.value.inverse())

    def log1p_positive(self) -> "Jet":
        return self.chained(self.value.log1p_positive(), self._plus_one(self.value).inverse())

    def sqrt_positive(self) -> "Jet":
        value = self.value.sqrt_positive()
        return self.chained(value, value.plus(value).inverse())

    def erf(self) -> "Jet":
        two_over_root = self.value.of(2 / arb.pi().sqrt())
        return self.chained(self.value.erf(), self.value.times(self.value).negative().exp().times(two_over_root))

    def sin(self) -> "Jet":
        return self.chained(self.value.sin(), self.value.cos())

    def cos(self) -> "Jet":
        return self.chained(self.value.cos(), self.value.sin().negative())

    def atan(self) -> "Jet":
        return self.chained(self.value.atan(), self._plus_one(self.value.times(self.value)).inverse())

    def asinh(self) -> "Jet":
        return self.chained(self.value.asinh(), self._plus_one(self.value.times(self.value)).sqrt_positive().inverse())

    @staticmethod
    def _plus_one(span: Span) -> Span:
        return span.plus(span.of(1))
