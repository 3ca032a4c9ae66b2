"""Sine and cosine in kernels."""

# Kernel code: numba infers the types.
# mypy: disable-error-code="no-untyped-def,no-untyped-call"

import numpy as np

from gradstat.numerics import elementary
from gradstat.numerics.bits import bits_of, float_of, fma
from gradstat.numerics.jit import implements, inline
from gradstat.numerics.polynomials import COS, SIN, polynomial

U64 = np.uint64  # a Python int beside a uint64 would make numba fall back to float64
ZERO, ONE, TWO = U64(0), U64(1), U64(2)
SIGN_SHIFT = U64(62)  # from bit 1 to the sign
TWO_52 = 2.0**52  # its bits carry an integer below 2⁵² in the low mantissa
TWO_52_BITS = U64(0x4330000000000000)
ROUNDER = 1.5 * 2.0**52

TWO_OVER_PI = 0.6366197723675814
HALF_PI, HALF_PI_LOW, HALF_PI_LOWEST = 1.5707963267948966, 6.123233995736766e-17, -1.4973849048591833e-33


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
