"""The kernel of mc for layers with a stream: it draws the weights of a layer two at a time, and keeps none of them.

The pair p of row r takes its bits from slot r·⌈length/2⌉ + p of the noise (normal weights), or one slot per weight.
So rows of even length have the same slots as noise that is kept, and the norms need no copy: the weights are drawn
again. x, dy, y and dx are kept for all draws of a batch.
"""

# Kernel code: numba infers the types.
# mypy: disable-error-code="no-untyped-def,no-untyped-call"

import numpy as np
from numba import types

from gradstat.estimation.groups import KINDS
from gradstat.estimation.mc_kernel import NUMBERS, STATE, TABLE, begin_batch, run_steps
from gradstat.estimation.steps import SEED, STREAM
from gradstat.numerics.bits import call_layer
from gradstat.numerics.draws import LANES, NOISE, open_uniforms
from gradstat.numerics.jit import compiled, inline
from gradstat.numerics.normals import normal_pairs, words

NORMAL_WEIGHTS, UNIFORM_WEIGHTS = KINDS["normal"], KINDS["uniform"]
SQUARES, ROOTS, PRODUCTS = 0, 1, 2  # phases, in the order in which a span of rows takes them
ROWS_AT_ONCE = 8  # for each pair: its two slots of x and dx stay in the first-level cache

_LINES, _ROWS = types.int64[:, ::1], types.float64[:, ::1]

# streams [layer, (rows, length, kind, kept, span)], addresses, shapes [layer, 4], constants [layer, ·], then the
# arguments of `run_block`, and the rows x, dy, y, dx of its program
SIGNATURE = types.void(
    *(_LINES, types.int64[::1], _LINES, _ROWS, TABLE, TABLE, NUMBERS, STATE, types.int64, types.int64),
    *(_ROWS, _ROWS, _ROWS, _ROWS),
)


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
    streams, addresses, shapes, constants, table, marks, numbers, state, first, draws, x, dy, y, dx
):  # fmt: skip
    """Run a program over draws [1024·first, 1024·first + draws), and each layer before the sums of its rows."""
    bits = np.empty((2, LANES), np.uint64)
    most_kept = 0
    for layer in range(addresses.shape[0]):
        most_kept = max(most_kept, streams[layer, 3])
    room, step = np.empty((2 + most_kept, LANES)), np.empty(7, np.int64)
    for batch in range(first, first + (draws + LANES - 1) // LANES):
        begin_batch(batch, first, draws, state)
        run_steps(table, marks[0], marks[1], numbers, state)
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
                            state[SEED], batch, state[STREAM] + NOISE, bits, x, dy, noise, y, dx,
                        )  # fmt: skip
            run_steps(table, marks[1 + layer], marks[2 + layer], numbers, state)
