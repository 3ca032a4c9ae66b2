"""`--shard` and `gradstat merge`: the whole to the byte, whatever the division and the order; and what is refused."""

import json
import random
from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from gradstat.cli.app import start
from gradstat.config import RunConfig
from gradstat.errors import UnreadableFile, UsageError
from gradstat.estimation.engines import threads
from gradstat.estimation.groups import groups
from gradstat.estimation.precision import Target
from gradstat.estimation.run import execute, plan, result_rows
from gradstat.layer_types.from_config import cases
from gradstat.results.provenance import provenance
from gradstat.results.result import Result
from gradstat.results.rows import to_arrow
from gradstat.results.store import read, write
from gradstat.runs.folder import seal, unseal
from gradstat.runs.nodes import decode, encode, run_key
from gradstat.runs.shards import marked, merge

SAMPLES = 3_000_000  # 12 blocks of relu, 23 of the window; the last ones are short
LAYERS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("relu", {}),
    ("max_pool2d", {"kernel_size": 2}),
    ("softsign", {"input": {"std": 2.0}}),
)


def config(seed: int = 3, names: Sequence[str] = ("relu", "max_pool2d", "softsign"), **goal: Any) -> RunConfig:
    layers = [{"name": name, **more} for name, more in LAYERS if name in names]
    return RunConfig.model_validate({"seed": seed, "layer": layers, **(goal or {"samples": SAMPLES})})


def sampled(wanted: RunConfig, place: tuple[int, int] | None = None) -> Result:
    questions = cases(wanted)
    planned = plan(questions, groups(questions), Target.of(wanted) or wanted.samples, wanted.seed, 1, threads)
    if place:
        planned = [segment.shard(*place) for segment in planned]
    parts = execute(planned, wanted.seed, 1, threads)
    result = Result(to_arrow(result_rows(questions, parts), wanted.seed, "mc"), provenance(wanted, 1, 0.0))
    return marked(result, run_key(questions, wanted.seed, "mc"), place, parts) if place else result


@cache
def whole() -> Result:
    return sampled(config())


@cache
def shards(of: int, seed: int = 3) -> tuple[Result, ...]:
    return tuple(sampled(config(seed), (index, of)) for index in range(1, of + 1))


def joined(parts: Sequence[Result]) -> Result:
    return merge([(Path(f"{number}.parquet"), part) for number, part in enumerate(parts)])


def rewritten(shard: Result, change: Any) -> Result:
    """A shard whose nodes were tampered with, digest and all."""
    run = shard.provenance["shard"]["run"]
    parts = [decode(run, line) for line in json.loads(unseal(shard.nodes))]
    return replace(shard, nodes=seal(json.dumps([encode(run, change(part)) for part in parts])))


@pytest.mark.parametrize("of", [1, 2, 7, 16, 40])
def test_any_division_in_any_order_is_the_whole(of: int, tmp_path: Path) -> None:
    """With 40 shards most of the 12 blocks of relu are one each, and many shards have none."""
    parts = list(shards(of))
    random.Random(of).shuffle(parts)
    found = joined(parts)
    assert found.table.equals(whole().table)
    for name, result in (("whole", whole()), ("found", found)):
        pq.write_table(result.table, tmp_path / name)
    assert (tmp_path / "whole").read_bytes() == (tmp_path / "found").read_bytes()
    assert found.provenance["configuration"] == whole().provenance["configuration"]
    assert found.provenance.keys() == whole().provenance.keys()
    assert found.nodes == ""


def test_shards_survive_their_files(tmp_path: Path) -> None:
    paths = [tmp_path / f"{number}.parquet" for number in range(3)]
    for path, shard in zip(paths, shards(3), strict=True):
        write(shard, path)
    assert merge([(path, read(path)) for path in paths]).table.equals(whole().table)


def test_every_shard_is_a_result_of_its_own() -> None:
    first, second = shards(2)
    rows = [part.rows() for part in (first, second)]
    assert [a["n"] + b["n"] for a, b in zip(*rows, strict=True)] == [SAMPLES] * 6
    assert all(a["std"] != b["std"] for a, b in zip(*rows, strict=True))
    assert all(abs(row["z_std"]) < 6 for part in rows for row in part)


def test_a_wrong_node_is_seen_in_the_bytes() -> None:
    """Negative control: the comparison with the whole sees the last bits of one accumulator."""

    def last_bits(part: Any) -> Any:
        part.nodes[-1].accumulators[0, 3] *= 1.0 + 2**-50
        return part

    first, second = shards(2)
    assert not joined([rewritten(first, last_bits), second]).table.equals(whole().table)


def test_a_duplicate_counts_once() -> None:
    one, two, three = shards(3)
    found = joined([two, one, three, two])
    assert found.table.equals(whole().table)
    assert found.notes == ("0.parquet and 3.parquet are both shard 2/3: it counts once",)


def test_two_that_claim_one_place_and_differ() -> None:
    one, two, three = shards(3)
    fake = replace(three, provenance=three.provenance | {"shard": three.provenance["shard"] | {"index": 2}})
    with pytest.raises(UsageError, match=r"0.parquet and 3.parquet are both shard 2/3 and differ; leave one out"):
        joined([two, one, three, fake])


