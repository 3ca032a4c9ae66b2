"""The registry of output formats. Commands choose a format by its name or by the suffix of a file.

The libraries that write the formats are imported when a report is rendered, so listing the names is fast.
"""

import importlib
import importlib.util
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

from gradstat.errors import UsageError, unknown
from gradstat.text.files import check_writable, write_whole
from gradstat.text.tables import Report, Terminal

Renderer = Callable[[Report, Terminal], str | bytes]


@dataclass(frozen=True)
class Format:
    """An output format of reports; -o chooses it by `suffix`."""

    name: str
    suffix: str
    description: str
    renderer: str = ""  # module.function of gradstat.text; empty: only reports with this format in `own` have it
    text: bool = True

    def render(self, report: Report, terminal: Terminal) -> str | bytes:
        """The report in this format; UsageError if it does not have this format."""
        if self.name in report.own:
            return report.own[self.name]()
        if not self.renderer:
            raise UsageError(f"this report has no format {self.name!r}")
        module, _, function = self.renderer.partition(".")
        renderer: Renderer = getattr(importlib.import_module(f"gradstat.text.{module}"), function)
        return renderer(report, terminal)


FORMATS = {
    entry.name: entry
    for entry in (
        Format("table", ".txt", "aligned columns, fitted to the terminal", "tables.as_text"),
        Format("json", ".json", "all rows in full precision, and their provenance", "machine.as_json"),
        Format("csv", ".csv", "all rows in full precision", "machine.as_csv"),
        Format("md", ".md", "Markdown tables", "markup.as_markdown"),
        Format("latex", ".tex", "LaTeX tabulars, with booktabs", "markup.as_latex"),
        Format("html", ".html", "one self-contained page with sortable tables", "html.as_html"),
        Format("parquet", ".parquet", "all rows in full precision, binary", "machine.as_parquet", text=False),
        Format("python", ".py", "constants as dictionaries of Python", "machine.as_python"),
        Format("c", ".h", "constants as macros of C", "machine.as_c"),
        Format("junit", ".xml", "verdicts as test cases of JUnit"),
        Format("github", ".github", "verdicts as annotations of GitHub Actions"),
        Format("concise", ".concise", "unexpected verdicts, one per line"),
        Format("svg", ".svg", "a vector picture, for the web", text=False),
        Format("pdf", ".pdf", "a vector picture, for print", text=False),
        Format("png", ".png", "a pixel picture", text=False),
    )
}
TABLES = ("table", "json", "csv", "md", "latex", "html", "parquet")  # formats of every report
CODE = ("python", "c")
PICTURES = ("svg", "pdf", "png")


def render(report: Report, name: str, terminal: Terminal | None = None) -> str | bytes:
    """A report in the format of this name."""
    return FORMATS[name].render(report, terminal or Terminal())


def render_text(report: Report, name: str, terminal: Terminal | None = None) -> str:
    """A report in a format that is text."""
    content = render(report, name, terminal)
    assert isinstance(content, str)
    return content


def check_matplotlib() -> None:
    """Raise UsageError if pictures cannot be drawn, before any work."""
    if importlib.util.find_spec("matplotlib") is None:
        raise UsageError("pictures need matplotlib, which is not installed", "pip install 'gradstat[plot]'")


def format_of(path: Path, allowed: Collection[str]) -> Format:
    """The format with the suffix of a file; UsageError if it is not one of the allowed formats."""
    suffixes = {FORMATS[name].suffix: FORMATS[name] for name in allowed}
    if not path.suffix:
        raise UsageError(f"{path}: has no suffix, which chooses the format; expected one of {', '.join(suffixes)}")
    if path.suffix not in suffixes:
        raise UsageError(f"{path}: {unknown('suffix', path.suffix, tuple(suffixes))}")
    return suffixes[path.suffix]


def check(paths: Sequence[Path], allowed: Collection[str]) -> None:
    """Raise UsageError for a file that cannot be written. Called before any work."""
    for path in paths:
        format_of(path, allowed)
        check_writable(path)


def save(report: Report, path: Path, allowed: Collection[str] = tuple(FORMATS)) -> None:
    """Write a report atomically, in the format of the file's suffix."""
    write_whole(path, render(report, format_of(path, allowed).name))
