"""Statistics of an elementwise layer in floats, by Gauss–Legendre panels: good to many digits, without a proof."""

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from gradstat.assumptions import Input, Upstream
from gradstat.layer_types.exact import upstream
from gradstat.layer_types.record import FORWARD, Exact
from gradstat.layer_types.statistics import exact_value
from gradstat.numerics import elementary as el

NODES, WEIGHTS = np.polynomial.legendre.leggauss(16)
PANELS = 32  # of equal width
FEATURES = np.array([0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0])  # |x| at which formulas change most
GRID = np.linspace(-50.0, 50.0, 4001)  # of x, where |dy/dx| is looked for
REFINEMENTS = 4

Array = np.ndarray[Any, Any]


def statistics(
    formula: Callable[..., Any], constants: Sequence[float], kinks: Sequence[float], x: Input, dy: Upstream
) -> Callable[[str, str], float]:
    """(direction, statistic) ↦ its value, NaN where there is none."""
    z, weights = _nodes(x, kinks)
    with np.errstate(all="ignore"):
        y, slope = (np.broadcast_to(part, z.shape) for part in formula(x.mean + x.std * z, *constants))
    rows: dict[str, Exact] = {}

    def value(direction: str, name: str) -> float:
        with np.errstate(all="ignore"):
            if name == "slope_mean":
                return float(weights @ slope)
            if name == "cov_xy":
                return float(weights @ (x.std * z * y))
            if name == "lipschitz":
                return _steepest(formula, constants)
            if name == "chi":
                return float((weights @ (x.std * z * y * slope)) / (weights @ (y * y)))
            if direction not in rows:
                rows[direction] = _forward(y, weights) if direction == FORWARD else _backward(slope, weights, dy)
        try:
            found = exact_value(name, rows[direction])
        except (ArithmeticError, ValueError):
            return math.nan
        return math.nan if found is None else found

    return value


def _steepest(formula: Callable[..., Any], constants: Sequence[float]) -> float:
    """The largest |dy/dx| on a grid, refined around its largest value: good to about ten digits."""
    points, step = GRID, float(GRID[-1] - GRID[-2])
    largest = math.nan
    with np.errstate(all="ignore"):
        for _ in range(REFINEMENTS):
            slopes = np.abs(np.broadcast_to(formula(points, *constants)[1], points.shape))
            best = int(np.argmax(slopes))
            largest = float(slopes[best])
            points = points[best] + step * np.linspace(-1.0, 1.0, 201)
            step /= 100.0
    return largest


def _nodes(x: Input, kinks: Sequence[float]) -> tuple[Array, Array]:
    """Nodes z, and weights that contain the density: panels end at kinks, and are narrow where x is near 0."""
    low, high = max(-x.law.bulk, x.law.lowest), min(x.law.bulk, x.law.highest)
    places = (np.r_[-FEATURES, 0.0, FEATURES, np.asarray(kinks, dtype=float)] - x.mean) / x.std
    ends = np.unique(np.r_[np.linspace(low, high, PANELS + 1), places[(places > low) & (places < high)]])
    middle, half = 0.5 * (ends[1:] + ends[:-1]), 0.5 * (ends[1:] - ends[:-1])
    z = (middle[:, None] + half[:, None] * NODES).ravel()
    weights = (half[:, None] * WEIGHTS).ravel() * x.law.density(el, z)
    return z, weights / weights.sum()


def _forward(y: Array, weights: Array) -> Exact:
    mean = float(weights @ y)
    centred = y - mean
    var = float(weights @ centred**2)
    shape = [float(weights @ centred**k) / var ** (0.5 * k) if var > 0.0 else math.nan for k in (3, 4)]
    return Exact(mean, var, float(weights @ abs(y)), float(weights @ abs(centred)), shape[1], shape[0])


def _backward(slope: Array, weights: Array, dy: Upstream) -> Exact:
    second = float(weights @ slope**2)
    size = float(weights @ abs(slope)) * float(upstream.abs_mean(dy))
    fourth = float(weights @ slope**4) * float(upstream.kurtosis(dy))
    return Exact(0.0, second, size, size, fourth / second**2 if second > 0.0 else math.nan, 0.0)
