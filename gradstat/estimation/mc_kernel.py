"""The kernel of mc: it draws one block, passes each batch to every layer of a group, and accumulates every row."""

# Kernel code: numba infers the types.
# mypy: disable-error-code="no-untyped-def,no-untyped-call"

import numpy as np
from numba import types

from gradstat.numerics import sums
from gradstat.numerics.bits import call_layer
from gradstat.numerics.draws import (
    DY_SHARED,
    DY_UNIFORM,
    LANES,
    NOISE,
    NORMAL,
    SIGNAL,
    X_UNIFORM,
    correlate_inputs,
    fill_quantiles,
    fill_signal,
    fill_uniforms,
    mix_shared,
    transform,
)
from gradstat.numerics.jit import compiled, inline

_I = types.int64
_INTS, _FLOATS = types.int64[::1], types.float64[::1]
_TABLE, _SHAPES, _CUBE = types.float64[:, ::1], types.int64[:, ::1], types.float64[:, :, ::1]

# addresses, shapes [layer, 4], noise kinds, constants [layer, ·], rows [row, (layer, direction, first, last slot)],
# slots, centres, seed, stream offset, first batch, draws, kinds of x and dy, (mean, std and correlation of x,
# correlation of dy), sizes of the map of x, partial, totals
SIGNATURE = types.void(
    *(_INTS, _SHAPES, _INTS, _TABLE, _SHAPES, _INTS, _FLOATS),
    *(types.uint64, _I, _I, _I, _INTS, _FLOATS, _INTS, _CUBE, _CUBE),
)


@inline
def draw_signal(seed, batch, offset, kinds, scale, sizes, bits, spare, x, dy, shared):
    """x with its distribution, mean, std and correlation on its map; dy with its distribution and correlation."""
    fill_signal(seed, batch, offset + SIGNAL, bits, spare, x, dy)
    if scale[2] != 0.0 and sizes.shape[0] > 0:
        correlate_inputs(scale[2], sizes, shared[0], x)
        if kinds[0] != NORMAL:
            transform(kinds[0], x)
    elif kinds[0] != NORMAL:
        fill_quantiles(seed, batch, offset + X_UNIFORM, kinds[0], bits, x)
    if kinds[1] != NORMAL:
        fill_quantiles(seed, batch, offset + DY_UNIFORM, kinds[1], bits, dy)
    if scale[0] != 0.0 or scale[1] != 1.0:
        for slot in range(x.shape[0]):
            for lane in range(LANES):
                x[slot, lane] = scale[0] + scale[1] * x[slot, lane]
    if scale[3] != 0.0:
        if kinds[1] != NORMAL:
            fill_quantiles(seed, batch, offset + DY_SHARED, kinds[1], bits, shared)
        else:
            fill_signal(seed, batch, offset + DY_SHARED, bits, spare, shared, shared[1:])
        mix_shared(scale[3], shared[0], dy)


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
def run_block(
    addresses, shapes, noise_kinds, constants, rows, slots, centres,
    seed, offset, first, draws, kinds, scale, sizes, partial, totals,
):  # fmt: skip
    """Partial sums and totals of every row over draws [1024·first, 1024·first + draws) of a group of layers."""
    n_in, n_out, n_rows = shapes[0, 0], shapes[0, 1], rows.shape[0]
    most_noise = 0
    for layer in range(addresses.shape[0]):
        most_noise = max(most_noise, shapes[layer, 2])
    # The random bits share memory with y and dx: the arrays of an activation then fit into 32 kB of first-level cache.
    scratch, spare = np.empty((n_out + n_in, LANES)), np.empty(LANES)
    bits, y, dx = scratch[:2].view(np.uint64), scratch[:n_out], scratch[n_out:]
    x, dy = np.empty((n_in, LANES)), np.empty((n_out, LANES))
    noise, no_rows = np.empty((most_noise, LANES)), np.empty((0, LANES))
    shared = np.empty((1, LANES))
    for row in range(n_rows):
        sums.reset(partial[row], totals[row])
    for batch in range(first, first + (draws + LANES - 1) // LANES):
        lanes = min(LANES, draws - (batch - first) * LANES)
        draw_signal(seed, batch, offset, kinds, scale, sizes, bits, spare, x, dy, shared)
        row = 0
        for layer in range(addresses.shape[0]):
            own = noise[: shapes[layer, 2]]
            if noise_kinds[layer] == NORMAL:
                fill_signal(seed, batch, offset + NOISE, bits, spare, own, no_rows)
            else:
                fill_uniforms(seed, batch, offset + NOISE, bits, own)
            row = measure(
                layer, row, addresses, shapes, constants, rows, slots, centres,
                lanes, x, dy, noise, y, dx, partial, totals,
            )  # fmt: skip
