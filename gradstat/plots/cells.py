"""The repeated cell of strided windows as a heat map: one square per position, with its value and number of windows."""

import json
import math
import textwrap
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from gradstat.errors import UsageError
from gradstat.layer_types.case import Case
from gradstat.layer_types.record import ALL, FORWARD, Row
from gradstat.layer_types.statistics import exact_number
from gradstat.plots.kinds import Request
from gradstat.plots.style import SEQUENTIAL, figure
from gradstat.results.overview import exact_cell, label
from gradstat.results.store import read
from gradstat.text.uncertain import APPROXIMATELY, LEGEND, NUMERIC, Uncertain

LETTERS = {"std": "σ", "mean": "E"}
COLUMNS = 3
MOST_PANELS = 12


@dataclass(frozen=True)
class Square:
    """One position: its value, and the number of windows that cover it."""

    number: Uncertain
    windows: float | None


@dataclass(frozen=True)
class Cells:
    """The positions of one layer in one direction."""

    title: str
    letter: str
    squares: dict[tuple[int, ...], Square]


def draw(request: Request) -> Any:
    """One heat map per layer and direction, with a common colour scale."""
    all_cells = from_file(request) if request.file is not None else from_cases(request)
    if not all_cells:
        where = str(request.file) if request.file is not None else ", ".join(case.label for case in request.cases)
        raise UsageError(
            f"{where}: no row of a single cell; a cell needs a stride above 1 in one or two dimensions, "
            "e.g. max_pool2d kernel_size=3 stride=2"
        )
    all_cells = all_cells[:MOST_PANELS]
    letter = LETTERS[request.statistic]
    columns = min(COLUMNS, len(all_cells))
    lines = -(-len(all_cells) // columns)
    picture = figure(3.4 * columns + 1.3, 3.5 * lines + 0.3)
    panels = picture.subplots(lines, columns, squeeze=False).ravel()
    values = [square.number.value for cells in all_cells for square in cells.squares.values()]
    finite = [value for value in values if math.isfinite(value)] or [0.0]
    low, high = min(finite), max(finite)
    if high - low <= 1e-9 * max(abs(low), abs(high)):
        low, high = low - 0.5 * (abs(low) or 1.0), high + 0.5 * (abs(high) or 1.0)
    images = [_panel(panel, cells, letter, (low, high)) for panel, cells in zip(panels, all_cells, strict=False)]
    for panel in panels[len(all_cells) :]:
        panel.set_visible(False)
    kinds = sorted({cells.letter for cells in all_cells}, reverse=True)
    bar = picture.colorbar(images[0], ax=list(panels), shrink=0.8, aspect=28)
    bar.set_label(", ".join(f"{letter}[{kind}]" for kind in kinds))
    bar.outline.set_visible(False)
    if any(square.number.kind == NUMERIC for cells in all_cells for square in cells.squares.values()):
        picture.supxlabel(LEGEND, fontsize=8)
    return picture


def from_file(request: Request) -> list[Cells]:
    """The per-cell rows of a result file: exact values if the file has them, otherwise estimates."""
    assert request.file is not None
    name = request.statistic
    groups: dict[Any, list[dict[str, Any]]] = {}
    for row in read(request.file).rows():
        if row["cell"] != ALL:
            key = tuple(row[k] for k in ("layer", "params", "input", "upstream", "direction"))
            groups.setdefault(key, []).append(row)
    all_cells = []
    for rows in groups.values():
        squares = {}
        for row in rows:
            number = exact_cell(name, row) or Uncertain(row[name], row[f"{name}_se"])
            squares[_place(row["cell"])] = Square(number, row["windows"])
        all_cells.append(Cells(_brief(label(rows[0])), _letter(rows[0]["direction"]), squares))
    return [cells for cells in all_cells if _drawable(cells)]


def from_cases(request: Request) -> list[Cells]:
    """Exact values if squares_by_place for every cell of a layer, otherwise the estimates of a run."""
    name = request.statistic
    inexact = [case for case in request.cases if any(not _exact(case, row, name) for row in single(case.shape.rows))]
    sampled: dict[tuple[int, Row], Square] = {}
    if inexact:
        from gradstat.estimation.run import run

        for line in run(inexact, request.samples, request.seed, request.jobs):
            estimate = line.estimates
            value, error = getattr(estimate, request.statistic), getattr(estimate, f"{request.statistic}_se")
            sampled[id(line.case), line.row] = Square(Uncertain(value, error), line.row.windows)
    all_cells = []
    for case in request.cases:
        for direction in dict.fromkeys(row.direction for row in single(case.shape.rows)):
            rows = [row for row in single(case.shape.rows) if row.direction == direction]
            squares = {_place(row.cell): _exact(case, row, request.statistic) for row in rows}
            squares_by_place = {_place(row.cell): squares[_place(row.cell)] or sampled[id(case), row] for row in rows}
            all_cells.append(Cells(_brief(case.label), _letter(direction), squares_by_place))
    return [cells for cells in all_cells if _drawable(cells)]


def single(rows: Iterable[Row]) -> list[Row]:
    """The rows of single positions."""
    return [row for row in rows if row.cell != ALL]


def _exact(case: Case, row: Row, statistic: str) -> Square | None:
    exact = case.moments(row)
    number = None if exact is None else exact_number(statistic, exact)
    return None if number is None else Square(number.number(), row.windows)


def _panel(panel: Any, cells: Cells, letter: str, ends: tuple[float, float]) -> Any:
    places = list(cells.squares)
    height = 1 + max(place[0] for place in places) if len(places[0]) == 2 else 1
    width = 1 + max(place[-1] for place in places)
    values = np.full((height, width), math.nan)
    for place, square in cells.squares.items():
        values[place[0] if len(place) == 2 else 0, place[-1]] = square.number.value
    across, down = np.arange(width + 1) - 0.5, np.arange(height + 1) - 0.5
    look = {"cmap": SEQUENTIAL, "vmin": ends[0], "vmax": ends[1], "edgecolors": "white", "linewidth": 1.5}
    image = panel.pcolormesh(across, down, values, **look)
    panel.set_aspect("equal")
    panel.invert_yaxis()
    size = max(4.0, min(10.0, 34.0 / max(width, 1)))
    for place, square in cells.squares.items():
        at = (place[-1], place[0] if len(place) == 2 else 0)
        panel.text(
            *at, _text(square, width), ha="center", va="center", fontsize=size, color=_ink(image, square.number.value)
        )
    panel.set_xticks(range(width))
    panel.set_yticks(range(height))
    panel.grid(False)
    panel.tick_params(length=0)
    for spine in panel.spines.values():
        spine.set_visible(False)
    panel.set_xlabel("column in the cell" if len(places[0]) == 2 else "position in the cell")
    panel.set_ylabel("row in the cell" if len(places[0]) == 2 else "")
    if len(places[0]) == 1:
        panel.set_yticks([])
    panel.set_title(f"{cells.title}\n{letter}[{cells.letter}]", fontsize=10)
    return image


def _text(square: Square, width: int) -> str:
    """Value, error and number of windows on separate lines; in small squares only the value."""
    value, error = square.number.parts
    if error:
        lines = [value, f"± {error}"]
    elif not math.isfinite(square.number.value):
        lines = [value]
    else:
        size, mark = abs(square.number.value), APPROXIMATELY if square.number.kind == NUMERIC else ""
        lines = [f"{mark}{square.number.value:.{'4f' if 1e-3 <= size < 1e3 or not size else '3e'}}"]
    if width > 4:
        return lines[0]
    if square.windows is not None:
        lines.append(f"{square.windows:g} window{'' if square.windows == 1 else 's'}")
    return "\n".join(lines)


def _ink(image: Any, value: float) -> str:
    """Text colour: black on light squares, white on dark ones; a square without a finite value is light."""
    if not math.isfinite(value):
        return "black"
    red, green, blue, _ = image.cmap(image.norm(value))
    return "black" if 0.299 * red + 0.587 * green + 0.114 * blue > 0.5 else "white"


def _drawable(cells: Cells) -> bool:
    """True if there are several positions, in one or two dimensions."""
    dims = {len(place) for place in cells.squares}
    return len(cells.squares) > 1 and dims in ({1}, {2})


def _place(cell: str) -> tuple[int, ...]:
    """The position of a cell: `(1, 0)` → 1, 0; `(1)` → 1."""
    return tuple(json.loads(f"[{cell.strip('()').rstrip(',')}]"))


def _letter(direction: str) -> str:
    return "y" if direction == FORWARD else "dx"


def _brief(text: str, width: int = 38) -> str:
    """The title of a panel, in lines of its width."""
    lines = textwrap.wrap(text.replace(" ~ ", "\u00a0~\u00a0"), width)
    return "\n".join(lines if len(lines) <= 4 else [*lines[:3], f"{lines[3][: width - 1]}…"])
