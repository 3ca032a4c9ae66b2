"""`gradstat diff` and `gradstat merge`: what must be equal to the byte, what may differ by chance, what is refused."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from gradstat.cli.app import start
from gradstat.config import RunConfig
from gradstat.estimation.engines import Done, Engine, threads
from gradstat.estimation.plan import Block
from gradstat.estimation.run import PILOT_DRAWS, run
from gradstat.estimation.tasks import Task
from gradstat.layers.cases import cases
from gradstat.records.comparison import Comparison, Score, compare
from gradstat.records.merging import merge
from gradstat.records.provenance import provenance
from gradstat.records.rows import table
from gradstat.records.schema import ACCUMULATORS, ESTIMATES
from gradstat.records.store import Result, read, write

LAYERS = ({"name": "relu"}, {"name": "sigmoid"})
POOL = ({"name": "max_pool2d", "kernel_size": 2},)
BLOCK = 2**18  # of layers of one x and one dy
Layers = tuple[dict[str, Any], ...]


def sampled(seed: int = 1, samples: int = 20_000, layers: Layers = LAYERS, engine: Engine = threads) -> Result:
    config = RunConfig.model_validate({"seed": seed, "samples": samples, "layer": list(layers)})
    lines = run(cases(config), samples, seed, 1, engine)
    return Result(table(lines, seed, "mc"), provenance(config, 1, 0.0))


def shard(seed: int, first: int, last: int, layers: Layers = LAYERS) -> Result:
    """The draws [first, last), which begin and end with blocks, as a part of a run."""

    def engine(task: Task, blocks: Iterator[Block], jobs: int, done: Done) -> None:
        own = list(blocks)
        if sum(block.draws for block in own) != PILOT_DRAWS:  # the pilot, which gives the centres, is the whole one
            own = [block for block in own if first <= block.first < last]
        threads(task, iter(own), jobs, done)

    result = sampled(seed, last, layers, engine)
    return replace(result, provenance=result.provenance | {"ranges": [[first, last]]})


def changed(result: Result, column: str, value: Any, row: int = 0) -> Result:
    rows = result.rows()
    rows[row][column] = value
    return replace(result, table=pa.Table.from_pylist(rows, schema=result.table.schema))


@pytest.fixture(scope="module")
def one() -> Result:
    return sampled()


# diff --------------------------------------------------------------------------------------------------------------


def test_same_seed_same_bytes(one: Result) -> None:
    found = compare(one, sampled())
    assert found.agree
    assert (found.bytewise, found.scored, found.scores) == (4, 0, [])


def test_the_last_bit_is_seen_and_named(one: Result) -> None:
    value = one.rows()[1]["acc_m4"]
    found = compare(one, changed(one, "acc_m4", value * (1.0 + 2**-52), row=1))
    assert not found.agree
    assert len(found.unequal) == 1
    assert found.unequal[0].startswith(f"relu backward: acc_m4 is {value!r} and ")


def test_minus_zero_is_not_zero(one: Result) -> None:
    zero, minus = (changed(one, "acc_shift", value) for value in (0.0, -0.0))
    assert not compare(zero, minus).agree
    assert compare(zero, zero).agree


def test_exact_values_may_differ_in_their_last_digit(one: Result) -> None:
    value = one.rows()[0]["exact_std"]
    assert compare(one, changed(one, "exact_std", value * (1.0 + 1e-15))).agree
    assert compare(one, changed(one, "exact_std", value * (1.0 + 1e-9))).unequal
    assert compare(one, changed(one, "exact_std", None)).unequal


def test_other_seeds_are_compared_by_z_scores(one: Result) -> None:
    found = compare(one, sampled(seed=2))
    assert found.agree
    assert (found.bytewise, found.scored, len(found.scores)) == (0, 4, 8)
    assert 0.1 < max(abs(score.z) for score in found.scores) < 4.0


def test_a_wrong_number_is_beyond_the_bound(one: Result) -> None:
    other = sampled(seed=2)
    row = other.rows()[2]
    found = compare(one, changed(other, "std", row["std"] + 8.0 * row["std_se"], row=2))
    assert [score.where for score in found.beyond] == ["sigmoid forward std"]
    assert "standard errors apart" in str(found.beyond[0])


def test_nan_is_beyond_every_bound(one: Result) -> None:
    assert compare(one, changed(sampled(seed=2), "mean", float("nan"))).beyond


def test_the_bound_is_simultaneous() -> None:
    bounds = [Comparison(([], []), [], 0, n, [Score("", 0.0, 0.0, 0.0)] * n).bound for n in (1, 100)]
    assert bounds == pytest.approx([4.891638, 5.730729], abs=1e-5)


def test_more_draws_and_other_streams_are_compared_by_z_scores(one: Result) -> None:
    found = compare(one, sampled(samples=40_000))
    assert found.agree
    assert found.scored == 4
    assert compare(one, replace(one, provenance=one.provenance | {"stream_version": -1})).scored == 4


def test_rows_of_one_file_only_are_named(one: Result) -> None:
    other = sampled(layers=(*LAYERS[:1], {"name": "leaky_relu", "negative_slope": 0.2}))
    found = compare(one, other)
    assert not found.agree
    assert found.alone[0] == ["sigmoid forward", "sigmoid backward"]
    assert found.alone[1][0] == "leaky_relu(negative_slope=0.2) forward"
    assert found.bytewise == 2


def test_a_layer_that_is_asked_for_twice(one: Result) -> None:
    twice = sampled(layers=(LAYERS[0], LAYERS[0]))
    assert compare(twice, twice).bytewise == 4
    assert compare(twice, one).alone[0] == ["relu forward", "relu backward"]


def test_diff_command(one: Result, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    a, b, c = (str(tmp_path / f"{name}.parquet") for name in "abc")
    write(one, Path(a))
    write(sampled(seed=2), Path(b))
    write(changed(one, "mean", 0.5), Path(c))
    assert start(["diff", a, a]) == 0
    assert capsys.readouterr().out == "4 rows of the same seed and draws, compared to the byte\n"
    assert start(["diff", a, b]) == 0
    assert capsys.readouterr().out.startswith("4 rows of other seeds or draws: largest |z| of 8 is ")
    assert start(["diff", a, c]) == 1
    assert capsys.readouterr().out.startswith("relu forward: mean is 0.")
    assert start(["diff", "-q", a, c]) == 1
    assert start(["diff", a, str(tmp_path / "nowhere.parquet")]) == 4
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "there is no such file" in captured.err


# merge -------------------------------------------------------------------------------------------------------------


def joined(*parts: Result) -> Result:
    return merge([(Path(f"{number}.parquet"), part) for number, part in enumerate(parts)])


@pytest.mark.parametrize("order", [(0, 1, 2, 3), (2, 0, 3, 1)])
def test_aligned_parts_give_the_bytes_of_the_whole(order: tuple[int, ...]) -> None:
    parts = [shard(3, i * BLOCK, (i + 1) * BLOCK) for i in order]
    whole = sampled(3, 4 * BLOCK)
    found = joined(*parts)
    assert found.table.equals(whole.table)
    assert found.provenance["ranges"] == [[0, 4 * BLOCK]]
    assert found.provenance["configuration"]["samples"] == 4 * BLOCK


def test_a_draw_of_several_slots() -> None:
    parts = [shard(3, 0, BLOCK, POOL), shard(3, BLOCK, 2 * BLOCK, POOL)]
    assert joined(*parts).table.equals(sampled(3, 2 * BLOCK, POOL).table)


def test_merging_is_associative_to_the_last_digits() -> None:
    first, second, third = (shard(3, i * BLOCK, (i + 1) * BLOCK) for i in range(3))
    whole = sampled(3, 3 * BLOCK)
    for found in (joined(joined(first, second), third), joined(first, joined(third, second))):
        assert found.provenance["ranges"] == [[0, 3 * BLOCK]]
        for row, wanted in zip(found.rows(), whole.rows(), strict=True):
            for name in (*ESTIMATES, *ACCUMULATORS):
                scale = wanted["n"] if name.startswith("acc_") else 1.0
                assert row[name] == pytest.approx(wanted[name], rel=1e-12, abs=1e-15 * scale), name


def test_gaps_are_kept_in_the_provenance() -> None:
    found = joined(shard(3, 0, BLOCK), shard(3, 2 * BLOCK, 3 * BLOCK))
    assert found.provenance["ranges"] == [[0, BLOCK], [2 * BLOCK, 3 * BLOCK]]
    assert {row["n"] for row in found.rows()} == {2 * BLOCK}
    with pytest.raises(Exception, match=f"overlap: both hold draws {2 * BLOCK:,} to {3 * BLOCK - 1:,}"):
        joined(found, shard(3, 2 * BLOCK, 3 * BLOCK))


@pytest.mark.parametrize(
    ("other", "words"),
    [
        ({}, "overlap: both hold draws 0 to 19,999 of seed 1"),
        ({"samples": 10_000}, "overlap: both hold draws 0 to 9,999 of seed 1"),
        ({"seed": 2}, "has seed 1"),
        ({"layers": LAYERS[:1]}, "other configurations"),
    ],
)
def test_merge_refuses(
    one: Result, other: dict[str, Any], words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    a, b, out = (tmp_path / f"{name}.parquet" for name in ("a", "b", "out"))
    write(one, a)
    write(sampled(**other), b)
    assert start(["merge", str(a), str(b), "-o", str(out)]) == 2
    message = capsys.readouterr().err
    assert words in message
    assert message.count("\n") == 1
    assert not out.exists()


def test_merge_refuses_what_contradicts_itself(one: Result) -> None:
    for ranges in ([[0, 5]], [[5, 0]], "all", [], [[0, 10_000], [0, 10_000, 3]]):
        wrong = replace(one, provenance=one.provenance | {"ranges": ranges})
        with pytest.raises(Exception, match="do not all hold the same draws"):
            joined(wrong, one)
    with pytest.raises(Exception, match="two or more"):
        joined(one)
    with pytest.raises(Exception, match="differ in stream_version"):
        joined(one, replace(one, provenance=one.provenance | {"stream_version": -1}))


def test_merge_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    paths = [tmp_path / f"{i}.parquet" for i in range(2)]
    for i, path in enumerate(paths):
        write(shard(3, i * BLOCK, (i + 1) * BLOCK), path)
    out = tmp_path / "out.parquet"
    assert start(["merge", *map(str, paths), "-q", "-o", str(out)]) == 0
    assert read(out).table.equals(sampled(3, 2 * BLOCK).table)
    assert start(["merge", *map(str, paths)]) == 2
    assert "-o OUT.parquet" in capsys.readouterr().err
    assert start(["merge", *map(str, paths), "--format", "json", "-o", "-"]) == 0
    assert json.loads(capsys.readouterr().out)["provenance"]["ranges"] == [[0, 2 * BLOCK]]
