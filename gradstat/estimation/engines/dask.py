"""The Dask engine: ranges of blocks as tasks on a cluster, a bounded number of them at a time.

A task is a few hundred bytes of names and numbers; its result is a few nodes of the merge tree. The blocks of a worker
that is lost or does not answer are sampled again by another one, with equal bytes. A lost scheduler ends the run, which
can resume from its checkpoints.
"""

import pickle
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from typing import Any

import distributed
from distributed import CancelledError
from distributed.comm.addressing import get_address_host

from gradstat.errors import GradstatError, UsageError
from gradstat.estimation.blocks import Block
from gradstat.estimation.engines import dask_worker
from gradstat.estimation.engines.dask_cluster import connect, local_cluster, without_logs
from gradstat.estimation.engines.dask_workers import Call, Workers, lost
from gradstat.estimation.engines.identity import ADVICE, identity
from gradstat.estimation.engines.ranges import Range, Ranges
from gradstat.estimation.tasks import Done, Task
from gradstat.layer_types.registration import is_registered

IN_FLIGHT = 2  # ranges per thread of a worker: one running, one waiting
MOST_LOSSES = 3  # workers that may end during the same range


class DaskEngine:
    """An engine on the workers of one scheduler."""

    def __init__(self, address: str, worker_timeout: float) -> None:
        self._address = address
        self._identity = identity()
        self._warm: set[str] = set()
        self._client = connect(address)
        self._workers = Workers(self._client, address, worker_timeout)

    def meet(self) -> None:
        """Wait for the workers; UsageError if all of them have another gradstat."""
        with self._asking():
            self._workers.meet()

    def close(self) -> None:
        """Disconnect from the cluster, which cancels the tasks."""
        with suppress(Exception):
            self._client.close(timeout=1)

    def count(self) -> int:
        """The threads of all workers that may sample."""
        return sum(self._ready().values())

    def __call__(self, task: Task, blocks: Iterator[Block], jobs: int, done: Done) -> None:
        """Sample the blocks, IN_FLIGHT ranges per thread of the cluster at a time; `jobs` is ignored."""
        _check_that_it_travels(task)
        wire, ranges = pickle.dumps(task), Ranges(blocks)
        if ranges:
            self._warm_up(wire, repr(task.specs))
            self._work(wire, ranges, done)

    def _work(self, wire: bytes, ranges: Ranges, done: Done) -> None:
        """Give ranges to workers until all are finished."""
        running: dict[Call, Range] = {}
        losses: Counter[Range] = Counter()
        while True:
            ready = self._ready()
            for call in [call for call in running if call.worker not in ready]:
                returned = running.pop(call)
                ranges.give_back(returned)
                losses[returned] += not self._workers.knows(call.worker)
                if losses[returned] >= MOST_LOSSES:
                    raise _deadly(self._address)
            for worker in self._with_room(ready, running):
                if own := ranges.take():
                    running[self._call(worker, dask_worker.sample, wire, *own, self._identity)] = own
            if not running and not ranges:
                return
            ended = [call for call in running if call.ended()]
            for call in ended:
                nodes, seconds = self._result(call)
                ranges.timed(running.pop(call), seconds)
                for node, accumulators, draws in nodes:
                    done(
                        node, accumulators.copy(), draws
                    )  # merging writes into the array, and a received one can be read-only
            if not ended:
                time.sleep(0.005)

    def _warm_up(self, wire: bytes, layers: str) -> None:
        """Let one worker per machine compile into the machine's cache before the others load from it."""
        if layers in self._warm:
            return
        one_of_each = {get_address_host(address): address for address in self._ready()}
        asked = [self._call(a, dask_worker.prepare, wire, self._identity) for a in one_of_each.values()]
        while asked:
            for call in [call for call in asked if call.ended()]:
                self._result(call)
                asked.remove(call)
            asked = [call for call in asked if call.worker in self._ready()]
            time.sleep(0.005)
        self._warm.add(layers)

    def _with_room(self, ready: dict[str, int], running: dict[Call, Range]) -> Iterator[str]:
        """The workers that can take a range, each once per range: first those that have nothing to do."""
        given = Counter(call.worker for call in running)
        for deep in range(1, IN_FLIGHT + 1):
            for worker, threads in ready.items():
                for _ in range(deep * threads - given[worker]):
                    given[worker] += 1
                    yield worker

    def _call(self, worker: str, function: Any, *arguments: Any) -> Call:
        with self._asking():
            return Call(self._client, worker, function, *arguments)

    def _ready(self) -> dict[str, int]:
        if self._client.status != "running":
            raise lost(self._address)
        with self._asking():
            return self._workers.ready()

    def _result(self, call: Call) -> Any:
        """The result of a call; its error, explained."""
        with self._asking():
            try:
                return call.result()
            except distributed.KilledWorker:
                raise _deadly(self._address) from None
            except (ImportError, AttributeError) as error:
                raise UsageError(f"a Dask worker of {self._address} cannot load gradstat ({error})", ADVICE) from error

    @contextmanager
    def _asking(self) -> Iterator[None]:
        """Convert the various exceptions after the loss of the scheduler into one error."""
        try:
            yield
        except GradstatError:
            raise
        except Exception as error:
            if self._client.status != "running" or isinstance(error, OSError | CancelledError):
                raise lost(self._address) from error
            raise


@contextmanager
def opened(address: str, jobs: int, worker_timeout: float) -> Iterator[DaskEngine]:
    """Open the engine on the cluster at `address`, or on `jobs` threads of this process if it is empty."""
    with ExitStack() as stack:
        stack.enter_context(without_logs())
        engine = DaskEngine(address or stack.enter_context(local_cluster(jobs)), worker_timeout)
        stack.callback(engine.close)
        engine.meet()
        yield engine


def _check_that_it_travels(task: Task) -> None:
    for spec in task.specs:
        if is_registered(spec.layer):
            raise UsageError(
                f"layer {spec.layer!r} was registered from Python and exists only in this process: Dask workers "
                "cannot sample it; write it as an expression, or sample with --engine threads"
            )


def _deadly(address: str) -> GradstatError:
    return GradstatError(
        f"{address}: several workers ended during the same range of draws", "see their logs; they may lack memory"
    )
