"""A run: pilot, plan, segments, statistics, and the comparison with exact values."""

import math
import os
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from gradstat.estimation.engines import Engine, threads
from gradstat.estimation.error_bars import with_error_bars
from gradstat.estimation.estimates import Estimates, estimates
from gradstat.estimation.estimators import MC, Estimator
from gradstat.estimation.groups import Group, groups
from gradstat.estimation.merge_tree import Accumulators, MergeTree, Node
from gradstat.estimation.precision import Target, allowed, draws_needed, seen
from gradstat.estimation.segments import Segment, SegmentSnapshot, moments, segments, snapshot
from gradstat.estimation.significance import score
from gradstat.estimation.tasks import Finished
from gradstat.layer_types.case import Case
from gradstat.layer_types.record import BACKWARD, Exact, Row
from gradstat.numerics.draws import PILOT

PILOT_GROWTH = 4
Samples = int | Target  # draws per case, or the target that determines them


@dataclass(frozen=True)
class ResultRow:
    """One row of a result: case and row, estimates, and the exact value if known."""

    case: Case
    row: Row
    estimates: Estimates
    accumulators: Accumulators
    exact: Exact | None
    no_error_bar: str = ""  # why statistics have an infinite standard error
    independent: bool = True  # draws: then exact moments give standard errors too

    @property
    def symmetric(self) -> bool:
        """True if the law of a draw is symmetric about 0."""
        return is_symmetric(self.case, self.row)

    @property
    def z_mean(self) -> float | None:
        """(mean − exact) in standard errors, as a normal score; None if the mean is not judged."""
        return score(self, "mean").z

    @property
    def z_std(self) -> float | None:
        """(std − exact) in standard errors, as a normal score; None if the std is not judged."""
        return score(self, "std").z


class RunListener(Protocol):
    """The interface that receives the events of a run, one call at a time."""

    def compiling(self) -> AbstractContextManager[None]:
        """A context in which kernels are compiled."""

    def planned(self, segments: Sequence[Segment], target: Target | None) -> None:
        """Called after the pilot, with the segments to sample."""

    def begin(self, segment: Segment, finished: int) -> None:
        """Called when a segment begins, of which an earlier process finished `finished` draws."""

    def done(self, segment: Segment, tree: MergeTree, draws: int) -> None:
        """Called when `draws` more draws are in the merge tree of the segment."""


class IgnoringListener:
    """A listener that ignores every event."""

    def compiling(self) -> AbstractContextManager[None]:
        return nullcontext()

    def planned(self, segments: Sequence[Segment], target: Target | None) -> None:
        return

    def begin(self, segment: Segment, finished: int) -> None:
        return

    def done(self, segment: Segment, tree: MergeTree, draws: int) -> None:
        return


class Checkpointer:
    """Saves finished nodes so that a later process can resume the run. The base class saves nothing."""

    def finished(self, segment: Segment) -> Sequence[Finished]:
        """The nodes that an earlier process saved."""
        return ()

    def keep(self, segment: Segment, tree: MergeTree) -> None:
        """Called when more draws are in the merge tree of the segment."""


NO_LISTENER, NO_CHECKPOINTS = IgnoringListener(), Checkpointer()


def run(
    cases: Sequence[Case],
    samples: Samples,
    seed: int,
    jobs: int = 0,
    engine: Engine = threads,
    estimator: Estimator = MC,
    listener: RunListener = NO_LISTENER,
) -> list[ResultRow]:
    """Sample every case, and return the rows in the order of the cases."""
    with listener.compiling():
        grouped = prepared_groups(cases, estimator)
    planned = plan(cases, grouped, samples, seed, jobs, engine, estimator)
    listener.planned(planned, None if isinstance(samples, int) else samples)
    return result_rows(cases, execute(planned, seed, jobs, engine, listener), estimator)


def prepared_groups(cases: Sequence[Case], estimator: Estimator = MC) -> list[Group]:
    """The groups of these cases, with the kernels that sample them compiled."""
    found = groups(cases, estimator.nested)
    for group in found:
        estimator.prepare(group)
    return found


def plan(
    cases: Sequence[Case],
    found: Sequence[Group],
    samples: Samples,
    seed: int,
    jobs: int,
    engine: Engine,
    estimator: Estimator = MC,
) -> list[Segment]:
    """Run the pilot of every group, which gives the centres and, for a target, the draws of each case.

    The centres of a symmetric group are 0, and a given number of draws needs no pilot then.
    """
    draws: dict[int, int] = {}
    for group in found:
        if isinstance(samples, int) and group.symmetric:
            draws |= {id(case): samples for case in group.cases}
            continue

        def pilot(draws: int, group: Group = group) -> Accumulators:
            return estimator.total(sample(group, draws, seed, PILOT, jobs, engine, estimator))

        first = pilot(group.pilot_draws)
        group.centres[:] = centres(first)
        if isinstance(samples, int):
            draws |= {id(case): samples for case in group.cases}
        else:
            draws |= _aimed(group, first, pilot, samples, estimator)
    return list(segments(cases, found, lambda case: draws[id(case)], estimator))


