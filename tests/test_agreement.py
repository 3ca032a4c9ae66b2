"""The rule of agreement: no false alarm over all shipped layers at 30 to 10⁶ draws, and wrong formulas caught by name.

False alarms: seeds are fixed, so none. With fresh ones each run of all layers has one with probability 10⁻⁶, so that
the 463 runs below have 5·10⁻⁴. What is seen: the bound over all layers is 5.9 standard errors, so a std that is wrong
by 5.9·√((κ − 1)/4n), κ the kurtosis: relu's dx at 10⁶ draws from 0.7 % on.
"""

import math
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import pytest

from gradstat.assumptions import Input
from gradstat.estimation import significance
from gradstat.estimation.error_bars import HEAVY_TAILS, INFINITE_FOURTH_MOMENT, PERHAPS_INFINITE, TOO_FEW_EVENTS
from gradstat.estimation.run import run
from gradstat.estimation.significance import disagreements, score
from gradstat.layer_types.case import Case
from gradstat.layer_types.record import BACKWARD, FORWARD, Exact
from gradstat.layer_types.registry import LAYERS, find
from gradstat.numerics import elementary as el
from tests.calibrate import Sampler
from tests.test_accuracy import imposter

SEED = 20160328
RUNS = {30: 100, 100: 100, 10**3: 200, 10**4: 50, 10**5: 10, 10**6: 3}  # draws → seeds

NOTHING = {f"no draw differed from {value}" for value in (0, 1)}  # and the probability that one does
UNSEEN = {  # what a sample of 10⁴ draws hardly sees, and the reasons that are given
    "relu far below": (Case(find("relu"), {}, Input(mean=-6.0)), NOTHING),
    "hardshrink": (Case(find("hardshrink"), {"lambd": 6.0}), NOTHING),
    "hardsigmoid": (Case(find("hardsigmoid"), {}, Input(mean=20.0)), NOTHING),
    "tanh": (Case(find("tanh"), {}, Input(mean=25.0)), {*NOTHING, HEAVY_TAILS, ""}),
    "dropout": (Case(find("dropout"), {"p": 0.9999999999999999}), NOTHING),
    "dropout 0.999": (Case(find("dropout"), {"p": 0.999}), {TOO_FEW_EVENTS, *NOTHING}),
    "multiply": (Case(find("multiply"), {"k": 8}), {HEAVY_TAILS, PERHAPS_INFINITE, ""}),
    "layer_norm": (Case(find("layer_norm"), {"n": 4, "eps": 0.0}), {INFINITE_FOURTH_MOMENT, ""}),
}


@cache
def every_layer() -> Sampler:
    return Sampler([Case(layer) for layer in LAYERS.values()])


@pytest.mark.parametrize("draws", RUNS)
def test_no_false_alarm(draws: int) -> None:
    judged: set[tuple[str, str]] = set()
    for seed in range(RUNS[draws]):
        lines = every_layer().run(draws, seed)
        assert disagreements(lines) == []
        judged |= {(line.case.layer.name, line.row.direction) for line in lines if line.z_std is not None}
    assert len(judged) > {30: 0, 100: 50, 10**3: 130, 10**4: 160}.get(
        draws, 165
    )  # of 168: a rule that judges nothing has no alarm


@pytest.mark.parametrize("name", UNSEEN)
def test_what_a_sample_hardly_sees_is_shown_and_not_judged(name: str) -> None:
    case, reasons = UNSEEN[name]
    sampler = Sampler([case])
    for seed in range(150):
        lines = sampler.run(10**4, seed)
        assert disagreements(lines) == []
        given = {score(line, "std").reason for line in lines}
        assert {reason.partition(",")[0].partition(";")[0] for reason in given} <= reasons, given
        assert all(math.isfinite(line.estimates.std) for line in lines)


def test_exp_at_the_seed_that_was_a_false_alarm() -> None:
    """Its sampled std is 7.2 of its own standard errors below; they have few degrees of freedom."""
    lines = run([Case(find("exp"))], 10**4, 42)
    assert disagreements(lines) == []


