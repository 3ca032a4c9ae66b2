"""rqmc: its points are nets and uniform, its estimates unbiased, its error bars honest, its bytes the same everywhere.

False alarms: the seeds are fixed, so none. With fresh ones, 10⁻⁴ for each count of coverage as in test_calibration.py,
10⁻⁷ for each of the other statistical checks.
"""

import hashlib
import json
import os
import pickle
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, replace
from functools import cache
from itertools import product
from pathlib import Path
from statistics import NormalDist
from typing import Any

import numpy as np
import pytest
from scipy import special, stats

from gradstat import estimators
from gradstat.assumptions import Input, Upstream
from gradstat.config import RunConfig
from gradstat.errors import UsageError
from gradstat.estimation import rqmc
from gradstat.estimation.blocks import Block
from gradstat.estimation.engines import Engine, threads
from gradstat.estimation.estimates import estimates
from gradstat.estimation.estimators import ESTIMATORS, MC, RQMC
from gradstat.estimation.groups import Group
from gradstat.estimation.merge_tree import Accumulators, MergeTree
from gradstat.estimation.precision import Target, needed, worst
from gradstat.estimation.run import (
    Checkpointer,
    ResultRow,
    centres,
    execute,
    plan,
    prepared_groups,
    result_rows,
    run,
    sample,
)
from gradstat.estimation.segments import Segment
from gradstat.estimation.student import normal_score, upper_tail
from gradstat.estimation.tasks import Done, Finished, Task
from gradstat.layer_types.case import Case
from gradstat.layer_types.record import BACKWARD, FORWARD
from gradstat.layer_types.registry import find
from gradstat.numerics import columns
from gradstat.numerics.draws import PILOT, STREAM_VERSION
from gradstat.numerics.sobol import DIMENSIONS
from gradstat.results.diff import compare
from gradstat.results.overview import report
from gradstat.results.provenance import provenance
from gradstat.results.result import Result
from gradstat.results.rows import to_arrow
from gradstat.runs.nodes import run_key
from gradstat.runs.shards import marked, merge
from gradstat.text.formats import render_text
from tests import naive, points

SEED = 20160328
RARE = 1e-7
GOLDEN = Path(__file__).parent / "data" / "golden_rqmc.json"

CASES = {
    "relu": Case(find("relu")),
    "sigmoid": Case(find("sigmoid")),
    "hardtanh": Case(find("hardtanh")),
    "max_pool2d 2x2": Case(find("max_pool2d"), {"kernel_size": 2}),
    "dropout": Case(find("dropout")),
    "linear": Case(find("linear")),
    "sigmoid laplace": Case(find("sigmoid"), {}, Input("laplace"), Upstream("laplace")),
    "avg_pool2d shared": Case(find("avg_pool2d"), {}, Input("logistic", correlation=0.5), Upstream(correlation=0.3)),
    "softmax 64": Case(find("softmax"), {"n": 64}),  # 129 dimensions
}


# Points --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("k", [10, 11, 13])
def test_each_coordinate_hits_each_interval_once(k: int) -> None:
    found = points.bits(SEED, 3, 2**k, DIMENSIONS)
    cells = np.sort(found >> np.uint64(64 - k), axis=1)
    assert (cells == np.arange(2**k)).all()


def is_net(found: Any, k: int) -> bool:
    """True where each elementary interval of 2⁻ᵏ of the square holds one point."""
    for a in range(k + 1):
        first = found[0] >> np.uint64(64 - a) if a else np.zeros_like(found[0])
        second = found[1] >> np.uint64(64 - k + a) if a < k else np.zeros_like(found[1])
        if np.unique((first << np.uint64(k - a)) | second).size != 2**k:
            return False
    return True


@pytest.mark.parametrize("randomization", [0, 1, 31])
@pytest.mark.parametrize("k", [5, 12])
def test_x_and_dy_of_an_activation_are_a_net(k: int, randomization: int) -> None:
    assert is_net(points.bits(SEED, randomization, 2**k, 2), k)


