"""The answer of `gradstat gain`: what a layer does to unit-scale signal and gradient, to certain digits."""

import json
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from gradstat.layer_types.case import Case
from gradstat.layer_types.record import ALL, BACKWARD, FORWARD
from gradstat.layer_types.statistics import STATISTICS, exact_value
from gradstat.text.uncertain import exact, with_error

DEFAULT = ("mean", "std", "rms", "gain_std", "gain_rms")
BASES = ("mean", "std", "second_moment", "abs_mean", "mad")  # what referee and sampler both know, with an error
ANSWERED = tuple(name for name, statistic in STATISTICS.items() if statistic.base in BASES)
DIRECTIONS = {FORWARD: "y", BACKWARD: "dx"}
SAMPLES = 2**24
SEED = 20160328


@dataclass(frozen=True)
class Gain:
    """One statistic of one direction: its value, and its standard error where it was sampled (0: exact)."""

    direction: str
    statistic: str
    value: float
    error: float
    scale: float = 0.0  # of the variable: below its rounding a value is 0

    @property
    def text(self) -> str:
        """Certain digits only."""
        return with_error(self.value, self.error) if self.error else exact(self.value, self.scale)

    @property
    def literal(self) -> str:
        """The certain digits as a float of Python."""
        number = float(self.text.split(" ± ")[0])
        return repr(number) if math.isfinite(number) else f'float("{number}")'

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
            found.append(Gain(direction, name, value, 0.0, scale))
            continue
        sampled = sampled or _sample(case, jobs)
        found.append(_sampled(direction, name, sampled[direction, cell]))
    return found


def as_table(case: Case, found: Sequence[Gain]) -> str:
    """A line per statistic, with its definition: 1/std and 1/rms differ where the mean is not 0."""
    cells = {(g.statistic, g.direction): g.text for g in found}
    names = list(dict.fromkeys(g.statistic for g in found))
    widths = [max(8, *(len(cells[name, direction]) for name in names)) for direction in DIRECTIONS]
    head = f"{'':18}{'y':{widths[0]}}  {'dx':{widths[1]}}"
    lines = [f"{case.title}, x ~ {case.x.label()}, dy ~ {case.dy.label()}", head.rstrip()]
    for name in names:
        values = "  ".join(cells[name, d].ljust(w) for d, w in zip(DIRECTIONS, widths, strict=True))
        lines.append(f"{name:18}{values}  {STATISTICS[name].description}".rstrip())
    if any(g.error for g in found):
        lines.append(f"± is one standard error of {SAMPLES:,} draws; numbers without it are exact")
    return "\n".join(lines) + "\n"


def as_json(case: Case, found: Sequence[Gain]) -> str:
    """{layer, params, input, upstream, forward: {statistic: value}, backward, …_se}."""
    document: dict[str, Any] = {
        "layer": case.layer.name,
        "params": case.params,
        "input": case.x.label(),
        "upstream": case.dy.label(),
    }
    for direction in DIRECTIONS:
        own = [g for g in found if g.direction == direction]
        document[direction] = {g.statistic: g.value for g in own}
        document[direction] |= {f"{g.statistic}_se": g.error for g in own if g.error}
    return json.dumps(document, indent=1, ensure_ascii=False) + "\n"


def as_python(case: Case, found: Sequence[Gain]) -> str:
    """Assignments to paste into code, with where they come from."""
    lines = [f"# gradstat gain: {case.title}, x ~ {case.x.label()}, dy ~ {case.dy.label()}"]
    for g in found:
        name = f"{case.layer.name}_{g.direction}_{g.statistic}".upper()
        lines.append(f"{name} = {g.literal}  # {g.note}" + (f", ± {g.error:.1g}" if g.error else ""))
    return "\n".join(lines) + "\n"


FORMATS = {"table": as_table, "json": as_json, "python": as_python}


def _sample(case: Case, jobs: int) -> dict[tuple[str, str], Any]:
    from gradstat.estimation.run import run

    return {(line.row.direction, line.row.cell): line.estimates for line in run([case], SAMPLES, SEED, jobs)}


def _sampled(direction: str, name: str, estimates: Any) -> Gain:
    statistic = STATISTICS[name]
    base = getattr(estimates, statistic.base)
    error = abs(statistic.slope(base)) * getattr(estimates, f"{statistic.base}_se")
    return Gain(direction, name, statistic.f(base), error)
