"""Result files: Parquet with the schema of `schema` and a JSON document of provenance."""

import json
import math
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from gradstat.errors import UnreadableFile
from gradstat.input_files import input_name, is_stdin, read_bytes
from gradstat.limits import RESULT
from gradstat.results.parquet_file import Oversized, opened, table_of
from gradstat.results.result import Result
from gradstat.results.schema import (
    ADDED_ACCUMULATORS,
    COLUMNS,
    EXACT_MAD,
    EXACT_REASON,
    KINDS,
    NO_ERROR_BAR,
    OLDEST_VERSION,
    SCHEMA,
    SCHEMA_VERSION,
    TAILS,
    WORTH,
)
from gradstat.results.validation import columns_problem, first_problem, is_provenance, parsed
from gradstat.text.files import write_whole
from gradstat.text.machine import parquet_bytes
from gradstat.text.uncertain import NUMERIC

KEY, NODES = b"gradstat", b"gradstat.nodes"


def to_parquet(result: Result) -> bytes:
    """The bytes of a result file."""
    document = json.dumps(result.provenance).encode()
    nodes = {NODES: result.nodes.encode()} if result.nodes else {}
    return parquet_bytes(result.table.cast(SCHEMA).replace_schema_metadata({KEY: document} | nodes))


def write(result: Result, path: Path) -> None:
    """Write a Parquet file atomically."""
    write_whole(path, to_parquet(result))


def read(path: Path) -> Result:
    """Read a result, from standard input if the path is `-`; UnreadableFile if it is not a complete result."""
    return parse(content_of(path), path)


def parse(content: bytes, path: Path) -> Result:
    """The result in the bytes of a file; UnreadableFile if they are not a result."""
    name = input_name(path)
    if content[:4] != b"PAR1":
        empty = "empty, or was read already" if is_stdin(path) and not content else "not a Parquet file"
        raise UnreadableFile(f"{name}: {empty}", _advice(path))
    metadata = opened_file(content, path).schema_arrow
    document = (metadata.metadata or {}).get(KEY)
    if document is None:
        raise UnreadableFile(f"{name}: is a Parquet file, but not a result of gradstat: it has no provenance")
    provenance = parsed(document)
    if provenance is None or not is_provenance(provenance):
        raise UnreadableFile(f"{name}: its provenance is damaged", "sample it again with gradstat run")
    _check_version(provenance, name)
    if problem := columns_problem(metadata):
        raise UnreadableFile(f"{name}: {problem}", "sample it again with gradstat run")
    table = table_in(content, path)
    if provenance["schema_version"] < SCHEMA_VERSION:
        table, provenance = upgraded(table), provenance | {"schema_version": SCHEMA_VERSION}
    if problem := first_problem(table):
        raise UnreadableFile(f"{name}: {problem}", "sample it again with gradstat run")
    nodes = (table.schema.metadata or {}).get(NODES, b"").decode(errors="replace")
    return Result(table.replace_schema_metadata(None), provenance, nodes)


def opened_file(content: bytes, path: Path) -> pq.ParquetFile:
    """The Parquet file with these bytes, of which only the metadata is read; UnreadableFile if gradstat wrote none."""
    try:
        return opened(content)
    except Oversized as error:
        raise UnreadableFile(f"{input_name(path)}: is not a file of gradstat: {error}") from None
    except (OSError, ValueError, MemoryError) as error:  # ValueError: ArrowInvalid
        raise _damaged(input_name(path), error) from None


def table_in(content: bytes, path: Path) -> pa.Table:
    """The table of a file that `opened_file` accepts; UnreadableFile if its data is damaged."""
    try:
        return table_of(content)
    except Oversized as error:
        raise UnreadableFile(f"{input_name(path)}: is not a file of gradstat: {error}") from None
    except (OSError, ValueError, MemoryError) as error:
        raise _damaged(input_name(path), error) from None


def content_of(path: Path) -> bytes:
    """The bytes of a file; UnreadableFile if it cannot be read."""
    try:
        content = read_bytes(path, RESULT.most)
    except FileNotFoundError:
        raise UnreadableFile(f"{path}: there is no such file", "make one with gradstat run CONFIG -o FILE") from None
    except IsADirectoryError:
        raise UnreadableFile(f"{path}: is a directory; name a .parquet file in it") from None
    except (OSError, ValueError, MemoryError) as error:  # ValueError: a name with a null byte
        raise _damaged(str(path), error) from None
    if len(content) > RESULT.most:
        raise UnreadableFile(f"{input_name(path)}: is larger than {RESULT.most >> 30} GiB, the limit for a result")
    return content


def _damaged(name: str, error: Exception) -> UnreadableFile:
    reason = getattr(error, "strerror", None) or " ".join(str(error).split()).split(". ")[0].rstrip(".")
    return UnreadableFile(f"{name}: cut off or damaged ({reason})", "sample it again with gradstat run")


def upgraded(table: pa.Table) -> pa.Table:
    """A table of an older schema with the columns of this one.

    The errors of schema 2 are taken as known, since nothing is known of tails, and the accumulators that it lacks are
    0. Its stream version keeps it from being merged with newer results. Schemas 2 and 3 do not say which exact values
    are proven, so they count as numeric.
    """
    unknown: dict[str, float | None] = dict.fromkeys(ADDED_ACCUMULATORS, 0.0)
    unknown |= dict.fromkeys(WORTH, math.inf) | dict.fromkeys((*TAILS, EXACT_MAD, NO_ERROR_BAR, EXACT_REASON))
    for name, value in unknown.items():
        if name not in table.schema.names:
            table = _with_column(table, name, [value] * len(table))
    for name, column in KINDS.items():
        if name in table.schema.names and column not in table.schema.names:
            values = table[name].to_pylist()
            table = _with_column(table, column, [None if value is None else NUMERIC for value in values])
    return table.select(COLUMNS) if set(table.schema.names) == set(COLUMNS) else table


def _with_column(table: pa.Table, name: str, values: list[Any]) -> pa.Table:
    return table.append_column(SCHEMA.field(name), pa.array(values, SCHEMA.field(name).type))


def _check_version(provenance: dict[str, Any], name: str) -> None:
    version = provenance.get("schema_version")
    if isinstance(version, int) and OLDEST_VERSION <= version <= SCHEMA_VERSION:
        return
    schema = f"{name}: result schema {version if isinstance(version, int) else 'unknown'}"
    if isinstance(version, int) and version > SCHEMA_VERSION:
        versions = provenance.get("versions")
        writer = versions.get("gradstat") if isinstance(versions, dict) else None
        what = f"gradstat {writer} or newer, which wrote it" if isinstance(writer, str) else "a newer gradstat"
        raise UnreadableFile(
            f"{schema}, this gradstat reads {SCHEMA_VERSION}", f"install {what}: pip install --upgrade gradstat"
        )
    raise UnreadableFile(f"{schema}, this gradstat reads {SCHEMA_VERSION}", "sample it again with gradstat run")


def _advice(path: Path) -> str:
    return f"to sample a configuration: gradstat run {path}" if path.suffix == ".toml" else ""
