"""Moments of normalized vectors, as enclosures: y = x/r and dx = J·dy, r² = S/n + ε with S = Σx², x centred or not.

Normal x: S = σ²Q, Q of a χ² distribution with k degrees of freedom (n, or n − 1 of centred x), independent of the
direction u of x, which is uniform on the unit sphere of k dimensions. With a = nε/σ² and P the projector on these
dimensions, y = √(nQ/(Q + a))·u and J = (P − Q/(Q + a)·uuᵀ)/r, so that JJᵀ = (P − (1 − (a/(Q + a))²)·uuᵀ)/r². Moments
of one component w of a uniform unit vector: E[w²] = 1/k, E[w⁴] = 3/(k(k + 2)).
"""

from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache

from flint import arb, fmpq

from gradstat.layer_types.exact.enclosure import Enclosure, wanted_digits
from gradstat.layer_types.exact.transforms import inverse_power, proven, step_for

Found = tuple[Enclosure | None, ...]


@dataclass(frozen=True)
class Squares:
    """Q + a, with Q of a χ² distribution with k degrees of freedom and a non-centrality."""

    k: int
    a: Fraction
    noncentrality: Fraction = Fraction(0)

    def inverse(self, more: int, m: Fraction, bits: int) -> arb:
        """E[(Q′ + a)⁻ᵐ], where Q′ has `more` further degrees of freedom.

        E[e^(−tQ)] = (1 + 2t)^(−k/2)·e^(−λt/(1 + 2t)), λ the non-centrality. For λ = 0, E[Qᵖ·f(Q)] is
        2ᵖ·Γ(k/2 + p)/Γ(k/2)·E[f(Q′)], where Q′ has 2p further degrees of freedom.
        """
        half, power = arb(fmpq(self.k + more, 2)), arb(_fmpq(m))
        if self.a == 0 and self.noncentrality == 0:
            return (half - power).gamma() / half.gamma() / arb(2) ** power
        a, λ = arb(_fmpq(self.a)), arb(_fmpq(self.noncentrality))
        ratio = arb(step_for(bits)).exp()

        def transform(t: arb) -> arb:
            wide = 1 + 2 * t
            return (-half * wide.log() - a * t - λ * t / wide).exp()

        def tail(t: arb, term: arb) -> arb | None:
            """The ratio of a term and the one before falls with t, but for the factor of λ, which is at most 1."""
            rest = ratio**power * ((1 + 2 * t) / (1 + 2 * t * ratio)) ** half * (-a * t * (ratio - 1)).exp()
            return term * rest / (1 - rest) if rest < 1 else None

        return inverse_power(_fmpq(m), transform, arb(1), tail, 2 * half + a + λ, bits)


def _fmpq(value: Fraction) -> fmpq:
    return fmpq(value.numerator, value.denominator)


HALF = Fraction(1, 2)
ONE, TWO, THREE, FOUR, SIX = (Fraction(m) for m in (1, 2, 3, 4, 6))


def outputs(k: int, a: Fraction) -> Found:
    """Variance, E|y| and kurtosis of y: E[Q/(Q + a)], √k·E[√(Q/(Q + a))]·E|w|; 1, … and 3k/(k + 2) where a = 0."""
    return _outputs(k, a, wanted_digits())


@lru_cache(maxsize=256)
def _outputs(k: int, a: Fraction, digits: int) -> Found:
    squares = Squares(k, a)

    def compute(bits: int) -> list[arb]:
        square = arb(1) if a == 0 else k * squares.inverse(2, ONE, bits)
        size = (2 * k / arb.pi()).sqrt() * squares.inverse(1, HALF, bits)
        return [square, size, 3 * arb(k) ** 2 * squares.inverse(4, TWO, bits) / square**2]

    return tuple(proven(compute))


