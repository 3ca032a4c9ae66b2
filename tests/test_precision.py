"""Precision targets: how many draws they take, who draws more, what happens at the limit."""

import json
import math
from pathlib import Path
from typing import Any

import pytest
from scipy import stats

from gradstat.cli.app import start
from gradstat.config import RunConfig
from gradstat.estimation.blocks import PILOT_DRAWS, block_draws
from gradstat.estimation.engines import threads
from gradstat.estimation.estimates import Estimates
from gradstat.estimation.groups import groups
from gradstat.estimation.precision import INFLATION, Target, allowed, distances, needed, relative_error, worst
from gradstat.estimation.run import centres, run, sample
from gradstat.layer_types.case import Case
from gradstat.layer_types.from_config import cases
from gradstat.layer_types.registry import LAYERS
from gradstat.numerics.draws import PILOT

SEED = 20160328
FALSE_ALARM = 1e-6


def estimates(n: int = 10_000, **values: float) -> Estimates:
    degrees = {name: math.inf for name in Estimates.__dataclass_fields__ if name.endswith("_df")}
    fields = dict.fromkeys(Estimates.__dataclass_fields__, 0.0) | degrees | values
    return Estimates(**(fields | {"n": n}))  # type: ignore[arg-type]


def target(relative: float | None = None, absolute: float | None = None, limit: int = 10**10) -> Target:
    return Target(relative, absolute, limit)


def missed(e: Estimates, wanted: Target) -> list[Any]:
    """The targets that a row has not reached."""
    return [distance for distance in distances(e, wanted) if not distance.ratio <= 1.0]


# What an error is compared with -----------------------------------------------------------------------------------


def test_a_mean_of_zero_is_compared_with_the_scale_of_the_row() -> None:
    row = estimates(mean=0.0, mean_se=0.02, std=2.0, std_se=0.001)
    assert [tuple(d) for d in distances(row, target(0.1))] == [("mean", 0.01, 0.1), ("std", 0.0005, 0.1)]


def test_a_mean_far_from_zero_is_compared_with_itself() -> None:
    row = estimates(mean=-100.0, mean_se=0.02, std=0.5, std_se=0.001)
    (mean, std) = distances(row, target(0.1))
    assert mean.error == pytest.approx(0.02 / 100.0, rel=1e-4)
    assert std.error == pytest.approx(0.002)


def test_absolute_targets_are_the_errors_themselves() -> None:
    row = estimates(mean=5.0, mean_se=0.02, std=2.0, std_se=0.03)
    assert [tuple(d) for d in distances(row, target(None, 0.1))] == [("mean", 0.02, 0.1), ("std", 0.03, 0.1)]
    assert worst([row], target(0.5, 0.1)).ratio == pytest.approx(0.3)


def test_a_row_that_is_always_zero_has_no_error() -> None:
    assert relative_error([estimates()]) == 0.0
    assert needed(estimates(), target(1e-9)) == 2


def test_draws_grow_with_the_square_of_the_ratio() -> None:
    row = estimates(mean_se=0.01, std=1.0, std_se=0.007)
    assert needed(row, target(0.001)) == math.ceil(INFLATION * 10_000 * 100)
    assert needed(estimates(mean_se=0.02, std=1.0), target(0.001)) == math.ceil(INFLATION * 10_000 * 400)
    assert allowed(needed(row, target(0.001)), target(0.001), 2**18) == 5 * 2**18
    assert allowed(needed(row, target(0.001)), target(0.001, limit=700_000), 2**18) == 700_000


@pytest.mark.parametrize("degrees", [2.0, 8.0, 100.0])
def test_an_error_of_few_degrees_of_freedom_counts_as_larger(degrees: float) -> None:
    """Half the length of the 68 % interval by Student's t."""
    row = estimates(mean_se=0.01, std=1.0, mean_df=degrees)
    longer = stats.t.ppf(stats.norm.cdf(1.0), degrees)
    assert worst([row], target(0.1)).error == pytest.approx(0.01 * longer, rel=5e-3)
    assert needed(row, target(0.001)) == pytest.approx(INFLATION * 10_000 * 100 * longer**2, rel=1e-2)


def test_what_has_no_finite_error_needs_infinitely_many_draws() -> None:
    assert needed(estimates(std=math.inf, std_se=math.inf, mean_se=math.nan), target(1e-3)) == math.inf
    assert needed(estimates(std_se=math.inf), target(1e-3)) == math.inf  # and a scale of 0
    assert missed(estimates(std=1.0, std_se=math.nan, mean_se=0.0), target(1e-3))


# The run ----------------------------------------------------------------------------------------------------------


