"""Formats of constant tables: text for papers, literals for code; every printed digit is certain in all of them."""

import csv
import io
import json
import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gradstat import __version__
from gradstat.assumptions import Input, Upstream
from gradstat.constants.catalogue import Column, Computed, Entry
from gradstat.constants.gain import SAMPLES, SEED, Gain
from gradstat.errors import UnreadableFile, UsageError, unknown

ASSUMED = f"x ~ {Input().label()}, dy ~ {Upstream().label()}"
NOTHING = "–"
PUBLISHED = ("published", "right digits")
FIELDS = ("table", "name", "layer", "params", "cell", "direction", "statistic", "value", "standard_error")
_VERSION = re.compile(r"gradstat \d+\.\d+\S*")
_TEX = {
    "mean": r"\mathrm{E}[v]",
    "std": r"\sigma[v]",
    "rms": r"\sqrt{\mathrm{E}[v^2]}",
    "gain_std": r"1/\sigma[v]",
    "gain_rms": r"1/\sqrt{\mathrm{E}[v^2]}",
}
_TEX_CHARACTERS = {"_": r"\_", "×": r"$\times$", "±": r"$\pm$", "–": "--", "&": r"\&", "%": r"\%", "#": r"\#"}


@dataclass(frozen=True)
class ConstantFormat:
    """One way to write tables; `suffix` chooses it for files."""

    suffix: str
    description: str
    render: Callable[[Sequence[Computed]], str]


def source(computed: Sequence[Computed]) -> list[str]:
    """Where the numbers come from: the command, what is assumed, how certain they are. No time, no machine."""
    names = " ".join(c.table.name for c in computed)
    sampled = any(gain.error for c in computed for row in c.values for gain in row)
    certain = "every printed digit is certain; numbers without an error are exact"
    drawn = f"; ± is one standard error of {SAMPLES:,} draws, seed {SEED}" if sampled else ""
    return [f"gradstat {__version__}: gradstat tables {names}", ASSUMED, certain + drawn]


def as_markdown(computed: Sequence[Computed]) -> str:
    """A pipe table each, under its title."""
    parts = []
    for c in computed:
        head, *rows = _cells(c, str, _heading)
        lines = [head, ["---", *["---:"] * (len(head) - 1)], *rows]
        body = "".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |\n" for line in lines)
        parts.append(f"## {c.table.description}\n\n{body}")
    return "\n".join(parts) + "\n" + "; ".join(source(computed)) + "\n"


def as_latex(computed: Sequence[Computed]) -> str:
    """A tabular each, with the rules of booktabs."""
    lines = ["% " + line for line in source(computed)] + [r"% \usepackage{booktabs}"]
    for c in computed:
        head, *rows = _cells(c, _tex, _tex_heading)
        lines += ["", f"% {c.table.name}: {c.table.description}", rf"\begin{{tabular}}{{l{'r' * (len(head) - 1)}}}"]
        lines += [r"\toprule", " & ".join(head) + r" \\", r"\midrule"]
        lines += [" & ".join(row) + r" \\" for row in rows]
        lines += [r"\bottomrule", r"\end{tabular}"]
    return "\n".join(lines) + "\n"


def as_csv(computed: Sequence[Computed]) -> str:
    """A line per number."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow([*FIELDS, "published"])
    for c in computed:
        for entry, row in c.lines():
            params = json.dumps(dict(entry.params), sort_keys=True)
            where = (c.table.name, entry.name, entry.layer, params, entry.cell)
            for gain in row:
                error = f"{gain.error:.1g}" if gain.error else "0"
                writer.writerow([*where, gain.direction, gain.statistic, _number(gain), error, entry.published])
    return buffer.getvalue()


def as_json(computed: Sequence[Computed]) -> str:
    """{source, tables: {name: {words, columns, constants: {name: {layer, params, cell, statistic: value}}}}}."""
    document = {
        "source": source(computed),
        "tables": {
            c.table.name: {
                "words": c.table.description,
                "columns": {column.key: column.description for column in c.table.columns},
                "constants": {entry.name: _json_entry(c, entry, row) for entry, row in c.lines()},
            }
            for c in computed
        },
    }
    return json.dumps(document, indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def as_python(computed: Sequence[Computed]) -> str:
    """A module of dictionaries: TABLE_DIRECTION_STATISTIC = {name: literal}."""
    lines = ['"""Constants of neural-network layers; generated, do not edit.', "", *source(computed), '"""']
    for c in computed:
        lines += ["", f"# {c.table.name}: {c.table.description}"]
        for index, column in enumerate(c.table.columns):
            lines.append(f"{identifier(c.table.name, column.key)} = {{  # {column.description}")
            for entry, row in c.lines():
                error = f"  # ± {row[index].error:.1g}" if row[index].error else ""
                lines.append(f"    {json.dumps(entry.name, ensure_ascii=False)}: {row[index].literal},{error}")
            lines.append("}")
    return "\n".join(lines) + "\n"


def as_c(computed: Sequence[Computed]) -> str:
    """A header of macros, GRADSTAT_TABLE_NAME_DIRECTION_STATISTIC; one without a finite value stands as a comment."""
    guard = "_".join(["GRADSTAT", *(identifier(c.table.name) for c in computed), "H"])
    lines = ["/* Constants of neural-network layers; generated, do not edit."]
    lines += [f" * {line}" for line in source(computed)] + [" */", f"#ifndef {guard}", f"#define {guard}"]
    for c in computed:
        lines += ["", f"/* {c.table.name}: {c.table.description} */"]
        for index, column in enumerate(c.table.columns):
            lines += ["", f"/* {column.description} */"]
            for entry, row in c.lines():
                name = identifier("gradstat", c.table.name, entry.name, column.key)
                value = row[index].literal
                error = f" /* ± {row[index].error:.1g} */" if row[index].error else ""
                finite = math.isfinite(row[index].value)
                lines.append(f"#define {name} ({value}){error}" if finite else f"/* {name}: infinite */")
    return "\n".join([*lines, "", f"#endif /* {guard} */"]) + "\n"


FORMATS: dict[str, ConstantFormat] = {
    "md": ConstantFormat(".md", "a Markdown table each", as_markdown),
    "latex": ConstantFormat(".tex", "a LaTeX tabular each, with booktabs", as_latex),
    "csv": ConstantFormat(".csv", "a line per number", as_csv),
    "json": ConstantFormat(".json", "one document", as_json),
    "python": ConstantFormat(".py", "a module of literals", as_python),
    "c": ConstantFormat(".h", "a C header of macros", as_c),
}


def format_of(path: Path) -> ConstantFormat:
    """The format of a file's suffix; UsageError for a suffix that chooses none."""
    suffixes = {entry.suffix: entry for entry in FORMATS.values()}
    if path.suffix not in suffixes:
        raise UsageError(f"{path}: {unknown('suffix', path.suffix, tuple(suffixes))}")
    return suffixes[path.suffix]


