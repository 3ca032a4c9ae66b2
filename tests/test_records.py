"""Records: what is kept is kept exactly, what is shown has a warrant, and a file is there whole or not at all."""

import csv
import io
import json
import math
import os
import re
import stat
from collections.abc import Callable
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from gradstat.config import RunConfig
from gradstat.errors import UnreadableFile, UsageError
from gradstat.estimation.estimates import Estimates
from gradstat.estimation.run import ResultRow, run
from gradstat.layer_types.from_config import cases
from gradstat.layer_types.record import no_referee
from gradstat.results import schema, store
from gradstat.results.overview import overview, report
from gradstat.results.provenance import provenance
from gradstat.results.result import Result
from gradstat.results.rows import to_arrow
from gradstat.results.store import read, write
from gradstat.text.files import check_writable, replacing
from gradstat.text.formats import TABLES, render, render_text

SEED, SAMPLES = 2**64 - 1, 5000
CONFIG = RunConfig.model_validate(
    {
        "seed": SEED,
        "samples": SAMPLES,
        "layer": [
            {"name": "relu", "printed": {"forward_std": "√(1/2 − 1/2π) | x", "backward_mean": "0"}},
            {"name": "max_pool2d", "kernel_size": 3},
            {"name": "relu", "input": {"distribution": "laplace", "mean": 1.0}, "printed": {"forward_std": "7"}},
        ],
    }
)


@pytest.fixture(scope="module")
def lines() -> list[ResultRow]:
    found = run(cases(CONFIG), SAMPLES, SEED, jobs=2)
    return [*found[:-1], blind(found[-1])]


def blind(line: ResultRow) -> ResultRow:
    """The row of a layer without a referee."""
    layer = replace(line.case.layer, referee=no_referee)
    return replace(line, case=replace(line.case, layer=layer), exact=None)


@pytest.fixture(scope="module")
def result(lines: list[ResultRow]) -> Result:
    return Result(to_arrow(lines, SEED, "mc"), provenance(CONFIG, 2, 1.25))


def numbers(row: dict[str, Any]) -> dict[str, Any]:
    """A row in which NaN equals itself."""
    return {key: str(value) if value != value else value for key, value in row.items()}


# The file ---------------------------------------------------------------------------------------------------------


def test_columns_are_those_of_the_design() -> None:
    design = """layer, params, direction, cell, input, upstream, estimator, seed, n,
    mean, mean_se, std, std_se, second_moment, second_moment_se, abs_mean, abs_mean_se, mad, mad_se, skewness, kurtosis,
    zero_fraction, min, max, exact_mean, exact_std, z_mean, z_std, windows, exact_mad, mean_df, std_df,
    second_moment_df, abs_mean_df, mad_df, tail_index, tail_index_se, no_error_bar, exact_mean_kind, exact_std_kind,
    exact_mad_kind, exact_reason"""
    names = re.findall(r"\w+", design)
    assert list(schema.COLUMNS[: len(names)]) == names == schema.SHOWN
    assert all(name.startswith("acc_") for name in schema.COLUMNS[len(names) :])


def test_columns_agree_with_the_floors_below() -> None:
    assert ["n", *schema.ESTIMATES, *schema.WORTH] == [field.name for field in fields(Estimates)]


def test_rows_are_the_lines(lines: list[ResultRow], result: Result) -> None:
    rows = result.rows()
    assert [(row["layer"], row["direction"], row["cell"]) for row in rows] == [
        (line.case.layer.name, line.row.direction, line.row.cell) for line in lines
    ]
    for row, line in zip(rows, lines, strict=True):
        assert row["seed"] == SEED
        assert row["n"] == SAMPLES
        assert row["mean_se"] == line.estimates.mean_se
        assert [row[name] for name in schema.ACCUMULATORS] == line.accumulators.tolist()
        assert json.loads(row["params"]) == line.case.params
        assert list(json.loads(row["params"])) == sorted(line.case.params)


def test_what_is_not_known_is_null(result: Result) -> None:
    *known, last = result.rows()
    assert all(isinstance(row[name], float) for row in known for name in ("exact_mean", "exact_std"))
    assert all(isinstance(row["z_std"], float) for row in known)
    assert [last[name] for name in (*schema.REFEREE, *schema.KINDS.values(), schema.EXACT_REASON)] == [None] * 8


