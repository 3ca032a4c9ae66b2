"""Output formats × commands: every command writes every one of its formats, and programs read what it wrote."""

import csv
import io
import json
import math
import re
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import click
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from gradstat.cli.app import COMMANDS, app, start
from gradstat.cli.output import Output
from gradstat.constants.catalogue import tables
from gradstat.errors import UsageError
from gradstat.layer_types.registry import LAYERS
from gradstat.listings import LISTINGS
from gradstat.plots.kinds import PLOTS
from gradstat.text.formats import CODE, FORMATS, PICTURES, TABLES, check, format_of, render, save
from gradstat.text.tables import Column, Report, Table, Terminal
from gradstat.text.uncertain import Uncertain

CONFIG = """
samples = 1000
[[layer]]
name = "relu"
printed = { forward_std = "0.58" }
[[layer]]
name = "max_pool2d"
kernel_size = 3
stride = 2
[[layer]]
name = "leaky_relu"
sweep = { negative_slope = [0.1, 0.2] }
input = { correlation = 0.25, std = 1.5 }
"""
CLAIMS = """
[[claim]]
id = "relu-mean-of-a-unit-normal-number"
source = "A source with a name that is longer than a narrow terminal is wide, section 3.2"
url = "https://example.org"
layer = "relu"
direction = "forward"
statistic = "mean"
value = "0.3989"
[[claim]]
id = "leaky"
source = "=HYPERLINK(1)"
layer = "leaky_relu"
params = { negative_slope = 0.2 }
direction = "forward"
statistic = "gain_rms"
scale = "sqrt(2)"
value = "sqrt(2)*sqrt(2/(1+0.2**2))"
[[claim]]
id = "sampled"
source = "Nobody"
layer = "relu"
direction = "backward"
statistic = "std"
value = "0.70"
obtained = { method = "monte-carlo", samples = 1000 }
expect = "imprecise"
"""

NETWORK = """
networks = 2
batch = 8
features = 16
schemes = ["he", "separate"]
[[network]]
activations = ["relu"]
[[network.stage]]
repeat = 3
blocks = [{ kind = "linear" }, { kind = "activation" }]
"""

# What is asked of each command; {0} is the folder of `files`.
QUESTIONS = {
    "run": "run {0}/small.toml",
    "gain": "gain gelu approximate=tanh",
    "verify": "verify --quick {0}/claims.toml",
    "show": "show {0}/a.parquet",
    "tables": "tables nfnets series stride",
    "diff": "diff {0}/a.parquet {0}/b.parquet",
    "merge": "merge {0}/1.parquet {0}/2.parquet -o -",
    "plot": "plot forest {0}/a.parquet -o -",
    "solve": "solve relu --for input.std=1..2 --such-that forward.rms=1",
    "propagate": "propagate {0}/network.toml",
    "list": "list layers",
    "doctor": "doctor",
}


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("formats")
    (folder / "small.toml").write_text(CONFIG, encoding="utf-8")
    (folder / "claims.toml").write_text(CLAIMS, encoding="utf-8")
    (folder / "network.toml").write_text(NETWORK, encoding="utf-8")
    config = str(folder / "small.toml")
    for name, more in {"a": [], "b": ["--seed", "2"], "1": ["--shard", "1/2"], "2": ["--shard", "2/2"]}.items():
        assert start(["run", config, "-q", "-o", str(folder / f"{name}.parquet"), *more]) == 0
    return folder


