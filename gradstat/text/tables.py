"""The table type of all reports, and its text for a terminal.

A cell is a text, a number, an `Uncertain`, a bool, a mapping of parameters, or None if it is unknown. Formats for
people show the certain digits of a value, formats for programs its full precision (`records`).
"""

import json
import math
import re
import textwrap
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import groupby, zip_longest
from typing import Any, Literal

from gradstat.errors import printable, without_commands
from gradstat.text.uncertain import Uncertain

NOTHING = "–"  # the text of a cell that is unknown or does not apply
GAP = "  "
NARROWEST = 28  # columns for the names of layers; in a narrower terminal each name has its own line
UNLIMITED = 10_000  # columns: a file or a pipe has no wrapped lines
BOLD, RED, END = "\x1b[1m", "\x1b[31m", "\x1b[0m"

Cell = Any
Record = dict[str, Any]


@dataclass(frozen=True)
class Terminal:
    """The width of a terminal in columns, and whether it has colors."""

    width: int = UNLIMITED
    color: bool = False


@dataclass(frozen=True)
class Column:
    """A column: its name for programs, its heading for people, and its behaviour in a narrow terminal."""

    name: str
    heading: str | None = None  # None: the name
    align: Literal["left", "right", "decimal"] = "left"
    show: Callable[[Any], str] | None = None  # the text of a cell that is not None
    idle: Sequence[Cell] = ()  # the column is hidden from people if every cell is one of these
    wrap: int = 0  # the smallest width to wrap texts to; 0: never wrapped
    priority: int = 0  # a narrow terminal drops the column with the highest priority first; 0: never dropped
    people: bool = True  # False: only in formats for programs
    code: bool = False  # cells are code: monospace in formats that have it
    tex: str = ""  # the heading in LaTeX
    description: str = ""

    @property
    def title(self) -> str:
        """The heading for people."""
        return self.name if self.heading is None else self.heading

    def text(self, cell: Cell) -> str:
        """The text of a cell for people."""
        return shown(cell) if cell is None or self.show is None else self.show(cell)


@dataclass(frozen=True)
class Table:
    """Columns, and rows with one cell per column."""

    columns: Sequence[Column]
    rows: Sequence[Sequence[Cell]]
    title: str = ""
    name: str = ""  # in identifiers of generated code
    notes: Sequence[str] = ()
    link: str = ""
    across: bool = False  # transposed for people: one column per row
    wrong: frozenset[tuple[int, str]] = frozenset()  # (row, column name) of cells that failed a check

    def for_people(self) -> "Table":
        """The table without hidden columns, transposed if `across` is set."""
        visible = [
            i
            for i, column in enumerate(self.columns)
            if column.people and not (column.idle and all(row[i] in column.idle for row in self.rows))
        ]
        columns, rows = [self.columns[i] for i in visible], [[row[i] for i in visible] for row in self.rows]
        if self.across:
            transposed = list(zip(*rows, strict=True))
            rows = [[column.title, *cells] for column, cells in zip(columns[1:], transposed[1:], strict=True)]
            columns = [columns[0], *(Column(columns[0].text(cell), align="right") for cell in transposed[0])]
        return Table(columns, rows, self.title, self.name, self.notes, self.link, wrong=self.wrong)


@dataclass(frozen=True)
class Report:
    """The output of a command: tables for people, rows and facts for programs."""

    tables: Sequence[Table]
    data: Table | None = None  # the rows for programs; None: those of the first table
    title: str = ""  # of a page
    summary: str = ""  # one sentence: first on a page, last in a terminal
    notes: Sequence[str] = ()  # below all tables
    facts: Mapping[str, Any] = field(default_factory=dict)  # facts about all rows, for example their provenance
    own: Mapping[str, Callable[[], str | bytes]] = field(default_factory=dict)  # formats that only this report has

    def records(self) -> list[Record]:
        """The rows for programs."""
        return records(self.data or self.tables[0])


def shown(cell: Cell) -> str:
    """The text of a cell in a column without a `show` function."""
    match cell:
        case None:
            return NOTHING
        case bool():
            return "true" if cell else "false"
        case Uncertain():
            return cell.text
        case float():
            return f"{cell:.10g}"
        case Mapping():
            return ", ".join(f"{key}={shown(value)}" for key, value in cell.items()) or NOTHING
        case list() | tuple():
            return ", ".join(map(shown, cell)) or NOTHING
    return printable(str(cell))


