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
