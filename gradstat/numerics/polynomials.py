"""Coefficients of the kernels' polynomials, lowest power first, and the instruction chain that sums them.

All are minimax fits (Remez exchange in 50-digit arithmetic, then rounded to double); the comment above each names
the fitted function, its interval and the largest error the fit leaves in the result, relative to it.
"""

# Kernel code: numba infers the types.
# mypy: disable-error-code="no-untyped-def,no-untyped-call"

from numba import types
from numba.extending import intrinsic

from gradstat.numerics.simd import Vector, chains

# (e^r − 1 − r)/r² on |r| ≤ ln 2/2: 2⁻⁵⁵.
EXP = (
    0.5000000000000006,
    0.16666666666666685,
    0.0416666666665741,
    0.00833333333331466,
    0.0013888888932255708,
    0.00019841269902891903,
    2.4801504569917398e-05,
    2.7557228069541734e-06,
    2.762628369948345e-07,
    2.5114438866054313e-08,
)

# (r coth(r/2) − 2)/r² in r², |r| ≤ ln 2/2: 2⁻⁵⁹.
COTH = (
    0.16666666666666607,
    -0.0027777777777047933,
    6.613756328713545e-05,
    -1.6533908866663541e-06,
    4.138351173252795e-08,
)

# (ln((1 + s)/(1 − s))/s − 2)/s² in s², |s| ≤ (√2 − 1)/(√2 + 1): 2⁻⁵⁹.
LOG = (
    0.6666666666666726,
    0.3999999999945832,
    0.28571428734086984,
    0.2222219932852766,
    0.18183528705523586,
    0.15314890663478545,
    0.14788111311173469,
)

# −2·ln((1 + s)/(1 − s))/s in s², |s| ≤ (√2 − 1)/(√2 + 1): 2⁻⁵⁹, but for the rounding of the fit.
RADIUS = (-4.0, *(-2.0 * coefficient for coefficient in LOG))

# sin(2π t/2³³)/t in t², |t| ≤ 2³⁰: 2⁻⁵⁵, nearly all of it from rounding 2π.
TURN_SIN = (
    7.314590396335798e-10,
    -6.522570530547844e-29,
    1.7448930433846883e-48,
    -2.2227956767664706e-68,
    1.6517601460812086e-88,
    -8.033615356241479e-109,
    2.727612696363564e-129,
)

# cos(2π t/2³³) in t², |t| ≤ 2³⁰: 2⁻⁵⁴.
TURN_COS = (
    1.0,
    -2.675161633308367e-19,
    1.1927482940495512e-38,
    -2.1271963136784663e-58,
    2.0323543123547545e-78,
    -1.2081065408972971e-98,
    4.8401335373717435e-119,
)

# (sin θ/θ − 1)/θ² in θ², |θ| ≤ π/4: 2⁻⁵⁸.
SIN = (
    -0.16666666666666632,
    0.008333333333322559,
    -0.00019841269829903665,
    2.7557313720571104e-06,
    -2.505076209704018e-08,
    1.5897004760382582e-10,
)

# (cos θ − 1 + θ²/2)/θ⁴ in θ², |θ| ≤ π/4: 2⁻⁵³.
COS = (
    0.041666666666602646,
    -0.0013888888878314442,
    2.4801580986189092e-05,
    -2.755556936135162e-07,
    2.0647861687088848e-09,
)

# (atan t/t − 1)/t² in t², |t| ≤ √2 − 1: 2⁻⁵⁹.
ATAN = (
    -0.3333333333333323,
    0.19999999999961648,
    -0.1428571428087969,
    0.11111110813308556,
    -0.09090898526410318,
    0.07692072670217691,
    -0.06663234631868396,
    0.05848774008380328,
    -0.050430444063326044,
    0.03815424259796478,
    -0.018000379113406954,
)

# −ln(erfc x)/x on [0, 5.95]: 1 − e^(−x·this) is erf x within 2⁻⁵⁵.
ERF = (
    1.1283791670955126,
    0.6366197723675909,
    0.10277260330131534,
    -0.019128446993092525,
    -0.00020919485394554647,
    0.0016962076700086312,
    -0.0005901324307447485,
    2.5904501470494515e-05,
    6.442046848710989e-05,
    -2.9575662026217098e-05,
    3.169664394578939e-06,
    3.132970745380776e-06,
    -2.0371968836047214e-06,
    5.706391185967379e-07,
    -1.171231120377211e-08,
    -6.573159527574814e-08,
    3.4584133040799896e-08,
    -1.0773146199640316e-08,
    2.3604700774853976e-09,
    -3.760637637275638e-10,
    4.301696878991074e-11,
    -3.3642760648236796e-12,
    1.6148334950327456e-13,
    -3.592106970200067e-15,
)


@intrinsic
def polynomial(typingctx, x, coefficients):
    """Σ coefficients[i]·xⁱ; an intrinsic, because every fma call written out costs numba 5 ms of type inference."""
    signature = types.float64(types.float64, coefficients)

    def generate(context, builder, signature, arguments):
        x, table = arguments
        values = [Vector(builder, builder.extract_value(table, power)) for power in range(coefficients.count)]
        return chains(Vector(builder, x), values).value

    return signature, generate
