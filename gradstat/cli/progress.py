"""Progress on stderr: a bar on a terminal; elsewhere a line now and then once a run lasts; with -v a line per layer."""

import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from gradstat.cli.app import say

if TYPE_CHECKING:
    from gradstat.estimation.estimates import Estimates
    from gradstat.estimation.merge_tree import MergeTree
    from gradstat.estimation.precision import Target
    from gradstat.estimation.segments import Segment

PATIENCE = 10.0  # seconds before the first plain line; then the gaps grow
LONGEST = 60.0  # seconds between two of them
GLANCE = 1.0  # seconds between two looks at the error so far


class Progress:
    """A `RunListener`, told also of the kernels and of the plan. It is there before the compiler is imported."""

    def __init__(self, quiet: bool, verbose: bool) -> None:
        self._verbose, self._plain = verbose, not quiet
        self._bar = None if quiet else running_bar()
        self._start = self._next = time.monotonic()
        self._total = self._done = self._here = 0.0  # blocks times layers: they take about equally long
        self._draws = self._left = 0
        self._target: Target | None = None
        if self._bar is not None:
            self._task = self._bar.add_task("preparing kernels", total=None)

    def ready(self, groups: int) -> None:
        """The kernels are there."""
        self.note(f"{groups} groups of layers share their draws; kernels are ready")
        if self._bar is not None:
            self._bar.update(self._task, description="sampling")

    def planned(self, segments: "Sequence[Segment]", target: "Target | None") -> None:
        """The pilot has run; what there is to do."""
        self._target, self._segments, self._number = target, len(segments), 0
        self._total = sum(_work(segment, segment.blocks.total) for segment in segments)
        self._start = time.monotonic()
        self._next = self._start + (PATIENCE if self._bar is None else GLANCE)
        if self._bar is not None:
            self._bar.reset(self._task, total=self._total)

    def begin(self, segment: "Segment", finished: int) -> None:
        """A segment begins, of which an earlier process has finished so many draws."""
        self._number += 1
        self._left = segment.blocks.total - finished
        self._advance(segment, finished, here=False)
        if not self._left:
            self.note(f"{self._number} of {self._segments}: {segment.title}: nothing is left to do")

    def done(self, segment: "Segment", tree: "MergeTree", draws: int) -> None:
        """So many draws more."""
        self._left -= draws
        self._draws += draws * len(segment.case_indices)
        self._advance(segment, draws, here=True)
        now = time.monotonic()
        if self._left == 0 and self._verbose:
            for line in _errors(segment, tree):
                self.note(f"{self._number} of {self._segments}: {line}")
        elif now >= self._next:
            self._next = now + (GLANCE if self._bar is not None else min(max(now - self._start, PATIENCE), LONGEST))
            self._glance(segment, tree)

    @property
    def percent(self) -> str:
        """How much is finished, an earlier process's share included."""
        return f"{100.0 * self._done / max(self._total, 1e-9):.1f} %"

    @property
    def fraction(self) -> str:
        """The same in brackets; nothing before it is known what there is to do."""
        return f" ({self.percent})" if self._total else ""

    def tell(self, text: str) -> None:
        """A line that matters to everybody, above the bar where there is one."""
        if self._bar is None:
            say(text)
        else:
            self._bar.console.print(f"gradstat: {text}", markup=False, highlight=False)

    def close(self) -> None:
        """The bar goes."""
        if self._bar is not None:
            self._bar.stop()
            self._bar = None

    def _advance(self, segment: "Segment", draws: int, here: bool) -> None:
        work = _work(segment, draws)
        self._done += work
        self._here += work if here else 0.0
        if self._bar is not None:
            self._bar.update(self._task, completed=self._done)

    def _glance(self, segment: "Segment", tree: "MergeTree") -> None:
        """Rate, error so far, and time left."""
        seconds = time.monotonic() - self._start
        left = _duration((self._total - self._done) / self._here * seconds)
        words = f"{self._draws / seconds:.2g} draws/s, {_error(_rows(segment, tree), self._target)}, {left} left"
        if self._bar is not None:
            self._bar.update(self._task, description=words)
        elif self._plain or self._verbose:
            say(f"{self.percent}, {words}")

    def note(self, text: str) -> None:
        """A line for those who asked for more, with -v."""
        if self._verbose:
            self.tell(f"{time.monotonic() - self._start:.1f} s, {text}")


def _work(segment: "Segment", draws: int) -> float:
    return draws / segment.blocks.length * len(segment.case_indices)


def _rows(segment: "Segment", tree: "MergeTree") -> "list[Estimates]":
    """Estimates by what is finished; none while no error can be told."""
    if not tree.has_error:
        return []
    found = segment.estimator.total(tree)
    return [segment.estimator.estimates(row, own) for (_, row), own in zip(segment.group.rows, found, strict=True)]


def _errors(segment: "Segment", tree: "MergeTree") -> Iterator[str]:
    """A line per layer: draws and error."""
    from gradstat.estimation.precision import relative_error

    rows = iter(_rows(segment, tree))
    for case in segment.group.cases:
        own = [next(rows) for _ in case.shape.rows]
        yield f"{case.title}: {own[0].n:,} draws, relative error {relative_error(own):.2g}"


def _error(rows: "Sequence[Estimates]", target: "Target | None") -> str:
    """The largest error of the layers at hand, beside its target where there is one."""
    from gradstat.estimation.precision import relative_error, worst

    if not rows:
        return "no error yet"
    if target is None:
        return f"relative error {relative_error(rows):.2g}"
    found = worst(rows, target)
    return f"error {found.error:.2g} of {found.target:g}"


def _duration(seconds: float) -> str:
    """`42 s`, `7 min`, `3.4 h`."""
    if seconds < 100.0:
        return f"{seconds:.0f} s"
    return f"{seconds / 60.0:.0f} min" if seconds < 6000.0 else f"{seconds / 3600.0:.1f} h"


def running_bar(time_left: bool = False) -> Any:
    """A bar where stderr is a terminal, None elsewhere; `stop` ends it."""
    if sys.stderr is None or not sys.stderr.isatty():
        return None
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

    columns = [TextColumn("{task.description}"), BarColumn(), TaskProgressColumn()]
    bar = Progress(
        *columns, *([TimeRemainingColumn()] if time_left else []), console=Console(stderr=True), transient=True
    )
    bar.start()
    return bar


@contextmanager
def progress(quiet: bool, verbose: bool) -> Iterator[Progress]:
    """The bar goes when the block ends, whatever ends it."""
    shown = Progress(quiet, verbose)
    try:
        yield shown
    finally:
        shown.close()
