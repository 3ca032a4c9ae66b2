"""`gradstat propagate` as its users meet it: mistakes in one line, the same bytes, nothing lost when it is ended."""

import errno
import json
import os
import signal
import subprocess
import sys
import time
import tomllib
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pyarrow.parquet as pq
import pytest

import gradstat
from gradstat.cli.app import start
from gradstat.errors import Exit, UsageError
from gradstat.estimation.run import available_cpus
from gradstat.networks import experiment, pool
from gradstat.networks.config import PropagateConfig, load
from gradstat.networks.outcome import COLUMNS
from gradstat.networks.schemes import SCHEMES
from gradstat.networks.tasks import Experiment, Task, execute
from gradstat.runs import folder
from tests.commands import Command

CONFIGS = Path(__file__).parents[1] / "configs"
COMMAND = [sys.executable, "-m", "gradstat", "propagate"]
SMALL = """seed = 7
networks = 3
batch = 8
features = 16
schemes = ["he", "separate"]

[[network]]
activations = ["relu", "gelu"]

[[network.stage]]
repeat = 4
blocks = [{ kind = "linear" }, { kind = "activation" }]
"""
SLOW = SMALL.replace("networks = 3", "networks = 200").replace("features = 16", "features = 128")
SLOW = SLOW.replace("repeat = 4", "repeat = 25")
TASKS = 2 * 2 * (200 + 1)
Run = Callable[..., tuple[int, str]]


@pytest.fixture
def propagate(cli: Command, tmp_path: Path) -> Run:
    """Runs the command on a configuration in a folder of its own; exit code and stderr."""

    def call(text: str, *arguments: str) -> tuple[int, str]:
        (tmp_path / "net.toml").write_text(text)
        outcome = cli("propagate", "net.toml", *arguments)
        return outcome.code, outcome.err

    return call


class Inline:
    """In the place of the pool: this process, which costs no imports."""

    def __init__(self, experiment: Experiment, jobs: int) -> None:
        self.experiment = experiment

    def __enter__(self) -> "Inline":
        return self

    def __exit__(self, *error: object) -> None: ...

    def run(self, tasks: Sequence[Task], done: pool.Done) -> None:
        for task in tasks:
            done(task, execute(self.experiment, task))


@pytest.fixture
def inline(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(experiment, "Pool", Inline)


def parts(folder: Path) -> list[Path]:
    return sorted(folder.glob("results/*/*.part"))


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ('"separate"]', '"seperate"]', "schemes: unknown scheme 'seperate'; did you mean 'separate'?"),
        ('"separate"]', '"he"]', "schemes: 'he' is listed twice; keep one"),
        ('"relu", ', '"rleu", ', "stage 1: block 2: activation: unknown layer 'rleu'; did you mean 'relu'?"),
        ('"relu", ', '"softmax", ', "activation: softmax is not elementwise"),
        ('activations = ["relu", "gelu"]', "", "activation: name is missing"),
        ('"linear" }', '"linaer" }', "block 1: unknown kind of block 'linaer'; did you mean 'linear'?"),
        ('"linear" }', '"linear", widht = 3 }', "unknown key of linear 'widht'; did you mean 'width'?"),
        (
            '{ kind = "linear" }',
            '{ kind = "residual" }',
            "residual: branch is missing; expected a list of blocks",
        ),
        ('"linear" }', '"linear", width = 1000000000 }', "linear: width = 1000000000 is not allowed; expected a whole"),
        ('"linear" }', '"linear", width = -3 }', "linear: width = -3 is not allowed; expected a whole number from 1"),
        ('"linear" }', '"conv2d" }', "conv2d needs a map of channels × rows × columns; its input has 16 features"),
        ('{ kind = "linear" }', "{ width = 3 }", "block 1: kind is missing; expected one of linear, conv2d"),
        ("repeat = 4", "repeat = 0", "stage 1: repeat = 0 is not allowed; expected a whole number from 1 to 10000"),
        ("repeat = 4", "repaet = 4", "stage 1: unknown key 'repaet'; did you mean 'repeat'?"),
        ("networks = 3", "networks = 1", "networks = 1 is not allowed; expected a whole number from 2"),
        ("batch = 8", "bacth = 8", "unknown key 'bacth'; did you mean 'batch'?"),
        ("features = 16", "features = [3, 8]", "not allowed; expected a whole number from 1 to 65536, or [channels"),
        ("features = 16", "", "features is missing"),
        ("[[network", "[[other", "unknown key 'other'"),
        (
            '{ kind = "linear" }',
            '{ kind = "residual", branch = [{ kind = "linear", width = 3 }] }',
            "the branch maps 16 features to 3; a residual branch must keep the number of features",
        ),
        (
            '{ kind = "activation" }',
            '{ kind = "activation", expression = "0 * x" }',
            "the scheme 'separate' needs exact E[y], σ[y] and σ[dx] above 0, which are unknown; the schemes none,",
        ),
    ],
)
def test_a_mistake_is_one_line(propagate: Run, old: str, new: str, words: str, tmp_path: Path) -> None:
    assert old in SMALL
    code, err = propagate(SMALL.replace(old, new))
    assert code == Exit.USAGE
    assert words in err
    assert err.count("\n") == 1
    assert err.startswith("gradstat: ")
    assert "net.toml" in err
    assert not (tmp_path / "results").exists()


