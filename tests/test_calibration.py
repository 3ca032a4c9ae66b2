"""Intervals cover at their nominal rate: 400 seeds of 2,000 draws against exact values.

False alarms: the seeds are fixed, so none. With fresh ones, 10⁻⁴ for each of the 66 counts of one run, as the
project's definition of calibrated has it. A count sees an error bar that is a quarter too short, with probability 0.99
(a fifth too short: 0.87), or two fifths too long.
"""

import math
from collections.abc import Callable
from dataclasses import asdict
from functools import cache
from statistics import NormalDist

import numpy as np
import pytest
from scipy.stats import binom

from gradstat.estimation.engines import threads
from gradstat.estimation.estimates import Estimates, estimates
from gradstat.estimation.groups import Group
from gradstat.estimation.merge_tree import Accumulators
from gradstat.estimation.run import centres, sample
from gradstat.layer_types.case import Case
from gradstat.layer_types.record import BACKWARD, FORWARD, Exact
from gradstat.layer_types.registry import find
from gradstat.numerics import columns
from gradstat.numerics.draws import PILOT

SEEDS, DRAWS = range(400), 2000
COVERAGE = 0.95
REACH = NormalDist().inv_cdf(0.5 + COVERAGE / 2.0)
LOWEST, HIGHEST = binom.ppf([0.5e-4, 1.0 - 0.5e-4], len(SEEDS), COVERAGE)

CASES = {
    "sigmoid": Case(find("sigmoid")),
    "tanh": Case(find("tanh")),
    "relu": Case(find("relu")),
    "max_pool2d 3x3": Case(find("max_pool2d"), {"kernel_size": 3}),
    "avg_pool2d 3x3": Case(find("avg_pool2d"), {"kernel_size": 3}),
    "dropout": Case(find("dropout")),
    "linear": Case(find("linear")),
}
ROWS = [(name, direction) for name in CASES for direction in (FORWARD, BACKWARD)]


@cache
def runs(name: str) -> list[Accumulators]:
    """Accumulators [row, WIDTH] of every seed. One pilot run of another seed serves all: the centre only shifts."""
    group = Group([CASES[name]])
    group.centres[:] = centres(sample(group, group.pilot_draws, 10**6, PILOT, 1, threads).total())
    return [sample(group, DRAWS, seed, 0, 1, threads).total() for seed in SEEDS]


def known(exact: Exact) -> dict[str, float]:
    """The exact value of every statistic that has one and an error bar."""
    values = {
        "mean": exact.mean,
        "std": math.sqrt(exact.var),
        "second_moment": exact.var + exact.mean**2,
        "abs_mean": exact.abs_mean,
        "mad": exact.mad,
    }
    return {name: value for name, value in values.items() if value is not None}


def coverage(name: str, direction: str, estimate: Callable[[Accumulators], Estimates]) -> dict[str, int]:
    """For each statistic, how many of the seeds' intervals contain the exact value."""
    shape = CASES[name].shape
    (index,) = (i for i, row in enumerate(shape.rows) if row.direction == direction)
    exact = CASES[name].exact(shape.rows[index])
    assert exact is not None
    found = [asdict(estimate(accumulators[index])) for accumulators in runs(name)]
    return {
        statistic: sum(abs(e[statistic] - value) <= REACH * e[f"{statistic}_se"] for e in found)
        for statistic, value in known(exact).items()
    }


def dishonest(counts: dict[str, int]) -> dict[str, int]:
    """Counts that intervals of this coverage give with a probability below 10⁻⁴."""
    return {statistic: count for statistic, count in counts.items() if not LOWEST <= count <= HIGHEST}


@pytest.mark.parametrize(("name", "direction"), ROWS)
def test_95_percent_intervals_cover(name: str, direction: str) -> None:
    counts = coverage(name, direction, estimates)
    assert {"mean", "std"} <= set(counts)
    assert dishonest(counts) == {}


def test_the_bounds_are_exact() -> None:
    outside = binom.cdf(LOWEST - 1, len(SEEDS), COVERAGE) + binom.sf(HIGHEST, len(SEEDS), COVERAGE)
    assert outside < 1e-4


def cells_as_draws(row: Accumulators) -> Estimates:
    """The naive error bar: every cell a draw of its own, dependent or not."""
    forgetful = row.copy()
    forgetful[columns.DRAWS] = 0.0
    return estimates(forgetful)


@pytest.mark.parametrize("name", ["max_pool2d 3x3", "avg_pool2d 3x3"])
def test_nine_cells_counted_as_nine_draws_are_caught(name: str) -> None:
    """Negative control. The nine dx of average pooling are one number: its naive intervals are a third as wide.

    Of the nine dx of max pooling all but one are 0, so that their sizes are *anti*-correlated, and naive intervals of
    |dx| are too wide (1.6 times) to be 95 % ones; those of the mean are right by accident.
    """
    caught = dishonest(coverage(name, BACKWARD, cells_as_draws))
    assert {"abs_mean", "mad"} <= set(caught)
    if name.startswith("avg"):
        assert caught["std"] < 0.6 * len(SEEDS)


@pytest.mark.parametrize("factor", [0.75, 1.4])
def test_an_error_bar_of_the_wrong_length_is_caught(factor: float) -> None:
    """Negative control."""

    def scaled(row: Accumulators) -> Estimates:
        found = asdict(estimates(row))
        return Estimates(**{name: value * factor if name.endswith("_se") else value for name, value in found.items()})

    assert set(dishonest(coverage("sigmoid", FORWARD, scaled))) >= {"mean", "std"}


def test_the_runs_are_different_ones() -> None:
    rows = np.array([accumulators[0] for accumulators in runs("sigmoid")])
    assert len({row.tobytes() for row in rows}) == len(SEEDS)
    assert set(rows[:, columns.COUNT]) == {float(DRAWS)}
