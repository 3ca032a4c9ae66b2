"""Small files that would cost much, and calls that take long: limits, announcements, time limits."""

import json
import os
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import gradstat
from gradstat.cli.app import start
from gradstat.config import RunConfig
from gradstat.errors import Exit, MalformedClaim, NotDecided, UsageError, printable
from gradstat.estimation import run as estimation
from gradstat.layer_types.from_config import cases, distinct
from gradstat.limits import CASES, CLAIMS, KERNELS, KEY_DEPTH, KEYS, LIST_ITEMS, MISTAKES, TABLE_KEYS
from gradstat.results.store import read
from gradstat.runs.duration import announce
from gradstat.runs.progress import Progress
from gradstat.text.formats import render_text
from gradstat.text.tables import Column, Report, Table
from gradstat.time_limit import TimeLimitReached, time_limit
from gradstat.toml_file import parse_toml
from gradstat.verification.annotations import claims_in
from gradstat.verification.files import load
from gradstat.verification.matrix_claims import closest_shift, repeated_cell
from gradstat.verification.matrix_claims import text as matrix_text
from tests.commands import Command

CLAIM = '{{id="{}", source="s", layer="relu", direction="backward", statistic="std", value="0.71"}}'
DEEP = ".".join(["a"] * 20_000)

# TOML -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("command", ["run", "verify", "propagate"])
@pytest.mark.parametrize(
    ("text", "words"),
    [
        (f"{DEEP} = 1", f"a dotted key has more than {KEY_DEPTH.most} parts"),
        (f"[{DEEP}]", "a dotted key has more than 32 parts"),
        (f"a = 1\n[[layer]]\n  {DEEP.replace('.', ' . ')} = 1", "a dotted key has more than 32 parts"),
        (f"a = {{ {DEEP.replace('a', chr(34) + 'a' + chr(34))} = 1 }}", "a dotted key has more than 32 parts"),
        ("".join(f"k{i}=1\n" for i in range(1001)), f"1,001 {TABLE_KEYS.counts}; at most 1,000 are allowed"),
        (f"layer = [{'1,' * 20_001}]", f"20,001 {LIST_ITEMS.counts}; at most 20,000 are allowed"),
        (f"a = [{'[],' * 400_000}]", f"{KEYS.counts}; at most 400,000 are allowed"),
        ("a = " + "[" * 100_000, "not valid TOML"),
        ("a = " + "{a = " * 5_000, "not valid TOML"),
    ],
    ids=["dotted", "header", "blanks", "quoted", "keys", "items", "lists", "nested lists", "nested tables"],
)
def test_toml_that_would_cost_much(text: str, words: str, command: str, cli: Command, tmp_path: Path) -> None:
    (tmp_path / "a.toml").write_text(text)
    outcome = cli(command, "a.toml")
    assert (outcome.code, words in outcome.line()) == (Exit.USAGE, True), outcome.err
    assert outcome.line().startswith("a.toml:")


def test_a_key_of_32_parts_is_read(tmp_path: Path) -> None:
    """Negative control, and texts with many dots, which are no keys."""
    dotted = ".".join(["a"] * KEY_DEPTH.most)
    text = f'{dotted} = 1\nb = "{"a." * 1000}"\nc = """\nsee a.b {"." * 100}\n"""\nd = [{"1.5, " * 100}]'
    assert parse_toml(text, Path("a.toml"))["d"] == [1.5] * 100


def test_many_mistakes_are_cut(cli: Command, tmp_path: Path) -> None:
    (tmp_path / "a.toml").write_text("layer = [" + "{}, " * 10_000 + "]")
    outcome = cli("run", "a.toml")
    assert outcome.code == Exit.USAGE
    assert outcome.err.splitlines()[-1] == f"gradstat: {MISTAKES.most - 10} more mistakes are not shown"


# Claims -----------------------------------------------------------------------------------------------------------