def test_parquet_round_trip_is_exact(result: Result, tmp_path: Path) -> None:
    write(result, tmp_path / "a.parquet")
    found = read(tmp_path / "a.parquet")
    assert found.table.schema.equals(schema.SCHEMA)
    assert found.provenance == json.loads(json.dumps(result.provenance))
    assert list(map(numbers, found.rows())) == list(map(numbers, result.rows()))


def test_strange_floats_survive(result: Result, tmp_path: Path) -> None:
    values = [math.nan, math.inf, -math.inf, -0.0, 5e-324, 1.7976931348623157e308]
    odd = [row | {"mean": value} for row, value in zip(result.rows(), values, strict=True)]
    write(Result(pa.Table.from_pylist(odd, schema=schema.SCHEMA), result.provenance), tmp_path / "a.parquet")
    assert list(map(repr, read(tmp_path / "a.parquet").table["mean"].to_pylist())) == list(map(repr, values))


def test_provenance_is_complete(result: Result) -> None:
    wanted = ("schema_version", "stream_version", "configuration", "versions", "cpu", "threads", "git_revision")
    assert set(result.provenance) == {*wanted, "wall_seconds", "utc"}
    assert RunConfig.model_validate(result.provenance["configuration"]) == CONFIG
    assert {"gradstat", "python", "numpy", "numba", "llvmlite", "pyarrow"} <= set(result.provenance["versions"])
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\+00:00", result.provenance["utc"])


# Files that are not results ---------------------------------------------------------------------------------------

Spoil = Callable[[pa.Table], pa.Table]
TEXT = pa.scalar("x")


def with_column(found: pa.Table, name: str, value: str) -> pa.Table:
    return found.set_column(found.schema.get_field_index(name), name, pa.array([value] * found.num_rows))


FOREIGN: dict[str, tuple[Spoil, str]] = {
    "no provenance": (lambda t: t.replace_schema_metadata(None), "not a result of gradstat: it has no provenance"),
    "no JSON": (lambda t: t.replace_schema_metadata({store.KEY: b"{"}), "its provenance is damaged"),
    "a list": (
        lambda t: t.replace_schema_metadata({store.KEY: b"[1]"}),
        "its provenance is damaged",
    ),
    "newer": (
        lambda t: t.replace_schema_metadata({store.KEY: b'{"schema_version": 9, "versions": {"gradstat": "4.2"}}'}),
        "result schema 9, this gradstat reads 4; install gradstat 4.2 or newer, which wrote it",
    ),
    "older": (
        lambda t: t.replace_schema_metadata({store.KEY: b'{"schema_version": 0}'}),
        "sample it again with gradsta",
    ),
    "column missing": (lambda t: t.drop_columns(["std_se"]), "std_se is missing"),
    "column too many": (lambda t: t.append_column("more", t["mean"]), "'more' is unknown"),
    "other order": (lambda t: t.select(list(reversed(t.schema.names))), "another order or other types"),
    "other type": (lambda t: t.set_column(9, "mean", t["mean"].cast(pa.float32())), "another order or other types"),
    "escape": (
        lambda t: with_column(t, "layer", "re\x1b[31mlu"),
        "its column layer has texts that gradstat does not write",
    ),
    "formula": (lambda t: with_column(t, "cell", "=cmd()"), "its column cell has texts that gradstat does not write"),
    "at sign": (
        lambda t: with_column(t, "estimator", "@mc"),
        "its column estimator has texts that gradstat does not write",
    ),
    "null": (
        lambda t: t.set_column(0, "layer", pa.nulls(t.num_rows, pa.string())),
        "column layer has texts that gradstat",
    ),
    "params": (lambda t: with_column(t, "params", "[1, 2]"), "its column params is not JSON"),
}


