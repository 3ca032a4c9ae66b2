"""Student's t-distribution, for differences whose standard errors come from few numbers.

Plain Python, so that reading a result does not import numba.
"""

import math
from statistics import NormalDist

ENOUGH = 2e4  # degrees of freedom from which t differs from the normal score by less than 0.003, at 6 standard errors
TERMS = 400
TINY = 1e-300


def normal_score(ratio: float, degrees: float) -> float:
    """The standard normal quantile with the same tail probability as a t-distributed ratio."""
    if degrees >= ENOUGH or not math.isfinite(ratio):
        return ratio
    tail = upper_tail(abs(ratio), degrees)
    return math.copysign(-NormalDist().inv_cdf(tail), ratio) if tail > TINY else math.copysign(math.inf, ratio)


def quantile(probability: float, degrees: float) -> float:
    """The t that a t-distributed ratio stays below with this probability, ½ to 1."""
    return exceeded(1.0 - probability, degrees)


def exceeded(tail: float, degrees: float) -> float:
    """The t that a t-distributed ratio exceeds with this probability, at most ½; bisected over ln t."""
    if degrees >= ENOUGH:
        return -NormalDist().inv_cdf(tail)
    low, high = -20.0, 300.0
    for _ in range(80):
        middle = 0.5 * (low + high)
        low, high = (middle, high) if upper_tail(math.exp(middle), degrees) > tail else (low, middle)
    return math.exp(low)


def critical_t(critical_z: float, degrees: float) -> float:
    """The t that is exceeded as rarely as this normal score: the inverse of `normal_score`."""
    return critical_z if degrees >= ENOUGH else exceeded(NormalDist().cdf(-critical_z), degrees)


def sigma(degrees: float) -> float:
    """The t that |T| exceeds as rarely as a normal number exceeds 1: 1 + 1/2ν + 1/4ν² + 1/16ν³; 1.4 % short at ν = 1.

    Fisher's expansion, which costs nothing: progress lines ask for it many times a second.
    """
    inverse = 1.0 / degrees
    return 1.0 + inverse * (0.5 + inverse * (0.25 + inverse * 0.0625))


def upper_tail(t: float, degrees: float) -> float:
    """P(T > t) for t ≥ 0: half the regularized incomplete beta function I(ν/(ν + t²); ν/2, ½)."""
    square = t * t
    return 0.5 * incomplete_beta(0.5 * degrees, 0.5, degrees / (degrees + square), square / (degrees + square))


def incomplete_beta(a: float, b: float, x: float, complement: float) -> float:
    """I(x; a, b), complement = 1 − x, to 10⁻¹⁰ relative for a ≤ 10⁴; the continued fraction, NIST DLMF 8.17.22."""
    if x <= 0.0 or complement <= 0.0:
        return float(x > 0.0)
    if x > (a + 1.0) / (a + b + 2.0):
        return 1.0 - incomplete_beta(b, a, complement, x)
    log_front = math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b) + a * math.log(x) + b * math.log(complement)
    return math.exp(log_front) / (a * _fraction(a, b, x))


def _fraction(a: float, b: float, x: float) -> float:
    """1 + d₁/(1 + d₂/(1 + …)) by Lentz's method."""
    value, c, d = 1.0, 1.0, 0.0
    for term in range(1, TERMS):
        m = term // 2
        if term % 2:
            numerator = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
        else:
            numerator = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
        d = 1.0 / (1.0 + numerator * d)
        c = 1.0 + numerator / c
        value *= c * d
        if abs(c * d - 1.0) < 1e-15:
            break
    return value
