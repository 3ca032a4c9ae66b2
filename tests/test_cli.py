"""The command line as its users meet it: one line for every mistake, the right exit code, files untouched."""

import json
import os
import pickle
import pty
import re
import select
import signal
import subprocess
import sys
import time
import warnings
from collections.abc import Sequence
from pathlib import Path

import pytest

from gradstat import __version__
from gradstat.cli import app as cli
from gradstat.cli.app import COMMANDS, describe_error
from gradstat.cli.interrupts import exit_on_interrupt
from gradstat.errors import CheckFailed, Exit, UnreadableFile, UsageError, within
from gradstat.text.tables import Table
from tests.commands import Command, Outcome

ROOT = Path(__file__).parents[1]
FEW = ("-n", "4096")
COMMAND = [sys.executable, "-m", "gradstat"]


@pytest.fixture
def gradstat(cli: Command, tmp_path: Path) -> Command:
    """Runs a command in this process, in a folder of its own that holds `relu.toml`."""
    (tmp_path / "relu.toml").write_text('[[layer]]\nname = "relu"\n')
    return cli


def process(arguments: Sequence[str], folder: Path, **options: object) -> "subprocess.Popen[str]":
    environment = os.environ | {"PYTHONPATH": str(ROOT)} | dict(options.pop("env", {}))  # type: ignore[call-overload]
    streams = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE} | options
    return subprocess.Popen([*COMMAND, *arguments], cwd=folder, env=environment, text=True, **streams)  # type: ignore[call-overload,no-any-return]


def finish(running: "subprocess.Popen[str]") -> Outcome:
    try:
        out, err = running.communicate(timeout=120)
    finally:
        running.kill()
        running.wait()
    return Outcome(running.returncode, out or "", err or "")


# Help, names, completion ------------------------------------------------------------------------------------------


def test_help_loads_nothing_but_click() -> None:
    heavy = ("numba", "llvmlite", "numpy", "pandas", "pyarrow", "pydantic", "rich")
    code = f"import sys\nfrom gradstat.cli.app import start\nstart(['--help'])\nprint({heavy!r} & sys.modules.keys())"
    code = code.replace(repr(heavy), repr(set(heavy)))
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=True)
    assert found.stdout.splitlines()[-1] == "set()"
    assert all(f"  {name}" in found.stdout for name in COMMANDS)


def test_without_command_help_goes_to_stderr(gradstat: Command) -> None:
    outcome = gradstat()
    assert (outcome.code, outcome.out) == (Exit.USAGE, "")
    assert "Usage: gradstat" in outcome.err


@pytest.mark.parametrize("command", [(), *((name,) for name in COMMANDS)])
def test_every_command_has_help(command: tuple[str, ...], gradstat: Command) -> None:
    outcome = gradstat(*command, "--help")
    assert (outcome.code, outcome.err) == (Exit.DONE, "")
    assert outcome.out.startswith(f"Usage: {' '.join(('gradstat', *command))}")


