"""Block ranges sized to take one to two seconds on a worker: long against the transfer, short enough to repeat."""

import math
from collections.abc import Iterator

from gradstat.estimation.blocks import Block

RANGE_SECONDS = 2.0  # a range takes from half of this to all of it

Range = tuple[Block, Block]  # its first and its last block


class Ranges:
    """The remaining blocks, cut along the merge tree into ranges of about equal duration."""

    def __init__(self, blocks: Iterator[Block]) -> None:
        self._blocks = iter(blocks)
        self._next = next(self._blocks, None)
        self._returned: list[Range] = []
        self._level = (
            0  # a range lies within one node of this level; the first ranges are single blocks, which are timed
        )

    def __bool__(self) -> bool:
        """True if a range is left."""
        return self._next is not None or bool(self._returned)

    def give_back(self, own: Range) -> None:
        """Return a range that was not sampled; it is taken again before all others."""
        self._returned.append(own)

    def take(self) -> Range | None:
        """The next range; None if none is left."""
        if self._returned:
            return self._returned.pop()
        if self._next is None:
            return None
        first = last = self._next
        self._next = next(self._blocks, None)
        while self._next and self._next.number == last.number + 1 and self._same_node(first, self._next):
            last, self._next = self._next, next(self._blocks, None)
        return first, last

    def timed(self, own: Range, seconds: float) -> None:
        """Adapt the length of the next ranges to the duration of this one."""
        blocks = own[1].number - own[0].number + 1
        self._level = max(0, math.floor(math.log2(max(1.0, RANGE_SECONDS * blocks / max(seconds, 1e-6)))))

    def _same_node(self, one: Block, other: Block) -> bool:
        return one.number >> self._level == other.number >> self._level
