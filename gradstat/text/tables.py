"""Columns of text for a terminal: numbers are never wrapped or cut, only the names of layers give way."""

import re
import textwrap
from collections.abc import Sequence
from itertools import groupby, zip_longest

NARROWEST = 28  # columns for the names of layers; with less, each name gets a line of its own
GAP = "  "
BOLD, DIM, END = "\x1b[1m", "\x1b[2m", "\x1b[0m"


def grid(
    header: Sequence[str], rows: Sequence[Sequence[str]], width: int, dim: Sequence[str] = (), color: bool = False
) -> str:
    """A header, a rule, and the rows; consecutive rows of the same first cell show it once."""
    titles = max(len(row[0]) for row in [header, *rows])
    widths = [max(len(row[i]) for row in [header, *rows]) for i in range(1, len(header))]
    room = width - sum(len(GAP) + w for w in widths)
    above = room < min(titles, NARROWEST)
    titles = 0 if above else min(titles, room)

    def line(title: str, cells: Sequence[str]) -> str:
        shown = [cell.ljust(w) for cell, w in zip(cells, widths, strict=True)]
        if color:
            shown = [f"{DIM}{cell}{END}" if name in dim else cell for name, cell in zip(header[1:], shown, strict=True)]
        return GAP.join([title.ljust(titles), *shown]).rstrip()

    head = GAP.join([("" if above else header[0]).ljust(titles), *map(str.ljust, header[1:], widths)])
    lines = [f"{BOLD}{head.rstrip()}{END}" if color else head.rstrip(), "─" * len(head)]
    for title, group in groupby(rows, key=lambda row: row[0]):
        names = [] if above else textwrap.wrap(title, titles, subsequent_indent=GAP)
        lines += textwrap.wrap(title, max(width, NARROWEST), subsequent_indent=GAP) if above else []
        for name, row in zip_longest(names, group, fillvalue=None):
            lines.append(line(name or "", row[1:] if row else [""] * len(widths)))
    return "".join(f"{text}\n" for text in lines)


def aligned(cells: Sequence[str]) -> list[str]:
    """The cells of a column with their decimal points, and the ± of estimates, below each other."""
    if cells and all(" ± " in cell for cell in cells):
        values, errors = zip(*(cell.split(" ± ") for cell in cells), strict=True)
        return [f"{value} ± {error}" for value, error in zip(aligned(values), aligned(errors), strict=True)]
    parts = [[*re.split(r"(?=[.e])", cell, maxsplit=1), ""] for cell in cells]
    before, after = (max((len(part[i]) for part in parts), default=0) for i in (0, 1))
    return [part[0].rjust(before) + part[1].ljust(after) for part in parts]
