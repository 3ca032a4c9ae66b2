"""The Dask engine, on real clusters of real processes: the same bytes as threads, whoever dies meanwhile."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

import gradstat
from gradstat.cli.app import start
from gradstat.config import RunConfig
from gradstat.errors import GradstatError, UsageError
from gradstat.estimation.blocks import Block
from gradstat.estimation.engines import ENGINES, Engine, engine_of, ranges, threads
from gradstat.estimation.engines.identity import check, identity
from gradstat.estimation.engines.ranges import Ranges
from gradstat.estimation.groups import Group
from gradstat.estimation.merge_tree import Accumulators, MergeTree, Node
from gradstat.estimation.run import run
from gradstat.estimation.tasks import Done, Task
from gradstat.layer_types.case import Case
from gradstat.layer_types.from_config import cases
from gradstat.layer_types.registry import LAYERS

needs_dask = pytest.mark.skipif(find_spec("distributed") is None, reason="distributed is not installed: gradstat[dask]")

SEED = 20160328
LONG = 150_000_000  # draws of relu: a second of work
CONFIG = """
seed = 5
samples = 3_000_000

[[layer]]
name = "relu"

[[layer]]
expression = "x * sigmoid(b * x)"
sweep = { b = [1, 1.702] }
"""
PROGRAM = """
import sys
from distributed import LocalCluster
if __name__ == "__main__":
    port = int(sys.argv[1])
    cluster = LocalCluster(
        n_workers=1, threads_per_worker=1, processes=False, scheduler_port=port, dashboard_address=None
    )
    print("ready", flush=True)
    sys.stdin.read()
