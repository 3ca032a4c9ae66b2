"""The workers of a Dask cluster that may sample: those that answer, and that run this gradstat."""

import asyncio
import concurrent.futures
import math
import time
import warnings
from collections.abc import Coroutine
from dataclasses import dataclass
from typing import Any

from gradstat.errors import GradstatError, UsageError
from gradstat.estimation.engines import ClusterWarning
from gradstat.estimation.engines.identity import ADVICE, check, identity

LOOK_SECONDS = 1.0  # between two looks at the workers
SOON_SECONDS = 0.1  # the same, while there is no worker
WARN_SECONDS = 15.0  # without workers, before a warning
MEET_SECONDS = 10.0  # in which the workers that are there at the start have to answer


Later = concurrent.futures.Future[Any]


def in_background(client: Any, answer: Coroutine[Any, Any, Any]) -> Later:
    """The answer that a client's method with `asynchronous=True` promises, once it is there."""
    return asyncio.run_coroutine_threadsafe(answer, client.loop.asyncio_loop)


class Call:
    """A call of a function on one worker, which no other worker takes over. Nothing here waits for an answer."""

    def __init__(self, client: Any, worker: str, function: Any, *arguments: Any) -> None:
        self.worker, self._client = worker, client
        self._future = client.submit(function, *arguments, pure=False, workers=[worker])
        self._fetched: Later | None = None

    def ended(self) -> bool:
        """True once `result` has an answer."""
        if self._fetched is None and self._future.status != "pending":
            self._fetched = in_background(self._client, self._client.gather(self._future, asynchronous=True))
        return self._fetched is not None and self._fetched.done()

    def result(self) -> Any:
        """What the function returned; raises what it raised."""
        assert self._fetched is not None
        return self._fetched.result()


@dataclass
class Worker:
    """What is known of one worker."""

    asked: Later  # its identity
    threads: int
    seen: float  # its last sign of life on the scheduler's clock
    heard: float  # when `seen` last changed, on this process's clock
    judged: bool = False
    foreign: str = ""  # why it may not sample
    silent: bool = False

    @property
    def ready(self) -> bool:
        """True if it may sample."""
        return self.judged and not self.foreign and not self.silent


class Workers:
    """The workers of a scheduler; one that does not answer for `timeout` seconds is left out until it does."""

    def __init__(self, client: Any, address: str, timeout: float) -> None:
        self._client, self._address, self._timeout = client, address, timeout
        self._identity = identity()
        self._known: dict[str, Worker] = {}
        self._looked, self._alone = -math.inf, time.monotonic()

    def meet(self) -> None:
        """Wait for a worker, and for those that are there to answer; UsageError if all have another gradstat."""
        start = time.monotonic()
        while True:
            ready, known = self.ready(), [*self._known.values()]
            late = time.monotonic() - start > min(MEET_SECONDS, self._timeout)
            if ready and (late or all(worker.judged for worker in known)):
                return
            if known and all(worker.foreign for worker in known):
                raise UsageError(known[0].foreign, ADVICE)
            time.sleep(0.02)

    def ready(self) -> dict[str, int]:
        """The addresses of the workers that may sample now, with their numbers of threads."""
        if time.monotonic() - self._looked >= (LOOK_SECONDS if self._known else SOON_SECONDS):
            self._look()
        for address, worker in self._known.items():
            if not worker.judged and worker.asked.done():
                self._judge(address, worker)
        ready = {address: worker.threads for address, worker in self._known.items() if worker.ready}
        if ready:
            self._alone = time.monotonic()
        elif time.monotonic() - self._alone > WARN_SECONDS:
            self._alone = math.inf
            warnings.warn(f"{self._address} has no workers that can sample; waiting", ClusterWarning, stacklevel=2)
        return ready

    def knows(self, address: str) -> bool:
        """True if the scheduler still has this worker."""
        return address in self._known

    def _look(self) -> None:
        """Ask the scheduler for its workers."""
        present = self._ask()
        self._looked = now = time.monotonic()
        self._known = {address: worker for address, worker in self._known.items() if address in present}
        for address, facts in present.items():
            threads, seen = facts["nthreads"], facts["last_seen"]
            if address not in self._known:
                self._known[address] = Worker(self._ask_for_identity(address), threads, seen, now)
            worker = self._known[address]
            if worker.seen != seen:
                worker.seen, worker.heard, worker.silent = seen, now, False
            elif now - worker.heard > self._timeout and not worker.silent:
                worker.silent = True
                message = f"Dask worker {address} has not answered for {self._timeout:g} s"
                warnings.warn(f"{message}: other workers sample its draws", ClusterWarning, stacklevel=2)

    def _ask(self) -> dict[str, Any]:
        try:
            answer = self._client.sync(self._client.scheduler.identity, callback_timeout=self._timeout)
        except TimeoutError:
            raise lost(self._address, f"has not answered for {self._timeout:g} s") from None
        workers: dict[str, Any] = answer["workers"]
        return workers

    def _ask_for_identity(self, address: str) -> Later:
        """Not as a task: a worker that cannot unpickle a task loses its connection, and says nothing."""
        run = self._client.run(identity, workers=[address], on_error="return", asynchronous=True)
        return in_background(self._client, run)

    def _judge(self, address: str, worker: Worker) -> None:
        """Note whether it has this gradstat; warn if it is left out while others sample."""
        worker.judged = True
        try:
            answer = worker.asked.result()[address]
            if isinstance(answer, BaseException):
                raise answer
            check(address, answer, self._identity)
            return
        except OSError:  # the connection broke: ask again, unless the worker is gone
            worker.judged, worker.asked = False, self._ask_for_identity(address)
            return
        except UsageError as error:
            worker.foreign = error.args[0]
        except Exception as error:  # whatever its gradstat raises
            worker.foreign = f"Dask worker {address} cannot load gradstat ({error})"
        if not all(other.foreign for other in self._known.values()):
            warnings.warn(f"{worker.foreign}: it is left out; {ADVICE}", ClusterWarning, stacklevel=2)


def lost(address: str, what: str = "is gone") -> GradstatError:
    """The error of a run that lost its scheduler."""
    return GradstatError(
        f"the Dask scheduler at {address} {what}",
        "start one and repeat the command with its address to resume from the last checkpoint",
    )
