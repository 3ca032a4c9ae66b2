"""Pictures: every kind is a valid file of every format, the same bytes each time, and shows what is true."""

import importlib.util
import math
import re
import struct
import zlib
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from gradstat.assumptions import Input
from gradstat.config import RunConfig
from gradstat.estimation import run as runs
from gradstat.estimation.sample_values import values
from gradstat.layer_types.case import Case
from gradstat.layer_types.from_config import cases
from gradstat.layer_types.record import ALL, BACKWARD, FORWARD
from gradstat.layer_types.registry import find
from gradstat.plots.kinds import PLOTS, Request
from gradstat.results.provenance import provenance
from gradstat.results.result import Result
from gradstat.results.rows import to_arrow
from gradstat.results.store import write
from tests.commands import Command, Outcome

needs_matplotlib = pytest.mark.skipif(
    importlib.util.find_spec("matplotlib") is None, reason="matplotlib is not installed: pip install 'gradstat[plot]'"
)

STRIDED = {"kernel_size": 3, "stride": 2}
SEED = 20160328
Plot = Callable[..., Outcome]


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a result and a verification."""
    folder = tmp_path_factory.mktemp("plots")
    layers = [{"name": "relu"}, {"name": "max_pool2d", **STRIDED}]
    config = RunConfig.model_validate({"seed": SEED, "samples": 16384, "layer": layers})
    lines = runs.run(cases(config), 16384, SEED, jobs=1)
    write(Result(to_arrow(lines, SEED, "mc"), provenance(config, 1, 0.1)), folder / "result.parquet")
    columns: dict[str, list[Any]] = {"id": ["a-1", "b<2>", "c", "d"], "source_z": [0.5, -300.0, None, 3.9]}
    columns |= {"verdict": ["confirmed", "refuted", "undecided", "imprecise"]}
    pq.write_table(pa.table(columns), folder / "verification.parquet")
    return folder


@pytest.fixture
def plot(cli: Command) -> Plot:
    """Runs `gradstat plot` in a folder of its own."""
    return lambda *arguments: cli("plot", *arguments)


def questions(kind: str, files: Path) -> tuple[str, ...]:
    """The words behind the kind."""
    return {
        "histogram": ("relu", "hardtanh", "-n", "4096"),
        "variance-map": ("tanh", "--gain", "1.5", "--range", "0.5:2"),
        "error": ("relu", "-n", "4096"),
        "forest": (str(files / "result.parquet"),),
        "cells": (str(files / "result.parquet"),),
    }[kind]


LABELS = {
    "histogram": ["relu: y", "hardtanh: dx", "probability density", "normal, same mean and σ", "are 0"],
    "variance-map": ["input scale  σ[x]", "output scale  σ[1.5·y]", "1.5 · tanh", "stable fixed point", "0.8907"],
    "error": [
        "relu: σ[y]",
        "relu: σ[dx]",
        "draws n",
        "slope −½",
        "slope −1",
        "68 % interval of rqmc",
        "error of σ[dx]",
    ],
    "forest": ["relu E[y]", "relu σ[dx]", "z = (estimate − exact) / standard error", "family-wise bound"],
    "cells": ["max_pool2d(kernel_size=3, stride=2)", "4 windows", "1 window", "0.6667", "column in the cell"],
}


@needs_matplotlib
@pytest.mark.parametrize("kind", PLOTS)
def test_every_kind_in_every_format_and_always_the_same(kind: str, plot: Plot, files: Path, tmp_path: Path) -> None:
    names = ("a.png", "a.svg", "a.pdf", "b.svg", "b.pdf")
    for letter in "ab":  # drawn twice, from the question on
        outputs = [word for name in names if name[0] == letter for word in ("-o", name)]
        assert plot(kind, *questions(kind, files), *outputs).code == 0
    for suffix in ("svg", "pdf"):
        assert (tmp_path / f"a.{suffix}").read_bytes() == (tmp_path / f"b.{suffix}").read_bytes()
    check_png((tmp_path / "a.png").read_bytes())
    pdf = (tmp_path / "a.pdf").read_bytes()
    assert pdf.startswith(b"%PDF-1.")
    assert pdf.rstrip().endswith(b"%%EOF")
    assert b"CreationDate" not in pdf
    svg = (tmp_path / "a.svg").read_text(encoding="utf-8")
    assert ElementTree.fromstring(svg).tag.endswith("svg")
    assert not re.search(r"<dc:date>|href=\"(?!#|data:)", svg)
    texts = re.findall(r"<!-- (.*?) -->", svg, re.S)  # matplotlib draws letters as paths, and tells what they say
    for label in LABELS[kind]:
        assert any(label in text for text in texts), f"{label} is not in {texts}"


def check_png(content: bytes) -> None:
    """Every chunk's sum is right, and the image is neither tiny nor of one colour."""
    assert content[:8] == b"\x89PNG\r\n\x1a\n"
    at, chunks = 8, dict[bytes, Any]()
    while at < len(content):
        length, name = struct.unpack(">I4s", content[at : at + 8])
        body = content[at + 8 : at + 8 + length]
        assert struct.unpack(">I", content[at + 8 + length : at + 12 + length])[0] == zlib.crc32(name + body)
        chunks[name] = chunks.get(name, b"") + body
        at += 12 + length
    width, height = struct.unpack(">II", chunks[b"IHDR"][:8])
    assert min(width, height) > 400
    assert len(set(zlib.decompress(chunks[b"IDAT"])[:2000000])) > 30


