"""Individual values of a run's first draws, for histograms."""

# Kernel code: numba infers the types.
# mypy: disable-error-code="no-untyped-def,no-untyped-call"

import numpy as np
from numba import types

from gradstat.errors import UsageError
from gradstat.estimation.groups import Array, Group
from gradstat.estimation.mc_kernel import draw_signal
from gradstat.layer_types.case import Case
from gradstat.layer_types.record import FORWARD, MOST_KEPT, Row
from gradstat.numerics.bits import call_layer
from gradstat.numerics.draws import LANES, NOISE, NORMAL, fill_signal, fill_uniforms
from gradstat.numerics.jit import compiled

_I = types.int64
_INTS, _FLOATS = types.int64[::1], types.float64[::1]
_TABLE, _SHAPES = types.float64[:, ::1], types.int64[:, ::1]

# addresses, shapes, noise kinds, constants, seed, batch, kinds, scale, sizes of the map of x, y, dx: see mc_kernel.py
SIGNATURE = types.void(
    *(_INTS, _SHAPES, _INTS, _TABLE, types.uint64, _I, _INTS, _FLOATS, _INTS, _TABLE, _TABLE),
)


@compiled(SIGNATURE)
def keep_batch(addresses, shapes, noise_kinds, constants, seed, batch, kinds, scale, sizes, y, dx):
    """y[slot, lane] and dx[slot, lane] of one batch of draws of the first layer of a group."""
    bits, spare = np.empty((2, LANES), np.uint64), np.empty(LANES)
    x, dy, shared = np.empty(dx.shape), np.empty(y.shape), np.empty((1, LANES))
    noise, no_rows = np.empty((shapes[0, 2], LANES)), np.empty((0, LANES))
    draw_signal(seed, batch, 0, kinds, scale, sizes, bits, spare, x, dy, shared)
    if noise_kinds[0] == NORMAL:
        fill_signal(seed, batch, NOISE, bits, spare, noise, no_rows)
    else:
        fill_uniforms(seed, batch, NOISE, bits, noise)
    call_layer(addresses[0], shapes[0], constants[0], x, dy, noise, y, dx)


def values(case: Case, row: Row, draws: int, seed: int) -> Array:
    """values[slot, draw] of `row` for the first draws of a run with this seed, rounded up to whole batches."""
    if case.shape.is_large:
        weights = case.shape.stream.weights if case.shape.stream else case.shape.noise
        raise UsageError(
            f"{case.label}: {weights} weights of a draw; at most {MOST_KEPT} are allowed for single values"
        )
    group = Group([case])
    addresses, shapes, noise_kinds, constants = group.arrays[:4]
    y, dx = np.empty((case.shape.n_out, LANES)), np.empty((case.shape.n_in, LANES))
    batches = []
    for batch in range(-(-draws // LANES)):
        keep_batch(addresses, shapes, noise_kinds, constants, seed, batch, *group.assumptions, y, dx)
        batches.append((y if row.direction == FORWARD else dx)[list(row.slots)])
    return np.concatenate(batches, axis=1)
