"""Validates a result file once, so that readers of its rows need no checks.

Texts are printable and begin with a letter, a digit or a bracket. So a spreadsheet takes no cell for a formula, no
name contains control characters, and every text is written and read back unchanged.
"""

import json
import math
import re
from collections.abc import Iterator
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from gradstat.errors import quoted
from gradstat.estimators import ESTIMATORS
from gradstat.layer_types.record import BACKWARD, FORWARD
from gradstat.results.schema import (
    COLUMNS,
    ESTIMATES,
    EXACT_MAD,
    EXACT_REASON,
    KINDS,
    NO_ERROR_BAR,
    OPTIONAL,
    SCHEMA,
    TEXTS,
)
from gradstat.text.uncertain import EXACT_KINDS, INFINITE, NUMERIC, PROVEN

_PLAIN = re.compile(r"[\w(\[{].*")

KNOWN = {"direction": (FORWARD, BACKWARD), "estimator": tuple(ESTIMATORS)}
COUNTS = ("acc_count", "acc_draws")
FINITE = COUNTS
PROVENANCE: dict[str, tuple[type, ...]] = {  # the types of the entries that gradstat reads
    "configuration": (dict,),
    "versions": (dict,),
    "wall_seconds": (float, int),
    "threads": (int,),
    "stream_version": (int,),
    "utc": (str,),
    "cpu": (str,),
    "git_revision": (str, type(None)),
}
NEVER_NEGATIVE = ("n", *COUNTS, "std", "exact_std", EXACT_MAD, *(name for name in ESTIMATES if name.endswith("_se")))
LONGEST = 10_000  # characters of a cell


def is_provenance(document: dict[str, Any]) -> bool:
    """True if every known entry of the provenance has its type, and no number is negative."""
    for name, kinds in PROVENANCE.items():
        value = document.get(name)
        if name in document and type(value) not in kinds:
            return False
        if isinstance(value, int | float) and not 0 <= value < 1e18:
            return False
    return all(type(text) is str for text in document.get("versions", {}).values())


def columns_problem(schema: pa.Schema) -> str:
    """The first problem with the columns of a result of any version; empty if there is none."""
    if extra := [name for name in schema.names if name not in COLUMNS]:
        return f"its columns are not those of a result: {extra[0]!r} is unknown"
    same_types = all(field.type == SCHEMA.field(field.name).type for field in schema)
    if len(set(schema.names)) != len(schema.names) or not same_types:
        return "its columns have another order or other types than those of a result"
    return ""


def first_problem(table: pa.Table) -> str:
    """The first problem with the columns or cells of a result; empty if there is none."""
    names = table.schema.names
    if missing := [name for name in COLUMNS if name not in names]:
        return f"its columns are not those of a result: {missing[0]} is missing"
    if problem := columns_problem(table.schema):
        return problem
    if not table.schema.equals(SCHEMA):
        return "its columns have another order or other types than those of a result"
    for name in (*TEXTS, NO_ERROR_BAR, *KINDS.values(), EXACT_REASON):
        texts_of = table[name] if name in TEXTS else table[name].drop_null()
        if not all(text and len(text) <= LONGEST and is_plain(text) for text in texts_of.unique().to_pylist()):
            return f"its column {name} has texts that gradstat does not write"
    for name, known in KNOWN.items():
        if unknown_names := [text for text in table[name].unique().to_pylist() if text not in known]:
            return f"its column {name} has {quoted(unknown_names[0])}; known: {', '.join(known)}"
    if not all(is_parameters(text) for text in table["params"].unique().to_pylist()):
        return "its column params is not JSON as gradstat writes it"
    if gaps := [name for name in COLUMNS if name not in OPTIONAL and table[name].null_count]:
        return f"its column {gaps[0]} has gaps"
    for name, column in KINDS.items():
        kinds = table[column].to_pylist()
        if not set(kinds) <= {None, *EXACT_KINDS}:
            return f"its column {column} has texts that gradstat does not write"
        if not all(map(_fits, table[name].to_pylist(), kinds)):
            return f"its column {name} has values that are not of their {column}"
    for name in FINITE:
        if not pc.all(pc.is_finite(table[name]), min_count=0).as_py():
            return f"its column {name} has values that are not finite"
    for name in NEVER_NEGATIVE:
        if (pc.min(table[name]).as_py() or 0.0) < 0.0:
            return f"its column {name} has a negative number"
    return ""


def _fits(value: float | None, kind: str | None) -> bool:
    """True for an exact value of its kind: a number, ±inf, or null."""
    if kind in (PROVEN, NUMERIC):
        return value is not None and math.isfinite(value)
    return value is not None and math.isinf(value) if kind == INFINITE else value is None


def is_plain(text: str) -> bool:
    """True for a printable text that a spreadsheet does not take for a formula."""
    return text.isprintable() and _PLAIN.match(text) is not None


def is_parameters(text: str) -> bool:
    """True for a JSON object as gradstat writes it: keys sorted, numbers finite, texts printable."""
    document = parsed(text)
    return document is not None and json.dumps(document, sort_keys=True) == text


def parsed(document: str | bytes) -> dict[str, Any] | None:
    """A JSON object of finite numbers and printable texts; None for anything else."""
    try:
        content = json.loads(document)
        json.dumps(content, allow_nan=False)
    except (ValueError, RecursionError):
        return None
    return content if isinstance(content, dict) and all(text.isprintable() for text in texts(content)) else None


def texts(value: Any) -> Iterator[str]:
    """Every key and every text in a JSON document."""
    if isinstance(value, str):
        yield value
    for inner in [*value, *value.values()] if isinstance(value, dict) else value if isinstance(value, list) else []:
        yield from texts(inner)
