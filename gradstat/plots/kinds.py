"""Pictures, a table of records: what each kind shows, what it is made from, and which options it knows.

Importing this needs no matplotlib: the command line asks it for names. Each kind is one module of `plots`.
"""

import importlib
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from io import BytesIO
from pathlib import Path
from typing import Any

from gradstat.errors import UsageError, unknown
from gradstat.estimators import DEFAULT_SEED
from gradstat.layer_types.case import Case
from gradstat.text.formats import PICTURES, save
from gradstat.text.tables import Report

MOST_LAYERS = 12
LAYERS, FILE = "layers", "a result file"
# Nothing that changes from one run to the next: the same question gives the same bytes.
METADATA: dict[str, dict[str, Any]] = {
    "png": {},
    "svg": {"Date": None},
    "pdf": {"CreationDate": None},
}


@dataclass(frozen=True)
class Request:
    """What is asked of a picture: layers or a file, and how to sample where sampling is needed."""

    cases: tuple[Case, ...] = ()
    file: Path | None = None
    samples: int = 0
    seed: int = DEFAULT_SEED
    jobs: int = 0
    statistic: str = "std"
    gain: float = 1.0
    span: tuple[float, float] = (0.03, 30.0)


@dataclass(frozen=True)
class Plot:
    """One kind of picture: its words, the module that draws it, what it takes, and its defaults."""

    description: str
    module: str
    takes: tuple[str, ...]
    samples: int = 0  # draws where -n is left out; 0: it samples nothing
    statistics: tuple[str, ...] = ()
    options: tuple[str, ...] = field(default=())


PLOTS: dict[str, Plot] = {
    "histogram": Plot(
        "the distributions of y and dx, beside the normal of equal mean and σ", "histogram", (LAYERS,), 2**20
    ),
    "variance-map": Plot(
        "σ[y] against σ[x] from exact values, with its fixed points",
        "variance_map",
        (LAYERS,),
        statistics=("std", "rms"),
        options=("gain", "range"),
    ),
    "error": Plot(
        "|estimate − exact| of mc and the standard errors of mc and rqmc against the number of draws",
        "error",
        (LAYERS,),
        2**22,
        statistics=("std", "mean"),
    ),
    "forest": Plot("the z-scores of a result file, or of a verification's Parquet file", "forest", (FILE,)),
    "cells": Plot(
        "the repeated cell of a strided layer as a heat map",
        "cells",
        (LAYERS, FILE),
        2**22,
        statistics=("std", "mean"),
    ),
}


def find(kind: str) -> Plot:
    """The plot of this name; UsageError with the closest one otherwise."""
    if kind not in PLOTS:
        raise UsageError(unknown("kind of picture", kind, PLOTS))
    return PLOTS[kind]


def draw(kind: str, request: Request) -> Any:
    """The figure, a matplotlib.figure.Figure."""
    return styled_figure(f"gradstat.plots.{find(kind).module}", request)


def styled_figure(name: str, request: Any) -> Any:
    """What the `draw` of a module makes of its request, in gradstat's style and laid out."""
    from gradstat.plots.style import styled

    module = importlib.import_module(name)
    with styled():
        figure = module.draw(request)
        for _ in range(2):  # the second time the legend's size is known
            figure.draw_without_rendering()
        figure.set_layout_engine("none")  # laid out once: no file depends on which was written before it
    return figure


class Picture:
    """A picture; `figure` is a matplotlib Figure. Equal figures give equal bytes."""

    def __init__(self, figure: Any) -> None:
        self.figure = figure

    def report(self) -> Report:
        """The figure in every format of pictures."""
        return Report([], own={name: partial(_written, self.figure, name) for name in METADATA})

    def save(self, path: str | Path) -> None:
        """Write a .svg, .pdf or .png file, whole or not at all."""
        save(self.report(), Path(path), PICTURES)

    def _repr_svg_(self) -> str:
        return str(_written(self.figure, "svg"))


def request_of(
    kind: str,
    sources: Sequence[Path | Sequence[Case]],
    samples: int | None,
    seed: int,
    jobs: int,
    statistic: str | None,
    gain: float | None,
    span: tuple[float, float] | None,
) -> Request:
    """The request for a picture, from a result file or from cases; UsageError for what this kind cannot show."""
    plot = find(kind)
    options = {"statistic": statistic, "gain": gain, "range": span}
    known = {"statistic": plot.statistics, "gain": "gain" in plot.options, "range": "range" in plot.options}
    for name, value in options.items():
        if value is not None and not known[name]:
            raise UsageError(f"{name} does not apply to {kind!r} plots; leave it out")
    if statistic is not None and statistic not in plot.statistics:
        raise UsageError(f"statistic {statistic} is not allowed; expected one of {', '.join(plot.statistics)}")
    if gain is not None and not 0.0 < gain < 1e30:
        raise UsageError(f"gain {gain:g} is not allowed; expected a number above 0")
    low, high = span or (0.03, 30.0)
    if not 1e-12 <= low < high <= 1e12 or high < 1.5 * low:
        raise UsageError(
            f"range {low:g}:{high:g} is not allowed; expected two scales from 1e-12 to 1e12, e.g. 0.01:100"
        )
    files = [source for source in sources if isinstance(source, Path)]
    cases = [case for source in sources if not isinstance(source, Path) for case in source]
    _check_sources(kind, plot.takes, files, cases)
    return Request(
        cases=tuple(cases),
        file=files[0] if files else None,
        samples=samples or plot.samples,
        seed=seed,
        jobs=jobs,
        statistic=statistic or "std",
        gain=1.0 if gain is None else gain,
        span=(low, high),
    )


def _check_sources(kind: str, takes: Sequence[str], files: Sequence[Path], cases: Sequence[Case]) -> None:
    """UsageError for a source that this kind cannot draw, for none, and for two at once."""
    example = {LAYERS: f"gradstat plot {kind} gelu", FILE: f"gradstat plot {kind} results/series.parquet"}
    advice = f"for example {example[takes[0]]} -o picture.png"
    if files and cases:
        raise UsageError("a layer and a result file make two pictures; keep one of the two")
    if len(files) > 1:
        raise UsageError(f"{len(files)} result files make {len(files)} pictures; name one")
    if not files and not cases:
        raise UsageError(f"{kind} is drawn from {' or '.join(takes)}, and there is none; {advice}")
    if (FILE if files else LAYERS) not in takes:
        raise UsageError(f"{kind} is drawn from {takes[0]}, not from {files[0] if files else cases[0].label}; {advice}")
    if len(cases) > MOST_LAYERS:
        raise UsageError(f"{len(cases)} layers do not fit into one picture; allowed: up to {MOST_LAYERS}")


def _written(figure: Any, name: str) -> str | bytes:
    from gradstat.plots.style import styled

    buffer = BytesIO()
    with styled():
        figure.savefig(buffer, format=name, metadata=METADATA[name])
    return _slim(buffer.getvalue().decode()) if name == "svg" else buffer.getvalue()


def _slim(svg: str) -> str:
    """Hundredths of a point, and a path in one line: the same picture, half the lines, for those who commit it."""
    rounded = re.sub(r"\b([1-9]\d*\.\d\d)\d+", r"\1", svg)  # cut off; below 1 stand the scales of letters
    return re.sub(r"\s*\n(?=[LCQz])", "", rounded)
