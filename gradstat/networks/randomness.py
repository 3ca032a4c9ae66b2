"""The draws of a random network: (seed, network, site, stream) → numbers, from the Philox generator of all draws.

Site k of network r has the Philox slot r·2¹⁶ + k. Batch b of a site gives 2048 normals: the first of each pair to
entries 2048·b + lane, the second to 2048·b + 1024 + lane. The weights of a site are the same standard normals under
every scheme and in every architecture, so that schemes are compared on the same draws.
"""

# Kernel code: numba infers the types.
# mypy: disable-error-code="no-untyped-def,no-untyped-call"

import math
from typing import Any

import numpy as np
from numba import types

from gradstat.numerics.jit import compiled
from gradstat.numerics.normals import LANES, normal_pairs, open_uniform, words

# The streams of networks. Single layers and their pilot use 0 to 4 and 16 to 20 (numerics.draws).
SIGNAL, UPSTREAM, WEIGHTS, MASK = 256, 257, 258, 259
NETWORK_STREAM_VERSION = 1  # changes whenever any number of a random network changes
MOST_SITES = MOST_NETWORKS = 2**16

Array = np.ndarray[Any, np.dtype[np.float64]]
_SIGNATURE = types.void(types.uint64, types.int64, types.int64, types.float64[::1])


@compiled(_SIGNATURE)
def _fill_normals(seed, slot, stream, out):
    bits = np.empty((2, LANES), np.uint64)
    for batch in range(out.shape[0] // (2 * LANES)):
        words(seed, batch, slot, stream, bits)
        start = 2 * LANES * batch
        normal_pairs(bits, out[start : start + LANES], out[start + LANES : start + 2 * LANES])


@compiled(_SIGNATURE)
def _fill_uniforms(seed, slot, stream, out):
    bits = np.empty((2, LANES), np.uint64)
    for batch in range(out.shape[0] // LANES):
        words(seed, batch, slot, stream, bits)
        for lane in range(LANES):
            out[LANES * batch + lane] = open_uniform(bits[0, lane], bits[1, lane])


def normals(seed: int, network: int, site: int, stream: int, shape: tuple[int, ...]) -> Array:
    """Standard normals of this shape, addressed by (seed, network, site, stream) alone."""
    return _filled(_fill_normals, 2 * LANES, seed, network, site, stream, shape)


def uniforms(seed: int, network: int, site: int, stream: int, shape: tuple[int, ...]) -> Array:
    """Numbers on (0, 1) of this shape, addressed by (seed, network, site, stream) alone."""
    return _filled(_fill_uniforms, LANES, seed, network, site, stream, shape)


def _filled(fill: Any, step: int, seed: int, network: int, site: int, stream: int, shape: tuple[int, ...]) -> Array:
    size = math.prod(shape)
    out = np.empty(-(-size // step) * step)
    fill(np.uint64(seed), network * MOST_SITES + site, stream, out)
    return out[:size].reshape(shape)
