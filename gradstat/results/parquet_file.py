"""Reading Parquet files of strangers: what the metadata says is checked before any data is read.

A few bytes can stand for gigabytes: a page of zeros, a run of nulls, a text that each of a million rows repeats. So
rows, columns, sizes and compression come from the metadata; texts are read as dictionaries, whose sizes are checked
before each row gets its copy.
"""

from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from gradstat.errors import UsageError
from gradstat.limits import COLUMNS, DECODED, FREE_CELLS, ROWS
from gradstat.results.parquet_footer import footer_of

CODECS = {0, 1}  # none, and Snappy, which is pyarrow's default; others turn kilobytes into gigabytes
CELLS_PER_BYTE = 2  # a file of gradstat has one cell in several bytes


class Oversized(ValueError):
    """A Parquet file whose metadata promises more than a file of gradstat has; the reason is one line."""


def opened(content: bytes) -> pq.ParquetFile:
    """The file with these bytes, of which only the metadata is read; Oversized for what gradstat does not write."""
    footer = footer_of(content)
    try:
        ROWS.check(footer.rows)
        COLUMNS.check(footer.columns)
        DECODED.check(footer.decoded)
    except UsageError as error:
        raise Oversized(str(error)) from None
    cells, most = footer.rows * footer.columns, FREE_CELLS.most + CELLS_PER_BYTE * len(content)
    if cells > most:
        raise Oversized(f"{cells:,} cells in {len(content):,} bytes; at most {most:,} are allowed")
    if not footer.codecs <= CODECS:
        raise Oversized("gradstat compresses with Snappy only")
    file = pq.ParquetFile(pa.BufferReader(content))
    if nested := [field.name for field in file.schema_arrow if not _is_plain(field.type)]:
        raise Oversized(f"its column {nested[0]!r} has a type that gradstat does not write")
    return file


def table_of(content: bytes) -> pa.Table:
    """The table in the bytes of a file that `opened` accepts; texts are strings; Oversized if they are too long."""
    schema = pq.read_schema(pa.BufferReader(content))
    texts = [field.name for field in schema if pa.types.is_string(field.type)]
    reader = pq.ParquetFile(pa.BufferReader(content), read_dictionary=texts, page_checksum_verification=True)
    # without pyarrow's threads: one that frees a Python object while the interpreter exits aborts the process
    table = reader.read(use_threads=False)
    if sum(_text_bytes(table[name]) for name in texts) > DECODED.most:
        raise Oversized(f"its texts are longer than {DECODED.most:,} bytes")
    return table.cast(schema)


def _text_bytes(column: pa.ChunkedArray) -> int:
    """The bytes of the texts of a column, repeated ones counted each time."""
    total = 0
    for chunk in column.chunks:
        if pa.types.is_dictionary(chunk.type):
            total += pc.sum(pc.binary_length(chunk.dictionary).take(chunk.indices)).as_py() or 0
        else:
            total += chunk.nbytes
    return total


def _is_plain(kind: Any) -> bool:
    t = pa.types
    tests = (t.is_boolean, t.is_integer, t.is_floating, t.is_string, t.is_null)
    return any(test(kind) for test in tests)