def test_a_mistake_of_the_command_line(propagate: Run, tmp_path: Path) -> None:
    for arguments, words in {
        ("-o", "x.pgn"): "x.pgn: unknown suffix '.pgn'; did you mean '.png'?",
        ("-o", "nowhere/x.csv"): "there is no directory",
        ("--set", "networks=1"): "--set networks=1: networks = 1 is not allowed",
        ("--format", "yaml"): "unknown format 'yaml'",
        ("-j", "0"): "--jobs 0 is not allowed",
        ("net.toml",): "two configurations are named 'net'",
    }.items():
        code, err = propagate(SMALL, *arguments)
        assert (code, err.count("\n")) == (Exit.USAGE, 1), err
        assert words in err
    assert start(["propagate", "absent.toml"]) == Exit.USAGE


def test_same_seed_same_bytes_for_any_number_of_jobs(propagate: Run, tmp_path: Path) -> None:
    for name, arguments in {"one": ("-j", "1"), "two": ("-j", "2", "--fresh"), "kept": ()}.items():
        assert propagate(SMALL, *arguments, "-q", "-o", f"{name}.csv")[0] == Exit.DONE
    one, two, kept = ((tmp_path / f"{name}.csv").read_bytes() for name in ("one", "two", "kept"))
    assert one == two == kept
    assert one.count(b"\n") == 1 + 2 * 2 * 4 * 2


@pytest.mark.usefixtures("inline")
def test_another_seed_and_more_networks(propagate: Run, tmp_path: Path) -> None:
    assert propagate(SMALL, "-q", "-o", "one.csv")[0] == Exit.DONE
    assert propagate(SMALL, "--seed", "8", "-q", "-o", "other.csv")[0] == Exit.DONE
    assert (tmp_path / "other.csv").read_bytes() != (tmp_path / "one.csv").read_bytes()
    # More networks and other schemes are other questions to the same draws: what is there serves them.
    more = SMALL.replace("networks = 3", "networks = 4").replace('"he", ', '"none", "he", ')
    code, err = propagate(more, "-o", "more.csv")
    assert (code, "16 of 30 are saved" in err) == (Exit.DONE, True)


