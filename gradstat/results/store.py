"""Result files: Parquet with the schema of `schema` and a JSON document of provenance."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from gradstat.errors import UnreadableFile
from gradstat.results.schema import SCHEMA, SCHEMA_VERSION
from gradstat.results.validation import mismatch, parsed
from gradstat.text.files import replacing

KEY, NODES = b"gradstat", b"gradstat.nodes"


@dataclass(frozen=True)
class Result:
    """A table of rows and where it comes from."""

    table: pa.Table
    provenance: dict[str, Any]
    nodes: str = ""  # of a shard: what merging needs, see runs/shards.py

    def rows(self) -> list[dict[str, Any]]:
        """Every row as a dictionary; None where nothing is known."""
        rows: list[dict[str, Any]] = self.table.to_pylist()
        return rows


def write(result: Result, path: Path) -> None:
    """Write a Parquet file, whole or not at all."""
    document = json.dumps(result.provenance).encode()
    nodes = {NODES: result.nodes.encode()} if result.nodes else {}
    table = result.table.cast(SCHEMA).replace_schema_metadata({KEY: document} | nodes)
    with replacing(path) as temporary:
        pq.write_table(table, temporary, write_page_checksum=True)


def read(path: Path) -> Result:
    """Read a result; UnreadableFile for anything that is not a whole gradstat file of this schema."""
    try:
        if path.is_fifo():  # would wait for a writer, and has no end to begin at
            raise UnreadableFile(f"{path}: is a pipe, not a file; write it to a file first")
        with path.open("rb") as handle:
            if handle.read(4) != b"PAR1":
                raise UnreadableFile(f"{path}: not a Parquet file", _advice(path))
            table = pq.ParquetFile(handle, page_checksum_verification=True).read()
    except FileNotFoundError:
        raise UnreadableFile(f"{path}: there is no such file", "make one with gradstat run CONFIG -o FILE") from None
    except IsADirectoryError:
        raise UnreadableFile(f"{path}: is a directory; name a .parquet file in it") from None
    except (OSError, ValueError, MemoryError) as error:  # ValueError: ArrowInvalid, or a name that cannot be one
        reason = getattr(error, "strerror", None) or " ".join(str(error).split()).split(". ")[0].rstrip(".")
        raise UnreadableFile(f"{path}: cut off or damaged ({reason})", "sample it again with gradstat run") from None
    document = (table.schema.metadata or {}).get(KEY)
    if document is None:
        raise UnreadableFile(f"{path}: a Parquet file, but not one of gradstat's: it has no provenance")
    provenance = parsed(document)
    if provenance is None or not isinstance(provenance.get("configuration", {}), dict):
        raise UnreadableFile(f"{path}: its provenance is damaged", "sample it again with gradstat run")
    _check_version(provenance, path)
    if wrong := mismatch(table):
        raise UnreadableFile(f"{path}: {wrong}", "sample it again with gradstat run")
    nodes = (table.schema.metadata or {}).get(NODES, b"").decode(errors="replace")
    return Result(table.replace_schema_metadata(None), provenance, nodes)


def _check_version(provenance: dict[str, Any], path: Path) -> None:
    version = provenance.get("schema_version")
    if version == SCHEMA_VERSION:
        return
    found = f"{path}: result schema {version if isinstance(version, int) else 'unknown'}"
    if isinstance(version, int) and version > SCHEMA_VERSION:
        versions = provenance.get("versions")
        writer = versions.get("gradstat") if isinstance(versions, dict) else None
        what = f"gradstat {writer} or newer, which wrote it" if isinstance(writer, str) else "a newer gradstat"
        raise UnreadableFile(
            f"{found}, this gradstat reads {SCHEMA_VERSION}", f"install {what}: pip install --upgrade gradstat"
        )
    raise UnreadableFile(f"{found}, this gradstat reads {SCHEMA_VERSION}", "sample it again with gradstat run")


def _advice(path: Path) -> str:
    return f"to sample a configuration: gradstat run {path}" if path.suffix == ".toml" else ""