"""


# Ranges -----------------------------------------------------------------------------------------------------------


def blocks(*numbers: int) -> Iterator[Block]:
    return (Block(number, 1024 * number, 1024) for number in numbers)


def cut(own: Ranges) -> list[tuple[int, int]]:
    """The first and last numbers of all ranges that are left."""
    return [(first.number, last.number) for first, last in iter(own.take, None)]


def test_ranges_lie_within_nodes_and_leave_out_what_is_done() -> None:
    own = Ranges(blocks(*range(3, 9), *range(11, 22)))
    first = own.take()
    assert first is not None
    assert (first[0].number, first[1].number) == (3, 3)
    own.timed(first, ranges.RANGE_SECONDS / 8.5)  # eight blocks are about right
    assert cut(own) == [(4, 7), (8, 8), (11, 15), (16, 21)]
    assert not own


def test_blocks_that_take_long_go_alone() -> None:
    own = Ranges(blocks(*range(9)))
    own.timed((Block(0, 0, 1), Block(3, 3, 1)), 100.0)
    assert cut(own) == [(n, n) for n in range(9)]
    assert cut(Ranges(blocks())) == []


# A cluster of two processes ---------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    """The engine on a LocalCluster of two worker processes."""
    with engine_of("dask", 2) as (engine, workers):
        assert workers == 2
        yield engine


@pytest.fixture
def short_ranges(monkeypatch: pytest.MonkeyPatch) -> None:
    """So many ranges that some are under way whenever somebody dies."""
    monkeypatch.setattr(ranges, "RANGE_SECONDS", 0.1)


def task() -> Task:
    return Task(Group([Case(LAYERS["relu"])]), SEED, 0)


def task_blocks(samples: int = LONG) -> Iterable[Block]:
    return Group([Case(LAYERS["relu"])]).blocks(samples)


def bytes_of(engine: Engine, samples: int = LONG, told: Callable[[int], None] = lambda draws: None) -> bytes:
    """The accumulators of relu; `told` of the draws after each node."""
    tree, drawn = MergeTree(), 0

    def done(node: Node, accumulators: Accumulators, draws: int) -> None:
        nonlocal drawn
        tree.add(node, accumulators)
        drawn += draws
        told(drawn)

    engine(task(), iter(task_blocks(samples)), 2, done)
    assert drawn == samples
    return tree.total().tobytes()


@pytest.fixture(scope="module")
def unbroken() -> bytes:
    return bytes_of(threads)


def once_after(draws: int, act: Callable[[], None]) -> Callable[[int], None]:
    """Act when so many draws are done, and never again."""
    acts = [act]

    def told(drawn: int) -> None:
        if drawn >= draws and acts:
            acts.pop()()

    return told


@needs_dask
def test_the_same_bytes_as_threads(cluster: Engine) -> None:
    own = cases(RunConfig.model_validate({"layer": LAYER_TABLES}))
    here, there = (run(own, 3_000_000, SEED, 2, engine) for engine in (threads, cluster))
    assert [line.accumulators.tobytes() for line in here] == [line.accumulators.tobytes() for line in there]
    assert repr([line.estimates for line in here]) == repr([line.estimates for line in there])


LAYER_TABLES = [
    {"name": "relu"},
    {"name": "dropout", "p": 0.2},
    {"name": "max_pool2d", "kernel_size": 3},
    {"name": "own", "expression": "x * sigmoid(b * x)", "sweep": {"b": [1, 1.702]}},
]


@needs_dask
def test_a_cluster_of_this_machine_listens_to_it_alone() -> None:
    """Scheduler and HTTP server, in this process."""
    import psutil
    from distributed import LocalCluster

    from gradstat.estimation.engines.dask_cluster import local_cluster

    def listening() -> list[str]:
        return [c.laddr.ip for c in psutil.Process().net_connections("tcp") if c.status == psutil.CONN_LISTEN]

    before = len(listening())
    with local_cluster(0):
        assert len(listening()) >= before + 2
        assert set(listening()) == {"127.0.0.1"}
    with LocalCluster(n_workers=0, processes=False, dashboard_address="0.0.0.0:0"):  # negative control
        assert "0.0.0.0" in listening()


@needs_dask
def test_a_worker_killed_in_the_middle(cluster: Any, short_ranges: None, unbroken: bytes) -> None:
    """SIGKILL, while both workers sample: another process takes its place, and its ranges are sampled again."""
    before = set(cluster._client.run(os.getpid).values())
    kill = once_after(LONG // 4, lambda: os.kill(min(before), signal.SIGKILL))
    assert bytes_of(cluster, told=kill) == unbroken
    deadline = time.monotonic() + 20.0
    while len(after := set(cluster._client.run(os.getpid).values())) < 2 and time.monotonic() < deadline:
        time.sleep(0.1)
    assert len(after & before) == 1


@needs_dask
def test_a_block_in_the_wrong_place_is_caught(cluster: Engine, unbroken: bytes) -> None:
    """Negative control: an engine that puts another block in the place of one gives other bytes."""

    def careless(task: Task, own: Iterator[Block], jobs: int, done: Done) -> None:
        kept = [block for block in own if block.number != 77]
        cluster(task, iter(kept), jobs, done)
        done((0, 77), task.block(kept[0]), kept[0].draws)

    assert bytes_of(careless) != unbroken


@needs_dask
def test_few_ranges_are_under_way_at_a_time(cluster: Any, short_ranges: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two for each of two workers: a run of 10¹² draws must not fill the scheduler with tasks."""
    submit, futures, pending = cluster._submit, [], []

    def counted(*arguments: Any, **options: Any) -> Any:
        futures.append(submit(*arguments, **options))
        pending.append(sum(future.status == "pending" for future in futures))
        return futures[-1]

    monkeypatch.setattr(cluster, "_submit", counted)
    bytes_of(cluster)
    assert len(futures) > 8
    assert max(pending) <= 4


