"""From (seed, stream, draw index) to the numbers of a draw.

A batch is 1024 draws, one per lane. Slot s of batch b takes its bits from the Philox blocks with the counter
(512·b + j, slot, stream), j = 0…511, under the seed as key: words 0 and 1 go to lane j, words 2 and 3 to lane
j + 512. So every lane has 64 bits per slot, addressed by its draw index alone. A pair of normals (see `normals`) takes
52 of them for the radius and 32 for the angle, 2π((word 1 + ½)/2³² − ⅛).
"""

# Kernel code: numba infers the types.
# mypy: disable-error-code="no-untyped-def,no-untyped-call"

import numpy as np

from gradstat import distributions
from gradstat.numerics import elementary
from gradstat.numerics.jit import inline
from gradstat.numerics.kernel_math import log_positive
from gradstat.numerics.normals import LANES as LANES
from gradstat.numerics.normals import open_uniform
from gradstat.numerics.polynomials import ERF, polynomial

STREAM_VERSION = 3  # changes whenever any sampled digit changes

# Streams: what the bits are for. The pilot run has its own, so that it is independent of the run it prepares.
SIGNAL, X_UNIFORM, NOISE, DY_UNIFORM, DY_SHARED = 0, 1, 2, 3, 4
SCRAMBLE, BEYOND = 5, 6  # of randomized points: see scrambling.py
PILOT = 16  # added to each of them

NORMAL, LAPLACE, LOGISTIC = distributions.NORMAL.code, distributions.LAPLACE.code, distributions.LOGISTIC.code

SQRT_HALF = 0.7071067811865476
SQRT_3 = 1.7320508075688772
LOGISTIC_SCALE = 0.5513288954217921  # √3/π


@inline
def quantile(kind, u):
    """The u-quantile of the distribution with zero mean and unit variance (Laplace, uniform or logistic)."""
    if kind == LAPLACE:
        folded = -log_positive(2.0 * (1.0 - u if u > 0.5 else u)) * SQRT_HALF
        return folded if u > 0.5 else -folded
    if kind == LOGISTIC:
        return LOGISTIC_SCALE * (log_positive(u) - log_positive(1.0 - u))
    return SQRT_3 * (2.0 * u - 1.0)


@inline
def open_uniforms(bits, out):
    """A uniform on (0, 1) from the 64 bits of every lane."""
    for lane in range(LANES):
        out[lane] = open_uniform(bits[0, lane], bits[1, lane])


@inline
def from_normal(kind, z):
    """The number of the distribution (zero mean, unit variance) at the same quantile as the standard normal z.

    Both tails by h = −ln erfc(|z|/√2), which is within 10⁻⁹ of its value up to 5.6 σ and 0.4 at 8.5 σ.
    """
    size = SQRT_HALF * abs(z)
    h = size * polynomial(size, ERF)
    if kind == LAPLACE:
        value = SQRT_HALF * h
    elif kind == LOGISTIC:
        tail = 0.5 * elementary.exp(-h)
        value = LOGISTIC_SCALE * log_positive((1.0 - tail) / tail)
    else:
        value = SQRT_3 * (1.0 - elementary.exp(-h))
    return value if z > 0.0 else -value


@inline
def correlate(rho, sizes, x):
    """Give the standard normals x[channel·map, lane] the correlation ρ^|distance| along each dimension of their map.

    x[i] ← ρ·x[i − 1] + √(1 − ρ²)·x[i], dimension by dimension: a separable stationary process of unit variance.
    """
    fresh = np.sqrt(1.0 - rho * rho)
    stride = 1
    for dimension in range(sizes.shape[0] - 1, -1, -1):
        for slot in range(x.shape[0]):
            if (slot // stride) % sizes[dimension] > 0:
                for lane in range(LANES):
                    x[slot, lane] = rho * x[slot - stride, lane] + fresh * x[slot, lane]
        stride *= sizes[dimension]


@inline
def correlate_equally(rho, total, x):
    """Give the standard normals x[slot, lane] the correlation ρ, the same for each pair of slots.

    x[i] ← a·Σ x[j < i] + √(1 − iρa)·x[i] with a = ρ/(1 + (i − 1)ρ), which needs ρ > −1/(slots − 1). `total[lane]` is
    room for the sums.
    """
    total[:] = 0.0
    for slot in range(1, x.shape[0]):
        share = rho / (1.0 + (slot - 1) * rho)
        fresh = np.sqrt(1.0 - slot * rho * share)
        for lane in range(LANES):
            total[lane] += x[slot - 1, lane]
            x[slot, lane] = share * total[lane] + fresh * x[slot, lane]


@inline
def correlate_inputs(rho, sizes, total, x):
    """Correlate standard normals on a map of these sizes, or, without a map (size 0), all of them equally."""
    if sizes[0] > 0:
        correlate(rho, sizes, x)
    else:
        correlate_equally(rho, total, x)


@inline
def mix_shared(correlation, shared, dy):
    """Give all rows of dy the same correlation: dy ← √c·shared + √(1 − c)·dy."""
    common, own = np.sqrt(correlation), np.sqrt(1.0 - correlation)
    for slot in range(dy.shape[0]):
        for lane in range(LANES):
            dy[slot, lane] = common * shared[lane] + own * dy[slot, lane]


@inline
def transform(kind, x):
    """Standard normals → another distribution at the same quantiles, their correlation being that of the scores."""
    for slot in range(x.shape[0]):
        for lane in range(LANES):
            x[slot, lane] = from_normal(kind, x[slot, lane])