def records(table: Table) -> list[Record]:
    """The rows in full precision: an uncertain number becomes NAME and NAME_se; NaN and infinity become None.

    If a number of a column has a kind, NAME_kind and NAME_reason follow.
    """
    indices = range(len(table.columns))
    numbers = {i: cells for i in indices if (cells := [r[i] for r in table.rows if isinstance(r[i], Uncertain)])}
    with_kind = {i for i, cells in numbers.items() if any(number.kind for number in cells)}
    as_texts = {i for i, cells in numbers.items() if any(isinstance(number.precise, str) for number in cells)}
    result = []
    for row in table.rows:
        record: Record = {}
        for i, (column, cell) in enumerate(zip(table.columns, row, strict=True)):
            if i not in numbers:
                record[column.name] = finite(cell)
                continue
            number = cell if isinstance(cell, Uncertain) else Uncertain(math.nan, math.nan)
            value = number.for_programs
            record[column.name] = repr(value) if i in as_texts and isinstance(value, float) else value
            record[f"{column.name}_se"] = finite(number.error or 0.0)
            if i in with_kind:
                record |= {f"{column.name}_kind": number.kind or None, f"{column.name}_reason": number.reason or None}
        result.append(record)
    return result


def finite(value: Any) -> Any:
    """The value with None for NaN and infinity, also in nested values, since JSON has neither."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {key: finite(inner) for key, inner in value.items()}
    return [finite(inner) for inner in value] if isinstance(value, list | tuple) else value


def compact(value: Any) -> Any:
    """A cell for a flat format: mappings and lists as JSON with sorted keys, texts encodable in UTF-8."""
    text = json.dumps(value, sort_keys=True, ensure_ascii=False) if isinstance(value, dict | list) else value
    return text.encode("utf-8", "replace").decode() if isinstance(text, str) else text


def as_text(report: Report, terminal: Terminal) -> str:
    """Every table with its title and notes, fitted to the width of the terminal."""
    parts = []
    for table in report.tables:
        lines = [*wrapped(table.title, terminal.width), *_lines(table, terminal)]
        lines += [line for note in table.notes for line in wrapped(note, terminal.width)]
        parts.append("".join(f"{line}\n" for line in lines))
    notes = [*report.notes, *([report.summary] if report.summary else [])]
    parts += ["".join(f"{line}\n" for note in notes for line in wrapped(note, terminal.width))]
    text = ("\n" if len(report.tables) > 1 else "").join(part for part in parts if part)
    return without_commands(text)


def wrapped(text: str, width: int) -> list[str]:
    """The text in lines of this width, not broken at hyphens."""
    return textwrap.wrap(printable(text), max(width, NARROWEST), break_on_hyphens=False)


@dataclass
class _Laid:
    """A column with the aligned texts of its cells."""

    column: Column
    texts: list[str]

    @property
    def natural(self) -> int:
        return max(map(len, [self.column.title, *self.texts]))

    @property
    def least(self) -> int:
        """The smallest width: that of the cells, wrapped if allowed, and of the longest word of the heading."""
        cells, words = max(map(len, self.texts)), max(map(len, self.column.title.split()), default=0)
        return max(words, min(cells, self.column.wrap) if self.column.wrap else cells)


def _lines(table: Table, terminal: Terminal) -> list[str]:
    """The lines of a table: header, rule and rows.

    If columns do not fit, they are wrapped, then dropped; then names move above their rows.
    """
    if not table.rows:
        return []
    shape = table.for_people()
    laid, dropped = _fitting(shape, terminal.width)
    if table.across and _least(laid) > terminal.width:
        shape = replace(table, across=False).for_people()
        laid, dropped = _fitting(shape, terminal.width)
    above = _least(laid) > terminal.width
    body = laid[1:] if above else laid
    widths = _widths(body, terminal.width)
    lines = _header(body, widths, terminal)
    start = 0
    for name, group in groupby(laid[0].texts):
        rows = range(start, start := start + len(list(group)))
        if above:
            lines += textwrap.wrap(name, max(terminal.width, NARROWEST), subsequent_indent=GAP)
        names = [] if above else _wrap(laid[0], name, widths[0])
        rest = [line for row in rows for line in _row(shape, laid[1:], row, widths if above else widths[1:], terminal)]
        for title, cells in zip_longest(names, rest, fillvalue=""):
            lines.append(cells if above else GAP.join([title.ljust(widths[0]), cells]).rstrip())
    if dropped:
        note = f"left out at {terminal.width} columns: {', '.join(dropped)}; every other format has them"
        lines += wrapped(note, terminal.width)
    return lines


def _fitting(table: Table, width: int) -> tuple[list[_Laid], list[str]]:
    """The columns that fit a terminal, and the headings of the dropped ones."""
    laid = [_Laid(column, _aligned(column, [row[i] for row in table.rows])) for i, column in enumerate(table.columns)]
    dropped: list[str] = []
    while _least(laid) > width and (priority := max(each.column.priority for each in laid)):
        least_important = next(each for each in reversed(laid) if each.column.priority == priority)
        laid.remove(least_important)
        dropped.insert(0, least_important.column.title)
    return laid, dropped


def _header(laid: Sequence[_Laid], widths: Sequence[int], terminal: Terminal) -> list[str]:
    """The headings and a rule; empty if no column has a heading."""
    titles = [textwrap.wrap(each.column.title, width) for each, width in zip(laid, widths, strict=True)]
    lines = []
    for texts in zip_longest(*titles, fillvalue=""):
        line = GAP.join(_padded(each, text, width) for each, text, width in zip(laid, texts, widths, strict=True))
        lines.append(f"{BOLD}{line.rstrip()}{END}" if terminal.color else line.rstrip())
    return [*lines, "─" * (sum(widths) + len(GAP) * (len(widths) - 1))] if lines else []


def _least(laid: Sequence[_Laid]) -> int:
    return sum(each.least for each in laid) + len(GAP) * (len(laid) - 1)


def _widths(laid: Sequence[_Laid], width: int) -> list[int]:
    """The widths of the columns: the narrowest wrapped column grows first, until the terminal is full."""
    widths = [each.least for each in laid]
    room = width - _least(laid)
    while room > 0 and (short := [i for i, each in enumerate(laid) if widths[i] < each.natural]):
        widths[min(short, key=lambda i: widths[i])] += 1
        room -= 1
    return widths


def _row(table: Table, laid: Sequence[_Laid], row: int, widths: Sequence[int], terminal: Terminal) -> Iterator[str]:
    """The lines of a row, without its name."""
    cells = [_wrap(each, each.texts[row], width) for each, width in zip(laid, widths, strict=True)]
    for line in zip_longest(*cells, fillvalue="") if cells else [()]:
        texts = []
        for each, text, width in zip(laid, line, widths, strict=True):
            padded = _padded(each, text, width)
            is_wrong = terminal.color and (row, each.column.name) in table.wrong
            texts.append(f"{RED}{padded}{END}" if is_wrong else padded)
        yield GAP.join(texts).rstrip()


def _padded(laid: _Laid, text: str, width: int) -> str:
    return text.rjust(width) if laid.column.align == "right" else text.ljust(width)


def _wrap(laid: _Laid, text: str, width: int) -> list[str]:
    if not laid.column.wrap or len(text) <= width:
        return [text]
    return textwrap.wrap(text, width, subsequent_indent=GAP, break_on_hyphens=False)


def _aligned(column: Column, cells: Sequence[Cell]) -> list[str]:
    """The texts of a column; in decimal columns the points and the ± of all cells are aligned."""
    if column.align != "decimal":
        return [column.text(cell) for cell in cells]
    parts = [
        cell.parts if isinstance(cell, Uncertain) and column.show is None else (column.text(cell), "") for cell in cells
    ]
    values, errors = _points([value for value, _ in parts]), _points([error for _, error in parts])
    return [
        f"{value} ± {error}" if part[1] else value for value, error, part in zip(values, errors, parts, strict=True)
    ]


def _points(texts: Sequence[str]) -> list[str]:
    """Numbers padded so that their decimal points are aligned."""
    halves = [[*re.split(r"(?=[.e])", text, maxsplit=1), ""] for text in texts]
    before, after = (max((len(half[i]) for half in halves), default=0) for i in (0, 1))
    return [half[0].rjust(before) + half[1].ljust(after) for half in halves]
