"""Moments of dy, as enclosures."""

from fractions import Fraction

from gradstat.assumptions import Upstream
from gradstat.layer_types.exact.enclosure import PI, Enclosure, decimal, enclosure


def abs_mean(dy: Upstream) -> Enclosure:
    """E|dy| at unit variance: √(2/π) for the normal, √½ for the Laplace distribution.

    Correlated Laplace dy is a sum of two, of scales a = √(c/2) and b = √((1 − c)/2): E|dy| = (a² + ab + b²)/(a + b).
    """
    if dy.is_normal:
        return (enclosure(2) / PI).root()
    c = decimal(dy.correlation)
    a, b = (c * Fraction(1, 2)).root(), ((1 - c) * Fraction(1, 2)).root()
    return (Fraction(1, 2) + a * b) / (a + b)


def kurtosis(dy: Upstream) -> Enclosure:
    """E[dy⁴] at unit variance: 3 for the normal, 6 for the Laplace distribution.

    Correlated Laplace dy is a sum of two of variances c and 1 − c, whose fourth cumulants add: 3 + 3(c² + (1 − c)²).
    """
    c = decimal(dy.correlation)
    return enclosure(3) if dy.is_normal else 3 + 3 * (c.squared() + (1 - c).squared())
