"""Engines: how the blocks of a task are spread over processors. Results do not depend on the engine.

An engine is given a task, the blocks to do, and how many to do at a time. It tells `done` of each finished node as it
arrives, one call at a time. Any order will do, and so will any nodes that blocks in a row make (`Task.range`).
It returns when all blocks are done, and raises what stopped it; what was told by then counts.
"""

import threading
from collections.abc import Callable, Iterator

from gradstat.errors import UsageError
from gradstat.estimation.forest import Accumulators, Node
from gradstat.estimation.plan import Block
from gradstat.estimation.tasks import Task
from gradstat.layers.record import unknown

Done = Callable[[Node, Accumulators, int], None]  # node, its accumulators [row, WIDTH], the draws in it
Engine = Callable[[Task, Iterator[Block], int, Done], None]


def threads(task: Task, blocks: Iterator[Block], jobs: int, done: Done) -> None:
    """Serial kernels without the GIL on `jobs` threads; an interrupt or a failure ends them after their block."""
    lock, stop = threading.Lock(), threading.Event()
    failures: list[BaseException] = []

    def serve() -> None:
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

    workers = [threading.Thread(target=serve) for _ in range(jobs)]
    try:
        for worker in workers:
            worker.start()
        for worker in workers:
            while worker.is_alive():
                worker.join(0.1)  # a join without a limit would not see Ctrl-C
    finally:
        stop.set()
        for worker in workers:
            worker.join()
    if failures:
        raise failures[0]


ENGINES: dict[str, Engine] = {"threads": threads}


def engine_of(name: str) -> Engine:
    """The engine of this name; UsageError with the closest one otherwise."""
    if name not in ENGINES:
        raise UsageError(unknown("engine", name, ENGINES))
    return ENGINES[name]