def test_version(gradstat: Command) -> None:
    assert gradstat("--version").out == f"gradstat {__version__}\n"


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("gradstat r", ["run"]),
        ("gradstat list dist", ["distributions"]),
        ("gradstat list layers sigm", ["sigmoid"]),
        ("gradstat run --format m", ["md"]),
        ("gradstat run --sam", ["--samples"]),
    ],
)
def test_shell_completion(words: str, expected: list[str], gradstat: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("_GRADSTAT_COMPLETE", "bash_complete")
    monkeypatch.setenv("COMP_WORDS", words)
    monkeypatch.setenv("COMP_CWORD", str(words.count(" ")))
    assert gradstat().out.split() == [f"plain,{name}" for name in expected]


# Mistakes ---------------------------------------------------------------------------------------------------------

MISTAKES = [
    ("rnu", 2, "unknown command 'rnu'; did you mean 'run'?"),
    ("z", 2, "unknown command 'z'; known: run, gain, solve, verify, show, tables, diff, merge, plot, propagate, list"),
    ("-q", 2, "No such option '-q'; see gradstat --help"),
    ("run", 2, "Missing argument 'CONFIG'; see gradstat run --help"),
    ("run relu.toml --sede 3", 2, "No such option '--sede'"),
    ("run relu.toml more", 2, "Got unexpected extra argument (more); see gradstat run --help"),
    ("run relv.toml", 2, "relv.toml: there is no such file; did you mean relu.toml?"),
    ("run .", 2, ".: is a directory; name a configuration in it, a .toml file"),
    ("run relu.toml/x", 4, "relu.toml/x: cannot be read: Not a directory"),
    (
        "run relu.toml -n lots",
        2,
        "--samples lots is not allowed; expected a whole number from 2 to 1e15, e.g. 1000, 1e8",
    ),
    ("run relu.toml -n 1", 2, "--samples 1 is not allowed; expected a whole number from 2 to 1e15"),
    ("run relu.toml -n -5", 2, "--samples -5 is not allowed"),
    ("run relu.toml --seed -1", 2, "--seed -1 is not allowed; expected a whole number from 0 to 2**64 - 1, or random"),
    ("run relu.toml --seed ²", 2, "--seed ² is not allowed"),
    (f"run relu.toml --seed {2**64}", 2, f"--seed {2**64} is not allowed"),
    ("run relu.toml -j 0", 2, "--jobs 0 is not allowed; expected a whole number from 1 to 1024"),
    ("run relu.toml -j two", 2, "--jobs two is not allowed; expected a whole number from 1 to 1024"),
    ("run relu.toml --estimator mcc", 2, 'estimator = "mcc" is not allowed; expected one of "mc", "rqmc"'),
    ("run relu.toml --engine thread", 2, "unknown engine 'thread'; did you mean 'threads'?"),
    (
        "run relu.toml --set input.std=-1",
        2,
        "--set input.std=-1: input.std = -1 is not allowed; expected a number above",
    ),
    ("run relu.toml --set layer.0.name=tanh", 2, "--set layer.0.name=tanh: layers cannot be overridden; edit them"),
    ("run relu.toml --format tabel", 2, "unknown format 'tabel'; did you mean 'table'?"),
    ("run relu.toml -o a.parqet", 2, "a.parqet: unknown suffix '.parqet'; did you mean '.parquet'?"),
    ("run relu.toml -o no/a.parquet", 2, "no/a.parquet: there is no directory"),
    (
        "run relu.toml -o /proc/a.parquet",
        2,
        "/proc/a.parquet: cannot be written: No such file or directory; name anoth",
    ),
    ("show", 2, "Missing argument 'RESULT'; see gradstat show --help"),
    ("show no.parquet", 4, "no.parquet: there is no such file; make one with gradstat run CONFIG -o FILE"),
    ("show relu.toml", 4, "relu.toml: not a Parquet file; to sample a configuration: gradstat run relu.toml"),
    ("show .", 4, ".: is a directory; name a .parquet file in it"),
    ("list layer", 2, "unknown listing 'layer'; did you mean 'layers'?"),
    ("list layers sigmiod", 2, "unknown layer 'sigmiod'; did you mean 'sigmoid'?"),
    ("list statistics mean", 2, "only layers have a listing of one entry; show all with gradstat list statistics"),
]


@pytest.mark.parametrize(("arguments", "code", "message"), MISTAKES, ids=[mistake[0] for mistake in MISTAKES])
def test_mistake_is_one_line(arguments: str, code: int, message: str, gradstat: Command, tmp_path: Path) -> None:
    outcome = gradstat(*arguments.split())
    assert outcome.code == code
    assert outcome.line().startswith(message)
    assert outcome.out == ""
    assert os.listdir(tmp_path) == ["relu.toml"]


def test_control_characters_do_not_reach_the_terminal(gradstat: Command, tmp_path: Path) -> None:
    (tmp_path / "odd.toml").write_text('"a\\u001b[31m\\u009b\\nb" = 1\n[[layer]]\nname = "relu"\n')
    assert gradstat("run", "odd.toml").line().isprintable()
    assert gradstat("run", "a\x1b[31m\nb").line().isprintable()
    assert gradstat("\x1b]0;title\x07").line().isprintable()


def test_debug_adds_a_traceback(gradstat: Command) -> None:
    outcome = gradstat("run", "no.toml", "--debug")
    assert outcome.code == Exit.USAGE
    assert outcome.err.startswith("Traceback")
    assert outcome.err.splitlines()[-1].startswith("gradstat: no.toml: there is no such file")


@pytest.mark.parametrize(
    ("error", "code"),
    [
        *((CheckFailed("x"), 1), (UsageError("x"), 2), (UnreadableFile("x"), 4)),
        *((KeyboardInterrupt(), 130), (OSError(28, "No space left on device"), 70), (MemoryError(), 2)),
        *((ModuleNotFoundError("no", name="pyarrow"), 70), (BrokenPipeError(), 0)),
    ],
)
def test_every_error_has_its_code(error: BaseException, code: int, capsys: pytest.CaptureFixture[str]) -> None:
    assert describe_error(error) == code
    assert capsys.readouterr().err.count("\n") == (code != 0)


def test_an_error_gathers_its_place_from_the_outside_in() -> None:
    with pytest.raises(UsageError) as caught, within("a.toml", "layer 1"), within("stage 2"):
        raise UsageError("unknown layer 'rleu'", "did you mean 'relu'?")
    assert str(caught.value) == "a.toml: layer 1: stage 2: unknown layer 'rleu'; did you mean 'relu'?"
    assert caught.value.place == ("a.toml", "layer 1", "stage 2")
    assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)
    with pytest.raises(KeyError, match="x"), within("a.toml"):
        raise KeyError("x")


