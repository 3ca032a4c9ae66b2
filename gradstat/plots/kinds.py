"""Pictures, a table of records: what each kind shows, what it is made from, and which options it knows.

Importing this needs no matplotlib: the command line asks it for names. Each kind is one module of `plots`.
"""

import importlib
import importlib.util
import re
from dataclasses import dataclass, field
from functools import partial
from io import BytesIO
from pathlib import Path
from typing import Any

from gradstat.errors import UsageError, unknown
from gradstat.layer_types.case import Case
from gradstat.text.tables import Report

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
    seed: int = 20160328
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


def check() -> None:
    """UsageError where there is nothing to draw with, before any work."""
    if importlib.util.find_spec("matplotlib") is None:
        raise UsageError("pictures need matplotlib, which is not installed", "pip install 'gradstat[plot]'")


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


def report(figure: Any) -> Report:
    """A figure in every format of pictures; equal figures give equal bytes."""
    return Report([], own={name: partial(_written, figure, name) for name in METADATA})


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
