"""The HTML report: whole, escaped, self-contained, and readable on a small screen."""

import html
import re
from html.parser import HTMLParser
from pathlib import Path

import pyarrow as pa
import pytest

from gradstat.cli.app import start
from gradstat.config import RunConfig
from gradstat.estimation.run import run
from gradstat.layer_types.from_config import cases
from gradstat.results.overview import report
from gradstat.results.provenance import provenance
from gradstat.results.result import Result
from gradstat.results.rows import to_arrow
from gradstat.results.store import write
from gradstat.text.formats import render_text

EVIL = "</script><script>alert(1)</script>\"'&<b>"
VOID = {"meta"}


def page_of(result: Result) -> str:
    return render_text(report(result), "html")


@pytest.fixture(scope="module")
def result() -> Result:
    layers = [
        {"name": "sigmoid", "printed": {"forward_std": "0.2083", "forward_mean": EVIL, "backward_std": "1/3"}},
        {"name": "relu"},
        {"name": "max_pool2d", "kernel_size": 3, "stride": 2, "input": {"correlation": 0.5}},
    ]
    config = RunConfig.model_validate({"samples": 4096, "layer": layers})
    lines = run(cases(config), 4096, config.seed, jobs=1)
    return Result(to_arrow(lines, config.seed, "mc"), provenance(config, 1, 0.1) | {EVIL: EVIL})


class Page(HTMLParser):
    """Tags that open and close in order; attributes, and the cells of every table."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.tables: list[list[list[str]]] = []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)
        if tag == "table":
            self.tables.append([])
        if tag == "tr":
            self.tables[-1].append([])
        if tag in ("td", "th"):
            self.tables[-1][-1].append("")

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if {"td", "th"} & set(self.open):
            self.tables[-1][-1][-1] += data


def test_page_parses_and_has_every_row(result: Result) -> None:
    overview, everything, origin = Page(page_of(result)).tables
    assert overview[0] == ["layer", "quantity", "cell", "windows", "printed", "estimate", "exact", "z"]
    assert len(everything) == 1 + result.table.num_rows
    assert all(len(row) == len(lines[0]) for lines in (overview, everything, origin) for row in lines)
    assert {row[0] for row in overview[1:]} >= {"sigmoid", "relu"}
    column = everything[0].index("std")
    assert [float(row[column]) for row in everything[1:]] == result.table["std"].to_pylist()


def test_nothing_is_taken_for_markup(result: Result) -> None:
    text = page_of(result)
    page = Page(text)
    assert [tag for tag, _ in page.tags].count("script") == 1
    assert "b" not in {tag for tag, _ in page.tags}
    assert [EVIL, EVIL] in page.tables[2]
    assert any(EVIL in row for row in page.tables[0])
    assert EVIL not in text
    assert html.escape(EVIL) in text


def test_nothing_is_loaded_from_elsewhere(result: Result) -> None:
    text = page_of(result)
    for tag, attributes in Page(text).tags:
        assert tag not in {"link", "img", "iframe", "object", "embed", "base", "form", "a"}
        assert not set(attributes) & {"src", "href", "xlink:href", "style", "onclick", "onload"}
    assert not re.search(r"url\(|@import|fetch\(|https?:", text)


def test_narrow_screens_show_the_estimate(result: Result) -> None:
    """Names give way: 9 rem and the widest quantity and estimate, 0.6 rem of padding each, fit into 500 pixels."""
    text = page_of(result)
    narrow = text.partition("@media (max-width: 40rem)")[2].partition("</style>")[0]
    assert re.search(r"td\.name {[^}]*max-width: 9rem; overflow-wrap: anywhere", narrow)
    lines = Page(text).tables[0]
    quantity, estimate = (max(len(line[lines[0].index(name)]) for line in lines) for name in ("quantity", "estimate"))
    assert lines[0].index("estimate") > lines[0].index("quantity")
    assert 15 * 9 + 10 * (quantity + estimate) + 3 * 9 + 15 < 500


def test_marks_what_a_check_did_not_pass(result: Result) -> None:
    assert "wrong" not in {attributes.get("class") for _, attributes in Page(page_of(result)).tags}
    rows = result.table.to_pylist()
    rows[0]["z_mean"] = -40.0
    spoilt = Result(pa.Table.from_pylist(rows, schema=result.table.schema), result.provenance)
    assert page_of(spoilt).count('class="number wrong" data-key="-40.0"') == 1


def test_show_writes_it(result: Result, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(result, tmp_path / "r.parquet")
    assert start(["show", str(tmp_path / "r.parquet"), "-q", "-o", str(tmp_path / "r.html")]) == 0
    assert (tmp_path / "r.html").read_text(encoding="utf-8") == page_of(result)
    assert start(["show", str(tmp_path / "r.parquet"), "--format", "html"]) == 0
    assert capsys.readouterr().out == page_of(result)


def test_empty_result_is_a_page(result: Result) -> None:
    overview, *_ = Page(page_of(Result(result.table.slice(0, 0), {}))).tables
    assert len(overview) == 1
