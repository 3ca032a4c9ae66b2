"""docs/networks.md and the example that makes its tables, and the notes below the table of an experiment."""

import copy
import json
import math
import runpy
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from gradstat.networks.config import PropagateConfig, load
from gradstat.networks.outcome import Combination, Outcome, outcome
from gradstat.networks.summary import cell, notes, report
from gradstat.networks.tasks import Experiment, execute
from gradstat.text.formats import render
from gradstat.text.tables import Terminal
from gradstat.text.uncertain import Uncertain
from gradstat.toml_file import Override

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "networks.md").read_text(encoding="utf-8")
REPORT = runpy.run_path(str(ROOT / "examples" / "depth_report.py"))


def outcome_of(config: PropagateConfig) -> Outcome:
    experiment = Experiment(config)
    answers = {task: execute(experiment, task) for task in experiment.tasks()}
    return outcome(experiment, answers, {"configuration": config.model_dump(mode="json")})


def document(of: Outcome) -> dict[str, Any]:
    parsed: dict[str, Any] = json.loads(render(report([of]), "json"))
    return parsed


@cache
def small(*schemes: str) -> Outcome:
    stage = {"repeat": 12, "blocks": [{"kind": "linear"}, {"kind": "activation"}]}
    network = {"activations": ["relu"], "stage": [stage]}
    document: dict[str, Any] = {"features": 64, "batch": 8, "networks": 6, "schemes": schemes, "network": [network]}
    return outcome_of(PropagateConfig.model_validate(document))


def test_the_page_holds_what_the_code_computes() -> None:
    """Five lines of the page, computed again."""
    config = load(ROOT / "configs" / "resnet.toml", [Override("schemes", ["separate"], "")])
    tables = dict(REPORT["tables"](document(outcome_of(config))))
    for name, count in {"gradient_distortion": 2, "prediction_at_the_end": 1, "everything": 2}.items():
        lines = tables[name].splitlines(keepends=True)[2:]
        assert len(lines) == count
        assert [line for line in lines if line not in PAGE] == []


def test_the_page_has_a_place_for_every_table() -> None:
    for name, table in REPORT["tables"](document(small("none", "he", "separate"))):
        assert f"<!-- table: {name} -->\n| " in PAGE
        assert table.count("\n") > 2


def test_tables_are_replaced_and_nothing_else() -> None:
    marked = "before\n<!-- table: in_range -->\nold\n<!-- end -->\nafter <!-- end -->\n"
    table = dict(REPORT["tables"](document(small("he"))))["in_range"]
    page = REPORT["replace_tables"](marked, document(small("he")))
    assert page == marked.replace("old\n", table)
    assert "| he | 1 of 1 | relu |" in page


def test_a_prediction_that_is_off_is_marked() -> None:
    """Half a per cent is within error for these few networks; twice the σ is not, and only its direction is marked."""
    for size, marked in ((1.0, False), (1.005, False), (2.0, True)):
        wrong = copy.deepcopy(document(small("he")))
        for row in wrong["rows"]:
            row["predicted_dx_std"] *= size
        table = dict(REPORT["tables"](wrong))["prediction_error"]
        assert ("dx **" in table) is marked
        assert "y **" not in table


def test_the_prediction_error_is_the_largest_of_the_first_levels() -> None:
    """Right for nine levels, half of the prediction at the tenth, and wrong beyond the levels that are compared."""
    predicted = [*(float(level) for level in range(1, 10)), 20.0, 99.0, 99.0]
    rows = [
        {"path": f"{level}.1", "level": level, "y_std": float(level), "y_std_se": 0.5, "predicted_y_std": theory}
        for level, theory in enumerate(predicted, 1)
    ]
    assert REPORT["largest_error"](REPORT["Combination"]({}, rows), True) == "**−50.0 % (20.0)**"
    assert REPORT["largest_error"](REPORT["Combination"]({}, rows[:9]), True) == "+0.0 % (0.0)"
    assert REPORT["largest_error"](REPORT["Combination"]({}, []), True) == "–"


@pytest.mark.parametrize(
    ("value", "error", "text"),
    [
        (1.0, 8e-17, "1"),
        (0.0, 0.0, "0"),
        (2.3612, 0.031, "2.36 ± 0.03"),
        (2.3612, 0.0181, "2.361 ± 0.018"),
        (13983.0, 153.0, "(1.398 ± 0.015)·10^4"),
        (1.69e-15, 5e-17, "(1.69 ± 0.05)·10^-15"),
        (None, None, "–"),
    ],
)
def test_numbers_of_the_example(value: float | None, error: float | None, text: str) -> None:
    assert REPORT["text"](value, error) == text


def test_numbers_of_the_table() -> None:
    assert cell(1.0, 8e-17) == "1"
    assert cell(0.0, 0.0) == "0"
    assert cell(2.3612, 0.031) == Uncertain(2.3612, 0.031)
    assert cell(math.nan, math.nan) is None
    assert cell(math.inf, math.nan) == "∞"


def test_the_table_fits_the_terminal() -> None:
    """Numbers go before verdicts, and the names of networks wrap."""
    for width in (48, 60, 80, 120, 200):
        text = render(report([small("none", "he", "separate")]), "table", Terminal(width))
        assert isinstance(text, str)
        assert max(map(len, text.splitlines())) <= width
        assert "backward" in text.splitlines()[1]
    assert "per level" in text.splitlines()[1]


def test_schemes_that_are_the_same_are_noted() -> None:
    assert "configuration: none and xavier have equal numbers, since every layer is square" in notes(
        small("none", "xavier", "he")
    )
    assert not any("have equal numbers" in note for note in notes(small("none", "he")))


def test_combinations_are_found_by_name() -> None:
    assert isinstance(small("none", "he").find("relu", "he"), Combination)
    assert small("none", "he").find("relu", "separate") is None
