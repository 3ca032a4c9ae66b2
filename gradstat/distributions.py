"""The distributions of x and dy: one record each, with zero mean and unit variance.

A new distribution needs a record here, and a branch for its code in the quantile functions of the kernels
(`numerics/draws.py`, `numerics/quantiles.py`).
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

Value = Any  # of z: a number, an array, or a ball
SQRT_2, SQRT_3 = math.sqrt(2.0), math.sqrt(3.0)
LOGISTIC_RATE = math.pi / SQRT_3


class Functions(Protocol):
    """The functions that densities use, for one type of value. Because of it this module does not import NumPy."""

    def exp(self, z: Value, /) -> Value: ...
    def erfc(self, z: Value, /) -> Value: ...
    def where(self, condition: Value, value: Value, other: Value, /) -> Value: ...


@dataclass(frozen=True)
class Distribution:
    """A distribution with zero mean and unit variance. z is a number drawn from it; lengths are in standard deviations.

    dy with a correlation c strictly between 0 and 1 is √c·z₁ + √(1 − c)·z₂; `mixed_abs_mean` is the mean of |dy|.
    """

    name: str
    code: int  # of the distribution in kernels
    description: str
    density: Callable[[Functions, Value], Value]  # p(z) for lowest ≤ z ≤ highest
    cumulative: Callable[[Functions, Value], Value]  # P(Z ≤ z), on the same interval
    reach: float  # beyond ±reach, the density is below 1e-300
    bulk: float  # the probability outside ±bulk is below 10⁻²²
    drawn: float  # the largest |z| of a sample: uniform numbers keep 2⁻⁵³ away from 0 and 1
    abs_mean: float  # E|z|
    kurtosis: float  # E[z⁴]
    lowest: float = -math.inf  # the smallest and the largest possible z
    highest: float = math.inf
    mixed_abs_mean: Callable[[float], float] | None = None  # c ↦ E|√c·z₁ + √(1 − c)·z₂|; None: not for dy

    @property
    def bounded(self) -> bool:
        """True if z cannot be arbitrarily large in either direction."""
        return self.lowest > -math.inf and self.highest < math.inf


def _laplace_cumulative(fn: Functions, z: Value) -> Value:
    tail = 0.5 * fn.exp(-SQRT_2 * abs(z))
    return fn.where(z < 0.0, tail, 1.0 - tail)


def _laplace_mixed_abs_mean(c: float) -> float:
    """E|v| of the sum of two Laplace numbers of scales a = √(c/2) and b = √((1 − c)/2): (a² + ab + b²)/(a + b)."""
    a, b = math.sqrt(0.5 * c), math.sqrt(0.5 * (1.0 - c))
    return (a * a + a * b + b * b) / (a + b)


def _logistic_density(fn: Functions, z: Value) -> Value:
    e = fn.exp(-LOGISTIC_RATE * abs(z))
    return LOGISTIC_RATE * e / (1.0 + e) ** 2


NORMAL = Distribution(
    name="normal",
    code=0,
    description="exp(−z²/2)/√(2π)",
    density=lambda fn, z: fn.exp(-0.5 * z * z) / math.sqrt(2.0 * math.pi),
    cumulative=lambda fn, z: 0.5 * fn.erfc(-z / SQRT_2),
    reach=38.0,
    bulk=12.0,
    drawn=8.6,
    abs_mean=math.sqrt(2.0 / math.pi),
    kurtosis=3.0,
    mixed_abs_mean=lambda c: math.sqrt(2.0 / math.pi),
)
LAPLACE = Distribution(
    name="laplace",
    code=1,
    description="exp(−√2·|z|)/√2",
    density=lambda fn, z: fn.exp(-SQRT_2 * abs(z)) / SQRT_2,
    cumulative=_laplace_cumulative,
    reach=490.0,
    bulk=36.0,
    drawn=26.0,
    abs_mean=math.sqrt(0.5),
    kurtosis=6.0,
    mixed_abs_mean=_laplace_mixed_abs_mean,
)
UNIFORM = Distribution(
    name="uniform",
    code=2,
    description="1/(2√3) from −√3 to √3",
    density=lambda fn, z: 1.0 / (2.0 * SQRT_3),
    cumulative=lambda fn, z: 0.5 + z / (2.0 * SQRT_3),
    reach=SQRT_3,
    bulk=SQRT_3,
    drawn=SQRT_3,
    abs_mean=0.5 * SQRT_3,
    kurtosis=1.8,
    lowest=-SQRT_3,
    highest=SQRT_3,
)
LOGISTIC = Distribution(
    name="logistic",
    code=3,
    description="k·exp(−k|z|)/(1 + exp(−k|z|))², k = π/√3",
    density=_logistic_density,
    cumulative=lambda fn, z: 1.0 / (1.0 + fn.exp(-LOGISTIC_RATE * z)),
    reach=385.0,
    bulk=28.0,
    drawn=20.3,
    abs_mean=2.0 * math.log(2.0) / LOGISTIC_RATE,
    kurtosis=4.2,
)

DISTRIBUTIONS = {record.name: record for record in (NORMAL, LAPLACE, UNIFORM, LOGISTIC)}
OF_UPSTREAM = {name: record for name, record in DISTRIBUTIONS.items() if record.mixed_abs_mean is not None}
