"""Closed forms for sums of independent inputs."""

import math

from gradstat.assumptions import Input
from gradstat.layers.record import Exact


def mean_of_independent(n: int, x: Input) -> Exact:
    """Average of n independent inputs: mean μ, variance σ²/n; E|y| and MAD where x is normal."""
    var = x.std**2 / n
    if x.distribution == "normal":
        return normal(x.mean, var)
    return Exact(x.mean, var)


def normal(mean: float, var: float) -> Exact:
    """A normal variable: E|v| = σ√(2/π)·e^(−μ²/2σ²) + μ·erf(μ/(σ√2)), MAD = σ√(2/π)."""
    std = math.sqrt(var)
    mad = std * math.sqrt(2.0 / math.pi)
    z = mean / std
    return Exact(mean, var, mad * math.exp(-0.5 * z * z) + mean * math.erf(z / math.sqrt(2.0)), mad)


def second_moment(x: Input) -> float:
    """E[x²] = μ² + σ²."""
    return x.mean**2 + x.std**2
