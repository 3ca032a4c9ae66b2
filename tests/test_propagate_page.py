"""What `gradstat propagate` tells: the committed page is what the code says, and what is off is marked."""

import math
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gradstat.networks.config import PropagateConfig, load
from gradstat.networks.outcome import Combination, Outcome, outcome
from gradstat.networks.page import page
from gradstat.networks.parting import departure, parting
from gradstat.networks.prose import listed, shown
from gradstat.networks.summary import cells
from gradstat.networks.tasks import Experiment, execute
from gradstat.toml_file import Override

ROOT = Path(__file__).parents[1]
COMMAND = "gradstat propagate some.toml"


def outcome_of(config: PropagateConfig, title: str = "some") -> Outcome:
    experiment = Experiment(config)
    answers = {task: execute(experiment, task) for task in experiment.tasks()}
    return outcome(experiment, answers, {"configuration": config.model_dump(mode="json"), "command": COMMAND}, title)


@cache
def small(*schemes: str) -> Outcome:
    stage = {"repeat": 12, "blocks": [{"kind": "linear"}, {"kind": "activation"}]}
    network = {"activations": ["relu"], "stage": [stage]}
    document: dict[str, Any] = {"features": 64, "batch": 8, "networks": 6, "schemes": schemes, "network": [network]}
    return outcome_of(PropagateConfig.model_validate(document))


def test_the_committed_page_is_what_the_code_says() -> None:
    """Two lines of results/depth.md, computed again."""
    found = outcome_of(load(ROOT / "configs" / "resnet.toml", [Override("schemes", ["separate"], "")]))
    text = (ROOT / "results" / "depth.md").read_text(encoding="utf-8")
    assert len(found.combinations) == 2
    for combination in found.combinations:
        assert f"| {' | '.join(cells(combination))} |\n" in text


def test_a_prediction_that_is_off_is_marked() -> None:
    """Half a per cent is within error for these few networks; twice the σ is not, and only its direction is marked."""
    (right,) = small("he").combinations
    assert "**" not in _table(small("he"))
    for size, marked in ((1.005, False), (2.0, True)):
        wrong = replace(right, predicted=right.predicted | {"dx_std": size * right.predicted["dx_std"]})
        text = _table(replace(small("he"), combinations=[wrong]))
        assert ("dx **" in text) is marked
        assert "y **" not in text


def _table(one: Outcome) -> str:
    return next(part for part in parting([one]) if part.startswith("|"))


def test_a_departure_is_the_largest_of_the_first_levels() -> None:
    levels = np.arange(1.0, 13.0)
    sigmas = np.array([levels, 1.1 * levels])
    predicted = np.array([*1.05 * levels[:9], 2.1 * 10.0, 99.0, 99.0])  # right for nine levels, then half, then beyond
    one = replace(small("he").combinations[0], whole_cosine=np.zeros(2))
    rows = one.ends()
    figures, theory = np.full((2, len(one.place)), math.nan), np.full(len(one.place), math.nan)
    figures[:, rows], theory[rows] = sigmas, predicted
    one = replace(one, figures=one.figures | {"y_std": figures}, predicted=one.predicted | {"y_std": theory})
    found = departure(one, True)
    assert found is not None
    assert found.relative == pytest.approx(-0.5)
    assert found.errors == pytest.approx(abs(10.5 - 21.0) / 0.5)


def test_a_page_has_no_section_without_its_schemes() -> None:
    text = page([small("he")], [])
    assert "## The answer" in text
    assert "Post I scales" not in text
    assert "## The price" not in text
    assert f"Made by `{COMMAND}`" in text
    whole = page([small("forward", "backward", "separate")], [Path("some.svg")])
    for words in ("Post I scales", "Post II scales", "## The price", "(some.svg)", "Scaled separately, the gradient"):
        assert words in whole
    assert max(len(line) for line in whole.splitlines() if not line.startswith("|")) <= 120


def test_numbers_and_lists_are_spelt() -> None:
    assert shown(1.0, 8e-17) == "1"
    assert shown(0.0, 0.0) == "0"
    assert shown(2.3612, 0.031) == "2.36 ± 0.03"
    assert shown(math.nan, math.nan) == "–"
    assert shown(math.inf, math.nan) == "∞"
    assert [listed(names) for names in ((), ("a",), ("a", "b"), ("a", "b", "c"))] == [
        "none",
        "a",
        "a and b",
        "a, b and c",
    ]


def test_schemes_that_are_the_same_are_told() -> None:
    from gradstat.networks.summary import notes

    assert "none and xavier are the same here, since every layer is square" in notes(small("none", "xavier", "he"))
    assert not any("are the same here" in note for note in notes(small("none", "he")))


def test_combinations_are_found_by_name() -> None:
    found = small("none", "he").find("relu", "he")
    assert isinstance(found, Combination)
    assert small("none", "he").find("relu", "separate") is None