@pytest.mark.parametrize("name", FOREIGN)
def test_foreign_file_is_refused(name: str, result: Result, tmp_path: Path) -> None:
    spoil, expected = FOREIGN[name]
    path = tmp_path / "a.parquet"
    document = json.dumps(result.provenance).encode()
    pq.write_table(spoil(result.table.replace_schema_metadata({store.KEY: document})), path)
    with pytest.raises(UnreadableFile) as caught:
        read(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert expected in str(caught.value)
    assert str(caught.value).isprintable()


def test_damaged_file_is_refused(result: Result, tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    write(result, path)
    content = path.read_bytes()
    spoilt = [content[:size] for size in (0, 3, 4, 6, 12, 1000, len(content) // 2, len(content) - 1)]
    flipped = content.find(b"max_pool2d")
    spoilt.append(content[:flipped] + b"M" + content[flipped + 1 :])
    for damaged in spoilt:
        path.write_bytes(damaged)
        with pytest.raises(UnreadableFile, match=r"cut off or damaged \(.*\); sample it again|not a Parquet file") as e:
            read(path)
        assert "\n" not in str(e.value)


def test_missing_or_other_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.toml").write_text("seed = 1")
    for name, message in (("b", "there is no such file"), ("", "is a directory"), ("a.toml", "gradstat run .*a.toml")):
        with pytest.raises(UnreadableFile, match=message):
            read(tmp_path / name)


# Writing ----------------------------------------------------------------------------------------------------------


class Failure(Exception):
    """What goes wrong in the midst of writing."""


@pytest.mark.parametrize("failure", [Failure, KeyboardInterrupt, OSError(28, "No space left on device")])
def test_failed_write_leaves_the_old_file(failure: Any, tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("old")

    def half_a_file() -> None:
        with replacing(path) as temporary:
            temporary.write_text("half a fi")
            raise failure

    with pytest.raises(UsageError if isinstance(failure, OSError) else failure):
        half_a_file()
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["a.csv"]


def test_parquet_that_fails_leaves_the_old_file(
    result: Result, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.parquet"
    write(result, path)
    before = path.read_bytes()

    def full(path: Path, content: bytes) -> None:
        with path.open("wb") as handle:
            handle.write(content[:4])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(UsageError, match=r"a\.parquet: cannot be written: No space left on device; name another file"):
        write(result, path)
    assert path.read_bytes() == before
    assert os.listdir(tmp_path) == ["a.parquet"]


def test_link_stays_a_link_and_mode_stays(tmp_path: Path) -> None:
    target, link = tmp_path / "target.csv", tmp_path / "link.csv"
    target.write_text("old")
    target.chmod(0o640)
    link.symlink_to(target)
    with replacing(link) as temporary:
        temporary.write_text("new")
    assert link.is_symlink()
    assert target.read_text() == "new"
    assert stat.S_IMODE(target.stat().st_mode) == 0o640


@pytest.mark.parametrize(
    ("path", "message"),
    [
        (".", "is a directory; name a file in it"),
        ("no/a.csv", "there is no directory .*/no; mkdir -p .*/no"),
        ("/dev/null", "is not a regular file and cannot be replaced"),
        ("/proc/a.csv", "cannot be written: .*; name another file with -o"),
        ("a" * 300, "cannot be written: File name too long"),
    ],
)
def test_unwritable_is_told_before_any_work(path: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=message):
        check_writable(tmp_path / path)
    assert os.listdir(tmp_path) == []


def test_check_leaves_no_trace(tmp_path: Path) -> None:
    check_writable(tmp_path / "a.csv")
    assert os.listdir(tmp_path) == []


# Formats ----------------------------------------------------------------------------------------------------------


def test_show_gives_the_bytes_of_run(result: Result, tmp_path: Path) -> None:
    write(result, tmp_path / "a.parquet")
    for name in TABLES:
        assert render(report(read(tmp_path / "a.parquet")), name) == render(report(result), name)


def test_csv_reads_back_exactly(result: Result) -> None:
    text = render_text(report(result), "csv")
    for found, row in zip(csv.DictReader(io.StringIO(text)), result.rows(), strict=True):
        assert list(found) == schema.SHOWN
        for name in schema.SHOWN:
            assert found[name] == "" if row[name] is None else type(row[name])(found[name]) == row[name]


def test_json_is_valid_and_exact(result: Result) -> None:
    def refuse(constant: str) -> None:
        raise AssertionError(constant)

    document = json.loads(render_text(report(result), "json"), parse_constant=refuse)
    assert document["provenance"] == result.provenance
    for found, row in zip(document["rows"], result.rows(), strict=True):
        assert found["params"] == json.loads(row["params"])
        assert all(found[name] == row[name] for name in schema.SHOWN if name != "params")


def test_json_knows_neither_nan_nor_infinity(result: Result) -> None:
    odd = [row | {"skewness": math.nan, "z_std": math.inf} for row in result.rows()]
    text = render_text(report(Result(pa.Table.from_pylist(odd, schema=schema.SCHEMA), {})), "json")
    assert json.loads(text)["rows"][0]["skewness"] is json.loads(text)["rows"][0]["z_std"] is None
    assert "NaN" not in text
    assert "Infinity" not in text


def test_markdown_has_as_many_cells_in_every_line(result: Result) -> None:
    table, notes = render_text(report(result), "md").rstrip().split("\n\n")
    assert "draws per layer" in notes
    rows = table.split("\n")
    assert {len(re.findall(r"(?<!\\)\|", row)) for row in rows} == {7}
    assert "√(1/2 − 1/2π) \\| x" in rows[3]


def test_table_is_never_cut_or_wrapped_in_a_pipe(result: Result) -> None:
    text = " ".join(render_text(report(result), "table").split())
    assert "\x1b" not in text
    table = overview(result).for_people()
    for row in table.rows:
        for column, cell in zip(table.columns, row, strict=True):
            assert column.text(cell) in text


def headings(result: Result) -> list[str]:
    return [column.title for column in overview(result).for_people().columns]


def test_columns_that_say_nothing_are_left_out(lines: list[ResultRow], result: Result) -> None:
    assert headings(result) == ["layer", "quantity", "printed", "estimate", "exact", "z"]
    assert headings(Result(to_arrow([blind(line) for line in lines], SEED, "mc"), {})) == [
        "layer", "quantity", "estimate",
    ]  # fmt: skip
    split = [row | {"cell": "(0, 1)"} for row in result.rows()]
    cells = Result(pa.Table.from_pylist(split, schema=schema.SCHEMA), {})
    assert headings(cells) == ["layer", "quantity", "cell", "windows", "estimate", "exact", "z"]


def test_a_z_beyond_the_bound_is_marked(result: Result) -> None:
    assert not overview(result).wrong
    far = [row | {"z_std": 40.0 if i == 1 else row["z_std"]} for i, row in enumerate(result.rows())]
    wrong = overview(Result(pa.Table.from_pylist(far, schema=schema.SCHEMA), {})).wrong
    assert wrong == {(4, "z")}  # the second of three statistics of the second row


def test_printed_numbers_stand_beside_their_own_case(result: Result) -> None:
    found = {(row[0], row[1]): row[4] for row in overview(result).rows if row[4]}
    assert found == {
        ("relu", "σ[y]"): "√(1/2 − 1/2π) | x",
        ("relu", "E[dx]"): "0",
        ("relu, x ~ laplace(1, 1)", "σ[y]"): "7",
    }


def test_result_without_rows_is_shown() -> None:
    empty = Result(schema.SCHEMA.empty_table(), {})
    assert all(render(report(empty), name) for name in TABLES)
    assert render_text(report(empty), "table") == "no rows\n"


def test_shared_assumptions_stand_below_not_in_every_name() -> None:
    row = {"layer": "relu", "params": "{}", "direction": "forward", "cell": "all", "input": "laplace(0, 2)"}
    numbers_of = dict.fromkeys(schema.COLUMNS[9:], 1.0) | dict.fromkeys(
        ("no_error_bar", *schema.KINDS.values(), schema.EXACT_REASON)
    )
    full = row | {"upstream": "normal(0, 1)", "estimator": "mc", "seed": 3, "n": 1000} | numbers_of
    table = overview(Result(pa.Table.from_pylist([full], schema=schema.SCHEMA), {}))
    assert table.rows[0][0] == "relu"
    assert table.notes[0] == "1,000 draws per layer, seed 3; x ~ laplace(0, 2), dy ~ normal(0, 1)"
