"""Compiled drivers: the package's inline functions, run on the data of a test."""

from typing import Any

import numpy as np
from numba import types
from numba.extending import intrinsic

from gradstat.assumptions import Input, Upstream
from gradstat.estimation import program
from gradstat.estimation.mc_kernel import run_block
from gradstat.estimation.merge_tree import Accumulators
from gradstat.numerics import columns, moments, normals, sums
from gradstat.numerics import simd as vectors
from gradstat.numerics.draws import LANES
from gradstat.numerics.jit import compiled
from gradstat.numerics.kernel_math import log_positive

_TABLE, _CUBE = types.float64[:, ::1], types.float64[:, :, ::1]
_SEED, _INT = types.uint64, types.int64


@compiled(types.void(_TABLE, types.int64[::1], types.float64, _CUBE, _CUBE))
def _accumulate(values: Any, slots: Any, centre: Any, partial: Any, totals: Any) -> None:
    sums.reset(partial[0], totals[0])
    batch = np.full((values.shape[0], LANES), np.nan)  # beyond the last draw
    for first in range(0, values.shape[1], LANES):
        lanes = min(LANES, values.shape[1] - first)
        batch[:, :lanes] = values[:, first : first + lanes]
        sums.accumulate(batch, slots, lanes, centre, partial[0], totals[0])


_FLOATS = types.float64[::1]


@compiled(types.void(_SEED, _INT, _INT, _INT, types.uint64[:, ::1]))
def _words(seed: Any, batch: Any, slot: Any, stream: Any, out: Any) -> None:
    normals.words(seed, batch, slot, stream, out)


@compiled(types.void(types.uint64[:, ::1], types.float64[::1], types.float64[::1], types.float64[::1]))
def _from_words(bits: Any, uniforms: Any, first: Any, second: Any) -> None:
    for lane in range(LANES):
        uniforms[lane] = normals.open_uniform(bits[0, lane], bits[1, lane])
    normals.normal_pairs(bits, first, second)


@intrinsic
def _turned(typingctx: Any, a: Any, cosine: Any, sine: Any) -> Any:
    """normals.turned over arrays whose length is a multiple of normals.WIDTH."""
    signature = types.void(a, cosine, sine)

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        words, first, second = (vectors.array(context, builder, signature, arguments, i) for i in range(3))
        end = builder.extract_value(words.shape, 0)
        with vectors.lanes(builder, 0, end, normals.WIDTH) as lane:
            place = vectors.offset(builder, words.data, lane)
            for values, row in zip(
                normals.turned(vectors.load(builder, place, normals.WIDTH)), (first, second), strict=True
            ):
                vectors.store(values, vectors.offset(builder, row.data, lane))
        return context.get_dummy_value()

    return signature, generate


@compiled(types.void(types.uint64[::1], types.float64[::1], types.float64[::1]))
def _turns(a: Any, cosine: Any, sine: Any) -> None:
    _turned(a, cosine, sine)


def turns(a: Any) -> tuple[Any, Any]:
    """cos and sin of the random turns that these words stand for."""
    padded = np.zeros(-(-a.size // normals.WIDTH) * normals.WIDTH, np.uint64)
    padded[: a.size] = a
    cosine, sine = np.empty(padded.size), np.empty(padded.size)
    _turns(padded, cosine, sine)
    return cosine[: a.size], sine[: a.size]


@compiled(types.void(_FLOATS, _FLOATS))
def _logs(x: Any, out: Any) -> None:
    for lane in range(x.shape[0]):
        out[lane] = log_positive(x[lane])


def log(x: float) -> float:
    """ln x as the kernels compute it."""
    out = np.empty(1)
    _logs(np.array([x]), out)
    return float(out[0])


def block(values: Any, centre: float) -> Accumulators:
    """The accumulators [1, WIDTH] of one row over values[slot, draw], about the given centre."""
    values = np.atleast_2d(np.ascontiguousarray(values, np.float64))
    slots = np.arange(values.shape[0])
    partial, totals = np.empty((1, sums.SUMS, sums.COLUMNS)), np.empty((1, sums.TOTALS, sums.COLUMNS))
    out = np.empty((1, columns.WIDTH))
    _accumulate(values, slots, centre, partial, totals)
    moments.finish_rows(partial, totals, values.shape[1], np.array([slots.size]), np.array([centre]), out)
    return out


def merged(first: Accumulators, second: Accumulators) -> Accumulators:
    """The accumulators of the union."""
    out = np.empty_like(first)
    moments.merge(first, second, out)
    return out


def words(seed: int, batch: int, slot: int, stream: int) -> Any:
    """[2, 1024] words of one batch."""
    out = np.empty((2, LANES), np.uint64)
    _words(seed, batch, slot, stream, out)
    return out


def signal(
    seed: int,
    batches: range,
    stream: int = 0,
    n_in: int = 1,
    n_out: int = 1,
    x: str = "normal",
    dy: str = "normal",
    scale: tuple[float, float] = (0.0, 1.0),
    correlations: tuple[float, float] = (0.0, 0.0),
    grid: tuple[int, ...] = (),
) -> tuple[Any, Any]:
    """x[n_in, draw] and dy[n_out, draw] of these batches, as a block samples them.

    `correlations` are those of x between neighbours on its map, of these sizes, and of dy between outputs.
    """
    own = program.Program(n_in, n_out)
    own.mark()
    program.add_signal(own, Input(x, *scale, correlations[0]), Upstream(dy, correlations[1]), grid)
    return _sampled(own, seed, batches, stream, own.x), _sampled(own, seed, batches, stream, own.dy)


def uniforms(seed: int, batches: range, stream: int, slots: int = 1) -> Any:
    """Uniforms [slot, draw] of these batches, as noise is sampled."""
    own = program.Program(1, 1, slots)
    own.mark()
    program.add_uniforms(own, stream, own.noise)
    return _sampled(own, seed, batches, 0, own.noise)


def _sampled(own: program.Program, seed: int, batches: range, stream: int, rows: list[int]) -> Any:
    """These rows of a program after each batch, [row, draw]."""
    parts = []
    for batch in batches:
        numbers = own.room()
        run_block(own.table, own.marks, numbers, own.state(seed, stream), batch, LANES)
        parts.append(own.rows(numbers, rows))
    return np.concatenate(parts, axis=1)


def from_words(bits: Any) -> tuple[Any, Any, Any]:
    """The uniform and the pair of normals of each lane of bits[2, 1024]."""
    out = tuple(np.empty(LANES) for _ in range(3))
    _from_words(bits, *out)
    return out  # type: ignore[return-value]
