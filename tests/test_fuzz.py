"""Bad input, systematically: no traceback, the right exit code, one clear line, nothing written.

Configurations, claims, result files and command lines are drawn by hypothesis, the same ones every time (`conftest`).
Each is nearly right, because what is plainly wrong never gets far. Nothing here compiles a kernel.
"""

import json
import os
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gradstat.cli.app import MOST_MISTAKES, start
from gradstat.errors import CheckFailed, Exit, UsageError
from gradstat.results.schema import KINDS, OPTIONAL, SCHEMA, SCHEMA_VERSION
from tests.commands import Command

SCOPE: dict[str, Any] = {"suppress_health_check": [HealthCheck.function_scoped_fixture, HealthCheck.too_slow]}
ANSWERS = {Exit.DONE, Exit.CHECK_FAILED, Exit.PRECISION_NOT_REACHED}
REFUSALS = {Exit.USAGE, Exit.UNREADABLE}
LONGEST = 2100  # characters of a message

# What breaks terminals, tables, TOML, spreadsheets, XML and number parsers.
NASTY = [
    *("", " ", "=1+1", "+1", "-1", "@x", "\t", "\x1b[31m", "\x1b]0;x\x07", "\u009b2J", "\u202e", "\ufffe", "a\nb"),
    *("\r", "a|b`<script>", "&amp;", "]]>", "::error::", "../../x", "%s%n", "{0}", "nan", "inf", "1e999999999"),
    *("9" * 5000, "sqrt(-1)", "9**9**9", "1/0", "-" * 150 + "1", "(" * 90 + "1" + ")" * 90, "٣", "σ", "relu", "x"),
]
KEYS = st.sampled_from([*NASTY[:8], "std", "mean", "distribution", "method", "samples", "kernel_size", "forward_mean"])
NUMBERS = st.sampled_from([0, -1, 1, 2, 64, 65, 2**31, 2**63, 10**400]) | st.floats() | st.integers()
VALUES = st.recursive(
    NUMBERS | st.booleans() | st.sampled_from(NASTY) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=2),
    max_leaves=4,
)


def toml(value: Any) -> str:
    """A value in TOML's own spelling."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{toml(str(key))} = {toml(inner)}" for key, inner in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(toml, value)) + "]"
    if isinstance(value, str):
        escaped = json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
        return escaped.encode("utf-8", "replace").decode()
    return json.dumps(value).replace("NaN", "nan").replace("Infinity", "inf")


def table(entries: dict[str, Any]) -> str:
    return "".join(f"{toml(key)} = {toml(value)}\n" for key, value in entries.items())


@pytest.fixture
def call(cli: Command, tmp_path: Path) -> Callable[..., tuple[int, str]]:
    """Runs a command in a folder of its own; holds what a refusal promises; the exit code and stdout."""

    def call(*arguments: str) -> tuple[int, str]:
        before = tree(tmp_path)
        outcome = cli(*arguments)
        code, out, err = outcome.code, outcome.out, outcome.err
        assert code in ANSWERS | REFUSALS, err
        assert "Traceback" not in err
        if code in REFUSALS:
            lines = err.splitlines()  # one for each mistake
            assert 1 <= len(lines) <= MOST_MISTAKES + 1, err
            assert all(line.startswith("gradstat: ") and len(line) <= LONGEST for line in lines)
            assert all(line.startswith("::error ") for line in out.splitlines())  # of claims, for GitHub
            assert tree(tmp_path) == before
        assert all(line.isprintable() for line in (out + err).split("\n"))
        return code, out

    return call


def tree(folder: Path) -> list[tuple[str, int]]:
    return sorted((entry.name, entry.lstat().st_mtime_ns) for entry in folder.iterdir())


# Configurations and claims ----------------------------------------------------------------------------------------

RUN_KEYS = ["seed", "samples", "estimator", "input", "upstream", "layer", *NASTY[:4]]
PARAMETERS = ["p", "n", "negative_slope", "kernel_size", "in_features"]
LAYER_KEYS = ["name", "expression", "input", "upstream", "sweep", "printed", *PARAMETERS, *NASTY[:4]]
LAYER_NAMES = ["relu", "leaky_relu", "max_pool2d", "dropout", "linear", "softmax", "silu", *NASTY]


@settings(max_examples=120, **SCOPE)
@given(
    run=st.dictionaries(st.sampled_from(RUN_KEYS), VALUES, max_size=2),
    name=st.sampled_from(LAYER_NAMES),
    layer=st.dictionaries(st.sampled_from(LAYER_KEYS), VALUES, max_size=2),
)
def test_configurations(
    run: dict[str, Any], name: str, layer: dict[str, Any], call: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A configuration is refused, or it reaches the sampler, which this test leaves out."""
    monkeypatch.setattr("gradstat.runs.driver.prepared_groups", reached)
    Path("c.toml").write_text(f"{table(run)}\n[[layer]]\n{table({'name': name} | layer)}")
    code, _ = call("run", "c.toml", "-o", "out.parquet", "-o", "out.csv")
    assert code in {*REFUSALS, Exit.CHECK_FAILED}
    Path("c.toml").unlink()


