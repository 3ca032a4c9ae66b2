"""The return value of `gradstat gain`: statistics of one layer, exact if known, otherwise sampled."""

import math
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from statistics import stdev
from typing import Any

from gradstat.errors import UsageError, unknown
from gradstat.estimators import DEFAULT_SEED
from gradstat.layer_types.case import Case
from gradstat.layer_types.record import ALL, BACKWARD, FORWARD, Exact
from gradstat.layer_types.statistics import STATISTICS, enclosure_of, exact_value
from gradstat.results.estimate import Estimate, Statistics, sampled
from gradstat.text.answer import Answer
from gradstat.text.formats import CODE, TABLES
from gradstat.text.tables import Column, Report, Table
from gradstat.text.uncertain import Uncertain

DEFAULT = ("mean", "std", "rms", "gain_std", "gain_rms")
DIRECTIONS = {FORWARD: "y", BACKWARD: "dx"}
SAMPLES = 2**24
WHICH = "He initialization: gain_rms (of y: fan_in, of dx: fan_out); weight standardization: gain_std of y"
NUMBERS = 2**32  # weights drawn in all: half a minute
MOST_WEIGHTS = 2**22  # of one draw: a batch of 1024 draws takes half a minute
LANES = 1024  # draws of a batch, the fewest
BATCHES = 32  # number of batches; their spread gives the error of skewness and kurtosis


@dataclass(frozen=True)
class Constant:
    """One statistic of one direction, exact or with its standard error."""

    direction: str
    statistic: str
    number: Uncertain
    reason: str = ""  # why it is infinite or undefined

    @property
    def note(self) -> str:
        """The definition in terms of the variable, `1/σ[dx]`."""
        return definition(self.statistic, self.direction)


def definition(statistic: str, direction: str) -> str:
    """The definition of a statistic, in terms of y or dx."""
    return re.sub(r"(?<![a-z])v(?![a-z])", DIRECTIONS[direction], STATISTICS[statistic].description)


def gains(case: Case, statistics: Sequence[str] = DEFAULT, jobs: int = 0) -> list[Constant]:
    """Every statistic in both directions: exact if known, otherwise sampled."""
    keys = [(direction, name, ALL) for name in statistics for direction in DIRECTIONS]
    return answers(case, keys, jobs)


def answers(case: Case, keys: Sequence[tuple[str, str, str]], jobs: int = 0) -> list[Constant]:
    """One number for each (direction, statistic, cell); nothing is sampled if all exact values are known."""
    values = Values(case, jobs)
    return [_constant(direction, name, values(direction, name, cell)) for direction, name, cell in keys]


def _constant(direction: str, name: str, estimate: Estimate) -> Constant:
    return Constant(direction, name, estimate.number, estimate.reason)


class Values:
    """The statistics of a case: exact if known, otherwise sampled, all from the same draws."""

    def __init__(self, case: Case, jobs: int = 0) -> None:
        self.case, self._jobs = case, jobs
        self._rows = {(row.direction, row.cell): row for row in case.shape.rows}
        self._exact: dict[tuple[str, str], Exact | None] = {}

    def __call__(self, direction: str, name: str, cell: str = ALL) -> Estimate:
        key = direction, cell
        if key not in self._exact:
            self._exact[key] = self.case.moments(self._rows[key])
        exact = self._exact[key]
        value = None if exact is None else exact_value(name, exact)
        if exact is None or value is None:
            row, spread = self._sampled[key]
            return sampled(name, row, spread)
        proven = enclosure_of(name, exact)
        if proven is not None:
            return Estimate(value, 0.0, value, reason=proven.reason)
        scale = math.hypot(exact.mean, math.sqrt(exact.var)) if STATISTICS[name].base == "mean" else 0.0
        value = value if abs(value) > 1e-13 * scale else 0.0
        return Estimate(value, 0.0, value, scale=scale)

    @cached_property
    def _sampled(self) -> dict[tuple[str, str], tuple[dict[str, Any], dict[str, float]]]:
        """Every row of a sampled result, and the errors of skewness and kurtosis from the spread of batches."""
        from gradstat.estimation.engines import threads
        from gradstat.estimation.groups import groups
        from gradstat.estimation.run import execute, plan, result_rows

        cases, jobs = [self.case], self._jobs
        planned = plan(cases, groups(cases), samples_of(self.case), DEFAULT_SEED, jobs, threads)
        batches = min(BATCHES, *(len(segment.blocks) for segment in planned))
        parts = [
            execute([segment.shard(index, batches) for segment in planned], DEFAULT_SEED, jobs, threads)
            for index in range(1, batches + 1)
        ]
        whole = result_rows(cases, [snapshot for part in parts for snapshot in part])
        rows = zip(whole, *(result_rows(cases, part) for part in parts), strict=True)
        return {
            (row.row.direction, row.row.cell): (
                asdict(row.estimates) | {"exact_mean": None},
                {
                    name: spread_of([getattr(batch.estimates, name) for batch in batch_rows]) / math.sqrt(batches)
                    for name in ("skewness", "kurtosis")
                    if batches > 1
                },
            )
            for row, *batch_rows in rows
        }


