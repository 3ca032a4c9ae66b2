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
from gradstat.layer_types.exact.enclosure import DIGITS, to_digits
from gradstat.layer_types.record import ALL, BACKWARD, FORWARD, Exact
from gradstat.layer_types.statistics import (
    DESCRIPTIONS,
    KNOWN,
    STATISTICS,
    UNSAMPLED,
    check_digits,
    exact_number,
    is_certain,
)
from gradstat.layer_types.unsampled import steepest_place, unsampled_number
from gradstat.results.estimate import Estimate, Statistics, sampled
from gradstat.text.answer import Answer
from gradstat.text.formats import CODE, TABLES
from gradstat.text.tables import Column, Report, Table
from gradstat.text.uncertain import LEGEND, NUMERIC, SAMPLED, Uncertain

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

    @property
    def quantity(self) -> str:
        """`std of y`."""
        return f"{self.statistic} of {DIRECTIONS[self.direction]}"

    @property
    def note(self) -> str:
        """The definition in terms of the variable, `1/σ[dx]`."""
        return definition(self.statistic, self.direction)


def definition(statistic: str, direction: str) -> str:
    """The definition of a statistic, in terms of y or dx."""
    if statistic in UNSAMPLED:
        return UNSAMPLED[statistic]
    return re.sub(r"(?<![a-z])v(?![a-z])", DIRECTIONS[direction], STATISTICS[statistic].description)


def gains(case: Case, statistics: Sequence[str] = DEFAULT, jobs: int = 0) -> list[Constant]:
    """Every statistic in both directions: exact if known, otherwise sampled."""
    keys = [(direction, name, ALL) for name in statistics for direction in DIRECTIONS]
    return answers(case, keys, jobs)


def answers(
    case: Case, keys: Sequence[tuple[str, str, str]], jobs: int = 0, digits: int | None = None
) -> list[Constant]:
    """One number for each (direction, statistic, cell); nothing is sampled if all exact values are known."""
    values = Values(case, jobs, digits)
    return [Constant(direction, name, values(direction, name, cell).number) for direction, name, cell in keys]


class Values:
    """The statistics of a case: exact if known, otherwise sampled, all from the same draws.

    Exact values have 17 certain digits, or `digits` if these are more.
    """

    def __init__(self, case: Case, jobs: int = 0, digits: int | None = None) -> None:
        check_digits(digits)
        self.case, self._jobs, self._digits = case, jobs, digits
        self._rows = {(row.direction, row.cell): row for row in case.shape.rows}
        self._exact: dict[tuple[str, str], Exact | None] = {}

    def __call__(self, direction: str, name: str, cell: str = ALL) -> Estimate:
        if name in UNSAMPLED:
            return self._unsampled(direction, name)
        exact = self._moments(direction, cell, name)
        number = None if exact is None else exact_number(name, exact)
        if number is not None:
            return Estimate(number.value, 0.0, number.value, number=number.number(self._digits))
        row, spread = self._sampled[direction, cell]
        return sampled(name, row, spread)

    def _unsampled(self, direction: str, name: str) -> Estimate:
        number = unsampled_number(self.case, direction, name, self._digits or 0)
        return Estimate(number.value, 0.0, number.value, number=number.number(self._digits))

    def _moments(self, direction: str, cell: str, name: str) -> Exact | None:
        """The moments of a row, with enough digits for the float64 nearest to the statistic."""
        key = direction, cell
        exact = self._exact.get(key)
        if key not in self._exact or (exact is not None and not is_certain(name, exact)):
            with to_digits(max(DIGITS, self._digits or 0)):
                self._exact[key] = self.case.certain_moments(self._rows[key], [name])
        return self._exact[key]

    @cached_property
    def _sampled(self) -> dict[tuple[str, str], tuple[dict[str, Any], dict[str, float]]]:
        """Every row of a sampled result, and the errors of skewness and kurtosis from the spread of batches."""
        import numpy as np

        with np.errstate(all="ignore"):  # sums that overflow are shown as such
            return self._sample()

    def _sample(self) -> dict[tuple[str, str], tuple[dict[str, Any], dict[str, float]]]:
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
                asdict(row.estimates),
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

    def __init__(self, case: Case, statistics: Sequence[str] = (), jobs: int = 0, digits: int | None = None) -> None:
        self.case, self.statistics = case, tuple(statistics or DEFAULT)
        for name in self.statistics:
            if name not in KNOWN:
                raise UsageError(unknown("statistic", name, KNOWN))
        values = Values(case, jobs, digits)
        self.forward = Statistics(lambda name: values(FORWARD, name))
        self.backward = Statistics(lambda name: values(BACKWARD, name))

    def report(self) -> Report:
        """One line per statistic, with its definition."""
        return report(
            self.case,
            [
                Constant(direction, name, getattr(statistics, name).number)
                for name in self.statistics
                for direction, statistics in ((FORWARD, self.forward), (BACKWARD, self.backward))
                if direction == FORWARD or name not in UNSAMPLED
            ],
        )


def remarks(found: Sequence[Constant]) -> list[str]:
    """`std of y is ∞: diverges at +∞`, for each number that is not finite, and the meaning of ≈ if there is one."""
    unusual = [g for g in found if g.number.reason]
    lines = [f"{g.quantity} is {g.number.parts[0]}: {g.number.reason}" for g in unusual if not g.number.certain]
    beyond = [g.quantity for g in unusual if g.number.certain]
    lines += [f"outside the range of float64: {', '.join(beyond)}"] if beyond else []
    return [*lines, *([LEGEND] if any(g.number.kind == NUMERIC for g in found) else [])]


def which(names: Sequence[str]) -> list[str]:
    """The line that says which gain is for what, if both gains are among the statistics."""
    return [WHICH] if {"gain_std", "gain_rms"} <= set(names) else []


def report(case: Case, found: Sequence[Constant]) -> Report:
    """A line per statistic, with its definition: 1/std and 1/rms differ where the mean is not 0."""
    numbers = {(g.statistic, g.direction): g.number for g in found}
    names = list(dict.fromkeys(g.statistic for g in found))
    notes = []
    if any(g.number.error and g.number.kind == SAMPLED for g in found):
        notes = [f"± is one standard error of {samples_of(case):,} draws; numbers without it are exact"]
    if "lipschitz" in names and (place := steepest_place(case)):
        notes.append(f"|f′(x)| is largest {place}")
    directions = [Column(d, letter, align="decimal", description=f"of {letter}") for d, letter in DIRECTIONS.items()]
    people = Table(
        [Column("statistic", ""), *directions, Column("definition", "", wrap=20)],
        [(n, *(numbers.get((n, d)) for d in DIRECTIONS), DESCRIPTIONS[n]) for n in names],
        f"{case.layer_label}, x ~ {case.x.label()}, dy ~ {case.dy.label()}",
        case.layer.name,
        [*notes, *(remarks(found) or which(names))],
    )
    key = (case.layer.name, case.params, case.x.label(), case.dy.label())
    columns = [Column(name) for name in ("layer", "params", "input", "upstream", "direction", *names)]
    data = Table(columns, [(*key, d, *(numbers.get((n, d)) for n in names)) for d in DIRECTIONS])
    return Report([people], data)