def test_points_that_are_no_net_are_caught() -> None:
    """Negative control: coordinates of two randomizations, and independent ones."""
    one, other = (points.bits(SEED, r, 2**10, DIMENSIONS + 2) for r in (0, 1))
    assert is_net(one[:2], 10)
    assert not is_net(np.array([one[0], other[DIMENSIONS]]), 10)
    assert not is_net(one[DIMENSIONS:], 10)


def test_coordinates_by_the_rule_bit_by_bit() -> None:
    generators = points.plain_generators(DIMENSIONS)
    found = points.bits(SEED, 5, 2**12, DIMENSIONS)
    for dimension, point in product((0, 1, 2, 9, 40, DIMENSIONS - 1), (0, 1, 2, 1023, 1024, 4095)):
        expected = points.plain_coordinate(SEED, 5, point, dimension, generators[dimension])
        assert int(found[dimension, point]) == expected, (dimension, point)


def test_a_point_is_uniform_over_randomizations() -> None:
    """All 64 bits of a coordinate are fair and pairwise independent, also between two points and two dimensions."""
    count = 2000
    bits = np.array([points.bits(SEED, r, 8, 2)[:, [0, 5]] for r in range(count)]).reshape(count, 4)
    fair = (bits[:, :, None] >> np.arange(64, dtype=np.uint64) & np.uint64(1)).reshape(count, 256).astype(float)
    signs = 1.0 - 2.0 * fair
    correlations = signs.T @ signs / np.sqrt(count)
    np.fill_diagonal(correlations, 0.0)
    for point in (0, 2):  # the first three bits of points 0 and 5 are those of a net: never the same
        correlations[np.ix_(range(64 * point, 64 * point + 128), range(64 * point, 64 * point + 128))] = 0.0
    tests = 256 + correlations.size // 2
    bound = -NormalDist().inv_cdf(RARE / tests / 2.0)
    assert abs(signs.sum(0) / np.sqrt(count)).max() < bound
    assert abs(correlations).max() < bound


def test_dimensions_beyond_the_table_are_independent() -> None:
    sets = [points.bits(SEED, r, 2048, DIMENSIONS + 3)[DIMENSIONS:].ravel() for r in (0, 1, 63)]
    assert np.unique(np.concatenate(sets)).size == 3 * 3 * 2048
    uniform = np.concatenate(sets).astype(float) / 2.0**64
    assert stats.kstest(uniform, "uniform").pvalue > RARE


def test_the_pilot_has_points_of_its_own() -> None:
    assert (points.bits(SEED, 0, 64, 3) != points.bits(SEED, 0, 64, 3, PILOT)).all()


# Quantiles -----------------------------------------------------------------------------------------------------------

EDGES = [
    0,
    1,
    2,
    2**32,
    2**58,
    2**59 - 1,
    2**59,
    2**62,
    2**63 - 1,
    2**63,
    2**63 + 1,
    2**64 - 2**59,
    2**64 - 2,
    2**64 - 1,
]
FRACTIONS = np.array(
    [*EDGES, *(min(int(2.0**e), 2**64 - 1) for e in np.linspace(0.0, 63.0, 3000))]
    + [int(v) for v in np.random.default_rng(1).integers(0, 2**64, 20_000, dtype=np.uint64)],
    np.uint64,
)


def lower_tail(fractions: Any) -> tuple[Any, Any]:
    """The distance to the nearer end, and the sign that goes with it."""
    below = fractions < np.uint64(2**63)
    return (np.where(below, fractions, ~fractions).astype(float) + 0.5) / 2.0**64, np.where(below, 1.0, -1.0)


@pytest.mark.parametrize(
    ("distribution", "reference", "ulps"),
    [
        ("normal", special.ndtri, 8),
        ("laplace", lambda p: stats.laplace.ppf(p, scale=np.sqrt(0.5)), 4),
        ("logistic", lambda p: special.logit(p) * np.sqrt(3.0) / np.pi, 8),
        ("uniform", lambda p: np.sqrt(3.0) * (2.0 * p - 1.0), 4),
    ],
)
def test_quantiles(distribution: str, reference: Callable[[Any], Any], ulps: int) -> None:
    p, sign = lower_tail(FRACTIONS)
    expected, found = sign * reference(p), points.numbers(FRACTIONS, distribution)
    assert (abs(found - expected) <= ulps * 2.0**-53 * np.maximum(abs(expected), 1.0)).all()
    assert (points.numbers(~FRACTIONS, distribution) == -found).all()
    order = np.argsort(FRACTIONS)
    assert (np.diff(found[order]) >= -4 * 2.0**-53 * np.maximum(abs(found[order][1:]), 1.0)).all()


