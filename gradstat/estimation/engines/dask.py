"""The Dask engine: ranges of blocks as tasks on a cluster, a bounded number of them at a time.

A task is a few hundred bytes of names and numbers; its result is a few nodes of the merge tree. The blocks of a lost
worker are sampled again, with equal bytes. A lost scheduler ends the run, which can resume from its checkpoints.
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

IN_FLIGHT = 2  # ranges per thread of a worker: one running, one waiting
LOOK_SECONDS = 1.0  # between two counts of the workers
WARN_SECONDS = 15.0  # without workers, before a warning

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
        """Wait for this number of workers; UsageError if one has another gradstat."""
        self.count(workers)
        self._check_workers()

    def close(self) -> None:
        """Disconnect from the cluster, which cancels the tasks."""
        with suppress(Exception):
            self._client.close(timeout=1)

    def __call__(self, task: Task, blocks: Iterator[Block], jobs: int, done: Done) -> None:
        """Sample the blocks, IN_FLIGHT ranges per thread of the cluster at a time; `jobs` is ignored."""
        _check_that_it_travels(task)
        wire, ranges = pickle.dumps(task), Ranges(blocks)
        if ranges:
            self._warm_up(wire, repr(task.specs))
            self._work(wire, ranges, done)

    def _work(self, wire: bytes, ranges: Ranges, done: Done) -> None:
        """Submit ranges until all are finished."""
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
                    done(
                        node, accumulators.copy(), draws
                    )  # merging writes into the array, and a received one can be read-only
            self._check_success(ended)

    def _warm_up(self, wire: bytes, layers: str) -> None:
        """Let one worker per machine compile into the machine's cache before the others load from it."""
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
        elsewhere = workers is not None  # if the chosen worker leaves, another one may run the task
        with self._asking():
            return self._client.submit(function, *arguments, pure=False, workers=workers, allow_other_workers=elsewhere)

    def _ended(self, running: Iterable[Any]) -> list[Any]:
        """Wait until some futures are finished, and return them."""
        while True:
            ended = [future for future in running if future.status in OVER]
            if self._client.status != "running" or any(future.status == "cancelled" for future in ended):
                raise self._lost()
            if ended:
                return ended
            self.count()
            time.sleep(0.005)

    def _check_success(self, futures: Iterable[Any]) -> None:
        """Raise the error of the first of these futures that failed."""
        with self._asking():
            failed = [future.exception() for future in futures if future.status == "error"]
        if failed:
            raise _explained(failed[0], self._address)

    @contextmanager
    def _asking(self) -> Iterator[None]:
        """Convert the various exceptions after the loss of the scheduler into one error."""
        try:
            yield
        except Exception as error:
            if self._client.status != "running" or isinstance(error, OSError | CancelledError):
                raise self._lost() from error
            raise

    def _lost(self) -> GradstatError:
        return GradstatError(
            f"the Dask scheduler at {self._address} is gone",
            "start one and repeat the command with its address to resume from the last checkpoint",
        )

    def _check_workers(self) -> None:
        """Raise UsageError if a worker has another gradstat."""
        with self._asking():
            answers = self._client.run(identity, on_error="return")
        for address, answer in answers.items():
            if isinstance(answer, BaseException):
                raise UsageError(f"Dask worker {address} cannot load gradstat ({answer})", ADVICE)
            check(address, answer, self._identity)

    def _workers(self) -> dict[str, int]:
        """The number of threads of each worker."""
        with self._asking():
            return dict(self._client.nthreads())

    def count(self, fewest: int = 1) -> int:
        """The threads of all workers, counted every LOOK_SECONDS; waits while there are too few."""
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
    """Open the engine on the cluster at `address`, or on a local cluster of `jobs` workers if it is empty."""
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
                f"layer {spec.layer!r} was registered from Python and exists only in this process: Dask workers "
                "cannot sample it; write it as an expression, or sample with --engine threads"
            )


def _explained(error: BaseException, address: str) -> BaseException:
    """The error of a task, replaced by its meaning if Dask's message does not explain it."""
    if isinstance(error, distributed.KilledWorker):
        return GradstatError(
            f"{address}: several workers ended during the same range of draws", "see their logs; they may lack memory"
        )
    if isinstance(error, ImportError | AttributeError):
        return UsageError(f"a Dask worker of {address} cannot load gradstat ({error})", ADVICE)
    return error
