"""The rows of a run → the table of a result."""

import math
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import pyarrow as pa

from gradstat.estimation.run import ResultRow
from gradstat.layer_types.record import Exact
from gradstat.results.schema import ACCUMULATORS, EXACT_MAD, SCHEMA, TAILS


def to_arrow(lines: Sequence[ResultRow], seed: int, estimator: str) -> pa.Table:
    """A table with the columns of the result file, one row per row of the run."""
    return pa.Table.from_pylist([_row(line, seed, estimator) for line in lines], schema=SCHEMA)


def _row(line: ResultRow, seed: int, estimator: str) -> dict[str, Any]:
    case = line.case
    return {
        "layer": case.layer.name,
        "params": case.params_json,
        "direction": line.row.direction,
        "cell": line.row.cell,
        "input": case.x.label(),
        "upstream": case.dy.label(),
        "estimator": estimator,
        "seed": seed,
        **asdict(line.estimates),
        **_referee(line.exact),
        "z_mean": line.z_mean,
        "z_std": line.z_std,
        "windows": line.row.windows,
        **{
            name: None if math.isnan(getattr(line.estimates, name)) else getattr(line.estimates, name) for name in TAILS
        },
        "no_error_bar": line.no_error_bar or None,
        **dict(zip(ACCUMULATORS, line.accumulators.tolist(), strict=True)),
    }


def _referee(exact: Exact | None) -> dict[str, float | None]:
    """exact_mean, exact_std and exact_mad; None if no exact value is known."""
    if exact is None:
        return {"exact_mean": None, "exact_std": None, EXACT_MAD: None}
    mad = exact.mad if exact.mad is not None and math.isfinite(exact.mad) else None
    return {"exact_mean": exact.mean, "exact_std": math.sqrt(exact.var), EXACT_MAD: mad}
