"""Long runs: killed, interrupted, locked, damaged, out of disk; and in the end the bytes of an unbroken run."""

import json
import os
import random
import shutil
import signal
import time
from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest

from gradstat.estimation.blocks import Blocks
from gradstat.estimation.estimators import MC
from gradstat.estimation.groups import groups
from gradstat.estimation.merge_tree import MergeTree
from gradstat.estimation.segments import Segment, SegmentSnapshot
from gradstat.layer_types.case import Case
from gradstat.layer_types.registry import LAYERS
from gradstat.results.result import Result
from gradstat.results.store import read
from gradstat.runs import nodes
from gradstat.runs.checkpoints import EVERY, FIRST, SPARING, FolderCheckpointer
from gradstat.runs.folder import HOME, RunFolder, run_id, seal, unseal
from tests.launcher import Launcher
from tests.soak import Soak, interrupts, main

CONFIG = "".join(f'[[layer]]\nname = "{name}"\n' for name in ("relu", "sigmoid", "max_pool2d"))
SAMPLES = 4_500_000  # of one thread: a quarter of a second
RUN = ("run", "run.toml", "-n", str(SAMPLES), "-j", "1", "-q", "-o", "run.parquet")
NEVER = 1e9  # seconds
PAUSE = 0.1  # seconds after a save, where a test wants to be in time


@pytest.fixture(scope="module")
def launcher() -> Iterator[Launcher]:
    found = Launcher()
    yield found
    found.close()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "run.toml").write_text(CONFIG)
    return tmp_path


@pytest.fixture(scope="module")
def unbroken(launcher: Launcher, tmp_path_factory: pytest.TempPathFactory) -> Result:
    """The run that nothing happens to."""
    folder = tmp_path_factory.mktemp("unbroken")
    (folder / "run.toml").write_text(CONFIG)
    assert launcher.run(RUN, folder, every=NEVER) == (0, "")
    assert sorted(os.listdir(folder)) == ["run.parquet", "run.toml", "stderr", "stdout"]
    return read(folder / "run.parquet")


def parts(folder: Path) -> list[Path]:
    return sorted((folder / "results").glob("*/*.part"))


def until_kept(folder: Path, process: int) -> None:
    """Wait until the process has written a part."""
    before = {path: path.stat().st_mtime_ns for path in parts(folder)}
    for _ in range(6000):
        if any(path.stat().st_mtime_ns != before.get(path) for path in parts(folder)):
            return
        time.sleep(0.01)
    raise AssertionError(f"{process} has kept nothing")


def stopped(launcher: Launcher, folder: Path, how: signal.Signals = signal.SIGKILL, *more: str) -> tuple[int, str]:
    """The run, stopped early on, when it has kept something."""
    process = launcher.start((*RUN, *more), folder, pause=PAUSE)
    until_kept(folder, process)
    os.kill(process, how)
    return launcher.wait(process), (folder / "stderr").read_text()


def drawn(folder: Path) -> int:
    """The draws on file."""
    return sum(node.draws for path in parts(folder) for node in decoded(path).nodes)


def decoded(path: Path) -> SegmentSnapshot:
    return nodes.decode(path.parent.name, unseal(path.read_text()))


# Kill -9 ----------------------------------------------------------------------------------------------------------


def test_killed_ten_times(launcher: Launcher, folder: Path, unbroken: Result) -> None:
    moments = random.Random(7)
    killed = continued = 0
    while killed < 10:
        continued += bool(parts(folder))
        process = launcher.start(RUN, folder, pause=PAUSE / 4)
        time.sleep(moments.uniform(0.0, 1.0))
        os.kill(process, signal.SIGKILL)
        if launcher.wait(process) == 0:  # it was faster
            (folder / "run.parquet").unlink()
        else:
            assert not (folder / "run.parquet").exists()
            killed += 1
    assert launcher.run(RUN, folder) == (0, "")
    assert read(folder / "run.parquet").table.equals(unbroken.table)
    assert parts(folder) == []
    assert continued > 0


def test_every_process_adds_to_what_the_one_before_has_kept(launcher: Launcher, folder: Path) -> None:
    kept = 0
    for _ in range(3):
        stopped(launcher, folder)
        assert drawn(folder) > kept
        kept = drawn(folder)


def test_a_part_that_lies_would_be_seen(launcher: Launcher, folder: Path, unbroken: Result) -> None:
    """Negative control: with a digest that fits, another number in a part changes the result."""
    stopped(launcher, folder)
    (path,) = parts(folder)
    part = decoded(path)
    for node in part.nodes:
        node.accumulators[:, 3] *= 1.001
    path.write_text(seal(nodes.encode(path.parent.name, part)))
    assert launcher.run(RUN, folder)[0] in (0, 1)
    assert not read(folder / "run.parquet").table.equals(unbroken.table)


# Ctrl-C -----------------------------------------------------------------------------------------------------------


def test_interrupted(launcher: Launcher, folder: Path) -> None:
    code, words = stopped(launcher, folder, signal.SIGINT)
    assert code == 130
    (path,) = parts(folder)
    assert words.startswith("gradstat: interrupted; finished draws (")
    assert words.endswith(f" %) are saved in results/{path.parent.name}; run it again to resume\n")
    assert words.count("\n") == 1


