"""Accumulators of one row of results: from lanes of values to central moments, merged by Pébay's formulas.

Inside a block, powers of v − centre are summed, where the centre is close to the mean (a pilot run gives it), so that
nothing cancels; at the end of a block they become central moments, and only those are merged.
Source: P. Pébay, "Formulas for robust, one-pass parallel computation of covariances and arbitrary-order statistical
moments", SAND2008-6212, 2008.
"""

# Kernel code: numba infers the types.
# mypy: disable-error-code="no-untyped-def,no-untyped-call"

import math

import numpy as np
from numba import types

from gradstat.numerics.draws import LANES
from gradstat.numerics.intrinsics import fma
from gradstat.numerics.jit import compiled, inline

# One column per accumulator. Values: all slots of the row, over all draws. The mean is kept as its shift from the
# centre: rounded to the size of the mean itself, merges lose 10⁻¹¹ of the variance where mean/std = 10⁸ (NumAcc4).
COUNT, CENTRE, SHIFT, M2, M3, M4 = range(6)
ABS, DEVIATION, SIGN, SIGNED_SQUARE, ZEROS, MIN, MAX = range(6, 13)
# Per-draw totals over the row's slots, for the error bars: T₁ = Σ(v − c), T₂ = Σ(v − c)², T_a = Σ|v|, T_d = Σ|v − c|.
DRAWS, T1, T2, TA, TD, C11, C12, C22, CAA, CDD, C1D = range(13, 24)
WIDTH = 24
FIRST, SECOND = np.array([0, 0, 1, 2, 3, 0]), np.array([0, 1, 1, 2, 3, 3])  # the totals of C11, C12, …, from T1 on
# fmt: off
NAMES = [
    "count", "centre", "shift", "m2", "m3", "m4", "abs", "deviation", "sign", "signed_square", "zeros", "min", "max",
    "draws", "t1", "t2", "ta", "td", "c11", "c12", "c22", "caa", "cdd", "c1d",
]
# fmt: on

COLUMNS = 64  # partial sums side by side: the vectorized loop carries no dependency through them
UNROLL = 4  # values folded in registers for each load and store of a partial sum (0.68 ns a value; 0.75 with 2)
SUMS = 11
TOTALS = 10
_ROW, _TABLE = types.float64[::1], types.float64[:, ::1]


@inline
def reset(partial, totals):
    """Empty sums; the last two rows of `partial` are minimum and maximum."""
    for column in range(COLUMNS):
        for row in range(SUMS - 2):
            partial[row, column] = 0.0
        partial[SUMS - 2, column] = math.inf
        partial[SUMS - 1, column] = -math.inf
        for row in range(TOTALS):
            totals[row, column] = 0.0


@inline
def accumulate(values, lanes, centre, partial):
    """Add the first `lanes` of 1024 values to the partial sums."""
    if lanes == LANES:
        for start in range(0, LANES, COLUMNS * UNROLL):
            for column in range(COLUMNS):
                s1 = s2 = s3 = s4 = absolute = deviation = sign = square = zeros = 0.0
                low, high = partial[SUMS - 2, column], partial[SUMS - 1, column]
                for step in range(UNROLL):
                    v = values[start + step * COLUMNS + column]
                    d = v - centre
                    d2 = d * d
                    size = abs(d)
                    s1 += d
                    s2 += d2
                    s3 = fma(d2, d, s3)
                    s4 = fma(d2, d2, s4)
                    absolute += abs(v)
                    deviation += size
                    sign += (1.0 if d > 0.0 else 0.0) - (1.0 if d < 0.0 else 0.0)
                    square = fma(d, size, square)
                    zeros += 1.0 if v == 0.0 else 0.0
                    low = v if v < low else low
                    high = v if v > high else high
                partial[0, column] += s1
                partial[1, column] += s2
                partial[2, column] += s3
                partial[3, column] += s4
                partial[4, column] += absolute
                partial[5, column] += deviation
                partial[6, column] += sign
                partial[7, column] += square
                partial[8, column] += zeros
                partial[9, column] = low
                partial[10, column] = high
        return
    for lane in range(lanes):
        column = lane % COLUMNS
        v = values[lane]
        d = v - centre
        partial[0, column] += d
        partial[1, column] += d * d
        partial[2, column] = fma(d * d, d, partial[2, column])
        partial[3, column] = fma(d * d, d * d, partial[3, column])
        partial[4, column] += abs(v)
        partial[5, column] += abs(d)
        partial[6, column] += (1.0 if d > 0.0 else 0.0) - (1.0 if d < 0.0 else 0.0)
        partial[7, column] = fma(d, abs(d), partial[7, column])
        partial[8, column] += 1.0 if v == 0.0 else 0.0
        partial[9, column] = v if v < partial[9, column] else partial[9, column]
        partial[10, column] = v if v > partial[10, column] else partial[10, column]


@inline
def clear(totals_of_draw):
    """No slots yet."""
    for total in range(4):
        for lane in range(LANES):
            totals_of_draw[total, lane] = 0.0


@inline
def add_slot(values, centre, totals_of_draw):
    """Add one slot to the totals of each draw, T₁, T₂, T_a, T_d over [4, lane]."""
    for lane in range(LANES):
        d = values[lane] - centre
        totals_of_draw[0, lane] += d
        totals_of_draw[1, lane] = fma(d, d, totals_of_draw[1, lane])
        totals_of_draw[2, lane] += abs(values[lane])
        totals_of_draw[3, lane] += abs(d)