@pytest.fixture(autouse=True)
def results(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Networks that are finished are kept for the next test."""
    monkeypatch.setenv("GRADSTAT_RESULTS", str(tmp_path_factory.getbasetemp() / "results"))


def formats_of(name: str) -> tuple[str, ...]:
    command = app.get_command(click.Context(app), name)
    assert command is not None
    (option,) = (parameter for parameter in command.params if parameter.name == "format_name")
    names: Callable[[], tuple[str, ...]] = option.type.names  # type: ignore[attr-defined]
    return tuple(names())


PAIRS = [(name, form) for name in QUESTIONS for form in formats_of(name)]


def test_commands_pick_from_the_one_registry() -> None:
    assert set(COMMANDS) - set(QUESTIONS) == {"schema"}  # which is JSON Schema, and nothing else
    assert {form for _, form in PAIRS} == set(FORMATS)
    for name in QUESTIONS:
        forms = formats_of(name)
        assert (forms == PICTURES) if name == "plot" else forms[: len(TABLES)] == TABLES
    assert len({entry.suffix for entry in FORMATS.values()}) == len(FORMATS)


@pytest.mark.parametrize(("name", "form"), PAIRS)
def test_every_command_writes_every_format(
    name: str, form: str, files: Path, tmp_path: Path, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    """To a file by its suffix and to stdout by --format, the same bytes, which a reader of the format accepts."""
    path = tmp_path / f"out{FORMATS[form].suffix}"
    arguments = QUESTIONS[name].format(files).split()
    assert start([*arguments, "--format", form, "-o", str(path), "-o", "-"]) in (0, 1)
    out, err = capfdbinary.readouterr()
    assert out == path.read_bytes()
    assert b"error" not in err
    READERS[form](out)


def read_json(content: bytes) -> list[dict[str, Any]]:
    def refuse(constant: str) -> None:
        raise AssertionError(constant)

    rows: list[dict[str, Any]] = json.loads(content, parse_constant=refuse)["rows"]
    for row in rows:
        assert list(row) == list(rows[0])
        for key, value in row.items():  # no number, no object hides in a text
            assert (
                key in ("printed", "published", "should_print", "value", "path")
                or not isinstance(value, str)
                or (not re.fullmatch(r"-?\d+\.\d+(e-?\d+)?|\{.*\}", value))
            )
    return rows


class Tags(HTMLParser):
    """Tags that open and close in order."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self.open += [tag] if tag != "meta" else []

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def read_html(content: bytes) -> None:
    tags = Tags()
    tags.feed(content.decode())
    tags.close()
    assert tags.open == []


def read_markdown(content: bytes) -> None:
    for block in content.decode().split("\n\n"):
        lines = [line for line in block.splitlines() if line.startswith("|")]
        assert len({len(re.findall(r"(?<!\\)\|", line)) for line in lines}) <= 1


def read_latex(content: bytes) -> None:
    for table in content.decode().split("\\begin{tabular}")[1:]:
        body = table.partition("\\toprule\n")[2].partition("\n\\bottomrule")[0]
        lines = [line for line in body.splitlines() if line != "\\midrule"]
        assert len({len(re.findall(r"(?<!\\)&", line)) for line in lines}) == 1
        assert all(line.endswith(r" \\") and line.count("$") % 2 == 0 for line in lines)


def read_table(content: bytes) -> None:
    assert content.decode().endswith("\n")
    assert b"\x1b" not in content


def read_python(content: bytes) -> None:
    scope: dict[str, Any] = {}
    exec(content, scope)
    dictionaries = [value for name, value in scope.items() if name.isupper()]
    assert dictionaries
    assert all(isinstance(value, float) for each in dictionaries for value in each.values())


READERS: dict[str, Callable[[bytes], Any]] = {
    "table": read_table,
    "json": read_json,
    "csv": lambda content: list(csv.DictReader(io.StringIO(content.decode()), strict=True)),
    "md": read_markdown,
    "latex": read_latex,
    "html": read_html,
    "parquet": lambda content: pq.read_table(pa.BufferReader(content)),
    "python": read_python,
    "c": lambda content: re.search(rb"^#define \w+ \(-?[\d.e+-]+\)", content, re.MULTILINE)[0],  # type: ignore[index]
    "junit": ElementTree.fromstring,
    "github": read_table,
    "concise": read_table,
    "svg": ElementTree.fromstring,
    "pdf": lambda content: content.startswith(b"%PDF-1.") or pytest.fail("no PDF"),
    "png": lambda content: content.startswith(b"\x89PNG") or pytest.fail("no PNG"),
}


def compact(value: Any) -> Any:
    return json.dumps(value, sort_keys=True, ensure_ascii=False) if isinstance(value, dict | list) else value


@pytest.mark.parametrize("name", [name for name in QUESTIONS if name not in ("plot", "run", "doctor")])
def test_programs_read_the_same_floats_from_every_format(
    name: str, files: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    outputs = {form: tmp_path / f"out{FORMATS[form].suffix}" for form in ("json", "csv", "parquet")}
    options = [word for path in outputs.values() for word in ("-o", str(path))]
    assert start([*QUESTIONS[name].format(files).split(), *options]) in (0, 1)
    rows = read_json(outputs["json"].read_bytes())
    with outputs["csv"].open(newline="", encoding="utf-8") as handle:
        lines = list(csv.DictReader(handle))
    table = pq.read_table(outputs["parquet"]).to_pylist()
    assert len(rows) == len(lines) == len(table)
    for row, line, record in zip(rows, lines, table, strict=True):
        assert list(row) == list(line)
        for key, value in row.items():
            is_finite = not isinstance(record[key], float) or math.isfinite(record[key])
            if name not in ("show", "merge") or is_finite:  # a result's file holds NaN and infinity
                assert record[key] == compact(value)
            match value:
                case None:
                    assert line[key] == ""
                case bool():
                    assert line[key] == str(value).lower()
                case int() | float():
                    assert type(value)(line[key]) == value
                case _:
                    assert line[key] in (compact(value), f"'{value}")


@pytest.mark.parametrize("width", [60, 80, 100, 200])
@pytest.mark.parametrize("name", [name for name in QUESTIONS if name != "plot"])
def test_every_table_fits_the_terminal(
    name: str, width: int, files: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("gradstat.cli.output.terminal", lambda: Terminal(width))
    assert start([*QUESTIONS[name].format(files).split(), "--format", "table"]) in (0, 1)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) > 1 or name == "diff"
    assert max(map(len, lines)) <= width


@pytest.mark.parametrize("width", [60, 80, 100, 200])
def test_every_listing_and_every_layer_fits_the_terminal(width: int, monkeypatch: pytest.MonkeyPatch) -> None:
    texts: list[str] = []
    monkeypatch.setattr("gradstat.cli.output.terminal", lambda: Terminal(width))
    monkeypatch.setattr("gradstat.cli.output.emit", texts.append)
    for arguments in [["list"], *(["list", name] for name in LISTINGS), *(["list", "layers", name] for name in LAYERS)]:
        assert start(arguments) == 0
    assert max(len(line) for text in texts for line in text.splitlines()) <= width


@pytest.mark.parametrize(("command", "names"), [("tables", tables()), ("plot", PLOTS)])
def test_help_names_what_a_command_takes(
    command: str, names: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    assert start([command, "--help"]) == 0
    listed = capsys.readouterr().out.partition("Options:")[2]
    assert all(re.search(rf"^  {name}  ", listed, re.MULTILINE) for name in names)


@pytest.mark.parametrize("name", tables())
def test_every_table_of_constants_fits_60_columns(
    name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("gradstat.cli.output.terminal", lambda: Terminal(60))
    assert start(["tables", name, "--format", "table"]) == 0
    assert max(map(len, capsys.readouterr().out.splitlines())) <= 60


# Standard input ----------------------------------------------------------------------------------------------------


class Stdin:
    """A standard input of bytes."""

    def __init__(self, content: bytes) -> None:
        self.buffer = io.BytesIO(content)


READ = {
    "show -": "a.parquet",
    "diff - {0}/a.parquet": "a.parquet",
    "diff {0}/a.parquet -": "a.parquet",
    "merge {0}/1.parquet - -o -": "2.parquet",
    "plot forest - -o -": "a.parquet",
    "run - -n 1000": "small.toml",
    "verify --quick -": "claims.toml",
}


@pytest.mark.parametrize("question", READ)
def test_a_dash_reads_standard_input(
    question: str, files: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = question.format(files).split()
    named = [str(files / READ[question]) if word == "-" and arguments[i - 1] != "-o" else word
             for i, word in enumerate(arguments)]  # fmt: skip
    expected = start(named), capsys.readouterr().out
    monkeypatch.setattr("sys.stdin", Stdin((files / READ[question]).read_bytes()))
    assert (start(arguments), capsys.readouterr().out) == expected
    assert expected[0] == 0
    assert expected[1]


@pytest.mark.parametrize(
    ("question", "content", "code", "message"),
    [
        ("show -", b"", 4, "standard input: empty, or was read already"),
        ("show -", b"PAR1 and no more", 4, "standard input: cut off or damaged"),
        ("run -", b"seed = ", 2, "standard input:1:1: not valid TOML"),
        ("run -", b"PAR1", 2, "standard input: is a result, not a configuration"),
        ("verify --quick -", b"[[claim]]\nid = 3", 2, "-:1: "),
    ],
)
def test_what_is_wrong_with_standard_input_is_one_line(
    question: str, content: bytes, code: int, message: str,
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.setattr("sys.stdin", Stdin(content))
    assert start(question.split()) == code
    error = capsys.readouterr().err
    assert error.startswith(f"gradstat: {message}")
    assert error.count("\n") == 1


# Files -------------------------------------------------------------------------------------------------------------

REPORT = Report([Table([Column("name"), Column("x")], [("a", Uncertain(1 / 3, 1e-3)), ("\udcff", None)])])


def test_a_suffix_chooses_the_format(tmp_path: Path) -> None:
    for name in (*TABLES, *CODE):
        save(REPORT, tmp_path / f"a{FORMATS[name].suffix}", (name,))
        content = render(REPORT, name)
        expected = content if isinstance(content, bytes) else content.encode("utf-8", "replace")
        assert (tmp_path / f"a{FORMATS[name].suffix}").read_bytes() == expected


@pytest.mark.parametrize(
    ("name", "message"),
    [("a", "has no suffix.*expected one of .txt, .json"), ("a.parqet", "did you mean '.parquet'"), ("a.py", "unknown")],
)
def test_an_unknown_suffix_is_refused_before_any_work(name: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        format_of(Path(name), TABLES)
    with pytest.raises(UsageError, match=message):
        check([Path(name)], TABLES)


def test_bytes_do_not_go_to_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdout.isatty", lambda: True, raising=False)
    with pytest.raises(UsageError, match=r"parquet is not text; write it to a file: -o FILE\.parquet"):
        Output((), "parquet", False, TABLES).check()
    Output((), "parquet", True, TABLES).check()
    Output((), "json", False, TABLES).check()


def test_a_report_without_a_format_of_its_own_refuses_it() -> None:
    with pytest.raises(UsageError, match="no format 'junit'"):
        render(REPORT, "junit")


def test_a_text_that_a_spreadsheet_would_run_is_quoted(files: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert start(["verify", "--quick", "--format", "csv", str(files / "claims.toml")]) in (0, 1)
    assert ",'=HYPERLINK(1)," in capsys.readouterr().out
