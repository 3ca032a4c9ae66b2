"""Closed forms as enclosures: fixed linear maps of x or of dy, mixtures of normals, lengths of normal vectors."""

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from fractions import Fraction
from functools import lru_cache

import numpy as np

from gradstat.assumptions import Input, Upstream
from gradstat.layer_types.exact import inputs, upstream
from gradstat.layer_types.exact.enclosure import PI, Enclosure, decimal, enclosure
from gradstat.layer_types.record import Exact

Terms = Sequence[tuple[int, Fraction]]  # Σ √square · value in that slot: (slot, square)
Part = tuple[Enclosure, Enclosure]  # mean and variance
ZERO = enclosure(0)


def total(values: Iterable[Enclosure]) -> Enclosure:
    """Σ values; equal ones are added at once."""
    return sum((value * times for value, times in Counter(values).items()), ZERO)


def average(values: Sequence[Enclosure]) -> Enclosure:
    """Σ values / their number."""
    return total(values) / len(values)


@lru_cache(maxsize=4096)
def root(square: Fraction) -> Enclosure:
    """√square: a fraction where it is one."""
    numerator, denominator = math.isqrt(square.numerator), math.isqrt(square.denominator)
    if numerator**2 == square.numerator and denominator**2 == square.denominator:
        return enclosure(Fraction(numerator, denominator))
    return enclosure(square).root()


def normal(mean: Enclosure, var: Enclosure) -> Exact:
    """A normal variable: E|v| = σ√(2/π)·e^(−μ²/2σ²) + μ·erf(μ/(σ√2)), MAD = σ√(2/π), kurtosis 3."""
    if var.is_zero:
        return Exact.proven(mean, var, abs(mean), ZERO)
    return Exact.proven(mean, var, distance(mean, var, ZERO), (2 * var / PI).root(), enclosure(3), ZERO)


def distance(mean: Enclosure, var: Enclosure, centre: Enclosure) -> Enclosure:
    """E|v − c| of a normal variable."""
    shift = mean - centre
    if var.is_zero:
        return abs(shift)
    if shift.is_zero:
        return (2 * var / PI).root()
    from gradstat.layer_types.exact.special import normal_distance  # loads flint

    return normal_distance(shift, var)


def pooled(parts: Sequence[Part]) -> Exact:
    """Slots of these means and variances in one row: the mean of the variances plus the variance of the means."""
    mean = average([m for m, _ in parts])
    shares = Counter(parts)
    var = sum(((v + (m - mean).squared()) * times for (m, v), times in shares.items()), ZERO) / len(parts)
    return Exact.proven(mean, parts[0][1] if len(shares) == 1 else var)


def pooled_normals(parts: Sequence[Part]) -> Exact:
    """The same where every slot is normal: then E|v|, MAD and kurtosis too."""
    shares = Counter(parts)
    if len(shares) == 1:
        return normal(*parts[0])
    whole = pooled(parts).enclosures
    mean, var = whole["mean"], whole["var"]

    def mixed(values: Iterable[Enclosure]) -> Enclosure:
        return sum((value * times for value, times in zip(values, shares.values(), strict=True)), ZERO) / len(parts)

    size = mixed(distance(m, v, ZERO) for m, v in shares)
    mad = mixed(distance(m, v, mean) for m, v in shares)
    apart = [(v, (m - mean).squared()) for m, v in shares]
    fourth = mixed(3 * v.squared() + 6 * v * d + d.squared() for v, d in apart)
    return Exact.proven(mean, var, size, mad, None if var.contains_zero else fourth / var.squared())


def of_inputs(slots: Sequence[Terms], x: Input, grid: tuple[int, ...]) -> Exact | None:
    """Fixed combinations of inputs: variance σ²·Σ aᵢaⱼρ^|i − j|, the exponent summed over the dimensions of the map."""
    correlated = bool(x.correlation and grid)
    if correlated and not x.is_normal:
        return None
    mean, var = inputs.mean(x), inputs.variance(x)
    parts = []
    for terms in slots:
        squares = Counter(square for _, square in terms)
        quadratic = _quadratic(_on_map(terms, grid), x.correlation) if correlated else _sum_of_squares(squares)
        parts.append((mean * _sum_of_roots(squares), var * quadratic))
    return pooled_normals(parts) if x.is_normal else pooled(parts)


def _sum_of_squares(squares: Counter[Fraction]) -> Enclosure:
    return enclosure(sum((square * times for square, times in squares.items()), Fraction(0)))


def _sum_of_roots(squares: Counter[Fraction]) -> Enclosure:
    return sum((root(square) * times for square, times in squares.items()), ZERO)


Places = tuple[tuple[Fraction, tuple[tuple[int, ...], ...]], ...]  # square → (channel, position) of its terms


