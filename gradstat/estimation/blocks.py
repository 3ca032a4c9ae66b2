"""Blocks: numbered ranges of draws, each sampled by one call of a kernel."""

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from gradstat.estimation.merge_tree import ROOT, Node
from gradstat.layer_types.case import Case
from gradstat.numerics.draws import LANES

BLOCK_DRAWS = 2**18  # for draws of two numbers: a block takes milliseconds, and its overhead is one percent
PILOT_DRAWS = 2**18
PILOT_NUMBERS = 2**26  # that a pilot draws at most, about: 0.4 to 0.7 s of one core
FEWEST_PILOT_DRAWS = 256


@dataclass(frozen=True)
class Block:
    """Draws [first, first + draws) of one group; `number` is its index in the merge tree."""

    number: int
    first: int
    draws: int

    @property
    def node(self) -> Node:
        """The leaf of the block in the merge tree."""
        return 0, self.number


@dataclass(frozen=True)
class Blocks:
    """The blocks [first, last) of draws [0, samples), each of `length` draws except the very last one.

    `unit_draws`: draws per randomization (rqmc), 0 for independent draws. Blocks are interchangeable only between runs
    with equal `unit_draws`.
    """

    samples: int
    length: int
    first: int
    last: int
    unit_draws: int = 0  # 0: all draws are independent

    @classmethod
    def of(cls, samples: int, length: int, first: int = 0) -> "Blocks":
        """All blocks of draws [0, samples), starting with block `first`."""
        return cls(samples, length, first, -(-samples // length))

    def __len__(self) -> int:
        return self.last - self.first

    def __iter__(self) -> Iterator[Block]:
        return self.without(())

    def same_layout_as(self, other: "Blocks") -> bool:
        """True if equal block numbers mean equal draws in both."""
        return (self.length, self.unit_draws) == (other.length, other.unit_draws)

    @property
    def blocks_per_unit(self) -> int:
        """Blocks per randomization; 1 for independent draws."""
        return max(self.unit_draws // self.length, 1)

    @property
    def stop_level(self) -> int:
        """The level at which the tree stops merging: one node per randomization."""
        return self.blocks_per_unit.bit_length() - 1 if self.unit_draws else ROOT

    @property
    def total(self) -> int:
        """The number of draws in all blocks."""
        return min(self.last * self.length, self.samples) - self.first * self.length if len(self) else 0

    def draws(self, node: Node) -> int | None:
        """The number of draws in a node; None if it contains other blocks."""
        level, index = node
        first, last = index << level, (index + 1) << level
        if not self.first <= first < last <= self.last:
            return None
        return min(last * self.length, self.samples) - first * self.length

    def without(self, nodes: Iterable[Node]) -> Iterator[Block]:
        """The blocks that none of these nodes contains."""
        number = self.first
        for level, index in sorted(nodes, key=lambda node: node[1] << node[0]):
            yield from self._from_to(number, index << level)
            number = (index + 1) << level
        yield from self._from_to(number, self.last)

    def shard(self, index: int, of: int) -> "Blocks":
        """Shard `index` of `of`: consecutive blocks in whole randomizations.

        All shards have nearly equal numbers of blocks; a shard may be empty.
        """
        units = len(self) // self.blocks_per_unit
        first, last = (self.first + units * i // of * self.blocks_per_unit for i in (index - 1, index))
        return replace(self, first=first, last=last)

    def _from_to(self, first: int, last: int) -> Iterator[Block]:
        for number in range(first, last):
            start = number * self.length
            yield Block(number, start, min(self.length, self.samples - start))


def block_draws(case: Case) -> int:
    """Draws per block: a power of two, smaller for draws of many numbers, so that all blocks take about the same time.

    It depends only on the case, so the other layers of a run do not change a layer's digits.
    """
    return max(LANES, BLOCK_DRAWS >> max(0, math.ceil(math.log2(case.shape.numbers / 2))))


def pilot_draws(case: Case) -> int:
    """Draws of the pilot: a power of two, fewer than usual for draws of more than 256 numbers.

    It depends only on the case, as the draws per block do.
    """
    affordable = 1 << (PILOT_NUMBERS // case.shape.numbers).bit_length() >> 1
    return max(FEWEST_PILOT_DRAWS, min(PILOT_DRAWS, affordable))
