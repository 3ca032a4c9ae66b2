"""Blocks: ranges of draws that are sampled at once, numbered along the tree of merges."""

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from gradstat.estimation.merge_tree import ROOT, Node
from gradstat.layer_types.case import Case
from gradstat.numerics.draws import LANES

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


def block_draws(case: Case) -> int:
    """Draws per block: a power of two that shrinks with the numbers in a draw, so that blocks take equally long.

    Depends on the case alone: a layer gives the same digits whatever else is in the run.
    """
    numbers = case.shape.n_in + case.shape.n_out + case.shape.noise
    return max(LANES, BLOCK_DRAWS >> max(0, math.ceil(math.log2(numbers / 2))))
