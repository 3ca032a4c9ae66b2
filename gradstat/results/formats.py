"""Output formats, a table of records: text for people, full precision for machines.

Importing this needs none of the libraries that write the formats: the command line asks it for names.
"""

import io
import json
import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gradstat.errors import UsageError, unknown
from gradstat.text.files import replacing

if TYPE_CHECKING:
    from gradstat.results.store import Result

NUMERIC = ("estimate", "exact", "z")
UNLIMITED = 10_000  # columns: nothing is wrapped in a file or a pipe


@dataclass(frozen=True)
class Terminal:
    """Where text is shown: its width in columns, and whether it has colors."""

    width: int = UNLIMITED
    color: bool = False


@dataclass(frozen=True)
class Format:
    """One way to write a result; `suffix` chooses it for -o."""

    suffix: str
    description: str
    render: Callable[["Result", Terminal], str]


def as_table(result: "Result", terminal: Terminal) -> str:
    """Aligned columns, a layer's name once."""
    from gradstat.results.overview import overview
    from gradstat.text.tables import aligned, grid

    view = overview(result)
    columns = [
        aligned(cells) if name in NUMERIC else cells
        for name, cells in zip(view.columns, zip(*view.rows, strict=True), strict=bool(view.rows))
    ]
    rows = list(zip(*columns, strict=True))
    notes = "".join(f"{note}\n" for note in view.notes)
    return grid(view.columns, rows, terminal.width, dim=("exact", "z"), color=terminal.color) + notes


def as_markdown(result: "Result", terminal: Terminal) -> str:
    """A pipe table."""
    from gradstat.results.overview import overview

    view = overview(result)
    lines = [view.columns, tuple("---:" if name in NUMERIC else "---" for name in view.columns)]
    lines += [(f"`{row[0]}`", *row[1:]) for row in view.rows]
    table = "".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |\n" for line in lines)
    return table + "\n" + "; ".join(view.notes) + "\n"


def as_csv(result: "Result", terminal: Terminal) -> str:
    """Every column but the raw accumulators, each number in the digits that read back to the same float."""
    import csv

    from gradstat.results.schema import SHOWN

    buffer = io.StringIO()
    writer = csv.DictWriter(buffer, SHOWN, extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    writer.writerows(result.rows())
    return buffer.getvalue()


def as_json(result: "Result", terminal: Terminal) -> str:
    """{provenance, rows}: every column but the raw accumulators, params as an object, null where nothing is known."""
    from gradstat.results.schema import SHOWN

    rows = [
        {name: _finite(row[name]) for name in SHOWN} | {"params": json.loads(row["params"])} for row in result.rows()
    ]
    return json.dumps({"provenance": result.provenance, "rows": rows}, indent=1, allow_nan=False) + "\n"


def as_html(result: "Result", terminal: Terminal) -> str:
    """One page with sortable tables and the z-scores as a picture."""
    from gradstat.results import html

    return html.as_html(result)


FORMATS: dict[str, Format] = {
    "table": Format(".txt", "aligned columns", as_table),
    "json": Format(".json", "every column and the provenance, full precision", as_json),
    "csv": Format(".csv", "every column, full precision", as_csv),
    "md": Format(".md", "a Markdown table", as_markdown),
    "html": Format(".html", "one self-contained page with sortable tables", as_html),
}
PARQUET = ".parquet"


def suffixes() -> list[str]:
    """Every suffix that -o knows; Parquet is the one that is not text."""
    return [PARQUET, *(entry.suffix for entry in FORMATS.values())]


def check_suffix(path: Path) -> None:
    """UsageError for a file name that chooses no format."""
    if not path.suffix:
        raise UsageError(f"{path}: the suffix chooses the format, and there is none; allowed: {', '.join(suffixes())}")
    if path.suffix not in suffixes():
        raise UsageError(f"{path}: {unknown('suffix', path.suffix, tuple(suffixes()))}")


def save(result: "Result", path: Path) -> None:
    """Write a result in the format of the file's suffix, whole or not at all."""
    if path.suffix == PARQUET:
        from gradstat.results.store import write

        write(result, path)
        return
    entry = next(entry for entry in FORMATS.values() if entry.suffix == path.suffix)
    text = entry.render(result, Terminal())
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def _finite(value: Any) -> Any:
    """JSON has no NaN and no infinity."""
    return None if isinstance(value, float) and not math.isfinite(value) else value
