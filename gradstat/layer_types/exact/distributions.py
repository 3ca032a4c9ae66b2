"""Densities of x, and moments of dy, by the table of distributions."""

import math
from types import SimpleNamespace
from typing import Any

import numpy as np

from gradstat.assumptions import Input, Upstream

Array = np.ndarray[Any, np.dtype[np.float64]]

_erfc = np.frompyfunc(math.erfc, 1, 1)
FUNCTIONS = SimpleNamespace(exp=np.exp, where=np.where, erfc=lambda z: np.asarray(_erfc(z), dtype=np.float64))


def density(x: Input, v: Array) -> Array:
    """p(v) of the input distribution."""
    law, z = x.law, (v - x.mean) / x.std
    return np.where((z >= law.lowest) & (z <= law.highest), law.density(FUNCTIONS, z) / x.std, 0.0)


def cumulative(x: Input, v: Array) -> Array:
    """P(X ≤ v) of the input distribution."""
    law, z = x.law, (v - x.mean) / x.std
    return np.asarray(law.cumulative(FUNCTIONS, np.clip(z, law.lowest, law.highest)))


def abs_mean_of_upstream(dy: Upstream) -> float:
    """E|dy| at unit variance."""
    if dy.correlation in (0.0, 1.0):
        return dy.law.abs_mean
    if dy.law.mixed_abs_mean is None:
        raise ValueError(f"E|dy| is not known for dy ~ {dy.label()}")
    return dy.law.mixed_abs_mean(dy.correlation)


def kurtosis_of_upstream(dy: Upstream) -> float:
    """E[dy⁴] at unit variance. Correlated dy is a sum of two of variances c and 1 − c, whose fourth cumulants add."""
    c = dy.correlation
    return 3.0 + (dy.law.kurtosis - 3.0) * (c * c + (1.0 - c) ** 2)


def of_product(fourth: float | None, square: float, dy: Upstream) -> float | None:
    """Kurtosis of dx = g·dy from E[g⁴] and E[g²], g independent of dy; None where there is none."""
    return None if fourth is None or not square else kurtosis_of_upstream(dy) * (fourth / square) / square
