"""Closed forms that need special functions, by ball arithmetic: error function, gamma functions, polylogarithms."""

import math
from collections.abc import Callable
from functools import lru_cache

from flint import arb

from gradstat.layer_types.exact.enclosure import Enclosure, enclosure
from gradstat.layer_types.exact.precision import evaluated, not_negative

Integrals = tuple[arb, arb, arb, arb, arb]  # of p, z·p, …, z⁴·p from −∞ to a point


def normal_distance(shift: Enclosure, var: Enclosure) -> Enclosure:
    """E|v − c| of a normal v with μ − c = d: σ√(2/π)·e^(−d²/2σ²) + d·erf(d/(σ√2))."""

    def value(d: arb, v: arb) -> arb:
        z = d / (2 * v).sqrt()
        return (2 * v / arb.pi()).sqrt() * (-z * z).exp() + d * z.erf()

    return evaluated(value, shift, var)


@lru_cache(maxsize=512)
def chi_mean(n: int) -> Enclosure:
    """E‖v‖ of n independent standard normals: √2·Γ((n + 1)/2)/Γ(n/2)."""
    return evaluated(lambda m: arb(2).sqrt() * ((m + 1) / 2).gamma() * (m / 2).rgamma(), enclosure(n))


def chi_distance(n: int, scale: Enclosure, centre: Enclosure) -> Enclosure:
    """E|s·‖v‖ − c| = s·E‖v‖·(1 − 2P((n + 1)/2, t)) − c·(1 − 2P(n/2, t)) with t = c²/(2s²), P the incomplete gamma."""

    def value(s: arb, c: arb, length: arb) -> arb:
        t = (c / s) ** 2 / 2
        upper, lower = (t.gamma_lower(arb(m) / 2, regularized=1) for m in (n + 1, n))
        return s * length * (1 - 2 * upper) - c * (1 - 2 * lower)

    return evaluated(value, scale, centre, chi_mean(n))


def distance_from(distribution: str, shift: Enclosure, std: Enclosure) -> Enclosure:
    """E|x − c| with c − μ = d: σ·(2(zF − ∫zp) − z) with z = d/σ."""

    def value(d: arb, s: arb) -> arb:
        z = d / s
        lower = below(distribution, z)
        return s * (2 * (z * lower[0] - lower[1]) - z)

    return not_negative(evaluated(value, shift, std))


def below(distribution: str, c: arb) -> Integrals:
    """∫ zᵏ·p(z) dz from −∞ to c, k = 0 … 4, for a distribution of zero mean and unit variance; c is a point."""
    return BELOW[distribution](c)


def _below_uniform(c: arb) -> Integrals:
    """Powers at c, inside ±√3."""
    edge = arb(3).sqrt()
    end = c.max(-edge).min(edge)
    return _five(lambda k: (end ** (k + 1) - (-edge) ** (k + 1)) / (2 * (k + 1) * edge))


def _below_laplace(c: arb) -> Integrals:
    """p integrated j + 1 times is e^(√2·c)/(2·√2ʲ) below 0."""
    rate, half = arb(2).sqrt(), arb(1) / 2
    return _by_parts(c, rate, lambda e, j: half * e, arb(6))


def _below_logistic(c: arb) -> Integrals:
    """p integrated j + 1 times is −Liⱼ(−e^(kc))/kʲ with k = π/√3."""
    return _by_parts(c, arb.pi() / arb(3).sqrt(), lambda e, j: -(-e).polylog(j), arb(21) / 5)


def _by_parts(c: arb, rate: arb, again: Callable[[arb, int], arb], fourth: arb) -> Integrals:
    """Below 0 by parts, k times; above 0 by symmetry, from the moments of z."""
    low = -abs(c)
    e = (rate * low).exp()
    integrals = [again(e, j) / rate**j for j in range(5)]

    def moment(k: int) -> arb:
        return sum(((-1) ** j * math.perm(k, j) * low ** (k - j) * integrals[j] for j in range(k + 1)), arb(0))

    lower = _five(moment)
    if not c > 0:
        return lower
    whole = (arb(1), arb(0), arb(1), arb(0), fourth)
    return _five(lambda k: whole[k] - (-1) ** k * lower[k])


def _below_normal(c: arb) -> Integrals:
    """Φ, −φ, and (k − 1)·(the integral of order k − 2) − cᵏ⁻¹φ."""
    first = (-c / arb(2).sqrt()).erfc() / 2
    density = (-c * c / 2).exp() / (2 * arb.pi()).sqrt()
    second = first - c * density
    return first, -density, second, -2 * density - c**2 * density, 3 * second - c**3 * density


def _five(value: Callable[[int], arb]) -> Integrals:
    return value(0), value(1), value(2), value(3), value(4)


BELOW = {"normal": _below_normal, "laplace": _below_laplace, "uniform": _below_uniform, "logistic": _below_logistic}