def write_claims(path: Path, number: int) -> None:
    path.write_text("claim = [" + ",\n".join(CLAIM.format(f"c{i}") for i in range(number)) + "]\n")


def test_more_claims_than_allowed(tmp_path: Path) -> None:
    write_claims(tmp_path / "a.toml", 3)
    assert [claim.line for claim in load([tmp_path / "a.toml"])] == [1, 2, 3]
    content = b"".join(b"x = 1.71  # gradstat: relu forward gain_std\n" for _ in range(CLAIMS.most + 1))
    with pytest.raises(
        UsageError, match=r"a.py: 10,001 claims in a call; at most 10,000 are allowed; verify fewer files"
    ):
        list(claims_in(Path("a.py"), content))


def test_more_claims_in_toml_than_allowed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gradstat.verification.files.CLAIMS", CLAIMS._replace(most=5))
    write_claims(tmp_path / "a.toml", 6)
    with pytest.raises(UsageError, match=r"a.toml: 6 claims in a call; at most 5 are allowed"):
        load([tmp_path / "a.toml"])


def test_more_formulas_in_claims_than_allowed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gradstat.verification.files.KERNELS", KERNELS._replace(most=2))
    tables = [CLAIM.format(f"c{i}").replace('layer="relu"', f'expression="x + {i}"') for i in range(3)]
    (tmp_path / "a.toml").write_text(f"claim = [{', '.join(tables)}]\n")
    with pytest.raises(UsageError, match=r"a.toml: 3 formulas to compile in a call; at most 2 are allowed"):
        load([tmp_path / "a.toml"])


def test_a_table_ends_at_the_next_annotation_of_a_table() -> None:
    """Otherwise each of many annotations would read the lines of all."""
    line = b"# gradstat: KEY forward gain_std\n"
    with pytest.raises(MalformedClaim, match="there are no numbers with keys below it") as caught:
        list(claims_in(Path("a.py"), line * 2 + b'x = {"relu": 1.71}\n'))
    assert caught.value.line == 1
    assert caught.value.also == ()


def test_a_line_of_blanks_takes_linear_time() -> None:
    content = b"# gradstat: KEY forward gain_std\n" + b"a" + b" " * 200_000 + b"\n"
    begin = time.process_time()
    with pytest.raises(MalformedClaim):
        list(claims_in(Path("a.py"), content))
    assert time.process_time() - begin < 60.0  # quadratic: hours


def matrix_claim(value: str, size: int = 64) -> str:
    return (
        f'[[claim]]\nid = "m"\nsource = "s"\nlayer = "max_pool2d"\nparams = {{ kernel_size = {size}, stride = {size} }}'
        f'\nstatistic = "windows"\nvalue = "{value}"\n'
    )


def ones(size: int) -> str:
    return "; ".join([" ".join(["1"] * size)] * size)


@pytest.mark.parametrize(
    ("value", "code", "words"),
    [
        (ones(64), Exit.DONE, "1 confirmed"),
        (ones(64).replace("1", "2", 1), Exit.CHECK_FAILED, "1 of 4096 entries differ"),
        ("1 2", Exit.CHECK_FAILED, "4096 of 4096 entries differ"),
    ],
)
def test_a_matrix_of_64_by_64(value: str, code: int, words: str, cli: Command, tmp_path: Path) -> None:
    (tmp_path / "m.toml").write_text(matrix_claim(value))
    outcome = cli("verify", "m.toml", "--quick", "--format", "json" if code else "table")
    assert (outcome.code, words in outcome.out) == (code, True), outcome.out


