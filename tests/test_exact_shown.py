"""How exact values appear to users: infinite and undefined ones, numeric ones, their digits, and older result files."""

import csv
import io
import json
import math
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import gradstat
from gradstat.assumptions import Input, Upstream
from gradstat.cli.app import start
from gradstat.errors import Exit, UnreadableFile
from gradstat.layer_types import registry
from gradstat.layer_types.case import Case
from gradstat.layer_types.elementwise import ACTIVATIONS
from gradstat.layer_types.exact.enclosure import Enclosure, to_digits
from gradstat.layer_types.record import Exact, Row
from gradstat.layer_types.registry import find
from gradstat.layer_types.statistics import STATISTICS, enclosure_of, exact_number
from gradstat.results import schema
from gradstat.text.formats import TABLES, render, render_text
from gradstat.text.uncertain import LEGEND, Uncertain
from gradstat.verification.files import load
from gradstat.verification.report_text import right
from gradstat.verification.verify import verify

DATA = Path(__file__).parent / "data" / "results"
HEAVY: list[Any] = [{"name": "exp", "input": {"distribution": "laplace"}}, {"expression": "1/x"}, "relu"]


@pytest.fixture(scope="module")
def heavy() -> gradstat.Result:
    """exp of Laplace x has an infinite variance, 1/x no mean either, relu has every moment."""
    return gradstat.run(HEAVY, samples=20_000, seed=3, checkpoints=False)


def rows_of(text: str) -> list[dict[str, Any]]:
    """The rows of a JSON document without NaN and Infinity."""

    def refuse(token: str) -> None:
        raise AssertionError(f"{token} is not JSON")

    rows: list[dict[str, Any]] = json.loads(text, parse_constant=refuse)["rows"]
    return rows


# Infinite and undefined values --------------------------------------------------------------------------------------


def test_a_result_file_has_infinite_values_and_their_reasons(heavy: gradstat.Result, tmp_path: Path) -> None:
    heavy.save(tmp_path / "a.parquet")
    exp, _, inverse, gradient, *relu = pq.read_table(tmp_path / "a.parquet").to_pylist()
    assert (exp["exact_mean"], exp["exact_std"]) == (2.0, math.inf)
    assert (exp["exact_mean_kind"], exp["exact_std_kind"]) == ("proven", "infinite")
    assert exp["exact_reason"] == "std is ∞: diverges at +∞"
    assert (inverse["exact_mean"], inverse["exact_mean_kind"]) == (None, "undefined")
    assert "mean is undefined: diverges at 0" in inverse["exact_reason"]
    assert gradient["exact_mean_kind"] == "undefined"  # E|dx| is infinite, so dx has no mean either
    assert all(row["exact_reason"] is None and row["exact_std_kind"] == "proven" for row in relu)
    again = gradstat.read(tmp_path / "a.parquet")
    assert render(again.report(), "json") == render(heavy.report(), "json")
    assert gradstat.diff(again, heavy).identical


def test_such_a_row_has_no_error_bar_no_z_and_no_verdict(heavy: gradstat.Result) -> None:
    for row in heavy.rows()[:4]:
        assert row["z_mean"] is row["z_std"] is None
        assert row["std_se"] == math.inf
        assert row["no_error_bar"]
    assert not heavy.failures
    assert all(row["z_std"] is not None for row in heavy.rows()[4:])
    assert heavy["exp"].forward.std.exact == math.inf
    assert heavy["exp"].forward.std.error is None
    assert heavy["exp"].forward.gain_std.exact == 0.0


@pytest.mark.parametrize("name", TABLES)
def test_every_format_shows_them(name: str, heavy: gradstat.Result) -> None:
    text = render(heavy.report(), name)
    if isinstance(text, bytes):
        assert name == "parquet"
        return
    assert "diverges at" in text
    if name == "json":
        assert rows_of(text)[0]["exact_std"] is None  # and no NaN
        assert rows_of(text)[0]["exact_std_kind"] == "infinite"
    elif name != "csv":
        assert ("$\\infty$" if name == "latex" else "∞") in text
        assert "undefined" in text


def test_csv_reads_back(heavy: gradstat.Result) -> None:
    first, *_ = csv.DictReader(io.StringIO(render_text(heavy.report(), "csv")))
    assert (first["exact_std"], first["exact_std_kind"]) == ("", "infinite")


def test_minus_infinity_and_undefined_have_their_text() -> None:
    assert Uncertain(-math.inf).text == "−∞"
    assert Uncertain(math.nan).text == "undefined"
    assert Enclosure.infinite(-1, "diverges at −∞").text(10) == "−∞"


