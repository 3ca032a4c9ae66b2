"""Parquet files of reports that are not results: verifications, constant tables, experiments, comparisons."""

import json
from pathlib import Path

import pyarrow as pa

from gradstat.input_files import input_name
from gradstat.results.store import KEY, content_of, opened_file, parse, table_in
from gradstat.text.answer import Answer
from gradstat.text.machine import REPORT_KEY
from gradstat.text.tables import Column, Report, Table

LONGEST_TITLE = 1000  # characters
NARROW = 20  # characters; columns with longer texts are wrapped


class SavedReport(Answer):
    """The rows of a file as one table; a narrow terminal drops the last columns."""

    def __init__(self, table: pa.Table, title: str) -> None:
        self.table, self.title = table, title

    def report(self) -> Report:
        rows = self.table.to_pylist()
        columns = [
            _column(name, index, [row[name] for row in rows]) for index, name in enumerate(self.table.schema.names)
        ]
        return Report([Table(columns, [list(row.values()) for row in rows], title=self.title)])


def read_any(path: Path) -> Answer:
    """The content of a Parquet file that gradstat wrote: a `Result`, or the rows of another report.

    Raises UnreadableFile for every other file.
    """
    content = content_of(path)
    metadata = opened_file(content, path).schema_arrow.metadata or {} if content.startswith(b"PAR1") else {}
    if KEY in metadata or REPORT_KEY not in metadata:
        return parse(content, path)
    table = table_in(content, path)
    try:
        title = str(json.loads(metadata[REPORT_KEY])["title"])[:LONGEST_TITLE]
    except (ValueError, KeyError, TypeError, RecursionError):
        title = input_name(path)
    return SavedReport(table, title)


def _column(name: str, index: int, cells: list[object]) -> Column:
    """A column that a narrow terminal drops, the last one first (never the first); empty columns are not shown."""
    is_text = any(isinstance(cell, str) for cell in cells)
    is_long = is_text and max(len(str(cell)) for cell in cells) > NARROW
    return Column(
        name,
        align="left" if is_text else "right",
        idle=(None, ""),
        wrap=NARROW if is_long else 0,
        priority=index,
    )
