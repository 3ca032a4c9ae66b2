"""Student's t: what a difference in standard errors is worth when few numbers gave the standard error.

Plain Python: reading a result needs no compiler.
"""

import math
from statistics import NormalDist

ENOUGH = 1e6  # degrees of freedom from which the normal distribution is as good
TERMS = 400
TINY = 1e-300


def normal_score(ratio: float, degrees: float) -> float:
    """The standard normal quantile at which a t-distributed ratio stands: the same probability beyond it."""
    if degrees >= ENOUGH or not math.isfinite(ratio):
        return ratio
    tail = upper_tail(abs(ratio), degrees)
    return math.copysign(-NormalDist().inv_cdf(tail), ratio) if tail > TINY else math.copysign(math.inf, ratio)


def quantile(probability: float, degrees: float) -> float:
    """The t that a t-distributed ratio stays below with this probability, ½ to 1; bisected over θ, t = √ν·tan θ."""
    low, high = 0.0, 0.5 * math.pi
    for _ in range(60):
        middle = 0.5 * (low + high)
        beyond = upper_tail(math.sqrt(degrees) * math.tan(middle), degrees)
        low, high = (middle, high) if beyond > 1.0 - probability else (low, middle)
    return math.sqrt(degrees) * math.tan(low)


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
