"""`gradstat diff`: what must be equal to the byte, and what may differ by chance."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from gradstat.cli.app import start
from gradstat.config import RunConfig
from gradstat.estimation.run import run
from gradstat.layer_types.from_config import cases
from gradstat.results.diff import Comparison, Difference, compare
from gradstat.results.provenance import provenance
from gradstat.results.result import Result
from gradstat.results.rows import to_arrow
from gradstat.results.store import write

LAYERS = ({"name": "relu"}, {"name": "sigmoid"})
Layers = tuple[dict[str, Any], ...]


def sampled(seed: int = 1, samples: int = 20_000, layers: Layers = LAYERS) -> Result:
    config = RunConfig.model_validate({"seed": seed, "samples": samples, "layer": list(layers)})
    lines = run(cases(config), samples, seed, 1)
    return Result(to_arrow(lines, seed, "mc"), provenance(config, 1, 0.0))


def changed(result: Result, column: str, value: Any, row: int = 0) -> Result:
    rows = result.rows()
    rows[row][column] = value
    return replace(result, table=pa.Table.from_pylist(rows, schema=result.table.schema))


@pytest.fixture(scope="module")
def one() -> Result:
    return sampled()


# diff --------------------------------------------------------------------------------------------------------------


def test_same_seed_same_bytes(one: Result) -> None:
    found = compare(one, sampled())
    assert found.agree
    assert (found.bytewise, found.scored, found.scores, found.identical) == (4, 0, [], True)


def test_the_last_bit_is_seen_and_named(one: Result) -> None:
    value = one.rows()[1]["acc_m4"]
    found = compare(one, changed(one, "acc_m4", value * (1.0 + 2**-52), row=1))
    assert not found.agree
    assert len(found.unequal) == 1
    assert found.unequal == [Difference("relu backward", "acc_m4", value, value * (1.0 + 2**-52))]
    assert not found.identical


def test_minus_zero_is_not_zero(one: Result) -> None:
    zero, minus = (changed(one, "acc_shift", value) for value in (0.0, -0.0))
    assert not compare(zero, minus).agree
    assert compare(zero, zero).agree


def test_exact_values_may_differ_in_their_last_digit(one: Result) -> None:
    value = one.rows()[0]["exact_std"]
    close = compare(one, changed(one, "exact_std", value * (1.0 + 1e-15)))
    assert close.agree
    assert not close.identical
    assert compare(one, changed(one, "exact_std", value * (1.0 + 1e-9))).unequal
    assert compare(one, changed(one, "exact_std", None)).unequal


def test_other_seeds_are_compared_by_z_scores(one: Result) -> None:
    found = compare(one, sampled(seed=2))
    assert found.agree
    assert (found.bytewise, found.scored, len(found.scores)) == (0, 4, 8)
    assert 0.1 < found.largest < 4.0


def test_a_wrong_number_is_beyond_the_bound(one: Result) -> None:
    other = sampled(seed=2)
    row = other.rows()[2]
    found = compare(one, changed(other, "std", row["std"] + 8.0 * row["std_se"], row=2))
    assert [(score.row, score.statistic) for score in found.beyond] == [("sigmoid forward", "std")]
    assert (found.beyond[0].z or 0.0) < -found.bound


def test_nan_is_beyond_every_bound(one: Result) -> None:
    assert compare(one, changed(sampled(seed=2), "mean", float("nan"))).beyond


def test_the_bound_is_simultaneous() -> None:
    bounds = [Comparison(([], []), [], 0, n, [Difference("", "", 0.0, 0.0, 0.0)] * n, False).bound for n in (1, 100)]
    assert bounds == pytest.approx([4.891638, 5.730729], abs=1e-5)


def test_more_draws_and_other_streams_are_compared_by_z_scores(one: Result) -> None:
    found = compare(one, sampled(samples=40_000))
    assert found.agree
    assert found.scored == 4
    assert compare(one, replace(one, provenance=one.provenance | {"stream_version": -1})).scored == 4


def test_rows_of_one_file_only_are_named(one: Result) -> None:
    other = sampled(layers=(*LAYERS[:1], {"name": "leaky_relu", "negative_slope": 0.2}))
    found = compare(one, other)
    assert not found.agree
    assert found.alone[0] == ["sigmoid forward", "sigmoid backward"]
    assert found.alone[1][0] == "leaky_relu(negative_slope=0.2) forward"
    assert found.bytewise == 2


def test_a_layer_that_is_asked_for_twice(one: Result) -> None:
    twice = sampled(layers=(LAYERS[0], LAYERS[0]))
    assert compare(twice, twice).bytewise == 4
    assert compare(twice, one).alone[0] == ["relu forward", "relu backward"]


def test_diff_command(one: Result, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    a, b, c = (str(tmp_path / f"{name}.parquet") for name in "abc")
    write(one, Path(a))
    write(sampled(seed=2), Path(b))
    write(changed(one, "mean", 0.5), Path(c))
    assert start(["diff", a, a]) == 0
    assert capsys.readouterr().out == "identical: 4 rows of the same seed and draws, equal in every number\n"
    assert start(["diff", a, b]) == 0
    assert capsys.readouterr().out.startswith("4 rows of other seeds or draws: largest |z| of 8 is ")
    assert start(["diff", a, c]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert lines[2].split()[:4] == ["relu", "forward", "mean", f"{one.rows()[0]['mean']:.10g}"]
    assert lines[2].endswith("not equal")
    assert lines[-1] == "4 rows of the same seed and draws, compared to the byte"
    assert start(["diff", a, c, "--format", "json"]) == 1
    document = json.loads(capsys.readouterr().out)
    assert (document["identical"], document["agree"], document["rows_compared_to_the_byte"]) == (False, False, 4)
    assert document["rows"][0] == {
        "row": "relu forward", "statistic": "mean", "first": one.rows()[0]["mean"], "second": 0.5, "z": None,
        "difference": "not equal",
    }  # fmt: skip
    assert start(["diff", "-", "-"]) == 2
    assert "standard input can be read once" in capsys.readouterr().err
    assert start(["diff", "-q", a, c]) == 1
    assert start(["diff", a, str(tmp_path / "nowhere.parquet")]) == 4
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "there is no such file" in captured.err
