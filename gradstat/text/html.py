"""A report as one self-contained page with sortable tables. It loads nothing, and is readable without scripts."""

import html
import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

from gradstat import __version__
from gradstat.errors import printable
from gradstat.text.tables import NOTHING, Cell, Column, Report, Table, Terminal
from gradstat.text.uncertain import Uncertain

STYLE = """
:root { color-scheme: light dark; --ink: #1a1a1a; --soft: #5c5c5c; --line: #d8d8d8; --page: #ffffff; --band: #f4f6f8;
  --blue: #0072b2; --red: #b84a00; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e8e8e8; --soft: #a8a8a8; --line: #444444; --page: #16181a; --band: #202427; --blue: #56b4e9;
    --red: #f0923c; } }
body { font: 15px/1.45 system-ui, sans-serif; color: var(--ink); background: var(--page); margin: 2rem auto;
  max-width: 80rem; padding: 0 1.2rem; }
h1 { font-size: 1.35rem; margin: 0 0 .3rem; }
h2 { font-size: 1.05rem; margin: 1.8rem 0 .4rem; }
p { margin: .2rem 0; color: var(--soft); }
.wide { overflow-x: auto; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
th, td { padding: .22rem .7rem; text-align: left; white-space: nowrap; border-bottom: 1px solid var(--line); }
td.number { text-align: right; }
th { position: sticky; top: 0; background: var(--page); border-bottom: 2px solid var(--soft); }
th button { all: unset; cursor: pointer; font-weight: 600; }
th button:focus-visible { outline: 2px solid var(--blue); }
th button::after { content: " ↕"; color: var(--soft); }
th[aria-sort=ascending] button::after { content: " ↑"; color: var(--blue); }
th[aria-sort=descending] button::after { content: " ↓"; color: var(--blue); }
tbody tr:hover { background: var(--band); }
td.name { white-space: normal; min-width: 16rem; }
td.code { font-family: ui-monospace, monospace; font-size: .88em; }
td.wrong { color: var(--red); font-weight: 700; }
summary { cursor: pointer; font-weight: 600; margin: 1.4rem 0 .4rem; }
@media (max-width: 40rem) {
  body { padding: 0 .5rem; } th, td { padding: .22rem .3rem; } th button::after { content: none; }
  td.name { min-width: 7rem; max-width: 9rem; overflow-wrap: anywhere; } }
"""
SCRIPT = """
"use strict";
const key = (row, column) => {
  const text = row.cells[column].dataset.key ?? row.cells[column].textContent;
  const number = Number(text);
  return text === "" ? null : Number.isNaN(number) ? text : number;
};
const order = (a, b) =>
  typeof a === "number" && typeof b === "number" ? a - b : String(a).localeCompare(String(b), "en", { numeric: true });
for (const table of document.querySelectorAll("table.sortable")) {
  const heads = [...table.tHead.rows[0].cells];
  heads.forEach((head, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = head.textContent;
    head.replaceChildren(button);
    button.addEventListener("click", () => {
      const sign = head.getAttribute("aria-sort") === "ascending" ? -1 : 1;
      heads.forEach((other) => other.removeAttribute("aria-sort"));
      head.setAttribute("aria-sort", sign === 1 ? "ascending" : "descending");
      const rows = [...table.tBodies[0].rows].map((row) => ({ row, key: key(row, column) }));
      rows.sort((a, b) =>
        a.key === null || b.key === null ? (a.key === null) - (b.key === null) : sign * order(a.key, b.key));
      table.tBodies[0].append(...rows.map((entry) => entry.row));
    });
  });
}
"""


def escape(text: str) -> str:
    """A text of one line in HTML, without control characters."""
    return html.escape(printable(text))