def _aimed(
    group: Group, found: Accumulators, pilot: Callable[[int], Accumulators], target: Target, estimator: Estimator
) -> dict[int, int]:
    """The draws of each case. For estimators without a law for their errors, pilots grow until errors are small."""
    draws: dict[int, int] = {}
    n = group.pilot_draws
    while True:
        rows = [
            result_row(case, row, own, case.moments(row), estimator)
            for (case, row), own in zip(group.rows, found, strict=True)
        ]
        for case in group.cases:
            own = [row for row in rows if row.case is case]
            if estimator.nested:
                wanted = draws_needed(own, target)
                draws[id(case)] = allowed(wanted if math.isfinite(wanted) else n, target, group.block_draws)
            elif n >= target.max_samples or seen([row.estimates for row in own], target):
                draws.setdefault(id(case), min(n, target.max_samples))
        if len(draws) == len(group.cases):
            return draws
        n *= PILOT_GROWTH
        found = pilot(n)


def execute(
    planned: Sequence[Segment],
    seed: int,
    jobs: int,
    engine: Engine,
    listener: RunListener = NO_LISTENER,
    checkpointer: Checkpointer = NO_CHECKPOINTS,
) -> list[SegmentSnapshot]:
    """Sample the unfinished blocks of every segment."""
    return [
        _sample_segment(segment, seed, jobs or available_cpus(), engine, listener, checkpointer) for segment in planned
    ]


def _sample_segment(
    segment: Segment, seed: int, jobs: int, engine: Engine, listener: RunListener, checkpointer: Checkpointer
) -> SegmentSnapshot:
    tree, before = MergeTree(segment.blocks.stop_level), checkpointer.finished(segment)
    for node, accumulators, _ in before:
        tree.add(node, accumulators)
    listener.begin(segment, sum(draws for _, _, draws in before))

    def done(node: Node, accumulators: Accumulators, draws: int) -> None:
        tree.add(node, accumulators)
        checkpointer.keep(segment, tree)
        listener.done(segment, tree, draws)

    left = segment.blocks.without(tuple(tree.nodes))
    engine(segment.estimator.task(segment.group, seed, 0, segment.blocks), left, jobs, done)
    return snapshot(segment, tree)


def result_rows(
    cases: Sequence[Case], snapshots: Sequence[SegmentSnapshot], estimator: Estimator = MC
) -> list[ResultRow]:
    """The rows of every case that has draws."""
    found = moments(cases, snapshots, estimator)
    return [
        result_row(case, row, accumulators, case.moments(row), estimator)
        for case, rows in zip(cases, found, strict=True)
        if rows is not None
        for row, accumulators in zip(case.shape.rows, rows, strict=True)
    ]


def repeated(rows: Sequence[ResultRow], cases: Sequence[Case], indices: Sequence[int]) -> list[ResultRow]:
    """The rows of each case in turn, where case i of a run is `cases[indices[i]]`."""
    rows_of: dict[int, list[ResultRow]] = {}
    for row in rows:
        rows_of.setdefault(id(row.case), []).append(row)
    return [row for index in indices for row in rows_of.get(id(cases[index]), [])]


def result_row(
    case: Case, row: Row, accumulators: Accumulators, moments: Exact | None, estimator: Estimator = MC
) -> ResultRow:
    """A row of the result, with error bars where they mean something. `moments` may be infinite or undefined."""
    shown, reason = with_error_bars(estimator.estimates(row, accumulators), moments, is_symmetric(case, row))
    exact = moments if moments is not None and moments.is_finite else None
    return ResultRow(case, row, shown, accumulators, exact, reason, estimator.nested)


def is_symmetric(case: Case, row: Row) -> bool:
    """True if a draw of the row has a law that is symmetric about 0: dx is a multiple of dy, and dy has one."""
    return row.direction == BACKWARD and case.dy.law.lowest == -case.dy.law.highest


def sample(
    group: Group, samples: int, seed: int, stream: int, jobs: int, engine: Engine, estimator: Estimator = MC
) -> MergeTree:
    """Sample one group, and return its finished nodes."""
    blocks = estimator.blocks(group, samples)
    tree, task = MergeTree(blocks.stop_level), estimator.task(group, seed, stream, blocks)
    engine(task, iter(blocks), jobs or available_cpus(), lambda node, rows, _: tree.add(node, rows))
    return tree


def centres(pilot: Accumulators) -> Accumulators:
    """The centre of each row: the mean of the pilot run, or 0 if the mean is within five standard errors of 0.

    0 matters for rows with an atom at 0 (dropout), for which E|v − c| has a kink at c = 0. Values of one sign have
    another mean than 0, however uncertain it is.
    """
    found = [estimates(row) for row in pilot]
    return np.array([0.0 if e.min < 0.0 < e.max and abs(e.mean) <= 5.0 * e.mean_se else e.mean for e in found])


def available_cpus() -> int:
    """The number of processors that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
