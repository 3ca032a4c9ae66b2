"""Rows → an Arrow table by way of buffers: pyarrow imports pandas, for 0.3 s, once it is handed Python objects."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from gradstat.records.schema import SCHEMA

DTYPES = {pa.float64(): np.float64, pa.int64(): np.int64, pa.uint64(): np.uint64}


def from_rows(rows: Sequence[Mapping[str, Any]]) -> pa.Table:
    """The columns of a result; None becomes null. OverflowError for a number that its column cannot hold."""
    columns = [column([row[field.name] for row in rows], field.type) for field in SCHEMA]
    return pa.Table.from_arrays(columns, schema=SCHEMA)


def column(values: Sequence[Any], kind: pa.DataType) -> pa.Array:
    """Texts, or numbers of one of `DTYPES`, as an Arrow array."""
    known = np.array([value is not None for value in values], bool)
    buffers = [None if known.all() else pa.py_buffer(np.packbits(known, bitorder="little"))]
    if kind == pa.string():
        texts = [(value or "").encode() for value in values]
        ends = np.cumsum([0, *map(len, texts)], dtype=np.int32)
        buffers += [pa.py_buffer(ends), pa.py_buffer(b"".join(texts))]
    else:
        buffers.append(pa.py_buffer(np.array([0 if value is None else value for value in values], DTYPES[kind])))
    return pa.Array.from_buffers(kind, len(values), buffers)
