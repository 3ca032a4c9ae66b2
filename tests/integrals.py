"""Reference integrals by SciPy, which share nothing with the package, and how close a referee has to come."""

import math
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
from scipy import integrate, optimize, stats

from gradstat.assumptions import Input, Upstream
from gradstat.distributions import DISTRIBUTIONS, OF_UPSTREAM
from gradstat.layer_types.case import Case
from gradstat.layer_types.record import Exact, Row
from tests.layer_cases import Array

INPUTS = [Input(d, mean, std) for d in DISTRIBUTIONS for mean, std in ((0.0, 1.0), (0.7, 0.5), (-1.3, 2.0))]
UPSTREAMS = [Upstream(name) for name in OF_UPSTREAM]


def scipy_distribution(x: Input) -> Any:
    scale = {
        "normal": 1.0,
        "laplace": math.sqrt(0.5),
        "uniform": 2.0 * math.sqrt(3.0),
        "logistic": math.sqrt(3.0) / math.pi,
    }
    name = "norm" if x.distribution == "normal" else x.distribution
    first = x.mean - math.sqrt(3.0) * x.std if x.distribution == "uniform" else x.mean
    return getattr(stats, name)(loc=first, scale=scale[x.distribution] * x.std)


def scipy_integral(g: Callable[[Array], Array], x: Input, breaks: list[float]) -> float:
    """∫ g p by tanh–sinh quadrature between all points where anything could happen."""
    reach = {"normal": 38.0, "uniform": math.sqrt(3.0)}.get(x.distribution, 400.0)
    low, high = x.mean - reach * x.std, x.mean + reach * x.std
    marks = [s * 2.0**k for k in (-2, 0, 1, 2, 3, 4, 6, 8, 10) for s in (1, -1)]
    points = np.array([low, high, x.mean, 0.0, *breaks, *marks, *(x.mean + x.std * m for m in marks)])
    points = np.unique(points[(points >= low) & (points <= high)])
    p = scipy_distribution(x)
    found = integrate.tanhsinh(lambda v: g(v) * p.pdf(v), points[:-1], points[1:], rtol=1e-13, atol=1e-18)
    return math.fsum(found.integral)


def scipy_moments(g: Callable[[Array], Array], x: Input, kinks: tuple[float, ...]) -> Exact:
    """Mean, variance, E|g| and E|g − E[g]|, split where g crosses 0 or its mean too."""
    kinks_ = list(kinks)
    mean = scipy_integral(g, x, kinks_)
    crossings = [c for level in (0.0, mean) for c in _crossings(lambda v: g(v) - level, x)]  # noqa: B023
    var = scipy_integral(lambda v: (g(v) - mean) ** 2, x, kinks_)
    size = scipy_integral(lambda v: np.abs(g(v)), x, kinks_ + crossings)
    return Exact(mean, var, size, scipy_integral(lambda v: np.abs(g(v) - mean), x, kinks_ + crossings))


def _crossings(g: Callable[[Any], Any], x: Input) -> list[float]:
    grid = np.unique(np.r_[np.linspace(-60.0, 60.0, 6001), x.mean + x.std * np.linspace(-40.0, 40.0, 4001)])
    signs = np.sign(g(grid) * np.ones_like(grid))
    hit = grid[1:-1][(signs[1:-1] == 0.0) & (signs[2:] * signs[:-2] < 0)]  # a crossing at a point of the grid itself
    between = np.flatnonzero(signs[1:] * signs[:-1] < 0)
    return [*map(float, hit), *(optimize.brentq(g, grid[i], grid[i + 1], xtol=1e-15) for i in between)]


def assert_exact(found: Exact | None, expected: Exact, tolerance: float = 1e-12) -> None:
    """Absolute where the value is 0, relative to the size of the variable otherwise."""
    assert found is not None
    size = abs(expected.mean) + math.sqrt(expected.var)
    for name, scale in (("mean", size), ("var", size**2), ("abs_mean", size), ("mad", size)):
        value, wanted = getattr(found, name), getattr(expected, name)
        if wanted is not None and (name in ("mean", "var") or value is not None):
            assert abs(value - wanted) <= tolerance * scale, (name, value, wanted)


@cache
def size_of(dy: Upstream) -> float:
    """E|dy| at unit variance, by integration."""
    x = Input(dy.distribution)
    return scipy_integral(np.abs, x, [0.0])


def row_of(case: Case, direction: str) -> Row:
    return next(row for row in case.shape.rows if row.direction == direction)
