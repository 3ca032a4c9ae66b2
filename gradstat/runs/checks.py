"""Checks of a result: estimates that disagree with their exact value, and targets that were not reached."""

import math
from collections.abc import Sequence
from dataclasses import replace

from gradstat.estimation.precision import Target, needed, worst
from gradstat.estimation.run import ResultRow
from gradstat.estimation.significance import disagreements
from gradstat.results.result import Result


def checked(result: Result, rows: Sequence[ResultRow], target: Target | None, notes: tuple[str, ...] = ()) -> Result:
    """The result with its failures, its shortfalls and these notes."""
    short = () if target is None else shortfalls(rows, target)
    return replace(result, failures=failures(rows), shortfalls=short, notes=notes)


def failures(rows: Sequence[ResultRow]) -> tuple[str, ...]:
    """One line per estimate that overflowed or disagrees with its exact value."""
    overflowed = [
        f"{row.case.label} {row.row.direction}: its moments are too large or too small for a float"
        for row in rows
        if not _is_finite(row)
    ]
    return (*overflowed, *map(str, disagreements(rows)))


def shortfalls(rows: Sequence[ResultRow], target: Target) -> tuple[str, ...]:
    """One line per case with an error above its target, with the number of draws that would reach the target."""
    cases: dict[int, list[ResultRow]] = {}
    for row in rows:
        cases.setdefault(id(row.case), []).append(row)
    return tuple(line for members in cases.values() if (line := _shortfall(members, target)))


def _shortfall(rows: Sequence[ResultRow], target: Target) -> str:
    estimates = [row.estimates for row in rows]
    distance = worst(estimates, target)
    if distance.ratio <= 1.0:
        return ""
    draws, more = estimates[0].n, needed(estimates, target)
    if math.isinf(distance.error):
        reasons = ", ".join(dict.fromkeys(row.no_error_bar for row in rows if row.no_error_bar))
        return (
            f"{rows[0].case.label} {distance.statistic}: no error bar after {draws:,} draws ({reasons}); "
            "give a number of draws instead of a target: -n"
        )
    how = f"--max-samples {more:.2g}" if draws >= target.max_samples else f"-n {more:.2g}"
    kind = "relative error" if distance.target == target.relative else "error"
    return (
        f"{rows[0].case.label} {distance.statistic}: {kind} {distance.error:.2g}, target {distance.target:g}, "
        f"after {draws:,} draws; about {more:.1e} are needed: {how}"
    )


def _is_finite(row: ResultRow) -> bool:
    return math.isfinite(row.estimates.mean) and math.isfinite(row.estimates.std)
