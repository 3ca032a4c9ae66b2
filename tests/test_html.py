"""The HTML report: whole, escaped, self-contained, and sorted by its own script in a real browser."""

import html
import re
import shutil
import subprocess
from html.parser import HTMLParser
from pathlib import Path

import pytest

from gradstat.cli.app import start
from gradstat.config import RunConfig
from gradstat.estimation.run import run
from gradstat.layer_types.from_config import cases
from gradstat.results.html import as_html, z_strip
from gradstat.results.provenance import provenance
from gradstat.results.rows import to_arrow
from gradstat.results.store import Result, write

EVIL = "</script><script>alert(1)</script>\"'&<b>"
VOID = {"meta"}
BROWSER = next(
    (found for name in ("chromium", "chromium-browser", "google-chrome") if (found := shutil.which(name))), ""
)
QUIET = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--virtual-time-budget=3000",
]


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
    overview, everything, origin = Page(as_html(result)).tables
    assert overview[0] == ["layer", "quantity", "cell", "windows", "printed", "estimate", "exact", "z"]
    assert len(everything) == 1 + result.table.num_rows
    assert all(len(row) == len(lines[0]) for lines in (overview, everything, origin) for row in lines)
    assert {row[0] for row in overview[1:]} >= {"sigmoid", "relu"}
    column = everything[0].index("std")
    assert [float(row[column]) for row in everything[1:]] == result.table["std"].to_pylist()


def test_nothing_is_taken_for_markup(result: Result) -> None:
    text = as_html(result)
    page = Page(text)
    assert [tag for tag, _ in page.tags].count("script") == 1
    assert "b" not in {tag for tag, _ in page.tags}
    assert [EVIL, EVIL] in page.tables[2]
    assert any(EVIL in row for row in page.tables[0])
    assert EVIL not in text
    assert html.escape(EVIL) in text


def test_nothing_is_loaded_from_elsewhere(result: Result) -> None:
    text = as_html(result)
    for tag, attributes in Page(text).tags:
        assert tag not in {"link", "img", "iframe", "object", "embed", "base", "form", "a"}
        assert not set(attributes) & {"src", "href", "xlink:href", "style", "onclick", "onload"}
    assert "default-src 'none'" in text
    assert not re.search(r"url\(|@import|fetch\(|https?:", text.replace("http-equiv", ""))


def test_strip_marks_what_is_beyond_the_bound() -> None:
    assert z_strip([], 5.0) == ""
    text = z_strip([0.0, 0.1, -0.1, 4.9, -40.0, float("inf")], 5.0)
    Page(text)
    assert text.count("<circle") == 6
    assert text.count('class="dot far"') == 2
    assert "6 z-scores, 2 beyond the family-wise bound" in text
    x = [float(found) for found in re.findall(r'cx="([^"]*)"', text)]
    assert all(0.0 < value < 760.0 for value in x)


def test_show_writes_it(result: Result, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(result, tmp_path / "r.parquet")
    assert start(["show", str(tmp_path / "r.parquet"), "-q", "-o", str(tmp_path / "r.html")]) == 0
    assert (tmp_path / "r.html").read_text(encoding="utf-8") == as_html(result)
    assert start(["show", str(tmp_path / "r.parquet"), "--format", "html"]) == 0
    assert capsys.readouterr().out == as_html(result)


def test_empty_result_is_a_page(result: Result) -> None:
    overview, *_ = Page(as_html(Result(result.table.slice(0, 0), {}))).tables
    assert len(overview) == 1


# In a browser ------------------------------------------------------------------------------------------------------


@pytest.mark.skipif(not BROWSER, reason="no Chromium here: apt install chromium")
def test_browser_sorts(result: Result, tmp_path: Path) -> None:
    text = as_html(result)
    header = Page(text).tables[0][0]
    plain = dom(text, tmp_path)
    assert plain.count("<button") == sum(len(lines[0]) for lines in Page(text).tables)  # its own script may run
    order = [row[0] for row in Page(plain).tables[0][1:]]
    assert order == [row[0] for row in Page(text).tables[0][1:]]

    for column, turns in {"estimate": (1,), "z": (1, 2), "layer": (2,)}.items():
        place = header.index(column)
        for clicks in turns:
            rows = Page(dom(clicking(text, place, clicks), tmp_path)).tables[0]
            cells = [row[place] for row in rows[1:]]
            assert sorted(cells) == sorted(row[place] for row in Page(text).tables[0][1:])
            if column == "layer":
                assert cells == sorted(cells, reverse=clicks == 2)
                continue
            known = [float(cell.partition(" ± ")[0]) for cell in cells if cell != "–"]
            assert known == sorted(known, reverse=clicks == 2)
            assert all(cell == "–" for cell in cells[len(known) :])  # what is unknown comes last, either way


@pytest.mark.skipif(not BROWSER, reason="no Chromium here: apt install chromium")
def test_browser_runs_no_other_script(result: Result, tmp_path: Path) -> None:
    text = as_html(result).replace("</body>", "<script>document.title = 'taken over'</script></body>")
    assert "<title>taken over" not in dom(text, tmp_path)


def clicking(text: str, column: int, clicks: int) -> str:
    """The page with a script of the test's own that clicks a header of the first table; its policy would forbid it."""
    text = re.sub(r'<meta http-equiv="Content-Security-Policy"[^>]*>', "", text)
    click = f"document.querySelectorAll('table')[0].tHead.rows[0].cells[{column}].firstElementChild.click();"
    return text.replace("</body>", f"<script>{click * clicks}</script></body>")


def dom(text: str, folder: Path) -> str:
    """The document as the browser has it when its scripts are through."""
    (folder / "page.html").write_text(text, encoding="utf-8")
    profile = folder / "profile"
    command = [BROWSER, *QUIET, f"--user-data-dir={profile}", "--dump-dom", f"file://{folder}/page.html"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    return done.stdout
