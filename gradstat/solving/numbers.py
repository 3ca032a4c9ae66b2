"""Arithmetic of equations over enclosures."""

from fractions import Fraction

from gradstat.arithmetic_values import Functions
from gradstat.layer_types.exact.enclosure import PI, Enclosure, enclosure

LARGEST_EXPONENT = 1000  # of whole powers


def of_text(text: str) -> Enclosure:
    """A number as it is written: 0.1 is 1/10."""
    if text == "pi":
        return PI
    return _by_balls("exp", enclosure(1)) if text == "e" else enclosure(Fraction(text))


def root(value: Enclosure) -> Enclosure:
    """√u; undefined where u may be negative."""
    if value.is_finite and value.bounds[0] < 0:
        return Enclosure.undefined("it takes the root of a number that may be negative")
    return value.root()


def power(base: Enclosure, exponent: Enclosure) -> Enclosure:
    """uᵖ: products for a whole p, e^(p·ln u) otherwise, for u > 0."""
    if not (base.is_finite and exponent.is_finite):
        return Enclosure.undefined(base.reason or exponent.reason)
    low, high = exponent.bounds
    if low == high and low.denominator == 1 and abs(low) <= LARGEST_EXPONENT:
        result = _whole(base, abs(int(low)))
        return result if low >= 0 else 1 / result
    return _by_balls("exp", exponent * logarithm(base))


def _whole(base: Enclosure, exponent: int) -> Enclosure:
    result, square = enclosure(1), base
    while exponent:
        if exponent % 2:
            result = result * square
        exponent //= 2
        square = square.squared() if exponent else square
    return result


def logarithm(value: Enclosure) -> Enclosure:
    """ln u; undefined where u may be 0 or negative."""
    if not value.is_finite or value.bounds[0] <= 0:
        return Enclosure.undefined("it takes the logarithm of a number that may be negative")
    return _by_balls("log", value)


def _by_balls(function: str, value: Enclosure) -> Enclosure:
    from flint import arb  # takes long to load

    from gradstat.layer_types.exact.precision import evaluated

    if not value.is_finite:
        return value
    try:
        return evaluated(getattr(arb, function), value)
    except ArithmeticError as error:
        return Enclosure.undefined(str(error))


ENCLOSURES = Functions(of_text, root, power, logarithm)
