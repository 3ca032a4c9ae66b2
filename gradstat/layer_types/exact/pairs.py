"""(a·(|u|ᵖ + |v|ᵖ))^(1/p) of two independent normal values, for even p: the length and the angle are independent.

y = σ·a^(1/p)·r·h with r = √(u² + v²)/σ and h = (|cos θ|ᵖ + |sin θ|ᵖ)^(1/p). With w = tan θ in (0, 1) an average over
the angle is (4/π)·∫ … dw/(1 + w²), where cos θ = (1 + w²)^−½. The integrals are proven (`acb.integral`).
"""

from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from functools import lru_cache

from flint import acb, arb, ctx

from gradstat.assumptions import Upstream
from gradstat.layer_types.exact import upstream
from gradstat.layer_types.exact.closed_forms import ZERO, central
from gradstat.layer_types.exact.enclosure import PI, Enclosure, enclosure, wanted_digits
from gradstat.layer_types.exact.precision import ball_around, evaluated, from_ball, working_precision
from gradstat.layer_types.record import Exact

GUARD = 60  # bits beyond the wanted digits
Window = tuple[int, Fraction]  # one or two inputs, and a
Integrand = Callable[[acb, acb, bool], acb]  # of w and wᵖ


def norms(windows: Mapping[Window, int], p: int, std: Enclosure) -> Exact:
    """Moments of y over windows of one or two inputs, each with the number of such windows."""
    count, bits = sum(windows.values()), _bits()
    first, second, third, fourth = (
        sum((_scale(a, p, std, k) * _raw(n, p, k, bits) * times for (n, a), times in windows.items()), ZERO) / count
        for k in range(1, 5)
    )
    distances = ((_distance(n, p, _scale(a, p, std, 1), first, bits), times) for (n, a), times in windows.items())
    mad = sum((value * times for value, times in distances), ZERO) / count
    var, skewness, kurtosis = central(first, second, third, fourth)
    return Exact.proven(first, var, first, mad, kurtosis, skewness)


def gradient_of_norms(covering: Sequence[Sequence[Window]], p: int, dy: Upstream) -> Exact | None:
    """dx = Σ dy·a^(1/p)·(|x|/|u, v|ₚ)ᵖ⁻¹ over the windows that cover each slot."""
    single = all(len(own) <= 1 for own in covering)
    if dy.correlation and not single:
        return None
    bits, one = _bits(), enclosure(1)
    windows = [window for own in covering for window in own]
    var = sum((_scale(a, p, one, 2) * _slope(n, p, 2, bits) for n, a in windows), ZERO) / len(covering)
    if not single:
        return Exact.proven(ZERO, var)
    size = sum((_scale(a, p, one, 1) * _slope(n, p, 1, bits) for n, a in windows), ZERO) / len(covering)
    spread = upstream.abs_mean(dy) * size
    return Exact.proven(ZERO, var, spread, spread)


def _bits() -> int:
    return int(3.33 * wanted_digits()) + GUARD


@lru_cache(maxsize=256)
def _scale(a: Fraction, p: int, std: Enclosure, k: int) -> Enclosure:
    """(σ·a^(1/p))ᵏ."""
    return evaluated(lambda s, v: (s * (v.log() / p).exp()) ** k, std, enclosure(a))


@lru_cache(maxsize=256)
def _raw(n: int, p: int, k: int, bits: int) -> Enclosure:
    """E[yᵏ] at σ = a = 1: E|u|ᵏ, or E[rᵏ]·E[hᵏ] with E[rᵏ] = 2^(k/2)·Γ(1 + k/2)."""
    if n == 1:
        return _abs_power(k)
    with working_precision(bits):
        half = arb(k) / 2

        def integrand(w: acb, power: acb, analytic: bool) -> acb:
            return (_log(1 + power, analytic) * k / p - _log(1 + w * w, analytic) * half).exp()

        return from_ball(arb(2) ** half * (1 + half).gamma() * _average(integrand, p))


def _abs_power(k: int) -> Enclosure:
    """E|u|ᵏ of a standard normal u, k = 1 … 4."""
    size = (2 / PI).root()
    return (size, enclosure(1), 2 * size, enclosure(3))[k - 1]


@lru_cache(maxsize=256)
def _distance(n: int, p: int, scale: Enclosure, centre: Enclosure, bits: int) -> Enclosure:
    """E|y − m| = E[y] + m − 2·E[min(y, m)]; given the angle, E[min(h·r, c)] = h·√(π/2)·erf(c/(h√2)) with c = m/s."""
    mean = _raw(n, p, 1, bits)
    with working_precision(bits):
        s, root = ball_around(scale), arb(2).sqrt()
        c = ball_around(centre) / s

        def integrand(w: acb, power: acb, analytic: bool) -> acb:
            h = (_log(1 + power, analytic) / p - _log(1 + w * w, analytic) / 2).exp()
            return h * (c / (h * root)).erf()

        if n == 1:
            lower = (2 / arb.pi()).sqrt() * (1 - (-c * c / 2).exp()) + c * (c / root).erfc()
        else:
            lower = (arb.pi() / 2).sqrt() * _average(integrand, p)
        return from_ball(s * (ball_around(mean) + c - 2 * lower))


@lru_cache(maxsize=256)
def _slope(n: int, p: int, k: int, bits: int) -> Enclosure:
    """The mean of |∂y/∂x|ᵏ over both inputs at a = 1: ½·E[(1 + w^(k(p − 1)))/(1 + wᵖ)^(k(1 − 1/p))]."""
    if n == 1:
        return enclosure(1)
    with working_precision(bits):

        def integrand(w: acb, power: acb, analytic: bool) -> acb:
            other = w ** (k * (p - 1))
            return (1 + other) * (-_log(1 + power, analytic) * k * (p - 1) / p).exp() / 2

        return from_ball(_average(integrand, p))


def _average(integrand: Integrand, p: int) -> arb:
    """(4/π)·∫ … dw/(1 + w²) over (0, 1)."""

    def whole(w: acb, analytic: bool) -> acb:
        return integrand(w, w**p, analytic) / (1 + w * w)

    tolerance = arb(2) ** (8 - ctx.prec)
    return 4 / arb.pi() * acb.integral(whole, acb(0), acb(1), abs_tol=tolerance, rel_tol=tolerance).real


def _log(value: acb, analytic: bool) -> acb:
    """ln, or no number where the branch cut is touched."""
    return value.log(analytic=analytic)
