"""Reports of constant tables, as text and as code, and the check of a committed file against them."""

import math
import re
from collections.abc import Sequence
from pathlib import Path

from gradstat import __version__
from gradstat.assumptions import Input, Upstream
from gradstat.constants import catalogue
from gradstat.constants.catalogue import Computed
from gradstat.constants.gain import SAMPLES
from gradstat.errors import CheckFailed, UnreadableFile, quoted
from gradstat.estimators import DEFAULT_SEED
from gradstat.input_files import read_bytes
from gradstat.limits import TEXT
from gradstat.text.answer import Answer
from gradstat.text.formats import CODE, FORMATS, TABLES, format_of, render_text
from gradstat.text.tables import Column, Report, Table
from gradstat.text.uncertain import LEGEND, NUMERIC, Uncertain

ASSUMED = f"x ~ {Input().label()}, dy ~ {Upstream().label()}"
FIELDS = ("table", "name", "layer", "params", "cell", "direction", "statistic", "value", "published")
_VERSION = re.compile(r"gradstat \d+\.\d+\S*")
_NUMBER = re.compile(r"\d+(?:\.\d+)?(?:e[+-]?\d+)?")
BEFORE = 20  # characters that are shown before a difference
LONGEST_FLOAT = 22  # characters, of 17 digits, point and exponent
_TEX = {
    "lipschitz": r"\sup|f'|",
    "mean": r"\mathrm{E}[v]",
    "std": r"\sigma[v]",
    "rms": r"\sqrt{\mathrm{E}[v^2]}",
    "gain_std": r"1/\sigma[v]",
    "gain_rms": r"1/\sqrt{\mathrm{E}[v^2]}",
}


class ConstantTables(Answer):
    """Tables of constants; saved as .py or .h, they are code."""

    formats = (*TABLES, *CODE)

    def __init__(self, computed: Sequence[Computed]) -> None:
        self.computed = computed

    def report(self) -> Report:
        return report(self.computed)

    def check(self, *paths: str | Path) -> None:
        """Raise CheckFailed with the first differing line if a file differs from what `save` would write."""
        texts = [name for name in self.formats if FORMATS[name].text]
        for path in map(Path, paths):
            if difference := first_difference(path, self.report(), texts):
                raise CheckFailed(difference)


def report(computed: Sequence[Computed]) -> Report:
    """One table per constant table for people, one row per number for programs. Equal constants give equal bytes."""
    names = " ".join(c.table.name for c in computed)
    sampled = any(gain.number.error for c in computed for row in c.values for gain in row)
    meaning = "tables show meaning digits only; numbers without an error are exact"
    drawn = f"; ± is one standard error of {SAMPLES:,} draws, seed {DEFAULT_SEED}" if sampled else ""
    numeric = any(gain.number.kind == NUMERIC for c in computed for row in c.values for gain in row)
    notes = [f"gradstat {__version__}: gradstat tables {names}", ASSUMED, meaning + drawn]
    notes += [LEGEND] if numeric else []
    rows = [
        (c.table.name, entry.name, entry.layer, dict(entry.params), entry.cell, g.direction, g.statistic, g.number,
         entry.published or None)
        for c in computed for entry, row in c.lines() for g in row
    ]  # fmt: skip
    data = Table([Column(name) for name in FIELDS], rows)
    return Report([_table(c) for c in computed], data, "Constants of layers", notes=notes, facts={"source": notes})


def _table(c: Computed) -> Table:
    """A constant table with the published numbers and their numbers of correct digits."""
    columns = [Column("name", "", wrap=12), *map(_column, c.table.columns)]
    columns += [Column("published", align="right"), Column("right_digits", "right digits", align="right")]
    rows = []
    for entry, row in c.lines():
        right = right_digits(entry.published, row[0].number) if entry.published else None
        rows.append((entry.name, *(gain.number for gain in row), entry.published or None, right))
    if not c.has_published:
        columns, rows = columns[:-2], [row[:-2] for row in rows]
    return Table(columns, rows, c.table.description, c.table.name, across=c.table.across)


def first_difference(path: Path, expected: Report, formats: Sequence[str]) -> str:
    """The first line of a file that differs from the expected report; empty if only gradstat's version differs."""
    try:
        content = read_bytes(path)
        text = content.decode("utf-8")
    except FileNotFoundError:
        raise UnreadableFile(f"{path}: there is no such file", f"make it with -o {path}") from None
    except (OSError, ValueError) as error:  # ValueError: not UTF-8, or a name with a null byte
        raise UnreadableFile(f"{path}: cannot be read: {getattr(error, 'strerror', None) or error}") from None
    if len(content) > TEXT.most or "\0" in text:
        raise UnreadableFile(f"{path}: is not a table of constants: it is binary or larger than {TEXT.most >> 20} MiB")
    before = _VERSION.sub("gradstat", text).split("\n")
    now = _VERSION.sub("gradstat", render_text(expected, format_of(path, formats).name)).split("\n")
    for number in range(max(len(before), len(now))):
        old, new = (lines[number].strip() if number < len(lines) else None for lines in (before, now))
        if not _same(old, new):
            pairs = zip(old or "", new or "", strict=False)
            same = next((index for index, (a, b) in enumerate(pairs) if a != b), 0)
            start = max(same - BEFORE, 0)  # of a long line, what differs is shown
            shown = ["nothing" if line is None else quoted(line[start:]) for line in (old, new)]
            return f"{path}:{number + 1}: found {shown[0]}, regenerated {shown[1]}"
    return ""


def _same(old: str | None, new: str | None) -> bool:
    """True for equal lines. Numbers may differ by 10⁻¹², since the last digit of a float depends on the machine.

    Numbers of more digits than a float has must be equal: their digits are certain.
    """
    if old is None or new is None or _NUMBER.split(old) != _NUMBER.split(new):
        return old == new
    pairs = zip(_NUMBER.findall(old), _NUMBER.findall(new), strict=True)
    return all(
        a == b or (len(b) <= LONGEST_FLOAT and math.isclose(float(a), float(b), rel_tol=1e-12)) for a, b in pairs
    )


def right_digits(published: str, number: Uncertain) -> int:
    """The number of correct leading digits: rounded to these digits, the published number and ours are equal."""
    digits = len(re.sub(r"\D", "", published))
    while digits and f"{float(published):.{digits - 1}e}" != f"{number.value:.{digits - 1}e}":
        digits -= 1
    return digits


def _column(column: catalogue.Column) -> Column:
    variable = {"forward": "y", "backward": r"\mathrm{d}x"}[column.direction]
    return Column(
        column.key,
        f"{column.direction} {column.statistic}, {column.description}",
        align="right",
        tex=f"${_TEX[column.statistic].replace('[v', '[' + variable)}$",
        description=column.description,
    )
