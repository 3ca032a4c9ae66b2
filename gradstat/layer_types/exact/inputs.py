"""Moments of x itself, as enclosures."""

from fractions import Fraction

from gradstat.assumptions import Input
from gradstat.layer_types.exact.enclosure import Enclosure, decimal, enclosure

KURTOSIS = {"normal": Fraction(3), "laplace": Fraction(6), "uniform": Fraction(9, 5), "logistic": Fraction(21, 5)}


def mean(x: Input) -> Enclosure:
    """μ."""
    return decimal(x.mean)


def std(x: Input) -> Enclosure:
    """σ."""
    return decimal(x.std)


def variance(x: Input) -> Enclosure:
    """σ²."""
    return decimal(x.std).squared()


def second_moment(x: Input) -> Enclosure:
    """E[x²] = μ² + σ²."""
    return mean(x).squared() + variance(x)


def fourth_central(x: Input) -> Enclosure:
    """E[(x − μ)⁴]."""
    return variance(x).squared() * enclosure(KURTOSIS[x.distribution])


def distance(x: Input, centre: Enclosure) -> Enclosure:
    """E|x − c|: the value at the middle of c, and its radius."""
    from gradstat.layer_types.exact.special import distance_from  # loads flint

    shift = enclosure(centre.middle) - mean(x)
    return distance_from(x.distribution, shift, std(x)) + Enclosure(-centre.radius, centre.radius)
