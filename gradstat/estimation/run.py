"""A run: pilot, plan, segments, statistics, and the comparison with the referee."""

import math
import os
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from gradstat.estimation.engines import Engine, threads
from gradstat.estimation.estimates import Estimates, estimates
from gradstat.estimation.estimators import MC, Estimator
from gradstat.estimation.groups import Group, groups
from gradstat.estimation.merge_tree import Accumulators, MergeTree, Node
from gradstat.estimation.precision import Target, allowed, seen
from gradstat.estimation.segments import Segment, SegmentSnapshot, moments, segments, snapshot
from gradstat.estimation.significance import score
from gradstat.estimation.tasks import Finished
from gradstat.layer_types.case import Case
from gradstat.layer_types.record import Exact, Row
from gradstat.numerics.columns import DRAWS
from gradstat.numerics.draws import PILOT

PILOT_DRAWS = 2**18
PILOT_GROWTH = 4
Samples = int | Target  # draws per case, or what decides on them


@dataclass(frozen=True)
class ResultRow:
    """One row of a result: what was asked, what came out, what the referee says."""

    case: Case
    row: Row
    estimates: Estimates
    accumulators: Accumulators
    exact: Exact | None
    degrees: float = math.inf  # of freedom of the standard errors

    @property
    def z_mean(self) -> float | None:
        """(mean − exact) in standard errors, as a normal score; None where the mean is not judged."""
        return score(self, "mean").z

    @property
    def z_std(self) -> float | None:
        """(std − exact) in standard errors, as a normal score; None where the std is not judged."""
        return score(self, "std").z


class RunListener(Protocol):
    """Told of a run as it goes, one call at a time."""

    def compiling(self) -> AbstractContextManager[None]:
        """Entered while kernels are compiled."""

    def planned(self, segments: Sequence[Segment], target: Target | None) -> None:
        """The pilot has run, and these segments are to be sampled."""

    def begin(self, segment: Segment, finished: int) -> None:
        """A segment begins, of which so many draws are finished already."""

    def done(self, segment: Segment, tree: MergeTree, draws: int) -> None:
        """So many draws more are in the tree of the segment."""


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
    """Keeps what is finished of a run for the next process; this one keeps nothing."""

    def finished(self, segment: Segment) -> Sequence[Finished]:
        """The nodes that an earlier process left."""
        return ()

    def keep(self, segment: Segment, tree: MergeTree) -> None:
        """There is more in the tree of the segment than at the last call."""


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
    """Sample every case; lines in the order of the cases, whatever was sampled together."""
    with listener.compiling():
        grouped = groups(cases, estimator.kernel)
    planned = plan(cases, grouped, samples, seed, jobs, engine, estimator)
    listener.planned(planned, None if isinstance(samples, int) else samples)
    return result_rows(cases, execute(planned, seed, jobs, engine, listener), estimator)


def plan(
    cases: Sequence[Case],
    found: Sequence[Group],
    samples: Samples,
    seed: int,
    jobs: int,
    engine: Engine,
    estimator: Estimator = MC,
) -> list[Segment]:
    """Pilot every group: that gives centres, and the draws of each case where `samples` is a target."""
    draws: dict[int, int] = {}
    for group in found:

        def pilot(draws: int, group: Group = group) -> Accumulators:
            return estimator.total(sample(group, draws, seed, PILOT, jobs, engine, estimator))

        first = pilot(PILOT_DRAWS)
        group.centres[:] = centres(first)
        if isinstance(samples, int):
            draws |= {id(case): samples for case in group.cases}
        else:
            draws |= _aimed(group, first, pilot, samples, estimator)
    return list(segments(cases, found, lambda case: draws[id(case)], estimator))


def _aimed(
    group: Group, found: Accumulators, pilot: Callable[[int], Accumulators], target: Target, estimator: Estimator
) -> dict[int, int]:
    """The draws of each case. Where no law says how errors fall, pilots grow until they see small ones."""
    draws: dict[int, int] = {}
    n = PILOT_DRAWS
    while True:
        rows = [(case, estimator.estimates(row, own)) for (case, row), own in zip(group.rows, found, strict=True)]
        for case in group.cases:
            own = [estimated for owner, estimated in rows if owner is case]
            if estimator.nested:
                draws[id(case)] = allowed(own, target, group.block_draws)
            elif n >= target.max_samples or seen(own, target):
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
    """Sample what is not finished of every segment."""
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
        ResultRow(
            case,
            row,
            estimator.estimates(row, accumulators),
            accumulators,
            case.exact(row),
            estimator.degrees(float(accumulators[DRAWS])),
        )
        for case, rows in zip(cases, found, strict=True)
        if rows is not None
        for row, accumulators in zip(case.shape.rows, rows, strict=True)
    ]


def sample(
    group: Group, samples: int, seed: int, stream: int, jobs: int, engine: Engine, estimator: Estimator = MC
) -> MergeTree:
    """The finished nodes of as many draws of one group."""
    blocks = estimator.blocks(group, samples)
    tree, task = MergeTree(blocks.stop_level), estimator.task(group, seed, stream, blocks)
    engine(task, iter(blocks), jobs or available_cpus(), lambda node, rows, _: tree.add(node, rows))
    return tree


def centres(pilot: Accumulators) -> Accumulators:
    """The centre of each row: the mean of the pilot run, or 0 where that is within five standard errors of 0.

    The snap matters for rows with an atom at 0 (dropout), where E|v − c| has a kink at c = 0.
    """
    found = [estimates(row) for row in pilot]
    return np.array([0.0 if abs(e.mean) <= 5.0 * e.mean_se else e.mean for e in found])


def available_cpus() -> int:
    """The processors this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