@inline
def accumulate_totals(totals_of_draw, lanes, sums):
    """Add the first `lanes` draws to Σ T₁, T₂, T_a, T_d, T₁², T₁T₂, T₂², T_a², T_d², T₁T_d over [10, column]."""
    for start in range(0, lanes, COLUMNS):
        for column in range(min(COLUMNS, lanes - start)):
            t1, t2 = totals_of_draw[0, start + column], totals_of_draw[1, start + column]
            ta, td = totals_of_draw[2, start + column], totals_of_draw[3, start + column]
            sums[0, column] += t1
            sums[1, column] += t2
            sums[2, column] += ta
            sums[3, column] += td
            sums[4, column] = fma(t1, t1, sums[4, column])
            sums[5, column] = fma(t1, t2, sums[5, column])
            sums[6, column] = fma(t2, t2, sums[6, column])
            sums[7, column] = fma(ta, ta, sums[7, column])
            sums[8, column] = fma(td, td, sums[8, column])
            sums[9, column] = fma(t1, td, sums[9, column])


@inline
def add_columns(partial):
    """The sum of each row, column by column."""
    sums = np.zeros(partial.shape[0])
    for row in range(partial.shape[0]):
        for column in range(partial.shape[1]):
            sums[row] += partial[row, column]
    return sums


@inline
def finish(partial, count, centre, out):
    """Partial sums of `count` values about `centre` → the accumulators of one block."""
    sums = add_columns(partial)
    out[COUNT], out[CENTRE] = count, centre
    shift = sums[0] / count
    s2, s3, s4 = sums[1], sums[2], sums[3]
    square = shift * shift
    out[SHIFT] = shift
    out[M2] = max(s2 - count * square, 0.0)
    out[M3] = s3 - 3.0 * shift * s2 + 2.0 * count * shift * square
    out[M4] = max(s4 - 4.0 * shift * s3 + 6.0 * square * s2 - 3.0 * count * square * square, 0.0)
    for k in range(5):
        out[ABS + k] = sums[4 + k]
    out[MIN], out[MAX] = math.inf, -math.inf
    for column in range(partial.shape[1]):
        out[MIN] = min(out[MIN], partial[SUMS - 2, column])
        out[MAX] = max(out[MAX], partial[SUMS - 1, column])


@inline
def finish_totals(sums, draws, out):
    """Sums of the per-draw totals → their means and central co-moments for one block; zeros where draws = 0."""
    total = add_columns(sums)
    out[DRAWS] = draws
    for i in range(4):
        out[T1 + i] = total[i] / max(draws, 1.0)
    for k in range(FIRST.size):
        i, j = FIRST[k], SECOND[k]
        value = total[4 + k] - draws * out[T1 + i] * out[T1 + j]
        out[C11 + k] = max(value, 0.0) if i == j else value


@compiled(types.void(types.float64[:, :, ::1], types.float64[:, :, ::1], types.int64, types.int64[::1], _ROW, _TABLE))
def finish_rows(partial, totals, draws, n_slots, centres, out):
    """Partial sums and totals of every row → accumulators [row, WIDTH] of one block of draws."""
    for row in range(out.shape[0]):
        finish(partial[row], float(draws * n_slots[row]), centres[row], out[row])
        finish_totals(totals[row], float(draws if n_slots[row] > 1 else 0), out[row])


@inline
def co_moments(a, b, o):
    """Merge the means and co-moments of the per-draw totals; rows of one slot have none: all zero."""
    na, nb = a[DRAWS], b[DRAWS]
    n = na + nb
    weight = na * nb / max(n, 1.0)
    for k in range(FIRST.size):
        i, j = T1 + FIRST[k], T1 + SECOND[k]
        o[C11 + k] = a[C11 + k] + b[C11 + k] + weight * (b[i] - a[i]) * (b[j] - a[j])
    for i in range(4):
        o[T1 + i] = a[T1 + i] + (b[T1 + i] - a[T1 + i]) * (nb / max(n, 1.0))
    o[DRAWS] = n


@compiled(types.void(_TABLE, _TABLE, _TABLE))
def merge(first, second, out):
    """Accumulators [row, WIDTH] of two disjoint sets of draws → those of their union. `out` may be `first`.

    The central moments may have any centres; sums about the centre (deviation, sign, …, totals) must have the same.
    """
    for row in range(first.shape[0]):
        a, b, o = first[row], second[row], out[row]
        na, nb = a[COUNT], b[COUNT]
        n = na + nb
        delta = (b[CENTRE] - a[CENTRE]) + (b[SHIFT] - a[SHIFT])
        share = delta / n
        cross = na * nb * delta * share
        m4 = a[M4] + b[M4] + cross * share * share * (na * na - na * nb + nb * nb)
        m4 += 6.0 * share * share * (na * na * b[M2] + nb * nb * a[M2]) + 4.0 * share * (na * b[M3] - nb * a[M3])
        m3 = a[M3] + b[M3] + cross * share * (na - nb) + 3.0 * share * (na * b[M2] - nb * a[M2])
        m2 = a[M2] + b[M2] + cross
        co_moments(a, b, o)
        o[SHIFT] = a[SHIFT] + nb * share
        o[COUNT], o[CENTRE], o[M2], o[M3], o[M4] = n, a[CENTRE], m2, m3, m4
        for column in range(ABS, MIN):
            o[column] = a[column] + b[column]
        o[MIN], o[MAX] = min(a[MIN], b[MIN]), max(a[MAX], b[MAX])
