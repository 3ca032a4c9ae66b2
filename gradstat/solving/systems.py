"""Solutions of several equations: Newton in floats, Newton on enclosures, and Krawczyk's test."""

import math
from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import Any

import numpy as np

from gradstat.arithmetic_values import Dual
from gradstat.layer_types.exact.enclosure import Enclosure, enclosure

MOST_STEPS = 100
STEP = 1e-6  # of finite differences, relative
HALVES = 30  # of a damped step
CLOSE = 1e-8  # of the residuals, from where on enclosures take over
GUARD = 4
NEARBY = Fraction(1, 10**12)  # relative: the box on which a solution is shown to be the only one
DERIVATIVE_DIGITS = 6  # of derivatives on a box

Array = np.ndarray[Any, np.dtype[np.float64]]
Point = tuple[float, ...]
Residuals = Callable[[Point], Sequence[float]]
Enclosed = Callable[[Sequence[Fraction], int], Sequence[Enclosure]]
Duals = Callable[[Sequence[Enclosure], int], Sequence[Dual] | None]
Matrix = Sequence[Sequence[Fraction]]


def newton(function: Residuals, start: Point) -> tuple[Point, float]:
    """A point where the largest residual is small, and that residual: damped steps of Newton from a start."""
    point = np.array(start)
    values = np.array(function(start))
    for _ in range(MOST_STEPS):
        size = _size(values)
        if not math.isfinite(size) or size == 0.0:
            break
        step = _step(jacobian(function, tuple(point)), values)
        factor = 1.0
        for _ in range(HALVES):
            trial = point + factor * step
            result = np.array(function(tuple(trial)))
            if _size(result) < size:
                break
            factor *= 0.5
        else:
            break
        point, values = trial, result
    return tuple(float(x) for x in point), _size(values)


def _size(values: Array) -> float:
    size = float(np.max(np.abs(values)))
    return math.inf if math.isnan(size) else size


def _step(matrix: Array, values: Array) -> Array:
    matrix = np.where(np.isfinite(matrix), matrix, 0.0)
    return np.asarray(np.linalg.lstsq(matrix, -values, rcond=1e-12)[0])


def jacobian(function: Residuals, point: Point) -> Array:
    """Central differences."""
    columns = []
    for i, x in enumerate(point):
        h = STEP * (abs(x) or 1.0)
        sides = [np.array(function((*point[:i], x + side * h, *point[i + 1 :]))) for side in (1, -1)]
        columns.append((sides[0] - sides[1]) / (2.0 * h))
    return np.array(columns).T


def inverse(matrix: Array) -> Matrix | None:
    """The inverse as fractions; None where the matrix is singular within rounding: a flat direction."""
    if not np.all(np.isfinite(matrix)) or np.linalg.cond(matrix) > 1e10:
        return None
    return [[Fraction(float(x)) for x in row] for row in np.linalg.inv(matrix)]


def refined(function: Enclosed, start: Point, backwards: Matrix, digits: int) -> list[Fraction]:
    """Newton's steps with a fixed inverse until they are smaller than the last digit."""
    place = [Fraction(x) for x in start]
    units = [(abs(x) or Fraction(1, 10**6)) / Fraction(10) ** (digits + 3) for x in place]
    for _ in range(MOST_STEPS):
        values = function(place, digits + GUARD)
        if not all(value.is_finite for value in values):
            break
        steps = [
            sum((a * value.middle for a, value in zip(row, values, strict=True)), Fraction(0)) for row in backwards
        ]
        place = [_rounded(x - step, unit) for x, step, unit in zip(place, steps, units, strict=True)]
        if all(abs(step) <= unit for step, unit in zip(steps, units, strict=True)):
            break
    return place


def _rounded(value: Fraction, unit: Fraction) -> Fraction:
    power = Fraction(2) ** (math.floor(math.log2(float(unit))) - 3)
    return round(value / power) * power


def krawczyk(
    function: Enclosed,
    duals: Duals,
    names: Sequence[str],
    place: Sequence[Fraction],
    backwards: Matrix,
    digits: int,
    radius: Fraction = NEARBY,
) -> list[Enclosure] | None:
    """Bounds of the only solution in a box around a point, by Krawczyk's test; None where the test fails.

    K = m − Y·F(m) + (I − Y·F′(X))·(X − m) within X: there is exactly one solution in X, and it lies in K.
    """
    values = function(place, digits + GUARD)
    radii = [radius * (abs(x) or Fraction(1, 10**6)) for x in place]
    box = [Enclosure(x - r, x + r) for x, r in zip(place, radii, strict=True)]
    slopes = duals(box, DERIVATIVE_DIGITS)
    if slopes is None or not all(value.is_finite for value in values):
        return None
    result = []
    for i, row in enumerate(backwards):
        centre = enclosure(place[i])
        for a, value in zip(row, values, strict=True):
            centre = centre - a * value
        for j, name in enumerate(names):
            product = enclosure(int(i == j))
            for a, dual in zip(row, slopes, strict=True):
                slope = dual.slopes.get(name, enclosure(0))
                if not slope.is_finite:
                    return None
                product = product - a * slope
            centre = centre + product * Enclosure(-radii[j], radii[j])
        low, high = centre.bounds
        if not (box[i].bounds[0] < low and high < box[i].bounds[1]):
            return None
        result.append(centre)
    return result