@needs_matplotlib
def test_no_label_touches_another(files: Path) -> None:
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    from gradstat.plots import kinds as plots
    from gradstat.plots.style import styled

    three = tuple(Case(find(name), {}) for name in ("selu", "tanh", "gelu"))
    pool = Case(find("max_pool2d"), STRIDED)
    requests = {
        "histogram": Request((Case(find("hardtanh"), {}), Case(find("relu6"), {})), samples=4096),
        "variance-map": Request(three, gain=1.5),
        "forest": Request(file=files / "verification.parquet"),
        "cells": Request((pool, replace(pool, x=Input(correlation=0.5))), samples=4096),
    }
    for kind, request in requests.items():
        figure = plots.draw(kind, request)
        with styled():
            FigureCanvasAgg(figure).draw()  # type: ignore[no-untyped-call]
        boxes = [
            (text.get_text(), text.get_window_extent())
            for axes in figure.axes
            for text in (
                *axes.texts,
                axes.title,
                axes._left_title,
                axes.xaxis.label,
                axes.yaxis.label,
                *(text for text in axes.get_xticklabels() if within(text.get_position()[0], axes.get_xlim())),
                *(text for text in axes.get_yticklabels() if within(text.get_position()[1], axes.get_ylim())),
            )
            if text.get_text() and text.get_visible() and axes.get_visible()
        ]
        shown = [(words, box) for words, box in boxes if figure.bbox.overlaps(box)]
        for i, (words, box) in enumerate(shown):
            assert box.x0 >= -1, f"{kind}: {words} is cut off"
            assert box.x1 <= figure.bbox.x1 + 1, f"{kind}: {words} is cut off"
            for other, second in shown[:i]:
                touch = box.x0 < second.x1 and second.x0 < box.x1 and box.y0 < second.y1 and second.y0 < box.y1
                assert not touch, f"{kind}: {words!r} on {other!r}"


def within(value: float, ends: tuple[float, float]) -> bool:
    """A tick that the axis shows."""
    return min(ends) <= value <= max(ends)


# What they show ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("case", [Case(find("relu"), {}), Case(find("max_pool2d"), STRIDED), Case(find("rrelu"), {})])
def test_values_are_those_of_the_run(case: Case) -> None:
    for line in runs.run([case], 4096, SEED, jobs=1):
        found = values(case, line.row, 4096, SEED)
        assert found.shape == (len(line.row.slots), 4096)
        assert found.mean() == pytest.approx(line.estimates.mean, rel=1e-12, abs=1e-14)
        assert (found**2).mean() == pytest.approx(line.estimates.second_moment, rel=1e-12)
        assert found.min() == line.estimates.min
        assert found.max() == line.estimates.max


@needs_matplotlib
def test_histogram_counts_every_draw() -> None:
    from gradstat.plots import histogram

    case = Case(find("hardtanh"), {})
    row = next(row for row in case.shape.rows if row.direction == FORWARD)
    sample = values(case, row, 2**14, SEED).ravel()
    atoms = dict(histogram.atoms_of(sample))
    assert set(atoms) == {-1.0, 1.0}
    assert atoms[1.0] == pytest.approx(0.5 * math.erfc(math.sqrt(0.5)), abs=0.015)
    edges = histogram.edges_of(sample, -2.0, 2.0)
    assert (edges[0], edges[-1]) == (-1.0, 1.0)
    inside = sample[np.abs(sample) < 1.0]
    assert np.histogram(inside, edges)[0].sum() == inside.size
    assert histogram.summary(np.ones((1, 10))) == "E = 1, σ = 0"


@needs_matplotlib
def test_fixed_points_are_fixed() -> None:
    from gradstat.plots import variance_map

    grid = np.geomspace(0.1, 10.0, 25)
    for curve, expected in (
        (lambda s: s**0.5, [(1.0, True)]),
        (lambda s: s**2 / 3.0, [(3.0, False)]),
        (lambda s: s, []),
        (lambda s: s * (1.0 + 0.5 * math.sin(2.0 * math.log(s / 2.0))), [(2.0 * math.exp(-math.pi / 2), True)]),
        (lambda s: None, []),
    ):
        found = variance_map.fixed_points(curve, grid, [curve(float(s)) for s in grid])
        for point, stable in expected:
            assert any(p == pytest.approx(point, rel=1e-8) and s == stable for p, s in found), found
        assert expected or not found
        for (_, first), (_, second) in pairwise(found):
            assert first != second
    selu = Case(find("selu"), {})
    request = Request((selu,))
    at = variance_map.map_of(selu, request, 1.0)
    assert at == pytest.approx(1.0, abs=1e-9)


