"""Accumulators of one row of results: from lanes of values to central moments, merged by Pébay's formulas.

Inside a block, powers of v − centre are summed. A pilot run gives the centre, which is close to the mean, so the sums
do not cancel. At the end of a block they become central moments, and only central moments are merged. Source: P. Pébay,
"Formulas for robust, one-pass parallel computation of covariances and arbitrary-order statistical moments",
SAND2008-6212, 2008.
"""

# Kernel code: numba infers the types.
# mypy: disable-error-code="no-untyped-def,no-untyped-call"

import math

import numpy as np
from numba import types

from gradstat.numerics import sums as s
from gradstat.numerics.columns import (
    ABS,
    C11,
    CENTRE,
    COUNT,
    DRAWS,
    LARGEST_T2,
    M2,
    M3,
    M4,
    MAX,
    MIN,
    PEAKS,
    SHIFT,
    T1,
    TIES,
)
from gradstat.numerics.jit import compiled, inline

FIRST, SECOND = np.array([0, 0, 1, 2, 3, 0]), np.array([0, 1, 1, 2, 3, 3])  # the totals of C11, C12, …, from T1 on
PATIENCE = 0.05  # seconds: a row takes 50 μs in Python, and compiling or loading a kernel 30 to 800 ms

_ROW, _TABLE, _CUBE = types.float64[::1], types.float64[:, ::1], types.float64[:, :, ::1]


# Comparisons instead of `min` and `max`, which numba compiles as functions of their own.


@inline
def add_columns(table, row):
    """The sum of a row, column by column."""
    total = 0.0
    for column in range(s.COLUMNS):
        total += table[row, column]
    return total


@inline
def not_negative(value):
    """The greater one of a value and 0."""
    return 0.0 if value < 0.0 else value


@inline
def finish(partial, count, centre, out):
    """Partial sums of `count` values about `centre` → the accumulators of one block."""
    out[COUNT], out[CENTRE] = count, centre
    shift = add_columns(partial, 0) / count
    s2, s3, s4 = add_columns(partial, 1), add_columns(partial, 2), add_columns(partial, 3)
    square = shift * shift
    out[SHIFT] = shift
    out[M2] = not_negative(s2 - count * square)
    out[M3] = s3 - 3.0 * shift * s2 + 2.0 * count * shift * square
    out[M4] = not_negative(s4 - 4.0 * shift * s3 + 6.0 * square * s2 - 3.0 * count * square * square)
    for k in range(5):
        out[ABS + k] = add_columns(partial, 4 + k)
    out[TIES] = add_columns(partial, 9)
    for k in range(3):
        out[PEAKS + k] = add_columns(partial, s.PEAKS + k)
    out[MIN], out[MAX] = math.inf, -math.inf
    for column in range(s.COLUMNS):
        if partial[s.MIN, column] < out[MIN]:
            out[MIN] = partial[s.MIN, column]
        if partial[s.MAX, column] > out[MAX]:
            out[MAX] = partial[s.MAX, column]


@inline
def finish_totals(sums, draws, out):
    """Sums of the per-draw totals → their means and central co-moments for one block; zeros if draws = 0."""
    out[DRAWS] = draws
    for i in range(4):
        out[T1 + i] = add_columns(sums, i) / (1.0 if draws < 1.0 else draws)
    for k in range(FIRST.size):
        i, j = FIRST[k], SECOND[k]
        value = add_columns(sums, 4 + k) - draws * out[T1 + i] * out[T1 + j]
        out[C11 + k] = not_negative(value) if i == j else value
    out[LARGEST_T2] = 0.0
    for column in range(s.COLUMNS):
        if sums[s.LARGEST, column] > out[LARGEST_T2]:
            out[LARGEST_T2] = sums[s.LARGEST, column]


@compiled(types.void(_CUBE, _CUBE, types.int64, types.int64[::1], _ROW, _TABLE), PATIENCE)
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
    at_least_1 = 1.0 if n < 1.0 else n
    weight = na * nb / at_least_1
    for k in range(FIRST.size):
        i, j = T1 + FIRST[k], T1 + SECOND[k]
        o[C11 + k] = a[C11 + k] + b[C11 + k] + weight * (b[i] - a[i]) * (b[j] - a[j])
    for i in range(4):
        o[T1 + i] = a[T1 + i] + (b[T1 + i] - a[T1 + i]) * (nb / at_least_1)
    o[DRAWS] = n


@compiled(types.void(_TABLE, _TABLE, _TABLE), PATIENCE)
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
        for column in range(TIES, LARGEST_T2):
            o[column] = a[column] + b[column]
        o[LARGEST_T2] = b[LARGEST_T2] if b[LARGEST_T2] > a[LARGEST_T2] else a[LARGEST_T2]
        o[MIN] = b[MIN] if b[MIN] < a[MIN] else a[MIN]
        o[MAX] = b[MAX] if b[MAX] > a[MAX] else a[MAX]