@pytest.mark.parametrize("draws", [2, 3, 10, 29])
def test_few_draws_are_not_judged(draws: int) -> None:
    """Their means are far from normal: both dx of two draws of relu are 0 in one run of four."""
    for seed in range(50):
        rows = run([Case(find("relu"))], draws, seed)
        assert all(score(row, name).z is None for row in rows for name in ("mean", "std"))
    assert {row.no_error_bar.partition(" draw")[0] for row in rows} <= {"too few", "no"}


def test_other_reasons() -> None:
    (y, _) = run([Case(find("relu"))], 1000, SEED)
    assert score(replace(y, exact=None), "mean").reason == significance.NO_EXACT_VALUE
    assert score(y, "kurtosis").reason == significance.NO_ERROR_BAR
    lost = replace(y, estimates=replace(y.estimates, std_se=math.nan))
    assert score(lost, "std").reason == significance.OVERFLOW


# Negative controls: a layer with a slip, judged by the referee of the right one, among layers that are right.


def relu_a_hundredth_too_steep(x: Any) -> Any:
    return el.where(x > 0.0, x, 0.0), el.where(x > 0.0, 1.01, 0.0)


def relu_without_a_gradient(x: Any) -> Any:
    return el.where(x > 0.0, x, 0.0), 0.0 * x


def sigmoid_with_a_wrong_constant(x: Any) -> Any:
    y = el.sigmoid(x)
    return y + 0.003, y * (1.0 - y)


@pytest.mark.parametrize(
    ("function", "name", "draws", "expected"),
    [
        (relu_a_hundredth_too_steep, "relu", 10**6, (BACKWARD, "std")),
        (relu_without_a_gradient, "relu", 10**3, (BACKWARD, "std")),
        (sigmoid_with_a_wrong_constant, "sigmoid", 10**6, (FORWARD, "mean")),
    ],
)
def test_a_wrong_formula_is_caught_by_name(function: Any, name: str, draws: int, expected: tuple[str, str]) -> None:
    cases = [Case(layer) for layer in LAYERS.values()] + [Case(imposter(function, name))]
    suspected = disagreements(run(cases, draws, SEED))
    assert {(d.row.case.layer.name, d.row.row.direction, d.statistic) for d in suspected} == {
        (function.__name__, *expected)
    }
    assert str(suspected[0]).startswith(f"{function.__name__} {' '.join(expected)} is ")


def forgetful(constants: Any, x: Any, dy: Any, noise: Any, y: Any, dx: Any) -> None:
    """A layer that answers nothing."""
    for lane in range(x.shape[1]):
        y[0, lane] = 0.0
        dx[0, lane] = 0.0


def test_nothing_seen_is_a_disagreement_where_much_should_be() -> None:
    """dropout's y has no exact kurtosis: its MAD says that half of the draws differ from 0."""
    layer = replace(find("dropout"), name="forgetful", kernel=lambda params: forgetful)
    wrong = {(d.row.row.direction, d.statistic) for d in disagreements(run([Case(layer)], 10**3, SEED))}
    assert wrong == {(FORWARD, "std"), (BACKWARD, "std")}


def test_the_sampled_error_counts_where_it_is_the_larger() -> None:
    """One value of 50 standard deviations in 1,000 draws: the std is far off in exact standard errors."""
    (y, _) = run([Case(find("relu"))], 1000, SEED)
    exact = Exact(0.0, 1.0, kurtosis=3.0, skewness=0.0)
    values = np.append(np.random.default_rng(5).standard_normal(999), 50.0)
    e = replace(y.estimates, mean=values.mean(), std=values.std(), mean_se=values.std() / math.sqrt(1000.0))
    squares = np.square(values - values.mean())
    e = replace(e, std_se=squares.std() / math.sqrt(1000.0) / (2.0 * values.std()))
    outlier = replace(y, estimates=e, exact=exact)
    z = score(outlier, "std").z
    assert z is not None
    assert 0.5 < z < 1.5
