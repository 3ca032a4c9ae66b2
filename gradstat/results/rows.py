"""The rows of a run → the table of a result."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import pyarrow as pa

from gradstat.estimation.run import ResultRow
from gradstat.layer_types.statistics import ExactNumber, exact_number, is_certain
from gradstat.results.schema import (
    ACCUMULATORS,
    EXACT_REASON,
    KINDS,
    SCHEMA,
    TAILS,
)
from gradstat.text.uncertain import OVERFLOW, UNDEFINED


def to_arrow(lines: Sequence[ResultRow], seed: int, estimator: str) -> pa.Table:
    """A table with the columns of the result file, one row per row of the run."""
    return pa.Table.from_pylist([_row(line, seed, estimator) for line in lines], schema=SCHEMA)


def _row(line: ResultRow, seed: int, estimator: str) -> dict[str, Any]:
    case, numbers = line.case, exact_numbers(line)
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
        **_referee(numbers),
        "z_mean": line.z_mean,
        "z_std": line.z_std,
        "windows": line.row.windows,
        **{
            name: None if math.isnan(getattr(line.estimates, name)) else getattr(line.estimates, name) for name in TAILS
        },
        "no_error_bar": line.no_error_bar or None,
        **_worth(numbers),
        **dict(zip(ACCUMULATORS, line.accumulators.tolist(), strict=True)),
    }


def exact_numbers(line: ResultRow) -> dict[str, ExactNumber | None]:
    """The exact values of a row that a result has, infinite and undefined ones too; None for an unknown one."""
    names = {name: name.removeprefix("exact_") for name in KINDS}
    exact = line.exact
    if exact is None or not all(is_certain(statistic, exact) for statistic in names.values()):
        exact = line.case.certain_moments(line.row, names.values())
    return {name: None if exact is None else exact_number(statistic, exact) for name, statistic in names.items()}


def _referee(numbers: Mapping[str, ExactNumber | None]) -> dict[str, float | None]:
    """exact_mean, exact_std and exact_mad: ±inf if infinite; None if unknown, undefined or outside float64."""
    return {
        name: None if number is None or number.kind in (UNDEFINED, OVERFLOW) else number.value
        for name, number in numbers.items()
    }


def _worth(numbers: Mapping[str, ExactNumber | None]) -> dict[str, str | None]:
    """The kinds of these values, and why some are not finite: `std is ∞: diverges at +∞`."""
    kinds = {KINDS[name]: None if number is None else number.kind for name, number in numbers.items()}
    reasons = [
        f"{name.removeprefix('exact_')} {number.explanation}"
        for name, number in numbers.items()
        if number is not None and number.reason
    ]
    return {**kinds, EXACT_REASON: "; ".join(reasons) or None}
