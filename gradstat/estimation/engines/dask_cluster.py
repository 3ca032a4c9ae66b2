"""Dask clusters: one on this machine, or a running one. Dask's log messages are not shown."""

import logging
import os
import signal
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from multiprocessing import resource_tracker
from typing import Any

import distributed

from gradstat.errors import UsageError

NO_LOGS = logging.CRITICAL + 1
ANSWER_SECONDS = 10.0  # a running scheduler answers within milliseconds
LIBRARIES = ("distributed", "tornado", "asyncio", "bokeh")


class ClusterWarning(UserWarning):
    """A problem of a cluster that costs time but no draws."""


@contextmanager
def local_cluster(workers: int) -> Iterator[str]:
    """The address of a scheduler in this process; each of its workers is a process of one thread."""
    with _without_current_folder():
        yield from _local_cluster(workers)


def _local_cluster(workers: int) -> Iterator[str]:
    with _ctrl_c_for_this_thread_alone():
        cluster = distributed.LocalCluster(
            n_workers=0,
            threads_per_worker=1,
            processes=True,
            host="127.0.0.1",
            dashboard_address=None,
            # Without a dashboard the scheduler still serves HTTP: on a free port of this machine, not on 0.0.0.0:8787.
            scheduler_kwargs={"dashboard_address": "127.0.0.1:0"},
            memory_limit=None,  # with a limit, Dask would end workers when other programs need memory
            silence_logs=NO_LOGS,
            env={"NUMBA_NUM_THREADS": "1"},
        )
    try:
        cluster.scale(workers)
        yield str(cluster.scheduler_address)
    finally:
        for nanny in list(cluster.workers.values()):  # otherwise a busy worker would end only after its range
            with suppress(OSError, TypeError):
                os.kill(nanny.pid, signal.SIGKILL)
        cluster.close()


@contextmanager
def _without_current_folder() -> Iterator[None]:
    """Processes started in the block do not import from their current folder."""
    before = os.environ.get("PYTHONSAFEPATH")
    os.environ["PYTHONSAFEPATH"] = "1"
    try:
        yield
    finally:
        if before is None:
            del os.environ["PYTHONSAFEPATH"]
        else:
            os.environ["PYTHONSAFEPATH"] = before


@contextmanager
def _ctrl_c_for_this_thread_alone() -> Iterator[None]:
    """Threads and processes started in the block, and their children, do not receive Ctrl-C.

    The shell sends it to the whole process group, and every worker would print a traceback.
    """
    _start_tracker()
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _start_tracker() -> None:
    """Start multiprocessing's resource tracker now: started later, it would unblock SIGINT for the processes after it.

    It also removes the resources of killed processes, and its messages about them are not shown.
    """
    before = os.environ.get("PYTHONWARNINGS")
    os.environ["PYTHONWARNINGS"] = ",".join(filter(None, (before, "ignore:resource_tracker:UserWarning")))
    try:
        resource_tracker.ensure_running()
    finally:
        if before is None:
            del os.environ["PYTHONWARNINGS"]
        else:
            os.environ["PYTHONWARNINGS"] = before


def connect(address: str) -> Any:
    """A client of the scheduler at this address; UsageError if no scheduler answers."""
    own = distributed.Security().get_connection_args("client")
    if address.startswith("tls:") and own.get("ssl_context") is None:
        raise UsageError(f"{address} needs certificates; name them in Dask's configuration, under distributed.comm.tls")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # identity.py checks the versions that matter
        try:
            return distributed.Client(address, timeout=ANSWER_SECONDS, set_as_default=False, name="gradstat")
        except (OSError, ValueError) as error:
            reason = " ".join(str(error).split())
            raise UsageError(f"no Dask scheduler answers at {address} ({reason}); is it running?") from None


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
