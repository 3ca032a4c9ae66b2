"""The steps of a batch: compiled functions that a block calls by their addresses, each compiled if a program has it.

A step is a line of integers in a table: its address, then its arguments, which are places in the table and in one array
of numbers (see `program.py`).
"""

# Kernel code: numba infers the types.
# mypy: disable-error-code="no-untyped-def,no-untyped-call"

from collections.abc import Callable
from functools import cache
from typing import Any

from numba import carray, types

from gradstat.numerics import sums
from gradstat.numerics.bits import at, call_layer, words_at
from gradstat.numerics.draws import LANES, from_normal, open_uniforms, quantile
from gradstat.numerics.jit import callback
from gradstat.numerics.normals import normal_pairs, words

SEED, STREAM, BATCH, DRAWS = range(4)  # of the state: draws are those of this batch

_INTS, _FLOATS = types.CPointer(types.int64), types.CPointer(types.float64)
SIGNATURE = types.void(_INTS, _INTS, types.int64, _FLOATS)  # state, table, place of the step, numbers


@cache
def address_of(step: Callable[..., Any]) -> int:
    """The address of a step, compiled or loaded from the cache once per process."""
    return int(_compiled(step).address)


@cache
def _compiled(step: Callable[..., Any]) -> Any:
    return callback(SIGNATURE, step)  # numba frees the machine code of an unreferenced callback


def draw_normals(state, table, step, numbers):
    """slot, stream, room for the bits, first, second: two rows of standard normals."""
    own = at(table, step)
    bits = words_at(numbers, own[3])
    words(state[SEED], state[BATCH], own[1], state[STREAM] + own[2], bits)
    normal_pairs(bits, at(numbers, own[4]), at(numbers, own[5]))


def draw_uniforms(state, table, step, numbers):
    """slot, stream, room for the bits, row: a row of uniforms on (0, 1)."""
    own = at(table, step)
    bits = words_at(numbers, own[3])
    words(state[SEED], state[BATCH], own[1], state[STREAM] + own[2], bits)
    open_uniforms(carray(bits, (2, LANES)), carray(at(numbers, own[4]), (LANES,)))


def to_quantiles(state, table, step, numbers):
    """row, kind: uniforms → numbers of a distribution other than the normal."""
    own = at(table, step)
    row = carray(at(numbers, own[1]), (LANES,))
    for lane in range(LANES):
        row[lane] = quantile(own[2], row[lane])


def transform(state, table, step, numbers):
    """row, kind: standard normals → numbers of another distribution at the same quantiles."""
    own = at(table, step)
    row = carray(at(numbers, own[1]), (LANES,))
    for lane in range(LANES):
        row[lane] = from_normal(own[2], row[lane])


def mix(state, table, step, numbers):
    """row, other, a, b: row ← a·other + b·row."""
    own = at(table, step)
    row, other = carray(at(numbers, own[1]), (LANES,)), carray(at(numbers, own[2]), (LANES,))
    a, b = numbers[own[3]], numbers[own[4]]
    for lane in range(LANES):
        row[lane] = a * other[lane] + b * row[lane]


def shift(state, table, step, numbers):
    """row, other, a, b: row ← a + b·other."""
    own = at(table, step)
    row, other = carray(at(numbers, own[1]), (LANES,)), carray(at(numbers, own[2]), (LANES,))
    a, b = numbers[own[3]], numbers[own[4]]
    for lane in range(LANES):
        row[lane] = a + b * other[lane]


def evaluate(state, table, step, numbers):
    """address, shape, constants, x, dy, noise, y, dx: a layer, forward and backward."""
    own = at(table, step)
    call_layer(
        own[1], at(table, own[2]), at(numbers, own[3]), at(numbers, own[4]),
        at(numbers, own[5]), at(numbers, own[6]), at(numbers, own[7]), at(numbers, own[8]),
    )  # fmt: skip


# values, slots, number of slots, centre, partial, totals: the draws of one row into its sums, as `sums.accumulate`


def sum_one(state, table, step, numbers):
    """Draws of one slot."""
    own = at(table, step)
    sums.one(
        at(numbers, own[1]), at(table, own[2]), own[3], state[DRAWS],
        numbers[own[4]], at(numbers, own[5]), at(numbers, own[6]),
    )  # fmt: skip


def sum_one_about_0(state, table, step, numbers):
    """Draws of one slot, about a centre of 0."""
    own = at(table, step)
    sums.one_about_0(
        at(numbers, own[1]), at(table, own[2]), own[3], state[DRAWS], 0.0, at(numbers, own[5]), at(numbers, own[6])
    )


def sum_several(state, table, step, numbers):
    """Draws of several slots."""
    own = at(table, step)
    sums.several(
        at(numbers, own[1]), at(table, own[2]), own[3], state[DRAWS],
        numbers[own[4]], at(numbers, own[5]), at(numbers, own[6]),
    )  # fmt: skip


def sum_several_about_0(state, table, step, numbers):
    """Draws of several slots, about a centre of 0."""
    own = at(table, step)
    sums.several_about_0(
        at(numbers, own[1]), at(table, own[2]), own[3], state[DRAWS], 0.0, at(numbers, own[5]), at(numbers, own[6])
    )


def end_batch(state, table, step, numbers):
    """centre, partial: the extremes of the batch into those of the block."""
    own = at(table, step)
    sums.end_batch(state[DRAWS] == LANES, numbers[own[1]], carray(at(numbers, own[2]), (sums.SUMS, sums.COLUMNS)))


SUM_STEPS = ((sum_one, sum_one_about_0), (sum_several, sum_several_about_0))  # [several slots][centre is 0]