def test_html_sorts_infinite_values(heavy: gradstat.Result) -> None:
    assert 'data-key="Infinity"' in render_text(heavy.report(), "html")


def test_statistics_in_units_of_an_infinite_sigma_are_undefined() -> None:
    gain = gradstat.gain("exp", input={"distribution": "laplace"}, statistics=["kurtosis", "skewness", "mad", "std"])
    assert [getattr(gain.forward, name).kind for name in gain.statistics] == [
        *("undefined", "undefined", "proven", "infinite")
    ]
    assert gain.forward.kurtosis.reason == "needs σ[v], which diverges at +∞"
    assert "kurtosis of y is undefined: needs σ[v]" in repr(gain)


@pytest.mark.parametrize(
    ("arguments", "kinds"),
    [
        (["elu", "alpha=1e160"], {"proven"}),
        (["exp", "--input", "mean=400"], {"proven"}),
        (["exp", "--input", "mean=800"], {"proven", "overflow"}),
        (["exp", "--input", "mean=-800"], {"proven", "overflow"}),
        (["rrelu", "lower=-1e200", "upper=1e200"], None),  # known or not: never NaN
        (["exp", "--input", "distribution=laplace"], {"proven", "infinite"}),
        (["1/x"], {"proven", "infinite", "undefined"}),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_json_of_gain_has_a_value_or_the_reason(
    arguments: list[str], kinds: set[str] | None, capsys: pytest.CaptureFixture[str]
) -> None:
    assert start(["gain", *arguments, "--format", "json"]) == Exit.DONE
    rows = rows_of(capsys.readouterr().out)
    for row in rows:
        for name in ("mean", "std", "rms", "gain_std", "gain_rms"):
            assert (row[name] is None) <= bool(row[f"{name}_reason"])
    assert kinds is None or {row[f"{name}_kind"] for row in rows for name in ("mean", "std", "gain_std")} == kinds
    assert start(["gain", *arguments]) == Exit.DONE
    assert "nan" not in capsys.readouterr().out


def test_a_value_beyond_float64_is_shown_by_its_digits(capsys: pytest.CaptureFixture[str]) -> None:
    """E[eˣ] = e^800.5 for normal x of mean 800."""
    assert start(["gain", "exp", "--input", "mean=800", "--statistic", "mean"]) == Exit.DONE
    out = capsys.readouterr().out
    assert "4.495031749e+347" in out
    assert "outside the range of float64: mean of y" in out
    with np.errstate(all="ignore"):
        result = gradstat.run([{"name": "exp", "input": {"mean": 800.0}}], samples=1000, seed=1, checkpoints=False)
    row = result.rows()[0]
    assert (row["exact_mean"], row["exact_mean_kind"]) == (None, "overflow")
    assert row["exact_reason"].startswith("mean overflows float64: 4.495031748")


def test_plots_say_that_a_value_is_infinite(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    case = gradstat.layer("exp", input={"distribution": "laplace"})
    for kind in ("error", "variance-map"):
        with pytest.raises(gradstat.errors.UsageError, match="is ∞: diverges at"):
            gradstat.plot(kind, case, statistic="std", samples=2048).save(tmp_path / "a.svg")


# Numeric values -----------------------------------------------------------------------------------------------------


@pytest.fixture
def numeric(monkeypatch: pytest.MonkeyPatch) -> None:
    """relu with the same exact values, but without a proof: y as a plain float, dx with an estimated bound."""
    relu = find("relu")

    def referee(params: Any, row: Row, x: Input, dy: Upstream) -> Exact | None:
        exact = relu.referee(params, row, x, dy)
        if exact is None or row.direction == "backward":
            wide = {
                name: Enclosure.about(float(value), 1e-6) for name, value in (exact.enclosures if exact else {}).items()
            }
            return exact and replace(exact, enclosures=wide)
        return replace(exact, enclosures={})

    monkeypatch.setitem(registry.LAYERS, "relu", replace(relu, referee=referee))


@pytest.mark.usefixtures("numeric")
def test_numeric_values_are_marked_wherever_they_are_shown(tmp_path: Path) -> None:
    gain = gradstat.gain("relu")
    assert gain.forward.std.kind == gain.backward.std.kind == "numeric"
    assert repr(gain.forward.std) == "≈0.5838193701"  # ten of thirteen digits
    assert repr(gain.backward.second_moment) == "≈0.5"
    assert repr(gain.backward.rms) == "≈0.70711"  # as many as its bound supports
    assert LEGEND in repr(gain)
    assert "# numeric" in render_text(gain.report(), "python")
    assert "/* numeric */" in render_text(gain.report(), "c")
    assert rows_of(render_text(gain.report(), "json"))[0]["std_kind"] == "numeric"
    result = gradstat.run(["relu"], samples=2000, checkpoints=False)
    assert {row["exact_std_kind"] for row in result} == {"numeric"}
    for name in ("table", "md", "html", "latex"):
        text = render_text(result.report(), name)
        assert ("$\\approx$0.58381" if name == "latex" else "≈0.58381") in text
        assert "not proven" in text


@pytest.mark.usefixtures("numeric")
@pytest.mark.parametrize(
    ("direction", "printed", "verdict"),
    [
        ("forward", "0.583819370", "confirmed"),
        ("forward", "0.583819371", "refuted"),
        ("backward", "0.7071", "confirmed"),
        ("backward", "0.7072", "refuted"),
        ("backward", "0.7071068", "undecided"),  # the bound of 10⁻⁶ is larger than the last digit
    ],
)
def test_verify_counts_the_bound_of_a_numeric_value_as_its_error(
    direction: str, printed: str, verdict: str, tmp_path: Path
) -> None:
    (outcome,) = verify(load([claim(tmp_path, "relu", direction, "std", printed)]), 1, quick=True)
    assert outcome.verdict == verdict
    report = gradstat.verify(tmp_path / "claims.toml", quick=True).report()
    assert rows_of(render_text(report, "json"))[0]["exact_kind"] == "numeric"
    assert LEGEND in render_text(report, "table")
    assert verdict == "undecided" or "≈" in str(right(outcome))


# Digits -------------------------------------------------------------------------------------------------------------

PI = "3.14159265358979323846264338327950288419716939937510582097494459230781640628620899862803482534211706798"


def test_digits_of_gain(capsys: pytest.CaptureFixture[str]) -> None:
    """E[y] of relu is 1/√(2π); 1/E[y²] of softsign has no closed form, and its digits agree with each other."""
    mean = gradstat.gain("relu", digits=100).forward.mean
    square = Fraction(mean.digits) ** 2 * 2 * Fraction(PI)
    assert len(mean.digits) >= 100
    assert abs(square - 1) < Fraction(1, 10**99)
    assert float(mean) == 0.3989422804014327
    assert repr(gradstat.gain("relu", digits=3).forward.mean) == "0.399"
    assert start(["gain", "relu", "--statistic", "mean", "--digits", "30"]) == Exit.DONE
    assert "0.398942280401432677939946059934  0" in capsys.readouterr().out


@pytest.mark.parametrize("digits", [0, 101, -1])
def test_digits_that_cannot_be_asked_for(digits: int, capsys: pytest.CaptureFixture[str]) -> None:
    for command in (["gain", "relu"], ["tables", "selu"], ["verify", "--quick"]):
        assert start([*command, "--digits", str(digits)]) == Exit.USAGE
        assert "expected a whole number from 1 to 100" in capsys.readouterr().err


def test_formats_for_programs_carry_seventeen_digits_or_those_asked_for(capsys: pytest.CaptureFixture[str]) -> None:
    def output(*arguments: str) -> str:
        assert start(["gain", "relu", "--statistic", "mean", *arguments]) == Exit.DONE
        return capsys.readouterr().out

    long, seventeen = "0.398942280401432677939946059934", "0.3989422804014327"
    assert f'"mean": {seventeen},' in output("--format", "json")
    assert f",{seventeen},0.0,proven" in output("--format", "csv")
    assert f"({seventeen})" in output("--format", "c")
    assert f'"mean": {seventeen},' in output("--format", "python")
    assert f'"mean": "{long}",' in output("--format", "json", "--digits", "30")
    assert f",{long},0.0,proven" in output("--format", "csv", "--digits", "30")
    assert f"({long})" in output("--format", "c", "--digits", "30")
    assert f'"mean": "{long}",' in output("--format", "python", "--digits", "30")
    assert '"mean": 0.39894,' in output("--format", "python", "--digits", "5")
    rows = gradstat.gain("relu", statistics=["mean"], digits=30).report()
    table = pq.read_table(pa.BufferReader(render(rows, "parquet")))
    assert table["mean"].to_pylist() == [long, "0"]


@pytest.mark.parametrize("name", ["json", "csv", "python", "c"])
def test_tables_carry_seventeen_digits(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert start(["tables", "nfnets", "--format", name]) == Exit.DONE
    out = capsys.readouterr().out
    assert "1.7128585504496627" in out
    assert "1.712858550\n" not in out
    assert start(["tables", "nfnets", "--format", name, "--digits", "25"]) == Exit.DONE
    assert "1.712858550449662705587859" in capsys.readouterr().out


def test_check_compares_every_digit_that_was_asked_for(tmp_path: Path) -> None:
    path = tmp_path / "nfnets.py"
    assert start(["tables", "selu", "--digits", "30", "-q", "-o", str(path)]) == Exit.DONE
    assert start(["tables", "selu", "--digits", "30", "--check", str(path)]) == Exit.DONE
    text = path.read_text(encoding="utf-8")
    path.write_text(
        text.replace("1.05070098735548049341933498529", "1.05070098735548049341933498528"), encoding="utf-8"
    )
    assert path.read_text(encoding="utf-8") != text
    assert start(["tables", "selu", "--digits", "30", "--check", str(path)]) == Exit.CHECK_FAILED


@pytest.mark.parametrize(
    ("low", "high", "text"),
    [
        ("0.94", "0.96", "1"),  # no digit is certain: one is shown
        ("0.5", "0.5", "0.5"),
        ("-1e-30", "1e-30", "0"),
        ("123456", "123456", "123456"),
        ("1.5e-400", "1.5e-400", "1.5e-400"),
        ("0.0001234", "0.0001234", "0.0001234"),
        ("0.00001234", "0.00001234", "1.234e-05"),
        ("-12345678901", "-12345678901", "-1.23456789e+10"),
        ("1.25", "1.2500001", "1.25"),
    ],
)
def test_text_of_an_enclosure(low: str, high: str, text: str) -> None:
    assert Enclosure(Fraction(low), Fraction(high)).text(10) == text
    if low == high and abs(Fraction(low)) > Fraction(1, 10**300):
        assert f"{float(low):.10g}" == text


@pytest.mark.parametrize("layer", sorted(ACTIVATIONS))
def test_the_float_is_the_nearest_one(layer: str) -> None:
    """Both neighbours are farther from the value, which forty digits give, in exact rational arithmetic."""
    for row in Case(find(layer)).shape.rows:
        case = Case(find(layer))
        shown = case.certain_moments(row, STATISTICS)
        with to_digits(40):
            precise = case.moments(row)
        assert shown is not None
        assert precise is not None
        for name in STATISTICS:
            number, bounds = exact_number(name, shown), enclosure_of(name, precise)
            if number is None or number.kind != "proven" or bounds is None or bounds.contains_zero:
                continue
            value, error = Fraction(number.value), bounds.radius
            for neighbour in (math.nextafter(number.value, math.inf), math.nextafter(number.value, -math.inf)):
                away = abs(Fraction(neighbour) - bounds.middle)
                assert abs(value - bounds.middle) <= away + error, (layer, row.direction, name)


def test_more_digits_are_computed_where_the_nearest_float_is_unclear() -> None:
    """A referee that gives as many digits as it is asked for, of a value close to the middle of two floats."""
    from gradstat.layer_types.exact.enclosure import wanted_digits

    middle = (Fraction(1.0) + Fraction(math.nextafter(1.0, 2.0))) / 2 + Fraction(1, 10**20)

    def referee(params: Any, row: Row, x: Input, dy: Upstream) -> Exact | None:
        radius = Fraction(1, 10 ** wanted_digits())
        return Exact.proven(Enclosure(middle - radius, middle + radius / 2), Enclosure(Fraction(1), Fraction(1)))

    case = Case(replace(find("relu"), referee=referee))
    row = case.shape.rows[0]
    rough, precise = case.moments(row), case.certain_moments(row, ["mean"])
    assert rough is not None
    assert precise is not None
    assert rough.mean == 1.0  # the float nearest to the middle of wide bounds is the wrong one
    assert precise.mean == math.nextafter(1.0, 2.0)


# verify -------------------------------------------------------------------------------------------------------------


def claim(folder: Path, layer: str, direction: str, statistic: str, printed: str, more: str = "") -> Path:
    path = folder / "claims.toml"
    path.write_text(
        f'[[claim]]\nid = "one"\nsource = "a test"\nlayer = "{layer}"\n{more}\n'
        f'direction = "{direction}"\nstatistic = "{statistic}"\nvalue = "{printed}"\n',
        encoding="utf-8",
    )
    return path


@pytest.mark.parametrize(
    ("layer", "more", "direction", "statistic", "printed", "verdict"),
    [
        ("leaky_relu", "params = { negative_slope = 0.2 }", "backward", "gain_rms", "1.3867504905630729", "refuted"),
        ("relu", "", "forward", "gain_std", "1.7128585504496627", "confirmed"),  # 17 digits
        ("relu", "", "forward", "gain_std", "1.7128585504496628", "refuted"),
        ("relu", "", "forward", "mean", "0.39894228040143267793994605993438", "confirmed"),  # 32 digits
        ("relu", "", "forward", "mean", "0.39894228040143267793994605993439", "refuted"),
        # the value 0.12345678901234565 is half-way between two numbers of 16 digits: both are right
        ("identity", "input = { mean = 0.12345678901234565 }", "forward", "mean", "0.1234567890123456", "confirmed"),
        ("identity", "input = { mean = 0.12345678901234565 }", "forward", "mean", "0.1234567890123457", "confirmed"),
        ("identity", "input = { mean = 0.12345678901234565 }", "forward", "mean", "0.1234567890123458", "refuted"),
        ("identity", "input = { mean = 0.12345678901234565 }", "forward", "mean", "0.1234567890123455", "refuted"),
        ("exp", "input = { mean = 800 }", "forward", "mean", "1.0", "refuted"),  # e^800.5 is no float64
    ],
)
def test_claims_of_many_digits(
    layer: str, more: str, direction: str, statistic: str, printed: str, verdict: str, tmp_path: Path
) -> None:
    (outcome,) = verify(load([claim(tmp_path, layer, direction, statistic, printed, more)]), 1, quick=True)
    assert outcome.verdict == verdict


def test_right_is_infinite_and_says_why(tmp_path: Path) -> None:
    path = claim(tmp_path, "exp", "forward", "std", "30", 'input = { distribution = "laplace" }')
    (outcome,) = verify(load([path]), 1, quick=True)
    assert (outcome.verdict, right(outcome)) == ("refuted", "∞")
    assert outcome.detail == "the std is infinite: diverges at +∞"


def test_right_is_empty_where_nothing_is_known(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """layer_norm of four numbers with eps = 0 has an infinite fourth moment of dx; its exact value is taken away."""
    path = claim(tmp_path, "layer_norm", "backward", "std", "1.4", "params = { n = 4, eps = 0 }")
    monkeypatch.setitem(registry.LAYERS, "layer_norm", replace(find("layer_norm"), referee=lambda *_: None))
    (outcome,) = verify(load([path]), 1, jobs=1, max_samples=2**17)
    assert outcome.verdict == "undecided"
    assert right(outcome) is None


def test_digits_of_right(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = claim(tmp_path, "relu", "forward", "mean", "0.3988")
    assert start(["verify", "--quick", "--digits", "25", str(path)]) == Exit.CHECK_FAILED
    assert "0.3989422804014326779399461" in capsys.readouterr().out.replace("\n", "")
    assert start(["verify", "--quick", "--fix", "--digits", "40", str(path)]) == Exit.DONE
    assert "0.3989422804014326779399460599343818684759" in path.read_text(encoding="utf-8")


# Older files --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("version", [2, 3])
def test_files_of_older_schemas_are_read(version: int, tmp_path: Path) -> None:
    path = DATA / f"schema-{version}.parquet"
    stored = pq.read_table(path)
    assert json.loads(stored.schema.metadata[b"gradstat"])["schema_version"] == version
    result = gradstat.read(path)
    for old, new in zip(stored.to_pylist(), result.rows(), strict=True):
        assert {name: new[name] for name in old} == old
        assert new["exact_std_kind"] == (None if old["exact_std"] is None else "numeric")  # it does not say: proven
        assert new["exact_reason"] is None
    assert "≈0.5838193701" in repr(result)
    result.save(tmp_path / "new.parquet")
    assert gradstat.read(tmp_path / "new.parquet").table.equals(result.table)
    assert result.provenance["schema_version"] == schema.SCHEMA_VERSION == 4


@pytest.mark.parametrize(
    ("column", "value", "words"),
    [
        ("exact_std_kind", "certain", "exact_std_kind has texts"),
        ("exact_std_kind", "infinite", "exact_std has values that are not of their exact_std_kind"),
        ("exact_std", math.inf, "exact_std has values that are not of their exact_std_kind"),
        ("exact_std", math.nan, "exact_std has values that are not of their exact_std_kind"),
        ("exact_reason", "=1+1", "exact_reason has texts"),
    ],
)
def test_forged_kinds_are_refused(column: str, value: Any, words: str, heavy: gradstat.Result, tmp_path: Path) -> None:
    rows = [row | {column: value} for row in heavy.rows()[4:]]
    replace(heavy, table=pa.Table.from_pylist(rows, schema=schema.SCHEMA)).save(tmp_path / "a.parquet")
    with pytest.raises(UnreadableFile, match=words):
        gradstat.read(tmp_path / "a.parquet")
