"""z-scores, a line each: of a result's estimates against exact values, or of printed numbers in a verification."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gradstat.errors import UsageError
from gradstat.estimation.significance import SOURCE_BOUND, bound_of
from gradstat.layer_types.record import ALL, FORWARD
from gradstat.plots.kinds import Request
from gradstat.plots.style import BLACK, BLUE, GREEN, GREY, ORANGE, VERMILLION, figure
from gradstat.results.overview import STATISTICS, label
from gradstat.results.result import Result
from gradstat.results.store import content_of, parse

MOST = 70  # lines in one picture; of more, those with the largest |z|
LONGEST = 62  # letters of a label
LINEAR = 8.0  # beyond ± this many standard errors the axis is logarithmic, where it must reach further
MARKS = {
    "y": ("o", BLUE),
    "dx": ("D", GREEN),
    "confirmed": ("o", BLUE),
    "imprecise": ("s", ORANGE),
    "refuted": ("X", VERMILLION),
    "undecided": ("v", GREY),
}


@dataclass(frozen=True)
class Score:
    """One line: its label, its z, and the key of its mark."""

    label: str
    z: float
    mark: str


@dataclass(frozen=True)
class Scores:
    """All lines of a file, and what their z and the bound mean."""

    scores: list[Score]
    bound: float
    bound_words: str
    axis: str
    what: str


def draw(request: Request) -> Any:
    """Dots on horizontal lines, the bound dashed, beyond which no true value should be."""
    assert request.file is not None
    found = scores_of(request.file)
    if not found.scores:
        raise UsageError(f"{request.file}: holds no z-score: no row has a referee, or no source names its draws")
    shown = most_telling(found.scores)
    height = 0.205 * len(shown) + 1.5
    picture = figure(9.0, height)
    panel = picture.subplots()
    _marks(panel, shown)
    for side in (-1.0, 1.0):
        words = f"{found.bound_words}: ±{found.bound:.1f}" if side > 0.0 else None
        panel.axvline(side * found.bound, color=VERMILLION, linestyle=(0, (5, 2)), linewidth=1.3, label=words)
    panel.axvline(0.0, color=BLACK, linewidth=0.9)
    reach = 1.12 * max(found.bound, *(abs(score.z) for score in shown if math.isfinite(score.z)), 1.0)
    if reach > 3.0 * LINEAR:
        _far(panel, reach)
    panel.set_xlim(-reach, reach)
    panel.set_yticks(range(len(shown)), [_cut(score.label) for score in shown], fontsize=8)
    panel.set_ylim(len(shown) - 0.4, -0.6)
    panel.set_xlabel(found.axis)
    panel.tick_params(axis="y", length=0)
    most = f": the {len(shown)} largest" if len(shown) < len(found.scores) else ""
    panel.set_title(f"{len(found.scores)} z-scores of {found.what}{most}")
    picture.legend(loc="outside lower center", ncols=5, fontsize=9)
    return picture


def scores_of(path: Path) -> Scores:
    """The z-scores of a result file or of a verification's Parquet file."""
    content = content_of(path)
    rows = _verification(content)
    return of_result(parse(content, path)) if rows is None else of_verification(rows)


def of_result(result: Result) -> Scores:
    """(estimate − exact)/standard error of every statistic; the bound holds for all of them at once."""
    scores = [
        Score(f"{label(row)} {letter}[{value}]{_cell(row['cell'])}", row[f"z_{name}"], value)
        for row in result.rows()
        for value in ["y" if row["direction"] == FORWARD else "dx"]
        for name, letter in STATISTICS.items()
        if row.get(f"z_{name}") is not None
    ]
    bound = bound_of(score.z for score in scores)
    return Scores(scores, bound, "family-wise bound", "z = (estimate − exact) / standard error", "estimates")


def of_verification(rows: Sequence[dict[str, Any]]) -> Scores:
    """(printed − our value)/(standard error that the source's own number of draws gives)."""
    scores = [Score(str(row["id"]), row["source_z"], str(row["verdict"])) for row in rows if _known(row["source_z"])]
    axis = "z = (printed − value) / standard error of the source's own simulation"
    return Scores(scores, SOURCE_BOUND, "what sampling noise explains", axis, "printed numbers")


def most_telling(scores: Sequence[Score]) -> list[Score]:
    """At most MOST of them, those with the largest |z|, in the order of the file."""
    order = sorted(range(len(scores)), key=lambda i: -abs(scores[i].z))[:MOST]
    return [scores[i] for i in sorted(order)]


def _marks(panel: Any, shown: Sequence[Score]) -> None:
    for mark, (shape, color) in MARKS.items():
        places = [i for i, score in enumerate(shown) if score.mark == mark and math.isfinite(score.z)]
        if places:
            panel.plot(
                [shown[i].z for i in places], places, shape, color=color, markersize=6, label=mark,
                markeredgecolor="white", markeredgewidth=0.6, zorder=4,
            )  # fmt: skip


def _far(panel: Any, reach: float) -> None:
    """Linear near 0, logarithmic beyond ±8, with ticks that do not run into each other."""
    panel.set_xscale("symlog", linthresh=LINEAR, linscale=1.6)
    decades = [10.0**k for k in range(2, math.floor(math.log10(reach)) + 1)]
    ends = [4.0, LINEAR, *(decades if len(decades) < 5 else decades[:: -(-len(decades) // 4)])]
    panel.set_xticks([*(-v for v in reversed(ends)), 0.0, *ends])
    panel.set_xticklabels([f"{v:g}".replace("-", "−") for v in [*(-v for v in reversed(ends)), 0.0, *ends]])
    panel.minorticks_off()


def _verification(content: bytes) -> list[dict[str, Any]] | None:
    """The rows of a verification's Parquet file; None for any other file."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    names = ["id", "verdict", "source_z"]
    try:
        parquet = pq.ParquetFile(pa.BufferReader(content))
        if not set(names) <= set(parquet.schema_arrow.names):
            return None
        table = parquet.read(columns=names, use_threads=False)  # pq.read_table would read on other threads all the same
    except (pa.ArrowInvalid, OSError):
        return None
    rows: list[dict[str, Any]] = table.to_pylist()
    return rows


def _known(z: float | None) -> bool:
    return z is not None and math.isfinite(z)


def _cell(cell: str) -> str:
    return "" if cell == ALL else f" {cell}"


def _cut(label: str) -> str:
    """A label of bearable length, its end kept: the quantity stands there."""
    return label if len(label) <= LONGEST else f"{label[: LONGEST - 16]}…{label[-15:]}"
