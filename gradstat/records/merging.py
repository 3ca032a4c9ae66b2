"""Results of the same run over disjoint draws, joined exactly: accumulators are merged, never their statistics.

A file holds the draws [0, samples) unless its provenance says `ranges`. The bytes are those of one run over all draws
where the parts are equally long, 2^k blocks each, and follow each other from draw 0: then each is a node of the tree
of merges. Otherwise the last digits of a float64 may differ.
"""

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import ValidationError

from gradstat.config import RunConfig, explain
from gradstat.errors import UsageError
from gradstat.estimation.forest import Accumulators, Forest
from gradstat.estimation.run import Line
from gradstat.estimation.statistics import estimates
from gradstat.layers.cases import cases
from gradstat.layers.table import Case
from gradstat.records.rows import table
from gradstat.records.schema import ACCUMULATORS
from gradstat.records.store import Result

Range = tuple[int, int]
NOT_COMPARED = ("samples",)  # of a configuration: what parts may differ in


def ranges_of(result: Result, path: Path) -> list[Range]:
    """The draws that a file holds; UsageError where its provenance contradicts its rows."""
    found = result.provenance.get("ranges")
    draws = {row["n"] for row in result.rows()}
    if found is None:
        found = [[0, draw] for draw in draws]
    try:
        ranges = sorted((int(first), int(last)) for first, last in found)
    except (TypeError, ValueError):
        ranges = []
    total = sum(last - first for first, last in ranges)
    if not ranges or any(not 0 <= first < last for first, last in ranges) or draws != {total}:
        raise UsageError(f"{path}: its rows do not all hold the same draws; sample it again with gradstat run")
    return ranges


def merge(parts: Sequence[tuple[Path, Result]]) -> Result:
    """One result over all draws of the parts; UsageError where they overlap or are not of the same run."""
    if len(parts) < 2:
        raise UsageError("merge needs two or more result files")
    for path, part in parts[1:]:
        _check_same_run(parts[0], (path, part))
    owned = sorted((own, path) for path, part in parts for own in ranges_of(part, path))
    for (before, one), (after, other) in pairwise(owned):
        if after[0] < before[1]:
            last = min(before[1], after[1])
            raise UsageError(
                f"{one} and {other} overlap: both hold draws {after[0]:,} to {last - 1:,} "
                f"of seed {_seed(parts[0][1])}; a draw must count once: leave one of the files out"
            )
    ordered = sorted(parts, key=lambda part: ranges_of(part[1], part[0])[0])
    lines = _lines(ordered)
    provenance = _provenance(ordered, [own for own, _ in owned])
    return Result(table(lines, _seed(parts[0][1]), str(ordered[0][1].rows()[0]["estimator"])), provenance)


def _check_same_run(first: tuple[Path, Result], other: tuple[Path, Result]) -> None:
    (path, a), (other_path, b) = first, other
    if _seed(a) != _seed(b):
        raise UsageError(
            f"{path} has seed {_seed(a)}, {other_path} has seed {_seed(b)}: their sums are about other centres, which "
            "the pilot run of each seed chose; compare them with gradstat diff"
        )
    for what in ("schema_version", "stream_version"):
        if a.provenance.get(what) != b.provenance.get(what):
            raise UsageError(f"{path} and {other_path} differ in {what}; sample both with one gradstat")
    questions = [_questions(result) for result in (a, b)]
    if questions[0] != questions[1]:
        raise UsageError(f"{path} and {other_path} have other configurations or rows; merge needs the same ones")


def _questions(result: Result) -> tuple[Any, ...]:
    """What has to be the same in all parts: the configuration, the rows, and their centres."""
    configuration = dict(result.provenance.get("configuration") or {})
    for name in NOT_COMPARED:
        configuration.pop(name, None)
    keys = ("layer", "params", "direction", "cell", "input", "upstream", "estimator", "acc_centre")
    return configuration, [tuple(row[name] for name in keys) for row in result.rows()]


def _lines(ordered: Sequence[tuple[Path, Result]]) -> list[Line]:
    """The rows of all parts, merged, with the cases that their configuration describes."""
    path, first = ordered[0]
    whole = _merged([(ranges_of(part, own), _accumulators(part)) for own, part in ordered])
    rows = [(case, row) for case in _cases(first, path) for row in case.shape.rows]
    found = [(row["layer"], row["params"], row["direction"], row["cell"]) for row in first.rows()]
    if found != [(case.layer.name, case.params_json, row.direction, row.cell) for case, row in rows]:
        raise UsageError(f"{path}: its rows are not those of its configuration; sample it again with gradstat run")
    return [
        Line(case, row, estimates(accumulators), accumulators, case.exact(row))
        for (case, row), accumulators in zip(rows, whole, strict=True)
    ]


def _merged(parts: Sequence[tuple[list[Range], Accumulators]]) -> Accumulators:
    """Along the tree of merges where all parts have one range of one length; in the order of draws otherwise."""
    forest = Forest()
    lengths = {last - first for ranges, _ in parts for first, last in ranges}
    length = next(iter(lengths))
    aligned = len(lengths) == 1 and all(len(ranges) == 1 and ranges[0][0] % length == 0 for ranges, _ in parts)
    if aligned:
        for ranges, accumulators in parts:
            forest.add((0, ranges[0][0] // length), accumulators)
    else:
        forest.nodes = {(0, number): accumulators for number, (_, accumulators) in enumerate(parts)}
    return forest.total()


def _accumulators(result: Result) -> Accumulators:
    rows = result.rows()
    return np.array([[row[name] for name in ACCUMULATORS] for row in rows], np.float64)


def _cases(result: Result, path: Path) -> list[Case]:
    try:
        return cases(RunConfig.model_validate(result.provenance.get("configuration")), str(path))
    except ValidationError as error:
        raise UsageError(f"{path}: its configuration is of another gradstat: {explain(error)[1]}") from None


def _seed(result: Result) -> int:
    """The seed of all rows; UsageError where they have several, or there are none."""
    seeds = {row["seed"] for row in result.rows()}
    if len(seeds) != 1:
        raise UsageError("a result to merge has rows, and all of one seed")
    return int(next(iter(seeds)))


def _provenance(ordered: Sequence[tuple[Path, Result]], ranges: Sequence[Range]) -> dict[str, Any]:
    """That of the first part, with the draws of all: neighbours joined."""
    joined: list[list[int]] = []
    for first, last in ranges:
        if joined and joined[-1][1] == first:
            joined[-1][1] = last
        else:
            joined.append([first, last])
    document = dict(ordered[0][1].provenance)
    samples = sum(last - first for first, last in ranges)
    document["configuration"] = dict(document["configuration"]) | {"samples": samples}
    document["ranges"] = joined
    document["wall_seconds"] = round(sum(part.provenance.get("wall_seconds", 0.0) for _, part in ordered), 3)
    return document
