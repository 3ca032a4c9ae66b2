"""A limit on the time of a call, kept by an alarm signal: it ends the call as Ctrl-C does, wherever the call is."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from gradstat.errors import UsageError

GRACE = 0.25  # of the limit: for what a call still does after the limit, for example exact values that need no sample


class TimeLimitReached(KeyboardInterrupt):
    """The time of a call is over. It is handled like Ctrl-C, with another reason."""


@contextmanager
def time_limit(seconds: float | None) -> Iterator[None]:
    """Raise TimeLimitReached in the block after `seconds`, and again after each GRACE of them; None sets no limit."""
    if seconds is None:
        yield
        return
    if not 0.0 < seconds < 1e9:
        raise UsageError(f"timeout = {seconds:g} is not allowed; expected a number of seconds above 0")
    if threading.current_thread() is not threading.main_thread():
        raise UsageError("a timeout works in the main thread only; leave it out")
    handler = signal.signal(signal.SIGALRM, _stop)
    signal.setitimer(signal.ITIMER_REAL, seconds, seconds * GRACE)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0.0)
        signal.signal(signal.SIGALRM, handler)


def _stop(number: int, frame: FrameType | None) -> None:
    raise TimeLimitReached
