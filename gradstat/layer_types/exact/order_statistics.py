"""The largest of n values, independent or correlated, and how many of several windows one value is the largest of."""

import itertools
import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from fractions import Fraction

from gradstat.assumptions import Input, Upstream
from gradstat.layer_types.exact import inputs
from gradstat.layer_types.exact.closed_forms import ZERO, abs_sum_of_upstream, central
from gradstat.layer_types.exact.enclosure import Enclosure, decimal, enclosure
from gradstat.layer_types.record import Exact

MOST_WINDOWS = 12  # over one input: all their subsets are visited
Window = frozenset[int]


def maximum(n: int, x: Input, correlation: Fraction = Fraction(0)) -> Exact | None:
    """Moments of the largest of n draws of x, all with this correlation (n = 9: mean 1.4850131622, std 0.5977903)."""
    return maxima({(n, correlation): 1}, x)


def maxima(windows: Mapping[tuple[int, Fraction], int], x: Input) -> Exact | None:
    """Windows in one row: (inputs, correlation of each pair of them) → the number of such windows.

    Correlated inputs are normal. Source: David & Nagaraja, Order Statistics, 3rd ed., 2003, sections 3.1 and 5.3.
    """
    if not x.is_normal and any(correlation for _, correlation in windows):
        return None
    from gradstat.layer_types.exact.largest import largest  # loads flint

    laws = [(largest(x.distribution, *window), times) for window, times in windows.items()]
    count = sum(windows.values())

    def mixed(values: Iterable[Enclosure]) -> Enclosure:
        return sum((value * times for value, (_, times) in zip(values, laws, strict=True)), ZERO) / count

    first, second, third, fourth = (mixed(law.moments[k] for law, _ in laws) for k in range(4))
    var, skewness, kurtosis = central(first, second, third, fourth)
    mean, std = inputs.mean(x), inputs.std(x)

    def distance(centre: Enclosure) -> Enclosure | None:
        """E|M − c|."""
        parts = [law.distance(centre) for law, _ in laws]
        known = [part for part in parts if part is not None]
        return std * mixed(known) if len(known) == len(parts) else None

    size, mad = distance(-mean / std), distance(first)
    return Exact.proven(mean + std * first, std.squared() * var, size, mad, kurtosis, skewness)


def gradient_of_maxima(slots: Sequence[Sequence[Window]], dy: Upstream) -> Exact:
    """dx = Σ dy over the windows that x is the largest of, x independent; one list of covering windows per slot.

    x is the largest of all windows of a set with probability 1/|their union|, so with correlation c of dy
    Var[dx] = Σ_w 1/|w| + c·Σ_{v≠w} 1/|v ∪ w|. E|dx| needs the distribution of the number of windows won.
    """
    shares = Counter(map(tuple, slots))
    known = {windows: (_variance(windows, dy), _abs_mean(windows, dy)) for windows in shares}
    sizes = {windows: size for windows, (_, size) in known.items() if size is not None}
    var = sum((known[windows][0] * times for windows, times in shares.items()), ZERO) / len(slots)
    if len(sizes) < len(known):
        return Exact.proven(ZERO, var)
    size = sum((sizes[windows] * times for windows, times in shares.items()), ZERO) / len(slots)
    return Exact.proven(ZERO, var, size, size)


def _variance(windows: Sequence[Window], dy: Upstream) -> Enclosure:
    """Σ_w 1/|w| + c·Σ_{v≠w} 1/|v ∪ w|."""
    alone = _sum_of_shares(map(len, windows))
    if not dy.correlation:
        return enclosure(alone)
    pairs = _sum_of_shares(len(v | w) for v, w in itertools.combinations(windows, 2))
    return alone + 2 * pairs * decimal(dy.correlation)


def _sum_of_shares(sizes: Iterable[int]) -> Fraction:
    """Σ 1/size."""
    return sum((Fraction(times, size) for size, times in Counter(sizes).items()), Fraction(0))


def _abs_mean(windows: Sequence[Window], dy: Upstream) -> Enclosure | None:
    """Σ_k P(k windows won)·E|sum of k dy|; None where there are too many windows or it is not known."""
    if len(windows) > MOST_WINDOWS:
        return None
    total = ZERO
    for k, probability in enumerate(windows_won(windows)):
        if probability:
            size = abs_sum_of_upstream(k, dy)
            if size is None:
                return None
            total = total + size * probability
    return total


def windows_won(windows: Sequence[Window]) -> list[Fraction]:
    """P(the input that all these windows share is the largest of exactly k of them), k = 0, 1, …

    Inclusion and exclusion: P(k) = Σ_{j≥k} (−1)^(j−k)·C(j, k)·S_j, S_j = Σ over sets of j windows of 1/|union|.
    """
    sums = [Fraction(1)]
    for j in range(1, len(windows) + 1):
        sums.append(_sum_of_shares(len(frozenset().union(*chosen)) for chosen in itertools.combinations(windows, j)))
    return [
        sum(((-1) ** (j - k) * math.comb(j, k) * sums[j] for j in range(k, len(sums))), Fraction(0))
        for k in range(len(sums))
    ]
