"""Randomized quasi-Monte Carlo: R independent randomizations of 2ᵏ Sobol points. Their spread gives the error.

A draw is a point. Draws [r·2ᵏ, (r + 1)·2ᵏ) are randomization r, one node of the merge tree. The accumulators of a
randomization are stored as one draw, so the error formulas for draws apply to randomizations.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from gradstat.estimation.blocks import Block, Blocks
from gradstat.estimation.estimates import Estimates, degrees, estimates, totals
from gradstat.estimation.groups import Group
from gradstat.estimation.merge_tree import Accumulators, MergeTree
from gradstat.estimation.rqmc_kernel import run_points
from gradstat.estimation.tasks import Spec, Task
from gradstat.estimators import quarter
from gradstat.layer_types.record import Row
from gradstat.numerics import columns
from gradstat.numerics import moments as m
from gradstat.numerics.draws import LANES
from gradstat.numerics.sobol import generators

FEWEST = 32  # randomizations; with twice as many, the number of points doubles instead


class PointsTask(Task):
    """The points of one group under one seed, 2ᵏ = `points` in each randomization."""

    def __init__(self, group: Group, seed: int, stream: int, points: int) -> None:
        super().__init__(group, seed, stream)
        self.points = points
        self.stop_level = max(points // group.block_draws, 1).bit_length() - 1

    def _block_program(self) -> None:
        """Points have a kernel of their own."""

    def __reduce__(self) -> tuple[Any, ...]:
        return rebuilt, (self.specs, self.seed, self.stream, self.centres, self.points)

    def block(self, block: Block) -> Accumulators:
        """The accumulators [row, WIDTH] of one block."""
        group = self._group
        partial, totals, out = group.empty()
        randomization, first = divmod(block.first, self.points)
        drawn = (generators(), self.seed, self.stream, randomization, first // LANES, block.draws)
        run_points(*group.arrays, group.centres, *drawn, *group.assumptions, partial, totals)
        m.finish_rows(partial, totals, block.draws, group.slots_of_rows, group.centres, out)
        return out


def rebuilt(specs: Sequence[Spec], seed: int, stream: int, centres: Sequence[float], points: int) -> PointsTask:
    """Rebuild a task from its description."""
    group = Group([spec.case() for spec in specs])
    group.centres[:] = centres
    return PointsTask(group, seed, stream, points)


def points_for(samples: int) -> int:
    """2ᵏ, the points of a randomization: the largest power of two that leaves 32 to 63 randomizations."""
    return 1 << max(samples // FEWEST, 1).bit_length() - 1


def draws_for(samples: int) -> int:
    """R·2ᵏ, the smallest possible number of draws ≥ `samples`: at most 1/32 above it, and at least 32."""
    points = points_for(samples)
    return max(-(-samples // points), FEWEST) * points


def task(group: Group, seed: int, stream: int, blocks: Blocks) -> PointsTask:
    """The task that samples these blocks of a group."""
    return PointsTask(group, seed, stream, blocks.unit_draws)


def blocks(group: Group, samples: int) -> Blocks:
    """The blocks of draws [0, draws_for(samples)), each inside one randomization."""
    points, draws = points_for(samples), draws_for(samples)
    return replace(Blocks.of(draws, min(group.block_draws, points)), unit_draws=points)


def total(tree: MergeTree) -> Accumulators:
    """The complete randomizations, merged; incomplete ones are left out."""
    whole = MergeTree()
    for (height, index), accumulators in tree.nodes.items():
        if height == tree.stop_level:
            whole.add((0, index), as_one_draw(accumulators))
    return whole.total()


def as_one_draw(accumulators: Accumulators) -> Accumulators:
    """The accumulators [row, WIDTH] of a randomization as one draw, whose slots are all its values."""
    one = accumulators.copy()
    count, shift = one[:, columns.COUNT], one[:, columns.SHIFT]
    one[:, columns.DRAWS] = 1.0
    one[:, columns.T1] = count * shift
    one[:, columns.T2] = one[:, columns.M2] + count * shift * shift
    one[:, columns.TA], one[:, columns.TD] = one[:, columns.ABS], one[:, columns.DEVIATION]
    one[:, columns.C11 : columns.C1D + 1] = 0.0
    one[:, columns.LARGEST_T2] = one[:, columns.T2]
    return one


def row_estimates(row: Row, accumulators: Any) -> Estimates:
    """Statistics of one row; n counts points, the errors count randomizations.

    The errors have the degrees of freedom of `quarter`, and std those that its largest randomization leaves it.
    """
    e, t, usual = estimates(accumulators), totals(accumulators), quarter(float(accumulators[columns.DRAWS]))
    squares = min(degrees(t.draws, t.largest - accumulators[columns.T2], t.v22), usual)
    return replace(
        e,
        n=round(accumulators[columns.COUNT]) // len(row.slots),
        mean_df=usual,
        std_df=squares,
        second_moment_df=squares,
        abs_mean_df=usual,
        mad_df=usual,
    )
