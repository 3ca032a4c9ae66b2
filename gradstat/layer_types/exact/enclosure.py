"""A number that is known to lie between two bounds, or that is infinite or undefined, and why.

Fractions only: closed forms are computed with these without any library, and nothing here is rounded to a float.
"""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from decimal import ROUND_CEILING, ROUND_FLOOR, Context, Decimal
from fractions import Fraction
from typing import Union

DIGITS = 17  # certain ones that an exact value has unless more are asked for
MOST_DIGITS = 100
BITS = 420  # kept of a bound: more than the hundred digits that can be asked for
WIDE = Context(prec=2 * MOST_DIGITS, Emax=10**9, Emin=-(10**9))
Number = Union["Enclosure", Fraction, int, float]


@dataclass(frozen=True)
class Enclosure:
    """low ≤ value ≤ high. Where both are None the value is infinite (`sign`) or undefined (sign 0), with the reason.

    The reason of a finite supremum is the place where it is reached.

    numeric: the bounds are a float quadrature's estimate of its error, and no proof.
    """

    low: Fraction | None
    high: Fraction | None
    sign: int = 0
    reason: str = ""
    numeric: bool = False

    @classmethod
    def infinite(cls, sign: int, reason: str) -> "Enclosure":
        """+∞ or −∞."""
        return cls(None, None, sign, reason)

    @classmethod
    def undefined(cls, reason: str) -> "Enclosure":
        """No value, not even an infinite one."""
        return cls(None, None, 0, reason)

    @classmethod
    def about(cls, value: float, radius: float) -> "Enclosure":
        """A float with an estimated bound of its error."""
        middle, around = Fraction(value), Fraction(radius)
        return cls(middle - around, middle + around, numeric=True)

    @property
    def is_finite(self) -> bool:
        """True for a number."""
        return self.low is not None

    @property
    def bounds(self) -> tuple[Fraction, Fraction]:
        """(low, high) of a number."""
        if self.low is None or self.high is None:
            raise ArithmeticError(self.reason)
        return self.low, self.high

    @property
    def middle(self) -> Fraction:
        """The middle of the bounds."""
        low, high = self.bounds
        return (low + high) / 2

    @property
    def radius(self) -> Fraction:
        """Half the distance of the bounds."""
        low, high = self.bounds
        return (high - low) / 2

    def __float__(self) -> float:
        """The nearest float64 to the middle, 0 where 0 lies within the bounds; ±inf or nan where there is no number."""
        if self.low is None:
            return math.copysign(math.inf, self.sign) if self.sign else math.nan
        if self.contains_zero:
            return 0.0
        try:
            return float(self.middle)
        except OverflowError:
            return math.inf if self.middle > 0 else -math.inf

    @property
    def is_certain(self) -> bool:
        """True if the float64 nearest to the value is known: both bounds round to it, or 0 lies between them."""
        if self.low is None or self.contains_zero:
            return True
        low, high = self.bounds
        try:
            return float(low) == float(high)
        except OverflowError:
            return True

    @property
    def is_zero(self) -> bool:
        """True for 0 itself."""
        return self.low == 0 == self.high

    @property
    def contains_zero(self) -> bool:
        """True where 0 lies within the bounds."""
        low, high = self.bounds
        return low <= 0 <= high

    def certain_digits(self, most: int = 100) -> int:
        """Significant digits that both bounds share when rounded to them, at most `most`."""
        low, high = self.bounds
        for digits in range(most, 0, -1):
            if low == high or _rounded(low, digits) == _rounded(high, digits):
                return digits
        return 0

    def text(self, digits: int) -> str:
        """The value rounded to these significant digits; only the certain ones where there are fewer.

        As Python's format `g` writes a float: without trailing zeros, `1e-05`, `0.0001`.
        """
        if self.low is None:
            return {1: "∞", -1: "−∞", 0: "undefined"}[self.sign]
        if self.contains_zero:
            return "0"
        number = _rounded(self.middle, max(self.certain_digits(digits), 1)).normalize(WIDE)
        exponent = number.adjusted()
        if -5 < exponent < digits:
            return format(number, "f")
        mantissa = format(number.scaleb(-exponent, WIDE), "f")
        return f"{mantissa}e{exponent:+03}"

    # Arithmetic: enclosures of what is computed from them

    def __add__(self, other: Number) -> "Enclosure":
        return _combined(self, other, lambda a, b: [x + y for x, y in zip(a, b, strict=True)])

    __radd__ = __add__

    def __neg__(self) -> "Enclosure":
        if self.low is None:
            return Enclosure(None, None, -self.sign, self.reason)
        low, high = self.bounds
        return Enclosure(-high, -low, numeric=self.numeric)

    def __sub__(self, other: Number) -> "Enclosure":
        return self + -enclosure(other)

    def __rsub__(self, other: Number) -> "Enclosure":
        return -self + other

    def __mul__(self, other: Number) -> "Enclosure":
        return _combined(self, other, lambda a, b: [x * y for x in a for y in b])

    __rmul__ = __mul__

    def __truediv__(self, other: Number) -> "Enclosure":
        divisor = enclosure(other)
        if divisor.low is None:
            return Enclosure.undefined(divisor.reason) if not divisor.sign else enclosure(0)
        low, high = divisor.bounds
        if low <= 0 <= high:
            return Enclosure.undefined("divides by 0")
        return self * Enclosure(*_outward(1 / high, 1 / low), numeric=divisor.numeric)

    def __rtruediv__(self, other: Number) -> "Enclosure":
        return enclosure(other) / self

    def __abs__(self) -> "Enclosure":
        if self.low is None:
            return Enclosure(None, None, abs(self.sign), self.reason)
        low, high = self.bounds
        ends = sorted((abs(low), abs(high)))
        return Enclosure(Fraction(0) if low <= 0 <= high else ends[0], ends[1], numeric=self.numeric)

    def squared(self) -> "Enclosure":
        """Its square, which is not negative."""
        if self.low is None:
            return Enclosure(None, None, abs(self.sign), self.reason)
        low, high = self.bounds
        ends = sorted((low * low, high * high))
        return Enclosure(*_outward(Fraction(0) if low <= 0 <= high else ends[0], ends[1]), numeric=self.numeric)

    def root(self) -> "Enclosure":
        """Its square root; what rounding put below 0 is 0."""
        if self.low is None:
            return self
        low, high = self.bounds
        return Enclosure(*_outward(_root(low, False), _root(high, True)), numeric=self.numeric)


