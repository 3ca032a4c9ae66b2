"""Merges the shards of a run. The result equals that of an unsharded run to the byte.

A shard is the result of a range of blocks. Its file also contains the nodes of the merge tree over these blocks, so
merging shards continues the same tree for any number and order of shards.
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
from gradstat.estimation.run import repeated, result_rows
from gradstat.estimation.segments import SegmentSnapshot
from gradstat.layer_types import from_config
from gradstat.layer_types.case import Case
from gradstat.limits import SHARDS
from gradstat.results.result import Result
from gradstat.results.rows import to_arrow
from gradstat.runs.checks import checked
from gradstat.runs.folder import run_id, seal, unseal
from gradstat.runs.nodes import decode, encode, run_key
from gradstat.runs.validation import check_shard, planned

MOST_NAMED = 10  # shards in a message


@dataclass(frozen=True)
class Shard:
    """Shard `index` of `of`; `run` is the id that all shards share."""

    path: Path
    result: Result
    index: int
    of: int
    run: str
    snapshots: tuple[SegmentSnapshot, ...]

    @property
    def name(self) -> str:
        """The shard as --shard takes it, for example `3/7`."""
        return f"{self.index}/{self.of}"


def marked(result: Result, run_key: Any, place: tuple[int, int], snapshots: Sequence[SegmentSnapshot]) -> Result:
    """The result as a shard, with the id of its run, its position among the shards, and its nodes."""
    run, (index, of) = run_id(run_key), place
    nodes = seal(json.dumps([encode(run, snapshot) for snapshot in snapshots]))
    return Result(result.table, result.provenance | {"shard": {"index": index, "of": of, "run": run}}, nodes)


def shard_of(path: Path, result: Result) -> Shard:
    """The shard in a file; UsageError if it is a whole result, UnreadableFile if its nodes are damaged."""
    mark = result.provenance.get("shard")
    if mark is None:
        raise UsageError(f"{path}: is a whole result, not a shard", "gradstat run CONFIG --shard 1/2 -o FILE makes one")
    try:
        run, index, of = mark["run"], mark["index"], mark["of"]
        if not (type(run) is str and type(index) is type(of) is int):
            raise TypeError
        snapshots = tuple(decode(run, line) for line in json.loads(unseal(result.nodes)))
        if not 1 <= index <= of or of > SHARDS.most:
            raise ValueError("its shard number is out of range")
    except (ValueError, KeyError, TypeError) as error:
        reason = str(error) if type(error) is ValueError else "not a shard written by gradstat"
        raise UnreadableFile(f"{path}: {reason}", "sample this shard again with gradstat run --shard") from None
    return Shard(path, result, index, of, run, snapshots)


def merge(files: Sequence[tuple[Path, Result]]) -> Result:
    """The result of the whole run; UsageError if shards are missing or belong to different runs."""
    shards = [shard_of(path, result) for path, result in files]
    for other in shards[1:]:
        _check_same_run(shards[0], other)
    ordered, notes = _each_once(shards)
    config, every_case = _cases(ordered[0])
    cases, indices = from_config.distinct(every_case)
    _check_plan(ordered, config, cases)
    snapshots = [snapshot for shard in ordered for snapshot in shard.snapshots]
    rows = repeated(result_rows(cases, snapshots, estimator_of(config.estimator)), cases, indices)
    result = Result(to_arrow(rows, config.seed, config.estimator), _provenance(ordered))
    return checked(result, rows, Target.of(config), notes)


def _check_same_run(first: Shard, other: Shard) -> None:
    seeds = [shard.result.provenance.get("configuration", {}).get("seed") for shard in (first, other)]
    if seeds[0] != seeds[1]:
        raise UsageError(f"{first.path} has seed {seeds[0]}, {other.path} has seed {seeds[1]}: not shards of one run")
    for what in ("schema_version", "stream_version"):
        if first.result.provenance.get(what) != other.result.provenance.get(what):
            raise UsageError(
                f"{first.path} and {other.path} differ in {what}; sample all shards with one version of gradstat"
            )
    if first.of != other.of:
        raise UsageError(f"{first.path} and {other.path} belong to runs split into {first.of} and {other.of} shards")
    if first.run != other.run:
        raise UsageError(
            f"{first.path} and {other.path} have different configurations; all shards of a run have the same"
        )
    if _extent(first) != _extent(other):
        raise UsageError(
            f"{first.path} and {other.path} have different numbers of draws; all shards of a run have the same"
        )


def _extent(shard: Shard) -> set[Any]:
    """Cases, draws and centres, which are equal in all shards. Centres are text, so that NaN equals NaN."""
    return {
        (snapshot.case_indices, replace(snapshot.blocks, first=0, last=0), str(snapshot.centres))
        for snapshot in shard.snapshots
    }


def _each_once(shards: Sequence[Shard]) -> tuple[list[Shard], tuple[str, ...]]:
    """All shards in order. A shard given twice counts once; UsageError names missing shards."""
    by_index: dict[int, list[Shard]] = defaultdict(list)
    for shard in shards:
        by_index[shard.index].append(shard)
    of, notes = shards[0].of, []
    for _, (first, *others) in sorted(by_index.items()):
        for other in others:
            if first.result.nodes != other.result.nodes:
                raise UsageError(f"{first.path} and {other.path} are both shard {first.name} and differ; leave one out")
            notes.append(f"{first.path} and {other.path} are both shard {first.name}: it counts once")
    missing = [f"{index}/{of}" for index in range(1, of + 1) if index not in by_index]
    if missing:
        more = f"{len(missing) - MOST_NAMED} more" if len(missing) > MOST_NAMED else missing[-1]
        names = missing[0] if len(missing) == 1 else f"{', '.join(missing[:-1][:MOST_NAMED])} and {more}"
        message = "shard {} is missing" if len(missing) == 1 else "shards {} are missing"
        raise UsageError(message.format(names), f"sample it with gradstat run --shard {missing[0]}")
    return [by_index[index][0] for index in range(1, of + 1)], tuple(notes)


def _cases(shard: Shard) -> tuple[RunConfig, list[Case]]:
    try:
        config = RunConfig.model_validate(shard.result.provenance.get("configuration"))
        return config, from_config.cases(config, str(shard.path))
    except ValidationError as error:
        raise describe_error(error).error(
            shard.path, "its configuration is not valid in this version of gradstat"
        ) from None


def _check_plan(ordered: Sequence[Shard], config: RunConfig, cases: Sequence[Case]) -> None:
    """Raise UnreadableFile unless the nodes of every shard are those that its configuration plans."""
    estimator, samples = estimator_of(config.estimator), None if config.precise else config.samples
    snapshots = [snapshot for shard in ordered for snapshot in shard.snapshots]
    blame = ordered[0].path
    try:
        if run_id(run_key(cases, config.seed, config.estimator)) != ordered[0].run:
            raise ValueError("it is of another run than its configuration")
        plan = planned(cases, snapshots, samples, estimator)
        for shard in ordered:
            blame = shard.path
            check_shard(shard.snapshots, plan, shard.index, shard.of)
    except ValueError as error:
        raise UnreadableFile(f"{blame}: {error}", "sample this shard again with gradstat run --shard") from None


def _provenance(ordered: Sequence[Shard]) -> dict[str, Any]:
    """The provenance of the first shard, with the total time of all shards."""
    document = {key: value for key, value in ordered[0].result.provenance.items() if key != "shard"}
    seconds = sum(shard.result.provenance.get("wall_seconds", 0.0) for shard in ordered)
    return document | {"wall_seconds": round(seconds, 3)}
