"""From cases to groups of work: cases that need the same draws are sampled together."""

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from gradstat.estimation.callbacks import callback_of
from gradstat.estimation.mc_kernel import run_block
from gradstat.estimation.merge_tree import ROOT, Node
from gradstat.layer_types.record import FORWARD, Row
from gradstat.layer_types.registry import Case
from gradstat.numerics.draws import DISTRIBUTION_CODES, LANES
from gradstat.numerics.jit import Kernel
from gradstat.numerics.moments import WIDTH, finish_rows, merge
from gradstat.numerics.sums import COLUMNS, SUMS, TOTALS

Array = np.ndarray[Any, np.dtype[np.float64]]

BLOCK_DRAWS = 2**18  # of a draw of two numbers: a block takes milliseconds, its overhead a hundredth of that


@dataclass(frozen=True)
class Block:
    """Draws [first, first + draws) of one group; `number` is its place in the tree of merges."""

    number: int
    first: int
    draws: int

    @property
    def node(self) -> Node:
        """Its leaf in the tree."""
        return 0, self.number


@dataclass(frozen=True)
class Blocks:
    """The blocks [first, last) of draws [0, samples), each of `length` draws but for the very last one.

    `unit_draws` of them in a row belong together where an estimator says so: only blocks of the same unit are alike.
    """

    samples: int
    length: int
    first: int
    last: int
    unit_draws: int = 0  # in draws; 0: all are independent

    @classmethod
    def of(cls, samples: int, length: int, first: int = 0) -> "Blocks":
        """All blocks of draws [0, samples) from number `first` on."""
        return cls(samples, length, first, -(-samples // length))

    def __len__(self) -> int:
        return self.last - self.first

    def __iter__(self) -> Iterator[Block]:
        return self.without(())

    def same_layout_as(self, other: "Blocks") -> bool:
        """Whether a block of one with the number and the draws of a block of the other is the same block."""
        return (self.length, self.unit_draws) == (other.length, other.unit_draws)

    @property
    def blocks_per_unit(self) -> int:
        """The blocks of a unit."""
        return max(self.unit_draws // self.length, 1)

    @property
    def stop_level(self) -> int:
        """The level of the tree at which units stay apart."""
        return self.blocks_per_unit.bit_length() - 1 if self.unit_draws else ROOT

    @property
    def total(self) -> int:
        """The draws in all of them."""
        return min(self.last * self.length, self.samples) - self.first * self.length if len(self) else 0

    def draws(self, node: Node) -> int | None:
        """The draws in a node; None where it is not made of these blocks alone."""
        level, index = node
        first, last = index << level, (index + 1) << level
        if not self.first <= first < last <= self.last:
            return None
        return min(last * self.length, self.samples) - first * self.length

    def without(self, nodes: Iterable[Node]) -> Iterator[Block]:
        """The blocks that are in none of these nodes."""
        number = self.first
        for level, index in sorted(nodes, key=lambda node: node[1] << node[0]):
            yield from self._from_to(number, index << level)
            number = (index + 1) << level
        yield from self._from_to(number, self.last)

    def shard(self, index: int, of: int) -> "Blocks":
        """The `index`-th of so many shares in a row, as equal as whole units allow; some are empty if need be."""
        units = len(self) // self.blocks_per_unit
        first, last = (self.first + units * i // of * self.blocks_per_unit for i in (index - 1, index))
        return replace(self, first=first, last=last)

    def _from_to(self, first: int, last: int) -> Iterator[Block]:
        for number in range(first, last):
            start = number * self.length
            yield Block(number, start, min(self.length, self.samples - start))


class Group:
    """Cases with the same x and dy, and the arrays that tell the block kernel about them."""

    def __init__(self, cases: Sequence[Case], callbacks: Sequence[Any] | None = None) -> None:
        self.cases = tuple(cases)
        self.block_draws = block_draws(cases[0])
        self.rows: list[tuple[Case, Row]] = [(case, row) for case in cases for row in case.shape.rows]
        # kept: their code lives as long as they do
        self._callbacks = [callback_of(case) for case in cases] if callbacks is None else callbacks
        shapes = [(c.shape.n_in, c.shape.n_out, c.shape.noise, len(c.constants)) for c in cases]
        width = max(1, *(shape[3] for shape in shapes)) if shapes else 1
        constants = np.zeros((len(cases), width))
        for line, case in zip(constants, cases, strict=True):
            line[: len(case.constants)] = case.constants
        owners = [layer for layer, case in enumerate(cases) for _ in case.shape.rows]
        ends = np.cumsum([len(row.slots) for _, row in self.rows])
        table = [
            (layer, int(row.direction != FORWARD), end - len(row.slots), end)
            for layer, (_, row), end in zip(owners, self.rows, ends, strict=True)
        ]
        self.arrays: tuple[Any, ...] = (
            np.array([callback.address for callback in self._callbacks], np.int64),
            np.array(shapes, np.int64),
            np.array([int(c.shape.noise_kind == "uniform") for c in cases], np.int64),
            constants,
            np.array(table, np.int64),
            np.concatenate([np.array(row.slots, np.int64) for _, row in self.rows]),
        )
        self.slots_of_rows = np.array([len(row.slots) for _, row in self.rows], np.int64)
        self.centres = np.zeros(len(self.rows))
        x, dy = cases[0].x, cases[0].dy
        kinds = (DISTRIBUTION_CODES[x.distribution], DISTRIBUTION_CODES[dy.distribution])
        scale = (x.mean, x.std, x.correlation, dy.correlation)
        sizes = cases[0].shape.grid
        self.assumptions = (np.array(kinds, np.int64), np.array(scale), np.array(sizes, np.int64))

    def empty(self) -> tuple[Array, Array, Array]:
        """Room for the partial sums, the totals and the accumulators of every row."""
        n = len(self.rows)
        return np.empty((n, SUMS, COLUMNS)), np.empty((n, TOTALS, COLUMNS)), np.empty((n, WIDTH))

    def blocks(self, samples: int) -> Blocks:
        """The blocks of draws [0, samples)."""
        return Blocks.of(samples, self.block_draws)

    def only(self, cases: Sequence[Case]) -> "Group":
        """Some cases of this group with their centres; nothing is compiled again."""
        if len(cases) == len(self.cases):
            return self
        wanted = {id(case) for case in cases}
        kept = [i for i, case in enumerate(self.cases) if id(case) in wanted]
        group = Group([self.cases[i] for i in kept], [self._callbacks[i] for i in kept])
        group.centres[:] = self.centres[[id(case) in wanted for case, _ in self.rows]]
        return group


def block_draws(case: Case) -> int:
    """Draws per block: a power of two that shrinks with the numbers in a draw, so that blocks take equally long.

    Depends on the case alone: a layer gives the same digits whatever else is in the run.
    """
    numbers = case.shape.n_in + case.shape.n_out + case.shape.noise
    return max(LANES, BLOCK_DRAWS >> max(0, math.ceil(math.log2(numbers / 2))))


def groups(cases: Sequence[Case], kernel: Kernel = run_block) -> list[Group]:
    """One group for all cases that agree in slots, assumptions and block size, in order of first appearance.

    What sampling needs is compiled here, in the caller's thread, so that no block waits for it.
    """
    for needed in (kernel, finish_rows, merge):
        needed.prepare()
    found: dict[Any, list[Case]] = {}
    for case in cases:
        grid = case.shape.grid if case.x.correlation else ()
        key = (case.shape.n_in, case.shape.n_out, grid, case.x, case.dy, block_draws(case))
        found.setdefault(key, []).append(case)
    return [Group(members) for members in found.values()]
