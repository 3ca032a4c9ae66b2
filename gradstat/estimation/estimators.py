"""Estimators: the choice of draws, and their independent units."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from gradstat import estimators
from gradstat.errors import UsageError, unknown
from gradstat.estimation import rqmc
from gradstat.estimation.blocks import Blocks
from gradstat.estimation.estimates import Estimates, estimates
from gradstat.estimation.groups import Group
from gradstat.estimation.merge_tree import Accumulators, MergeTree
from gradstat.estimation.rqmc_kernel import run_points
from gradstat.estimation.tasks import Task, prepare
from gradstat.estimators import EstimatorRecord
from gradstat.layer_types.record import Row


@dataclass(frozen=True)
class Estimator(EstimatorRecord):
    """The functions that divide draws into blocks, sample blocks, and compute estimates from a merge tree."""

    blocks: Callable[[Group, int], Blocks]  # group, requested draws → all blocks
    prepare: Callable[[Group], object]  # compiles what samples a block, in the caller's thread
    task: Callable[[Group, int, int, Blocks], Task]  # group, seed, stream, blocks
    total: Callable[[MergeTree], Accumulators]
    estimates: Callable[[Row, Any], Estimates]  # row, its accumulators → estimates


MC = Estimator(
    **vars(estimators.MC),
    blocks=lambda group, samples: group.blocks(samples),
    prepare=prepare,
    task=lambda group, seed, stream, blocks: Task(group, seed, stream),
    total=lambda tree: tree.total(),
    estimates=lambda row, accumulators: estimates(accumulators),
)
RQMC = Estimator(
    **vars(estimators.RQMC),
    blocks=rqmc.blocks,
    prepare=lambda group: run_points.prepare(),
    task=rqmc.task,
    total=rqmc.total,
    estimates=rqmc.row_estimates,
)
ESTIMATORS = {estimator.name: estimator for estimator in (MC, RQMC)}


def estimator_of(name: str) -> Estimator:
    """The estimator with this name; UsageError with the closest name if there is none."""
    if name not in ESTIMATORS:
        raise UsageError(unknown("estimator", name, ESTIMATORS))
    return ESTIMATORS[name]
