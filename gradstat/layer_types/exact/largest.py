"""The largest of n values of zero mean and unit variance: E[M] … E[M⁴], and E[(c − M)⁺], as enclosures.

Uniform, logistic and Laplace values have closed forms. For normal ones the moments are integrals over the real line,
by the trapezoidal rule with the proven error of analytic functions (Trefethen & Weideman, SIAM Review 56, 2014, theorem
5.1), and E[(c − M)⁺] = ∫ Φⁿ up to c is an integral by adaptive Gauss–Legendre panels (`acb.integral`).
"""

import math
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import lru_cache
from statistics import NormalDist

from flint import acb, arb

from gradstat.layer_types.exact.enclosure import BITS, Enclosure, enclosure, wanted_digits
from gradstat.layer_types.exact.inputs import KURTOSIS
from gradstat.layer_types.exact.precision import ball_around, from_ball, not_negative, within, working_precision

GUARD = 60  # bits beyond the wanted digits: what central moments of thousands of values lose
CLOSED = BITS + 40  # bits for closed forms, which cost little
ALONE = Fraction(0)  # the correlation of independent values
Moments = tuple[Enclosure, Enclosure, Enclosure, Enclosure]


@dataclass(frozen=True)
class Largest:
    """The largest of n values, all with the same correlation; `bits`: of the integrals."""

    distribution: str
    n: int
    correlation: Fraction
    bits: int
    moments: Moments

    def distance(self, centre: Enclosure) -> Enclosure | None:
        """E|M − c| = E[M] − c + 2·E[(c − M)⁺], at the middle of c and with its radius; None if it is not known."""
        middle = enclosure(centre.middle)
        lower = _lower_part(self, middle)
        if lower is None:
            return None
        return not_negative(within(self.moments[0] - middle + 2 * lower, centre.radius))


def largest(distribution: str, n: int, correlation: Fraction = ALONE) -> Largest:
    """The largest of n values, of which each pair has this correlation; to the wanted digits."""
    return _largest(distribution, n, correlation, int(3.33 * wanted_digits()) + GUARD)


@lru_cache(maxsize=512)
def _largest(distribution: str, n: int, correlation: Fraction, bits: int) -> Largest:
    if correlation:
        alone = _largest(distribution, n, ALONE, bits)
        return replace(alone, correlation=correlation, moments=_correlated(alone.moments, enclosure(correlation)))
    if n == 1:
        zero, one = enclosure(0), enclosure(1)
        return Largest(distribution, n, correlation, bits, (zero, one, zero, enclosure(KURTOSIS[distribution])))
    with working_precision(CLOSED if distribution in LOWER else bits + 40):
        first, second, third, fourth = MOMENTS[distribution](n, bits)
        moments = (from_ball(first), from_ball(second), from_ball(third), from_ball(fourth))
    return Largest(distribution, n, correlation, bits, moments)


def _correlated(alone: Moments, rho: Enclosure) -> Moments:
    """Normal values: M + √(−ρ)·s for ρ < 0, s normal, is √(1 − ρ) times the largest of independent ones.

    For ρ > 0 it is M that is √ρ·s + √(1 − ρ)·…: the same polynomials in ρ.
    """
    one, two, three, four = alone
    square = 1 - rho
    scale = square.root()
    return (
        scale * one,
        square * two + rho,
        scale * (square * three + 3 * rho * one),
        square.squared() * four + 6 * rho * square * two + 3 * rho.squared(),
    )


def _uniform(n: int, bits: int) -> list[arb]:
    """M = √3(2B − 1), B ~ Beta(n, 1), E[Bᵏ] = n/(n + k)."""
    raw = [arb(n) / (n + k) for k in range(5)]
    return [
        arb(3).sqrt() ** k * sum((math.comb(k, i) * (-1) ** (k - i) * 2**i * raw[i] for i in range(k + 1)), arb(0))
        for k in range(1, 5)
    ]


