"""Handling of Ctrl-C: it raises an exception in Python code, and ends the process while kernels are compiled."""

import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from gradstat.errors import Exit


@contextmanager
def exit_on_interrupt() -> Iterator[None]:
    """Let Ctrl-C end the process immediately. The block must not write files.

    LLVM calls back into Python. An exception raised there is lost with a traceback, or leaves a half-built module that
    crashes when it is freed.
    """
    with _handled(_leave):
        yield


@contextmanager
def ignore_interrupts() -> Iterator[None]:
    """Ignore Ctrl-C while a checkpoint is written."""
    with _handled(signal.SIG_IGN):
        yield


@contextmanager
def _handled(handler: Any) -> Iterator[None]:
    ignored = signal.getsignal(signal.SIGINT) is signal.SIG_IGN  # set by a shell for background processes
    if ignored or threading.current_thread() is not threading.main_thread():
        yield  # only the main thread receives signals
        return
    previous = signal.signal(signal.SIGINT, handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, previous)


def _leave(*signal_and_frame: Any) -> None:
    with suppress(OSError, AttributeError, ValueError):
        bar = "\r\x1b[2K\x1b[?25h" if sys.stderr.isatty() else ""  # erase the progress bar and show the cursor
        os.write(sys.stderr.fileno(), f"{bar}gradstat: interrupted\n".encode())
    os._exit(Exit.INTERRUPTED)
