"""Compiled drivers of rqmc's points, and the same points once more in Python integers, slowly."""

from typing import Any

import numpy as np
from numba import types
from scipy.stats import qmc

from gradstat.distributions import DISTRIBUTIONS
from gradstat.estimation.rqmc_kernel import draw_points
from gradstat.numerics import quantiles
from gradstat.numerics import scrambling as nets
from gradstat.numerics.draws import LANES
from gradstat.numerics.jit import compiled
from gradstat.numerics.sobol import BITS, DIMENSIONS, generators
from tests import naive

_SEED, _INT, _WORDS, _LANES = types.uint64, types.int64, types.uint64[:, ::1], types.float64[::1]
KNOWN_BITS = 16  # of a point's number, that scipy is asked about


@compiled(types.void(_WORDS, _SEED, _INT, _INT, _INT, _WORDS))
def _bits(generators: Any, seed: Any, stream: Any, randomization: Any, batch: Any, out: Any) -> None:
    columns, table = np.empty((DIMENSIONS, BITS), np.uint64), np.empty((DIMENSIONS, LANES), np.uint64)
    places, pair = np.empty((DIMENSIONS, LANES), np.int64), np.empty((2, LANES), np.uint64)
    nets.prepare(seed, stream, randomization, generators, columns, table, places)
    for dimension in range(out.shape[0]):
        if dimension < DIMENSIONS:
            nets.coordinates(batch, columns[dimension], table[dimension], out[dimension])
        else:
            nets.independent(seed, stream, randomization, batch, dimension, pair, out[dimension])


@compiled(types.void(types.uint64[::1], _INT, _LANES))
def _quantiles(bits: Any, kind: Any, out: Any) -> None:
    outer, spare = np.empty(LANES, np.int64), np.empty(LANES)
    if kind == 0:
        quantiles.normals(bits, outer, quantiles.find_outer(bits, outer), spare, out)
    else:
        quantiles.quantiles(kind, bits, out)


_TABLE = types.float64[:, ::1]


@compiled(types.void(_WORDS, _SEED, _INT, _INT, types.int64[::1], _LANES, types.int64[::1], _TABLE, _TABLE))
def _signal(generators: Any, seed: Any, randomization: Any, batch: Any, kinds: Any, scale: Any, sizes: Any, x: Any, dy: Any) -> None:  # fmt: skip  # noqa: E501
    columns, table = np.empty((DIMENSIONS, BITS), np.uint64), np.empty((DIMENSIONS, LANES), np.uint64)
    places, shared = np.empty((DIMENSIONS, LANES), np.int64), np.empty((1, LANES))
    room = (np.empty((2, LANES), np.uint64), np.empty(LANES, np.uint64), np.empty(LANES, np.int64), np.empty(LANES))
    nets.prepare(seed, 0, randomization, generators, columns, table, places)
    at = (seed, 0, randomization, batch)
    draw_points(at, (columns, table, places), room, kinds, scale, sizes, x, dy, shared)


def bits(seed: int, randomization: int, points: int, dimensions: int, stream: int = 0) -> Any:
    """[dimension, point]: the coordinates of the first points in units of 2⁻⁶⁴."""
    parts = []
    for batch in range(-(-points // LANES)):
        parts.append(np.empty((dimensions, LANES), np.uint64))
        _bits(generators(), seed, stream, randomization, batch, parts[-1])
    return np.concatenate(parts, axis=1)[:, :points]


def numbers(fractions: Any, distribution: str = "normal") -> Any:
    """The quantiles of fractions in units of 2⁻⁶⁴."""
    fractions = np.asarray(fractions, np.uint64)
    padded = np.full(-(-fractions.size // LANES) * LANES, 2**62, np.uint64)
    padded[: fractions.size] = fractions
    out = np.empty(padded.size)
    for start in range(0, padded.size, LANES):
        _quantiles(padded[start : start + LANES], DISTRIBUTIONS[distribution].code, out[start : start + LANES])
    return out[: fractions.size]


def signal(seed: int, randomization: int, points: int, n_in: int = 1, n_out: int = 1) -> tuple[Any, Any]:
    """x[n_in, point] and dy[n_out, point] of one randomization, standard normal."""
    kinds, scale, sizes = np.zeros(2, np.int64), np.array([0.0, 1.0, 0.0, 0.0]), np.zeros(0, np.int64)
    parts = []
    for batch in range(-(-points // LANES)):
        x, dy = np.empty((n_in, LANES)), np.empty((n_out, LANES))
        _signal(generators(), seed, randomization, batch, kinds, scale, sizes, x, dy)
        parts.append((x, dy))
    xs, dys = zip(*parts, strict=True)
    return np.concatenate(xs, axis=1)[:, :points], np.concatenate(dys, axis=1)[:, :points]


def plain_generators(dimensions: int) -> list[list[int]]:
    """[dimension][j]: scipy's point number 2ʲ, which is number 2ʲ⁺¹ − 1 in its order, in units of 2⁻⁶⁴."""
    found = qmc.Sobol(dimensions, scramble=False, bits=KNOWN_BITS).random_base2(KNOWN_BITS)
    return [[int(found[2 ** (j + 1) - 1, d] * 2.0**64) for j in range(KNOWN_BITS)] for d in range(dimensions)]


def plain_coordinate(seed: int, randomization: int, point: int, dimension: int, columns: list[int]) -> int:
    """One coordinate in units of 2⁻⁶⁴: the rule in the first docstring of nets.py, bit by bit."""
    drawn: list[int] = []
    for j in range(33):
        counter = 64 * randomization + j
        a, b, c, d = naive.philox4x32((counter, 0, dimension, 5), (seed % 2**32, seed >> 32))
        drawn += [a << 32 | b, c << 32 | d]
    unscrambled = 0
    for j, column in enumerate(columns):
        unscrambled ^= column * (point >> j & 1)
    value = drawn[64]
    for row in range(64):  # bit `row`, the first being ½
        total = unscrambled >> 63 - row
        for column in range(row):
            total ^= (drawn[column] >> 63 - row) & (unscrambled >> 63 - column)
        value ^= (total & 1) << 63 - row
    return value
