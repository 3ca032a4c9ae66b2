"""Engines: how the blocks of a task are spread over processors. Results do not depend on the engine.

An engine receives a task, its blocks, and the number of blocks to sample at a time. It calls `done` for each finished
node, one call at a time. Nodes may arrive in any order, and may cover several consecutive blocks (`Task.range`). The
engine returns when all blocks are finished, and raises the error that stopped it; the nodes that it has passed to
`done` stay valid.
"""

import re
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass

from gradstat.errors import UsageError, unknown
from gradstat.estimation.blocks import Block
from gradstat.estimation.tasks import Done, Task

WORKER_TIMEOUT = 120.0  # seconds without a sign of life, after which the draws of a worker are given to others

Engine = Callable[[Task, Iterator[Block], int, Done], None]


class ClusterWarning(UserWarning):
    """A problem of a cluster that costs time but no draws."""


def threads(task: Task, blocks: Iterator[Block], jobs: int, done: Done) -> None:
    """Serial kernels without the GIL on `jobs` threads; an interrupt or a failure ends them after their block."""
    lock, stop = threading.Lock(), threading.Event()
    ended = [
        threading.Event() for _ in range(jobs)
    ]  # in Python 3.11 an interrupted Thread.join() marks a running thread as finished
    failures: list[BaseException] = []

    def serve(end: threading.Event) -> None:
        try:
            while not stop.is_set():
                with lock:
                    block = next(blocks, None)
                if block is None:
                    return
                accumulators = task.block(block)
                with lock:
                    done(block.node, accumulators, block.draws)
        except BaseException as failure:  # raised again in the caller's thread
            failures.append(failure)
            stop.set()
        finally:
            end.set()

    workers = [threading.Thread(target=serve, args=(end,)) for end in ended]
    try:
        for worker, end in zip(workers, ended, strict=True):
            try:
                worker.start()
            except RuntimeError:  # the system starts no more threads: those that there are do the work, or this one
                if worker is workers[0]:
                    serve(end)
                end.set()
        while not all(end.wait(0.1) for end in ended):  # a wait without a timeout would not notice Ctrl-C
            pass
    finally:
        stop.set()
        for worker, end in zip(workers, ended, strict=True):
            if worker.ident is not None:
                end.wait()
    if failures:
        raise failures[0]


Opened = AbstractContextManager[
    tuple[Engine, int]
]  # yields the engine, and the number of blocks that it samples at a time


@contextmanager
def _threads(address: str, jobs: int, worker_timeout: float) -> Iterator[tuple[Engine, int]]:
    if address:
        raise UsageError(f"the engine threads takes no address; expected --engine threads, found threads:{address}")
    yield threads, jobs


@contextmanager
def _dask(address: str, jobs: int, worker_timeout: float) -> Iterator[tuple[Engine, int]]:
    if address and _ADDRESS.fullmatch(address) is None:
        raise UsageError(
            f"--engine dask:{address} is not allowed; expected dask, dask:tcp://host:port or dask:tls://host:port"
        )
    try:
        import distributed  # noqa: F401
    except ModuleNotFoundError:
        raise UsageError("--engine dask needs the package distributed", "pip install 'gradstat[dask]'") from None
    from gradstat.estimation.engines.dask import opened

    with opened(address, jobs, worker_timeout) as engine:
        yield engine, engine.count()


@dataclass(frozen=True)
class EngineSpec:
    """One engine: its description, and the function that opens it with an address, jobs and a timeout of workers."""

    description: str
    opened: Callable[[str, int, float], Opened]


ENGINES: dict[str, EngineSpec] = {
    "threads": EngineSpec("threads of this process", _threads),
    "dask": EngineSpec(
        "a Dask cluster that runs already, dask:tcp://host:port or dask:tls://host:port; without an address, one "
        "within this process",
        _dask,
    ),
}
_ADDRESS = re.compile(r"(tcp|tls)://(\[[0-9A-Fa-f:.]+\]|[\w.-]+):[0-9]{1,5}")


def engine_of(text: str, jobs: int, worker_timeout: float = WORKER_TIMEOUT) -> Opened:
    """The engine `name` or `name:address`; UsageError with the closest name if there is none."""
    name, _, address = text.partition(":")
    if name not in ENGINES:
        raise UsageError(unknown("engine", name, ENGINES))
    return ENGINES[name].opened(address, jobs, worker_timeout)
