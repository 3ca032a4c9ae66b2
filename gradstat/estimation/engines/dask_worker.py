"""What a Dask worker does for gradstat: build kernels, sample ranges of blocks.

Everything here is called by name on the worker and by nobody else. A task arrives as the bytes of its pickle and is
opened only by a worker whose gradstat is the caller's.
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
    """The nodes of the blocks from the first to the last, and the seconds that they took."""
    task = _own(wire, expected)
    start = time.perf_counter()
    return task.range(list(between(first, last))), time.perf_counter() - start


def between(first: Block, last: Block) -> Iterator[Block]:
    """The blocks from the first to the last; all but the last are as long as the first."""
    for number in range(first.number, last.number):
        yield Block(number, first.first + (number - first.number) * first.draws, first.draws)
    yield last


def _own(wire: bytes, expected: Identity) -> Task:
    """The task, opened once per process; a worker may have joined after everyone was asked, so it is asked again."""
    from distributed import get_worker

    check(get_worker().address, identity(), expected)
    return _opened(wire)


@lru_cache(maxsize=4)
def _opened(wire: bytes) -> Task:
    task: Task = pickle.loads(wire)
    return task
