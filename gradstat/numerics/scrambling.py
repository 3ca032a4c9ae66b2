"""(seed, stream, randomization, point) → the numbers of a draw: scrambled Sobol points.

A randomization draws, for every dimension, a random lower triangular 64×64 matrix over GF(2) with a unit diagonal and
a random shift; coordinate = matrix·(Sobol's coordinate) ⊕ shift, all 64 bits of it (J. Matoušek, "On the
L2-discrepancy for anchored boxes", J. Complexity 14, 1998; the mean and variance of Owen's nested scrambling). Each
point is uniform on the unit cube, and the 2ᵏ points of a randomization stay a digital net. Their random bits are
Philox blocks with the counter (64·randomization + j, dimension, stream + SCRAMBLE).

Dimensions beyond those of the generators use independent bits: those of `draws.words` on the stream BEYOND, in batch
2³⁶·randomization + batch. A batch is 1024 points in a row.
"""

# Kernel code: numba infers the types.
# mypy: disable-error-code="no-untyped-def,no-untyped-call"

import numpy as np

from gradstat.numerics.draws import BEYOND, LANES, NORMAL, SCRAMBLE
from gradstat.numerics.jit import inline
from gradstat.numerics.normals import words
from gradstat.numerics.philox import LOW, SHIFT, U64, philox4x32
from gradstat.numerics.quantiles import OUTER, find_outer, normals, quantiles, uniforms
from gradstat.numerics.sobol import BITS, DIMENSIONS

ZERO, ONE = U64(0), U64(1)
LANE_BITS = 10  # of a point's number: its lane
STRATUM = U64(BITS - LANE_BITS)  # the first ten bits of a coordinate: no two lanes of a batch share them
OUTER_STRATA = int(OUTER * LANES)
OUTER_COUNT = 2 * OUTER_STRATA
RANDOMIZATION_BATCHES = 2**36


@inline
def scrambling(seed, randomization, dimension, stream, matrix):
    """Fill matrix[64] with the columns of the triangular matrix, matrix[64] being the shift."""
    k0, k1 = seed & LOW, seed >> SHIFT
    first = U64(BITS) * U64(randomization)
    for j in range(BITS // 2 + 1):
        counter = first + U64(j)
        a, b, c, d = philox4x32(counter & LOW, counter >> SHIFT, U64(dimension), U64(stream + SCRAMBLE), k0, k1)
        matrix[2 * j] = (a << SHIFT) | b
        matrix[2 * j + 1] = (c << SHIFT) | d
    for column in range(BITS):
        diagonal = ONE << U64(BITS - 1 - column)
        matrix[column] = diagonal | (matrix[column] & (diagonal - ONE))


@inline
def scramble(generators, matrix, columns):
    """columns[j] = matrix·generators[j]: what bit j of a point's number adds to its scrambled coordinate."""
    for j in range(BITS):
        total, left = ZERO, generators[j]
        for column in range(BITS):
            total ^= matrix[column] & (ZERO - (left >> U64(BITS - 1)))
            left <<= ONE
        columns[j] = total


@inline
def tabulate(shift, columns, table, places):
    """table[lane]: the coordinate of point number `lane`; places[s]: the lane whose coordinate begins with s."""
    table[0] = shift
    for j in range(LANE_BITS):
        for lane in range(1 << j):
            table[(1 << j) + lane] = table[lane] ^ columns[j]
    for lane in range(LANES):
        places[table[lane] >> STRATUM] = lane


@inline
def prepare(seed, stream, randomization, generators, columns, table, places):
    """Scramble the first dimensions, as many as `table` has rows, for one randomization."""
    matrix = np.empty(BITS + 2, np.uint64)
    for dimension in range(table.shape[0]):
        scrambling(seed, randomization, dimension, stream, matrix)
        scramble(generators[dimension], matrix, columns[dimension])
        tabulate(matrix[BITS], columns[dimension], table[dimension], places[dimension])


@inline
def coordinates(batch, columns, table, bits):
    """One coordinate of every point of a batch; the batch number contributes one word to all of them."""
    common, left, j = ZERO, U64(batch), LANE_BITS
    while left != ZERO:
        common ^= columns[j] & (ZERO - (left & ONE))
        left >>= ONE
        j += 1
    for lane in range(LANES):
        bits[lane] = table[lane] ^ common
    return common


@inline
def outermost(common, places, outer):
    """The lanes of a batch whose coordinate is within OUTER of 0 or 1, found without computing the coordinates."""
    stratum = common >> STRATUM
    for s in range(OUTER_STRATA):
        outer[s] = places[U64(s) ^ stratum]
        outer[OUTER_STRATA + s] = places[U64(LANES - 1 - s) ^ stratum]


@inline
def independent(seed, stream, randomization, batch, dimension, pair, bits):
    """Independent bits for a dimension beyond those of the generators."""
    words(seed, RANDOMIZATION_BATCHES * randomization + batch, dimension, stream + BEYOND, pair)
    for lane in range(LANES):
        bits[lane] = (pair[0, lane] << SHIFT) | pair[1, lane]


@inline
def fill(at, dimension, net, room, kind, out):
    """One coordinate of a batch, as numbers of zero mean and unit variance.

    at = (seed, stream, randomization, batch), net = (columns, table, places), room = (pair, bits, outer, spare).
    """
    seed, stream, randomization, batch = at
    columns, table, places = net
    pair, bits, outer, spare = room
    if dimension < DIMENSIONS:
        common = coordinates(batch, columns[dimension], table[dimension], bits)
        outermost(common, places[dimension], outer)
        count = OUTER_COUNT
    else:
        independent(seed, stream, randomization, batch, dimension, pair, bits)
        count = find_outer(bits, outer) if kind == NORMAL else 0
    if kind == NORMAL:
        normals(bits, outer, count, spare, out)
    else:
        quantiles(kind, bits, out)


@inline
def fill_fractions(at, dimension, net, room, out):
    """One coordinate of a batch, as a number in (0, 1)."""
    seed, stream, randomization, batch = at
    columns, table, _ = net
    pair, bits, _, _ = room
    if dimension < DIMENSIONS:
        coordinates(batch, columns[dimension], table[dimension], bits)
    else:
        independent(seed, stream, randomization, batch, dimension, pair, bits)
    uniforms(bits, out)