def test_only_those_who_need_more_draw_more() -> None:
    """Tails cost; every layer has the bytes that it has alone, with as many draws."""
    together = [Case(LAYERS[name]) for name in ("relu", "tanhshrink", "sigmoid")]
    found = run(together, target(1e-3), SEED, 2)
    draws = {line.case.layer.name: line.estimates.n for line in found}
    assert len(set(draws.values())) >= 3
    assert draws["tanhshrink"] == max(draws.values())
    for line in found:
        alone = run([line.case], draws[line.case.layer.name], SEED, 2)
        own = alone[0 if line.row.direction == "forward" else 1]
        assert own.accumulators.tobytes() == line.accumulators.tobytes()
        assert missed(line.estimates, target(1e-3)) == []
        assert line.estimates.n % block_draws(line.case) == 0


def test_the_number_of_draws_is_that_of_theory() -> None:
    """relu backward has the kurtosis 6: se(std)/std = √((6 − 1)/4n), so n = 1.2·5/(4·rel²), up to the pilot's noise."""
    wanted = _needed("relu", SEED, 1e-4)
    assert wanted == pytest.approx(1.2 * 5.0 / (4.0 * 1e-8), rel=0.05)
    assert wanted != pytest.approx(1.2 * (5.0 + 1.0) / (4.0 * 1e-8), rel=0.05)  # the negative control


def test_the_run_decides_nothing() -> None:
    """n comes from the pilot's stream alone: the run's own draws can neither stop it nor go on."""
    few = run([Case(LAYERS["sigmoid"])], target(2e-3), SEED, 1)
    many = math.ceil(_needed("sigmoid", SEED, 2e-3))
    assert few[0].estimates.n == -(-many // 2**18) * 2**18


def test_pilots_of_other_seeds_agree_within_the_inflation() -> None:
    """The n of a pilot scatters by 0.5 % for relu (30 seeds); the inflation is 40 times as much."""
    found = [_needed("relu", seed, 1e-3) for seed in range(30)]
    assert max(found) / min(found) < 1.05 < INFLATION


def _needed(name: str, seed: int, relative: float) -> float:
    """The draws that the pilot of a layer asks for."""
    from gradstat.estimation.estimates import estimates as of

    (group,) = groups([Case(LAYERS[name])])
    pilot = sample(group, group.pilot_draws, seed, PILOT, 1, threads).total()
    assert len(centres(pilot)) == 2
    return max(needed(of(row), target(relative)) for row in pilot)


# Configuration and command line -----------------------------------------------------------------------------------

CONFIG = '[[layer]]\nname = "relu"\n[[layer]]\nname = "sigmoid"\n'


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "c.toml").write_text(CONFIG)
    return tmp_path


def document(capsys: pytest.CaptureFixture[str]) -> Any:
    return json.loads(capsys.readouterr().out)


