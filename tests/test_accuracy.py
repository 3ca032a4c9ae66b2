"""Every shipped layer, sampled a million times, against its referee; and wrong formulas, which must be caught.

False alarms: the seed is fixed, so none. With a fresh one, 10⁻⁶ for each of the two families of z-scores.
At 2²⁰ draws the bound is near 5.5 standard errors: a wrong std is seen from 0.4 % on (0.2 % for bounded layers).
"""

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from gradstat.config import load
from gradstat.estimation.run import ResultRow, run
from gradstat.estimation.significance import disagreements, z_bound
from gradstat.layer_types.case import Case
from gradstat.layer_types.elementwise import elementwise
from gradstat.layer_types.from_config import cases
from gradstat.layer_types.record import ANYTHING, BACKWARD, FORWARD, Layer, no_referee
from gradstat.layer_types.registry import LAYERS, find
from gradstat.numerics import elementary as el

DRAWS, SEED = 2**20, 20160328
SERIES = Path(__file__).parents[1] / "configs" / "series.toml"


@pytest.fixture(scope="module")
def lines() -> list[ResultRow]:
    """Every layer with its defaults, and every case of the series."""
    return run([Case(layer) for layer in LAYERS.values()] + cases(load(SERIES)), DRAWS, SEED)


def test_mean_and_std_of_every_layer(lines: list[ResultRow]) -> None:
    assert disagreements(lines) == []


def test_every_layer_with_a_referee_was_compared(lines: list[ResultRow]) -> None:
    compared = {line.case.layer.name for line in lines if line.z_mean is not None and line.z_std is not None}
    assert compared == {name for name, layer in LAYERS.items() if layer.referee is not no_referee}


def test_the_other_statistics_of_every_layer(lines: list[ResultRow]) -> None:
    """Second moment, E|v| and E|v − E[v]|, where the referee has them."""
    scores = {}
    for number, line in enumerate(lines):
        if line.exact is None:
            continue
        exact, found = line.exact, line.estimates
        values = {"second_moment": exact.var + exact.mean**2, "abs_mean": exact.abs_mean, "mad": exact.mad}
        for name, value in values.items():
            error = getattr(found, f"{name}_se")
            if value is not None and error > 0.0:
                key = (number, line.case.label, line.row.direction, name)
                scores[key] = (getattr(found, name) - value) / error
    bound = z_bound(len(scores))
    assert {key: z for key, z in scores.items() if not abs(z) <= bound} == {}


# Negative controls: a layer with a slip, judged by the referee of the right one.


def sigmoid_without_1_minus_y(x: Any) -> Any:
    y = el.sigmoid(x)
    return y, y


def sigmoid_a_hundredth_too_steep(x: Any) -> Any:
    y = el.sigmoid(1.01 * x)
    return y, y * (1.0 - y)


def relu_with_a_leak(x: Any) -> Any:
    return el.where(x > 0.0, x, 0.02 * x), el.where(x > 0.0, 1.0, 0.0)


def imposter(function: Callable[[Any], Any], name: str) -> Layer:
    """The layer of this name with another formula."""
    wrong = elementwise(
        function.__name__, function, formula="", kinks=(), domains={}, variants=None, constraint=ANYTHING, torch="",
        source="", aliases=(), presets={},
    )  # fmt: skip
    return replace(wrong, referee=find(name).referee)


@pytest.mark.parametrize(
    ("function", "name", "expected"),
    [
        (sigmoid_without_1_minus_y, "sigmoid", {(BACKWARD, "std")}),
        (sigmoid_a_hundredth_too_steep, "sigmoid", {(FORWARD, "std")}),
        (relu_with_a_leak, "relu", {(FORWARD, "mean"), (FORWARD, "std")}),
    ],
)
def test_a_wrong_formula_is_caught(function: Any, name: str, expected: set[tuple[str, str]]) -> None:
    """By name, and it alone, among layers that are right."""
    suspected = disagreements(
        run([Case(find("tanh")), Case(imposter(function, name)), Case(find("relu"))], DRAWS, SEED)
    )
    assert {d.row.case.layer.name for d in suspected} == {function.__name__}
    assert {(d.row.row.direction, d.statistic) for d in suspected} == expected


def test_the_bound_is_a_family_wise_millionth() -> None:
    for tests in (1, 20, 1000):
        assert tests * math.erfc(z_bound(tests) / math.sqrt(2.0)) == pytest.approx(1e-6, rel=1e-6)
