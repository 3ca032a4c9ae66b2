"""What of a file that calls itself a result gradstat never writes: whoever reads rows need not ask again.

Texts are letters, digits and brackets in front, and printable: no cell of a CSV is a formula to a spreadsheet, no name
steers a terminal, and what is written reads back exactly, because nothing had to be quoted away.
"""

import json
import math
import re
from collections.abc import Iterator
from typing import Any

import pyarrow as pa

from gradstat.results.schema import COLUMNS, ESTIMATES, OPTIONAL, SCHEMA, TEXTS

_PLAIN = re.compile(r"[\w(\[{].*")

NEVER_NEGATIVE = ("n", "std", "exact_std", *(name for name in ESTIMATES if name.endswith("_se")))
LONGEST = 10_000  # characters of a cell


def mismatch(table: pa.Table) -> str:
    """What about the columns or their cells is not a result's; empty where nothing is."""
    names = table.schema.names
    if missing := [name for name in COLUMNS if name not in names]:
        return f"its columns are not those of a result: {missing[0]} is missing"
    if extra := [name for name in names if name not in COLUMNS]:
        return f"its columns are not those of a result: {extra[0]!r} is unknown"
    if not table.schema.equals(SCHEMA):
        return "its columns have another order or other types than those of a result"
    for name in TEXTS:
        if not all(text and len(text) <= LONGEST and is_plain(text) for text in table[name].to_pylist()):
            return f"its column {name} holds what gradstat never writes"
    if not all(is_parameters(text) for text in table["params"].to_pylist()):
        return "its column params is not JSON as gradstat writes it"
    if gaps := [name for name in COLUMNS if name not in OPTIONAL and table[name].null_count]:
        return f"its column {gaps[0]} has gaps"
    for name in ("exact_mean", "exact_std"):
        if not all(math.isfinite(value) for value in table[name].drop_null().to_pylist()):
            return f"its column {name} holds what is no number"
    for name in NEVER_NEGATIVE:
        if any(value < 0 for value in table[name].drop_null().to_pylist()):
            return f"its column {name} holds a number below 0"
    return ""


def is_plain(text: str) -> bool:
    """Printable, and no formula to a spreadsheet."""
    return text.isprintable() and _PLAIN.match(text) is not None


def is_parameters(text: str) -> bool:
    """A JSON object, spelled as gradstat spells it: sorted, finite, printable."""
    found = parsed(text)
    return found is not None and json.dumps(found, sort_keys=True) == text


def parsed(document: str | bytes) -> dict[str, Any] | None:
    """A JSON object of finite numbers and printable texts; None where it is something else."""
    try:
        found = json.loads(document)
        json.dumps(found, allow_nan=False)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) and all(text.isprintable() for text in texts(found)) else None


def texts(value: Any) -> Iterator[str]:
    """Every key and every text in a JSON document."""
    if isinstance(value, str):
        yield value
    for inner in [*value, *value.values()] if isinstance(value, dict) else value if isinstance(value, list) else []:
        yield from texts(inner)
