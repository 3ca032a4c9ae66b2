"""64 random bits → a number of a distribution, by its quantile function. The map is monotone and uses all bits.

The bits are a fraction of [0, 1) in units of 2⁻⁶⁴. Both tails have the same accuracy: p = (k + ½)/2⁶⁴ is the distance
to the nearer end, rounded to a float64, so neither tail is truncated. The largest |normal| is 9.16, at p = 2⁻⁶⁵. The
rational functions are fits (linearized least squares at Chebyshev nodes, 60 digits, then rounded).
"""

# Kernel code: numba infers the types.
# mypy: disable-error-code="no-untyped-def,no-untyped-call"

import numpy as np

from gradstat.numerics.bits import TWO_52, TWO_52_BITS, bits_of, float_of, fma
from gradstat.numerics.draws import LANES, LAPLACE, LOGISTIC, LOGISTIC_SCALE, SQRT_3, SQRT_HALF
from gradstat.numerics.jit import inline
from gradstat.numerics.kernel_math import SIGN_BIT, log_positive
from gradstat.numerics.normals import ONE_BITS, OPEN
from gradstat.numerics.philox import LOW, SHIFT, U64
from gradstat.numerics.polynomials import polynomial

NONE = U64(0)
TOP, TWELVE = U64(63), U64(12)
OUTER = 1.0 / 32.0  # p below which the logarithm is needed: 64 lanes of 1024
CENTRE_SQUARE = (0.5 - OUTER) ** 2
OUTER_SHIFT = 1.75

# Φ⁻¹(½ + q)/q = TOP/BOTTOM in (½ − OUTER)² − q², for |q| ≤ ½ − OUTER: 2⁻⁵⁴.
CENTRE_TOP = (
    3.973827983832856,
    410.57097506689723,
    16740.021820911392,
    344646.1515766831,
    3820139.142089925,
    22622095.435389176,
    67296687.61386283,
    88205680.13103911,
    38685568.655614875,
    2504732.6904944954,
)
CENTRE_BOTTOM = (
    1.0,
    109.17935984210678,
    4757.584900354536,
    106282.8111387947,
    1305191.0236586211,
    8821394.743036453,
    31326784.877424996,
    52837395.75392333,
    34719443.63998871,
    5558481.130615995,
)

# −Φ⁻¹(e^−r²) = TOP/BOTTOM in r − 1.75, for OUTER ≥ e^−r² ≥ 2⁻⁶⁵: 2⁻⁵⁷.
OUTER_TOP = (
    1.6770063262899597,
    4.956159352385365,
    5.773819932592317,
    3.5047730007290303,
    1.2118182860341238,
    0.24137940287756285,
    0.026299349812902592,
    0.0013612374721681095,
    2.3517693866516055e-05,
)
OUTER_BOTTOM = (
    1.0,
    1.9569934650314742,
    1.5494409828383562,
    0.6357106145965846,
    0.14299921478319297,
    0.01701351777390979,
    0.0009335248402894756,
    1.6629149580073977e-05,
)


@inline
def distance(bits):
    """The distance (k + ½)/2⁶⁴ ≤ ½ of the fraction to the nearer end of [0, 1)."""
    k = bits ^ (NONE - (bits >> TOP))
    high = float_of((k >> SHIFT) | TWO_52_BITS) - TWO_52
    low = float_of((k & LOW) | TWO_52_BITS) - (TWO_52 - 0.5)
    return fma(high, 2.0**-32, low * 2.0**-64)


@inline
def on_its_side(size, bits):
    """`size` ≥ 0 with a minus sign if the fraction is below ½."""
    return float_of(bits_of(size) | (~bits & SIGN_BIT))


@inline
def central_normal(p):
    """Minus the standard normal quantile of p for OUTER ≤ p ≤ ½."""
    q = 0.5 - p
    r = CENTRE_SQUARE - q * q
    return q * polynomial(r, CENTRE_TOP) / polynomial(r, CENTRE_BOTTOM)


@inline
def outer_normal(p):
    """Minus the standard normal quantile of p for 2⁻⁶⁵ ≤ p ≤ OUTER."""
    r = np.sqrt(-log_positive(p)) - OUTER_SHIFT
    return polynomial(r, OUTER_TOP) / polynomial(r, OUTER_BOTTOM)


@inline
def normals(bits, outer, count, spare, out):
    """The standard normal quantile of each lane's fraction.

    The first `count` entries of `outer` are the lanes in the tails.

    These lanes are gathered and computed separately: their logarithm and root cost more than all other lanes together.
    """
    for lane in range(LANES):
        spare[lane] = distance(bits[lane])
    for lane in range(LANES):
        out[lane] = on_its_side(central_normal(spare[lane]), bits[lane])
    for i in range(count):
        spare[i] = distance(bits[outer[i]])
    for i in range(count):
        spare[i] = outer_normal(spare[i])
    for i in range(count):
        out[outer[i]] = on_its_side(spare[i], bits[outer[i]])


@inline
def find_outer(bits, outer):
    """Write the lanes in the tails to `outer` and return their number."""
    count = 0
    for lane in range(LANES):
        outer[count] = lane
        count += 1 if distance(bits[lane]) < OUTER else 0
    return count


@inline
def outer_quantile(kind, p):
    """The size of the number at the distance p from an end (Laplace, logistic or uniform; mean 0, variance 1)."""
    if kind == LAPLACE:
        return -log_positive(2.0 * p) * SQRT_HALF
    if kind == LOGISTIC:
        return LOGISTIC_SCALE * (log_positive(1.0 - p) - log_positive(p))
    return SQRT_3 * (1.0 - 2.0 * p)


@inline
def quantiles(kind, bits, out):
    """The quantiles of a distribution other than the normal, for the fractions of all lanes."""
    for lane in range(LANES):
        out[lane] = on_its_side(abs(outer_quantile(kind, distance(bits[lane]))), bits[lane])


@inline
def uniforms(bits, out):
    """The middle of the cell of 2⁻⁵² that each lane's fraction lies in: never 0 or 1."""
    for lane in range(LANES):
        out[lane] = float_of(ONE_BITS | (bits[lane] >> TWELVE)) - OPEN
