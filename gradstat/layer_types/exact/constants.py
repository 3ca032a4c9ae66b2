"""Floats of formulas as exact numbers: 0.1 is 1/10, and the float next to √½ is √½.

A formula is compiled with float64 constants, but it is meant, and its exact values are wanted, with the numbers that
these floats stand for. Three rules: a float of the table below is that constant; a float that needs 16 digits or more
and is the nearest one to a fraction with a small denominator is that fraction (1/3); any other float is the decimal
number that its shortest spelling shows.
"""

import math
from collections.abc import Callable
from decimal import Decimal
from fractions import Fraction
from functools import cache
from typing import Any

from flint import arb, fmpq

from gradstat.layer_types.exact.enclosure import Enclosure

LARGEST_DENOMINATOR = 1000
SHORT = 15  # significant digits: a decimal number of so many is what was written
Exactly = fmpq | Callable[[], arb]  # a rational number, or what computes the number at the precision of the moment


def _selu_alpha() -> arb:
    """Klambauer et al. 2017: α = −√(2/π)/(erfc(√½)·e^½ − 1)."""
    return -(2 / arb.pi()).sqrt() / (_erfc_of_root_half() - 1)


def _selu_scale() -> arb:
    """λ, the number for which σ[selu(x)] = 1: E[y²] = λ²(½ + α²·E[(eˣ − 1)², x < 0])."""
    alpha = _selu_alpha()
    below = arb(2).exp() * arb(2).sqrt().erfc() / 2 - _erfc_of_root_half() + arb(1) / 2
    return 1 / (arb(1) / 2 + alpha * alpha * below).sqrt()


def _erfc_of_root_half() -> arb:
    """e^½·erfc(√½)."""
    return (arb(1) / 2).exp() * (arb(1) / 2).sqrt().erfc()


def _root(value: float) -> Callable[[], arb]:
    return lambda: arb(value).sqrt()


_RECIPES: tuple[tuple[float, Callable[[], arb]], ...] = (
    (math.pi, lambda: arb.pi()),
    (2.0 * math.pi, lambda: 2 * arb.pi()),
    (math.pi / 2.0, lambda: arb.pi() / 2),
    (math.pi / 4.0, lambda: arb.pi() / 4),
    (1.0 / math.pi, lambda: 1 / arb.pi()),
    (2.0 / math.pi, lambda: 2 / arb.pi()),
    (math.e, lambda: arb(1).exp()),
    (math.log(2.0), lambda: arb(2).log()),
    (1.0 / math.log(2.0), lambda: 1 / arb(2).log()),
    (math.log(10.0), lambda: arb(10).log()),
    (math.sqrt(math.pi), lambda: arb.pi().sqrt()),
    (math.sqrt(2.0 * math.pi), lambda: (2 * arb.pi()).sqrt()),
    (math.sqrt(2.0 / math.pi), lambda: (2 / arb.pi()).sqrt()),
    (math.sqrt(8.0 / math.pi), lambda: (8 / arb.pi()).sqrt()),
    (math.sqrt(math.pi / 2.0), lambda: (arb.pi() / 2).sqrt()),
    (1.0 / math.sqrt(2.0 * math.pi), lambda: 1 / (2 * arb.pi()).sqrt()),
    (1.0 / math.sqrt(math.pi), lambda: 1 / arb.pi().sqrt()),
    (2.0 / math.sqrt(math.pi), lambda: 2 / arb.pi().sqrt()),
    (math.pi / math.sqrt(3.0), lambda: arb.pi() / arb(3).sqrt()),
    (math.sqrt(0.5), _root(0.5)),
    *((math.sqrt(n), _root(float(n))) for n in (2.0, 3.0, 5.0, 6.0, 7.0, 8.0, 10.0)),
    (1.6732632423543772, _selu_alpha),
    (1.0507009873554805, _selu_scale),
)
_TABLE = dict(_RECIPES)


@cache
def exactly(value: float) -> Exactly:
    """The number that a finite float stands for."""
    if value in _TABLE:
        return _TABLE[value]
    if -value in _TABLE:
        recipe = _TABLE[-value]
        return lambda: -recipe()
    short = Decimal(repr(value))
    if len(short.as_tuple().digits) > SHORT and 1e-3 < abs(value) < 1e6:
        near = Fraction(value).limit_denominator(LARGEST_DENOMINATOR)
        if near.numerator / near.denominator == value:
            return fmpq(near.numerator, near.denominator)
    fraction = Fraction(short)
    return fmpq(fraction.numerator, fraction.denominator)


def number(value: Any) -> Exactly:
    """The same for whatever a formula may hold: an int, a float, NumPy's numbers, a fraction, an enclosure."""
    if isinstance(value, fmpq):
        return value
    if isinstance(value, int):
        return fmpq(int(value))
    if isinstance(value, Fraction):
        return fmpq(value.numerator, value.denominator)
    if isinstance(value, Enclosure):
        ends = [fmpq(end.numerator, end.denominator) for end in value.bounds]
        return lambda: arb(ends[0]).union(arb(ends[1]))
    return exactly(float(value))


def ball(value: Any) -> arb:
    """An enclosure of the number at the precision of the moment."""
    exact = number(value)
    return arb(exact) if isinstance(exact, fmpq) else exact()


def fraction(value: Any) -> Fraction:
    """The number where it is rational, otherwise the decimal number that its spelling shows."""
    exact = rational(value)
    return Fraction(repr(float(value))) if exact is None else Fraction(int(exact.p), int(exact.q))


def rational(value: Any) -> fmpq | None:
    """The number where it is rational; None otherwise."""
    exact = number(value)
    return exact if isinstance(exact, fmpq) else None


def to_fraction(number: arb) -> Fraction:
    """An exact ball as a fraction."""
    mantissa, exponent = number.man_exp()
    return Fraction(int(mantissa)) * Fraction(2) ** int(exponent)


def as_float(number: fmpq) -> float:
    """The float64 nearest to a rational number."""
    return int(number.p) / int(number.q)
