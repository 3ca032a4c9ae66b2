"""The implementations that kernels use for the functions of `elementary`: no branches, and the same bits on every CPU.

Each docstring gives the largest error in ulp (units in the last place), measured against mpmath over the whole domain
and held by tests. All return NaN for NaN. Subnormal results may be 0; subnormal arguments of log are not supported.
AVX2 neither converts int64 to float64 nor shifts int64 arithmetically, hence the arithmetic on bit patterns: adding
1.5·2⁵² to a float rounds it to an integer and leaves that integer in the low bits.
"""

# Kernel code: numba infers the types.
# mypy: disable-error-code="no-untyped-def,no-untyped-call"

import math

import numpy as np

from gradstat.numerics import elementary
from gradstat.numerics.bits import ONE, ROUNDER, SIGN_SHIFT, TWO, TWO_52, TWO_52_BITS, U64, ZERO, bits_of, float_of, fma
from gradstat.numerics.jit import implements, inline
from gradstat.numerics.polynomials import (
    ATAN,
    COS,
    COTH,
    ERF,
    ERFC,
    ERFC_OFFSET,
    ERFC_SCALE,
    EXP,
    LOG,
    SIN,
    polynomial,
)

SIGN_BIT = U64(1 << 63)
MANTISSA_BITS = U64(52)
MANTISSA_MASK = U64((1 << 52) - 1)
SCALE_ROUNDER = ROUNDER + 1023.0  # the low bits are then a biased exponent
HALF_BITS = U64(1022 << 52)

LOG2_E = 1.4426950408889634
LN2 = 0.6931471805599453
LN2_HIGH, LN2_LOW = 6.93147180369123816490e-01, 1.90821492927058770002e-10  # k·LN2_HIGH is exact
SQRT_HALF_BITS = U64(0x3FE6A09E667F3BCD)
LOG_OFFSET = U64((1023 << 52) - 0x3FE6A09E667F3BCD)
LARGEST_LOG = 709.782712893384
SMALLEST_LOG = -708.3964185322641  # ln 2⁻¹⁰²²

TWO_OVER_PI = 0.6366197723675814
HALF_PI, HALF_PI_LOW, HALF_PI_LOWEST = 1.5707963267948966, 6.123233995736766e-17, -1.4973849048591833e-33
QUARTER_PI, QUARTER_PI_LOW = 0.7853981633974483, 3.061616997868383e-17
TAN_PI_8, TAN_3PI_8 = 0.41421356237309503, 2.414213562373095


@implements(elementary.where)
@inline
def where(condition, value, other):
    """A select."""
    return value if condition else other


@inline
def clamp(x, low, high):
    """x between low and high; NaN stays (each line is one min or max instruction)."""
    x = low if x < low else x
    return high if x > high else x


@inline
def with_sign(magnitude, x):
    """|magnitude| with the sign of x."""
    return float_of((bits_of(magnitude) & ~SIGN_BIT) | (bits_of(x) & SIGN_BIT))


@inline
def exp_reduced(x, r, k):
    """2ᵏ·e^r, k in the low bits; the limits are judged by x ≈ k ln 2 + r."""
    mantissa = fma(r, fma(r, polynomial(r, EXP), 1.0), 1.0)
    value = float_of(bits_of(mantissa) + (k << MANTISSA_BITS))
    value = value if x <= LARGEST_LOG else x * math.inf
    return 0.0 if x < SMALLEST_LOG else value


@inline
def reduce(x):
    """(r, bits) with x = k ln 2 + r, |r| ≤ ln 2/2, k in the low bits; exp and expm1 of one x share it."""
    shifted = fma(x, LOG2_E, ROUNDER)
    k = shifted - ROUNDER
    return fma(k, -LN2_LOW, fma(k, -LN2_HIGH, x)), bits_of(shifted)


@implements(elementary.exp)
@inline
def exp(x):
    """e^x: 2ᵏ·e^r, |r| ≤ ln 2/2; below 2⁻¹⁰²² it is 0. 0.9 ulp."""
    r, k = reduce(x)
    return exp_reduced(x, r, k)


@inline
def expm1_within(x):
    """e^x − 1 for −40 ≤ x ≤ 709.78: 2ᵏ(e^r − 1) + (2ᵏ − 1), with half of 2ᵏ so that k = 1024 fits."""
    r, k = reduce(x)
    half_scale = float_of((k << MANTISSA_BITS) + HALF_BITS)
    return 2.0 * fma(half_scale, fma(r * r, polynomial(r, EXP), r), half_scale - 0.5)


@implements(elementary.expm1)
@inline
def expm1(x):
    """e^x − 1. 2.1 ulp."""
    value = expm1_within(x)
    value = value if x <= LARGEST_LOG else x * math.inf
    return -1.0 if x < -40.0 else value


