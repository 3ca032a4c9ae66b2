"""Estimators: which points are drawn, and what of them is independent."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from gradstat import estimators
from gradstat.errors import UsageError, unknown
from gradstat.estimation import rqmc
from gradstat.estimation.blocks import Blocks
from gradstat.estimation.estimates import Estimates, estimates
from gradstat.estimation.groups import Group
from gradstat.estimation.mc_kernel import run_block
from gradstat.estimation.merge_tree import Accumulators, MergeTree
from gradstat.estimation.rqmc_kernel import run_points
from gradstat.estimation.tasks import Task
from gradstat.estimators import EstimatorRecord
from gradstat.layer_types.record import Row
from gradstat.numerics.jit import Kernel


@dataclass(frozen=True)
class Estimator(EstimatorRecord):
    """How draws are chosen and divided into blocks, and how the nodes of a tree become estimates."""

    blocks: Callable[[Group, int], Blocks]  # of all draws where so many are asked for
    kernel: Kernel  # what samples a block
    task: Callable[[Group, int, int, Blocks], Task]  # group, seed, stream, blocks
    total: Callable[[MergeTree], Accumulators]
    estimates: Callable[[Row, Any], Estimates]  # of a row of accumulators


MC = Estimator(
    **vars(estimators.MC),
    blocks=lambda group, samples: group.blocks(samples),
    kernel=run_block,
    task=lambda group, seed, stream, blocks: Task(group, seed, stream),
    total=lambda tree: tree.total(),
    estimates=lambda row, accumulators: estimates(accumulators),
)
RQMC = Estimator(
    **vars(estimators.RQMC),
    blocks=rqmc.blocks,
    kernel=run_points,
    task=rqmc.task,
    total=rqmc.total,
    estimates=rqmc.row_estimates,
)
ESTIMATORS = {estimator.name: estimator for estimator in (MC, RQMC)}


def estimator_of(name: str) -> Estimator:
    """The estimator of this name; UsageError with the closest one otherwise."""
    if name not in ESTIMATORS:
        raise UsageError(unknown("estimator", name, ESTIMATORS))
    return ESTIMATORS[name]
