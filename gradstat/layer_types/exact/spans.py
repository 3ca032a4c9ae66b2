"""Real intervals with outward rounding: where a formula's signs are proven, and what it is bounded by.

The ends are exact numbers, and what is 0 at an end stays 0 there: so x > 0 is decided on [0, 5]. A monotone function
is computed at both ends, which keeps the interval as narrow as it can be.
"""

from collections.abc import Callable
from typing import Any

from flint import arb

from gradstat.layer_types.exact.constants import ball
from gradstat.layer_types.exact.traced import Trace, Traced

INFINITY = arb("inf")
ZERO, ONE = arb(0), arb(1)


class Span(Traced):
    """All values between lo and hi."""

    __slots__ = ("hi", "lo", "trace")

    def __init__(self, lo: arb, hi: arb, trace: Trace) -> None:
        if not (lo <= hi):  # NaN: nothing is known
            lo, hi = -INFINITY, INFINITY
        self.lo, self.hi, self.trace = lo, hi, trace

    def make(self, lo: arb, hi: arb) -> "Span":
        """Outward rounded ends."""
        return type(self)(lo if lo.is_exact() else lo.lower(), hi if hi.is_exact() else hi.upper(), self.trace)

    def of(self, value: Any) -> "Span":
        if isinstance(value, Span):
            return value
        if isinstance(value, arb):
            return self.make(value, value)
        known = self.trace.constants.get(value)
        if known is None:
            number = ball(value)
            known = self.trace.constants[value] = self.make(number, number)
        return known

    def known_sign(self) -> int | None:
        lo, hi = self.lo, self.hi
        if lo >= 0 and hi > 0:
            self.trace.touches = self.trace.touches or not lo > 0
            return 1
        if hi <= 0 and lo < 0:
            self.trace.touches = self.trace.touches or not hi < 0
            return -1
        return 0 if lo == 0 and hi == 0 else None

    def sign(self) -> int:
        return self.trace.sign(self)

    @property
    def is_zero(self) -> bool:
        """0 everywhere."""
        return self.lo.is_zero() and self.hi.is_zero()

    def nothing(self) -> "Span":
        return self.make(-INFINITY, INFINITY)

    def plus(self, other: "Span") -> "Span":
        return self.make(self.lo + other.lo, self.hi + other.hi)

    def negative(self) -> "Span":
        return type(self)(-self.hi, -self.lo, self.trace)

    def times(self, other: "Span") -> "Span":
        a, b, c, d = self.lo, self.hi, other.lo, other.hi
        if self is other:
            if a >= 0:
                return self.make(a * a, b * b)
            return self.make(b * b, a * a) if b <= 0 else self.make(ZERO, (a * a).max(b * b))
        if self.is_zero or other.is_zero:
            return self.of(0)
        if a >= 0 and c >= 0:
            return self.make(_product(a, c), _product(b, d))
        products = [_product(a, c), _product(a, d), _product(b, c), _product(b, d)]
        lows, highs = [p.lower() for p in products], [p.upper() for p in products]
        lo, hi = lows[0], highs[0]
        for low, high in zip(lows[1:], highs[1:], strict=True):
            lo, hi = lo.min(low), hi.max(high)
        return type(self)(lo, hi, self.trace)

    def inverse(self) -> "Span":
        if self.lo >= 0:
            return self.make(1 / self.hi, INFINITY if self.lo.is_zero() else 1 / self.lo)
        if self.hi <= 0:
            return self.make(-INFINITY if self.hi.is_zero() else 1 / self.hi, 1 / self.lo)
        return self.make(-INFINITY, INFINITY)

    def monotone(self, function: Callable[[arb], arb]) -> "Span":
        """An increasing function, at both ends."""
        return self.make(function(self.lo), function(self.hi))

    def exp(self) -> "Span":
        return self.monotone(arb.exp)

    def expm1(self) -> "Span":
        return self.monotone(arb.expm1)

    def log_positive(self) -> "Span":
        return self.make(self.lo.log() if self.lo > 0 else -INFINITY, self.hi.log())

    def log1p_positive(self) -> "Span":
        return self.make(self.lo.log1p() if self.lo > -1 else -INFINITY, self.hi.log1p())

    def sqrt_positive(self) -> "Span":
        return self.make(self.lo.sqrt() if self.lo > 0 else ZERO, self.hi.sqrt())

    def power_positive(self, other: "Span") -> "Span":
        if self.lo > 0 or not (other.lo > 0 and self.hi > 0):
            return super().power_positive(other)
        upper = Span.power_positive(self.make(self.hi, self.hi), other)
        return self.make(ZERO, upper.hi.max(ONE) if other.lo < other.hi else upper.hi)

    def erf(self) -> "Span":
        return self.monotone(arb.erf)

    def atan(self) -> "Span":
        return self.monotone(arb.atan)

    def asinh(self) -> "Span":
        return self.monotone(arb.asinh)

    def sin(self) -> "Span":
        return self._wave(arb.sin)

    def cos(self) -> "Span":
        return self._wave(arb.cos)

    def _wave(self, function: Callable[[arb], arb]) -> "Span":
        width = self.hi - self.lo
        if not width.is_finite() or width > 6:
            return self.make(-ONE, ONE)
        return self._within(function(self.lo.union(self.hi)))

    def _within(self, value: arb) -> "Span":
        """The value, and no farther than ±1."""
        return type(self)(value.lower().max(-ONE), value.upper().min(ONE), self.trace)


