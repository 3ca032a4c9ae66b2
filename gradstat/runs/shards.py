"""Shards of one run, joined to the bytes of the whole.

A shard is a result over its own blocks. Its file also holds the nodes of the tree of merges that those blocks make,
so that merging goes on along the same tree, whatever the number of shards and their order.
"""

import json
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from gradstat.config import RunConfig, describe_error
from gradstat.errors import UnreadableFile, UsageError
from gradstat.estimation.estimators import estimator_of
from gradstat.estimation.precision import Target
from gradstat.estimation.run import result_rows
from gradstat.estimation.segments import SegmentSnapshot
from gradstat.layer_types import from_config
from gradstat.layer_types.case import Case
from gradstat.results.result import Result
from gradstat.results.rows import to_arrow
from gradstat.runs.checks import checked
from gradstat.runs.folder import run_id, seal, unseal
from gradstat.runs.nodes import decode, encode


@dataclass(frozen=True)
class Shard:
    """One of `of` results; `run` is the id that all of them share."""

    path: Path
    result: Result
    index: int
    of: int
    run: str
    snapshots: tuple[SegmentSnapshot, ...]

    @property
    def name(self) -> str:
        """As --shard spells it."""
        return f"{self.index}/{self.of}"


def marked(result: Result, run_key: Any, place: tuple[int, int], snapshots: Sequence[SegmentSnapshot]) -> Result:
    """A result as a shard: the id of its run, its place among the shards, and its nodes."""
    run, (index, of) = run_id(run_key), place
    nodes = seal(json.dumps([encode(run, snapshot) for snapshot in snapshots]))
    return Result(result.table, result.provenance | {"shard": {"index": index, "of": of, "run": run}}, nodes)


def shard_of(path: Path, result: Result) -> Shard:
    """The shard in a file; UsageError where it is a whole result, UnreadableFile where its nodes are damaged."""
    mark = result.provenance.get("shard")
    if mark is None:
        raise UsageError(f"{path}: is a whole result, not a shard", "gradstat run CONFIG --shard 1/2 -o FILE makes one")
    try:
        run, index, of = str(mark["run"]), int(mark["index"]), int(mark["of"])
        snapshots = tuple(decode(run, line) for line in json.loads(unseal(result.nodes)))
        if not 1 <= index <= of:
            raise ValueError("its place among the shards is impossible")
    except (ValueError, KeyError, TypeError) as error:
        reason = str(error) if type(error) is ValueError else "no shard of gradstat's"
        raise UnreadableFile(f"{path}: {reason}", "sample this shard again with gradstat run --shard") from None
    return Shard(path, result, index, of, run, snapshots)


def merge(files: Sequence[tuple[Path, Result]]) -> Result:
    """The result of the whole run; UsageError where shards are missing, or not of the same run."""
    shards = [shard_of(path, result) for path, result in files]
    for other in shards[1:]:
        _check_same_run(shards[0], other)
    ordered, notes = _each_once(shards)
    config, cases = _cases(ordered[0])
    snapshots = [snapshot for shard in ordered for snapshot in shard.snapshots]
    _check_complete(snapshots, cases, ordered[0].path)
    rows = result_rows(cases, snapshots, estimator_of(config.estimator))
    result = Result(to_arrow(rows, config.seed, config.estimator), _provenance(ordered))
    return checked(result, rows, Target.of(config), notes)


def _check_same_run(first: Shard, other: Shard) -> None:
    seeds = [shard.result.provenance["configuration"].get("seed") for shard in (first, other)]
    if seeds[0] != seeds[1]:
        raise UsageError(f"{first.path} has seed {seeds[0]}, {other.path} has seed {seeds[1]}: not shards of one run")
    for what in ("schema_version", "stream_version"):
        if first.result.provenance.get(what) != other.result.provenance.get(what):
            raise UsageError(f"{first.path} and {other.path} differ in {what}; sample all shards with one gradstat")
    if first.of != other.of:
        raise UsageError(f"{first.path} is shard {first.name}, {other.path} is {other.name}: of another division")
    if first.run != other.run:
        raise UsageError(f"{first.path} and {other.path} have other configurations; shards of one run have the same")
    if _extent(first) != _extent(other):
        raise UsageError(f"{first.path} and {other.path} have other numbers of draws; shards of one run have the same")


def _extent(shard: Shard) -> set[Any]:
    """What all shards agree on: cases, draws, and centres (as text, for a centre may be no number)."""
    return {
        (snapshot.case_indices, replace(snapshot.blocks, first=0, last=0), str(snapshot.centres))
        for snapshot in shard.snapshots
    }


def _each_once(shards: Sequence[Shard]) -> tuple[list[Shard], tuple[str, ...]]:
    """All shards in order. A shard that is there twice counts once; UsageError for missing ones, by name."""
    places: dict[int, list[Shard]] = defaultdict(list)
    for shard in shards:
        places[shard.index].append(shard)
    of, notes = shards[0].of, []
    for _, (one, *others) in sorted(places.items()):
        for other in others:
            if one.result.nodes != other.result.nodes:
                raise UsageError(f"{one.path} and {other.path} are both shard {one.name} and differ; leave one out")
            notes.append(f"{one.path} and {other.path} are both shard {one.name}: it counts once")
    missing = [f"{index}/{of}" for index in range(1, of + 1) if index not in places]
    if missing:
        names = missing[0] if len(missing) == 1 else f"{', '.join(missing[:-1])} and {missing[-1]}"
        words = "shard {} is missing" if len(missing) == 1 else "shards {} are missing"
        raise UsageError(words.format(names), f"sample it with gradstat run --shard {missing[0]}")
    return [places[index][0] for index in range(1, of + 1)], tuple(notes)


def _cases(shard: Shard) -> tuple[RunConfig, list[Case]]:
    try:
        config = RunConfig.model_validate(shard.result.provenance.get("configuration"))
        return config, from_config.cases(config, str(shard.path))
    except ValidationError as error:
        raise describe_error(error).error(shard.path, "its configuration is of another gradstat") from None


def _check_complete(snapshots: Sequence[SegmentSnapshot], cases: Sequence[Case], path: Path) -> None:
    """Every case with as many draws as its segments promise: what a file that was tampered with has not."""
    rows = [len(case.shape.rows) for case in cases]
    for snapshot in snapshots:
        fits = all(place < len(rows) for place in snapshot.case_indices)
        if not fits or sum(rows[place] for place in snapshot.case_indices) != len(snapshot.centres):
            raise UsageError(f"{path}: its nodes are not those of its configuration; sample it again with gradstat run")
    drawn, wanted = [0] * len(rows), [0] * len(rows)
    for snapshot in snapshots:
        for place in snapshot.case_indices:
            drawn[place] += sum(node.draws for node in snapshot.nodes)
            wanted[place] = max(wanted[place], snapshot.blocks.samples)
    if drawn != wanted:
        raise UsageError(f"{path} and the other shards do not hold all draws; sample them again with one gradstat")


def _provenance(ordered: Sequence[Shard]) -> dict[str, Any]:
    """That of the first shard, with the time of all."""
    document = {key: value for key, value in ordered[0].result.provenance.items() if key != "shard"}
    seconds = sum(shard.result.provenance.get("wall_seconds", 0.0) for shard in ordered)
    return document | {"wall_seconds": round(seconds, 3)}
