"""The functions that run on Dask workers: they build kernels and sample ranges of blocks.

Dask calls these functions by name. A task arrives as the bytes of its pickle; a worker unpickles it only if it has the
caller's gradstat.
"""

import pickle
import time
from collections.abc import Iterator
from functools import lru_cache

from gradstat.estimation.blocks import Block
from gradstat.estimation.engines.identity import Identity, check, identity
from gradstat.estimation.tasks import Finished, Task


def prepare(wire: bytes, expected: Identity) -> None:
    """Compile the kernels of a task into the cache of this machine."""
    _own(wire, expected)


def sample(wire: bytes, first: Block, last: Block, expected: Identity) -> tuple[list[Finished], float]:
    """Sample the blocks from the first to the last. Returns their nodes and the duration in seconds."""
    task = _own(wire, expected)
    start = time.perf_counter()
    return task.range(list(between(first, last))), time.perf_counter() - start


def between(first: Block, last: Block) -> Iterator[Block]:
    """The blocks from the first to the last; all except the last have the length of the first."""
    for number in range(first.number, last.number):
        yield Block(number, first.first + (number - first.number) * first.draws, first.draws)
    yield last


def _own(wire: bytes, expected: Identity) -> Task:
    """The task, unpickled once per process.

    Checks the worker's version again: it may have joined after the initial check.
    """
    from distributed import get_worker

    check(get_worker().address, identity(), expected)
    return _opened(wire)


@lru_cache(maxsize=4)
def _opened(wire: bytes) -> Task:
    task: Task = pickle.loads(wire)
    return task
