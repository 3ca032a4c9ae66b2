"""Accumulators of block ranges, merged along the binary tree over block numbers.

The block numbers alone fix the tree, so the bytes do not depend on which process computed a block, or when. The tree
holds at most log₂(number of blocks) nodes, plus the blocks whose siblings are not finished.
"""

from typing import Any

import numpy as np

from gradstat.numerics.moments import merge

Accumulators = np.ndarray[Any, np.dtype[np.float64]]
Node = tuple[int, int]  # (level, index): blocks [index·2^level, (index + 1)·2^level)
ROOT = 63  # higher than the level of any tree


class MergeTree:
    """The finished nodes of the tree. Two siblings below `stop_level` are merged into their parent."""

    def __init__(self, stop_level: int = ROOT) -> None:
        self.stop_level = stop_level
        self.nodes: dict[Node, Accumulators] = {}

    def add(self, node: Node, accumulators: Accumulators) -> None:
        """Add a finished node [row, WIDTH]. In a merge, the lower block numbers come first."""
        level, index = node
        while level < self.stop_level and (level, index ^ 1) in self.nodes:
            sibling = self.nodes.pop((level, index ^ 1))
            first, second = (accumulators, sibling) if index % 2 == 0 else (sibling, accumulators)
            merge(first, second, first)
            accumulators, level, index = first, level + 1, index >> 1
        self.nodes[level, index] = accumulators

    @property
    def has_error(self) -> bool:
        """True if an error can be estimated: any node for independent draws, two complete randomizations for rqmc."""
        return self.stop_level == ROOT or sum(level == self.stop_level for level, _ in self.nodes) > 1

    def total(self) -> Accumulators:
        """All nodes merged in block order."""
        ordered = sorted(self.nodes.items(), key=lambda item: item[0][1] << item[0][0])
        total = ordered[0][1].copy()
        for _, accumulators in ordered[1:]:
            merge(total, accumulators, total)
        return total
