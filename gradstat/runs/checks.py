"""Checks of a result: estimates that disagree with their exact value, and targets that were not reached."""

import math
from collections.abc import Sequence
from dataclasses import replace

from gradstat.estimation.error_bars import NO_NUMBER, PERHAPS_INFINITE
from gradstat.estimation.precision import Distance, Target, draws_needed, worst
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
    row, distance = max(((row, worst([row.estimates], target)) for row in rows), key=lambda pair: pair[1].ratio)
    if distance.ratio <= 1.0:
        return ""
    draws, more = row.estimates.n, draws_needed(rows, target)
    found = f"{row.case.label} {row.row.direction} {distance.statistic}: {_error(row, distance, target)}"
    if math.isinf(more):
        return f"{found}; {_hopeless(row)}; give a number of draws instead of a target, with -n"
    how = f"--max-samples {more:.2g}" if draws >= target.max_samples else f"-n {more:.2g}"
    return f"{found}, target {distance.target:g}, after {draws:,} draws; about {more:.1e} are needed: {how}"


def _error(row: ResultRow, distance: Distance, target: Target) -> str:
    if math.isinf(distance.error):
        return f"no error bar ({row.no_error_bar})"
    return f"{'relative error' if distance.target == target.relative else 'error'} {distance.error:.2g}"


def _hopeless(row: ResultRow) -> str:
    """What is known of a row for which no number of draws is known."""
    if row.no_error_bar in NO_NUMBER:
        return "no number of draws reaches the target"
    if row.no_error_bar.startswith(PERHAPS_INFINITE):
        return "probably no number of draws reaches the target"
    return f"{row.estimates.n:,} draws are too few, and how many would do is not known"


def _is_finite(row: ResultRow) -> bool:
    return math.isfinite(row.estimates.mean) and math.isfinite(row.estimates.std)