def samples_of(case: Case) -> int:
    """The draws of a case, fewer if a draw has very many weights; UsageError if even one batch of them takes long."""
    stream = case.shape.stream
    if stream is None:
        return SAMPLES
    if stream.weights > MOST_WEIGHTS:
        raise UsageError(
            f"{case.label}: a statistic without an exact value needs samples, and a draw has {stream.weights} weights",
            "choose other statistics, or sample it with gradstat run",
        )
    return max(LANES, NUMBERS // stream.weights)


def spread_of(values: Sequence[float]) -> float:
    """The sample standard deviation; NaN if a value is undefined, as the kurtosis of a slope that is always 0."""
    return stdev(values) if all(map(math.isfinite, values)) else math.nan


class Gain(Answer):
    """The statistics of y and dx of one layer: `forward.std`, `backward.gain_rms`, …

    Each is an `Estimate`: a float with `.error` and `.exact`. Statistics without an exact value are sampled on first
    use. `print` shows the chosen statistics.
    """

    formats = (*TABLES, *CODE)

    def __init__(self, case: Case, statistics: Sequence[str] = (), jobs: int = 0) -> None:
        self.case, self.statistics = case, tuple(statistics or DEFAULT)
        for name in self.statistics:
            if name not in STATISTICS:
                raise UsageError(unknown("statistic", name, STATISTICS))
        values = Values(case, jobs)
        self.forward = Statistics(lambda name: values(FORWARD, name))
        self.backward = Statistics(lambda name: values(BACKWARD, name))

    def report(self) -> Report:
        """One line per statistic, with its definition."""
        return report(
            self.case,
            [
                _constant(direction, name, getattr(statistics, name))
                for name in self.statistics
                for direction, statistics in ((FORWARD, self.forward), (BACKWARD, self.backward))
            ],
        )


def reasons(found: Sequence[Constant]) -> list[str]:
    """`std of y is ∞: diverges at +∞`, for each number that is not finite."""
    return [f"{g.statistic} of {DIRECTIONS[g.direction]} is {g.number.text}: {g.reason}" for g in found if g.reason]


def which(names: Sequence[str]) -> list[str]:
    """The line that says which gain is for what, if both gains are among the statistics."""
    return [WHICH] if {"gain_std", "gain_rms"} <= set(names) else []


def report(case: Case, found: Sequence[Constant]) -> Report:
    """A line per statistic, with its definition: 1/std and 1/rms differ where the mean is not 0."""
    numbers = {(g.statistic, g.direction): g.number for g in found}
    names = list(dict.fromkeys(g.statistic for g in found))
    has_errors = any(g.number.error for g in found)
    notes = (
        [f"± is one standard error of {samples_of(case):,} draws; numbers without it are exact"] if has_errors else []
    )
    directions = [Column(d, letter, align="decimal", description=f"of {letter}") for d, letter in DIRECTIONS.items()]
    people = Table(
        [Column("statistic", ""), *directions, Column("definition", "", wrap=20)],
        [(n, *(numbers[n, d] for d in DIRECTIONS), STATISTICS[n].description) for n in names],
        f"{case.layer_label}, x ~ {case.x.label()}, dy ~ {case.dy.label()}",
        case.layer.name,
        [*notes, *(reasons(found) or which(names))],
    )
    key = (case.layer.name, case.params, case.x.label(), case.dy.label())
    columns = [Column(name) for name in ("layer", "params", "input", "upstream", "direction", *names)]
    data = Table(columns, [(*key, d, *(numbers[n, d] for n in names)) for d in DIRECTIONS])
    return Report([people], data)