def test_internal_error_is_one_line(gradstat: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*arguments: object) -> None:
        raise RuntimeError("two\nlines")

    monkeypatch.setattr("gradstat.listings.listings", broken)
    outcome = gradstat("list")
    assert outcome.code == Exit.INTERNAL
    assert re.match(
        r"internal error in test_cli.py:\d+: RuntimeError: two lines; --debug shows the traceback", outcome.line()
    )


# Lists and doctor -------------------------------------------------------------------------------------------------


def test_list_tells_what_can_be_listed(gradstat: Command) -> None:
    names = [line.split()[0] for line in gradstat("list").out.splitlines()[2:]]
    assert names == [
        "layers",
        "statistics",
        "distributions",
        "schemes",
        "estimators",
        "engines",
        "formats",
        "tables",
        "configs",
        "plots",
    ]
    for name in names:
        outcome = gradstat("list", name)
        assert (outcome.code, outcome.err) == (Exit.DONE, "")
        assert outcome.out


def test_list_shows_one_layer_in_full(gradstat: Command) -> None:
    text = gradstat("list", "layers", "leaky_relu").out
    assert "negative_slope = 0.01 (a finite number)" in text
    assert "torch.nn.functional.leaky_relu" in text


def test_doctor(gradstat: Command) -> None:
    outcome = gradstat("doctor")
    assert (outcome.code, outcome.err) == (Exit.DONE, "")
    assert re.search(r"relu σ\[dx\] +0\.70\d+ ± 0\.000\d+, exactly 0\.7071067812", outcome.out)
    assert "kernel cache" in outcome.out


# Runs -------------------------------------------------------------------------------------------------------------


def test_run_and_show_give_the_same_text(gradstat: Command, tmp_path: Path) -> None:
    run = gradstat("run", "relu.toml", *FEW, "-o", "a.parquet", "-o", "a.csv")
    assert (run.code, run.err) == (Exit.DONE, "")
    assert "4,096 draws per layer, seed 20160328" in run.out
    assert gradstat("show", "a.parquet").out == run.out
    assert gradstat("show", "a.parquet", "--format", "csv").out == (tmp_path / "a.csv").read_text()
    document = json.loads(gradstat("show", "a.parquet", "--format", "json").out)
    assert [row["layer"] for row in document["rows"]] == ["relu", "relu"]
    gradstat("show", "a.parquet", "-q", "-o", "b.parquet")
    assert gradstat("show", "b.parquet").out == run.out


def test_options_go_over_the_configuration(gradstat: Command) -> None:
    options = ("-n", "2**12", "--seed", "7", "--set", "input.std=2", "--set", "seed=8", "--format", "json")
    document = json.loads(gradstat("run", "relu.toml", *options).out)
    assert {(row["n"], row["seed"], row["input"]) for row in document["rows"]} == {(4096, 7, "normal(0, 2)")}
    assert document["provenance"]["configuration"]["samples"] == 4096


def test_random_seed_is_recorded(gradstat: Command) -> None:
    seeds = set()
    for _ in range(2):
        document = json.loads(gradstat("run", "relu.toml", *FEW, "--seed", "random", "--format", "json").out)
        seeds.add(document["rows"][0]["seed"])
    assert len(seeds) == 2


def test_quiet_run_says_nothing(gradstat: Command, tmp_path: Path) -> None:
    assert gradstat("run", "relu.toml", *FEW, "-q", "-o", "a.json") == Outcome(0, "", "")
    assert gradstat("run", "relu.toml", *FEW, "-q", "-o", "-").out.startswith("layer")
    assert sorted(os.listdir(tmp_path)) == ["a.json", "relu.toml"]


