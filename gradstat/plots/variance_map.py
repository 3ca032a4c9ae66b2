"""σ[y] against σ[x] from exact values, on logarithmic axes, with the identity and the fixed points."""

import dataclasses
import math
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from matplotlib.ticker import LogLocator, NullFormatter

from gradstat.errors import UsageError
from gradstat.layer_types.case import Case
from gradstat.layer_types.record import ALL, FORWARD
from gradstat.layer_types.statistics import ExactNumber, exact_number
from gradstat.plots.kinds import Request
from gradstat.plots.style import GREY, PAPER, figure, line_styles
from gradstat.text.uncertain import NUMERIC

POINTS_PER_DECADE = 12
BISECTIONS = 40
FLAT = 1e-9  # |ln(σ[y]/σ[x])| below this counts as the identity
LETTERS = {"std": "σ", "rms": "rms"}
IDENTITY: dict[str, Any] = {"color": GREY, "linewidth": 1.2, "linestyle": (0, (1, 1.6))}
CLOSE = 0.6  # in ln x: labels closer than this would overlap


def draw(request: Request) -> Any:
    """The map, and below it its ratio to the identity; each layer is a line in both."""
    check(request)
    letter = LETTERS[request.statistic]
    picture = figure(8.6, 7.6)
    top, bottom = picture.subplots(2, 1, sharex=True, height_ratios=(3, 2))
    low, high = request.span
    grid = np.geomspace(low, high, max(2, round(POINTS_PER_DECADE * math.log10(high / low)) + 1))
    top.plot(grid, grid, label="identity", **IDENTITY)
    bottom.axhline(1.0, **IDENTITY)
    seen: list[float] = []
    marks: list[tuple[float, bool, str]] = []
    for case, style in zip(request.cases, line_styles(len(request.cases)), strict=True):
        curve = [map_of(case, request, scale) for scale in grid]
        positive = [(scale, v) for scale, v in zip(grid, curve, strict=True) if v is not None and v > 0.0]
        seen += [v for _, v in positive]
        scales, sizes = [scale for scale, _ in positive], [v for _, v in positive]
        top.plot(scales, sizes, label=_name(case, request.gain), **style)
        bottom.plot(scales, [v / scale for scale, v in positive], **style)
        at = partial(map_of, case, request)
        marks += [(point, stable, style["color"]) for point, stable in fixed_points(at, grid, curve)]
    _mark(top, bottom, marks)
    top.set_xscale("log")
    top.set_yscale("log")
    bottom.set_yscale("log")
    top.set_xlim(low, high)
    top.set_ylim(max(min([*seen, low]), 0.1 * low), min(max([*seen, high]), 10.0 * high))
    below, above = bottom.get_ylim()
    bottom.set_ylim(max(below, 0.03), min(above, 30.0))
    for axis in (bottom.yaxis, top.yaxis, top.xaxis, bottom.xaxis):
        ends = axis.get_view_interval()
        narrow = max(ends) < 300.0 * min(ends)
        axis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0) if narrow else (1.0,)))
        axis.set_major_formatter("{x:g}")
        axis.set_minor_formatter(NullFormatter())
    output = f"{letter}[{'y' if request.gain == 1.0 else f'{request.gain:g}·y'}]"
    top.set_ylabel(f"output scale  {output}")
    bottom.set_ylabel(f"{output} / {letter}[x]")
    bottom.set_xlabel(f"input scale  {letter}[x]")
    values = [_number(case, request, case.x.std) for case in request.cases]
    numeric = any(number is not None and number.kind == NUMERIC for number in values)
    top.set_title(f"Variance map, exact values{' (some numeric, not proven)' if numeric else ''}")
    picture.legend(loc="outside right upper", fontsize=9)
    return picture


def _mark(top: Any, bottom: Any, marks: list[tuple[float, bool, str]]) -> None:
    """Mark fixed points by circles in both panels, filled if stable, with their values in the lower panel."""
    for kind in sorted({stable for _, stable, _ in marks}):
        text = f"{'stable' if kind else 'unstable'} fixed point"
        top.plot([], [], "o", color=GREY, markerfacecolor=GREY if kind else "white", markersize=8, label=text)
    for point, stable, color in marks:
        look = {"color": color, "markerfacecolor": color if stable else "white", "markersize": 8, "zorder": 5}
        top.plot([point], [point], "o", markeredgewidth=1.8, **look)
        bottom.plot([point], [1.0], "o", markeredgewidth=1.8, **look)
    _label(bottom, [(point, f"{point:.4g}") for point, _, _ in marks])


def map_of(case: Case, request: Request, scale: float) -> float | None:
    """The statistic of gain · y if x has this scale; None if no exact value is known."""
    number = _number(case, request, scale)
    return None if number is None or not math.isfinite(number.value) else request.gain * number.value


def _number(case: Case, request: Request, scale: float) -> ExactNumber | None:
    """The exact statistic of y if x has this scale; None if no exact value is known."""
    at = dataclasses.replace(case, x=dataclasses.replace(case.x, std=float(scale)))
    row = next(row for row in case.shape.rows if row.direction == FORWARD and row.cell == ALL)
    exact = at.moments(row)
    return None if exact is None else exact_number(request.statistic, exact)


def fixed_points(f: Callable[[float], float | None], grid: Any, curve: list[float | None]) -> list[tuple[float, bool]]:
    """The points where a curve crosses the identity, with True if it crosses downwards (a stable fixed point)."""
    signs = [0 if v is None or v <= 0.0 else _sign(v, scale) for v, scale in zip(curve, grid, strict=True)]
    points = []
    for i, sign in enumerate(signs):
        if sign == 0 and 0 < i < len(signs) - 1 and signs[i - 1] * signs[i + 1] < 0:
            points.append((float(grid[i]), signs[i - 1] > 0))
        if i and sign * signs[i - 1] < 0:
            points.append((_root(f, grid[i - 1], grid[i], signs[i - 1]), signs[i - 1] > 0))
    return points


def _root(f: Callable[[float], float | None], low: float, high: float, sign: int) -> float:
    for _ in range(BISECTIONS):
        middle = math.sqrt(low * high)
        value = f(middle)
        if value is None or value <= 0.0:
            break
        low, high = (middle, high) if _sign(value, middle) == sign else (low, middle)
    return float(math.sqrt(low * high))


def _sign(value: float, scale: float) -> int:
    """+1 above the identity, −1 below it, 0 on it."""
    ratio = math.log(value / scale)
    return 0 if abs(ratio) < FLAT else int(math.copysign(1, ratio))


def _name(case: Case, gain: float) -> str:
    return case.label if gain == 1.0 else f"{gain:g} · {case.label}"


def _label(panel: Any, texts: list[tuple[float, str]]) -> None:
    """Write the values of fixed points above them, one step higher if the previous label is too close."""
    previous, step = 0.0, 0
    for point, text in sorted(texts):
        step = step + 1 if previous and math.log(point / previous) < CLOSE else 0
        previous = point
        panel.annotate(
            text, (point, 1.0), xytext=(0, 9 + 13 * step), textcoords="offset points", fontsize=9, ha="center",
            bbox=PAPER, zorder=6,
        )  # fmt: skip


def check(request: Request) -> None:
    """Raise UsageError for a layer without exact values of y."""
    for case in request.cases:
        number = _number(case, request, case.x.std)
        if number is None:
            raise UsageError(f"{case.label}: no exact value of y is known, and a variance map needs exact values")
        if not math.isfinite(number.value):
            why = f"{request.statistic} of y {number.explanation}"
            raise UsageError(f"{case.label}: {why}; a variance map needs finite values")
