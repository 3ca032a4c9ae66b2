"""The answer of `gradstat gain`: what a layer does to unit-scale signal and gradient, to certain digits."""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from gradstat.layer_types.case import Case
from gradstat.layer_types.record import ALL, BACKWARD, FORWARD
from gradstat.layer_types.statistics import STATISTICS, exact_value
from gradstat.text.tables import Column, Report, Table
from gradstat.text.uncertain import Uncertain

DEFAULT = ("mean", "std", "rms", "gain_std", "gain_rms")
BASES = ("mean", "std", "second_moment", "abs_mean", "mad")  # what referee and sampler both know, with an error
ANSWERED = tuple(name for name, statistic in STATISTICS.items() if statistic.base in BASES)
DIRECTIONS = {FORWARD: "y", BACKWARD: "dx"}
SAMPLES = 2**24
SEED = 20160328


@dataclass(frozen=True)
class Gain:
    """One statistic of one direction, exact or with its standard error."""

    direction: str
    statistic: str
    number: Uncertain

    @property
    def note(self) -> str:
        """`1/σ[dx]`: the definition with the variable's own name."""
        return definition(self.statistic, self.direction)


def definition(statistic: str, direction: str) -> str:
    """The words of a statistic, of y or dx."""
    return re.sub(r"(?<![a-z])v(?![a-z])", DIRECTIONS[direction], STATISTICS[statistic].description)


def gains(case: Case, statistics: Sequence[str] = DEFAULT, jobs: int = 0) -> list[Gain]:
    """Every statistic in both directions: from the referee where it knows it, from sampling otherwise."""
    wanted = [(direction, name, ALL) for name in statistics for direction in DIRECTIONS]
    return answers(case, wanted, jobs)


def answers(case: Case, wanted: Sequence[tuple[str, str, str]], jobs: int = 0) -> list[Gain]:
    """One number for each (direction, statistic, cell); nothing is sampled where the referee knows all of them."""
    rows = {(row.direction, row.cell): row for row in case.shape.rows}
    known = {key: case.exact(rows[key]) for key in dict.fromkeys((d, cell) for d, _, cell in wanted)}
    sampled: dict[tuple[str, str], Any] = {}
    found = []
    for direction, name, cell in wanted:
        row = known[direction, cell]
        value = None if row is None else exact_value(name, row)
        if row is not None and value is not None:
            scale = math.hypot(row.mean, math.sqrt(row.var)) if STATISTICS[name].base == "mean" else 0.0
            found.append(Gain(direction, name, Uncertain(value if abs(value) > 1e-13 * scale else 0.0, scale=scale)))
            continue
        sampled = sampled or _sample(case, jobs)
        found.append(_sampled(direction, name, sampled[direction, cell]))
    return found


def report(case: Case, found: Sequence[Gain]) -> Report:
    """A line per statistic, with its definition: 1/std and 1/rms differ where the mean is not 0."""
    numbers = {(g.statistic, g.direction): g.number for g in found}
    names = list(dict.fromkeys(g.statistic for g in found))
    notes = [f"± is one standard error of {SAMPLES:,} draws; numbers without it are exact"]
    directions = [Column(d, letter, align="decimal", description=f"of {letter}") for d, letter in DIRECTIONS.items()]
    people = Table(
        [Column("statistic", ""), *directions, Column("definition", "", wrap=20)],
        [(n, *(numbers[n, d] for d in DIRECTIONS), STATISTICS[n].description) for n in names],
        f"{case.title}, x ~ {case.x.label()}, dy ~ {case.dy.label()}",
        case.layer.name,
        notes if any(g.number.error for g in found) else (),
    )
    question = (case.layer.name, case.params, case.x.label(), case.dy.label())
    columns = [Column(name) for name in ("layer", "params", "input", "upstream", "direction", *names)]
    data = Table(columns, [(*question, d, *(numbers[n, d] for n in names)) for d in DIRECTIONS])
    return Report([people], data)


def _sample(case: Case, jobs: int) -> dict[tuple[str, str], Any]:
    from gradstat.estimation.run import run

    return {(line.row.direction, line.row.cell): line.estimates for line in run([case], SAMPLES, SEED, jobs)}


def _sampled(direction: str, name: str, estimates: Any) -> Gain:
    statistic = STATISTICS[name]
    base = getattr(estimates, statistic.base)
    error = abs(statistic.slope(base)) * getattr(estimates, f"{statistic.base}_se")
    return Gain(direction, name, Uncertain(statistic.f(base), error))