def test_a_target_that_is_reached(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert start(["run", "c.toml", "--rel-error", "1e-3", "--target-error", "2e-3", "--format", "json"]) == 0
    found = document(capsys)
    for row in found["rows"]:
        assert row["std_se"] <= 1e-3 * row["std"]
        assert row["mean_se"] <= 1e-3 * math.hypot(row["mean"], row["std"])
    wanted = found["provenance"]["configuration"]
    assert (wanted["rel_error"], wanted["target_error"], "samples" in wanted) == (1e-3, 2e-3, False)
    assert RunConfig.model_validate(wanted).precise


def test_a_limit_that_comes_first(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code = start(["run", "c.toml", "--rel-error", "1e-4", "--max-samples", "1e6", "--format", "json"])
    captured = capsys.readouterr()
    assert code == 3
    assert {row["n"] for row in json.loads(captured.out)["rows"]} == {1_000_000}
    relu, sigmoid = captured.err.splitlines()
    assert relu.startswith(
        "gradstat: precision not reached: relu backward std: relative error 0.0011, target 0.0001, after 1,000,000"
    )
    assert relu.endswith("--max-samples 1.5e+08")
    assert "not reached: sigmoid backward mean: relative error 0.001, target" in sigmoid


def test_options_displace_what_the_file_says(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "c.toml").write_text(f"samples = 4096\n{CONFIG}")
    assert start(["run", "c.toml", "--rel-error", "0.5", "--format", "json"]) == 0
    assert {row["n"] for row in document(capsys)["rows"]} == {2**18}
    (folder / "c.toml").write_text(f"rel_error = 0.5\nmax_samples = 10_000\n{CONFIG}")
    assert start(["run", "c.toml", "-n", "4096", "--format", "json"]) == 0
    assert {row["n"] for row in document(capsys)["rows"]} == {4096}
    assert start(["run", "c.toml", "--format", "json"]) == 0
    assert {row["n"] for row in document(capsys)["rows"]} == {10_000}


@pytest.mark.parametrize(
    ("head", "options", "words"),
    [
        (
            "samples = 4096\nrel_error = 0.5\n",
            "",
            "c.toml: samples and rel_error exclude each other; max_samples limits",
        ),
        ("", "-n 10 --target-error 1", "options: samples and target_error exclude each other"),
        (
            "",
            "--max-samples 100",
            "max_samples limits the draws for a target, and no target is set; add --rel-error 1e-4",
        ),
        ("", "--rel-error 0", "--rel-error 0 is not allowed; expected a number above 0, e.g. 1e-4"),
        ("", "--rel-error much", "--rel-error much is not allowed; expected a number above 0, e.g. 1e-4"),
        ("", "--rel-error 1e-3 --max-samples 1", "--max-samples 1 is not allowed; expected a whole number from 2"),
        ("", "--rel-error 2", "rel_error = 2.0 is not allowed; expected a number between 0 and 1"),
        ("rel_error = -1\n", "", "c.toml: rel_error = -1 is not allowed; expected a number between 0 and 1, e.g. 1e-4"),
        ("target_error = 0\n", "", "c.toml: target_error = 0 is not allowed; expected a number above 0, e.g. 1e-4"),
        ("rel_eror = 1e-3\n", "", "c.toml: unknown key 'rel_eror'; did you mean 'rel_error'?"),
    ],
)
def test_mistakes(head: str, options: str, words: str, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "c.toml").write_text(head + CONFIG)
    assert start(["run", "c.toml", *options.split()]) == 2
    captured = capsys.readouterr()
    assert captured.err.startswith(f"gradstat: {words}")
    assert (captured.out, captured.err.count("\n")) == ("", 1)


def test_a_target_is_a_question_of_the_same_draws() -> None:
    wanted = RunConfig.model_validate({"rel_error": 1e-3, "layer": [{"name": "relu"}]})
    (line, _) = run(cases(wanted), target(1e-3), wanted.seed, 1)
    (same, _) = run(cases(wanted), line.estimates.n, wanted.seed, 1)
    assert line.accumulators.tobytes() == same.accumulators.tobytes()


# Targets that no number of draws reaches --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("layer", "words", "draws"),
    [
        (
            'name = "exp"\ninput = { distribution = "laplace" }',
            "exp, x ~ laplace(0, 1) forward mean: no error bar (infinite variance); no number of draws reaches",
            PILOT_DRAWS,
        ),
        (
            'name = "exp"\ninput = { distribution = "laplace", std = 0.5 }',
            "exp, x ~ laplace(0, 0.5) forward std: no error bar (infinite fourth moment); no number of draws reaches",
            PILOT_DRAWS,
        ),
        (
            'name = "exp"\ninput = { std = 3.0 }',
            "exp, x ~ normal(0, 3) forward mean: no error bar (heavy tails: values count that are rarer than 10^-17, "
            "which no draw has); no number of draws reaches the target",
            PILOT_DRAWS,
        ),
        (
            'name = "relu"\ninput = { mean = -6.0 }',
            "relu, x ~ normal(-6, 1) forward mean: no error bar (no draw differed from 0; P is about 10^-9), target "
            "0.01, after 1,000,000 draws; about 1.7e+13 are needed",
            1_000_000,
        ),
        (
            'name = "hardshrink"\nlambd = 6.0',
            "hardshrink(lambd=6.0) forward mean: no error bar (no draw differed from 0; P is about 10^-9), target "
            "0.01, after 1,000,000 draws; about 4.6e+12 are needed",
            1_000_000,
        ),
        (
            'name = "dropout"\np = 0.9999999999999999',
            "dropout(p=0.9999999999999999) forward mean: no error bar (no draw differed from 0; P is about 10^-17); "
            "262,144 draws are too few, and how many would do is not known",
            PILOT_DRAWS,
        ),
    ],
)
def test_a_target_out_of_reach(
    layer: str, words: str, draws: int, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "c.toml").write_text(f"[[layer]]\n{layer}\n")
    code = start(["run", "c.toml", "--rel-error", "1e-2", "--max-samples", "1e6", "--format", "json"])
    captured = capsys.readouterr()
    assert code == 3
    assert captured.err.startswith(f"gradstat: precision not reached: {words}")
    assert captured.err.count("\n") == 1
    assert {row["n"] for row in json.loads(captured.out)["rows"]} == {draws}


def test_rare_events_draw_as_many_as_their_moments_need() -> None:
    """hardshrink at 4.7: three draws in a million count, too few of which the pilot has for an error bar."""
    case = Case(LAYERS["hardshrink"], {"lambd": 4.7})
    rows = run([case], target(0.1, limit=2**26), SEED, 2)
    assert rows[0].estimates.n > PILOT_DRAWS
    assert [missed(row.estimates, target(0.1)) for row in rows] == [[], []]