def first_difference(path: Path, computed: Sequence[Computed]) -> str:
    """What of a committed file is not what would be written now; empty where nothing is but gradstat's version."""
    try:
        found = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise UnreadableFile(f"{path}: there is no such file", f"make it with -o {path}") from None
    except (OSError, UnicodeDecodeError) as error:
        raise UnreadableFile(f"{path}: cannot be read: {getattr(error, 'strerror', None) or error}") from None
    before = _VERSION.sub("gradstat", found).split("\n")
    now = _VERSION.sub("gradstat", format_of(path).render(computed)).split("\n")
    for number in range(max(len(before), len(now))):
        old, new = (lines[number].strip() if number < len(lines) else None for lines in (before, now))
        if old != new:
            shown = ["nothing" if line is None else repr(line) for line in (old, new)]
            return f"{path}:{number + 1}: found {shown[0]}, regenerated {shown[1]}"
    return ""


def identifier(*words: str) -> str:
    """`3×3 Max Pooling` → `3_3_MAX_POOLING`."""
    return re.sub(r"[^A-Z0-9]+", "_", "_".join(words).upper()).strip("_")


def right_digits(published: str, gain: Gain) -> int:
    """How many leading digits of a printed number are right: to so many it and ours round to the same."""
    digits = len(re.sub(r"\D", "", published))
    while digits and f"{float(published):.{digits - 1}e}" != f"{gain.value:.{digits - 1}e}":
        digits -= 1
    return digits


def _cells(c: Computed, text: Callable[[str], str], heading: Callable[[Column], str]) -> list[list[str]]:
    """Header and rows of a table; entries run along the top where the host prints them so."""
    rows = [["", *map(heading, c.table.columns), *(PUBLISHED if c.has_published else ())]]
    for entry, row in c.lines():
        shown = [text(gain.text) if math.isfinite(gain.value) else text(NOTHING) for gain in row]
        if c.has_published:
            right = str(right_digits(entry.published, row[0])) if entry.published else text(NOTHING)
            shown += [entry.published or text(NOTHING), right]
        rows.append([text(entry.name), *shown])
    return [list(row) for row in zip(*rows, strict=True)] if c.table.across else rows


def _json_entry(c: Computed, entry: Entry, row: tuple[Gain, ...]) -> dict[str, Any]:
    document: dict[str, Any] = {"layer": entry.layer, "params": dict(entry.params), "cell": entry.cell}
    for column, gain in zip(c.table.columns, row, strict=True):
        document[column.key] = float(_number(gain)) if math.isfinite(gain.value) else None
        document |= {f"{column.key}_se": float(f"{gain.error:.1g}")} if gain.error else {}
    return document | ({"published": entry.published} if entry.published else {})


def _number(gain: Gain) -> str:
    return gain.text.split(" ± ")[0]


def _heading(column: Column) -> str:
    return f"{column.direction} {column.statistic}, {column.description}"


def _tex_heading(column: Column) -> str:
    variable = {"forward": "y", "backward": r"\mathrm{d}x"}[column.direction]
    return f"${_TEX[column.statistic].replace('[v', '[' + variable)}$"


def _tex(text: str) -> str:
    return "".join(_TEX_CHARACTERS.get(c, c) for c in text)
