"""Engines: how the blocks of a task are spread over processors. Results do not depend on the engine.

An engine is given a task, the blocks to do, and how many to do at a time. It tells `done` of each finished node as it
arrives, one call at a time. Any order will do, and so will any nodes that blocks in a row make (`Task.range`).
It returns when all blocks are done, and raises what stopped it; what was told by then counts.
"""

import re
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass

from gradstat.errors import UsageError
from gradstat.estimation.blocks import Block
from gradstat.estimation.tasks import Done, Task
from gradstat.layer_types.record import unknown

Engine = Callable[[Task, Iterator[Block], int, Done], None]


def threads(task: Task, blocks: Iterator[Block], jobs: int, done: Done) -> None:
    """Serial kernels without the GIL on `jobs` threads; an interrupt or a failure ends them after their block."""
    lock, stop = threading.Lock(), threading.Event()
    ended = [threading.Event() for _ in range(jobs)]  # an interrupted Thread.join takes a live thread for dead (3.11)
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
        except BaseException as failure:  # handed to the caller's thread
            failures.append(failure)
            stop.set()
        finally:
            end.set()

    workers = [threading.Thread(target=serve, args=(end,)) for end in ended]
    try:
        for worker in workers:
            worker.start()
        while not all(end.wait(0.1) for end in ended):  # a wait without a limit would not see Ctrl-C
            pass
    finally:
        stop.set()
        for worker, end in zip(workers, ended, strict=True):
            if worker.ident is not None:
                end.wait()
    if failures:
        raise failures[0]


Opened = AbstractContextManager[tuple[Engine, int]]  # the engine, while it lasts, and how many blocks it does at a time


@contextmanager
def _threads(address: str, jobs: int) -> Iterator[tuple[Engine, int]]:
    if address:
        raise UsageError(f"threads are of this process: --engine threads, not --engine threads:{address}")
    yield threads, jobs


@contextmanager
def _dask(address: str, jobs: int) -> Iterator[tuple[Engine, int]]:
    if address and _ADDRESS.fullmatch(address) is None:
        raise UsageError(f"--engine dask:{address} is impossible; allowed: dask, or dask:tcp://host:port")
    try:
        import distributed  # noqa: F401
    except ModuleNotFoundError:
        raise UsageError("--engine dask needs the package distributed", "pip install 'gradstat[dask]'") from None
    from gradstat.estimation.engines.dask import opened

    with opened(address, jobs) as engine:
        yield engine, engine.count()


@dataclass(frozen=True)
class EngineSpec:
    """Where to sample: words about it, and how it is opened with an address and a number of jobs."""

    description: str
    opened: Callable[[str, int], Opened]


ENGINES: dict[str, EngineSpec] = {
    "threads": EngineSpec("threads of this process", _threads),
    "dask": EngineSpec(
        "a Dask cluster of processes on this machine; dask:tcp://host:port is one that runs already", _dask
    ),
}
_ADDRESS = re.compile(r"(tcp|tls)://(\[[0-9A-Fa-f:.]+\]|[\w.-]+):[0-9]{1,5}")


def engine_of(text: str, jobs: int) -> Opened:
    """The engine `name` or `name:address`; UsageError with the closest name otherwise."""
    name, _, address = text.partition(":")
    if name not in ENGINES:
        raise UsageError(unknown("engine", name, ENGINES))
    return ENGINES[name].opened(address, jobs)
