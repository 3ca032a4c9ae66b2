"""The kernel of mc for layers with a stream: it draws the weights of a layer two at a time, and keeps none of them.

The pair p of row r takes its bits from slot r·⌈length/2⌉ + p of the noise (normal weights), or one slot per weight.
So rows of even length have the same slots as noise that is kept, and the norms need no copy: the weights are drawn
again. x, dy, y and dx are kept for all draws of a batch.
"""

# Kernel code: numba infers the types.
# mypy: disable-error-code="no-untyped-def,no-untyped-call"

import numpy as np
from numba import types

from gradstat.estimation.mc_kernel import SIGNATURE as MC_SIGNATURE
from gradstat.estimation.mc_kernel import accumulate_rows, draw_signal
from gradstat.numerics import sums
from gradstat.numerics.bits import call_layer
from gradstat.numerics.draws import LANES, NOISE, open_uniforms
from gradstat.numerics.jit import compiled, inline
from gradstat.numerics.normals import normal_pairs, words

NORMAL_WEIGHTS, UNIFORM_WEIGHTS, FLAT_WEIGHTS = 0, 1, 2
KINDS = {"normal": NORMAL_WEIGHTS, "uniform": UNIFORM_WEIGHTS, "flat": FLAT_WEIGHTS}
SQUARES, ROOTS, PRODUCTS = 0, 1, 2  # phases, in the order in which a span of rows takes them
ROWS_AT_ONCE = 8  # for each pair: its two slots of x and dx stay in the first-level cache

# streams [layer, (rows, length, kind, kept, span)], then the arguments of `run_block`
SIGNATURE = types.void(types.int64[:, ::1], *MC_SIGNATURE.args)


@inline
def draw_weights(seed, batch, stream, kind, length, row, pair, bits, noise):
    """The weights 2·pair and 2·pair + 1 of a row into noise[0] and noise[1]."""
    if kind == NORMAL_WEIGHTS:
        words(seed, batch, row * ((length + 1) // 2) + pair, stream, bits)
        normal_pairs(bits, noise[0], noise[1])
    elif kind == UNIFORM_WEIGHTS:
        for side in range(min(2, length - 2 * pair)):
            words(seed, batch, row * length + 2 * pair + side, stream, bits)
            open_uniforms(bits, noise[side])


@inline
def pass_rows(first, last, streams, layer, address, step, constants, seed, batch, stream, bits, x, dy, noise, y, dx):
    """Draw the weights of rows [first, last) and pass them to a layer, some rows at once for every pair."""
    length, kind = streams[layer, 1], streams[layer, 2]
    for begin in range(first, last, ROWS_AT_ONCE):
        for pair in range((length + 1) // 2):
            for row in range(begin, min(begin + ROWS_AT_ONCE, last)):
                draw_weights(seed, batch, stream, kind, length, row, pair, bits, noise)
                step[5], step[6] = row, pair
                call_layer(address, step, constants, x, dy, noise, y, dx)


@compiled(SIGNATURE)
def run_streamed(
    streams, addresses, shapes, noise_kinds, constants, rows, slots, centres,
    seed, offset, first, draws, kinds, scale, sizes, partial, totals,
):  # fmt: skip
    """Partial sums and totals of every row over draws [1024·first, 1024·first + draws) of a group of layers."""
    n_in, n_out = shapes[0, 0], shapes[0, 1]
    bits, spare, shared = np.empty((2, LANES), np.uint64), np.empty(LANES), np.empty((1, LANES))
    x, dx = np.empty((n_in, LANES)), np.empty((n_in, LANES))
    y, dy = np.empty((n_out, LANES)), np.empty((n_out, LANES))
    most_kept = 0
    for layer in range(addresses.shape[0]):
        most_kept = max(most_kept, streams[layer, 3])
    room, step = np.empty((2 + most_kept, LANES)), np.empty(7, np.int64)
    for row in range(rows.shape[0]):
        sums.reset(partial[row], totals[row])
    for batch in range(first, first + (draws + LANES - 1) // LANES):
        lanes = min(LANES, draws - (batch - first) * LANES)
        draw_signal(seed, batch, offset, kinds, scale, sizes, bits, spare, x, dy, shared)
        row = 0
        for layer in range(addresses.shape[0]):
            all_rows, kept, span = streams[layer, 0], streams[layer, 3], streams[layer, 4]
            noise, own = room[: 2 + kept], constants[layer]
            step[:4] = shapes[layer]
            step[2] = 2 + kept
            y[:, :] = 0.0
            dx[:, :] = 0.0
            for begin in range(0, all_rows, span):
                end = min(begin + span, all_rows)
                noise[2:, :] = 0.0
                for phase in range(PRODUCTS if kept == 0 else SQUARES, PRODUCTS + 1):
                    step[4] = phase
                    if phase == ROOTS:
                        call_layer(addresses[layer], step, own, x, dy, noise, y, dx)
                    else:
                        pass_rows(
                            begin, end, streams, layer, addresses[layer], step, own,
                            seed, batch, offset + NOISE, bits, x, dy, noise, y, dx,
                        )  # fmt: skip
            row = accumulate_rows(layer, row, rows, slots, centres, lanes, y, dx, partial, totals)
