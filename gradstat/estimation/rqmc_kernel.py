"""The kernel of rqmc: it computes the points of one block and passes them to every layer of a group."""

# Kernel code: numba infers the types.
# mypy: disable-error-code="no-untyped-def,no-untyped-call"

import numpy as np
from numba import types

from gradstat.numerics import sums
from gradstat.numerics.bits import call_layer
from gradstat.numerics.draws import LANES, NORMAL, correlate_inputs, mix_shared, transform
from gradstat.numerics.jit import compiled, inline
from gradstat.numerics.scrambling import fill, fill_fractions, prepare
from gradstat.numerics.sobol import BITS, DIMENSIONS

_I = types.int64
_INTS, _FLOATS = types.int64[::1], types.float64[::1]
_TABLE, _SHAPES, _CUBE = types.float64[:, ::1], types.int64[:, ::1], types.float64[:, :, ::1]

# addresses, shapes [layer, 4], noise kinds, constants [layer, ·], rows [row, (layer, direction, first, last slot)],
# slots, centres, generators, seed, stream offset, randomization, its first batch, draws, kinds of x and dy, (mean, std
# and correlation of x, correlation of dy), sizes of the map of x, partial, totals
SIGNATURE = types.void(
    *(_INTS, _SHAPES, _INTS, _TABLE, _SHAPES, _INTS, _FLOATS),
    *(types.uint64[:, ::1], types.uint64, _I, _I, _I, _I, _INTS, _FLOATS, _INTS, _CUBE, _CUBE),
)


@inline
def draw_points(at, net, room, kinds, scale, sizes, x, dy, shared):
    """x and dy of one batch: x[0], dy[0], x[1], dy[1], … on the first dimensions, then the number that all dy share."""
    both, mapped = min(x.shape[0], dy.shape[0]), scale[2] != 0.0 and sizes.shape[0] > 0
    for slot in range(x.shape[0]):
        fill(at, slot + min(slot, both), net, room, NORMAL if mapped else kinds[0], x[slot])
    for slot in range(dy.shape[0]):
        fill(at, slot + min(slot + 1, x.shape[0]), net, room, kinds[1], dy[slot])
    if mapped:
        correlate_inputs(scale[2], sizes, shared[0], x)
        if kinds[0] != NORMAL:
            transform(kinds[0], x)
    if scale[0] != 0.0 or scale[1] != 1.0:
        for slot in range(x.shape[0]):
            for lane in range(LANES):
                x[slot, lane] = scale[0] + scale[1] * x[slot, lane]
    if scale[3] != 0.0:
        fill(at, x.shape[0] + dy.shape[0], net, room, kinds[1], shared[0])
        mix_shared(scale[3], shared[0], dy)


@inline
def draw_noise(at, first, net, room, kind, noise):
    """The noise of one layer, on dimension `first` and those after it."""
    for slot in range(noise.shape[0]):
        if kind == NORMAL:
            fill(at, first + slot, net, room, NORMAL, noise[slot])
        else:
            fill_fractions(at, first + slot, net, room, noise[slot])


@inline
def measure(
    layer, row, addresses, shapes, constants, rows, slots, centres, lanes, x, dy, noise, y, dx, partial, totals
):
    """Evaluate one layer on one batch, and add its rows to their sums.

    `row` is the index of the layer's first row; returns the index of the next layer's first row.
    """
    call_layer(addresses[layer], shapes[layer], constants[layer], x, dy, noise, y, dx)
    return accumulate_rows(layer, row, rows, slots, centres, lanes, y, dx, partial, totals)


@inline
def accumulate_rows(layer, row, rows, slots, centres, lanes, y, dx, partial, totals):
    """Add the rows of one layer to their sums; returns the index of the next layer's first row."""
    while row < rows.shape[0] and rows[row, 0] == layer:
        values = y if rows[row, 1] == 0 else dx
        own_slots = slots[rows[row, 2] : rows[row, 3]]
        sums.accumulate(values, own_slots, lanes, centres[row], partial[row], totals[row])
        row += 1
    return row


@compiled(SIGNATURE)
def run_points(
    addresses, shapes, noise_kinds, constants, rows, slots, centres,
    generators, seed, offset, randomization, first, draws, kinds, scale, sizes, partial, totals,
):  # fmt: skip
    """Partial sums of every row over points [1024·first, 1024·first + draws) of one randomization.

    The totals of single draws are not used: draws of one randomization depend on each other.
    """
    n_in, n_out, n_rows = shapes[0, 0], shapes[0, 1], rows.shape[0]
    most_noise = 0
    for layer in range(addresses.shape[0]):
        most_noise = max(most_noise, shapes[layer, 2])
    x, dx = np.empty((n_in, LANES)), np.empty((n_in, LANES))
    y, dy = np.empty((n_out, LANES)), np.empty((n_out, LANES))
    noise, shared = np.empty((most_noise, LANES)), np.empty((1, LANES))
    dimensions = min(n_in + n_out + 1 + most_noise, DIMENSIONS)
    columns, table = np.empty((dimensions, BITS), np.uint64), np.empty((dimensions, LANES), np.uint64)
    places = np.empty((dimensions, LANES), np.int64)
    prepare(seed, offset, randomization, generators, columns, table, places)
    net = (columns, table, places)
    room = (np.empty((2, LANES), np.uint64), np.empty(LANES, np.uint64), np.empty(LANES, np.int64), np.empty(LANES))
    for row in range(n_rows):
        sums.reset(partial[row], totals[row])
    for batch in range(first, first + (draws + LANES - 1) // LANES):
        lanes = min(LANES, draws - (batch - first) * LANES)
        at = (seed, offset, randomization, batch)
        draw_points(at, net, room, kinds, scale, sizes, x, dy, shared)
        row = 0
        for layer in range(addresses.shape[0]):
            draw_noise(at, n_in + n_out + 1, net, room, noise_kinds[layer], noise[: shapes[layer, 2]])
            row = measure(
                layer, row, addresses, shapes, constants, rows, slots, centres,
                lanes, x, dy, noise, y, dx, partial, totals,
            )  # fmt: skip
