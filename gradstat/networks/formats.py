"""Formats of an experiment, a table of records: a summary for people, every block for programs."""

import csv
import io
import json
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gradstat.errors import UsageError
from gradstat.layer_types.record import unknown
from gradstat.networks.growth import Growth
from gradstat.networks.outcome import COLUMNS, Outcome
from gradstat.networks.summary import HEADER, cells, notes
from gradstat.text.files import replacing
from gradstat.text.tables import Column, Report, Table, Terminal, as_text

PARQUET = ".parquet"
PICTURES = (".png", ".svg", ".pdf")
Outcomes = Sequence[Outcome]


@dataclass(frozen=True)
class Format:
    """One way to write experiments; `suffix` chooses it for -o."""

    suffix: str
    description: str
    render: Callable[[Outcomes, Terminal], str]


def as_table(outcomes: Outcomes, terminal: Terminal) -> str:
    """A line per architecture and scheme."""
    columns = [Column(name) for name in HEADER]
    tables = [
        Table(columns, [cells(each) for each in outcome.combinations], notes=notes(outcome)) for outcome in outcomes
    ]
    return as_text(Report(tables), terminal)


def as_csv(outcomes: Outcomes, terminal: Terminal) -> str:
    """Every block, full precision."""
    text = io.StringIO()
    writer = csv.DictWriter(text, ["configuration", *COLUMNS], lineterminator="\n")
    writer.writeheader()
    for outcome in outcomes:
        for row in outcome.rows():
            writer.writerow({"configuration": outcome.title, **row})
    return text.getvalue()


def as_json(outcomes: Outcomes, terminal: Terminal) -> str:
    """Every block with summary and provenance, full precision; null where there is no number."""
    documents = []
    for outcome in outcomes:
        rows = [{name: _finite(value) for name, value in row.items()} for row in outcome.rows()]
        summary = [
            {"network": c.network.name, "scheme": c.scheme}
            | {name: _growth(c.growth(name == "forward")) for name in ("forward", "backward")}
            | {"worst_cosine": _finite(c.worst_cosine())}
            | {"whole_cosine": _finite(c.whole[0]), "whole_cosine_se": _finite(c.whole[1])}
            for c in outcome.combinations
        ]
        documents.append(
            {"configuration": outcome.title, "provenance": outcome.provenance, "summary": summary, "rows": rows}
        )
    return json.dumps(documents, indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def as_markdown(outcomes: Outcomes, terminal: Terminal) -> str:
    """The same table in Markdown."""
    text = ""
    for outcome in outcomes:
        lines = [HEADER, ["---"] * len(HEADER), *(cells(combination) for combination in outcome.combinations)]
        text += "".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |\n" for line in lines)
        text += "\n" + "".join(f"* {note}\n" for note in notes(outcome)) + "\n"
    return text.removesuffix("\n")


FORMATS: dict[str, Format] = {
    "table": Format(".txt", "a line per architecture and scheme", as_table),
    "json": Format(".json", "every block, the summary and the provenance, full precision", as_json),
    "csv": Format(".csv", "every block, full precision", as_csv),
    "md": Format(".md", "the same table in Markdown", as_markdown),
}


def check_suffix(path: Path) -> None:
    """UsageError for a file name that chooses neither a format nor a picture."""
    allowed = (PARQUET, *(entry.suffix for entry in FORMATS.values()), *PICTURES)
    if path.suffix not in allowed:
        raise UsageError(f"{path}: {unknown('suffix', path.suffix, allowed)}")


def save(outcomes: Outcomes, path: Path) -> None:
    """Write in the format of the file's suffix, whole or not at all."""
    if path.suffix == PARQUET:
        _write_parquet(outcomes, path)
        return
    entry = next(entry for entry in FORMATS.values() if entry.suffix == path.suffix)
    text = entry.render(outcomes, Terminal())
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def _write_parquet(outcomes: Outcomes, path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    texts, counts = ("configuration", "network", "scheme", "path", "block"), ("level", "networks")
    kinds = {name: pa.string() for name in texts} | {name: pa.int64() for name in counts}
    schema = pa.schema([(name, kinds.get(name, pa.float64())) for name in ("configuration", *COLUMNS)])
    rows = [{"configuration": outcome.title, **row} for outcome in outcomes for row in outcome.rows()]
    document = json.dumps({outcome.title: outcome.provenance for outcome in outcomes}).encode()
    table = pa.Table.from_pylist(rows, schema).replace_schema_metadata({b"gradstat-propagation": document})
    with replacing(path) as temporary:
        pq.write_table(table, temporary, write_page_checksum=True)


def _growth(found: Growth) -> dict[str, Any]:
    numbers = {"rate": found.rate, "low": found.low, "high": found.high}
    return {name: _finite(value) for name, value in numbers.items()} | {"verdict": found.verdict}


def _finite(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value
