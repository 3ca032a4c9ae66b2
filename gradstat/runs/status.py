"""The state of a run: finished draws, speed, current error, and time left."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager

from gradstat.estimation.estimates import Estimates
from gradstat.estimation.merge_tree import MergeTree
from gradstat.estimation.precision import Target, relative_error, worst
from gradstat.estimation.segments import Segment
from gradstat.runs.progress import Progress


class Status:
    """The state of a run. A `RunListener` that counts draws and passes itself to a `Progress`."""

    def __init__(self, progress: Progress, clock: Callable[[], float] = time.monotonic) -> None:
        self._progress, self._clock = progress, clock
        self._start = clock()
        self._total = self._done = self._here = 0.0  # in blocks times layers, which take about equal times
        self._draws = self._left = self._number = self._segments = 0
        self._target: Target | None = None

    def compiling(self) -> AbstractContextManager[None]:
        """The context of the `Progress` for compiling kernels."""
        return self._progress.compiling()

    def planned(self, segments: Sequence[Segment], target: Target | None) -> None:
        """Called after the pilot, with the segments to sample."""
        self._target, self._segments = target, len(segments)
        self._total = sum(_work(segment, segment.blocks.total) for segment in segments)
        self._start = self._clock()

    def begin(self, segment: Segment, finished: int) -> None:
        """Called when a segment begins, of which an earlier process finished `finished` draws."""
        self._number += 1
        self._segment, self._left = segment, segment.blocks.total - finished
        self._done += _work(segment, finished)
        if not self._left:
            self._progress.note(f"{self._number} of {self._segments}: {segment.label}: already finished")

    def done(self, segment: Segment, tree: MergeTree, draws: int) -> None:
        """Called when `draws` more draws are in the merge tree of the segment."""
        self._tree = tree
        self._left -= draws
        self._draws += draws * len(segment.case_indices)
        self._done += _work(segment, draws)
        self._here += _work(segment, draws)
        if self._left == 0 and self._progress.verbose:
            for line in self._errors():
                self._progress.note(f"{self._number} of {self._segments}: {line}")
        self._progress.update(self)

    @property
    def fraction(self) -> float:
        """The finished fraction of the run, including the draws of earlier processes; 0.0 before the pilot has run."""
        return self._done / self._total if self._total else 0.0

    @property
    def percent(self) -> str:
        """The fraction as `12.5 %`; empty before the pilot has run."""
        return f"{100.0 * self.fraction:.1f} %" if self._total else ""

    @property
    def seconds(self) -> float:
        """Seconds of sampling in this process."""
        return self._clock() - self._start

    @property
    def draws_per_second(self) -> float:
        """Draws per second in this process, all layers together."""
        return self._draws / max(self.seconds, 1e-9)

    @property
    def seconds_left(self) -> float:
        """Estimated seconds until the end, at the speed so far."""
        return (self._total - self._done) / self._here * self.seconds

    @property
    def target(self) -> float | None:
        """The target for `error`; None if the number of draws was given."""
        rows = self._rows()
        return None if self._target is None or not rows else worst(rows, self._target).target

    @property
    def error(self) -> float | None:
        """The error furthest from its target, or the largest relative error, in the current segment.

        None until known.
        """
        rows = self._rows()
        if not rows:
            return None
        return relative_error(rows) if self._target is None else worst(rows, self._target).error

    def _rows(self) -> list[Estimates]:
        """Estimates from the finished draws; empty until errors can be estimated."""
        if not self._tree.has_error:
            return []
        estimator, group = self._segment.estimator, self._segment.group
        totals = estimator.total(self._tree)
        return [estimator.estimates(row, total) for (_, row), total in zip(group.rows, totals, strict=True)]

    def _errors(self) -> Iterator[str]:
        """One line per layer: draws and error."""
        rows = iter(self._rows())
        for case in self._segment.group.cases:
            estimates = [next(rows) for _ in case.shape.rows]
            yield f"{case.label}: {estimates[0].n:,} draws, relative error {relative_error(estimates):.2g}"


def _work(segment: Segment, draws: int) -> float:
    return draws / segment.blocks.length * len(segment.case_indices)