# Files that are not what they should be ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (lambda text: text[: len(text) // 2], "cut off or damaged"),
        (lambda text: "", "cut off or damaged"),
        (lambda text: text.replace("AAA", "AAB", 1), "cut off or damaged"),
        (lambda text: seal("[1, 2]"), "not a part of a run"),
        (lambda text: seal(unseal(text).replace('"run": "', '"run": "0')), "a part of another run"),
        (lambda text: seal(unseal(text).replace('"centres": [0.', '"centres": [9.')), "have other centres"),
    ],
)
def test_damaged_and_foreign_parts(
    launcher: Launcher, folder: Path, unbroken: Result, damage: object, words: str
) -> None:
    stopped(launcher, folder)
    (path,) = parts(folder)
    path.write_text(damage(path.read_text()))  # type: ignore[operator]
    code, said = launcher.run(RUN, folder)
    assert code == 0
    assert words in said
    assert f"results/{path.parent.name}/{path.name}: " in said
    assert "; its draws are sampled again\n" in said
    assert read(folder / "run.parquet").table.equals(unbroken.table)


def test_parts_of_another_seed_are_not_taken(launcher: Launcher, folder: Path, unbroken: Result) -> None:
    stopped(launcher, folder)
    (own,) = parts(folder)
    stopped(launcher, folder, signal.SIGKILL, "--seed", "5")
    (foreign,) = set(parts(folder)) - {own}
    shutil.copy(foreign, own)
    code, said = launcher.run(RUN, folder)
    assert code == 0
    assert said == f"gradstat: {own.relative_to(folder)}: a part of another run; its draws are sampled again\n"
    assert read(folder / "run.parquet").table.equals(unbroken.table)
    assert parts(folder) == [foreign]


def test_disk_full(launcher: Launcher, folder: Path) -> None:
    """No file may be longer than 300 bytes: one warning, and the run ends as if nothing had been."""
    code, said = launcher.run(("run", "run.toml", "-n", str(SAMPLES), "-q"), folder, limit=300)
    assert code == 0
    assert said.count("\n") == 1
    assert "cannot be written (File too large): no checkpoints are saved" in said
    assert list((folder / "results").glob("*/*")) == []


@pytest.mark.parametrize("home", ["file", "/proc/nowhere"])
def test_a_folder_that_cannot_be_made(launcher: Launcher, folder: Path, home: str) -> None:
    (folder / "results").symlink_to(home)
    (folder / "file").write_text("mine")
    code, said = launcher.run(("run", "run.toml", "-n", str(SAMPLES), "-q"), folder)
    assert code == 0
    assert said.count("\n") == 1
    assert "no checkpoints are saved" in said
    assert (folder / "file").read_text() == "mine"


def test_fresh(launcher: Launcher, folder: Path, unbroken: Result) -> None:
    stopped(launcher, folder)
    assert launcher.run((*RUN, "--fresh"), folder, every=NEVER) == (0, "")
    assert read(folder / "run.parquet").table.equals(unbroken.table)
    assert parts(folder) == []


def test_a_result_that_cannot_be_written_is_not_lost(launcher: Launcher, folder: Path) -> None:
    """The output fails when all is sampled: the next command has nothing left to sample."""
    (folder / "out").mkdir()
    target = folder / "out" / "run.json"
    process = launcher.start((*RUN[:-1], str(target)), folder)
    while not parts(folder):
        time.sleep(0.005)
    (folder / "out").rmdir()
    assert launcher.wait(process) == 2
    words = (folder / "stderr").read_text()
    assert "gradstat: finished draws (100.0 %) are saved in results/" in words
    assert "cannot be written" in words
    (folder / "out").mkdir()
    code, words = launcher.run((*RUN[:-1], str(target), "-v"), folder)
    assert code == 0
    assert words.count("already finished") == 2
    assert parts(folder) == []


# Two at a time ----------------------------------------------------------------------------------------------------


def test_a_second_process_is_refused(launcher: Launcher, folder: Path) -> None:
    first = launcher.start(RUN, folder, pause=PAUSE)
    until_kept(folder, first)
    code, words = launcher.run(RUN, folder)
    assert code == 2
    assert f"process {first} on " in words
    assert words.endswith("is sampling the same run; wait for it, or set GRADSTAT_RESULTS to another folder\n")
    os.kill(first, signal.SIGKILL)
    launcher.wait(first)
    assert launcher.run(RUN, folder)[0] == 0  # the lock of a dead process does not bar the way


def test_both_at_once(launcher: Launcher, folder: Path) -> None:
    """Neither finds a folder when it starts; the one that comes to write second ends."""
    both = [launcher.start(RUN, folder, pause=PAUSE) for _ in range(2)]
    while not any(ended(process) for process in both):
        time.sleep(0.01)
    for process in both:
        os.kill(process, signal.SIGKILL)  # a signal to what has ended does nothing
    assert sorted(launcher.wait(process) for process in both) == [-signal.SIGKILL, 2]


