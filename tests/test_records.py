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
from gradstat.results.formats import FORMATS, Terminal, check_suffix, save, suffixes
from hypothesis import assume, example, given
from hypothesis import strategies as st

from gradstat.config import RunConfig
from gradstat.errors import UnreadableFile, UsageError
from gradstat.estimation.estimates import Estimates
from gradstat.estimation.run import ResultRow, run
from gradstat.layer_types.from_config import cases
from gradstat.numerics import moments
from gradstat.results import schema, store
from gradstat.results.overview import overview
from gradstat.results.provenance import provenance
from gradstat.results.rows import to_arrow
from gradstat.results.store import Result, read, write
from gradstat.text.files import check_writable, replacing
from gradstat.text.tables import aligned, grid
from gradstat.text.uncertain import exact, signed, with_error

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
    return [*found[:-1], replace(found[-1], exact=None)]  # the last row has no referee


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
    zero_fraction, min, max, exact_mean, exact_std, z_mean, z_std, windows"""
    names = re.findall(r"\w+", design)
    assert list(schema.COLUMNS[: len(names)]) == names == schema.SHOWN
    assert all(name.startswith("acc_") for name in schema.COLUMNS[len(names) :])


def test_columns_agree_with_the_floors_below() -> None:
    assert ["n", *schema.ESTIMATES] == [field.name for field in fields(Estimates)]
    assert [f"acc_{name}" for name in moments.NAMES] == schema.ACCUMULATORS


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
    assert all(isinstance(row[name], float) for row in known for name in schema.REFEREE)
    assert [last[name] for name in schema.REFEREE] == [None] * 4


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
    "no provenance": (lambda t: t.replace_schema_metadata(None), "not one of gradstat's: it has no provenance"),
    "no JSON": (lambda t: t.replace_schema_metadata({store.KEY: b"{"}), "its provenance is damaged"),
    "a list": (
        lambda t: t.replace_schema_metadata({store.KEY: b"[1]"}),
        "its provenance is damaged",
    ),
    "newer": (
        lambda t: t.replace_schema_metadata({store.KEY: b'{"schema_version": 9, "versions": {"gradstat": "4.2"}}'}),
        "result schema 9, this gradstat reads 2; install gradstat 4.2 or newer, which wrote it",
    ),
    "older": (
        lambda t: t.replace_schema_metadata({store.KEY: b'{"schema_version": 0}'}),
        "sample it again with gradsta",
    ),
    "column missing": (lambda t: t.drop_columns(["std_se"]), "std_se is missing"),
    "column too many": (lambda t: t.append_column("more", t["mean"]), "'more' is unknown"),
    "other order": (lambda t: t.select(list(reversed(t.schema.names))), "another order or other types"),
    "other type": (lambda t: t.set_column(9, "mean", t["mean"].cast(pa.float32())), "another order or other types"),
    "escape": (lambda t: with_column(t, "layer", "re\x1b[31mlu"), "its column layer holds what gradstat never writes"),
    "formula": (lambda t: with_column(t, "cell", "=cmd()"), "its column cell holds what gradstat never writes"),
    "at sign": (lambda t: with_column(t, "estimator", "@mc"), "its column estimator holds what gradstat never writes"),
    "null": (lambda t: t.set_column(0, "layer", pa.nulls(t.num_rows, pa.string())), "column layer holds what gradstat"),
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

    def full(found: pa.Table, where: Path, **options: Any) -> None:
        where.write_bytes(b"PAR1")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(pq, "write_table", full)
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


@pytest.mark.parametrize(("name", "message"), [("a", "there is none; allowed: .parquet"), ("a.parqet", "did you mean")])
def test_suffix_chooses_the_format(name: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        check_suffix(Path(name))


def test_every_suffix_is_written(result: Result, tmp_path: Path) -> None:
    for suffix in suffixes():
        save(result, tmp_path / f"a{suffix}")
    assert len(os.listdir(tmp_path)) == len(suffixes()) == len(FORMATS) + 1
    for entry in FORMATS.values():
        text = (tmp_path / f"a{entry.suffix}").read_text(encoding="utf-8")
        assert text == entry.render(result, Terminal())
        assert text.endswith("\n")


# Formats ----------------------------------------------------------------------------------------------------------


def test_show_gives_the_text_of_run(result: Result, tmp_path: Path) -> None:
    write(result, tmp_path / "a.parquet")
    for entry in FORMATS.values():
        assert entry.render(read(tmp_path / "a.parquet"), Terminal()) == entry.render(result, Terminal())


def test_csv_reads_back_exactly(result: Result) -> None:
    text = FORMATS["csv"].render(result, Terminal())
    for found, row in zip(csv.DictReader(io.StringIO(text)), result.rows(), strict=True):
        assert list(found) == schema.SHOWN
        for name in schema.SHOWN:
            assert found[name] == "" if row[name] is None else type(row[name])(found[name]) == row[name]


def test_json_is_valid_and_exact(result: Result) -> None:
    def refuse(constant: str) -> None:
        raise AssertionError(constant)

    document = json.loads(FORMATS["json"].render(result, Terminal()), parse_constant=refuse)
    assert document["provenance"] == result.provenance
    for found, row in zip(document["rows"], result.rows(), strict=True):
        assert found["params"] == json.loads(row["params"])
        assert all(found[name] == row[name] for name in schema.SHOWN if name != "params")


def test_json_knows_neither_nan_nor_infinity(result: Result) -> None:
    odd = [row | {"skewness": math.nan, "z_std": math.inf} for row in result.rows()]
    text = FORMATS["json"].render(Result(pa.Table.from_pylist(odd, schema=schema.SCHEMA), {}), Terminal())
    assert json.loads(text)["rows"][0]["skewness"] is json.loads(text)["rows"][0]["z_std"] is None
    assert "NaN" not in text
    assert "Infinity" not in text


def test_markdown_has_as_many_cells_in_every_line(result: Result) -> None:
    *rows, blank, notes, end = FORMATS["md"].render(result, Terminal()).split("\n")
    assert (blank, end) == ("", "")
    assert "draws per layer" in notes
    cells = [len(re.findall(r"(?<!\\)\|", row)) for row in rows]
    assert set(cells) == {7}
    assert "√(1/2 − 1/2π) \\| x" in rows[3]


def test_table_is_never_cut_or_wrapped_in_a_pipe(result: Result) -> None:
    text = FORMATS["table"].render(result, Terminal())
    assert "\x1b" not in text
    view = overview(result)
    for row in view.rows:
        for cell in row:
            assert " ".join(cell.split()) in " ".join(text.split())


@pytest.mark.parametrize("width", [40, 60, 80, 100, 120, 200])
@pytest.mark.parametrize("color", [False, True])
def test_table_fits_the_terminal(width: int, color: bool, result: Result) -> None:
    """Numbers are never cut; lines are no longer than the terminal from 66 columns on."""
    text = FORMATS["table"].render(result, Terminal(width, color))
    assert ("\x1b[" in text) == color
    plain = re.sub(r"\x1b\[\d+m", "", text)
    body = plain.partition("draws per layer")[0].splitlines()[:-1]
    assert width < 66 or max(map(len, body)) <= width
    for row in overview(result).rows:
        assert any(re.sub(" +", " ", row[3]) in re.sub(" +", " ", line) for line in body)


def test_columns_that_tell_nothing_are_left_out(lines: list[ResultRow], result: Result) -> None:
    assert overview(result).columns == ("layer", "quantity", "printed", "estimate", "exact", "z")
    bare = Result(to_arrow([replace(line, exact=None) for line in lines], SEED, "mc"), {})
    assert overview(bare).columns == ("layer", "quantity", "estimate")
    split = [row | {"cell": "(0, 1)"} for row in result.rows()]
    cells = Result(pa.Table.from_pylist(split, schema=schema.SCHEMA), {})
    assert overview(cells).columns == ("layer", "quantity", "cell", "windows", "estimate", "exact", "z")


def test_printed_numbers_stand_beside_their_own_case(result: Result) -> None:
    found = {(row[0], row[1]): row[2] for row in overview(result).rows if row[2]}
    assert found == {
        ("relu", "σ[y]"): "√(1/2 − 1/2π) | x",
        ("relu", "E[dx]"): "0",
        ("relu, x ~ laplace(1, 1)", "σ[y]"): "7",
    }


def test_result_without_rows_is_shown() -> None:
    empty = Result(schema.SCHEMA.empty_table(), {})
    for entry in FORMATS.values():
        assert entry.render(empty, Terminal())


def test_shared_assumptions_stand_below_not_in_every_name() -> None:
    row = {"layer": "relu", "params": "{}", "direction": "forward", "cell": "all", "input": "laplace(0, 2)"}
    numbers_of = dict.fromkeys(schema.COLUMNS[9:], 1.0)
    full = row | {"upstream": "normal(0, 1)", "estimator": "mc", "seed": 3, "n": 1000} | numbers_of
    view = overview(Result(pa.Table.from_pylist([full], schema=schema.SCHEMA), {}))
    assert view.rows[0][0] == "relu"
    assert view.notes[0] == "1,000 draws per layer, seed 3; x ~ laplace(0, 2), dy ~ normal(0, 1)"


def test_columns_of_numbers_are_aligned() -> None:
    assert aligned(["1.25", "-10.5", "3", "–"]) == ["  1.25", "-10.5 ", "  3   ", "  –   "]
    assert aligned(["1.25 ± 0.10", "-3 ± 20"]) == [" 1.25 ±  0.10", "-3    ± 20   "]
    assert aligned([]) == []


def test_grid_wraps_names_only() -> None:
    rows = [("linear(in_features=8, out_features=4)", "E[y]", "0.123"), ("relu", "E[y]", "7")]
    assert grid(("layer", "q", "x"), rows, 30) == (
        "  q     x\n─────────────\nlinear(in_features=8,\n  out_features=4)\n  E[y]  0.123\nrelu\n  E[y]  7\n"
    )
    assert grid(("layer", "q", "x"), rows, 42).splitlines()[2:4] == [
        "linear(in_features=8,          E[y]  0.123",
        "  out_features=4)",
    ]


# Digits -----------------------------------------------------------------------------------------------------------

values = st.floats(-1e12, 1e12) | st.floats(-1e-3, 1e-3) | st.floats(-10, 10)
errors = st.floats(1e-14, 1e9) | st.floats(1e-9, 1.0)


@given(values, errors)
@example(9.9999999e-5, 9.9999999e-5)
@example(0.0, 0.0195)
@example(999999.7, 0.4)
def test_digits_have_a_warrant(value: float, error: float) -> None:
    """The text lies within a third of the error of the value, its last digit is not below a tenth of the error."""
    assume(abs(value) / error < 1e13)
    shown_value, shown_error = with_error(value, error).split(" ± ")
    assert abs(float(shown_value) - value) <= error / 3
    assert abs(float(shown_error) - error) <= error / 3
    digits, _, exponent = shown_value.partition("e")
    last = 10.0 ** (int(exponent or 0) - len(digits.partition(".")[2]))
    assert last >= error / 20
    assert len(re.sub(r"\D", "", shown_error.partition("e")[0]).lstrip("0")) <= 2
    assert not re.match(r"-0(\.0*)?$", digits)


@given(values, errors, st.floats(1.0, 1e6))
def test_more_error_never_shows_more_digits(value: float, error: float, factor: float) -> None:
    def last_place(text: str) -> float:
        digits, _, exponent = text.split(" ± ")[0].partition("e")
        return 10.0 ** (int(exponent or 0) - len(digits.partition(".")[2]))

    assume(abs(value) / error < 1e13)
    assert last_place(with_error(value, error * factor)) >= 0.999 * last_place(with_error(value, error))


@pytest.mark.parametrize(
    ("value", "error", "text"),
    [
        (0.211734, 0.00005, "0.21173 ± 0.00005"),
        (0.211734, 0.00015, "0.21173 ± 0.00015"),
        (0.211734, 0.0002, "0.2117 ± 0.0002"),
        (-0.00001, 0.0003, "0.0000 ± 0.0003"),
        (0.00001, 0.00007, "0.00001 ± 0.00007"),
        (123456.0, 300.0, "1.235e+05 ± 0.003e+05"),
        (1.5e-20, 2.2e-22, "1.50e-20 ± 0.02e-20"),
        (0.5, 0.0, "0.5 ± 0"),
        (0.0, 0.0, "0 ± 0"),
        (math.inf, 1.0, "nan ± nan"),
        (1.0, math.nan, "nan ± nan"),
        (1 / 3, 1e-20, "0.333333333333333 ± 1e-20"),
    ],
)
def test_value_with_error(value: float, error: float, text: str) -> None:
    assert with_error(value, error) == text


def test_exact_values_and_scores() -> None:
    assert exact(1 / 3) == "0.3333333333"
    assert exact(0.5) == "0.5"
    assert exact(1e-17, scale=1.0) == "0"
    assert exact(1e-20, scale=1e-20) == "1e-20"
    assert [signed(z) for z in (1.44, -0.01, 0.0, -2.25)] == ["+1.4", "+0.0", "+0.0", "-2.2"]