@inline
def exp_parts(x):
    """(P, r, s) with e^x = s(P + r)/(P − r), P = r coth(r/2).

    Half the terms of exp, for functions that divide anyway.
    """
    shifted = fma(x, LOG2_E, SCALE_ROUNDER)
    k = shifted - SCALE_ROUNDER
    r = fma(k, -LN2_LOW, fma(k, -LN2_HIGH, x))
    z = r * r
    return fma(z, polynomial(z, COTH), 2.0), r, float_of(bits_of(shifted) << MANTISSA_BITS)


@implements(elementary.tanh)
@inline
def tanh(x):
    """tanh x = (e^2x − 1)/(e^2x + 1), both multiplied by P − r; ±1 from |x| = 19.1 on. 2.4 ulp."""
    p, r, scale = exp_parts(2.0 * clamp(x, -20.0, 20.0))
    up, down = scale + 1.0, scale - 1.0
    return fma(down, p, up * r) / fma(up, p, down * r)


@implements(elementary.sigmoid)
@inline
def sigmoid(x):
    """1/(1 + e^−x), the fraction multiplied by P − r; from −709.5 down the result is 0. 2.3 ulp."""
    p, r, scale = exp_parts(clamp(-x, -708.0, 710.0))
    return (p - r) / fma(scale, p + r, p - r)


@implements(elementary.erf)
@inline
def erf(x):
    """erf |x| = 1 − e^(−h), h = −ln erfc |x| a polynomial; 1 from |x| = 5.95 on. 3.2 ulp."""
    size = abs(x)
    size = 5.95 if size > 5.95 else size
    return with_sign(expm1_within(-size * polynomial(size, ERF)), x)


@implements(elementary.erfc)
@inline
def erfc(x):
    """erfc |x| = e^−x²·t·P(t) with t = 3/(3 + |x|) and x² in two words; 0 from x = 26.5 on. 6.1 ulp."""
    size = abs(x)
    size = 27.0 if size > 27.0 else size
    t = 3.0 / (3.0 + size)
    square = size * size
    lost = fma(size, size, -square)
    r, k = reduce(-square)
    tail = exp_reduced(-square, r - lost, k) * (t * polynomial(fma(t, ERFC_SCALE, ERFC_OFFSET), ERFC))
    return 2.0 - tail if x < 0.0 else tail


@inline
def log_parts(x):
    """(k, f) with x = 2ᵏ(1 + f), 1 + f in [√½, √2), for x > 0 that is not subnormal."""
    shifted = bits_of(x) + LOG_OFFSET
    k = float_of((shifted >> MANTISSA_BITS) | TWO_52_BITS) - (TWO_52 + 1023.0)
    return k, float_of((shifted & MANTISSA_MASK) + SQRT_HALF_BITS) - 1.0


@inline
def log_tail(f, s):
    """(f²/2, t) with ln(1 + f) = f − f²/2 + t, s = f/(2 + f) (fdlibm's form)."""
    z = s * s
    half_square = 0.5 * f * f
    return half_square, s * fma(z, polynomial(z, LOG), half_square)


@inline
def log_positive(x):
    """ln x for positive floats that are not subnormal: a fifth faster than log, the same bits. 0.8 ulp."""
    k, f = log_parts(x)
    half_square, tail = log_tail(f, f / (2.0 + f))
    return fma(k, LN2_HIGH, f - (half_square - fma(k, LN2_LOW, tail)))


@inline
def log_limits(x, value):
    """`value`, but −∞ at x = 0, NaN below, and x itself at +∞ and NaN."""
    value = value if x < math.inf else x
    value = value if x != 0.0 else -math.inf
    return math.nan if x < 0.0 else value


@implements(elementary.log)
@inline
def log(x):
    """ln x: −∞ at 0, NaN below. 0.8 ulp."""
    return log_limits(x, log_positive(x))


@inline
def log1p_above(x):
    """ln(1 + x) for −1 < x < ∞: ln of u = fl(1 + x), corrected by (1 + x − u)/u."""
    u = 1.0 + x
    back = u - 1.0
    lost = (x - back) + (1.0 - (u - back))
    k, f = log_parts(u)
    half_square, tail = log_tail(f, f / (2.0 + f))
    return fma(k, LN2_HIGH, f - (half_square - (fma(k, LN2_LOW, tail) + lost / u)))


@implements(elementary.log1p)
@inline
def log1p(x):
    """ln(1 + x): −∞ at −1, NaN below. 0.8 ulp."""
    return log_limits(1.0 + x, log1p_above(x))


@implements(elementary.asinh)
@inline
def asinh(x):
    """asinh |x| = ln(1 + |x| + x²/(1 + √(1 + x²))); beyond 2⁶⁰, ln 2|x|. 1.5 ulp."""
    size = abs(x)
    large = size > 2.0**60
    a = 1.0 if large else size
    a += a * a / (1.0 + np.sqrt(fma(a, a, 1.0)))
    value = log1p(size if large else a)
    return with_sign(value + LN2 if large else value, x)