def enclosure(value: Number) -> Enclosure:
    """A number as an enclosure of itself; a float is the number that it holds."""
    if isinstance(value, Enclosure):
        return value
    return Enclosure(Fraction(value), Fraction(value))


def _combined(one: Enclosure, two: Number, ends: object) -> Enclosure:
    """The smallest and the largest of what the bounds give; an infinite or undefined part makes it undefined."""
    other = enclosure(two)
    for part in (one, other):
        if part.low is None:
            return Enclosure.undefined(part.reason) if part.sign == 0 else part
    values = ends(one.bounds, other.bounds)  # type: ignore[operator]
    return Enclosure(*_outward(min(values), max(values)), numeric=one.numeric or other.numeric)


def _outward(low: Fraction, high: Fraction) -> tuple[Fraction, Fraction]:
    """Bounds of at most BITS bits, rounded outwards, so that fractions do not grow."""
    return _short(low, math.floor), _short(high, math.ceil)


def _short(value: Fraction, rounding: object) -> Fraction:
    if value.denominator.bit_length() <= BITS and value.numerator.bit_length() <= BITS:
        return value
    shift = BITS - (value.numerator.bit_length() - value.denominator.bit_length())
    power = Fraction(2) ** shift
    return Fraction(rounding(value * power)) / power  # type: ignore[operator]


def _root(value: Fraction, up: bool) -> Fraction:
    if value <= 0:
        return Fraction(0)
    shift = max(0, 2 * BITS - (value.numerator.bit_length() - value.denominator.bit_length()))
    shift += shift % 2
    scaled = value * 4 ** (shift // 2)
    whole = math.isqrt(math.floor(scaled))
    return Fraction(whole + int(up), 2 ** (shift // 2))


def _rounded(value: Fraction, digits: int) -> Decimal:
    """To significant digits, half to even."""
    context = Context(prec=digits, Emax=10**9, Emin=-(10**9))
    exact = Context(prec=digits + 20, rounding=ROUND_FLOOR if value >= 0 else ROUND_CEILING, Emax=10**9, Emin=-(10**9))
    quotient = exact.divide(Decimal(value.numerator), Decimal(value.denominator))
    return context.plus(quotient)


_PI = Fraction(
    "3.1415926535897932384626433832795028841971693993751058209749"
    "44592307816406286208998628034825342117067982148086513282306647"
)
PI = Enclosure(_PI, _PI + Fraction(1, 10**120))

_digits: ContextVar[int] = ContextVar("digits", default=DIGITS)


def wanted_digits() -> int:
    """The certain digits that exact values are computed to."""
    return _digits.get()


@contextmanager
def to_digits(digits: int) -> Iterator[None]:
    """Exact values with so many certain digits, up to 100."""
    token = _digits.set(min(digits, MOST_DIGITS))
    try:
        yield
    finally:
        _digits.reset(token)


def decimal(value: float) -> Enclosure:
    """The decimal number that a float's shortest spelling shows: 0.1 is 1/10."""
    return enclosure(Fraction(repr(float(value))))
