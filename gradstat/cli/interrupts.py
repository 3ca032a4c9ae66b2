"""Ctrl-C: an exception in Python code, the end of the process while kernels are compiled."""

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
    """While this lasts, Ctrl-C ends the process there and then; nothing may be half written meanwhile.

    LLVM calls back into Python, where an exception is lost with a traceback, or leaves a half-built module whose
    removal crashes.
    """
    with _handled(_leave):
        yield


@contextmanager
def ignore_interrupts() -> Iterator[None]:
    """While this lasts, Ctrl-C is not heard: what is finished is being written down."""
    with _handled(signal.SIG_IGN):
        yield


@contextmanager
def _handled(handler: Any) -> Iterator[None]:
    ignored = signal.getsignal(signal.SIGINT) is signal.SIG_IGN  # what a shell starts in the background
    if ignored or threading.current_thread() is not threading.main_thread():
        yield  # no other thread is told of signals
        return
    before = signal.signal(signal.SIGINT, handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _leave(*signal_and_frame: Any) -> None:
    with suppress(OSError, AttributeError, ValueError):
        bar = "\r\x1b[2K\x1b[?25h" if sys.stderr.isatty() else ""  # what a progress bar would clear up
        os.write(sys.stderr.fileno(), f"{bar}gradstat: interrupted\n".encode())
    os._exit(Exit.INTERRUPTED)
