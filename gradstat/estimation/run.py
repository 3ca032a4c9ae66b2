"""A run: plan, pilot, blocks, statistics, and the comparison with the referee."""

import math
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from gradstat.estimation.engines import Engine, threads
from gradstat.estimation.forest import Accumulators, Forest, Node
from gradstat.estimation.plan import Group, groups
from gradstat.estimation.scores import z_bound, z_score
from gradstat.estimation.statistics import Estimates, estimates
from gradstat.estimation.tasks import Task
from gradstat.layers.record import Exact, Row
from gradstat.layers.table import Case
from gradstat.numerics.draws import PILOT

PILOT_DRAWS = 2**18
Report = Callable[[int], None]  # told the number of draws of whatever is finished


@dataclass(frozen=True)
class Line:
    """One row of a result: what was asked, what came out, what the referee says."""

    case: Case
    row: Row
    estimates: Estimates
    accumulators: Accumulators
    exact: Exact | None

    @property
    def z_mean(self) -> float | None:
        """(mean − exact) in standard errors; None without a referee."""
        return (
            None
            if self.exact is None
            else z_score(self.estimates.mean, self.exact.mean, self.estimates.mean_se, self.estimates.std)
        )

    @property
    def z_std(self) -> float | None:
        """(std − exact) in standard errors; None without a referee."""
        if self.exact is None:
            return None
        return z_score(self.estimates.std, math.sqrt(self.exact.var), self.estimates.std_se, self.estimates.std)


def run(
    cases: Sequence[Case],
    samples: int,
    seed: int,
    jobs: int = 0,
    engine: Engine = threads,
    report: Report = lambda draws: None,
) -> list[Line]:
    """Sample every case with `samples` draws; lines in the order of the cases, whatever was sampled together."""
    lines: dict[int, list[Line]] = {}
    for group in groups(cases):
        group.centres[:] = centres(sample(group, PILOT_DRAWS, seed, PILOT, jobs, engine).total())
        total = sample(group, samples, seed, 0, jobs, engine, report).total()
        for (case, row), accumulators in zip(group.rows, total, strict=True):
            line = Line(case, row, estimates(accumulators), accumulators, case.exact(row))
            lines.setdefault(id(case), []).append(line)
    return [line for case in cases for line in lines[id(case)]]


def sample(
    group: Group,
    samples: int,
    seed: int,
    stream: int,
    jobs: int,
    engine: Engine,
    report: Report = lambda draws: None,
) -> Forest:
    """The merged blocks of draws [0, samples) of one group."""
    forest = Forest()

    def done(node: Node, accumulators: Accumulators, draws: int) -> None:
        forest.add(node, accumulators)
        report(draws)

    engine(Task(group, seed, stream), group.blocks(samples), jobs or available_cpus(), done)
    return forest


def centres(pilot: Accumulators) -> Accumulators:
    """The centre of each row: the mean of the pilot run, or 0 where that is within five standard errors of 0.

    The snap matters for rows with an atom at 0 (dropout), where E|v − c| has a kink at c = 0.
    """
    found = [estimates(row) for row in pilot]
    return np.array([0.0 if abs(e.mean) <= 5.0 * e.mean_se else e.mean for e in found])


def suspects(lines: Sequence[Line]) -> list[tuple[Line, str, float]]:
    """The lines whose |z| is beyond the bound for the number of z-scores in the run: (line, statistic, z)."""
    scores = [(line, name, z) for line in lines for name, z in (("mean", line.z_mean), ("std", line.z_std))]
    known = [(line, name, z) for line, name, z in scores if z is not None]
    bound = z_bound(len(known))
    return [(line, name, z) for line, name, z in known if not abs(z) <= bound]


def available_cpus() -> int:
    """The processors this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
