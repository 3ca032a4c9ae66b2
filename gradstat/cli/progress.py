"""Progress on stderr: a bar on a terminal, with -v a line per group, else nothing."""

import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

from gradstat.cli.app import say


class Progress:
    """Told first of the groups of layers that are sampled one after the other, then of the draws of each block."""

    def __init__(self, bar: Any, verbose: bool) -> None:
        self._bar, self._verbose = bar, verbose
        self._groups: Sequence[str] = ()
        self._samples = self._draws = 0
        self._start = time.perf_counter()
        if bar is not None:
            self._task = bar.add_task("preparing kernels", total=None)

    def begin(self, groups: Sequence[str], samples: int) -> None:
        """The kernels are there, the first draw comes."""
        self._groups, self._samples = groups, samples
        self._line(f"{len(groups)} groups of layers share their draws; kernels are ready")
        if self._bar is not None:
            self._bar.reset(self._task, description="sampling", total=samples * len(groups))

    def __call__(self, draws: int) -> None:
        """So many draws more are done."""
        self._draws += draws
        if self._bar is not None:
            self._bar.advance(self._task, draws)
        done, left = divmod(self._draws, self._samples)
        if not left:
            self._line(f"{done} of {len(self._groups)}: {self._groups[done - 1]}")

    def _line(self, text: str) -> None:
        if self._verbose:
            line = f"{time.perf_counter() - self._start:.1f} s, {text}"
            if self._bar is None:
                say(line)
            else:
                self._bar.console.print(f"gradstat: {line}", markup=False, highlight=False)


@contextmanager
def progress(quiet: bool, verbose: bool) -> Iterator[Progress]:
    """The bar goes when the block ends, whatever ends it."""
    with ExitStack() as stack:
        bar = None
        if not quiet and sys.stderr is not None and sys.stderr.isatty():
            from rich.console import Console
            from rich.progress import BarColumn, TaskProgressColumn, TextColumn, TimeRemainingColumn
            from rich.progress import Progress as Bar

            columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
            bar = stack.enter_context(Bar(*columns, console=Console(stderr=True), transient=True))
        yield Progress(bar, verbose)