def test_the_tails_end_at_nine() -> None:
    low, high = points.numbers([0, 2**64 - 1])
    assert high == -low == pytest.approx(-special.ndtri(2.0**-65), rel=1e-15)
    assert 9.15 < high < 9.16


# Student -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("degrees", [1.0, 7.75, 15.5, 31.0, 200.0])
def test_student(degrees: float) -> None:
    for ratio in (0.0, 1e-6, 0.3, 1.0, 2.5, 7.0, 40.0, 1e4):
        tail = stats.t.sf(ratio, degrees)
        assert upper_tail(ratio, degrees) == pytest.approx(tail, rel=1e-10)
        if tail > 0.0:
            assert normal_score(-ratio, degrees) == pytest.approx(stats.norm.ppf(tail), abs=1e-9)


def test_the_ends_of_a_score() -> None:
    assert normal_score(3.25, MC.degrees(10)) == 3.25
    assert normal_score(float("inf"), 7.75) == float("inf")
    assert np.isnan(normal_score(float("nan"), 7.75))
    assert 1.0 < normal_score(1e30, 1.0) < 40.0
    assert RQMC.degrees(32) == 7.75


def test_every_estimator_is_known_everywhere() -> None:
    assert list(ESTIMATORS) == list(estimators.ESTIMATORS)
    for name in ESTIMATORS:
        assert RunConfig.model_validate({"estimator": name, "layer": [{"name": "relu"}]}).estimator == name


# Draws and blocks ----------------------------------------------------------------------------------------------------


def test_the_number_of_draws() -> None:
    for asked in (2, 31, 32, 33, 1000, 1023, 10**7, 2**24, 2**24 + 1, 10**15):
        made, size = rqmc.draws_for(asked), rqmc.points_for(asked)
        assert made % size == 0
        assert 32 <= made // size <= 64
        assert asked <= made <= max(asked * 33 / 32, 32)
        assert rqmc.draws_for(made) == made
        assert rqmc.points_for(made) in (size, 2 * size)
    assert (rqmc.draws_for(2**24), rqmc.points_for(2**24)) == (2**24, 2**19)


