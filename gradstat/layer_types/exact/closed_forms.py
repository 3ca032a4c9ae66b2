"""Closed forms: fixed linear maps of x or of dy, mixtures of normals, lengths of normal vectors."""

import math
from collections.abc import Sequence

import numpy as np

from gradstat.assumptions import Input, Upstream
from gradstat.layer_types.exact.distributions import Array, abs_mean_of_upstream
from gradstat.layer_types.exact.quadrature import integrate
from gradstat.layer_types.record import Exact

Terms = Sequence[tuple[int, float]]  # Σ coefficient · value in that slot
Part = tuple[float, float]  # mean and variance


def normal(mean: float, var: float) -> Exact:
    """A normal variable: E|v| = σ√(2/π)·e^(−μ²/2σ²) + μ·erf(μ/(σ√2)), MAD = σ√(2/π), kurtosis 3."""
    mad = math.sqrt(var * 2.0 / math.pi)
    kurtosis, skewness = (3.0, 0.0) if var > 0.0 else (None, None)
    return Exact(mean, var, distance(mean, var, 0.0), mad, kurtosis, skewness)


def distance(mean: float, var: float, centre: float) -> float:
    """E|v − c| of a normal variable."""
    std, shift = math.sqrt(var), mean - centre
    if std == 0.0:
        return abs(shift)
    z = shift / std
    return std * math.sqrt(2.0 / math.pi) * math.exp(-0.5 * z * z) + shift * math.erf(z / math.sqrt(2.0))


def pooled(parts: Sequence[Part]) -> Exact:
    """Slots of these means and variances in one row: the mean of the variances plus the variance of the means."""
    mean = math.fsum(m for m, _ in parts) / len(parts)
    return Exact(mean, math.fsum(v + (m - mean) ** 2 for m, v in parts) / len(parts))


def pooled_normals(parts: Sequence[Part]) -> Exact:
    """The same where every slot is normal: then E|v|, MAD and kurtosis too."""
    n, whole = len(parts), pooled(parts)
    size = math.fsum(distance(m, v, 0.0) for m, v in parts) / n
    mad = math.fsum(distance(m, v, whole.mean) for m, v in parts) / n
    fourth = math.fsum(3.0 * v * v + 6.0 * v * (m - whole.mean) ** 2 + (m - whole.mean) ** 4 for m, v in parts) / n
    return Exact(whole.mean, whole.var, size, mad, fourth / whole.var**2 if whole.var > 0.0 else None)


def of_inputs(slots: Sequence[Terms], x: Input, grid: tuple[int, ...]) -> Exact | None:
    """Fixed combinations of inputs: variance σ²·Σ aᵢaⱼρ^|i − j|, the exponent summed over the dimensions of the map."""
    if x.correlation and not x.is_normal:
        return None
    parts = [(x.mean * math.fsum(a for _, a in terms), x.std**2 * _quadratic(terms, x, grid)) for terms in slots]
    return pooled_normals(parts) if x.is_normal else pooled(parts)


def _quadratic(terms: Terms, x: Input, grid: tuple[int, ...]) -> float:
    """Σ aᵢaⱼ·corr(i, j)."""
    if not x.correlation or not grid:
        return math.fsum(a * a for _, a in terms)
    slots, weights = np.array([slot for slot, _ in terms], int), np.array([a for _, a in terms])
    places = np.array(np.unravel_index(slots % math.prod(grid), grid))
    channels = slots // math.prod(grid)
    total = []
    for at, weight in enumerate(weights):
        apart = np.abs(places - places[:, at : at + 1]).sum(axis=0)
        total.append(weight * float(np.sum(np.where(channels == channels[at], weights * x.correlation**apart, 0.0))))
    return math.fsum(total)


def of_upstream(slots: Sequence[Terms], dy: Upstream) -> Exact:
    """Fixed combinations of dy: variance (1 − c)·Σa² + c·(Σa)²; E|dx| where dy is normal or one dy is all there is."""
    c = dy.correlation
    squares = [math.fsum(a * a for _, a in terms) for terms in slots]
    sums = [math.fsum(a for _, a in terms) for terms in slots]
    parts = [(0.0, (1.0 - c) * square + c * total**2) for square, total in zip(squares, sums, strict=True)]
    if dy.is_normal:
        return pooled_normals(parts)
    whole = pooled(parts)
    if c != 1.0 and any(len(terms) > 1 for terms in slots):
        return whole
    size = abs_mean_of_upstream(dy) * math.fsum(math.sqrt(var) for _, var in parts) / len(parts)
    return Exact(whole.mean, whole.var, size, size)


def abs_sum_of_upstream(k: int, dy: Upstream) -> float | None:
    """E|sum of k values of dy|; None for several Laplace values that are neither independent nor shared.

    Independent Laplace values of scale b: 2kb·C(2k, k)/4ᵏ.
    """
    if k <= 1 or dy.is_normal or dy.correlation == 1.0:
        return math.sqrt(k + dy.correlation * k * (k - 1)) * abs_mean_of_upstream(dy)
    return None if dy.correlation else math.sqrt(0.5) * 2 * k * math.comb(2 * k, k) / 4**k


def mean_length(n: int) -> float:
    """E‖v‖ of n independent standard normals: √2·Γ((n + 1)/2)/Γ(n/2)."""
    return math.sqrt(2.0) * math.exp(math.lgamma(0.5 * (n + 1)) - math.lgamma(0.5 * n))


def abs_component(n: int) -> float:
    """E|u₁| of a random unit vector of n components: Γ(n/2)/(√π·Γ((n + 1)/2))."""
    return math.exp(math.lgamma(0.5 * n) - math.lgamma(0.5 * (n + 1))) / math.sqrt(math.pi)


def lengths(parts: Sequence[tuple[int, float]]) -> Exact | None:
    """Slots y = scale·‖v‖, v of n independent standard normals, in one row: (n, scale) each; MAD by quadrature."""
    count = len(parts)
    mean = math.fsum(scale * mean_length(n) for n, scale in parts) / count
    var = math.fsum(scale**2 * n for n, scale in parts) / count - mean**2
    spreads = {part: _length_from(mean, *part) for part in set(parts)}
    if None in spreads.values():
        return None
    return Exact(mean, var, mean, math.fsum(spreads[part] or 0.0 for part in parts) / count)


def _length_from(centre: float, n: int, scale: float) -> float | None:
    """E|scale·‖v‖ − c| = ∫ |scale·r − c| · 2^(1 − n/2)/Γ(n/2) · r^(n − 1)·e^(−r²/2) dr."""
    log_factor = (1.0 - 0.5 * n) * math.log(2.0) - math.lgamma(0.5 * n)

    def integrand(r: Array) -> Array:
        return np.abs(scale * r - centre) * np.exp(log_factor + (n - 1) * np.log(r) - 0.5 * r * r)

    middle = math.sqrt(n)
    return integrate(integrand, np.unique([*np.linspace(max(middle - 12.0, 0.0), middle + 12.0, 49), centre / scale]))


def second_moment(x: Input) -> float:
    """E[x²] = μ² + σ²."""
    return x.mean**2 + x.std**2
