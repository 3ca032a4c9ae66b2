"""The program of a block: the steps of every batch in a table of integers, and the numbers that they work on.

A program contains only the steps that its group needs, and only those are compiled: most runs have neither correlated
inputs nor noise.
"""

from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Any

import numpy as np

from gradstat.assumptions import Input, Upstream
from gradstat.distributions import NORMAL
from gradstat.estimation import steps
from gradstat.estimation.groups import Array, Group, map_of
from gradstat.estimation.mc_kernel import STEP_WIDTH
from gradstat.layer_types.record import FORWARD
from gradstat.numerics import sums
from gradstat.numerics.draws import DY_SHARED, DY_UNIFORM, LANES, NOISE, SIGNAL, X_UNIFORM

PAD = 16  # numbers between two arrays: lanes of equal index would compete for the same lines of the first-level cache
LINE = 8  # numbers in a line of the cache


class Program:
    """Steps, and the places of all rows of numbers. Names of rows hold places; a row has 1024 lanes."""

    def __init__(self, n_in: int, n_out: int, noise: int = 0) -> None:
        self._size = 0
        both = self._rows(max(n_out + n_in, 2))
        # The random bits share memory with y and dx: the arrays of an activation then fit into the first-level cache.
        self.bits, self.y, self.dx = both[0], both[:n_out], both[n_out : n_out + n_in]
        self.x, self.dy, self.noise = self._rows(n_in), self._rows(n_out), self._rows(noise)
        self.spare, self.shared = self._rows(1)[0], self._rows(1)[0]
        self._known: list[float] = []  # the numbers behind the rows: constants and empty sums
        self._lists: list[int] = []
        self._steps: list[list[int]] = []
        self._marks: list[int] = []
        self._sums: list[tuple[int, int]] = []

    def add(self, step: Callable[..., Any], *arguments: int) -> None:
        """Append a step."""
        self._steps.append([steps.address_of(step), *arguments, *[0] * (STEP_WIDTH - 1 - len(arguments))])

    def mark(self) -> None:
        """Remember the next step as the beginning of a part."""
        self._marks.append(len(self._steps))

    def numbers(self, values: Any) -> int:
        """The place of these numbers."""
        place = self._size + len(self._known)
        self._known.extend(np.ravel(values).tolist())
        return place

    def integers(self, values: Sequence[int]) -> int:
        """The place of these integers in the table."""
        place = len(self._lists)
        self._lists.extend(values)
        return place

    def sums(self) -> tuple[int, int]:
        """The places of the empty partial sums and totals of one row of results."""
        partial, totals = np.empty((sums.SUMS, sums.COLUMNS)), np.empty((sums.TOTALS, sums.COLUMNS))
        sums.reset(partial, totals)  # type: ignore[no-untyped-call]
        self._sums.append((self.numbers(partial), self.numbers(totals)))
        return self._sums[-1]

    @cached_property
    def table(self) -> Any:
        """Lists of integers, then the steps."""
        return np.array([*self._lists, *(number for step in self._steps for number in step)], np.int64)

    @cached_property
    def marks(self) -> Any:
        """The places in the table where parts begin, and its end."""
        places = [len(self._lists) + STEP_WIDTH * step for step in (*self._marks, len(self._steps))]
        return np.array(places, np.int64)

    @cached_property
    def _constants(self) -> Array:
        return np.array(self._known)

    def room(self) -> Array:
        """The numbers of one block: uninitialized rows, constants, empty sums. Rows begin at lines of the cache."""
        known = self._constants
        room = np.empty(self._size + known.size + LINE)
        skipped = -(room.ctypes.data // room.itemsize) % LINE
        numbers = room[skipped : skipped + self._size + known.size]
        numbers[self._size :] = known
        return numbers

    def state(self, seed: int, stream: int) -> Any:
        """The state of a block (see `steps.py`)."""
        return np.array([seed, stream, 0, 0], np.uint64).view(np.int64)

    def results(self, numbers: Array) -> tuple[Array, Array]:
        """The partial sums and the totals of all rows of results."""
        first, size = self._sums[0][0], (sums.SUMS + sums.TOTALS) * sums.COLUMNS
        both = numbers[first : first + size * len(self._sums)].reshape(-1, sums.SUMS + sums.TOTALS, sums.COLUMNS)
        return np.ascontiguousarray(both[:, : sums.SUMS]), np.ascontiguousarray(both[:, sums.SUMS :])

    def rows(self, numbers: Array, places: Sequence[int]) -> Array:
        """Consecutive rows, [slot, lane]."""
        first = places[0] if places else 0
        return numbers[first : first + len(places) * LANES].reshape(-1, LANES)

    def _rows(self, count: int) -> list[int]:
        first = self._size
        self._size += count * LANES + PAD
        return [first + row * LANES for row in range(count)]


def block_program(group: Group) -> Program:
    """The program of a group about its centres: x and dy, then each layer's noise, values and sums.

    Parts: x and dy, then one per layer. Layers with a stream have their sums only, since they draw weights by
    themselves.
    """
    program = values_program(group)
    row = 0
    sums_of_rows = [program.sums() for _ in group.rows]
    centres = [program.numbers(centre) for centre in group.centres]
    for layer, case in enumerate(group.cases):
        program.mark()
        if group.streams is None:
            add_layer(program, group, layer)
        for own in case.shape.rows:
            values = program.y if own.direction == FORWARD else program.dx
            add_sums(program, values[0], own.slots, group.centres[row] == 0.0, centres[row], *sums_of_rows[row])
            row += 1
    return program


def values_program(group: Group) -> Program:
    """The program that draws x and dy of a group."""
    first = group.cases[0]
    program = Program(first.shape.n_in, first.shape.n_out, max(case.shape.noise for case in group.cases))
    program.mark()
    add_signal(program, first.x, first.dy, map_of(first))
    return program


def add_signal(program: Program, x: Input, dy: Upstream, sizes: Sequence[int]) -> None:
    """Append x with its distribution, mean, std and correlation on its map; dy with its own and its correlation."""
    x_law, dy_law = x.law, dy.law
    mapped = x.correlation != 0.0 and len(sizes) > 0
    if mapped or x_law is NORMAL or dy_law is NORMAL:
        add_normals(program, SIGNAL, alternating(program.x, program.dy))
    if mapped:
        (correlate_equally if sizes[0] == 0 else correlate)(program, x.correlation, sizes)
        if x_law is not NORMAL:
            for row in program.x:
                program.add(steps.transform, row, x_law.code)
    elif x_law is not NORMAL:
        add_quantiles(program, X_UNIFORM, program.x, x_law.code)
    if dy_law is not NORMAL:
        add_quantiles(program, DY_UNIFORM, program.dy, dy_law.code)
    if x.mean != 0.0 or x.std != 1.0:
        mean, std = program.numbers(x.mean), program.numbers(x.std)
        for row in program.x:
            program.add(steps.shift, row, row, mean, std)
    if dy.correlation != 0.0:
        if dy_law is NORMAL:
            add_normals(program, DY_SHARED, [program.shared])
        else:
            add_quantiles(program, DY_SHARED, [program.shared], dy_law.code)
        common = program.numbers(np.sqrt(dy.correlation))
        own = program.numbers(np.sqrt(1.0 - dy.correlation))
        for row in program.dy:
            program.add(steps.mix, row, program.shared, common, own)


def alternating(x: Sequence[int], dy: Sequence[int]) -> list[int]:
    """X[0], dy[0], x[1], dy[1], … while both have rows, then the rows of the longer one."""
    both = min(len(x), len(dy))
    return [row for pair in zip(x, dy, strict=False) for row in pair] + [*x[both:], *dy[both:]]


def add_normals(program: Program, stream: int, rows: Sequence[int]) -> None:
    """Append standard normals, two rows at a time: an activation's x and dy are one Box-Muller pair."""
    for first in range(0, len(rows), 2):
        second = rows[first + 1] if first + 1 < len(rows) else program.spare
        program.add(steps.draw_normals, first // 2, stream, program.bits, rows[first], second)


def add_uniforms(program: Program, stream: int, rows: Sequence[int]) -> None:
    """Append uniforms on (0, 1)."""
    for slot, row in enumerate(rows):
        program.add(steps.draw_uniforms, slot, stream, program.bits, row)


def add_quantiles(program: Program, stream: int, rows: Sequence[int], kind: int) -> None:
    """Append a distribution of zero mean and unit variance other than the normal."""
    add_uniforms(program, stream, rows)
    for row in rows:
        program.add(steps.to_quantiles, row, kind)


def correlate(program: Program, rho: float, sizes: Sequence[int]) -> None:
    """Give the standard normals x[channel·map] the correlation ρ^|distance| along each dimension of their map.

    x[i] ← ρ·x[i − 1] + √(1 − ρ²)·x[i], dimension by dimension: a separable stationary process of unit variance.
    """
    old, fresh = program.numbers(rho), program.numbers(np.sqrt(1.0 - rho * rho))
    stride = 1
    for size in reversed(sizes):
        for slot, row in enumerate(program.x):
            if (slot // stride) % size > 0:
                program.add(steps.mix, row, program.x[slot - stride], old, fresh)
        stride *= size


def correlate_equally(program: Program, rho: float, sizes: Sequence[int]) -> None:
    """Give the standard normals x[slot] the correlation ρ, the same for each pair of slots.

    x[i] ← a·Σ x[j < i] + √(1 − iρa)·x[i] with a = ρ/(1 + (i − 1)ρ), which needs ρ > −1/(slots − 1).
    """
    zero, one = program.numbers(0.0), program.numbers(1.0)
    total = program.shared
    program.add(steps.shift, total, program.x[0], zero, one)
    for slot in range(1, len(program.x)):
        if slot > 1:
            program.add(steps.mix, total, program.x[slot - 1], one, one)
        share = rho / (1.0 + (slot - 1) * rho)
        fresh = np.sqrt(1.0 - slot * rho * share)
        program.add(steps.mix, program.x[slot], total, program.numbers(share), program.numbers(fresh))


def add_layer(program: Program, group: Group, layer: int) -> None:
    """Append the noise of one layer, and the layer forward and backward."""
    addresses, shapes, _, constants = group.arrays[:4]
    case = group.cases[layer]
    (add_uniforms if case.shape.noise_kind == "uniform" else add_normals)(
        program, NOISE, program.noise[: case.shape.noise]
    )
    first = [(rows or [program.spare])[0] for rows in (program.x, program.dy, program.noise, program.y, program.dx)]
    place, numbers = program.integers(shapes[layer].tolist()), program.numbers(constants[layer])
    program.add(steps.evaluate, int(addresses[layer]), place, numbers, *first)


def add_sums(
    program: Program, values: int, slots: Sequence[int], about_0: bool, centre: int, partial: int, totals: int
) -> None:
    """Append the sums of one row of results over its slots."""
    step = steps.SUM_STEPS[len(slots) > 1][bool(about_0)]
    program.add(step, values, program.integers(slots), len(slots), centre, partial, totals)
    program.add(steps.end_batch, centre, partial)