@pytest.mark.parametrize("samples", [2, 100, 5000, 2**20, 2**25 + 1])
def test_blocks_stay_in_their_randomization(samples: int) -> None:
    group = Group([CASES["relu"]])
    blocks, size = list(rqmc.blocks(group, samples)), rqmc.points_for(samples)
    assert [block.number for block in blocks] == list(range(len(blocks)))
    assert sum(block.draws for block in blocks) == rqmc.draws_for(samples)
    assert all(block.first // size == (block.first + block.draws - 1) // size for block in blocks)
    height = rqmc.task(group, SEED, 0, rqmc.blocks(group, samples)).stop_level
    assert height == rqmc.blocks(group, samples).stop_level
    assert {block.number >> height for block in blocks} == set(range(rqmc.draws_for(samples) // size))


def test_a_randomization_counts_when_it_is_whole() -> None:
    group = Group([CASES["relu"]])
    blocks = rqmc.blocks(group, 2**24)
    task, tree = rqmc.task(group, SEED, 0, blocks), MergeTree(blocks.stop_level)
    told = []
    for block in list(blocks)[:5]:
        tree.add(block.node, task.block(block))
        told.append(tree.has_error)
    assert told == [False, False, False, True, True]
    assert rqmc.total(tree)[0, columns.DRAWS] == 2.0


# Estimates against plain references ----------------------------------------------------------------------------------


def sigmoid_values(samples: int) -> dict[str, Any]:
    """y and dx of sigmoid, [point, randomization]."""
    size = rqmc.points_for(samples)
    pairs = [points.signal(SEED, r, size) for r in range(rqmc.draws_for(samples) // size)]
    x, dy = (np.array([pair[i][0] for pair in pairs]).T for i in (0, 1))
    y = 1.0 / (1.0 + np.exp(-x))
    return {FORWARD: y, BACKWARD: y * (1.0 - y) * dy}


@pytest.mark.parametrize("samples", [256, 1000, 2**18])
def test_estimates_and_errors_are_those_of_the_plain_reference(samples: int) -> None:
    values = sigmoid_values(samples)
    for line in run([CASES["sigmoid"]], samples, SEED, 1, estimator=RQMC):
        own = values[line.row.direction]
        expected = naive.statistics(own) | {"n": own.size}
        errors = naive.standard_errors(own)
        found = asdict(line.estimates)
        for name, value in expected.items():
            slack = abs(own.mean() - line.accumulators[columns.CENTRE]) if name == "mad" else 1e-11
            assert found[name] == pytest.approx(value, rel=1e-11, abs=slack), name
        for name, error in errors.items():
            assert found[f"{name}_se"] == pytest.approx(error, rel={256: 0.05, 1000: 1e-3, 2**18: 1e-5}[samples]), name


def test_dividing_by_r_is_caught() -> None:
    """Negative control: the spread over R instead of R − 1."""
    own = sigmoid_values(1000)[FORWARD]
    wrong = own.mean(0).std(ddof=0) / np.sqrt(own.shape[1])
    line = run([CASES["sigmoid"]], 1000, SEED, 1, estimator=RQMC)[0]
    assert line.estimates.mean_se != pytest.approx(wrong, rel=1e-3)
    assert line.estimates.mean_se == pytest.approx(own.mean(0).std(ddof=1) / np.sqrt(own.shape[1]), rel=1e-9)


def test_much_smaller_errors_than_mc() -> None:
    cases = [CASES["sigmoid"], CASES["relu"]]
    for mc, own in zip(run(cases, 2**18, SEED, 1), run(cases, 2**18, SEED, 1, estimator=RQMC), strict=True):
        assert own.estimates.n == mc.estimates.n
        assert own.estimates.std_se < mc.estimates.std_se / 20.0
        assert own.exact is not None
        assert abs(own.estimates.std - own.exact.var**0.5) < mc.estimates.std_se / 10.0


@pytest.mark.parametrize("name", ["linear", "avg_pool2d shared", "softmax 64", "sigmoid laplace"])
def test_layers_of_every_kind_agree_with_mc(name: str) -> None:
    mc, own = (run([CASES[name]], 2**17, SEED, 1, estimator=estimator) for estimator in (MC, RQMC))
    for a, b in zip(mc, own, strict=True):
        for statistic in ("mean", "std", "mad", "abs_mean"):
            first, second = (asdict(line.estimates) for line in (a, b))
            error = np.hypot(first[f"{statistic}_se"], second[f"{statistic}_se"])
            assert abs(first[statistic] - second[statistic]) <= 6.0 * error + 1e-12, (b.row.direction, statistic)
        assert b.z_std is None or abs(b.z_std) < 5.5


# Files ---------------------------------------------------------------------------------------------------------------


def result(samples: int = 2**12) -> Result:
    """A file of a run of relu."""
    config = RunConfig.model_validate({"estimator": "rqmc", "samples": samples, "layer": [{"name": "relu"}]})
    found = run([CASES["relu"]], samples, config.seed, 1, estimator=RQMC)
    return Result(to_arrow(found, config.seed, "rqmc"), provenance(config, 1, 0.0))


def shard(index: int, of: int, samples: int = 2**22) -> Result:
    """The file of one shard."""
    config = RunConfig.model_validate({"estimator": "rqmc", "samples": samples, "layer": [{"name": "relu"}]})
    cases = [CASES["relu"]]
    planned = plan(cases, prepared_groups(cases, RQMC), samples, config.seed, 1, threads, RQMC)
    parts = execute([segment.shard(index, of) for segment in planned], config.seed, 1, threads)
    own = Result(to_arrow(result_rows(cases, parts, RQMC), config.seed, "rqmc"), provenance(config, 1, 0.0))
    return marked(own, run_key(cases, config.seed, "rqmc"), (index, of), parts)


@pytest.mark.parametrize("of", [2, 3, 16])
def test_shards_merge_to_the_bytes_of_the_whole(of: int) -> None:
    """Whole randomizations in each, in any order, whatever the number of shards."""
    files = [(Path(f"{index}.parquet"), shard(index, of)) for index in range(of, 0, -1)]
    assert merge(files).table.equals(result(2**22).table)


def test_a_shard_with_less_than_two_randomizations_is_refused() -> None:
    with pytest.raises(UsageError, match=r"of 32 randomizations, .* at most 16 shards are allowed"):
        shard(1, 17)


class Half(Checkpointer):
    """What an interrupted process left: some randomizations whole, others not."""

    def __init__(self, nodes: Sequence[Finished]) -> None:
        self.nodes = nodes

    def finished(self, segment: Segment) -> Sequence[Finished]:
        return self.nodes


def test_an_interrupted_run_goes_on_to_the_same_bytes() -> None:
    cases, samples = [CASES["relu"]], 2**24
    planned = plan(cases, prepared_groups(cases, RQMC), samples, SEED, 1, threads, RQMC)
    (segment,) = planned
    assert segment.blocks.blocks_per_unit == 2
    left = replace(segment, blocks=replace(segment.blocks, last=13))  # six randomizations and a half
    (part,) = execute([left], SEED, 1, threads)
    assert {node.node[0] for node in part.nodes} == {0, 1}
    parts = execute(planned, SEED, 1, threads, checkpointer=Half(part.nodes))
    (resumed, *_), (whole, *_) = result_rows(cases, parts, RQMC), run(cases, samples, SEED, 1, estimator=RQMC)
    assert resumed.accumulators.tobytes() == whole.accumulators.tobytes()


@pytest.mark.parametrize("name", ["sigmoid", "relu"])
def test_a_target_is_reached_by_the_draws_that_growing_pilots_name(name: str) -> None:
    """Far fewer than mc would need; never so few that the target is missed."""
    target = Target(relative=3e-6, absolute=None, max_samples=10**9)
    found = [line.estimates for line in run([CASES[name]], target, SEED, 0, estimator=RQMC)]
    assert worst(found, target).ratio <= 1.0
    assert found[0].n < 2**27 < max(needed(line.estimates, target) for line in run([CASES[name]], 2**18, SEED, 1))


def test_text_says_what_the_error_is_made_of() -> None:
    text = render_text(report(result()), "table")
    assert "± is one standard error, from the spread of 32 randomizations" in text
    assert "as a normal score" in text


def test_diff_knows_how_little_32_randomizations_tell() -> None:
    """The same difference is worth less where few numbers gave its error; estimators are compared by z-scores."""
    one, mc = result(), run([CASES["relu"]], 2**12, 7, 1)
    other = Result(to_arrow(mc, 7, "mc"), one.provenance)
    comparison = compare(one, other)
    assert (comparison.scored, comparison.bytewise, comparison.agree) == (2, 0, True)
    a, b = one.rows()[0], other.rows()[0]
    ratio = (a["mean"] - b["mean"]) / np.hypot(a["mean_se"], b["mean_se"])
    (score, *_) = comparison.scores
    assert score.z is not None
    assert score.z == pytest.approx(normal_score(ratio, 7.75))
    assert abs(score.z) < abs(ratio)


# Coverage ------------------------------------------------------------------------------------------------------------

SEEDS, DRAWS = 1000, 2**11
COVERED = ["relu", "sigmoid", "hardtanh", "max_pool2d 2x2", "dropout"]
WITHIN = NormalDist().inv_cdf(0.975)
LOWEST, HIGHEST = stats.binom.ppf(0.5e-4, SEEDS, 0.945), stats.binom.ppf(1.0 - 0.5e-4, SEEDS, 0.98)

Twist = Callable[[Accumulators], Accumulators]


@cache
def runs(name: str, seeds: int = SEEDS) -> Any:
    """Accumulators [seed, row, WIDTH]. One pilot run of another seed serves all: the centre only shifts."""
    group = Group([CASES[name]])
    pilot = RQMC.total(sample(group, 2**15, 10**6, PILOT, 1, threads, estimator=RQMC))
    group.centres[:] = centres(pilot)
    return np.array([total_of(group, seed) for seed in range(seeds)])


def total_of(group: Group, seed: int, reuse: int = 1) -> Accumulators:
    """One run; `reuse` randomizations in a row are one and the same (as an error to be caught)."""
    task = rqmc.task(group, seed, 0, rqmc.blocks(group, DRAWS))
    tree = MergeTree(task.stop_level)
    for block in rqmc.blocks(group, DRAWS):
        source = block.number // reuse
        tree.add(block.node, task.block(replace(block, first=source * block.draws)))
    return rqmc.total(tree)


def scores(name: str, direction: str, found: Any, degrees: float | None = None) -> dict[str, list[float]]:
    """(estimate − exact)/error as a normal score, for every seed and every statistic that is known exactly."""
    case = CASES[name]
    (index,) = (i for i, row in enumerate(case.shape.rows) if row.direction == direction)
    exact = case.exact(case.shape.rows[index])
    assert exact is not None
    known = {"mean": exact.mean, "std": exact.var**0.5, "second_moment": exact.var + exact.mean**2}
    lists: dict[str, list[float]] = {statistic: [] for statistic in known}
    for accumulators in found[:, index]:
        e = asdict(rqmc.row_estimates(case.shape.rows[index], accumulators))
        for statistic, value in known.items():
            own = e[f"{statistic}_df"] if degrees is None else degrees
            lists[statistic].append(normal_score((e[statistic] - value) / e[f"{statistic}_se"], own))
    return lists


def dishonest(lists: dict[str, list[float]]) -> list[str]:
    """Statistics whose 95 % intervals cover less often than 94.5 % or more often than 98 %, beyond chance."""
    counts = {statistic: sum(abs(z) <= WITHIN for z in found) for statistic, found in lists.items()}
    return [statistic for statistic, count in counts.items() if not LOWEST <= count <= HIGHEST]


@pytest.mark.parametrize(("name", "direction"), list(product(COVERED, (FORWARD, BACKWARD))))
def test_95_percent_intervals_cover(name: str, direction: str) -> None:
    assert dishonest(scores(name, direction, runs(name))) == []


@pytest.mark.parametrize(("name", "direction"), list(product(COVERED, (FORWARD, BACKWARD))))
def test_estimates_are_unbiased(name: str, direction: str) -> None:
    """The mean over all seeds, against their own spread; half a standard error of one is seen."""
    (index,) = (i for i, row in enumerate(CASES[name].shape.rows) if row.direction == direction)
    exact = CASES[name].exact(CASES[name].shape.rows[index])
    assert exact is not None
    found = [estimates(accumulators) for accumulators in runs(name)[:, index]]
    bound = -NormalDist().inv_cdf(RARE / 2.0)
    for statistic, value in {"mean": exact.mean, "second_moment": exact.var + exact.mean**2}.items():
        errors = np.array([getattr(e, statistic) - value for e in found])
        unit = errors.std() / np.sqrt(errors.size)
        assert abs(errors.mean()) < bound * unit + 1e-14, statistic
        assert abs(errors.mean() + 0.5 * errors.std()) > bound * unit, statistic  # negative control


def test_a_reused_randomization_is_caught() -> None:
    """Negative control: every randomization twice, so that the spread of 32 is that of 16."""
    group = Group([CASES["sigmoid"]])
    found = np.array([total_of(group, seed, reuse=2) for seed in range(SEEDS)])
    assert "mean" in dishonest(scores("sigmoid", FORWARD, found))


def test_points_taken_as_independent_are_caught() -> None:
    """Negative control: the error bar of mc, without the randomizations."""
    forgetful = runs("sigmoid").copy()
    forgetful[:, :, columns.DRAWS] = 0.0
    case = CASES["sigmoid"]
    exact = case.exact(case.shape.rows[0])
    assert exact is not None
    found = [estimates(accumulators) for accumulators in forgetful[:, 0]]
    assert all(abs(e.mean - exact.mean) < WITHIN * e.mean_se for e in found)


def test_far_scores_are_as_rare_as_they_say() -> None:
    """Where one outermost point makes the error, which Student's R − 1 degrees of freedom do not know."""
    many = 3000
    found = scores("relu", FORWARD, runs("relu", many))["std"]
    most = stats.binom.ppf(1.0 - 1e-4, many, 2.0 * stats.norm.sf(3.0))
    assert sum(abs(z) > 3.0 for z in found) <= most
    assert max(abs(z) for z in found) < 5.5
    for degrees in (31.0, float("inf")):  # negative controls
        assert sum(abs(z) > 3.0 for z in scores("relu", FORWARD, runs("relu", many), degrees)["std"]) > most


# Bytes ---------------------------------------------------------------------------------------------------------------

ELSEWHERE = ["relu", "dropout"]
HANDFUL = ["relu", "sigmoid laplace", "max_pool2d 2x2", "dropout", "avg_pool2d shared", "softmax 64"]
SAMPLES = 2**18 + 5000  # two blocks in a randomization of softmax 64, one elsewhere
SHORT = 2**14 + 5000  # without FMA instructions, draws take a hundred times as long


def digests(
    names: list[str],
    jobs: int = 1,
    engine: Engine = threads,
    company: tuple[str, ...] = (),
    samples: int = SAMPLES,
) -> dict[str, str]:
    """One digest for each case, over the accumulators of its rows."""
    lines = run([CASES[name] for name in (*company, *names)], samples, SEED, jobs, engine, estimator=RQMC)
    rows: dict[str, list[ResultRow]] = {name: [line for line in lines if line.case is CASES[name]] for name in names}
    return {
        name: hashlib.sha256(b"".join(line.accumulators.tobytes() for line in own)).hexdigest()[:32]
        for name, own in rows.items()
    }


def backwards(task: Task, blocks: Iterator[Block], jobs: int, done: Done) -> None:
    """An engine that does the last block first."""
    for block in reversed(list(blocks)):
        done(block.node, task.block(block), block.draws)


def in_pieces(task: Task, blocks: Iterator[Block], jobs: int, done: Done) -> None:
    """An engine that sends the task away as bytes and gets nodes of several blocks back."""
    away, everything = pickle.loads(pickle.dumps(task)), list(blocks)
    for start in range(0, len(everything), 5):
        for finished in away.range(everything[start : start + 5]):
            done(*finished)


@pytest.fixture(scope="module")
def expected() -> dict[str, str]:
    return digests(HANDFUL)


def test_golden_digests(expected: dict[str, str]) -> None:
    golden = json.loads(GOLDEN.read_text())
    assert golden["stream_version"] == STREAM_VERSION
    again = f"`python -m tests.test_rqmc > tests/data/{GOLDEN.name}`"
    assert expected == golden["digests"], (
        f"sampled digits changed: bump STREAM_VERSION, tell CHANGELOG.md, then {again}"
    )


@pytest.mark.parametrize("jobs", [2, 3])
def test_threads(expected: dict[str, str], jobs: int) -> None:
    assert digests(HANDFUL, jobs) == expected


@pytest.mark.parametrize("engine", [backwards, in_pieces])
def test_engines(expected: dict[str, str], engine: Engine) -> None:
    names = ["relu", "avg_pool2d shared", "softmax 64"]
    assert digests(names, engine=engine) == {name: expected[name] for name in names}


def test_company(expected: dict[str, str]) -> None:
    assert digests(["relu"], company=("sigmoid", "dropout")) == {"relu": expected["relu"]}


def test_another_cpu(tmp_path: Path) -> None:
    """Compiled for x86-64 without AVX or FMA, in a process and a cache of its own."""
    environment = os.environ | {"NUMBA_CPU_NAME": "generic", "NUMBA_CPU_FEATURES": "", "XDG_CACHE_HOME": str(tmp_path)}
    command = [sys.executable, "-m", "tests.test_rqmc", *ELSEWHERE]
    root = Path(__file__).parents[1]
    done = subprocess.run(command, env=environment, cwd=root, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["digests"] == digests(ELSEWHERE, samples=SHORT)


def test_more_draws_begin_with_the_same_points() -> None:
    """Twice the draws: each randomization keeps its first half."""
    short, long = (points.bits(SEED, 7, size, 2) for size in (2**11, 2**12))
    assert (long[:, : 2**11] == short).all()


if __name__ == "__main__":
    found = digests(sys.argv[1:], samples=SHORT) if sys.argv[1:] else digests(HANDFUL)
    print(json.dumps({"stream_version": STREAM_VERSION, "digests": found}, indent=2))