@pytest.mark.parametrize(("size", "stride"), [(3, 2), (5, 3), (4, 4), (7, 5), (2, 3)])
def test_the_closest_shift_is_that_of_a_search(size: int, stride: int) -> None:
    """Counts of a cell with wrong entries: as many entries are equal as in the best of all shifts, one by one."""
    cell = np.array([[int(entry) for entry in row] for row in repeated_cell(size, stride)])
    generator = np.random.default_rng(size)
    shifts = [np.roll(cell, (i, j), (0, 1)) for i in range(stride) for j in range(stride)]
    for _ in range(20):
        printed = shifts[generator.integers(len(shifts))].copy()
        printed[generator.integers(stride), generator.integers(stride)] += generator.integers(3)
        found = closest_shift(repeated_cell(size, stride), tuple(map(tuple, printed.tolist())))
        right = max(int((shift == printed).sum()) for shift in shifts)
        assert int((np.array([[int(entry) for entry in row] for row in found]) == printed).sum()) == right
    assert matrix_text(closest_shift(repeated_cell(3, 2), repeated_cell(3, 2)[::-1])) == "2 1; 4 2"


# Runs -------------------------------------------------------------------------------------------------------------


def layers(*tables: dict[str, Any], **more: Any) -> RunConfig:
    return RunConfig.model_validate({"layer": list(tables), "samples": 1000, **more})


def test_more_cases_than_allowed() -> None:
    sweep = {"name": "leaky_relu", "sweep": {"negative_slope": [i / 6000 for i in range(6000)]}}
    with pytest.raises(
        UsageError, match=r"12,000 cases of a run; at most 10,000 are allowed; divide the configuration"
    ):
        cases(layers(sweep, sweep))
    assert len(cases(layers(sweep))) == 6000 <= CASES.most


