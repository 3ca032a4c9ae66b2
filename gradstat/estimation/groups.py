"""Cases → groups: cases that need the same draws are sampled together."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from gradstat.errors import UsageError
from gradstat.estimation.blocks import Blocks, block_draws, pilot_draws
from gradstat.estimation.callbacks import callback_of
from gradstat.layer_types.case import Case
from gradstat.layer_types.record import FORWARD, MOST_KEPT, Row
from gradstat.numerics.columns import WIDTH
from gradstat.numerics.draws import LANES
from gradstat.numerics.sums import COLUMNS, SUMS, TOTALS

EQUALLY = (0,)
KINDS = {"normal": 0, "uniform": 1, "flat": 2}  # of the weights of a stream
MOST_WEIGHTS = 2**26  # of a stream: minutes for the 1024 draws of a batch
SECONDS_PER_WEIGHT = 2e-9  # of a stream, each time that it is drawn
MOST_VALUES = 2**15  # inputs, outputs and norms of a draw: 1024 lanes take 0.5 GB on every thread
EXACT = "gradstat gain shows the exact values, which need no draw"
Array = np.ndarray[Any, np.dtype[np.float64]]


class Group:
    """Cases with the same x and dy, and the arrays that describe them to the kernel.

    With no `callbacks` it can be planned, and not sampled.
    """

    def __init__(self, cases: Sequence[Case], callbacks: Sequence[Any] | None = None) -> None:
        self.cases = tuple(cases)
        self.block_draws, self.pilot_draws = block_draws(cases[0]), pilot_draws(cases[0])
        self.rows: list[tuple[Case, Row]] = [(case, row) for case in cases for row in case.shape.rows]
        # keeps the callbacks alive: numba frees the machine code of an unreferenced callback
        self._callbacks = [callback_of(case) for case in cases] if callbacks is None else callbacks
        shapes = [(c.shape.n_in, c.shape.n_out, c.shape.noise, len(c.constants)) for c in cases]
        width = max(1, *(shape[3] for shape in shapes)) if shapes else 1
        constants = np.zeros((len(cases), width))
        for line, case in zip(constants, cases, strict=True):
            line[: len(case.constants)] = case.constants
        owners = [layer for layer, case in enumerate(cases) for _ in case.shape.rows]
        ends = np.cumsum([len(row.slots) for _, row in self.rows])
        table = [
            (layer, int(row.direction != FORWARD), end - len(row.slots), end)
            for layer, (_, row), end in zip(owners, self.rows, ends, strict=True)
        ]
        self.arrays: tuple[Any, ...] = (
            np.array([callback.address for callback in self._callbacks], np.int64),
            np.array(shapes, np.int64),
            np.array([int(c.shape.noise_kind == "uniform") for c in cases], np.int64),
            constants,
            np.array(table, np.int64),
            np.concatenate([np.array(row.slots, np.int64) for _, row in self.rows]),
        )
        self.streams = streams_of(cases)
        self.slots_of_rows = np.array([len(row.slots) for _, row in self.rows], np.int64)
        self.centres = np.zeros(len(self.rows))
        x, dy = cases[0].x, cases[0].dy
        kinds = (x.law.code, dy.law.code)
        scale = (x.mean, x.std, x.correlation, dy.correlation)
        sizes = map_of(cases[0])
        self.assumptions = (np.array(kinds, np.int64), np.array(scale), np.array(sizes, np.int64))

    @property
    def symmetric(self) -> bool:
        """True if the means of all rows are 0 because the signs of the weights that a stream draws are symmetric."""
        return self.streams is not None and not np.any(self.streams[:, 2] == KINDS["flat"])

    def seconds(self, draws: int) -> float:
        """About how long one core takes to draw the weights of its streams; 0 without a stream."""
        passes = sum(s.weights * (2 if s.kept else 1) for s in (case.shape.stream for case in self.cases) if s)
        return passes * -(-draws // LANES) * LANES * SECONDS_PER_WEIGHT

    def empty(self) -> tuple[Array, Array, Array]:
        """Uninitialized arrays for the partial sums, the totals and the accumulators of every row."""
        n = len(self.rows)
        return np.empty((n, SUMS, COLUMNS)), np.empty((n, TOTALS, COLUMNS)), np.empty((n, WIDTH))

    def blocks(self, samples: int) -> Blocks:
        """The blocks of draws [0, samples)."""
        return Blocks.of(samples, self.block_draws)

    def only(self, cases: Sequence[Case]) -> "Group":
        """A group of some of these cases, with their centres and compiled kernels."""
        if len(cases) == len(self.cases):
            return self
        wanted = {id(case) for case in cases}
        kept = [i for i, case in enumerate(self.cases) if id(case) in wanted]
        callbacks = [self._callbacks[i] for i in kept] if self._callbacks else ()
        group = Group([self.cases[i] for i in kept], callbacks)
        group.centres[:] = self.centres[[id(case) in wanted for case, _ in self.rows]]
        return group


def map_of(case: Case) -> tuple[int, ...]:
    """The sizes of the map on which x is correlated: (0,) if all inputs are correlated equally, () if none are."""
    if not case.x.correlation:
        return ()
    return EQUALLY if case.shape.equicorrelated and case.shape.n_in > 1 else case.shape.grid


def streams_of(cases: Sequence[Case]) -> Any:
    """The streams of cases for `run_streamed`; None if they have none."""
    streams = [case.shape.stream for case in cases]
    table = [(s.rows, s.length, KINDS[s.kind], s.kept, s.span) for s in streams if s is not None]
    return np.array(table, np.int64) if table else None


def check_room(case: Case, independent: bool) -> None:
    """Raise UsageError for a case with more weights or more values in a draw than can be sampled."""
    shape, where = case.shape, case.layer_label
    stream, values = shape.stream, shape.n_in + shape.n_out + (shape.stream.kept if shape.stream else 0)
    weights = stream.weights if stream else shape.noise
    most = MOST_WEIGHTS if stream else MOST_KEPT
    if weights > most:
        what = f"{weights} weights" if stream else f"{weights} weights that depend on each other"
        raise UsageError(f"{where}: a draw has {what}; at most {most} can be sampled", EXACT)
    if values > MOST_VALUES:
        raise UsageError(
            f"{where}: a draw has {values} inputs, outputs and norms; at most {MOST_VALUES} can be sampled", EXACT
        )
    if stream and not independent:
        raise UsageError(
            f"{where}: {weights} weights of one draw are sampled with the estimator mc only; found rqmc", EXACT
        )


def groups(cases: Sequence[Case], independent: bool = True) -> list[Group]:
    """Groups of cases with equal slots, assumptions and sizes of block and pilot, in order of first appearance.

    Compiles their layers, in the caller's thread. `independent`: their draws will be independent.
    """
    for case in cases:
        check_room(case, independent)
    return [Group(members) for members in with_equal_draws(cases)]


def with_equal_draws(cases: Sequence[Case]) -> list[list[Case]]:
    """The cases of each group."""
    found: dict[Any, list[Case]] = {}
    for case in cases:
        slots = (case.shape.n_in, case.shape.n_out, map_of(case), case.shape.stream is None)
        key = (*slots, case.x, case.dy, block_draws(case), pilot_draws(case))
        found.setdefault(key, []).append(case)
    return list(found.values())