@needs_dask
def test_what_fails_on_a_worker_is_raised_here(cluster: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker that joined behind our back with another gradstat refuses the task itself."""
    monkeypatch.setattr(cluster, "_identity", identity() | {"stream version": "0"})
    monkeypatch.setattr(cluster, "_warm", set())
    with pytest.raises(
        UsageError, match=r"Dask worker tcp://127.0.0.1:\d+ has stream version \d+, this process has 0;"
    ):
        bytes_of(cluster, 1000)


@needs_dask
def test_a_layer_from_python_stays_here(cluster: Engine) -> None:
    gradstat.activation(lambda x: x, lambda x: 1.0 + 0.0 * x, name="mine_for_dask")
    try:
        with pytest.raises(UsageError, match="'mine_for_dask' was registered from Python"):
            cluster(Task(Group([Case(LAYERS["mine_for_dask"])]), 1, 0), blocks(0), 1, lambda *told: None)
    finally:
        del LAYERS["mine_for_dask"]


# Other gradstats --------------------------------------------------------------------------------------------------


def test_every_difference_is_told() -> None:
    ours = identity()
    check("tcp://a:1", ours, ours)
    for what in ours:
        with pytest.raises(UsageError, match=f"tcp://a:1 has {what} other, this process has {ours[what]}"):
            check("tcp://a:1", ours | {what: "other"}, ours)


def another_stream(root: Path) -> str:
    package = Path(gradstat.__file__).parent
    shutil.copytree(package, root / "gradstat", ignore=shutil.ignore_patterns("__pycache__"))
    draws = root / "gradstat" / "numerics" / "draws.py"
    text = draws.read_text(encoding="utf-8")
    line = next(line for line in text.splitlines() if line.startswith("STREAM_VERSION ="))
    draws.write_text(text.replace(line, "STREAM_VERSION = 999"), encoding="utf-8")
    return "has stream version 999, this process has"


def no_estimation(root: Path) -> str:
    (root / "gradstat").mkdir()
    (root / "gradstat" / "__init__.py").touch()
    return "cannot load gradstat ("


@needs_dask
@pytest.mark.parametrize("change", [another_stream, no_estimation])
def test_a_worker_with_another_gradstat_is_refused(
    cluster: Any, change: Callable[[Path], str], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    told = change(tmp_path)
    (tmp_path / "relu.toml").write_text(CONFIG)
    with subprocess.Popen(
        [sys.executable, "-m", "dask", "worker", cluster._address, "--no-nanny", "--nthreads", "1", "--no-dashboard"],
        env=os.environ | {"PYTHONPATH": str(tmp_path), "XDG_CACHE_HOME": str(tmp_path)},
        cwd=tmp_path,
        stderr=subprocess.DEVNULL,
    ) as worker:
        try:
            wait_for(lambda: len(cluster._workers()) == 3)
            assert start(["run", str(tmp_path / "relu.toml"), "--engine", f"dask:{cluster._address}"]) == 2
        finally:
            worker.kill()
    out, err = capfd.readouterr()
    assert out == ""
    assert err.startswith("gradstat: Dask worker tcp://127.0.0.1:")
    assert told in err
    assert err.endswith("; install the same gradstat, numba and llvmlite on every machine\n")
    assert err.count("\n") == 1
    wait_for(lambda: len(cluster._workers()) == 2)


def wait_for(condition: Callable[[], bool], seconds: float = 30.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


# A scheduler of its own -------------------------------------------------------------------------------------------


@contextmanager
def scheduler(port: int) -> Iterator[subprocess.Popen[str]]:
    """A process with a scheduler; its worker goes with it."""
    with subprocess.Popen(
        [sys.executable, "-c", PROGRAM, str(port)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
            yield process
        finally:
            process.kill()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@needs_dask
def test_a_killed_scheduler_ends_the_run_and_loses_nothing(short_ranges: None, unbroken: bytes) -> None:
    """Threads do what was not finished by then: the bytes are those of an unbroken run."""
    port, tree, drawn = free_port(), MergeTree(), 0
    with ExitStack() as stack:
        process = stack.enter_context(scheduler(port))
        engine, workers = stack.enter_context(engine_of(f"dask:tcp://127.0.0.1:{port}", 7))
        assert workers == 1
        kill = once_after(LONG // 4, process.kill)

        def done(node: Node, accumulators: Accumulators, draws: int) -> None:
            nonlocal drawn
            tree.add(node, accumulators)
            drawn += draws
            kill(drawn)

        message = f"the Dask scheduler at tcp://127.0.0.1:{port} is gone; .* to resume from the last checkpoint"
        with pytest.raises(GradstatError, match=message):
            engine(task(), iter(task_blocks()), 1, done)
    assert LONG // 4 <= drawn < LONG
    left = [block for block in task_blocks() if not any(block.number >> n == i for n, i in tree.nodes)]
    threads(task(), iter(left), 2, lambda node, accumulators, draws: tree.add(node, accumulators))
    assert tree.total().tobytes() == unbroken


# The command line -------------------------------------------------------------------------------------------------


def test_without_distributed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "relu.toml").write_text(CONFIG)
    monkeypatch.setitem(sys.modules, "distributed", None)
    assert start(["run", str(tmp_path / "relu.toml"), "--engine", "dask"]) == 2
    expected = "gradstat: --engine dask needs the package distributed; pip install 'gradstat[dask]'\n"
    assert capsys.readouterr().err == expected


@pytest.mark.parametrize(
    ("engine", "message"),
    [
        ("dask:localhost", "--engine dask:localhost is not allowed; expected dask, or dask:tcp://host:port"),
        ("dask:http://a:1", "--engine dask:http://a:1 is not allowed; expected dask, or dask:tcp://host:port"),
        ("threads:2", "the engine threads takes no address; expected --engine threads, found threads:2"),
        ("dusk", "unknown engine 'dusk'; did you mean 'dask'?"),
    ],
)
def test_engines_that_are_none(engine: str, message: str) -> None:
    with pytest.raises(UsageError, match=message.replace("?", r"\?")), engine_of(engine, 1):
        pass


@needs_dask
def test_nobody_at_the_address(monkeypatch: pytest.MonkeyPatch) -> None:
    from gradstat.estimation.engines import dask_cluster

    monkeypatch.setattr(dask_cluster, "ANSWER_SECONDS", 0.2)
    address = f"tcp://127.0.0.1:{free_port()}"
    with pytest.raises(UsageError, match=f"no Dask scheduler answers at {address}"), engine_of(f"dask:{address}", 1):
        pass


@needs_dask
def test_tls_without_certificates() -> None:
    with pytest.raises(UsageError, match="tls://a:1 needs certificates"), engine_of("dask:tls://a:1", 1):
        pass


@needs_dask
def test_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The same table as threads give, and nothing on stderr."""
    (tmp_path / "own.toml").write_text(CONFIG)
    assert start(["run", str(tmp_path / "own.toml")]) == 0
    command = [sys.executable, "-m", "gradstat", "run", "own.toml", "-j", "1", "--engine", "dask"]
    there = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert there.stdout == capsys.readouterr().out
    assert there.stderr == ""


@needs_dask
def test_an_interrupt(tmp_path: Path) -> None:
    """To the whole group of processes, as a terminal sends it: one line, 130, and nobody is left."""
    (tmp_path / "own.toml").write_text(CONFIG)
    command = [sys.executable, "-m", "gradstat", "run", "own.toml", "-j", "1", "-n", "1e12", "-v", "--engine", "dask"]
    with subprocess.Popen(
        command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    ) as process:
        assert process.stderr is not None
        assert "kernels are ready" in process.stderr.readline()
        time.sleep(1.0)
        begin = time.monotonic()
        os.killpg(process.pid, signal.SIGINT)
        out, err = process.communicate(timeout=20)
        assert time.monotonic() - begin < 5.0
    assert process.returncode == 130
    assert out == ""
    assert err.startswith("gradstat: interrupted")
    assert err.count("\n") == 1


def test_engines_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert start(["list", "engines"]) == 0
    head, rule, *rows = capsys.readouterr().out.splitlines()
    assert head.split()[0] == "engine"
    assert set(rule) == {"─"}
    assert [row.split()[0] for row in rows] == list(ENGINES)