def _on_map(terms: Terms, grid: tuple[int, ...]) -> Places:
    """The positions of the terms with each coefficient, counted from the first of all."""
    if not terms:  # an output that no input reaches
        return ()
    room = math.prod(grid)
    slots = np.array([slot for slot, _ in terms], int)
    places = np.array([slots // room, *np.unravel_index(slots % room, grid)])
    places[1:] -= places[1:].min(axis=1, keepdims=True)
    found: dict[Fraction, list[tuple[int, ...]]] = {}
    for (_, square), place in zip(terms, places.T.tolist(), strict=True):
        found.setdefault(square, []).append(tuple(place))
    return tuple((square, tuple(own)) for square, own in found.items())


@lru_cache(maxsize=256)
def _quadratic(places: Places, correlation: float) -> Enclosure:
    """Σ aᵢaⱼ·corr(i, j): the pairs are counted by their distance on the map."""
    rho, result = decimal(correlation), ZERO
    for one, here in places:
        for two, there in places:
            counts = _distances(np.array(here), np.array(there))
            powers, sum_ = enclosure(1), ZERO
            for count in counts:
                sum_, powers = sum_ + powers * int(count), powers * rho
            result = result + root(one * two) * sum_
    return result


def _distances(here: np.ndarray, there: np.ndarray) -> np.ndarray:
    """The number of pairs of the same channel at each distance."""
    counts = np.zeros(1, int)
    for place in here:
        alike = there[there[:, 0] == place[0], 1:]
        own = np.bincount(np.abs(alike - place[1:]).sum(axis=1))
        size = max(len(own), len(counts))
        counts = np.pad(counts, (0, size - len(counts))) + np.pad(own, (0, size - len(own)))
    return counts


def of_upstream(slots: Sequence[Terms], dy: Upstream) -> Exact:
    """Fixed combinations of dy: variance (1 − c)·Σa² + c·(Σa)²; E|dx| where dy is normal or one dy is all there is."""
    c = decimal(dy.correlation)
    squares = [Counter(square for _, square in terms) for terms in slots]
    parts = [(ZERO, (1 - c) * _sum_of_squares(own) + c * _sum_of_roots(own).squared()) for own in squares]
    if dy.is_normal:
        return pooled_normals(parts)
    whole = pooled(parts).enclosures
    if dy.correlation != 1.0 and any(len(terms) > 1 for terms in slots):
        return Exact.proven(whole["mean"], whole["var"])
    size = upstream.abs_mean(dy) * average([var.root() for _, var in parts])
    return Exact.proven(whole["mean"], whole["var"], size, size)


def of_weights(weights: Sequence[Enclosure], x: Input) -> Exact | None:
    """Σ wᵢxᵢ of inputs that are all correlated equally: mean μΣw, variance σ²(Σw² + ρ((Σw)² − Σw²))."""
    if x.correlation and not x.is_normal:
        return None
    squares, sum_ = total(weight.squared() for weight in weights), total(weights)
    rho = decimal(x.correlation)
    mean = inputs.mean(x) * sum_
    var = inputs.variance(x) * ((1 - rho) * squares + rho * sum_.squared())
    return normal(mean, var) if x.is_normal else Exact.proven(mean, var)


def abs_sum_of_upstream(k: int, dy: Upstream) -> Enclosure | None:
    """E|sum of k values of dy|; None for several Laplace values that are neither independent nor shared.

    Independent Laplace values of scale b: 2kb·C(2k, k)/4ᵏ.
    """
    if k <= 1 or dy.is_normal or dy.correlation == 1.0:
        return (k + decimal(dy.correlation) * (k * (k - 1))).root() * upstream.abs_mean(dy)
    return None if dy.correlation else root(Fraction(1, 2)) * Fraction(2 * k * math.comb(2 * k, k), 4**k)


def mean_length(n: int) -> Enclosure:
    """E‖v‖ of n independent standard normals: √2·Γ((n + 1)/2)/Γ(n/2)."""
    from gradstat.layer_types.exact.special import chi_mean  # loads flint

    return chi_mean(n)


def abs_component(n: int) -> Enclosure:
    """E|u₁| of a random unit vector of n components: Γ(n/2)/(√π·Γ((n + 1)/2))."""
    return (2 / PI).root() / mean_length(n)


def lengths(parts: Sequence[tuple[int, Enclosure]]) -> Exact:
    """Slots y = scale·‖v‖, v of n independent standard normals, in one row: (n, scale) each."""
    from gradstat.layer_types.exact.special import chi_distance  # loads flint

    shares = Counter(parts)

    def mixed(values: Iterable[Enclosure]) -> Enclosure:
        return sum((value * times for value, times in zip(values, shares.values(), strict=True)), ZERO) / len(parts)

    mean = mixed(scale * mean_length(n) for n, scale in shares)
    second = mixed(scale.squared() * n for n, scale in shares)
    third = mixed(scale.squared() * scale * mean_length(n) * (n + 1) for n, scale in shares)
    fourth = mixed(scale.squared().squared() * (n * (n + 2)) for n, scale in shares)
    mad = mixed(chi_distance(n, scale, mean) for n, scale in shares)
    var, skewness, kurtosis = central(mean, second, third, fourth)
    return Exact.proven(mean, var, mean, mad, kurtosis, skewness)


def central(
    first: Enclosure, second: Enclosure, third: Enclosure, fourth: Enclosure
) -> tuple[Enclosure, Enclosure | None, Enclosure | None]:
    """Variance, skewness and kurtosis from E[v], E[v²], E[v³] and E[v⁴]; no shape where the variance may be 0."""
    square = first.squared()
    low, high = (second - square).bounds
    var = Enclosure(max(low, Fraction(0)), max(high, Fraction(0)))
    if var.contains_zero:
        return var, None, None
    skewness = (third - 3 * first * second + 2 * first * square) / (var * var.root())
    kurtosis = (fourth - 4 * first * third + 6 * square * second - 3 * square.squared()) / var.squared()
    return var, skewness, kurtosis
