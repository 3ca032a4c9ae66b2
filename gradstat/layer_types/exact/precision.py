"""Balls (flint) and enclosures (fractions): one from the other, and the precision that balls are computed with."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from fractions import Fraction

from flint import arb, ctx, fmpq

from gradstat.layer_types.exact.constants import to_fraction
from gradstat.layer_types.exact.enclosure import BITS, Enclosure, enclosure

LOCK = threading.Lock()  # the working precision belongs to the process
LARGEST_EXPONENT = 40_000


@contextmanager
def working_precision(bits: int) -> Iterator[None]:
    """Balls of this precision; no other thread computes with balls meanwhile."""
    with LOCK, ctx.workprec(bits):
        yield


def evaluated(function: Callable[..., arb], *arguments: Enclosure, bits: int = BITS + 40) -> Enclosure:
    """f of balls around these enclosures; ArithmeticError if the result is not a number."""
    with working_precision(bits):
        value = function(*map(ball_around, arguments))
        return from_ball(value, any(argument.numeric for argument in arguments))


def ball_around(value: Enclosure) -> arb:
    """The smallest ball that contains the bounds, at the precision of the moment."""
    low, high = (arb(fmpq(end.numerator, end.denominator)) for end in value.bounds)
    return low if value.low == value.high else low.union(high)


def from_ball(value: arb, numeric: bool = False) -> Enclosure:
    """The bounds of a ball as fractions; ArithmeticError if the ball has none below 2^40000."""
    if not value.is_finite():
        raise ArithmeticError("it could not be bounded")
    low, high = short_end(value.lower(), -1), short_end(value.upper(), 1)
    if low is None or high is None:
        raise ArithmeticError("it is too large")
    return Enclosure(low, high, numeric=numeric)


def not_negative(value: Enclosure) -> Enclosure:
    """The same number, which is known not to be negative."""
    low, high = value.bounds
    return Enclosure(max(low, Fraction(0)), max(high, Fraction(0)), numeric=value.numeric)


def within(middle: Enclosure, radius: Fraction) -> Enclosure:
    """All numbers that are at most `radius` away."""
    return middle + Enclosure(-radius, radius) if radius else enclosure(middle)


def short_end(end: arb, side: int) -> Fraction | None:
    """The lower or upper end of a ball, no closer to 0 than 2^−40000; None where it is beyond 2^40000."""
    if end.is_zero():
        return Fraction(0)
    mantissa, exponent = end.man_exp()
    size = int(exponent) + int(mantissa).bit_length()
    if size > LARGEST_EXPONENT:
        return None
    if size < -LARGEST_EXPONENT:
        return side * Fraction(1, 2**LARGEST_EXPONENT) if side * int(mantissa) > 0 else Fraction(0)
    return to_fraction(end)