@pytest.mark.usefixtures("inline")
def test_what_is_kept_is_used_and_what_is_damaged_is_not(propagate: Run, tmp_path: Path) -> None:
    assert propagate(SMALL, "-q", "-o", "a.csv")[0] == Exit.DONE
    kept = parts(tmp_path)
    assert len(kept) == 2 * 2 * (3 + 1)
    kept[0].write_bytes(kept[0].read_bytes()[:100])
    kept[1].write_bytes(kept[1].read_bytes().replace(b"0.", b"1.", 1))
    kept[2].unlink()
    code, err = propagate(SMALL, "-o", "b.csv")
    assert code == Exit.DONE
    assert err.count("cut off or damaged; it is computed again") == 2
    assert "13 of 16 are saved" in err
    assert (tmp_path / "a.csv").read_bytes() == (tmp_path / "b.csv").read_bytes()
    assert parts(tmp_path) == kept


def forge(path: Path, body: str) -> None:
    path.write_text(folder.seal(body))


@pytest.mark.usefixtures("inline")
def test_parts_of_another_run_or_task_are_not_taken(propagate: Run, tmp_path: Path) -> None:
    """Each part names its run and task: a copy under another name, or in another folder, is computed again."""
    assert propagate(SMALL, "-q", "-o", "a.csv")[0] == Exit.DONE
    first = parts(tmp_path)
    assert propagate(SMALL, "--seed", "8", "-q")[0] == Exit.DONE
    others = [path for path in parts(tmp_path) if path not in first]
    first[0].write_bytes(next(path for path in others if path.name == first[0].name).read_bytes())
    first[2].write_bytes(first[3].read_bytes())
    code, err = propagate(SMALL, "-o", "b.csv")
    assert (code, err.count("\n")) == (Exit.DONE, 3)
    assert err.count("belongs to another run or task; it is computed again") == 2
    assert "14 of 16 are saved" in err
    assert (tmp_path / "a.csv").read_bytes() == (tmp_path / "b.csv").read_bytes()


@pytest.mark.usefixtures("inline")
def test_forged_parts_are_computed_again(propagate: Run, tmp_path: Path) -> None:
    assert propagate(SMALL, "-q", "-o", "a.csv")[0] == Exit.DONE
    kept = parts(tmp_path)
    whole = json.loads(folder.unseal(kept[0].read_text()))
    figures = whole["answer"]["figures"]
    row = figures["1.1"]
    answers: list[Any] = [{}, [], None, whole["answer"] | {"more": 1.0}, {"figures": figures | {"9.9": row}}]
    wrong_rows: list[Any] = [{}, row | {"y_std": "1"}, row | {"y_std": True}]
    answers += [{"figures": figures | {"1.1": wrong}} for wrong in wrong_rows]
    bodies = ["{}", "[]", "NaN", "no JSON", "[" * 100_000, *(json.dumps(whole | {"answer": one}) for one in answers)]
    for path, body in zip(kept, bodies, strict=False):
        named = json.loads(folder.unseal(path.read_text()))
        forge(path, body.replace(f'"{whole["task"]}"', f'"{named["task"]}"'))
    code, err = propagate(SMALL, "-q", "-o", "b.csv")
    assert (code, err.count("it is computed again")) == (Exit.DONE, len(bodies)), err
    assert "Expecting value" not in err
    assert err.count("\n") == len(bodies)
    assert (tmp_path / "a.csv").read_bytes() == (tmp_path / "b.csv").read_bytes()


def ended(folder: Path, how: signal.Signals) -> tuple[int, str, float]:
    """A run that is sent a signal when six more parts are finished: exit code, stderr, seconds until it ended."""
    already, until = len(parts(folder)), time.monotonic() + 150  # the workers may have to compile, beside other tests
    command = [*COMMAND, "net.toml", "-j", "2", "-q"]
    process = subprocess.Popen(command, cwd=folder, stderr=subprocess.PIPE, text=True)
    while len(parts(folder)) < already + 6 and time.monotonic() < until:
        time.sleep(0.02)
    sent = time.monotonic()
    process.send_signal(how)
    _, err = process.communicate(timeout=20)
    assert already + 6 <= len(parts(folder)) < TASKS, err
    assert workers_of(folder) == []
    return process.returncode, err, time.monotonic() - sent