def test_verbose_run_tells_its_steps(gradstat: Command) -> None:
    lines = gradstat("run", "relu.toml", *FEW, "-v", "-o", "a.parquet").err.splitlines()
    assert re.fullmatch(r"gradstat: [\d.]+ s, 1 groups? of layers share their draws; kernels are ready", lines[0])
    assert re.fullmatch(r"gradstat: [\d.]+ s, 1 of 1: relu: 4,096 draws, relative error 0.018", lines[1])
    assert re.fullmatch(r"gradstat: wrote a.parquet: [\d,]+ bytes", lines[2])


def test_disagreement_with_the_referee_fails_the_run(gradstat: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gradstat.estimation.significance.FAMILY_WISE", 1.9)  # every |z| above 0.06 is beyond its bound
    outcome = gradstat("run", "relu.toml", *FEW)
    assert outcome.code == Exit.CHECK_FAILED
    assert outcome.out.startswith("layer")
    message = r"gradstat: check failed: relu (forward|backward) (mean|std) is [-+][\d.]+ standard errors from its exact"
    assert all(re.match(message, line) for line in outcome.err.splitlines())


@pytest.mark.parametrize("draws", ["2", "3", "20"])
def test_few_draws_are_shown_and_not_judged(draws: str, gradstat: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    """Their means are far from normal: both dx of two draws of relu are 0 in one run of four."""
    monkeypatch.setattr("gradstat.estimation.significance.FAMILY_WISE", 1.9)
    assert gradstat("run", "relu.toml", "-n", draws).code == Exit.DONE


@pytest.mark.filterwarnings("default::RuntimeWarning")
def test_overflow_fails_the_run_without_warnings(gradstat: Command, tmp_path: Path) -> None:
    (tmp_path / "huge.toml").write_text('[[layer]]\nname = "leaky_relu"\nnegative_slope = 1e200\n')
    outcome = gradstat("run", "huge.toml", *FEW)
    assert outcome.code == Exit.CHECK_FAILED
    assert [line.rpartition("ward: ")[2] for line in outcome.err.splitlines()] == [
        "its moments are too large or too small for a float"
    ] * 2
    assert outcome.out.count("overflow") == 6


def test_full_disk_loses_no_text_and_no_old_file(
    gradstat: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a.csv").write_text("old")

    def full(*arguments: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    outcome = gradstat("run", "relu.toml", *FEW, "-o", "a.csv")
    assert outcome.code == Exit.USAGE
    assert outcome.line() == "a.csv: cannot be written: No space left on device; name another file with -o"
    assert outcome.out.startswith("layer")
    assert (tmp_path / "a.csv").read_text() == "old"
    assert sorted(os.listdir(tmp_path)) == ["a.csv", "relu.toml"]


def test_warnings_of_libraries_stay_inside(gradstat: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    class OursWarning(UserWarning):
        __module__ = "gradstat.somewhere"

    def warning() -> Table:
        warnings.showwarning("theirs", UserWarning, "x.py", 1)
        warnings.showwarning("ours", OursWarning, "x.py", 1)
        return Table([], [])

    monkeypatch.setattr("gradstat.listings.listings", warning)
    assert gradstat("list").err == "gradstat: warning: ours\n"


# Processes --------------------------------------------------------------------------------------------------------


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "relu.toml").write_text('[[layer]]\nname = "relu"\n')
    return tmp_path


def test_reader_that_has_gone_and_full_stdout(folder: Path) -> None:
    """Files are there nevertheless."""
    reader, writer = os.pipe()
    os.close(reader)
    full = os.open("/dev/full", os.O_WRONLY)
    gone = process(["run", "relu.toml", *FEW, "-o", "a.csv"], folder, stdout=writer)
    filled = process(["run", "relu.toml", *FEW, "-o", "b.csv"], folder, stdout=full)
    own = [process(words, folder, stdout=full) for words in (["--help"], ["gain", "--help"], ["--version"])]
    help_gone = process(["--help"], folder, stdout=writer)
    closed = process(["run", "relu.toml", *FEW, "-o", "c.csv"], folder, stdout=None, preexec_fn=lambda: os.close(1))
    assert finish(gone) == Outcome(0, "", "")
    assert finish(help_gone) == Outcome(0, "", "")
    assert finish(closed) == Outcome(0, "", "")
    for outcome in map(finish, [filled, *own]):
        assert outcome.code == Exit.USAGE
        assert outcome.line() == "standard output cannot be written: No space left on device"
    os.close(writer)
    os.close(full)
    assert {"a.csv", "b.csv", "c.csv"} <= set(os.listdir(folder))


def interrupted(running: "subprocess.Popen[str]") -> Outcome:
    running.send_signal(signal.SIGINT)
    return finish(running)


def test_interrupt_while_sampling(folder: Path) -> None:
    (folder / "a.parquet").write_text("old")
    running = process(["run", "relu.toml", "-n", "1e14", "-v", "-o", "a.parquet"], folder)
    assert running.stderr is not None
    assert "1 case, 1 to compile unless cached: about" in running.stderr.readline()
    assert "kernels are ready" in running.stderr.readline()
    time.sleep(0.3)
    stopped = interrupted(running)
    (run,) = (folder / "results").iterdir()
    how = f"finished draws (0.0 %) are saved in results/{run.name}; run it again to resume"
    assert stopped == Outcome(130, "", f"gradstat: interrupted; {how}\n")
    assert (folder / "a.parquet").read_text() == "old"
    assert sorted(os.listdir(folder)) == ["a.parquet", "relu.toml", "results"]


def test_interrupt_while_compiling(folder: Path) -> None:
    """With an empty cache the kernels take seconds; wherever the signal falls, it ends the run."""
    for number, delay in enumerate((0.2, 1.0, 2.0)):
        cache = folder / f"cache{number}"
        running = process(["run", "relu.toml", "-n", "1e14"], folder, env={"XDG_CACHE_HOME": str(cache)})
        while not cache.exists():  # made right before the first kernel
            assert running.poll() is None
            time.sleep(0.01)
        time.sleep(delay)
        stopped = interrupted(running)
        assert (stopped.code, stopped.out) == (130, "")
        announced, last = stopped.err.splitlines()
        assert announced.startswith("gradstat: 1 case, 1 to compile unless cached: about")
        assert last.startswith("gradstat: interrupted")  # with what is saved, if sampling had begun


def test_what_ignores_interrupts_goes_on_ignoring_them() -> None:
    """As a command that a shell has put into the background."""
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with exit_on_interrupt():
            assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, before)
    with exit_on_interrupt():
        assert signal.getsignal(signal.SIGINT) is not before


def test_cache_that_cannot_be_written_is_one_warning(folder: Path) -> None:
    outcome = finish(process(["run", "relu.toml", *FEW], folder, env={"XDG_CACHE_HOME": "/proc"}))
    assert outcome.code == Exit.DONE
    assert re.match(r"warning: kernel cache /proc/\S+ cannot be written \(.*\)", outcome.line())
    assert outcome.out.startswith("layer")


def on_a_terminal(arguments: Sequence[str], folder: Path, env: dict[str, str]) -> str:
    """The bytes that a terminal receives."""
    master, slave = pty.openpty()
    running = process(arguments, folder, stdout=slave, stderr=slave, env={"TERM": "xterm", "COLUMNS": "80"} | env)
    os.close(slave)
    received = b""
    while select.select([master], [], [], 60)[0]:
        try:
            piece = os.read(master, 65536)
        except OSError:  # the other end is closed
            break
        received += piece
    os.close(master)
    assert running.wait(60) == 0
    return received.decode()


def test_terminal_has_a_bar_that_goes_and_colors_unless_unwanted(folder: Path) -> None:
    text = on_a_terminal(["run", "relu.toml", "-n", "1e6"], folder, {"NO_COLOR": ""})
    bar, _, table = text.rpartition("\x1b[2K")
    assert "preparing kernels" in bar
    assert "sampling" not in table
    assert "\x1b[?25h" in bar  # the cursor is back
    assert "\x1b[1m" in table
    plain = on_a_terminal(["run", "relu.toml", "-n", "1e6", "-q", "-o", "-"], folder, {"NO_COLOR": "1"})
    assert "\x1b" not in plain


def test_interrupt_before_the_imports(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    from gradstat.cli import main

    class Left(Exception):
        pass

    def leave(code: int) -> None:
        raise Left(code)

    def interrupt(arguments: Sequence[str]) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr(cli, "start", interrupt)
    monkeypatch.setattr(os, "_exit", leave)
    with pytest.raises(Left, match="130"):
        main()
    assert capsys.readouterr().err == "gradstat: interrupted\n"
