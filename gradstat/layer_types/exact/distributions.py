"""Densities of x, E|dy|, and how far out an integral has to reach."""

import math
from typing import Any

import numpy as np

from gradstat.assumptions import Input, Upstream

Array = np.ndarray[Any, np.dtype[np.float64]]

_erfc = np.frompyfunc(math.erfc, 1, 1)

# Half-widths, in standard deviations, beyond which the density is below 1e-300.
REACH = {"normal": 38.0, "laplace": 490.0, "logistic": 385.0, "uniform": math.sqrt(3.0)}


def lowest(x: Input) -> float:
    """The smallest x there is: −∞ but for the uniform distribution."""
    return x.mean - REACH["uniform"] * x.std if x.distribution == "uniform" else -math.inf


def density(x: Input, v: Array) -> Array:
    """p(v) of the input distribution."""
    z = (v - x.mean) / x.std
    if x.distribution == "normal":
        return np.exp(-0.5 * z * z) / (math.sqrt(2.0 * math.pi) * x.std)
    if x.distribution == "laplace":
        return np.exp(-math.sqrt(2.0) * np.abs(z)) / (math.sqrt(2.0) * x.std)
    if x.distribution == "logistic":
        e = np.exp(-math.pi / math.sqrt(3.0) * np.abs(z))
        return math.pi / math.sqrt(3.0) * e / ((1.0 + e) ** 2 * x.std)
    return np.where(np.abs(z) <= REACH["uniform"], 1.0 / (2.0 * REACH["uniform"] * x.std), 0.0)


def abs_mean_of_upstream(dy: Upstream) -> float:
    """E|dy| at unit variance: √(2/π) for the normal, √½ for the Laplace distribution.

    Correlated Laplace dy is a sum of two, of scales a = √(c/2) and b = √((1 − c)/2): E|dy| = (a² + ab + b²)/(a + b).
    """
    if dy.distribution == "normal":
        return math.sqrt(2.0 / math.pi)
    a, b = math.sqrt(0.5 * dy.correlation), math.sqrt(0.5 * (1.0 - dy.correlation))
    return (a * a + a * b + b * b) / (a + b)


def kurtosis_of_upstream(dy: Upstream) -> float:
    """E[dy⁴] at unit variance: 3 for the normal, 6 for the Laplace distribution.

    Correlated Laplace dy is a sum of two of variances c and 1 − c, whose fourth cumulants add: 3 + 3(c² + (1 − c)²).
    """
    c = dy.correlation
    return 3.0 if dy.distribution == "normal" else 3.0 + 3.0 * (c * c + (1.0 - c) ** 2)


def of_product(fourth: float | None, square: float, dy: Upstream) -> float | None:
    """Kurtosis of dx = g·dy from E[g⁴] and E[g²], g independent of dy; None where there is none."""
    return None if fourth is None or not square else kurtosis_of_upstream(dy) * (fourth / square) / square


def cumulative(x: Input, v: Array) -> Array:
    """P(X ≤ v) of the input distribution."""
    z = (v - x.mean) / x.std
    if x.distribution == "normal":
        return 0.5 * np.asarray(_erfc(-z / math.sqrt(2.0)), dtype=np.float64)
    if x.distribution == "laplace":
        tail = 0.5 * np.exp(-math.sqrt(2.0) * np.abs(z))
        return np.where(z < 0.0, tail, 1.0 - tail)
    if x.distribution == "logistic":
        return 1.0 / (1.0 + np.exp(-math.pi / math.sqrt(3.0) * z))
    return np.clip(0.5 + z / (2.0 * REACH["uniform"]), 0.0, 1.0)