def test_an_ended_run_is_continued_to_the_same_bytes(propagate: Run, tmp_path: Path) -> None:
    (tmp_path / "net.toml").write_text(SLOW)
    assert ended(tmp_path, signal.SIGKILL)[:2] == (-signal.SIGKILL, "")
    code, err, took = ended(tmp_path, signal.SIGINT)
    assert code == Exit.INTERRUPTED
    assert took < 5.0  # a tenth of a second on a machine that does nothing else
    assert f"interrupted; {len(parts(tmp_path))} of {TASKS} networks and predictions are saved in results/" in err
    assert "repeat the command without --fresh to resume" in err
    assert err.count("\n") == 1
    small = SLOW.replace("networks = 200", "networks = 3")
    code, err = propagate(small, "-o", "continued.csv")
    assert code == Exit.DONE
    assert "are saved in" in err
    assert propagate(small, "-q", "-j", "1", "--fresh", "-o", "fresh.csv")[0] == Exit.DONE
    assert (tmp_path / "continued.csv").read_bytes() == (tmp_path / "fresh.csv").read_bytes()


def workers_in(folder: Path) -> list[str]:
    """The ids of worker processes that run in this folder."""
    ids = []
    for entry in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if b"gradstat.networks.worker" in (entry / "cmdline").read_bytes():
                ids += [entry.name] * (os.readlink(entry / "cwd") == str(folder))
    return ids


def workers_of(folder: Path) -> list[str]:
    """The same after up to five seconds to end."""
    for _ in range(100):
        if not workers_in(folder):
            break
        time.sleep(0.05)
    return workers_in(folder)