@pytest.mark.parametrize(
    ("left_out", "words"),
    [
        ((3,), "shard 3/7 is missing; sample it with gradstat run --shard 3/7"),
        ((1, 6), "shards 1/7 and 6/7 are missing; sample it with gradstat run --shard 1/7"),
        ((2, 4, 7), "shards 2/7, 4/7 and 7/7 are missing"),
    ],
)
def test_missing_shards_are_named(left_out: tuple[int, ...], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        joined([shard for index, shard in enumerate(shards(7), 1) if index not in left_out])


@pytest.mark.parametrize(
    ("other", "words"),
    [
        (lambda: shards(2, 4)[1], "0.parquet has seed 3, 1.parquet has seed 4: not shards of one run"),
        (lambda: shards(3)[1], "0.parquet and 1.parquet belong to runs split into 2 and 3 shards"),
        (lambda: sampled(config(names=["relu"]), (2, 2)), "different configurations"),
        (lambda: sampled(config(samples=2 * SAMPLES), (2, 2)), "different numbers of draws"),
        (whole, "1.parquet: is a whole result, not a shard; gradstat run CONFIG --shard 1/2"),
        (lambda: stamped(stream_version=-1), "differ in stream_version"),
    ],
)
def test_what_is_not_of_the_same_run_is_refused(other: Any, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        joined([shards(2)[0], other()])


def stamped(**change: Any) -> Result:
    shard = shards(2)[1]
    return replace(shard, provenance=shard.provenance | change)


@pytest.mark.parametrize(
    "damaged",
    [
        lambda shard: replace(shard, nodes=shard.nodes[:-20]),
        lambda shard: replace(shard, nodes=""),
        lambda shard: replace(shard, nodes=shard.nodes.replace("A", "B", 1)),
        lambda shard: replace(shard, nodes=seal("[1]")),
        lambda shard: stamped(shard={"index": 9, "of": 2, "run": "x"}),
        lambda shard: stamped(shard=[]),
    ],
)
def test_damaged_nodes_are_unreadable(damaged: Any) -> None:
    with pytest.raises(UnreadableFile, match=r"1.parquet: .*; sample this shard again"):
        joined([shards(2)[0], damaged(shards(2)[1])])


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda part: replace(part, nodes=part.nodes[1:]), "it does not contain all of its draws"),
        (lambda part: replace(part, nodes=(*part.nodes, part.nodes[0])), "its nodes overlap"),
    ],
)
def test_draws_that_are_missing_or_there_twice_are_noticed(change: Any, words: str) -> None:
    with pytest.raises(UnreadableFile, match=f"1.parquet: {words}; sample this shard again"):
        joined([shards(2)[0], rewritten(shards(2)[1], change)])


def test_places_of_another_configuration() -> None:
    with pytest.raises(UnreadableFile, match="its nodes do not match its configuration"):
        joined([rewritten(shard, lambda part: replace(part, case_indices=(7,))) for shard in shards(2)])


def test_a_target_is_decided_alike_by_all_shards() -> None:
    wanted = config(rel_error=1e-3)
    found = joined([sampled(wanted, (index, 3)) for index in (2, 3, 1)])
    assert found.table.equals(sampled(wanted).table)
    assert len({row["n"] for row in found.rows()}) > 1


def test_commands(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("c.toml").write_text('seed = 3\n[[layer]]\nname = "relu"\n')
    common = ("run", "c.toml", "-n", "1e6", "-q", "-j", "1")
    assert start([*common, "-o", "whole.parquet"]) == 0
    for index in (1, 2):
        assert start([*common, "--shard", f"{index}/2", "-o", f"{index}.parquet"]) == 0
    assert start(["merge", "2.parquet", "1.parquet", "2.parquet", "-q", "-o", "merged.parquet"]) == 0
    assert "gradstat: 2.parquet and 2.parquet are both shard 2/2: it counts once" in capsys.readouterr().err
    assert read(Path("merged.parquet")).table.equals(read(Path("whole.parquet")).table)
    assert start(["merge", "2.parquet", "-q", "-o", "none.parquet"]) == 2
    assert start(["merge", "1.parquet", "2.parquet"]) == 2
    assert start([*common, "--shard", "1/2", "-o", "1.json"]) == 2
    for wrong in ("0/2", "3/2", "1", "1/0", "a/b", "1/2/3"):
        assert start([*common, "--shard", wrong, "-o", "none.parquet"]) == 2
    lines = capsys.readouterr().err.splitlines()
    assert lines[0].startswith("gradstat: shard 1/2 is missing")
    assert "-o OUT.parquet" in lines[1]
    assert lines[2].endswith("a shard needs an output file for gradstat merge: -o FILE.parquet")
    assert all(line.endswith("is not allowed; expected I/K, e.g. 3/7, with I from 1 to K") for line in lines[3:])
    assert not Path("none.parquet").exists()
    assert not Path("results").exists()
