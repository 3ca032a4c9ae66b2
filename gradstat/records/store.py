"""Result files: Parquet with the schema of `schema` and a JSON document of provenance."""

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from gradstat.errors import UnreadableFile
from gradstat.records.atomic import replacing
from gradstat.records.schema import COLUMNS, SCHEMA, SCHEMA_VERSION, TEXTS

KEY = b"gradstat"
# What gradstat writes starts with a letter, a digit or a bracket: nothing that a spreadsheet takes for a formula.
_PLAIN = re.compile(r"[\w(\[{].*")


@dataclass(frozen=True)
class Result:
    """A table of rows and where it comes from."""

    table: pa.Table
    provenance: dict[str, Any]

    def rows(self) -> list[dict[str, Any]]:
        """Every row as a dictionary; None where nothing is known."""
        rows: list[dict[str, Any]] = self.table.to_pylist()
        return rows


def write(result: Result, path: Path) -> None:
    """Write a Parquet file, whole or not at all."""
    document = json.dumps(result.provenance).encode()
    table = result.table.cast(SCHEMA).replace_schema_metadata({KEY: document})
    with replacing(path) as temporary:
        pq.write_table(table, temporary, write_page_checksum=True)


def read(path: Path) -> Result:
    """Read a result; UnreadableFile for anything that is not a whole gradstat file of this schema."""
    try:
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
    provenance = _parsed(document)
    _check_version(provenance, path)
    if wrong := _mismatch(table):
        raise UnreadableFile(f"{path}: {wrong}", "sample it again with gradstat run")
    return Result(table.replace_schema_metadata(None), provenance)


def _check_version(provenance: dict[str, Any], path: Path) -> None:
    version = provenance.get("schema_version")
    if version == SCHEMA_VERSION:
        return
    found = f"{path}: result schema {version if isinstance(version, int) else 'unknown'}"
    if isinstance(version, int) and version > SCHEMA_VERSION:
        writer = provenance.get("versions", {}).get("gradstat", "newer")
        raise UnreadableFile(
            f"{found}, this gradstat reads {SCHEMA_VERSION}", f"install the gradstat that wrote it ({writer})"
        )
    raise UnreadableFile(f"{found}, this gradstat reads {SCHEMA_VERSION}", "sample it again with gradstat run")


def _mismatch(table: pa.Table) -> str:
    """What about the columns is not a result's; empty where nothing is."""
    names = table.schema.names
    if missing := [name for name in COLUMNS if name not in names]:
        return f"its columns are not those of a result: {missing[0]} is missing"
    if extra := [name for name in names if name not in COLUMNS]:
        return f"its columns are not those of a result: {extra[0]!r} is unknown"
    if not table.schema.equals(SCHEMA):
        return "its columns have another order or other types than those of a result"
    for name in TEXTS:
        if not all(text and text.isprintable() and _PLAIN.match(text) for text in table[name].to_pylist()):
            return f"its column {name} holds what gradstat never writes"
    if not all(_parsed(text) or text == "{}" for text in table["params"].to_pylist()):
        return "its column params is not JSON"
    return ""


def _parsed(document: str | bytes) -> dict[str, Any]:
    """A JSON object; empty where the text is something else."""
    try:
        found = json.loads(document)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _advice(path: Path) -> str:
    return f"to sample a configuration: gradstat run {path}" if path.suffix == ".toml" else ""