def test_a_killed_worker_is_reported(propagate: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def killed(self: pool.Pool) -> pool.Pool:
        self.processes[0].kill()
        return self

    monkeypatch.setattr(pool.Pool, "__enter__", killed)
    code, err = propagate(SMALL, "-j", "1")
    assert code == Exit.INTERNAL
    assert "a worker process ended (exit code -9); finished networks are saved; repeat the command to resume" in err
    assert err.count("\n") == 1


def test_an_error_inside_a_worker_is_one_line(propagate: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pool, "asdict", lambda task: asdict(task) | {"architecture": 9})
    code, err = propagate(SMALL, "-j", "1", "--debug")
    *trace, line = err.splitlines()
    assert code == Exit.INTERNAL
    assert line.startswith("gradstat: relu, he: IndexError: ")
    assert any("in execute" in one for one in trace)  # where it happened in the worker


def test_a_network_that_no_memory_holds_is_refused(propagate: Run) -> None:
    code, err = propagate(SMALL.replace("features = 16", "features = 65536").replace("repeat = 4", "repeat = 10000"))
    assert code == Exit.USAGE
    assert "network 'relu': its weights and signals need 3.2e+05 GiB at least; this machine has" in err


def test_memory_counts_jobs_and_the_square_of_the_batch(propagate: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    small = Experiment(PropagateConfig.model_validate(tomllib.loads(SMALL)))
    weights, signals = 4 * 16 * 16, 8 * 4 * 2 * 16
    assert small.bytes_per_process == 8 * (weights + signals + 2 * 8**2)
    monkeypatch.setattr(experiment, "memory_of_machine", lambda: 3 * small.bytes_per_process)
    assert experiment.workers_for(small, 3, 100) == 3
    assert experiment.workers_for(small, 9, 2) == 2  # no more processes than tasks
    assert experiment.workers_for(small, None, 100) == min(3, available_cpus())
    code, err = propagate(SMALL, "-j", "4")
    assert (code, err.count("\n")) == (Exit.USAGE, 1)
    assert "--jobs 4: each process needs" in err
    assert "; -j 3 fits" in err


def test_a_worker_ends_with_its_parent_in_the_middle_of_a_task(tmp_path: Path) -> None:
    """Killed while a worker computes: it must not finish its task first."""
    text = SMALL.replace("features = 16", "features = 64").replace("repeat = 4", "repeat = 400")
    (tmp_path / "net.toml").write_text(text.replace("batch = 8", "batch = 4096"))
    parent = subprocess.Popen([*COMMAND, "net.toml", "-j", "1", "-q"], cwd=tmp_path)
    until = time.monotonic() + 60
    while not busy(workers_in(tmp_path)) and time.monotonic() < until:
        time.sleep(0.1)
    assert busy(workers_in(tmp_path))
    parent.kill()
    parent.wait()
    assert workers_of(tmp_path) == []
    assert len(parts(tmp_path)) <= 1  # the prediction; the first network takes far longer than workers_of waits


def busy(workers: Sequence[str]) -> bool:
    """True once a worker has used three seconds of processor time: more than its imports take."""
    ticks = [Path("/proc", worker, "stat").read_text().rpartition(")")[2].split()[11] for worker in workers]
    return any(int(used) > 3 * os.sysconf("SC_CLK_TCK") for used in ticks)


@pytest.mark.usefixtures("inline")
def test_an_experiment_is_a_library_call(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "net.toml").write_text(SMALL)
    events: list[str] = []

    class Recorded(gradstat.Progress):
        def finished(self, text: str, done: int, total: int) -> None:
            events.append(f"{text} {done}/{total}")

    first = gradstat.propagate("net.toml", progress=Recorded())
    assert len(events) == 1 + 16
    assert (events[0], events[-1]) == ("net 0/16", "net: gelu, separate, network 3 16/16")
    again = gradstat.propagate(tomllib.loads(SMALL), progress=Recorded())
    assert events[17:] == ["configuration 16/16"]
    rows = first.to_pandas().drop(columns="configuration")
    assert rows.equals(again.to_pandas().drop(columns="configuration"))
    assert len(rows) == 2 * 2 * 4 * 2
    assert not rows.equals(gradstat.propagate("net.toml", seed=8).to_pandas().drop(columns="configuration"))
    assert len(gradstat.propagate("net.toml", settings=["schemes = ['he']"]).to_pandas()) == len(rows) / 2
    first.save("net.csv")
    assert len(Path("net.csv").read_text().splitlines()) == 1 + len(rows)
    with pytest.raises(UsageError, match="seed = -1 is"):
        gradstat.propagate("net.toml", seed=-1)


@pytest.mark.usefixtures("inline")
def test_a_full_disk_keeps_what_is_finished(propagate: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert propagate(SMALL, "-q", "-o", "whole.csv")[0] == Exit.DONE
    for path in parts(tmp_path)[5:]:
        path.unlink()
    write = os.fsync

    def full(handle: int) -> None:
        if len(parts(tmp_path)) == 8:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        write(handle)

    monkeypatch.setattr(os, "fsync", full)
    code, err = propagate(SMALL, "-q", "-j", "1")
    assert code == Exit.USAGE
    assert ".part: cannot be written: No space left on device; finished networks are saved; free disk space or" in err
    assert len(parts(tmp_path)) == 8
    monkeypatch.setattr(os, "fsync", write)
    code, err = propagate(SMALL, "-o", "continued.csv")
    assert (code, "8 of 16 are saved" in err) == (Exit.DONE, True)
    assert (tmp_path / "continued.csv").read_bytes() == (tmp_path / "whole.csv").read_bytes()


def test_two_processes_share_a_folder(propagate: Run, tmp_path: Path) -> None:
    (tmp_path / "net.toml").write_text(SMALL)
    commands = [[*COMMAND, "net.toml", "-j", "1", "-q", "-o", f"{name}.csv"] for name in "ab"]
    running = [subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.PIPE, text=True) for command in commands]
    for process in running:
        _, err = process.communicate(timeout=120)
        assert process.returncode == Exit.DONE, err
    assert (tmp_path / "a.csv").read_bytes() == (tmp_path / "b.csv").read_bytes()
    assert [path.name for path in tmp_path.glob("results/*/.*")] == []


@pytest.mark.usefixtures("inline")
def test_files_hold_every_block(propagate: Run, tmp_path: Path) -> None:
    files = [argument for suffix in ("csv", "json", "parquet", "md", "txt") for argument in ("-o", f"x.{suffix}")]
    assert propagate(SMALL, "-q", *files)[0] == Exit.DONE
    document = json.loads((tmp_path / "x.json").read_text())
    rows = document["rows"]
    assert [*rows[0]] == ["configuration", *COLUMNS]
    assert len(rows) == 2 * 2 * 4 * 2  # activations, schemes, levels, blocks
    (of_configuration,) = document["configurations"]
    assert of_configuration["provenance"]["configuration"]["seed"] == 7
    assert len(of_configuration["summary"]) == 2 * 2
    table = pq.read_table(tmp_path / "x.parquet")
    assert table.column_names == ["configuration", *COLUMNS]
    assert table["y_std"].to_pylist() == [row["y_std"] for row in rows]
    assert (tmp_path / "x.csv").read_text().count("\n") == len(rows) + 1
    assert "| relu | he |" in (tmp_path / "x.md").read_text()
    assert "he" in (tmp_path / "x.txt").read_text()


@pytest.mark.usefixtures("inline")
def test_pictures_are_the_same_bytes(propagate: Run, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib", reason="matplotlib is not installed: pip install 'gradstat[plot]'")
    (tmp_path / "art").mkdir()
    arguments = ("-q", "--pictures", "art", "-o", "x.png")
    assert propagate(SMALL, *arguments)[0] == Exit.DONE
    picture = tmp_path / "art" / "net.svg"
    ElementTree.parse(picture)
    assert (tmp_path / "x.png").read_bytes().startswith(b"\x89PNG")
    before = picture.read_bytes()
    assert propagate(SMALL, "-q", "--pictures", "art")[0] == Exit.DONE
    assert picture.read_bytes() == before


@pytest.mark.parametrize(
    "name",
    ["\x1b[31m", "a\nb", "=HYPERLINK(1)", "<script>", "-1", "a|b", "`x`", "", " ", "x" * 101, "x" * 10**6, "a\u202eb"],
)
def test_names_that_could_steer_a_reader_are_refused(propagate: Run, name: str) -> None:
    """Control characters, formulas of spreadsheets, markup, and names without end."""
    code, err = propagate(SMALL.replace("[[network]]", f"[[network]]\nname = {json.dumps(name)}"))
    assert (code, err.count("\n")) == (Exit.USAGE, 1)
    assert err.startswith("gradstat: net.toml: network 1: name = ")
    assert "a letter or digit, then letters, digits, blanks or _.,:+/()√×·=-, at most 100 characters" in err
    assert len(err) < 300


@pytest.mark.usefixtures("inline")
def test_a_file_name_that_is_not_utf8(propagate: Run, tmp_path: Path) -> None:
    name = os.fsdecode(b"\xff=net.toml")
    (tmp_path / name).write_text(SMALL)
    files = [
        argument for suffix in ("csv", "json", "parquet", "md", "txt", "html") for argument in ("-o", f"x.{suffix}")
    ]
    assert start(["propagate", name, "-q", *files]) == Exit.DONE
    assert pq.read_table(tmp_path / "x.parquet")["configuration"][0].as_py() == " =net"


@pytest.mark.parametrize("path", [CONFIGS / f"{name}.toml" for name in ("depth", "vgg", "resnet")])
def test_committed_configurations_are_whole(path: Path) -> None:
    experiment = Experiment(load(path), str(path))
    assert set(experiment.config.schemes) == set(SCHEMES)