def as_html(report: Report, terminal: Terminal) -> str:
    """The page. Every text is escaped."""
    title = escape(report.title or (report.tables[0].title if report.tables else "") or "gradstat")
    body = f"<p>{escape(report.summary)}</p>\n" if report.summary else ""
    body += "".join(_section(table) for table in report.tables)
    body += "".join(f"<p>{escape(note)}</p>\n" for note in report.notes)
    if rows := report.records():
        every = Table([Column(name) for name in rows[0]], [list(row.values()) for row in rows])
        body += f"<details><summary>Every column, full precision</summary>\n{_table(every, _full)}\n</details>\n"
    single = {name: value for name, value in report.facts.items() if not isinstance(value, Mapping)}
    for name, facts in {"facts": single, **report.facts}.items():
        if isinstance(facts, Mapping) and facts:
            table = Table([Column("key"), Column("value", wrap=1)], _flat(facts))
            body += f"<details><summary>{escape(name.capitalize())}</summary>\n{_table(table, _full)}\n</details>\n"
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>{STYLE}</style>
</head>
<body>
<h1>{title}</h1>
{body}<p>Written by gradstat {escape(__version__)}. Click a column to sort by it.</p>
<script>{SCRIPT}</script>
</body>
</html>
"""


def fragment(report: Report) -> str:
    """The report's tables as HTML without a page, for notebooks."""
    notes = "".join(f"<p>{escape(note)}</p>\n" for note in report.notes)
    return "".join(map(_section, report.tables)) + notes


def _section(table: Table) -> str:
    """A table with its title, link and notes."""
    link = f'<p><a href="{escape(table.link)}">{escape(table.link)}</a></p>\n' if table.link else ""
    head = f"<h2>{escape(table.title)}</h2>\n" if table.title else ""
    notes = "".join(f"<p>{escape(note)}</p>\n" for note in table.notes)
    return f"{head}{link}{_table(table.for_people(), None)}\n{notes}"


def _table(table: Table, text: Any) -> str:
    """A table that the script makes sortable. Numbers are aligned right, and cells that failed a check are marked."""
    head = "".join(f'<th scope="col">{escape(column.title)}</th>' for column in table.columns)
    body = []
    for number, row in enumerate(table.rows):
        cells = []
        for column, cell in zip(table.columns, row, strict=True):
            key = _key(cell)
            names = ["name"] * bool(column.wrap) + ["code"] * column.code
            names += ["number"] * (column.align != "left" or isinstance(key, int | float))
            names += ["wrong"] * ((number, column.name) in table.wrong)
            attributes = f' class="{" ".join(names)}"' if names else ""
            attributes += "" if key is None else f' data-key="{escape(str(key))}"'
            cells.append(f"<td{attributes}>{escape(text(cell) if text else column.text(cell))}</td>")
        body.append(f"<tr>{''.join(cells)}</tr>\n")
    return (
        f'<div class="wide"><table class="sortable">\n<thead><tr>{head}</tr></thead>\n'
        f"<tbody>\n{''.join(body)}</tbody>\n</table></div>"
    )


def _key(cell: Cell) -> float | str | None:
    """The sort key of a cell: a number, "" for an unknown value, None to sort by its text."""
    if cell is None:
        return ""
    value = cell.value if isinstance(cell, Uncertain) else cell
    if not isinstance(value, int | float) or isinstance(value, bool):
        return None
    if isinstance(value, int):  # may be too large for a float
        return value
    return value if math.isfinite(value) else "" if math.isnan(value) else "Infinity" if value > 0.0 else "-Infinity"


def _full(cell: Cell) -> str:
    """A cell in full precision."""
    return cell if isinstance(cell, str) else NOTHING if cell is None else json.dumps(cell, ensure_ascii=False)


def _flat(document: Mapping[str, Any], prefix: str = "") -> Sequence[tuple[str, Any]]:
    """Nested tables as pairs of a dotted key, such as `versions.numpy`, and a value."""
    rows: list[tuple[str, Any]] = []
    for key, value in document.items():
        if isinstance(value, dict) and value:
            rows += _flat(value, f"{prefix}{key}.")
        else:
            rows.append((f"{prefix}{key}", value))
    return rows
