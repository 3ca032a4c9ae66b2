"""Dask clusters: one within this process, or a running one. Dask's log messages are not shown."""

import asyncio
import logging
import tempfile
import warnings
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import dask
import distributed

from gradstat.errors import UsageError

NO_LOGS = logging.CRITICAL + 1
ANSWER_SECONDS = 10.0  # a running scheduler answers within milliseconds
LIBRARIES = ("distributed", "tornado", "asyncio", "bokeh")


class Unreachable:
    """Of a scheduler or worker: serves no HTTP. Dask's classes listen on a port even without a dashboard."""

    def start_http_server(self, *options: Any, **more: Any) -> None:
        """Start nothing."""


class LocalScheduler(Unreachable, distributed.Scheduler):  # type: ignore[misc]
    """A scheduler that only this process can reach."""


class LocalWorker(Unreachable, distributed.Worker):  # type: ignore[misc]
    """A worker that only this process can reach."""


@contextmanager
def local_cluster(threads: int) -> Iterator[str]:
    """The address of a scheduler in this process, and of one worker with this number of threads.

    They talk within the process. Whoever reaches a scheduler runs code as its user, and a port of this machine can be
    reached by every user. Kernels run without the GIL, so processes would not be faster.
    """
    common = {"protocol": "inproc://", "dashboard": False}
    worker = common | {"nthreads": threads, "memory_limit": 0}  # with a limit, Dask would pause it
    with (
        tempfile.TemporaryDirectory(prefix="gradstat-dask-") as scratch,  # Python imports from it: it must be private
        dask.config.set({"temporary-directory": scratch}),
        distributed.SpecCluster(
            scheduler={"cls": LocalScheduler, "options": common},
            workers={0: {"cls": LocalWorker, "options": worker}},
            silence_logs=NO_LOGS,
        ) as cluster,
    ):
        yield str(cluster.scheduler_address)


def connect(address: str) -> Any:
    """A client of the scheduler at this address; UsageError if no scheduler answers."""
    own = distributed.Security().get_connection_args("client")
    if address.startswith("tls:") and own.get("ssl_context") is None:
        raise UsageError(f"{address} needs certificates; name them in Dask's configuration, under distributed.comm.tls")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # identity.py checks the versions that matter
        try:
            if not address.startswith("inproc:"):
                with ThreadPoolExecutor(1) as pool:  # in a thread: a notebook's own has an event loop already
                    pool.submit(asyncio.run, _probe(address, own)).result()
            return distributed.Client(address, timeout=ANSWER_SECONDS, set_as_default=False, name="gradstat")
        except TimeoutError:
            reason = f"nothing within {ANSWER_SECONDS:g} s"
        except (OSError, ValueError) as error:
            reason = " ".join(str(error).split())
        except Exception:  # a MemoryError, for example: the answer of another server is read as a length
            reason = "another server answers"
        raise UsageError(f"no Dask scheduler answers at {address} ({reason}); is it running?")


async def _probe(address: str, connection: Any) -> None:
    """Raise an exception unless a scheduler answers: a client would wait for ever for a port that stays silent."""
    async with asyncio.timeout(ANSWER_SECONDS):
        async with distributed.rpc(address, connection_args=connection) as scheduler:
            answer = await scheduler.identity()
    if "workers" not in answer:
        raise ValueError(f"it is a {answer.get('type', 'stranger')}")


@contextmanager
def without_logs() -> Iterator[None]:
    """Suppress the log messages of Dask and its libraries in the block."""
    names = [name for name in logging.root.manager.loggerDict if name.partition(".")[0] in LIBRARIES]
    loggers = [logging.getLogger(name) for name in {*names, *LIBRARIES}]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(NO_LOGS)
    try:
        yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
