"""The largest of n independent values: E[g(M)] = ∫ g(v) · n p(v) F(v)ⁿ⁻¹ dv."""

from dataclasses import replace

import numpy as np

from gradstat.assumptions import Input
from gradstat.layers.record import Exact
from gradstat.layers.referee.distributions import Array, cumulative
from gradstat.layers.referee.quadrature import expectation


def maximum(n: int, x: Input) -> Exact | None:
    """Moments of the largest of n independent draws of x (n = 9: mean 1.4850131622, std 0.5977903).

    Source: David & Nagaraja, Order Statistics, 3rd ed., 2003, section 3.1.
    """
    unit = replace(x, mean=0.0, std=1.0)  # moments of x itself follow by location and scale

    def weighted(g: Array, v: Array) -> Array:
        return g * n * cumulative(unit, v) ** (n - 1)

    mean = expectation(lambda v: weighted(v, v), unit)
    if mean is None:
        return None
    var = expectation(lambda v: weighted((v - mean) ** 2, v), unit)
    spread = expectation(lambda v: weighted(np.abs(v - mean), v), unit, (mean,))
    size = expectation(lambda v: weighted(np.abs(x.mean + x.std * v), v), unit, (-x.mean / x.std,))
    if var is None or spread is None:
        return None
    return Exact(x.mean + x.std * mean, x.std**2 * var, size, x.std * spread)
