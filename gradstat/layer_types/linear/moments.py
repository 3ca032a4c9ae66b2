"""Exact moments of linear maps: v = Σ a·w·u in every slot, with factors a, weights w, and inputs (or gradients) u.

They follow from counts and sums over the terms of a slot, so that a matrix of any size costs no more than a small one.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction

from gradstat.assumptions import Input, Upstream
from gradstat.layer_types.exact import inputs, upstream
from gradstat.layer_types.exact.closed_forms import ZERO, distance, mean_length, total
from gradstat.layer_types.exact.enclosure import PI, Enclosure, decimal, enclosure
from gradstat.layer_types.record import FORWARD, Exact, Row


@dataclass(frozen=True)
class Terms:
    """What one slot sums over: v = Σ a·w·u. Pairs are ordered pairs of two different terms."""

    count: int
    sums: tuple[Enclosure, Enclosure, Enclosure]  # Σa, Σa² and Σa⁴
    normalized_together: Enclosure  # Σ a²b² over the pairs whose weights are divided by the same norm
    neighbours: Callable[[int, Enclosure], Enclosure]  # (p, r) ↦ Σ aᵖbᵖ·r^distance over the pairs on one map
    neighbours_together: bool  # True if the weights of the pairs on one map are divided by the same norm
    whole: bool  # True if every norm is that of weights of this slot only


@dataclass(frozen=True)
class Weights:
    """Moments of weights w and v before their factors: E[w²], E[w⁴], and E[w²v²] for one norm and for two norms.

    The signs of weights are symmetric and independent of their sizes.
    """

    square: Enclosure
    fourth: Enclosure | None  # None: not known
    together: Enclosure
    apart: Enclosure
    normal: bool = False  # as drawn, without a norm
    directions: bool = False  # weights that share a norm are a uniformly random direction


@dataclass(frozen=True)
class Values:
    """Moments of the inputs or gradients u and t that are multiplied: E[u²], E[u⁴] and E[u²t²]."""

    second: Enclosure
    fourth: Enclosure
    pair: Enclosure
    iid_normal: bool  # independent, normal, of zero mean
    correlation: tuple[tuple[Enclosure, Enclosure], ...] | None = ()  # E[u²t²] = pair + Σ c·r^distance; None: not known


Parts = Sequence[tuple[int, Terms]]  # the slots of a row: how many sum over such terms


def gaussian(size: int | None) -> Weights:
    """Standard normal weights, divided by the norm of `size` of them: components of a random direction."""
    if size is None:
        return Weights(enclosure(1), enclosure(3), enclosure(1), enclosure(1), normal=True)
    square, pair = Fraction(1, size), Fraction(1, size * (size + 2))
    return Weights(enclosure(square), enclosure(3 * pair), enclosure(pair), enclosure(square**2), directions=True)


def uniform(size: int | None, fan_in: int) -> Weights:
    """Weights uniform on ±1/√fan_in: E[w²] = 1/(3·fan_in), E[w⁴] = 1/(5·fan_in²); or divided by the norm of `size`."""
    if size is None:
        square, fourth = Fraction(1, 3 * fan_in), Fraction(1, 5 * fan_in**2)
        return Weights(enclosure(square), enclosure(fourth), enclosure(square**2), enclosure(square**2))
    square = Fraction(1, size)
    alone = size == 1  # then the weight is ±1
    return Weights(enclosure(square), enclosure(1) if alone else None, ZERO, enclosure(square**2), directions=alone)


def orthonormal(size: int, square: Fraction) -> Weights:
    """Weights of a random orthonormal basis of `size` dimensions times a scale: E[w²] = scale²/size = `square`."""
    pair = square**2 * Fraction(size, size + 2)
    return Weights(enclosure(square), enclosure(3 * pair), enclosure(pair), enclosure(square**2), directions=True)


def values_of(row: Row, x: Input, dy: Upstream) -> Values:
    """The moments of what a row multiplies by weights: x forward, dy backward."""
    if row.direction == FORWARD:
        mean, var = inputs.mean(x), inputs.variance(x)
        second = inputs.second_moment(x)
        fourth = inputs.fourth_central(x) + 6 * mean.squared() * var + mean.squared().squared()
        standard = x.is_normal and mean.is_zero and not x.correlation
        correlation: tuple[tuple[Enclosure, Enclosure], ...] | None = ()
        if x.correlation:
            r = decimal(x.correlation)
            near = ((2 * var.squared(), r.squared()), (4 * mean.squared() * var, r))
            correlation = near if x.is_normal else None
        return Values(second, fourth, second.squared(), standard, correlation)
    c, own = decimal(dy.correlation), upstream.kurtosis(Upstream(dy.distribution))
    pair = 1 + c.squared() * (own - 1)
    return Values(enclosure(1), upstream.kurtosis(dy), pair, dy.is_normal and not dy.correlation)


def random_map(parts: Parts, weights: Weights, u: Values) -> Exact:
    """New weights in every draw: E[v] = 0, E[v²] = Σa²·E[w²]·E[u²], whatever the correlations are.

    v is normal if its weights are complete random directions, and u is independent, normal and of zero mean.
    """
    slots = sum(number for number, _ in parts)
    squares = [terms.sums[1] * weights.square * u.second for _, terms in parts]
    var = _mean(parts, squares, slots)
    if var.is_zero:
        return Exact.proven(ZERO, ZERO, ZERO, ZERO)
    fourths = [_fourth(terms, weights, u) for _, terms in parts]
    known = [fourth for fourth in fourths if fourth is not None]
    kurtosis = _mean(parts, known, slots) / var.squared() if len(known) == len(parts) else None
    if u.iid_normal and weights.directions and all(terms.whole for _, terms in parts):
        size: Enclosure | None = _mean(parts, [(square * 2 / PI).root() for square in squares], slots)
        kurtosis = 3 * _mean(parts, [square.squared() for square in squares], slots) / var.squared()
    else:
        sizes = [_mean_size(terms, weights, u) for _, terms in parts]
        found = [own for own in sizes if own is not None]
        size = _mean(parts, found, slots) if len(found) == len(parts) else None
    return Exact.proven(ZERO, var, size, size, kurtosis, ZERO)


def _fourth(terms: Terms, weights: Weights, u: Values) -> Enclosure | None:
    """E[v⁴] = Σ a⁴·E[w⁴]·E[u⁴] + 3·Σ a²b²·E[w²v²]·E[u²t²] over pairs, since signs are symmetric."""
    if weights.fourth is None or u.correlation is None:
        return None
    _, squares, fourths = terms.sums
    apart = squares.squared() - fourths - terms.normalized_together
    pairs = (weights.together * terms.normalized_together + weights.apart * apart) * u.pair
    near = weights.together if terms.neighbours_together else weights.apart
    for factor, r in u.correlation:
        pairs = pairs + near * factor * terms.neighbours(2, r)
    return weights.fourth * u.fourth * fourths + 3 * pairs


def _mean_size(terms: Terms, weights: Weights, u: Values) -> Enclosure | None:
    """E|v| of normal weights as drawn, with equal factors: v is normal for given u, so it is √(2/π)·a·E‖u‖."""
    equal = terms.count and (terms.sums[1].squared() - terms.count * terms.sums[2]).is_zero
    if not (weights.normal and u.iid_normal and equal):
        return None
    return (terms.sums[1] / terms.count * u.second * 2 / PI).root() * mean_length(terms.count)


def fixed_map(row: Row, parts: Parts, weight: Enclosure, x: Input, dy: Upstream) -> Exact | None:
    """The same weights in every draw."""
    if row.direction != FORWARD:
        return _of_upstream(parts, weight, dy)
    if x.correlation and not x.is_normal:
        return None
    mean, var, r = inputs.mean(x), inputs.variance(x), decimal(x.correlation)
    excess = inputs.fourth_central(x) - 3 * var.squared()
    means = [mean * weight * terms.sums[0] for _, terms in parts]
    variances = []
    for _, terms in parts:
        squares = terms.sums[1] + terms.neighbours(1, r) if x.correlation else terms.sums[1]
        variances.append(var * weight.squared() * squares)
    cumulants = [excess * weight.squared().squared() * terms.sums[2] for _, terms in parts]
    return pooled([number for number, _ in parts], means, variances, cumulants, x.is_normal)


def _of_upstream(parts: Parts, weight: Enclosure, dy: Upstream) -> Exact:
    """Variance (1 − c)·Σa² + c·(Σa)²; E|dx| if dy is normal, or if every slot is a multiple of one number."""
    c, excess = decimal(dy.correlation), upstream.kurtosis(Upstream(dy.distribution)) - 3
    square = weight.squared()
    variances, cumulants = [], []
    for _, terms in parts:
        plain, squares, fourths = terms.sums
        variances.append(square * ((1 - c) * squares + c * plain.squared()))
        shared = c.squared() * plain.squared().squared() + (1 - c).squared() * fourths
        cumulants.append(excess * square.squared() * shared)
    numbers = [number for number, _ in parts]
    exact = pooled(numbers, [ZERO] * len(parts), variances, cumulants, dy.is_normal)
    if dy.is_normal or (dy.correlation != 1.0 and any(terms.count > 1 for _, terms in parts)):
        return exact
    size = upstream.abs_mean(dy) * _mean(parts, [var.root() for var in variances], sum(numbers))
    return Exact.proven(ZERO, exact.enclosures["var"], size, size, exact.enclosures.get("kurtosis"), ZERO)


def pooled(
    numbers: Sequence[int],
    means: Sequence[Enclosure],
    variances: Sequence[Enclosure],
    cumulants: Sequence[Enclosure],
    normal: bool,
) -> Exact:
    """Slots of symmetric distributions in one row; `cumulants` are the fourth ones, E[(v − E[v])⁴] − 3·Var[v]²."""
    slots = sum(numbers)

    def average(values: Sequence[Enclosure]) -> Enclosure:
        return total(number * value for number, value in zip(numbers, values, strict=True)) / slots

    alike = all(mean == means[0] for mean in means)
    mean = means[0] if alike else average(means)
    apart = [ZERO if alike else own - mean for own in means]
    pairs = list(zip(variances, apart, strict=True))
    var = average([own + shift.squared() for own, shift in pairs])
    if var.is_zero:
        return Exact.proven(mean, ZERO, abs(mean), ZERO)
    third = average([shift * (3 * own + shift.squared()) for own, shift in pairs])
    fourth = average(
        [
            cumulant + 3 * own.squared() + shift.squared() * (6 * own + shift.squared())
            for (own, shift), cumulant in zip(pairs, cumulants, strict=True)
        ]
    )
    size = mad = None
    if normal:
        size = average([distance(own, var_, ZERO) for own, var_ in zip(means, variances, strict=True)])
        mad = average([distance(shift, own, ZERO) for own, shift in pairs])
    return Exact.proven(mean, var, size, mad, fourth / var.squared(), third / (var * var.root()))


def geometric(n: int, r: Enclosure) -> Enclosure:
    """Σ r^|i − j| over i, j = 1…n: n(1 + r)/(1 − r) − 2r(1 − rⁿ)/(1 − r)², for |r| < 1."""
    rest = 1 - r
    return n * (1 + r) / rest - 2 * r * (1 - power(r, n)) / rest.squared()


def power(value: Enclosure, exponent: int) -> Enclosure:
    """valueⁿ by squaring."""
    result = enclosure(1)
    for bit in f"{exponent:b}":
        result = result.squared() * value if bit == "1" else result.squared()
    return result


def _mean(parts: Parts, values: Sequence[Enclosure], slots: int) -> Enclosure:
    return total(number * value for (number, _), value in zip(parts, values, strict=True)) / slots