def ended(process: int) -> bool:
    return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] == "Z"


# Another number of draws ------------------------------------------------------------------------------------------


def test_another_number_of_draws_goes_on_from_the_same_parts(
    launcher: Launcher, folder: Path, unbroken: Result
) -> None:
    stopped(launcher, folder, signal.SIGKILL, "-n", str(4 * SAMPLES))
    longer, before = parts(folder), drawn(folder)
    assert launcher.run(RUN, folder) == (0, "")
    assert read(folder / "run.parquet").table.equals(unbroken.table)
    assert (parts(folder), drawn(folder)) == (longer, before)  # what the longer run needs is still there
    stopped(launcher, folder)
    assert len(parts(folder)) == 2
    assert launcher.run((*RUN, "-n", str(2 * SAMPLES)), folder)[0] == 0
    assert parts(folder) == longer  # what the shorter run had is in the result


# The pieces -------------------------------------------------------------------------------------------------------


def test_run_id_depends_on_the_run_key_alone() -> None:
    assert run_id({"a": 1, "b": 2}) == run_id({"b": 2, "a": 1}) != run_id({"a": 1, "b": 3})
    assert len(run_id([])) == 16


def test_home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv(HOME, str(tmp_path / "elsewhere"))
    found = RunFolder("abc", {})
    found.write("x", "1")
    assert (tmp_path / "elsewhere" / "abc" / "x.part").read_text() == seal("1")
    assert json.loads((tmp_path / "elsewhere" / "abc" / "run.json").read_text()) == {}
    found.remove("x")
    found.close()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("cost", [1e-4, 0.05, 5.0])
def test_saving_takes_at_most_one_percent(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, cost: float) -> None:
    """A clock of our own, on which a save takes `cost` seconds and a block 0.1: the slower the disk, the rarer."""
    now, saves = [1.0], []

    def slow(name: str, body: str) -> None:
        now[0] += cost
        saves.append(now[0])

    monkeypatch.setattr("gradstat.runs.checkpoints.time.monotonic", lambda: now[0])
    checkpointer = FolderCheckpointer(RunFolder("abc", {}), print)
    monkeypatch.setattr(checkpointer.folder, "write", slow)
    (group,) = groups([Case(LAYERS["relu"])])
    segment = Segment(group, (0,), group.blocks(1000), MC)
    checkpointer.finished(segment)
    while now[0] < 10_000.0:
        now[0] += 0.1
        checkpointer.keep(segment, MergeTree())
    assert len(saves) >= 9
    assert len(saves) * cost <= 0.01 * now[0]
    assert saves[0] <= FIRST + 1.2 + cost
    assert max(after - before for before, after in pairwise(saves)) <= max(EVERY, SPARING * cost) + cost + 0.2


BLOCKS = Blocks(1050, 100, 0, 11)


def test_blocks_without_nodes() -> None:
    numbers = [block.number for block in BLOCKS.without([(1, 1), (0, 0), (2, 2)])]
    assert numbers == [1, 4, 5, 6, 7]
    assert [(block.first, block.draws) for block in BLOCKS][-2:] == [(900, 100), (1000, 50)]
    assert sum(block.draws for block in BLOCKS) == BLOCKS.total == 1050


@pytest.mark.parametrize("of", [1, 2, 3, 7, 11, 40])
def test_shares_are_the_whole(of: int) -> None:
    shares = [BLOCKS.shard(index, of) for index in range(1, of + 1)]
    assert [block for share in shares for block in share] == list(BLOCKS)
    assert max(map(len, shares)) - min(map(len, shares)) <= 1
    assert sum(share.total for share in shares) == 1050


def test_blocks_of_other_randomizations_are_not_alike() -> None:
    assert BLOCKS.same_layout_as(replace(BLOCKS, samples=9, first=1))
    assert not BLOCKS.same_layout_as(replace(BLOCKS, unit_draws=2**20))
    assert not BLOCKS.same_layout_as(replace(BLOCKS, length=50))


def test_draws_of_a_node() -> None:
    found = {node: BLOCKS.draws(node) for node in [(0, 0), (3, 0), (0, 10), (0, 11), (1, 5), (4, 0)]}
    assert found == {(0, 0): 100, (3, 0): 800, (0, 10): 50, (0, 11): None, (1, 5): None, (4, 0): None}
    assert BLOCKS.shard(2, 2).draws((0, 0)) is None


# The soak ---------------------------------------------------------------------------------------------------------


def sabotage(soak: Soak) -> Iterator[str]:
    """A fault that is not survived: the result is not the one that was expected."""
    soak.whole = soak.whole.slice(1)
    yield "sabotage"
    soak.finish()


def test_soak_counts_what_is_lost(
    launcher: Launcher, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("tests.soak.Launcher", lambda: launcher)
    monkeypatch.setattr(launcher, "close", lambda: None)
    for fault, code, words in ((interrupts, 0, " survived, 0 lost"), (sabotage, 1, "LOST    sabotage: other bytes")):
        monkeypatch.setattr("tests.soak.FAULTS", (fault,))
        assert main(0.1, 1) == code
        assert words in capsys.readouterr().out
