"""A result as one self-contained page: sortable tables, inline SVG, no network; it reads without scripts too."""

import base64
import hashlib
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import Any

from gradstat import __version__
from gradstat.estimation.significance import z_bound
from gradstat.results.overview import STATISTICS, UNKNOWN, overview
from gradstat.results.schema import SHOWN
from gradstat.results.store import Result

NUMBERS = ("windows", "printed", "estimate", "exact", "z")
Cell = tuple[str, Any]  # what is shown, and what it is sorted by

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
td.name { white-space: normal; min-width: 16rem; font-family: ui-monospace, monospace; font-size: .88em; }
td.wrong { color: var(--red); font-weight: 700; }
summary { cursor: pointer; font-weight: 600; margin: 1.4rem 0 .4rem; }
svg text { fill: var(--soft); font: 12px system-ui, sans-serif; }
svg .axis { stroke: var(--soft); } svg .bound { stroke: var(--red); stroke-dasharray: 6 3; }
svg .dot { fill: var(--blue); fill-opacity: .75; } svg .far { fill: var(--red); }
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


def as_html(result: Result) -> str:
    """The page. Every text is escaped, and nothing but this very style and script may run."""
    view = overview(result)
    rows = result.rows()
    scores = [row[f"z_{name}"] for row in rows for name in STATISTICS if row.get(f"z_{name}") is not None]
    bound = z_bound(len(scores))
    notes = "".join(f"<p>{escape(note)}</p>\n" for note in view.notes)
    cells = [
        [(text, _shown(text) if column in NUMBERS else None) for column, text in zip(view.columns, texts, strict=True)]
        for texts in view.rows
    ]
    everything = [[(_full(row[name]), _number(row[name])) for name in SHOWN] for row in rows]
    numeric = {name for name in SHOWN if rows and isinstance(rows[0][name], int | float)}
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{_policy()}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>gradstat: {len(rows)} rows</title>
<style>{STYLE}</style>
</head>
<body>
<h1>What layers do to the scale of signal and gradient</h1>
{notes}{z_strip(scores, bound)}<h2>Estimates</h2>
{_table(view.columns, cells, NUMBERS, bound)}
<details><summary>Every column, full precision</summary>
{_table(SHOWN, everything, numeric | {"skewness", "kurtosis"}, None)}
</details>
<details><summary>Provenance</summary>
{_table(("key", "value"), [[(key, None), (value, None)] for key, value in _flat(result.provenance)], (), None)}
</details>
<p>Written by gradstat {escape(__version__)}. Click a column to sort by it.</p>
<script>{SCRIPT}</script>
</body>
</html>
"""


def z_strip(scores: Sequence[float], bound: float) -> str:
    """All z-scores as dots over one axis, stacked where they meet, with the bound; empty where there is none."""
    if not scores:
        return ""
    reach = math.ceil(bound) + 1
    width, step = 760.0, 9.0
    piles: dict[int, int] = {}
    dots, highest = [], 1
    for z in sorted(z for z in scores if not math.isnan(z)):
        place = min(max(z, -reach + 0.2), reach - 0.2)
        column = round(place * (width - 40.0) / (2.0 * reach) / step)
        piles[column] = piles.get(column, 0) + 1
        highest = max(highest, piles[column])
        dots.append((column * step + width / 2.0, piles[column], not abs(z) <= bound, z))
    pitch = min(step, 140.0 / highest)
    base = 24.0 + pitch * highest
    shapes = "".join(
        f'<circle class="dot{" far" if far else ""}" cx="{x:.1f}" cy="{base - pitch * (level - 0.5):.1f}" r="3.6">'
        f"<title>z = {z:+.2f}</title></circle>"
        for x, level, far, z in dots
    )
    scale = (width - 40.0) / (2.0 * reach)
    ticks = "".join(
        f'<line class="axis" x1="{width / 2 + v * scale:.1f}" x2="{width / 2 + v * scale:.1f}" y1="{base:.1f}" '
        f'y2="{base + 5:.1f}"/><text x="{width / 2 + v * scale:.1f}" y="{base + 19:.1f}" text-anchor="middle">'
        f"{v:+d}</text>".replace("+0<", "0<").replace(">-", ">−")
        for v in range(-reach + reach % 2, reach + 1, 2)
    )
    bounds = "".join(
        f'<line class="bound" x1="{width / 2 + v * scale:.1f}" x2="{width / 2 + v * scale:.1f}" y1="18" '
        f'y2="{base:.1f}"/><text x="{width / 2 + v * scale:.1f}" y="13" text-anchor="middle">'
        f"bound {v:+.1f}</text>".replace("bound -", "bound −")
        for v in (-bound, bound)
    )
    beyond = sum(not abs(z) <= bound for z in scores)
    words = f"{len(scores)} z-scores, {beyond or 'none'} beyond the family-wise bound"
    return f"""<h2>{words}</h2>
<div class="wide"><svg width="{width:.0f}" height="{base + 26:.0f}" role="img" aria-label="{escape(words)}">
{bounds}<line class="axis" x1="20" x2="{width - 20:.0f}" y1="{base:.1f}" y2="{base:.1f}"/>{ticks}{shapes}
</svg></div>
"""


def _table(columns: Sequence[str], rows: Iterable[Sequence[Cell]], numbers: Iterable[str], bound: float | None) -> str:
    """A table that the script makes sortable; numbers to the right, z beyond the bound marked."""
    right = set(numbers)
    head = "".join(f'<th scope="col">{escape(name)}</th>' for name in columns)
    body = []
    for row in rows:
        cells = []
        for column, (text, key) in zip(columns, row, strict=True):
            wrong = column == "z" and bound is not None and isinstance(key, float) and not abs(key) <= bound
            names = ["name"] * (column in ("layer", "value")) + ["number"] * (column in right) + ["wrong"] * wrong
            attributes = f' class="{" ".join(names)}"' if names else ""
            attributes += "" if key is None else f' data-key="{escape(str(key))}"'
            cells.append(f"<td{attributes}>{escape(text)}</td>")
        body.append(f"<tr>{''.join(cells)}</tr>\n")
    return (
        f'<div class="wide"><table class="sortable">\n<thead><tr>{head}</tr></thead>\n'
        f"<tbody>\n{''.join(body)}</tbody>\n</table></div>"
    )


def _shown(text: str) -> Any:
    """The number that a cell shows, without its error; "" for none; None for an expression, which sorts as text."""
    if text in ("", UNKNOWN):
        return ""
    top, _, bottom = text.partition(" ± ")[0].partition("/")
    try:
        return float(top) / float(bottom or 1)
    except (ValueError, ZeroDivisionError):
        return None


def _number(value: Any) -> Any:
    """A number as itself, "" for what is unknown, None for text."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    return value if isinstance(value, int | float) else None


def _full(value: Any) -> str:
    return UNKNOWN if value is None else repr(value) if isinstance(value, float) else str(value)


def _flat(document: Mapping[str, Any], prefix: str = "") -> list[tuple[str, str]]:
    """`versions.numpy`: nested tables by dotted keys."""
    found = []
    for key, value in document.items():
        if isinstance(value, dict) and value:
            found += _flat(value, f"{prefix}{key}.")
        else:
            text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
            found.append((f"{prefix}{key}", text))
    return found


def _policy() -> str:
    """Nothing is loaded, and no script or style runs but the two of this page, named by their hashes."""
    style, script = (base64.b64encode(hashlib.sha256(t.encode()).digest()).decode() for t in (STYLE, SCRIPT))
    return f"default-src 'none'; style-src 'sha256-{style}'; script-src 'sha256-{script}'"
