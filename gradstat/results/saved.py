"""Parquet files of other reports than results: verifications, tables of constants, experiments, comparisons."""

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from gradstat.results.store import KEY, content_of, parse
from gradstat.text.answer import Answer
from gradstat.text.machine import REPORT_KEY
from gradstat.text.tables import Column, Report, Table
from gradstat.toml_file import input_name

NARROW = 20  # characters, from which a column of text is wrapped


class SavedReport(Answer):
    """The rows of a file as one table; a narrow terminal drops the last columns."""

    def __init__(self, table: pa.Table, title: str) -> None:
        self.table, self.title = table, title

    def report(self) -> Report:
        rows = self.table.to_pylist()
        columns = [
            _column(name, place, [row[name] for row in rows]) for place, name in enumerate(self.table.schema.names)
        ]
        return Report([Table(columns, [list(row.values()) for row in rows], title=self.title)])


def read_any(path: Path) -> Answer:
    """What a Parquet file of gradstat's holds: a `Result`, or the rows of another report.

    Raises UnreadableFile for every other file.
    """
    content = content_of(path)
    metadata = _metadata(content)
    if KEY in metadata or REPORT_KEY not in metadata:
        return parse(content, path)
    table = pq.ParquetFile(pa.BufferReader(content), page_checksum_verification=True).read(use_threads=False)
    try:
        title = str(json.loads(metadata[REPORT_KEY])["title"])
    except (ValueError, KeyError, TypeError):
        title = input_name(path)
    return SavedReport(table, title)


def _metadata(content: bytes) -> dict[bytes, bytes]:
    """The metadata of a Parquet file; empty for anything else."""
    try:
        return dict(pq.read_metadata(pa.BufferReader(content)).metadata or {})
    except (OSError, ValueError):
        return {}


def _column(name: str, place: int, cells: list[object]) -> Column:
    """The columns after the first give way to a narrow terminal, the last column first; empty ones are not shown."""
    is_text = any(isinstance(cell, str) for cell in cells)
    is_long = is_text and max(len(str(cell)) for cell in cells) > NARROW
    return Column(
        name,
        align="left" if is_text else "right",
        idle=(None, ""),
        wrap=NARROW if is_long else 0,
        priority=place,
    )