def reached(*arguments: Any, **named: Any) -> Any:
    raise CheckFailed("this is where sampling begins")


CLAIM = {"id": "c", "source": "s", "layer": "relu", "direction": "backward", "statistic": "std", "value": "0.71"}
CLAIM_KEYS = [
    *CLAIM,
    *("url", "locator", "definition", "params", "input", "upstream", "cell", "scale", "obtained", "expect", "", "\x1b"),
]
REPORTS = ["table", "json", "md", "junit", "github"]


@settings(max_examples=150, **SCOPE)
@given(
    changes=st.dictionaries(st.sampled_from(CLAIM_KEYS), VALUES | st.sampled_from(NASTY), max_size=2),
    report=st.sampled_from(REPORTS),
)
def test_claims(changes: dict[str, Any], report: str, call: Any) -> None:
    """A claim is refused, or every report of it is well-formed and free of what steers terminals."""
    Path("c.toml").write_text(f"[[claim]]\n{table(CLAIM | changes)}")
    code, out = call("verify", "c.toml", "--quick", "--format", report)
    if code in ANSWERS:
        if report == "junit":
            ElementTree.fromstring(out)
        if report == "json":
            json.loads(out)
        if report == "github":
            assert sum(line.startswith("::") for line in out.splitlines()) == (code != 0)


@settings(max_examples=60, **SCOPE)
@given(content=st.binary(max_size=60) | st.text(max_size=60).map(lambda text: text.encode("utf-8", "replace")))
def test_what_is_no_toml(content: bytes, call: Any) -> None:
    for command in ("run", "verify"):
        Path("c.toml").write_bytes(content)
        assert call(command, "c.toml")[0] in REFUSALS


CLAIM_TEXT = f"[[claim]]\n{table(CLAIM)}"
HUGE = "9" * 400
FOUND = {  # by hand, each of them once an internal error, or endless; command, file, what is said
    "tiny value": ("verify", CLAIM_TEXT.replace("0.71", "1e-300"), ""),
    "huge scale": ("verify", f"{CLAIM_TEXT}scale = 1e308\n", "scale = 1e+308 is not allowed; expected a number from"),
    "whole scale": ("verify", f"{CLAIM_TEXT}scale = {HUGE}\n", "scale: value '999"),
    "huge source": ("verify", f"{CLAIM_TEXT}obtained = {{ samples = {HUGE} }}\n", "obtained.samples = 999"),
    "no table": ("verify", "claim = [1]\n", "1 is not a table; write its keys below a [[header]]"),
    "no claim": ("verify", "claim = []\n", "expected [[claim]] tables and nothing else, found: none"),
    "escape": (
        "verify",
        f'{CLAIM_TEXT}locator = "\\u009b2J"\n',
        "expected text in quotes, up to 2000 characters, no con",
    ),
    "markup": ("verify", f'{CLAIM_TEXT}url = "https://x> <script>"\n', 'expected an address, e.g. "https://arxiv.org"'),
    "long name": ("run", f'[[layer]]\nname = "{"x" * 10**6}"\n', f"unknown layer '{'x' * 57}...'; known: "),
    "many cases": (
        "run",
        f"[[layer]]\nname = 'dropout'\nsweep = {{ p = {[0.5] * 10001} }}\n",
        "10,001 cases; at most",
    ),
}