def _logistic(n: int, bits: int) -> list[arb]:
    """The cumulants of M/s, s = √3/π, are ψ(n) − ψ(1) and (k − 1)!·(ζ(k) + (−1)ᵏζ(k, n))."""
    scale = arb(3).sqrt() / arb.pi()
    one = scale * (arb(n).digamma() - arb(1).digamma())
    two, three, four = (
        scale**k * math.factorial(k - 1) * (arb(k).zeta() + (-1) ** k * arb(k).zeta(n)) for k in (2, 3, 4)
    )
    return _from_cumulants(one, two, three, four)


def _from_cumulants(one: arb, two: arb, three: arb, four: arb) -> list[arb]:
    return [
        one,
        two + one**2,
        three + 3 * two * one + one**3,
        four + 4 * three * one + 3 * two**2 + 6 * two * one**2 + one**4,
    ]


def _laplace(n: int, bits: int) -> list[arb]:
    """∫ tᵏ d(1 − e⁻ᵗ/2)ⁿ over t > 0 is k·Σ of the integrals of order k − 1 for 1 … n, each over its number.

    Below 0, where all values are, it is (−1)ᵏ·k!·2⁻ⁿ/nᵏ. Lengths are in units of √½.
    """
    order = [1 - arb(2) ** -m for m in range(n + 1)]
    upper = []
    for k in range(1, 5):
        running, sums = arb(0), [arb(0)]
        for m in range(1, n + 1):
            running += order[m] / m
            sums.append(k * running)
        order = sums
        upper.append(order[n])
    lower = [(-1) ** k * math.factorial(k) * arb(2) ** -n / arb(n) ** k for k in range(1, 5)]
    return [(a + b) * arb(0.5).sqrt() ** k for k, a, b in zip(range(1, 5), upper, lower, strict=True)]


def _normal(n: int, bits: int) -> list[arb]:
    """h·Σ zᵏ·nφ(z)Φ(z)ⁿ⁻¹ over z = jh.

    |φΦⁿ⁻¹| at x + iy is at most e^(ny²/2) times its value at x, so the rule with step h is off by at most
    2e^(na²/2)·E|M + ia|ᵏ/(e^(2πa/h) − 1) for every a; a = 2π/(hn). What is left out on the right is at most
    n·∫ z⁴φ, and on the left 7nΦ(z)ⁿ⁻¹, where 7 bounds every h·Σ |z|ᵏφ(z).
    """
    nats = bits * math.log(2.0) + math.log(7.0 * n)
    step = arb(min(1.0, math.sqrt(2.0 * math.pi**2 / (n * (nats + 25.0)))))
    first, last = math.floor(_least(n, nats) / float(step)), math.ceil(math.sqrt(2.0 * nats + 40.0) / float(step))
    scale = step * n / (2 * arb.pi()).sqrt()
    root, sums = arb(2).sqrt(), [arb(0)] * 4
    for j in range(first, last + 1):
        z = j * step
        value = scale * (-z * z / 2).exp() * ((-z / root).erfc() / 2) ** (n - 1)
        for k in range(4):
            value = value * z
            sums[k] += value
    a = 2 * arb.pi() / (step * n)
    size = 1 + 2 * (3 * n + a**4)  # of E|M + ia|ᵏ, k ≤ 4
    error = 2 * size * (n * a * a / 2).exp() / ((2 * arb.pi() * a / step).exp() - 1)
    end, start = last * step, first * step
    right = n * 2 * (end * end / 2).gamma_upper(arb(5) / 2) / arb.pi().sqrt()
    left = 7 * n * ((-start / root).erfc() / 2) ** (n - 1)
    error = (error + right + left).upper()
    return [value + arb(0, error) for value in sums]


def _least(n: int, nats: float) -> float:
    """z with Φ(z)ⁿ⁻¹ ≤ e^−nats, or with φ(z) so small; a guess, whose error is bounded afterwards."""
    rate = nats / (n - 1) if n > 1 else nats
    return NormalDist().inv_cdf(math.exp(-rate)) - 0.01 if rate < 30.0 else -math.sqrt(2.0 * rate + 40.0 / n)


