"""y = f(x) and the slope f′(x) of whole arrays, by the compiled kernel of the layer."""

# Kernel code: numba infers the types.
# mypy: disable-error-code="no-untyped-def,no-untyped-call"

import numpy as np
from numba import types

from gradstat.estimation.callbacks import callback_of
from gradstat.layer_types.case import Case
from gradstat.networks.randomness import Array
from gradstat.numerics.bits import call_layer
from gradstat.numerics.draws import LANES
from gradstat.numerics.jit import compiled

_INTS, _FLOATS = types.int64[::1], types.float64[::1]


@compiled(types.void(_INTS, _INTS, _FLOATS, _FLOATS, _FLOATS, _FLOATS))
def _apply(addresses, shape, constants, x, y, slope):
    ones, noise = np.ones(LANES), np.empty(0)
    whole = x.shape[0] // LANES * LANES
    for start in range(0, whole, LANES):
        end = start + LANES
        call_layer(addresses[0], shape, constants, x[start:end], ones, noise, y[start:end], slope[start:end])
    left = x.shape[0] - whole
    if left > 0:
        last = np.zeros((3, LANES))
        for lane in range(left):
            last[0, lane] = x[whole + lane]
        call_layer(addresses[0], shape, constants, last[0], ones, noise, last[1], last[2])
        for lane in range(left):
            y[whole + lane] = last[1, lane]
            slope[whole + lane] = last[2, lane]


def value_and_slope(case: Case, x: Array) -> tuple[Array, Array]:
    """f(x) and f′(x) of every entry; the bytes are the same on every CPU."""
    callback = callback_of(case)
    flat = np.ascontiguousarray(x).reshape(-1)
    y, slope = np.empty_like(flat), np.empty_like(flat)
    shape = np.array([1, 1, 0, len(case.constants)], np.int64)
    _apply(np.array([callback.address], np.int64), shape, np.array(case.constants, np.float64), flat, y, slope)
    return y.reshape(x.shape), slope.reshape(x.shape)