@inline
def log_pair(x):
    """ln x as a rounded sum and its rest, for normal x > 0: about 58 bits after the point."""
    k, f = log_parts(x)
    half_square, tail = log_tail(f, f / (2.0 + f))
    a = k * LN2_HIGH
    b = a + f
    c = b - half_square
    lost = (f - (b - a)) + ((b - c) - half_square) - fma(0.5 * f, f, -half_square)
    rest = lost + fma(k, LN2_LOW, tail)
    high = c + rest
    return high, rest - (high - c)


@implements(elementary.power)
@inline
def power(x, p):
    """x^p = e^(p ln x) for x ≥ 0, ln x in two words; NaN for x < 0 and every p.

    1.0 ulp for |p| ≤ 4; the error grows with |p|, when x is near 1: 6 ulp at |p| = 100, 50 ulp at 900.
    """
    high, low = log_pair(x)
    y = p * high
    rest = fma(p, low, fma(p, high, -y))
    shifted = fma(y, LOG2_E, ROUNDER)
    k = shifted - ROUNDER
    r = fma(k, -LN2_LOW, fma(k, -LN2_HIGH, y)) + rest
    value = exp_reduced(y, r, bits_of(shifted))
    at_infinity = math.inf if p > 0.0 else 0.0
    at_zero = 0.0 if p > 0.0 else math.inf
    value = value if x < math.inf else (x if x != x else at_infinity)
    value = value if x != 0.0 else at_zero
    value = math.nan if x < 0.0 else value
    return 1.0 if p == 0.0 else value


@implements(elementary.atan)
@inline
def atan(x):
    """atan |x| = c + atan t: (c, t) = (0, x), (π/4, (x − 1)/(x + 1)) or (π/2, −1/x), so that |t| ≤ √2 − 1. 1.5 ulp."""
    size = abs(x)
    middle, far = size > TAN_PI_8, size > TAN_3PI_8
    above = -1.0 if far else (size - 1.0 if middle else size)
    below = size if far else (size + 1.0 if middle else 1.0)
    base = HALF_PI if far else (QUARTER_PI if middle else 0.0)
    low = HALF_PI_LOW if far else (QUARTER_PI_LOW if middle else 0.0)
    t = above / below
    z = t * t
    return with_sign(base + (fma(t * z, polynomial(z, ATAN), t) + low), x)


@implements(elementary.sqrt)
@inline
def sqrt(x):
    """√x: one instruction, correctly rounded."""
    return np.sqrt(x)


@implements(elementary.absolute)
@inline
def absolute(x):
    """|x|."""
    return abs(x)


@implements(elementary.sign)
@inline
def sign(x):
    """−1, 0 or 1."""
    value = 1.0 if x > 0.0 else x + 0.0
    return -1.0 if x < 0.0 else value


@implements(elementary.floor)
@inline
def floor(x):
    """⌊x⌋."""
    return np.floor(x)


@implements(elementary.minimum)
@inline
def minimum(a, b):
    """The smaller; NaN if either is."""
    value = a if a < b else b
    return a if a != a else value


@implements(elementary.maximum)
@inline
def maximum(a, b):
    """The larger; NaN if either is."""
    value = a if a > b else b
    return a if a != a else value


@inline
def quarter_turns(x):
    """(cos r, sin r, bits of k) with x = k·π/2 + r, |r| ≤ π/4, for |x| ≤ 10⁵.

    Cody and Waite with three full words of π/2: with fma the first step, x − k·fl(π/2), is exact, so nothing
    is lost near multiples of π/2, where two words leave an error of 100 ulp.
    """
    shifted = fma(x, TWO_OVER_PI, ROUNDER)
    k = shifted - ROUNDER
    r = fma(k, -HALF_PI_LOWEST, fma(k, -HALF_PI_LOW, fma(k, -HALF_PI, x)))
    z = r * r
    cosine = fma(z * z, polynomial(z, COS), fma(z, -0.5, 1.0))
    return cosine, fma(r * z, polynomial(z, SIN), r), bits_of(shifted)


@implements(elementary.sin)
@inline
def sin(x):
    """sin x for |x| ≤ 10⁵. 2.1 ulp."""
    cosine, sine, k = quarter_turns(x)
    value = cosine if (k & ONE) != ZERO else sine
    return float_of(bits_of(value) ^ ((k & TWO) << SIGN_SHIFT))


@implements(elementary.cos)
@inline
def cos(x):
    """cos x for |x| ≤ 10⁵. 2.1 ulp."""
    cosine, sine, k = quarter_turns(x)
    value = sine if (k & ONE) != ZERO else cosine
    return float_of(bits_of(value) ^ (((k + ONE) & TWO) << SIGN_SHIFT))