@needs_matplotlib
def test_forest_reads_both_kinds_of_files(files: Path) -> None:
    from gradstat.plots import forest

    found = forest.scores_of(files / "verification.parquet")
    assert [(s.label, s.z, s.mark) for s in found.scores] == [
        ("a-1", 0.5, "confirmed"),
        ("b<2>", -300.0, "refuted"),
        ("d", 3.9, "imprecise"),
    ]
    result = forest.scores_of(files / "result.parquet")
    assert any(score.label.startswith("max_pool2d(kernel_size=3, stride=2) σ[dx] (0, 1)") for score in result.scores)
    many = [forest.Score(str(i), float(i), "y") for i in range(200)]
    assert [score.z for score in forest.largest_scores(many)] == [float(i) for i in range(130, 200)]


@needs_matplotlib
def test_cells_are_exact_where_they_can_be() -> None:
    from gradstat.plots import cells

    request = Request((Case(find("avg_pool2d"), STRIDED),))
    (found,) = cells.from_cases(request)
    assert {place: square.windows for place, square in found.squares.items()} == {
        (0, 0): 4.0,
        (0, 1): 2.0,
        (1, 0): 2.0,
        (1, 1): 1.0,
    }
    for square in found.squares.values():
        assert not square.number.error
        assert square.number.value == pytest.approx(math.sqrt(square.windows or 0.0) / 9.0, rel=1e-12)


# Mistakes ----------------------------------------------------------------------------------------------------------

MISTAKES = [
    (("histogramm", "relu", "-o", "a.png"), "unknown kind of picture 'histogramm'; did you mean 'histogram'?"),
    (("histogram", "relu"), "a picture needs a file"),
    (("histogram", "relu", "-o", "a.gif"), "unknown suffix '.gif'"),
    (("histogram", "-o", "a.png"), "histogram is drawn from layers, and there is none"),
    (("histogram", "geluu", "-o", "a.png"), "unknown layer 'geluu'"),
    (("histogram", "x.parquet", "-o", "a.png"), "histogram is drawn from layers, not from x.parquet"),
    (("forest", "relu", "-o", "a.png"), "forest is drawn from a result file, not from relu"),
    (("cells", "relu", "x.parquet", "-o", "a.png"), "keep one of the two"),
    (("cells", "relu", "-o", "a.png"), "no row of a single cell"),
    (("error", "relu", "--gain", "2", "-o", "a.png"), "gain does not apply to 'error' plots"),
    (("error", "relu", "--statistic", "rms", "-o", "a.png"), "expected one of std, mean"),
    (("error", "relu", "-n", "100", "-o", "a.png"), "-n 100 is not allowed; expected at least 1024"),
    (("variance-map", "relu", "--range", "3:1", "-o", "a.png"), "range 3:1 is not allowed"),
    (("variance-map", "relu", "--gain", "-1", "-o", "a.png"), "gain -1 is not allowed"),
    (("variance-map", "negative_slope=1", "-o", "a.png"), "a parameter follows its layer"),
    (("variance-map", "max_pool2d", "--input", "correlation=0.5", "-o", "a.png"), "no exact value of y is known"),
]


@needs_matplotlib
@pytest.mark.parametrize(("arguments", "message"), MISTAKES, ids=[m for _, m in MISTAKES])
def test_mistake_is_one_line(arguments: tuple[str, ...], message: str, plot: Plot, tmp_path: Path) -> None:
    outcome = plot(*arguments)
    assert outcome.code == 2
    error = outcome.err
    assert message in error
    assert error.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


@needs_matplotlib
def test_file_that_cannot_be_read(plot: Plot, tmp_path: Path) -> None:
    (tmp_path / "bad.parquet").write_bytes(b"PAR1 but no more")
    for kind in ("forest", "cells"):
        for name in ("bad.parquet", "missing.parquet"):
            outcome = plot(kind, name, "-o", "a.png")
            assert outcome.code == 4
            assert outcome.err.count("\n") == 1


def test_without_matplotlib_one_line_says_how_to_get_it(plot: Plot, monkeypatch: pytest.MonkeyPatch) -> None:
    find_spec = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name, *rest: None if name == "matplotlib" else find_spec(name, *rest)
    )
    outcome = plot("histogram", "relu", "-o", "a.png")
    assert outcome.code == 2
    assert outcome.err == ("gradstat: pictures need matplotlib, which is not installed; pip install 'gradstat[plot]'\n")


def test_directions_of_a_layer_are_both_there() -> None:
    """What `histogram` and `variance-map` ask of every layer."""
    for name in ("relu", "max_pool2d", "linear", "softmax"):
        rows = Case(find(name), {}).shape.rows
        assert {row.direction for row in rows if row.cell == ALL} == {FORWARD, BACKWARD}
