"""A segment is a range of blocks sampled for a fixed set of cases.

Cases that need more draws continue in a further segment of their group. Results do not depend on how cases are grouped.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from gradstat.errors import UsageError
from gradstat.estimation.blocks import Blocks
from gradstat.estimation.estimators import Estimator
from gradstat.estimation.groups import Group
from gradstat.estimation.merge_tree import Accumulators, MergeTree
from gradstat.estimation.tasks import Finished
from gradstat.layer_types.case import Case


@dataclass(frozen=True)
class Segment:
    """Blocks that all cases of a group need. `case_indices`: the positions of these cases in the run."""

    group: Group
    case_indices: tuple[int, ...]
    blocks: Blocks
    estimator: Estimator

    @property
    def label(self) -> str:
        """The labels of the cases."""
        return ", ".join(case.label for case in self.group.cases)

    def shard(self, index: int, of: int) -> "Segment":
        """The blocks of one shard; UsageError if it would have fewer than two randomizations."""
        units = len(self.blocks) // self.blocks.blocks_per_unit
        if self.blocks.unit_draws and units < 2 * of:
            raise UsageError(
                f"--shard {index}/{of}: of {units} {self.estimator.units}, a shard takes two or more for its errors; "
                f"allowed: up to {units // 2} shards"
            )
        return replace(self, blocks=self.blocks.shard(index, of))


@dataclass(frozen=True)
class SegmentSnapshot:
    """The finished nodes of a segment, as files hold them."""

    case_indices: tuple[int, ...]
    blocks: Blocks
    centres: tuple[float, ...]
    nodes: tuple[Finished, ...]


def segments(
    cases: Sequence[Case], groups: Sequence[Group], draws: Callable[[Case], int], estimator: Estimator
) -> Iterator[Segment]:
    """The segments that give every case its number of draws. All but the last segment of a group have whole blocks."""
    places = {id(case): place for place, case in enumerate(cases)}
    for group in groups:
        first = 0
        for samples in sorted({draws(case) for case in group.cases}):
            longer = [case for case in group.cases if draws(case) >= samples]
            own = longer if estimator.nested else [case for case in longer if draws(case) == samples]
            subgroup, blocks = group.only(own), estimator.blocks(group, samples)
            if estimator.nested:
                first, blocks = blocks.last, replace(blocks, first=first)
            yield Segment(subgroup, tuple(places[id(case)] for case in subgroup.cases), blocks, estimator)


def snapshot(segment: Segment, tree: MergeTree) -> SegmentSnapshot:
    """The nodes of a tree with their numbers of draws."""
    nodes = [Finished(node, rows, segment.blocks.draws(node) or 0) for node, rows in sorted(tree.nodes.items())]
    return SegmentSnapshot(segment.case_indices, segment.blocks, tuple(segment.group.centres.tolist()), tuple(nodes))


def moments(
    cases: Sequence[Case], snapshots: Iterable[SegmentSnapshot], estimator: Estimator
) -> list[Accumulators | None]:
    """Accumulators [row, WIDTH] of every case, merged along the tree; None for a case without draws."""
    trees = [MergeTree() for _ in cases]
    for snapshot in snapshots:
        ends = [0]
        for place in snapshot.case_indices:
            trees[place].stop_level = snapshot.blocks.stop_level
        for place in snapshot.case_indices:
            ends.append(ends[-1] + len(cases[place].shape.rows))
        for node, rows, _ in snapshot.nodes:
            for i, place in enumerate(snapshot.case_indices):
                trees[place].add(node, rows[ends[i] : ends[i + 1]].copy())
    return [estimator.total(tree) if tree.nodes else None for tree in trees]
