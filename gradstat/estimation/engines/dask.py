"""The Dask engine: ranges of blocks as tasks on a cluster, a bounded number of them at a time.

A task is a few hundred bytes of names and numbers; its result is a few nodes of the tree of merges. What a worker loses
is sampled again, with the same bytes. A lost scheduler ends the run, and its checkpoints hold what was finished.
"""

import math
import pickle
import time
import warnings
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from typing import Any

import distributed
from distributed import CancelledError
from distributed.comm.addressing import get_address_host

from gradstat.errors import GradstatError, UsageError
from gradstat.estimation.blocks import Block
from gradstat.estimation.engines import dask_worker
from gradstat.estimation.engines.dask_cluster import ClusterWarning, connect, local_cluster, without_logs
from gradstat.estimation.engines.identity import ADVICE, check, identity
from gradstat.estimation.engines.ranges import Range, Ranges
from gradstat.estimation.tasks import Done, Task
from gradstat.layer_types.registration import is_registered

IN_FLIGHT = 2  # ranges per thread of a worker: one at work, one in waiting
LOOK_SECONDS = 1.0  # how often the workers are counted
WARN_SECONDS = 15.0  # without workers, before that is said

OVER = ("finished", "error", "cancelled")


class DaskEngine:
    """An engine on the workers of one scheduler."""

    def __init__(self, address: str) -> None:
        self._address = address
        self._identity = identity()
        self._warm: set[str] = set()
        self._looked, self._threads = -math.inf, 0
        self._client = connect(address)

    def meet(self, workers: int) -> None:
        """Wait for so many workers; UsageError where the gradstat of one is not ours."""
        self.count(workers)
        self._check_workers()

    def close(self) -> None:
        """Leave the cluster, which forgets what was asked of it."""
        with suppress(Exception):
            self._client.close(timeout=1)

    def __call__(self, task: Task, blocks: Iterator[Block], jobs: int, done: Done) -> None:
        """Sample the blocks, as many ranges at a time as the cluster has room for, whatever `jobs` says."""
        _check_that_it_travels(task)
        wire, ranges = pickle.dumps(task), Ranges(blocks)
        if ranges:
            self._warm_up(wire, repr(task.specs))
            self._work(wire, ranges, done)

    def _work(self, wire: bytes, ranges: Ranges, done: Done) -> None:
        """Keep the workers busy until no range is left."""
        running: dict[Any, Range] = {}
        while True:
            while len(running) < IN_FLIGHT * self.count() and (own := ranges.take()):
                running[self._submit(dask_worker.sample, wire, *own, self._identity)] = own
            if not running:
                return
            ended = self._ended(running)
            whole = [future for future in ended if future.status == "finished"]
            with self._asking():
                results = self._client.gather(whole)
            for future, (nodes, seconds) in zip(whole, results, strict=True):
                ranges.timed(running.pop(future), seconds)
                for node, accumulators, draws in nodes:
                    done(node, accumulators.copy(), draws)  # what came over the wire is not ours to merge into
            self._check_success(ended)

    def _warm_up(self, wire: bytes, layers: str) -> None:
        """Let one worker of each machine compile into that machine's cache before the others look there."""
        if layers in self._warm:
            return
        self.count()
        one_of_each = {get_address_host(address): address for address in self._workers()}
        asked = [self._submit(dask_worker.prepare, wire, self._identity, workers=[a]) for a in one_of_each.values()]
        while waiting := [future for future in asked if future.status not in OVER]:
            self._ended(waiting)
        self._check_success(asked)
        self._warm.add(layers)

    def _submit(self, function: Any, *arguments: Any, workers: list[str] | None = None) -> Any:
        elsewhere = workers is not None  # where the wanted worker goes, another one will do
        with self._asking():
            return self._client.submit(function, *arguments, pure=False, workers=workers, allow_other_workers=elsewhere)

    def _ended(self, running: Iterable[Any]) -> list[Any]:
        """Those futures that are over; waits until there are some."""
        while True:
            ended = [future for future in running if future.status in OVER]
            if self._client.status != "running" or any(future.status == "cancelled" for future in ended):
                raise self._lost()
            if ended:
                return ended
            self.count()
            time.sleep(0.005)

    def _check_success(self, futures: Iterable[Any]) -> None:
        """Raise what the first of these futures that failed has raised on its worker."""
        with self._asking():
            failed = [future.exception() for future in futures if future.status == "error"]
        if failed:
            raise _explained(failed[0], self._address)

    @contextmanager
    def _asking(self) -> Iterator[None]:
        """One error for a lost scheduler instead of the many exceptions that can follow from it."""
        try:
            yield
        except Exception as error:
            if self._client.status != "running" or isinstance(error, OSError | CancelledError):
                raise self._lost() from error
            raise

    def _lost(self) -> GradstatError:
        return GradstatError(
            f"the Dask scheduler at {self._address} is gone",
            "start one: the same command, with its address, goes on from the last checkpoint",
        )

    def _check_workers(self) -> None:
        """UsageError where the gradstat of a worker is not ours."""
        with self._asking():
            answers = self._client.run(identity, on_error="return")
        for address, answer in answers.items():
            if isinstance(answer, BaseException):
                raise UsageError(f"Dask worker {address} cannot load gradstat ({answer})", ADVICE)
            check(address, answer, self._identity)

    def _workers(self) -> dict[str, int]:
        """The threads of each worker."""
        with self._asking():
            return dict(self._client.nthreads())

    def count(self, fewest: int = 1) -> int:
        """The threads of all workers, counted anew from time to time; waits while there are too few."""
        if time.monotonic() - self._looked < LOOK_SECONDS:
            return self._threads
        warn_at = time.monotonic() + WARN_SECONDS
        while (threads := sum(self._workers().values())) < fewest:
            if time.monotonic() > warn_at:
                warn_at = math.inf
                warnings.warn(f"{self._address} has no workers yet; waiting", ClusterWarning, stacklevel=2)
            time.sleep(0.1)
        self._looked, self._threads = time.monotonic(), threads
        return threads


@contextmanager
def opened(address: str, jobs: int) -> Iterator[DaskEngine]:
    """The engine on the cluster at this address, or on one of its own with `jobs` workers where it is empty."""
    with ExitStack() as stack:
        stack.enter_context(without_logs())
        engine = DaskEngine(address or stack.enter_context(local_cluster(jobs)))
        stack.callback(engine.close)
        engine.meet(1 if address else jobs)
        yield engine


def _check_that_it_travels(task: Task) -> None:
    for spec in task.specs:
        if is_registered(spec.layer):
            raise UsageError(
                f"layer {spec.layer!r} was registered from Python and is known in this process only: Dask workers "
                "cannot sample it; write it as an expression, or sample with --engine threads"
            )


def _explained(error: BaseException, address: str) -> BaseException:
    """The error of a task, or what it means where nobody could know."""
    if isinstance(error, distributed.KilledWorker):
        return GradstatError(
            f"{address}: one worker after the other died over the same range of draws", "see their logs: memory?"
        )
    if isinstance(error, ImportError | AttributeError):
        return UsageError(f"a Dask worker of {address} cannot load gradstat ({error})", ADVICE)
    return error
