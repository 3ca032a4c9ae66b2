"""The Dask engine, on real clusters of real processes: the same bytes as threads, whoever dies meanwhile."""

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

import gradstat
from gradstat.cli.app import start
from gradstat.config import RunConfig
from gradstat.errors import GradstatError, UsageError
from gradstat.estimation.blocks import Block
from gradstat.estimation.engines import ENGINES, ClusterWarning, Engine, engine_of, ranges, threads
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


# A cluster within this process ------------------------------------------------------------------------------------


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


@needs_dask
def test_a_cluster_of_this_process_opens_no_port_and_starts_no_process() -> None:
    """Every user of the machine could run code through a port of the scheduler."""
    import psutil
    from distributed import LocalCluster

    def sockets() -> list[Any]:
        return [c for c in psutil.Process().net_connections("all") if c.status == psutil.CONN_LISTEN]

    before, children, path = sockets(), psutil.Process().children(), list(sys.path)
    with engine_of("dask", 2) as (engine, workers):
        assert workers == 2
        bytes_of(engine, 100_000)
        assert sockets() == before
        assert psutil.Process().children() == children
        for folder in set(sys.path) - set(path):
            assert Path(folder).parents[1].stat().st_mode & 0o077 == 0
    assert sys.path == path
    with LocalCluster(n_workers=0, processes=False, dashboard_address=None):  # negative control: it serves HTTP
        assert len(sockets()) > len(before)


# A cluster of two processes ---------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def loopback() -> Iterator[Any]:
    """A cluster of two worker processes."""
    from distributed import LocalCluster

    with without_logs_of_dask(), LocalCluster(**LOOPBACK, n_workers=2) as own:
        own.wait_for_workers(2)
        with opened(own.scheduler_address) as engine:  # which imports gradstat in both
            bytes_of(engine, 1000)
        yield own


@pytest.fixture
def address(loopback: Any) -> str:
    """Its address."""
    return str(loopback.scheduler_address)


TIMEOUT = 4.0  # seconds; a worker that imports numba on a busy machine can be silent for more than one
LOOPBACK = {
    "threads_per_worker": 1,
    "host": "127.0.0.1",
    "dashboard_address": None,
    "scheduler_kwargs": {"dashboard_address": "127.0.0.1:0"},
}


@contextmanager
def without_logs_of_dask() -> Iterator[None]:
    from gradstat.estimation.engines.dask_cluster import without_logs

    with without_logs():
        yield


@pytest.fixture
def cluster(address: str) -> Iterator[Any]:
    """The engine on it."""
    with opened(address) as engine:
        assert engine.count() == 2
        yield engine


@contextmanager
def opened(address: str, timeout: float = 120.0) -> Iterator[Any]:
    with engine_of(f"dask:{address}", 1, timeout) as (engine, _):
        yield engine


@contextmanager
def cluster_warnings() -> Iterator[list[str]]:
    """The texts of the warnings about a cluster."""
    texts: list[str] = []
    with warnings.catch_warnings():
        warnings.simplefilter("always", ClusterWarning)
        warnings.showwarning = lambda message, *where, **more: texts.append(str(message))
        yield texts


@pytest.fixture
def short_ranges(monkeypatch: pytest.MonkeyPatch) -> None:
    """Many ranges: some are under way whenever a process ends."""
    monkeypatch.setattr(ranges, "RANGE_SECONDS", 0.1)


def once_after(draws: int, act: Callable[[], None]) -> Callable[[int], None]:
    """Act when this number of draws is done, and never again."""
    acts = [act]

    def told(drawn: int) -> None:
        if drawn >= draws and acts:
            acts.pop()()

    return told


def pids(own: Any) -> list[int]:
    """The process ids of the workers of a cluster."""
    return [nanny.pid for nanny in own.workers.values()]


@needs_dask
@pytest.mark.parametrize("where", ["dask", "cluster"])
def test_the_same_bytes_as_threads(where: str, address: str) -> None:
    own = cases(RunConfig.model_validate({"layer": LAYER_TABLES}))
    with engine_of("dask" if where == "dask" else f"dask:{address}", 2) as (engine, _):
        here, there = (run(own, 3_000_000, SEED, 2, each) for each in (threads, engine))
    assert [line.accumulators.tobytes() for line in here] == [line.accumulators.tobytes() for line in there]
    assert repr([line.estimates for line in here]) == repr([line.estimates for line in there])


