"""Ranges of blocks, each long enough to be worth a journey to another machine and short enough to lose."""

import math
from collections.abc import Iterator

from gradstat.estimation.blocks import Block

RANGE_SECONDS = 2.0  # a range takes between half of this and all of it

Range = tuple[Block, Block]  # its first and its last block


class Ranges:
    """The blocks that are still to do, cut along the tree of merges into ranges that take about equally long."""

    def __init__(self, blocks: Iterator[Block]) -> None:
        self._blocks = iter(blocks)
        self._next = next(self._blocks, None)
        self._level = 0  # a range lies within one node of this level; the first ones are single blocks, and are timed

    def __bool__(self) -> bool:
        """True while there is one to take."""
        return self._next is not None

    def take(self) -> Range | None:
        """The next range; None when all are taken."""
        if self._next is None:
            return None
        first = last = self._next
        self._next = next(self._blocks, None)
        while self._next and self._next.number == last.number + 1 and self._same_node(first, self._next):
            last, self._next = self._next, next(self._blocks, None)
        return first, last

    def timed(self, own: Range, seconds: float) -> None:
        """Cut the next ranges to the length that this one recommends."""
        blocks = own[1].number - own[0].number + 1
        self._level = max(0, math.floor(math.log2(max(1.0, RANGE_SECONDS * blocks / max(seconds, 1e-6)))))

    def _same_node(self, one: Block, other: Block) -> bool:
        return one.number >> self._level == other.number >> self._level
