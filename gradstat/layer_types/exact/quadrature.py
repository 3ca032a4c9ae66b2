"""E[g(x)] by adaptive Gauss–Legendre panels, split at the kinks of g, at the mean of x, and ever finer towards 0."""

import math
from collections.abc import Callable
from functools import cache

import numpy as np

from gradstat.assumptions import Input
from gradstat.layer_types.exact.distributions import Array, density
from gradstat.layer_types.record import Exact

NODES = 20
TOLERANCE = 1e-14  # of the integral, per refinement; the sum is good to 1e-13
DEPTH = 40
PANELS = 20_000  # at once; more are asked for only where rounding errors of g keep the halves from agreeing
SCAN, BISECTIONS = 32, 60
ROUNDING = 2e-15  # of E|g|: what g and its mean may be off


@cache
def _rule() -> tuple[Array, Array]:
    nodes, weights = np.polynomial.legendre.leggauss(NODES)
    return nodes, weights


def expectation(
    g: Callable[[Array], Array], x: Input, kinks: tuple[float, ...] = (), floor: float = 0.0
) -> float | None:
    """∫ g(v) p(v) dv to about 10⁻¹³ of ∫ |g| p, or to `floor`; None where it does not converge or is not finite."""
    with np.errstate(all="ignore"):  # what overflows comes out as None
        return integrate(lambda v: g(v) * density(x, v), _edges(x, kinks), not x.law.bounded, floor)


def moments(g: Callable[[Array], Array], x: Input, kinks: tuple[float, ...] = ()) -> Exact | None:
    """Mean, variance, E|g|, E|g − E[g]|, kurtosis, skewness of g(x); None where mean or variance does not exist."""
    mean = expectation(g, x, kinks)
    size = expectation(lambda v: np.abs(g(v)), x, (*kinks, *crossings(g, x, kinks)))
    if mean is None or size is None:
        return None
    noise = ROUNDING * size
    around = (*kinks, *crossings(lambda v: g(v) - mean, x, kinks))
    spread = expectation(lambda v: np.abs(g(v) - mean), x, around, noise)
    floor = noise * noise + 2.0 * noise * (spread or 0.0)
    var = expectation(lambda v: (g(v) - mean) ** 2, x, kinks, floor)
    if var is None or var <= noise * noise:  # no spread but rounding: it has no shape
        return None if var is None else Exact(mean, var, size, spread)
    std = math.sqrt(var)
    fourth = expectation(lambda v: ((g(v) - mean) / std) ** 4, x, kinks, noise / std)
    third = expectation(lambda v: ((g(v) - mean) / std) ** 3, x, kinks, noise / std)
    return Exact(mean, var, size, spread, fourth, third)


def crossings(g: Callable[[Array], Array], x: Input, kinks: tuple[float, ...] = ()) -> tuple[float, ...]:
    """Where g changes its sign: there |g| has a kink, and two halves of a panel may agree on a wrong value.

    Looked for between 32 points of every panel, and settled by bisection.
    """
    with np.errstate(all="ignore"):
        edges = _edges(x, kinks)
        points = np.linspace(edges[:-1], edges[1:], SCAN, axis=1, endpoint=False).ravel()
        positive = g(points) + np.zeros_like(points) > 0.0
        (at,) = np.nonzero(positive[1:] != positive[:-1])
        left, right, side = points[at], points[at + 1], positive[at]
        for _ in range(BISECTIONS):
            middle = 0.5 * (left + right)
            same = (g(middle) + np.zeros_like(middle) > 0.0) == side
            left, right = np.where(same, middle, left), np.where(same, right, middle)
    return tuple(right.tolist())


def integrate(f: Callable[[Array], Array], edges: Array, tails: bool = False, floor: float = 0.0) -> float | None:
    """∫ f over the panels between `edges`; each is halved until its two halves agree with it.

    With `tails`, f goes on beyond the edges: None unless it has died out there.
    """
    left, right = edges[:-1], edges[1:]
    whole, size = _panels(f, left, right)
    scale = math.fsum(size)
    done: list[float] = []
    for _ in range(DEPTH):
        if len(whole) > PANELS or not np.all(np.isfinite(whole)):
            return None
        middle = 0.5 * (left + right)
        lower, lower_size = _panels(f, left, middle)
        upper, upper_size = _panels(f, middle, right)
        halves = lower + upper
        scale = max(scale, math.fsum(lower_size) + math.fsum(upper_size))
        open_ = np.abs(halves - whole) > max(TOLERANCE * scale, floor) / math.sqrt(1.0 + len(whole))
        done.extend(halves[~open_])
        if not open_.any():
            beyond = np.max(np.abs(f(edges[[0, -1]]))) * (edges[-1] - edges[0]) if tails else 0.0
            return math.fsum(done) if beyond <= max(TOLERANCE * scale, floor) else None
        left, right = np.r_[left[open_], middle[open_]], np.r_[middle[open_], right[open_]]
        whole = np.r_[lower[open_], upper[open_]]
    return None


def _panels(f: Callable[[Array], Array], left: Array, right: Array) -> tuple[Array, Array]:
    """∫ f and ∫ |f| over each panel."""
    nodes, weights = _rule()
    half = 0.5 * (right - left)
    values = f((0.5 * (left + right))[:, None] + half[:, None] * nodes) * np.ones(NODES)
    return (values @ weights) * half, (np.abs(values) @ weights) * half


def _edges(x: Input, kinks: tuple[float, ...]) -> Array:
    """Panel borders: one standard deviation wide near the mean, wider far out; 0 and ±2ᵏ; and every kink.

    Formulas have their features at about unit scale around 0. Where the standard deviation is 10⁶, panels of its
    width would have no node there, and the slope of tanh would come out as 0.
    """
    reach = x.law.reach
    steps = np.arange(0.0, min(reach, 12.0))
    far = np.geomspace(12.0, reach, 40) if reach > 12.0 else np.array([reach])
    grid = np.r_[-far[::-1], -steps[::-1], steps, far]
    largest = abs(x.mean) + reach * x.std
    powers = 2.0 ** np.arange(-3.0, max(-3.0, math.log2(largest))) if largest < math.inf else np.empty(0)
    marks = np.r_[-powers, 0.0, powers, kinks]
    edges = np.r_[x.mean + x.std * grid, marks[np.abs(marks - x.mean) < reach * x.std]]
    return np.array(sorted(set(edges.tolist())))  # np.unique imports numpy.ma, which takes longer than all of this