class Hull(Span):
    """An interval for which nothing is decided: where a formula branches, it takes both ways and joins them."""

    __slots__ = ()

    def sign(self) -> int:
        """Of quantities in denominators and under roots; the other uses of a sign are below."""
        return 1

    def absolute(self) -> "Hull":
        lo, hi = self.lo, self.hi
        if lo >= 0:
            return self
        return self.joined(-hi, -lo) if hi <= 0 else self.joined(ZERO, hi.max(-lo))

    def joined(self, lo: arb, hi: arb) -> "Hull":
        return Hull(lo, hi, self.trace)

    def larger(self, other: Span) -> "Hull":
        return self.joined(self.lo.max(other.lo), self.hi.max(other.hi))

    def smaller(self, other: Span) -> "Hull":
        return self.joined(self.lo.min(other.lo), self.hi.min(other.hi))

    def signum(self) -> "Hull":
        return self.joined(self.lo.sgn(), self.hi.sgn())

    def tanh(self) -> "Hull":
        return self.make(self.lo.tanh(), self.hi.tanh())  # type: ignore[return-value]

    def log_positive(self) -> "Hull":
        return self._real(self.lo >= 0, super().log_positive)

    def log1p_positive(self) -> "Hull":
        return self._real(self.lo >= -1, super().log1p_positive)

    def sqrt_positive(self) -> "Hull":
        return self._real(self.lo >= 0, super().sqrt_positive)

    def raised(self, other: Span) -> "Hull":
        return self._real(self.lo >= 0, lambda: self.power_positive(other))

    def _real(self, holds: bool, value: Callable[[], Span]) -> "Hull":
        return value() if holds else self.joined(-INFINITY, INFINITY)  # type: ignore[return-value]

    def compared(self, other: Any, holds: Callable[[int], bool]) -> Any:
        """True or False where all values agree, otherwise `Maybe`."""
        difference: Span = self.minus(self.of(other))  # type: ignore[arg-type]
        signs = [s for s, there in ((-1, difference.lo < 0), (1, difference.hi > 0)) if there]
        if difference.lo <= 0 <= difference.hi:
            signs.append(0)
        answers = {holds(sign) for sign in signs}
        return answers.pop() if len(answers) == 1 else Maybe(self)

    @staticmethod
    def chosen(condition: Any, value: Any, other: Any) -> Any:
        if isinstance(condition, Maybe):
            return value.joined(value.lo.min(other.lo), value.hi.max(other.hi))
        return value if condition else other


class Maybe:
    """A condition that holds for some values of an interval and not for others."""

    def __init__(self, quantity: Hull) -> None:
        self.quantity = quantity

    def __bool__(self) -> bool:
        raise ArithmeticError("a formula with `if` cannot take both ways")

    def __array_function__(self, function: Any, types: Any, arguments: Any, options: Any) -> Any:
        return self.quantity.__array_function__(function, types, arguments, options)


def _product(a: arb, b: arb) -> arb:
    """a·b with 0·∞ = 0, which is right for the ends of intervals."""
    return ZERO if a.is_zero() or b.is_zero() else a * b