@pytest.mark.parametrize(("command", "content", "message"), FOUND.values(), ids=FOUND)
def test_found_by_hand(command: str, content: str, message: str, call: Any, capfd: pytest.CaptureFixture[str]) -> None:
    Path("c.toml").write_text(content)
    code, _ = call(*(command, "c.toml", *(("--quick",) if command == "verify" else ())))
    assert code == (Exit.USAGE if message else Exit.CHECK_FAILED)
    start([command, "c.toml"])
    assert message in capfd.readouterr().err


def broken(error: Exception | None = None, out: str = "", file: str = "") -> Callable[..., Any]:
    def instead(*arguments: Any) -> Any:
        print(out, end="")
        if file:
            Path(file).touch()
        raise error or UsageError("no")

    return instead


@pytest.mark.parametrize("slip", [{"error": RuntimeError("x")}, {"out": "half a table"}, {"file": "half.parquet"}])
def test_the_net_has_no_hole(slip: dict[str, Any], call: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """An internal error, output before a refusal, and a file left behind are each noticed."""
    Path("c.toml").write_text("")
    call("run", "c.toml")
    monkeypatch.setattr("gradstat.config.read_toml", broken(**slip))
    with pytest.raises(AssertionError):
        call("run", "c.toml")


# Result files -----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A result as it ought to be, of two rows."""
    path = tmp_path_factory.mktemp("whole") / "whole.parquet"
    texts = {"layer": "relu", "params": "{}", "cell": "all", "input": "normal(0, 1)", "upstream": "normal(0, 1)"}
    rows = [
        dict.fromkeys(SCHEMA.names, 0.5)
        | dict.fromkeys(KINDS.values(), "proven")
        | {"no_error_bar": None, "exact_reason": None}
        | texts
        | {"direction": direction, "estimator": "mc", "seed": 1, "n": 4}
        for direction in ("forward", "backward")
    ]
    provenance = {"schema_version": SCHEMA_VERSION, "configuration": {"layer": [{"name": "relu"}]}, "versions": {}}
    result = pa.Table.from_pylist(rows, schema=SCHEMA).replace_schema_metadata({"gradstat": json.dumps(provenance)})
    pq.write_table(result, path, write_page_checksum=True)
    return path


READERS: list[tuple[str, ...]] = [
    *(("show", "r.parquet", "--format", name) for name in ("table", "json", "csv", "md", "html")),
    *(("diff", "r.parquet", "w.parquet"), ("diff", "w.parquet", "r.parquet")),
    ("merge", "r.parquet", "w.parquet", "-o", "-"),
]


def read_all(call: Any, whole: Path) -> set[int]:
    """The exit codes of all that read a result."""
    shutil.copy(whole, "w.parquet")
    return {call(*arguments)[0] for arguments in READERS}


def test_a_whole_result_is_read(call: Any, whole: Path) -> None:
    shutil.copy(whole, "r.parquet")
    assert Exit.UNREADABLE not in read_all(call, whole)


@settings(max_examples=60, **SCOPE)
@given(data=st.data())
def test_damaged_results(data: st.DataObject, call: Any, whole: Path) -> None:
    """Cut off at any byte, or with any bit turned: unreadable, or read as if nothing were."""
    content = bytearray(whole.read_bytes())
    place = data.draw(st.integers(0, len(content) - 1))
    if data.draw(st.booleans()):
        content[place] ^= 1 << data.draw(st.integers(0, 7))
    else:
        del content[place:]
    Path("r.parquet").write_bytes(content)
    code, _ = call("show", "r.parquet", "-q", "-o", "copy.parquet")
    Path("copy.parquet").unlink(missing_ok=True)
    assert code in (Exit.DONE, Exit.UNREADABLE)
    assert len(content) == whole.stat().st_size or code == Exit.UNREADABLE


CELLS = st.sampled_from([*NASTY, '{"a": NaN}', '{"a": "\\u001b"}', '{"a": 1}', "{}", None])


@settings(max_examples=100, **SCOPE)
@given(name=st.sampled_from(SCHEMA.names), data=st.data())
def test_results_that_are_not_gradstats(name: str, data: st.DataObject, call: Any, whole: Path) -> None:
    """One column with other values, nulls, or of another type, left out, or out of order."""
    good = pq.read_table(whole)
    field, place = SCHEMA.field(name), SCHEMA.names.index(name)
    match data.draw(st.sampled_from(["values", "null", "type", "missing", "extra", "order"])):
        case "null":
            bad = good.set_column(place, field, pa.nulls(2, field.type))
        case "type":
            bad = good.set_column(place, name, pa.array([b"x", b"y"]))
        case "missing":
            bad = good.drop_columns([name])
        case "extra":
            bad = good.append_column(data.draw(st.sampled_from(NASTY)), pa.array([1, 2]))
        case "order":
            bad = good.select([name, *(other for other in SCHEMA.names if other != name)])
        case _:
            cells = CELLS if field.type == pa.string() else st.floats()
            if pa.types.is_integer(field.type):
                cells = st.sampled_from([0, 1, 2**62])
            bad = good.set_column(place, field, pa.array([data.draw(cells)] * 2, field.type))
    pq.write_table(bad, "r.parquet", write_page_checksum=True)
    codes = read_all(call, whole)
    if not bad.schema.equals(good.schema) or (bad[name].null_count and name not in OPTIONAL):
        assert codes == {Exit.UNREADABLE}
    if codes != {Exit.UNREADABLE} and field.type == pa.string():
        first = bad[name][0].as_py()
        assert first[0] not in "=+-@\t\r"
        assert first.isprintable()


@settings(max_examples=60, **SCOPE)
@given(
    changes=st.dictionaries(
        st.sampled_from(
            ["schema_version", "versions", "configuration", "ranges", "wall_seconds", "stream_version", "x"]
        ),
        VALUES,
        min_size=1,
        max_size=2,
    )
)
def test_provenance(changes: dict[str, Any], call: Any, whole: Path) -> None:
    good = pq.read_table(whole)
    document = json.loads(good.schema.metadata[b"gradstat"]) | changes
    pq.write_table(good.replace_schema_metadata({"gradstat": json.dumps(document)}), "r.parquet")
    codes = read_all(call, whole)
    if document["schema_version"] != SCHEMA_VERSION:
        assert codes == {Exit.UNREADABLE}


def test_a_newer_schema_names_what_to_install(whole: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    document = json.dumps({"schema_version": SCHEMA_VERSION + 1, "versions": {"gradstat": "9.1"}})
    newer = pq.read_table(whole).drop_columns(["mean"]).replace_schema_metadata({"gradstat": document})
    pq.write_table(newer, tmp_path / "r.parquet")
    assert start(["show", str(tmp_path / "r.parquet")]) == Exit.UNREADABLE
    assert "install gradstat 9.1 or newer, which wrote it: pip install --upgrade gradstat" in capfd.readouterr().err


def test_what_is_no_file(call: Any, whole: Path) -> None:
    """None of these may be waited for, or read to their end."""
    os.mkfifo("pipe.parquet")
    os.symlink("loop.parquet", "loop.parquet")
    os.symlink("nowhere.parquet", "dangling.parquet")
    os.symlink("/dev/zero", "zero.parquet")
    Path("folder.parquet").mkdir()
    Path("text.parquet").write_text("layer,params\nrelu,{}\n")
    Path("empty.parquet").write_bytes(b"")
    pq.write_table(pa.table({"a": [1]}), "foreign.parquet")
    names = ["pipe", "loop", "dangling", "zero", "folder", "text", "empty", "foreign"]
    for path in [*(f"{name}.parquet" for name in names), "/dev/null", "/", "", "a" * 300, "x\udcff"]:
        assert call("show", path)[0] == Exit.UNREADABLE
    for path in ("loop.parquet", "zero.parquet", "folder.parquet", "", "a" * 300):
        assert call("run", path)[0] in REFUSALS
        assert call("verify", path)[0] in REFUSALS


# Outputs ----------------------------------------------------------------------------------------------------------


def test_a_link_stays_a_link(call: Any, whole: Path) -> None:
    shutil.copy(whole, "r.parquet")
    for place in ("here", "folder"):
        Path(place).mkdir()
    Path("here/old.csv").write_text("old")
    os.symlink("here/old.csv", "old.csv")
    os.symlink("here/new.csv", "dangling.csv")
    os.symlink("nowhere/new.csv", "lost.csv")
    os.symlink("loop.csv", "loop.csv")
    os.symlink("folder", "folder.csv")
    assert call("show", "r.parquet", "-q", "-o", "old.csv", "-o", "dangling.csv")[0] == Exit.DONE
    assert Path("old.csv").is_symlink()
    assert Path("dangling.csv").is_symlink()
    assert Path("here/old.csv").read_text() == Path("here/new.csv").read_text() != "old"
    for path in ("lost.csv", "loop.csv", "folder.csv", "/dev/null/x.csv", "r.parquet/x.csv", "a" * 300 + ".csv"):
        assert call("show", "r.parquet", "-q", "-o", path)[0] == Exit.USAGE
    assert sorted(entry.name for entry in Path("here").iterdir()) == ["new.csv", "old.csv"]


def test_read_back_from_csv_exactly(call: Any, whole: Path) -> None:
    """Cells are written as they are, without a quote in front: nothing in them is a formula."""
    import pandas as pd

    shutil.copy(whole, "r.parquet")
    call("show", "r.parquet", "-q", "-o", "r.csv")
    found, kept = pd.read_csv("r.csv"), pq.read_table(whole).to_pandas()
    empty = ["no_error_bar", "exact_reason"]
    columns = [name for name in found.columns if name not in empty]  # NaN is not equal to itself
    assert found[columns].to_dict("list") == kept[columns].to_dict("list")
    assert found[empty].isna().all(axis=None)


# Command lines ----------------------------------------------------------------------------------------------------

ARGUMENTS = [
    *NASTY,
    *("--", "-o", "a=b", "std=nan", "std=1e400", "distribution=[1]", "layer.x=1", "2**99", "[" * 2000, "\udcff"),
]
LINES: list[tuple[Sequence[str], Sequence[str]]] = [
    (("run", "no.toml"), ("-n", "--seed", "-j", "--estimator", "--engine", "--set", "-o", "--format")),
    (("run", "no.toml"), ("--rel-error", "--target-error", "--max-samples", "--shard", "--fresh", "-v")),
    (("propagate", "no.toml"), ("--set", "-o", "--pictures", "-j", "--format", "--fresh")),
    (("merge", "no.parquet", "none.parquet"), ("-o", "--format")),
    (("gain", "relu"), ("--input", "--upstream", "--statistic", "--expression", "-j", "--format")),
    (("verify", "no.toml"), ("--only", "--max-samples", "--seed", "-o", "--format")),
    (("show", "no.parquet"), ("-o", "--format")),
    (("tables", "selu"), ("-o", "--check", "--format", "-j")),
    (("plot", "forest", "no.parquet"), ("-o", "-n", "--seed", "--statistic", "--gain", "--range", "--input")),
    (("list",), ("--format",)),
    (("no-command",), ("--set",)),
]


@settings(max_examples=250, **SCOPE)
@given(line=st.sampled_from(LINES), data=st.data())
def test_command_lines(line: tuple[Sequence[str], Sequence[str]], data: st.DataObject, call: Any) -> None:
    """Odd values for every option, odd arguments, options twice or without a value."""
    words, options = line
    odd = st.sampled_from(ARGUMENTS) | st.text(st.characters(exclude_characters="\0"), max_size=6)
    more = st.tuples(st.sampled_from(options), odd) | st.tuples(odd) | st.tuples(st.sampled_from(options))
    arguments = [*words, *(word for part in data.draw(st.lists(more, min_size=1, max_size=2)) for word in part)]
    call(*arguments)
    for entry in Path().iterdir():
        entry.unlink()
