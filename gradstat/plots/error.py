"""Measured |estimate − exact| and the errors of each estimator against the number of draws, from real runs.

An error is half the length of a 68 % interval: a standard error, times Student's t for its degrees of freedom.
"""

import math
from dataclasses import dataclass
from itertools import cycle, product
from typing import Any

from gradstat.errors import UsageError
from gradstat.estimation.estimators import ESTIMATORS, Estimator
from gradstat.estimation.run import run
from gradstat.estimation.student import sigma
from gradstat.layer_types.case import Case
from gradstat.layer_types.record import ALL, FORWARD, Row
from gradstat.layer_types.statistics import ExactNumber, exact_number
from gradstat.plots.kinds import Request
from gradstat.plots.style import BLUE, GREEN, GREY, ORANGE, VERMILLION, figure
from gradstat.text.uncertain import NUMERIC

SEEDS = 8
FEWEST = 2**8
LOWEST = 0.02  # lower end of the axis, relative to the last standard error
LETTERS = {"std": "σ", "mean": "E"}
MARKS = (("D", 5.0, VERMILLION), ("s", 4.5, GREEN), ("^", 5.0, ORANGE))
SLOPES = {
    True: (0.5, (5, 2), "slope −½"),
    False: (1.0, (1, 2), "slope −1"),
}  # key: are draws nested; slope of errors, dashes, label


@dataclass(frozen=True)
class Point:
    """One run: estimator, draws, |estimate − exact|, half the 68 % interval (∞ without an error bar)."""

    estimator: Estimator
    n: int
    distance: float
    error: float


def draw(request: Request) -> Any:
    """One panel per layer and direction; dots are runs of the first estimator, other marks the errors of each."""
    if request.samples < 4 * FEWEST:
        expected = f"expected at least {4 * FEWEST}, since a slope needs runs of several lengths"
        raise UsageError(f"-n {request.samples} is not allowed; {expected}")
    panels = _measure(request)
    columns = min(2, len(panels))
    lines = -(-len(panels) // columns)
    picture = figure(4.9 * columns + 0.4, 3.5 * lines + 0.6)
    axes = picture.subplots(lines, columns, squeeze=False).ravel()
    for panel, (title, points) in zip(axes, panels.items(), strict=False):
        _panel(panel, title, points)
    for panel in axes[len(panels) :]:
        panel.set_visible(False)
    handles, labels = axes[0].get_legend_handles_labels()
    picture.legend(handles, labels, loc="outside lower center", ncols=4, fontsize=9)
    return picture


def _measure(request: Request) -> dict[str, list[Point]]:
    """The runs of each panel: eight seeds of every estimator at every power of two up to the requested draws."""
    exact = {
        (id(case), row.direction): (title, value)
        for case in request.cases
        for row in case.shape.rows
        for title, value in [_exact(case, row, request.statistic)]
        if row.cell == ALL and value is not None
    }
    panels: dict[str, list[Point]] = {}
    n = FEWEST
    while n <= request.samples and exact:
        for seed, estimator in product(range(SEEDS), ESTIMATORS.values()):
            for line in run(request.cases, n, (request.seed + seed) % 2**64, request.jobs, estimator=estimator):
                title, value = exact.get((id(line.case), line.row.direction), ("", None))
                if line.row.cell == ALL and value is not None:
                    found, se, df = (getattr(line.estimates, request.statistic + end) for end in ("", "_se", "_df"))
                    point = Point(estimator, n, abs(found - value), se * sigma(df))
                    panels.setdefault(title, []).append(point)
        n *= 2
    panels = {title: points for title, points in panels.items() if any(0.0 < p.error < math.inf for p in points)}
    if not panels:
        names = ", ".join(case.label for case in request.cases)
        numbers = [exact_number_of(case, row, request.statistic) for case in request.cases for row in case.shape.rows]
        reasons = {f"; it {n.explanation}": None for n in numbers if n is not None and n.reason}
        raise UsageError(
            f"{names}: no {request.statistic} has both a finite exact value and a sampling error{''.join(reasons)}"
        )
    return panels


def _exact(case: Case, row: Row, statistic: str) -> tuple[str, float | None]:
    """The title of a panel, and the exact value that its runs estimate; None if unknown."""
    title = f"{case.label}: {LETTERS[statistic]}[{'y' if row.direction == FORWARD else 'dx'}]"
    number = exact_number_of(case, row, statistic)
    if number is None or not math.isfinite(number.value):
        return title, None
    return title + (" (numeric exact value)" if number.kind == NUMERIC else ""), number.value


def exact_number_of(case: Case, row: Row, statistic: str) -> ExactNumber | None:
    """The exact statistic of a row of all positions; None if it is not known."""
    exact = case.moments(row) if row.cell == ALL else None
    return None if exact is None else exact_number(statistic, exact)


def _errors(points: list[Point], estimator: Estimator, draws: list[int]) -> list[float]:
    """The root mean square of the errors over the seeds, at each number of draws; NaN if a seed has no error bar."""
    squares = [[point.error**2 for point in points if (point.estimator, point.n) == (estimator, n)] for n in draws]
    means = [sum(seeds) / len(seeds) for seeds in squares]
    return [math.sqrt(mean) if math.isfinite(mean) else math.nan for mean in means]


def _panel(panel: Any, title: str, points: list[Point]) -> None:
    draws = sorted({point.n for point in points})
    first, *_ = ESTIMATORS.values()
    errors = {name: _errors(points, estimator, draws) for name, estimator in ESTIMATORS.items()}
    for estimator in ESTIMATORS.values():
        power, dashes, text = SLOPES[estimator.nested]
        slope = [errors[estimator.name][-1] * (draws[-1] / n) ** power for n in draws]
        panel.plot(draws, slope, color=GREY, linestyle=(0, dashes), linewidth=1.4, label=text)
    for (name, heights), (marker, size, color) in zip(errors.items(), cycle(MARKS), strict=False):
        panel.plot(draws, heights, marker, color=color, markersize=size, label=f"68 % interval of {name}", zorder=4)
    points = [point for point in points if point.estimator is first]
    ends = {name: heights[-1] for name, heights in errors.items() if math.isfinite(heights[-1])}
    floor = min([LOWEST * max(ends.values(), default=1.0), *(end / 2.0 for end in ends.values())])
    for marker, low, text in (("o", False, f"|estimate − exact| of {SEEDS} seeds"), ("v", True, "… below the axis")):
        dots = [point for point in points if (point.distance < floor) == low]
        heights = [max(point.distance, 1.2 * floor) for point in dots]
        size = 5.0 if low else 3.5
        look = {"color": BLUE, "alpha": 0.55, "markersize": size, "markeredgewidth": 0, "linestyle": ""}
        panel.plot([point.n for point in dots], heights, marker, label=text, **look)
    panel.set_xscale("log", base=2)
    panel.set_yscale("log")
    panel.set_ylim(floor, None)
    panel.set_title(title)
    panel.set_xlabel("draws n")
    panel.set_ylabel(f"error of {title.rpartition(': ')[2]}")
