"""Progress on stderr: a bar on a terminal, otherwise a line every 10 to 60 seconds; with -v also a line per layer."""

import os
import sys
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import TYPE_CHECKING, Any

import gradstat
from gradstat.cli.app import say
from gradstat.cli.interrupts import exit_on_interrupt, ignore_interrupts

if TYPE_CHECKING:
    from gradstat import Status

PATIENCE = 10.0  # seconds before the first plain line; the gaps between lines grow from there
LONGEST = 60.0  # seconds between two plain lines, at most
GLANCE = 1.0  # seconds between two updates of the error in the bar


class TerminalProgress(gradstat.Progress):
    """Shows the progress of a call on stderr. Created before numba is imported, so that the bar covers compilation."""

    def __init__(self, quiet: bool, verbose: bool) -> None:
        self.verbose, self._quiet = verbose, quiet
        self._bar = None if quiet else running_bar()
        self._start, self._next = time.monotonic(), 0.0
        self._first: tuple[float, int] | None = None  # time of the first call of `finished`, and its `done`
        self._task = self._bar.add_task("preparing kernels", total=None) if self._bar is not None else None

    def compiling(self) -> AbstractContextManager[None]:
        return exit_on_interrupt()

    def saving(self) -> AbstractContextManager[None]:
        return ignore_interrupts()

    def update(self, status: "Status") -> None:
        if self._bar is not None:
            if not self._bar.tasks[0].total:
                self._bar.update(self._task, total=1.0, description="sampling")
            self._bar.update(self._task, completed=status.fraction)
            wait, least = GLANCE, GLANCE
        else:
            wait, least = min(max(status.seconds, PATIENCE), LONGEST), PATIENCE
        if status.seconds >= max(self._next, least):
            self._next = status.seconds + wait
            self._describe(status)

    def finished(self, text: str, done: int, total: int) -> None:
        now = time.monotonic()
        begin, first = self._first = self._first or (now, done)
        left = f", {duration((total - done) / (done - first) * (now - begin))} left" if done > first else ""
        if self._bar is not None:
            self._bar.update(self._task, total=total, completed=done, description=f"{text}{left}")

    def note(self, text: str) -> None:
        if self.verbose:
            self._print_line(f"{time.monotonic() - self._start:.1f} s, {text}")

    def message(self, text: str) -> None:
        if not self._quiet:
            self._print_line(text)

    def warn(self, text: str) -> None:
        self._print_line(text)

    def close(self) -> None:
        if self._bar is not None:
            self._bar.stop()
            self._bar = None

    def _describe(self, status: "Status") -> None:
        """Show speed, current error and time left."""
        left = duration(status.seconds_left)
        text = f"{status.draws_per_second:.2g} draws/s, {_error(status)}, {left} left"
        if self._bar is not None:
            self._bar.update(self._task, description=text)
        elif self.verbose or not self._quiet:
            say(f"{status.percent}, {text}")

    def _print_line(self, text: str) -> None:
        """Print a line, above the bar if it is shown."""
        if self._bar is None:
            say(text)
        else:
            self._bar.console.print(f"gradstat: {text}", markup=False, highlight=False)


def _error(status: "Status") -> str:
    """The error of the layers that are being sampled, and its target if there is one."""
    error, target = status.error, status.target
    if error is None:
        return "no error yet"
    return f"relative error {error:.2g}" if target is None else f"error {error:.2g} of {target:g}"


def duration(seconds: float) -> str:
    """`42 s`, `7 min`, `3.4 h`."""
    if seconds < 100.0:
        return f"{seconds:.0f} s"
    return f"{seconds / 60.0:.0f} min" if seconds < 6000.0 else f"{seconds / 3600.0:.1f} h"


def running_bar(time_left: bool = False) -> Any:
    """A progress bar if stderr is a terminal that can redraw a line, otherwise None; `stop` removes it."""
    if sys.stderr is None or not sys.stderr.isatty() or os.environ.get("TERM") in ("dumb", "unknown"):
        return None
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

    columns = [TextColumn("{task.description}"), BarColumn(), TaskProgressColumn("{task.percentage:>5.1f} %")]
    bar = Progress(
        *columns, *([TimeRemainingColumn()] if time_left else []), console=Console(stderr=True), transient=True
    )
    bar.start()
    return bar


@contextmanager
def progress(quiet: bool, verbose: bool = False) -> Iterator[TerminalProgress]:
    """Show progress during the block; the bar is removed when the block ends."""
    terminal_progress = TerminalProgress(quiet, verbose)
    try:
        yield terminal_progress
    finally:
        terminal_progress.close()
