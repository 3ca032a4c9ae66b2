"""From (seed, batch, slot, stream) to 64 bits for each of 1024 lanes, and from those to two normals.

Written as LLVM vectors (see `simd`) of at least eight lanes: on AVX2 two registers are then in flight, and one computes
while the other waits. For the same reason a batch takes three short loops and not one long loop: the chain
u → ln u → √ takes 160 cycles, and a processor looks at most about 130 instructions ahead.
"""

# Kernel code: numba infers the types.
# mypy: disable-error-code="no-untyped-def,no-untyped-call"

from numba import types
from numba.extending import intrinsic

from gradstat.numerics.bits import TWO_52, TWO_52_BITS, float_of
from gradstat.numerics.jit import inline
from gradstat.numerics.kernel_math import LN2, LOG_OFFSET, MANTISSA_BITS, MANTISSA_MASK, SIGN_BIT, SQRT_HALF_BITS
from gradstat.numerics.philox import LOW, SHIFT, U64, philox4x32
from gradstat.numerics.polynomials import RADIUS, TURN_COS, TURN_SIN
from gradstat.numerics.simd import ascending, chains, lanes, load, offset, pointer, splat, store

LANES = 1024
HALF = LANES // 2
WIDTH = 8  # lanes per vector of normals
WORDS_WIDTH = 16  # of words: ten rounds wait for each other, and need few registers

ONE_BITS = U64(0x3FF0000000000000)
LOW_20, SHIFT_20 = U64(0xFFFFF), U64(20)
OPEN = 1.0 - 2.0**-53

# Angles in units of 2⁻³³ turns, in which a + ½ is the odd integer 2a + 1.
QUARTER_MASK = U64((1 << 31) - 1)
ODD_BITS = TWO_52_BITS | U64(1)
EIGHTH_TURN = TWO_52 + 2.0**30


@intrinsic
def words(typingctx, seed, batch, slot, stream, out):
    """Fill out[2, 1024] with the 64 bits of every lane, as two 32-bit words."""
    signature = types.void(types.uint64, types.int64, types.int64, types.int64, out)

    def generate(context, builder, signature, arguments):
        seed, batch, slot, stream = (splat(builder, argument, WORDS_WIDTH) for argument in arguments[:4])
        table = pointer(context, builder, signature, arguments, 4)
        first = batch * HALF
        low, high = (first & LOW) + ascending(builder, WORDS_WIDTH), first >> SHIFT  # HALF blocks never carry
        with lanes(builder, 0, HALF, WORDS_WIDTH) as lane:
            counter = low + splat(builder, lane, WORDS_WIDTH)
            four = philox4x32(counter, high, slot, stream, seed & LOW, seed >> SHIFT)
            for word, place in zip(four, (0, LANES, HALF, LANES + HALF), strict=True):
                store(word, offset(builder, table, lane, place))
        return context.get_dummy_value()

    return signature, generate


@inline
def uniform_bits(high, low):
    """The bits of 1 + 52 bits/2⁵²: 32 of one word above the low 20 of another.

    52 bits and not 32: the radius √(−2 ln u) then reaches 8.57, with the right probability. The 20 low bits also
    serve in the angle, where they are the last of 32; the 2⁶⁴ pairs (u, angle) are all distinct.
    """
    return (high << SHIFT_20) | (low & LOW_20) | ONE_BITS


@inline
def open_uniform(high, low):
    """(52 bits + ½)/2⁵², never 0 or 1."""
    return float_of(uniform_bits(high, low)) - OPEN


@intrinsic
def normal_pairs(typingctx, bits, first, second):
    """Two standard normals per lane of bits[2, 1024] by Box and Muller: √(−2 ln u)·(cos, sin) of a random turn.

    Each is within 10⁻¹⁵ of the radius of its exact value.
    """
    signature = types.void(bits, first, second)

    def generate(context, builder, signature, arguments):
        bits, first, second = (pointer(context, builder, signature, arguments, i) for i in range(3))
        with lanes(builder, 0, LANES, WIDTH) as lane:
            high, low = (load(builder, offset(builder, bits, lane, row * LANES), WIDTH) for row in range(2))
            exponent, s = log_parts(uniform_bits(high, low).float() - OPEN)
            store(exponent, offset(builder, first, lane))
            store(s, offset(builder, second, lane))
        with lanes(builder, 0, LANES, WIDTH) as lane:
            exponent, s = (load(builder, offset(builder, row, lane), WIDTH) for row in (first, second))
            store(radius_squared(exponent, s), offset(builder, first, lane))
        with lanes(builder, 0, LANES, WIDTH) as lane:
            radius = load(builder, offset(builder, first, lane), WIDTH).sqrt()
            cosine, sine = turned(load(builder, offset(builder, bits, lane, LANES), WIDTH))
            store(radius * cosine, offset(builder, first, lane))
            store(radius * sine, offset(builder, second, lane))
        return context.get_dummy_value()

    return signature, generate


def log_parts(x):
    """(k, (m − 1)/(m + 1)) with x = 2ᵏm, m in [√½, √2), for x > 0 that is not subnormal."""
    shifted = x.bits() + LOG_OFFSET
    exponent = ((shifted >> MANTISSA_BITS) | TWO_52_BITS).float() - (TWO_52 + 1023.0)
    m = ((shifted & MANTISSA_MASK) + SQRT_HALF_BITS).float()
    return exponent, (m - 1.0) / (m + 1.0)


def radius_squared(exponent, s):
    """−2 ln(2ᵏm) = −2k ln 2 − 4 artanh s, s = (m − 1)/(m + 1). 3 ulp."""
    return exponent.fma(-2.0 * LN2, s * chains(s * s, RADIUS))


def turned(a):
    """cos and sin of 2π((a + ½)/2³² − ⅛) for a < 2³²; the half keeps the angles off the axes. 2.1 ulp each.

    The two highest bits of a count quarter turns, the others are the angle within ±⅛ turn.
    """
    t = (((a << U64(1)) & QUARTER_MASK) | ODD_BITS).float() - EIGHTH_TURN
    z = t * t
    sine, cosine = t * chains(z, TURN_SIN), chains(z, TURN_COS)
    half, quarter = a << U64(32), a << U64(33)  # their highest bits: half a turn, a quarter of one
    odd = quarter.negative()
    x, y = odd.select(sine, cosine), odd.select(cosine, sine)
    return (x.bits() ^ ((half ^ quarter) & SIGN_BIT)).float(), (y.bits() ^ (half & SIGN_BIT)).float()
