"""The largest of n independent values, and how many of several windows one value is the largest of."""

import itertools
import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace
from fractions import Fraction

import numpy as np

from gradstat.assumptions import Input, Upstream
from gradstat.layer_types.exact.closed_forms import abs_sum_of_upstream
from gradstat.layer_types.exact.distributions import Array, cumulative
from gradstat.layer_types.exact.quadrature import expectation
from gradstat.layer_types.record import Exact

MOST_WINDOWS = 12  # over one input: all their subsets are visited
Window = frozenset[int]


def maximum(n: int, x: Input) -> Exact | None:
    """Moments of the largest of n independent draws of x (n = 9: mean 1.4850131622, std 0.5977903)."""
    return maxima([n], x)


def maxima(sizes: Iterable[int], x: Input) -> Exact | None:
    """Windows of these sizes in one row: E[g(M)] = ∫ g(v) · p(v) · (mean of n·F(v)ⁿ⁻¹) dv.

    Source: David & Nagaraja, Order Statistics, 3rd ed., 2003, section 3.1.
    """
    unit = replace(x, mean=0.0, std=1.0)  # moments of x itself follow by location and scale
    shares = Counter(sizes)

    def weighted(g: Array, v: Array) -> Array:
        f = cumulative(unit, v)
        density: Array = sum((times * n * f ** (n - 1) for n, times in shares.items()), np.zeros_like(v))
        return g * density / shares.total()

    mean = expectation(lambda v: weighted(v, v), unit)
    if mean is None:
        return None
    var = expectation(lambda v: weighted((v - mean) ** 2, v), unit)
    spread = expectation(lambda v: weighted(np.abs(v - mean), v), unit, (mean,))
    size = expectation(lambda v: weighted(np.abs(x.mean + x.std * v), v), unit, (-x.mean / x.std,))
    if var is None or spread is None:
        return None
    std = math.sqrt(var)
    fourth = expectation(lambda v: weighted(((v - mean) / std) ** 4, v), unit)
    third = expectation(lambda v: weighted(((v - mean) / std) ** 3, v), unit)
    return Exact(x.mean + x.std * mean, x.std**2 * var, size, x.std * spread, fourth, third)


def gradient_of_maxima(slots: Sequence[Sequence[Window]], dy: Upstream) -> Exact:
    """dx = Σ dy over the windows that x is the largest of, x independent; one list of covering windows per slot.

    x is the largest of all windows of a set with probability 1/|their union|, so with correlation c of dy
    Var[dx] = Σ_w 1/|w| + c·Σ_{v≠w} 1/|v ∪ w|. E|dx| needs the distribution of the number of windows won.
    """
    known = {windows: (_variance(windows, dy), _abs_mean(windows, dy)) for windows in set(map(tuple, slots))}
    found = [known[tuple(windows)] for windows in slots]
    sizes = [size for _, size in found if size is not None]
    size = math.fsum(sizes) / len(slots) if len(sizes) == len(slots) else None
    return Exact(0.0, math.fsum(var for var, _ in found) / len(slots), size, size)


def _variance(windows: Sequence[Window], dy: Upstream) -> float:
    """Σ_w 1/|w| + c·Σ_{v≠w} 1/|v ∪ w|."""
    alone = math.fsum(1.0 / len(window) for window in windows)
    if not dy.correlation:
        return alone
    return alone + 2.0 * dy.correlation * math.fsum(1.0 / len(v | w) for v, w in itertools.combinations(windows, 2))


def _abs_mean(windows: Sequence[Window], dy: Upstream) -> float | None:
    """Σ_k P(k windows won)·E|sum of k dy|; None where there are too many windows or it is not known."""
    if len(windows) > MOST_WINDOWS:
        return None
    total = 0.0
    for k, probability in enumerate(windows_won(windows)):
        size = abs_sum_of_upstream(k, dy)
        if size is None and probability:
            return None
        total += float(probability) * (size or 0.0)
    return total


def windows_won(windows: Sequence[Window]) -> list[Fraction]:
    """P(the input that all these windows share is the largest of exactly k of them), k = 0, 1, …

    Inclusion and exclusion: P(k) = Σ_{j≥k} (−1)^(j−k)·C(j, k)·S_j, S_j = Σ over sets of j windows of 1/|union|.
    """
    sums = [Fraction(1)]
    for j in range(1, len(windows) + 1):
        unions = Counter(len(frozenset().union(*chosen)) for chosen in itertools.combinations(windows, j))
        sums.append(sum((Fraction(times, size) for size, times in unions.items()), Fraction(0)))
    return [
        sum(((-1) ** (j - k) * math.comb(j, k) * sums[j] for j in range(k, len(sums))), Fraction(0))
        for k in range(len(sums))
    ]