def gradients(k: int, a: Fraction) -> Found:
    """For independent normal dy and σ = 1: var, kurtosis and E|dx| of dx; None for E|dx| where a > 0.

    var[dx] = E[(k − 1 + (a/(Q + a))²)/(Q + a)]; given x, dx is normal of variance k·(1 − t·w²)/(Q + a) with
    t = 1 − (a/(Q + a))². Without ε the kurtosis is finite only for k > 4, since E[Q⁻²] = 1/((k − 2)(k − 4)).
    """
    return _gradients(k, a, wanted_digits())


@lru_cache(maxsize=256)
def _gradients(k: int, a: Fraction, digits: int) -> Found:
    squares = Squares(k, a)

    def compute(bits: int) -> list[arb]:
        shift = arb(_fmpq(a))
        var = (k - 1) * squares.inverse(0, ONE, bits)
        if a:
            var += shift**2 * squares.inverse(0, THREE, bits)
        numbers = [var]
        if a or k > 4:
            norm = arb(k) * (k + 2)
            fourth = (norm - 2 * (k + 2) + 3) * squares.inverse(0, TWO, bits)
            if a:
                fourth += 2 * (k - 1) * shift**2 * squares.inverse(0, FOUR, bits)
                fourth += 3 * shift**4 * squares.inverse(0, SIX, bits)
            numbers.append(3 * k**2 * fourth / norm / var**2)
        if not a:
            half = arb(k) / 2
            numbers.append((k / arb.pi()).sqrt() * half.gamma() / (half + arb(1) / 2).gamma())
        return numbers

    found = proven(compute)
    infinite = tail_of(k, a)
    if infinite is not None:
        return found[0], infinite, found[1]
    return found[0], found[1], None if a else found[2]


def tail_of(k: int, a: Fraction) -> Enclosure | None:
    """The kurtosis of dx where it is infinite: E[1/r⁴] for any density of x that is positive where r = 0, k ≤ 4."""
    return Enclosure.infinite(1, "E[1/r⁴] diverges at r = 0") if not a and k <= 4 else None


def shifted_outputs(n: int, a: Fraction, noncentrality: Fraction) -> Found:
    """Mean and variance of y for x of a mean μ > 0: E[X·f(Q)] = √λ·E[f(Q′)], X the part of x/σ along the mean."""
    return _shifted_outputs(n, a, noncentrality, wanted_digits())


@lru_cache(maxsize=256)
def _shifted_outputs(n: int, a: Fraction, noncentrality: Fraction, digits: int) -> Found:
    squares = Squares(n, a, noncentrality)

    def compute(bits: int) -> list[arb]:
        λ = arb(_fmpq(noncentrality))
        mean = λ.sqrt() * squares.inverse(2, HALF, bits)
        square = arb(1)
        if a:
            square = n * squares.inverse(2, ONE, bits) + λ * squares.inverse(4, ONE, bits)
        return [mean, square - mean * mean]

    return tuple(proven(compute))


def shifted_gradients(n: int, a: Fraction, noncentrality: Fraction, correlation: Fraction) -> Enclosure | None:
    """var[dx] for x of a mean and σ = 1; correlated dy add c·E[|J·1|²]/n, with E[X²·f(Q)] = E[f(Q′)] + λ·E[f(Q″)]."""
    return _shifted_gradients(n, a, noncentrality, correlation, wanted_digits())


@lru_cache(maxsize=256)
def _shifted_gradients(
    n: int, a: Fraction, noncentrality: Fraction, correlation: Fraction, digits: int
) -> Enclosure | None:
    squares = Squares(n, a, noncentrality)

    def compute(bits: int) -> list[arb]:
        shift, λ, c = (arb(_fmpq(value)) for value in (a, noncentrality, correlation))

        def along(m: Fraction) -> arb:
            return squares.inverse(2, m, bits) + λ * squares.inverse(4, m, bits)

        first = squares.inverse(0, ONE, bits)
        own = (n - 1) * first
        if a:
            own += shift**2 * squares.inverse(0, THREE, bits)
        if not correlation:
            return [own]
        shared = first - along(TWO)
        if a:
            shared -= shift * along(THREE)
        return [(1 - c) * own + c * n * shared]

    return proven(compute)[0]