MOMENTS = {"normal": _normal, "laplace": _laplace, "logistic": _logistic, "uniform": _uniform}


@lru_cache(maxsize=512)
def _lower_part(law: Largest, centre: Enclosure) -> Enclosure | None:
    """E[(c − M)⁺] at a point."""
    if law.correlation and law.n > 2:
        return None
    closed = LOWER.get(law.distribution)
    with working_precision(law.bits + 40 if closed is None else CLOSED):
        c = ball_around(centre)
        return not_negative(from_ball(_lower_normal(law, c) if closed is None else closed(law.n, c)))


def _lower_uniform(n: int, c: arb) -> arb:
    """(2√3/(n + 1))·Fⁿ⁺¹ inside."""
    edge = arb(3).sqrt()
    f = ((c + edge) / (2 * edge)).max(arb(0)).min(arb(1))
    return 2 * edge * f ** (n + 1) / (n + 1) + (c - edge).max(arb(0))


def _lower_logistic(n: int, c: arb) -> arb:
    """∫ Fⁿ dz = s·∫ fⁿ⁻¹/(1 − f) df = s·(−ln(1 − F) − Σ Fʲ/j, j < n)."""
    scale = arb(3).sqrt() / arb.pi()
    f = 1 / (1 + (-c / scale).exp())
    minus_log = (1 + (c / scale).exp()).log() if c < 0 else c / scale + (1 + (-c / scale).exp()).log()
    return scale * (minus_log - sum((f**j / j for j in range(1, n)), arb(0)))


def _lower_laplace(n: int, c: arb) -> arb:
    """Fⁿ/n below 0; above, c less ∫ (1 − Fⁿ) = Σ (Fʲ − 2⁻ʲ)/j; in units of √½."""
    root = arb(2).sqrt()
    if c <= 0:
        return ((root * c).exp() / 2) ** n / n / root
    f = 1 - (-root * c).exp() / 2
    return c + (arb(2) ** -n / n - sum(((f**j - arb(2) ** -j) / j for j in range(1, n + 1)), arb(0))) / root


LOWER = {"laplace": _lower_laplace, "logistic": _lower_logistic, "uniform": _lower_uniform}


def _lower_normal(law: Largest, c: arb) -> arb:
    """∫ Φ(v)ⁿ dv up to c; for two correlated values ∫ (c − v)·2φ(v)Φ(αv) dv, α = √((1 − ρ)/(1 + ρ)).

    Below `start` the first is at most Φⁿ⁻¹φ there, the second 2(|c|Φ + φ). Above `end` it is c − E[M] + at most nφ(c).
    """
    root, n = arb(2).sqrt(), law.n
    nats = law.bits * math.log(2.0)
    end, start = math.sqrt(2.0 * nats + 40.0), _least(1 if law.correlation else n + 1, nats)
    density = (-c * c / 2).exp() / (2 * arb.pi()).sqrt()
    if c > end:
        return c - ball_around(law.moments[0]) + (n * density).union(arb(0))
    start_ = arb(start) if c > start else c
    below, at = (-start_ / root).erfc() / 2, (-start_ * start_ / 2).exp() / (2 * arb.pi()).sqrt()
    if not law.correlation:
        rest = below ** (n - 1) * at

        def integrand(v: acb, analytic: bool) -> acb:
            return ((-v / root).erfc() / 2) ** n
    else:
        rest = 2 * (abs(c) * below + at)
        rho = ball_around(enclosure(law.correlation))
        slope, scale = ((1 - rho) / (1 + rho)).sqrt() / root, 1 / (2 * arb.pi()).sqrt()

        def integrand(v: acb, analytic: bool) -> acb:
            return (c - v) * scale * (-v * v / 2).exp() * (-v * slope).erfc()

    inside = acb.integral(integrand, acb(start_), acb(c), abs_tol=arb(2) ** -law.bits).real if c > start else arb(0)
    return inside + rest.union(arb(0))
