"""Engines: how the blocks of a group are spread over processors. Results do not depend on the engine."""

import threading
from collections.abc import Callable, Iterator

from gradstat.errors import UsageError
from gradstat.estimation.forest import Accumulators, Forest
from gradstat.estimation.plan import Block
from gradstat.layers.record import unknown

Work = Callable[[Block], Accumulators]
Report = Callable[[int], None]  # told the number of draws of each finished block
Engine = Callable[[Iterator[Block], Work, int, Report], Forest]


def threads(blocks: Iterator[Block], work: Work, jobs: int, report: Report) -> Forest:
    """Serial kernels without the GIL on `jobs` threads; an interrupt or a failure ends them after their block."""
    forest, lock, stop = Forest(), threading.Lock(), threading.Event()
    failures: list[BaseException] = []

    def serve() -> None:
        try:
            while not stop.is_set():
                with lock:
                    block = next(blocks, None)
                if block is None:
                    return
                accumulators = work(block)
                with lock:
                    forest.add((0, block.number), accumulators)
                    report(block.draws)
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
    return forest


ENGINES: dict[str, Engine] = {"threads": threads}


def engine_of(name: str) -> Engine:
    """The engine of this name; UsageError with the closest one otherwise."""
    if name not in ENGINES:
        raise UsageError(unknown("engine", name, ENGINES))
    return ENGINES[name]