def test_equal_cases_are_sampled_once(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    sampled: list[int] = []
    original = estimation.plan

    def counted(asked: Any, *arguments: Any) -> Any:
        sampled.append(len(asked))
        return original(asked, *arguments)

    monkeypatch.setattr("gradstat.runs.driver.plan", counted)
    monkeypatch.chdir(tmp_path)
    tables: list[str | dict[str, Any]] = ["relu", "tanh", "relu", {"name": "relu", "input": {"std": 2.0}}, "relu"]
    several = gradstat.run(tables, samples=5000, checkpoints=False)
    alone = gradstat.run(["relu"], samples=5000, checkpoints=False)
    assert sampled == [3, 1]
    rows = several.rows()
    assert [row["layer"] for row in rows] == [name for name in ("relu", "tanh", "relu", "relu", "relu") for _ in "yx"]
    assert rows[0:2] == rows[4:6] == rows[8:10] == alone.rows()
    assert rows[6:8] != rows[0:2]
    Path("c.toml").write_text('samples = 600000\n[[layer]]\nname = "relu"\n[[layer]]\nname = "relu"\n')
    assert start(["run", "c.toml", "-q", "-o", "whole.parquet"]) == 0
    for index in (1, 2):
        assert start(["run", "c.toml", "-q", "--shard", f"{index}/2", "-o", f"{index}.parquet"]) == 0
    assert start(["merge", "1.parquet", "2.parquet", "-q", "-o", "merged.parquet"]) == 0
    assert read(Path("merged.parquet")).table.equals(read(Path("whole.parquet")).table)


def test_distinct_cases() -> None:
    found, indices = distinct(cases(layers({"name": "relu"}, {"name": "tanh"}, {"name": "relu"})))
    assert [case.layer.name for case in found] == ["relu", "tanh"]
    assert indices == [0, 1, 0]


class Heard(Progress):
    def __init__(self) -> None:
        self.lines: list[str] = []

    def message(self, text: str) -> None:
        self.lines.append(text)


def test_a_long_run_is_announced() -> None:
    """A formula is compiled for each value in an exponent, and once for all values of other parameters."""
    grid = [i / 10 for i in range(1, 31)]
    formula = {"expression": "tanh(a*x + b)", "sweep": {"a": grid, "b": grid}}
    power = {"expression": "abs(x)**a + b", "sweep": {"a": [1.3 + i / 100 for i in range(12)], "b": [1.0, 2.0]}}
    heard = Heard()
    announce(cases(layers(formula)), 1000, 1, heard)
    announce(cases(layers(power)), 10**9, 1, heard)
    announce(cases(layers({"name": "relu"})), 1000, 1, heard)
    assert [line.partition(":")[0] for line in heard.lines] == [
        "900 cases, 1 to compile unless cached",
        "24 cases, 12 to compile unless cached",
    ]


def test_more_kernels_than_allowed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gradstat.runs.duration.KERNELS", KERNELS._replace(most=2))
    power = {"expression": "abs(x)**a", "sweep": {"a": [1.3, 1.4, 1.6]}}
    with pytest.raises(UsageError, match=r"3 formulas to compile in a call; at most 2 are allowed; divide the file"):
        announce(cases(layers(power)), 1000, 1, Heard())


# Time -------------------------------------------------------------------------------------------------------------


def test_a_time_limit_ends_a_block_and_restores_the_alarm() -> None:
    import signal

    before = signal.getsignal(signal.SIGALRM)
    with pytest.raises(TimeLimitReached), time_limit(0.05):
        time.sleep(30)
    with time_limit(30.0):
        pass
    with time_limit(None):
        pass
    assert (signal.getsignal(signal.SIGALRM), signal.getitimer(signal.ITIMER_REAL)) == (before, (0.0, 0.0))


def test_a_time_limit_is_a_number_of_seconds_in_the_main_thread() -> None:
    from concurrent.futures import ThreadPoolExecutor

    def limited(seconds: float) -> None:
        with time_limit(seconds):
            pass

    with pytest.raises(UsageError, match="timeout = -1 is not allowed"):
        limited(-1.0)
    with ThreadPoolExecutor(1) as pool, pytest.raises(UsageError, match="in the main thread only"):
        pool.submit(limited, 1.0).result()


def slow(*arguments: Any, **named: Any) -> Any:
    time.sleep(30)


def test_gain_ends_at_its_time_limit(cli: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gradstat.constants.gain.Gain.report", slow)
    with pytest.raises(NotDecided, match=r"relu: no answer within 0.05 s"):
        gradstat.gain("relu", timeout=0.05)
    outcome = cli("gain", "relu", "--timeout", "0.05")
    assert outcome.code == Exit.PRECISION_NOT_REACHED
    assert outcome.line() == "relu: no answer within 0.05 s; allow more, or ask for fewer statistics"


@pytest.mark.parametrize("place", ["verify.sample", "verify._judge_exact"])
def test_claims_stay_undecided_after_the_time_limit(
    place: str, cli: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(f"gradstat.verification.{place}", slow)
    write_claims(tmp_path / "a.toml", 2)
    outcome = cli("verify", "a.toml", "--timeout", "0.05", "--format", "json", *(["--quick"] * ("judge" in place)))
    rows = json.loads(outcome.out)["rows"]
    sampled_only = place == "verify.sample"  # exact values need no sample
    assert outcome.code == (Exit.DONE if sampled_only else Exit.PRECISION_NOT_REACHED)
    assert {row["verdict"] for row in rows} == {"confirmed" if sampled_only else "undecided"}
    if not sampled_only:
        assert "the time limit was reached before it was decided" in outcome.out


# Names and texts --------------------------------------------------------------------------------------------------

NOT_UTF8 = os.fsdecode(b"n\xff\xfe")
RUN = 'samples = 1000\n[[layer]]\nname = "relu"\n'
NETWORK = 'networks = 2\nbatch = 2\nfeatures = 2\nschemes = ["he"]\n[[network]]\n[[network.stage]]\n'
NETWORK += 'blocks = [{kind="linear"}]\n'
CODE = "GAIN = 1.71  # gradstat: relu forward gain_std\n"
SUFFIXES = ("json", "parquet", "csv", "md", "html", "tex", "txt")


@pytest.mark.parametrize(
    ("command", "suffix", "content", "more"),
    [
        (("verify", "--quick"), "toml", f"claim = [{CLAIM.format('c')}]\n", ("xml", "github", "concise")),
        (("verify", "--quick"), "py", CODE, ("xml", "github", "concise")),
        (("run", "-j", "1"), "toml", RUN, ()),
        (("propagate", "-j", "1"), "toml", NETWORK, ()),
    ],
    ids=["claims", "code", "run", "propagate"],
)
def test_file_names_that_are_not_utf8(
    command: tuple[str, ...], suffix: str, content: str, more: tuple[str, ...], cli: Command, tmp_path: Path
) -> None:
    """Every format is written, as UTF-8, also to a file with such a name."""
    (tmp_path / f"{NOT_UTF8}.{suffix}").write_text(content)
    outputs = [f"{NOT_UTF8}.out.{kind}" for kind in (*SUFFIXES, *more)]
    outcome = cli(*command, f"{NOT_UTF8}.{suffix}", "-q", *(part for name in outputs for part in ("-o", name)))
    assert outcome.code in (Exit.DONE, Exit.CHECK_FAILED), outcome.err
    for name in outputs:
        written = (tmp_path / name).read_bytes()
        assert written
        if not name.endswith("parquet"):
            written.decode("utf-8")
    assert json.loads((tmp_path / outputs[0]).read_text())["rows"]


HOSTILE = (
    "::error file=a,line=1::x",
    "  ::error::x",
    "a ##[add-mask]e",
    "##[error]x",
    "\x1b[31mred",
    "=1+1",
    "\u202ex",
)


@pytest.mark.parametrize("name", ["table", "csv", "json", "md", "latex", "python", "c", "html"])
@pytest.mark.parametrize("text", HOSTILE)
def test_no_text_is_a_command(text: str, name: str) -> None:
    """A job of GitHub takes `::` after blanks at the start of a line, and `##[` anywhere."""
    table = Table([Column("a", ""), Column("b")], [[text, text]], title=text, notes=[text], name="t")
    shown = render_text(Report([table], title=text, summary=text, notes=[text], facts={"fact": text}), name)
    assert not any(line.lstrip().startswith("::") for line in shown.splitlines())
    assert "##[" not in shown
    assert all(character.isprintable() or character == "\n" for character in shown)


def test_json_keeps_texts() -> None:
    rows = [[text] for text in (*HOSTILE, "\udcff", "𝜎", "é\n")]
    shown = render_text(Report([Table([Column("a")], rows)]), "json")
    shown.encode()
    assert [row["a"] for row in json.loads(shown)["rows"]] == [text for (text,) in rows]


def test_printable_texts_stay() -> None:
    for text in ("torch::nn::gelu", "σ[dx] = 1", "a#[b]", "x : :y"):
        assert printable(text) == text


@pytest.mark.parametrize("format_name", ["table", "github", "concise", "csv", "json", "md"])
def test_claims_with_commands_in_their_texts(format_name: str, cli: Command, tmp_path: Path) -> None:
    source = "::error file=a,line=1::x ##[add-mask]e"
    sourced = CLAIM.format("c").replace('"s"', json.dumps(source))
    (tmp_path / "c.toml").write_text(f"claim = [{sourced}]\n")
    (tmp_path / "d.toml").write_text(f"claim = [{CLAIM.format('d').replace('relu', '##[add-mask]e')}]\n")
    for name, codes in (("c.toml", (0,)), ("d.toml", (2,))):
        outcome = cli("verify", name, "--quick", "--format", format_name)
        assert outcome.code in codes
        lines = [*outcome.out.splitlines(), *outcome.err.splitlines()]
        commands = [line for line in lines if line.lstrip().startswith("::")]
        assert all(line.startswith("::error file=d.toml") for line in commands)
        assert "##[" not in outcome.out + outcome.err


def test_a_summary_that_cannot_be_written(cli: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(tmp_path / "no" / "summary"))
    write_claims(tmp_path / "a.toml", 1)
    outcome = cli("verify", "a.toml", "--quick", "--format", "github")
    assert outcome.code == Exit.USAGE
    assert "GITHUB_STEP_SUMMARY cannot be written: No such file or directory" in outcome.line()