LAYER_TABLES = [
    {"name": "relu"},
    {"name": "dropout", "p": 0.2},
    {"name": "max_pool2d", "kernel_size": 3},
    {"name": "own", "expression": "x * sigmoid(b * x)", "sweep": {"b": [1, 1.702]}},
]


@needs_dask
def test_a_worker_killed_in_the_middle(loopback: Any, cluster: Any, short_ranges: None, unbroken: bytes) -> None:
    """SIGKILL, while both workers sample: another process takes its place, and its ranges are sampled again."""
    before = pids(loopback)
    kill = once_after(LONG // 4, lambda: os.kill(before[0], signal.SIGKILL))
    assert bytes_of(cluster, told=kill) == unbroken
    wait_for(lambda: cluster.count() == 2)
    assert pids(loopback)[0] != before[0]
    assert pids(loopback)[1] == before[1]


@needs_dask
def test_a_worker_stopped_in_the_middle(loopback: Any, address: str, short_ranges: None, unbroken: bytes) -> None:
    """As on a machine that hangs: after the timeout the other worker samples its ranges, and a warning names it."""
    with opened(address, TIMEOUT) as engine:
        stopped = pids(loopback)[0]
        stop = once_after(LONG // 4, lambda: os.kill(stopped, signal.SIGSTOP))
        try:
            with cluster_warnings() as messages:
                assert bytes_of(engine, told=stop) == unbroken
            assert engine.count() == 1
            told = r"Dask worker tcp://127.0.0.1:\d+ has not answered for 4 s: other workers sample its draws"
            assert messages
            assert all(re.fullmatch(told, message) for message in messages)
        finally:
            os.kill(stopped, signal.SIGCONT)
        wait_for(lambda: engine.count() == 2)


@needs_dask
def test_a_worker_that_is_stopped_before_the_run(
    loopback: Any, address: str, short_ranges: None, unbroken: bytes
) -> None:
    stopped = pids(loopback)[0]
    os.kill(stopped, signal.SIGSTOP)
    try:
        with cluster_warnings() as messages, opened(address, TIMEOUT) as engine:
            assert bytes_of(engine) == unbroken
            wait_for(lambda: engine.count() == 1 and len(messages) > 0)
        assert "has not answered for 4 s" in messages[0]
    finally:
        os.kill(stopped, signal.SIGCONT)
    with opened(address) as engine:
        wait_for(lambda: engine.count() == 2)


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
    call, calls, pending = cluster._call, [], []

    def counted(*arguments: Any) -> Any:
        calls.append(call(*arguments))
        pending.append(sum(each._future.status == "pending" for each in calls))
        return calls[-1]

    monkeypatch.setattr(cluster, "_call", counted)
    bytes_of(cluster)
    assert len(calls) > 8
    assert max(pending) <= 4


@needs_dask
def test_what_fails_on_a_worker_is_raised_here(cluster: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker that was exchanged for another one at the same address refuses the task itself."""
    monkeypatch.setattr(cluster, "_identity", identity() | {"stream version": "0"})
    with pytest.raises(
        UsageError, match=r"Dask worker tcp://127.0.0.1:\d+ has stream version \d+, this process has 0;"
    ):
        bytes_of(cluster, 1000)


@needs_dask
def test_a_range_that_ends_workers_ends_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    """For example because it needs more memory than they have."""
    from distributed import LocalCluster

    from gradstat.estimation.engines import dask_worker

    monkeypatch.setattr(dask_worker, "sample", end_the_process)
    message = "several workers ended during the same range of draws; see their logs"
    with cluster_warnings(), without_logs_of_dask(), LocalCluster(**LOOPBACK, n_workers=2) as own:  # noqa: SIM117
        with opened(own.scheduler_address) as engine, pytest.raises(GradstatError, match=message):
            bytes_of(engine, 1000)


def end_the_process(*arguments: Any) -> None:
    os._exit(1)


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


@contextmanager
def foreign_worker(address: str, folder: Path) -> Iterator[None]:
    """A worker that imports gradstat from this folder."""
    with subprocess.Popen(
        [sys.executable, "-m", "dask", "worker", address, "--no-nanny", "--nthreads", "1", "--no-dashboard"],
        env=os.environ | {"PYTHONPATH": str(folder), "XDG_CACHE_HOME": str(folder)},
        cwd=folder,
        stderr=subprocess.DEVNULL,
    ) as worker:
        try:
            yield
        finally:
            worker.kill()


@needs_dask
@pytest.mark.parametrize("change", [another_stream, no_estimation])
def test_a_worker_with_another_gradstat_is_left_out(
    cluster: Any, change: Callable[[Path], str], tmp_path: Path, short_ranges: None, unbroken: bytes
) -> None:
    """It joins in the middle of a run, and again finds one that begins."""
    told = change(tmp_path)
    with ExitStack() as stack, cluster_warnings() as messages:
        join = once_after(LONG // 8, lambda: stack.enter_context(foreign_worker(cluster._address, tmp_path)))
        assert bytes_of(cluster, told=join) == unbroken
        wait_for(lambda: cluster.count() == 2 and len(messages) == 1)
        with opened(cluster._address) as another:
            assert another.count() == 2
            assert bytes_of(another) == unbroken
    assert len(messages) == 2
    for message in messages:
        assert message.startswith("Dask worker tcp://127.0.0.1:")
        assert told in message
        assert message.endswith(": it is left out; install the same gradstat, numba and llvmlite on every machine")
    wait_for(lambda: cluster.count() == 2 and len(cluster._workers._known) == 2)


@needs_dask
def test_a_cluster_of_other_gradstats_alone_is_refused(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    from distributed import LocalCluster

    told = another_stream(tmp_path)
    (tmp_path / "relu.toml").write_text(CONFIG)
    with without_logs_of_dask(), LocalCluster(**LOOPBACK, n_workers=0) as own:  # noqa: SIM117
        with foreign_worker(own.scheduler_address, tmp_path):
            own.wait_for_workers(1)
            assert start(["run", str(tmp_path / "relu.toml"), "--engine", f"dask:{own.scheduler_address}"]) == 2
    out, err = capfd.readouterr()
    assert out == ""
    assert err.startswith("gradstat: Dask worker tcp://127.0.0.1:")
    assert told in err
    assert err.endswith("; install the same gradstat, numba and llvmlite on every machine\n")
    assert err.count("\n") == 1


def wait_for(condition: Callable[[], bool], seconds: float = 90.0) -> None:
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


@needs_dask
def test_a_stopped_scheduler_ends_the_run(short_ranges: None) -> None:
    """It keeps its connections and answers nothing."""
    port = free_port()
    with scheduler(port) as process, opened(f"tcp://127.0.0.1:{port}", TIMEOUT) as engine:
        stop = once_after(LONG // 8, lambda: process.send_signal(signal.SIGSTOP))
        with pytest.raises(
            GradstatError, match=rf"scheduler at tcp://127.0.0.1:{port} has not answered for 4 s; .* to resume from"
        ):
            bytes_of(engine, told=stop)


# TLS --------------------------------------------------------------------------------------------------------------


def certificate(folder: Path, name: str) -> dict[str, str]:
    """A new self-signed certificate, as Dask's configuration names it."""
    cert, key = str(folder / f"{name}.pem"), str(folder / f"{name}.key")
    command = f"req -x509 -nodes -days 2 -subj /CN={name} -newkey ec -pkeyopt ec_paramgen_curve:prime256v1"
    subprocess.run(["openssl", *command.split(), "-keyout", key, "-out", cert], check=True, capture_output=True)
    names = {f"{role}.{what}": path for role in ROLES for what, path in (("cert", cert), ("key", key))}
    return {f"distributed.comm.tls.{name}": path for name, path in (names | {"ca-file": cert}).items()}


ROLES = ("scheduler", "worker", "client")


@needs_dask
@pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl is not installed")
def test_a_cluster_with_tls(tmp_path: Path, short_ranges: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Certificates of Dask's own configuration; whoever has none, or another one, is not let in."""
    import dask
    from distributed import LocalCluster, Security

    from gradstat.estimation.engines import dask_cluster

    monkeypatch.setattr(dask_cluster, "ANSWER_SECONDS", 3.0)
    ours, other = (certificate(tmp_path, name) for name in ("ours", "other"))
    with without_logs_of_dask(), dask.config.set(ours):  # noqa: SIM117
        with LocalCluster(**LOOPBACK, n_workers=1, protocol="tls://", security=Security()) as own:
            address = own.scheduler_address
            assert address.startswith("tls://127.0.0.1:")
            with opened(address) as engine:
                assert bytes_of(engine, 1_000_000) == bytes_of(threads, 1_000_000)
            for stranger in (f"dask:{address.replace('tls', 'tcp')}", f"dask:{address}"):
                with dask.config.set(other), pytest.raises(UsageError, match="no Dask scheduler answers at"):
                    engine_of(stranger, 1).__enter__()


@needs_dask
def test_tls_without_certificates() -> None:
    with pytest.raises(UsageError, match="tls://a:1 needs certificates"), engine_of("dask:tls://a:1", 1):
        pass


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
        (
            "dask:localhost",
            "--engine dask:localhost is not allowed; expected dask, dask:tcp://host:port or dask:tls://host:port",
        ),
        (
            "dask:http://a:1",
            "--engine dask:http://a:1 is not allowed; expected dask, dask:tcp://host:port or dask:tls://host:port",
        ),
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


@contextmanager
def listener(answer: bytes) -> Iterator[str]:
    """The address of a port where something else listens, and sends these bytes to everyone."""
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen(8)
        server.settimeout(0.1)
        stop = threading.Event()

        def serve() -> None:
            connections = []
            while not stop.is_set():
                with suppress(TimeoutError):
                    connections.append(server.accept()[0])
                    connections[-1].sendall(answer)
            for connection in connections:
                connection.close()

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield "tcp://{}:{}".format(*server.getsockname())
        finally:
            stop.set()
            thread.join()


@needs_dask
@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (b"", "nothing within 0.5 s"),
        (b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n", "another server answers"),
        (b"SSH-2.0-OpenSSH_9.2\r\n", "another server answers"),
    ],
)
def test_a_port_of_something_else(answer: bytes, reason: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from gradstat.estimation.engines import dask_cluster

    monkeypatch.setattr(dask_cluster, "ANSWER_SECONDS", 0.5)
    with listener(answer) as address, pytest.raises(UsageError) as raised:
        engine_of(f"dask:{address}", 1).__enter__()
    assert str(raised.value) == f"no Dask scheduler answers at {address} ({reason}); is it running?"


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
@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL, None])
@pytest.mark.parametrize("where", ["dask", "cluster"])
def test_no_process_is_left(how: signal.Signals | None, where: str, address: str, tmp_path: Path) -> None:
    """After Ctrl-C (sent to the whole group, as a terminal does), other signals, and a disk that refuses the result."""
    import psutil

    (tmp_path / "own.toml").write_text(CONFIG)
    engine = "dask" if where == "dask" else f"dask:{address}"
    command = [sys.executable, "-m", "gradstat", "run", "own.toml", "-j", "1", "-v", "--engine", engine]
    command += ["-n", "1e12"] if how else ["-n", "1e5", "-o", str(tmp_path / "folder" / "a.parquet")]
    (tmp_path / "folder").mkdir()
    environment = os.environ | {"GRADSTAT_RESULTS": str(tmp_path / "results"), "MARK_OF_THIS_TEST": str(tmp_path)}
    with subprocess.Popen(
        command,
        cwd=tmp_path,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        assert process.stderr is not None
        lines = iter(process.stderr.readline, "")  # the first one may announce how long the run takes
        assert any("kernels are ready" in line for line in lines)
        begin = time.monotonic()
        if how:
            time.sleep(1.0)
            begin = time.monotonic()
            os.killpg(process.pid, how)
        else:
            (tmp_path / "folder").rmdir()
        out, err = process.communicate(timeout=60)
        assert time.monotonic() - begin < 30.0
    assert process.returncode == {signal.SIGINT: 130, None: 2}.get(how, -int(how or 0))
    if how is signal.SIGINT:
        assert out == ""
        assert err.startswith("gradstat: interrupted")
        assert err.count("\n") == 1

    def left() -> list[psutil.Process]:
        found = []
        for other in psutil.process_iter():
            with suppress(psutil.Error):
                if other.environ().get("MARK_OF_THIS_TEST") == str(tmp_path):
                    found.append(other)
        return found

    wait_for(lambda: not left())


def test_engines_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert start(["list", "engines"]) == 0
    head, rule, *rows = capsys.readouterr().out.splitlines()
    assert head.split()[0] == "engine"
    assert set(rule) == {"─"}
    assert [row.split()[0] for row in rows] == list(ENGINES)
