"""Files of strangers: forged nodes, pipes, devices, links, Parquet bombs. Each gives one line and an exit code."""

import json
import os
import socket
import stat
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from gradstat.errors import Exit, UnreadableFile, UsageError
from gradstat.estimation.segments import SegmentSnapshot
from gradstat.input_files import read_bytes
from gradstat.limits import ROWS, SHARDS
from gradstat.numerics import columns as c
from gradstat.numerics.columns import WIDTH
from gradstat.results.parquet_footer import footer_of
from gradstat.results.result import Result
from gradstat.results.store import KEY, parse, to_parquet
from gradstat.runs.checkpoints import FolderCheckpointer
from gradstat.runs.folder import RunFolder, seal, unseal
from gradstat.runs.nodes import decode
from gradstat.runs.shards import merge
from gradstat.text.machine import REPORT_KEY
from tests import mutations
from tests.commands import Command

# Mutations --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", mutations.KINDS)
def test_mutated_files_give_one_line_or_the_right_numbers(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A hundred mutations; `python -m tests.mutations 10000` tries more."""
    monkeypatch.setenv("GRADSTAT_RESULTS", "unused")  # restored after the test
    outcomes = mutations.tried(kind, 100, seed=1)
    assert outcomes[mutations.REFUSED] > 20


def test_a_wrong_number_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Negative control: without the digest of its nodes, a shard with a changed bit gives other numbers."""
    monkeypatch.setattr("tests.mutations.verdict", lambda table, right, forged: mutations.OTHER)
    with pytest.raises(AssertionError, match=r"shard, mutation \d+ of seed 1: OTHER NUMBERS"):
        mutations.tried("shard", 100, seed=1)


# Shards -----------------------------------------------------------------------------------------------------------


def shards(estimator: str = "mc") -> list[Result]:
    return [mutations.sampled(estimator, (index, 2)) for index in (1, 2)]


def joined(parts: list[Result]) -> Result:
    return merge([(Path(f"{number}.parquet"), part) for number, part in enumerate(parts, 1)])


def forged(shard: Result, change: Callable[[dict[str, Any]], Any], segment: int = 0) -> Result:
    """A shard with a changed document of its nodes, and a new digest."""
    documents = [json.loads(line) for line in json.loads(unseal(shard.nodes))]
    documents[segment] |= change(documents[segment])
    return replace(shard, nodes=seal(json.dumps([json.dumps(document) for document in documents])))


def with_sums(change: Callable[[np.ndarray[Any, Any]], Any]) -> Callable[[dict[str, Any]], dict[str, Any]]:
    """A change of the accumulators [node, row, WIDTH]; the function changes them or returns others."""
    import base64

    def changed(document: dict[str, Any]) -> dict[str, Any]:
        sums = np.frombuffer(base64.b64decode(document["accumulators"]), "<f8").copy()
        sums = sums.reshape(len(document["nodes"]), -1, WIDTH)
        other = change(sums)
        content = np.ascontiguousarray(sums if other is None else other)
        return {"accumulators": base64.b64encode(content.tobytes()).decode()}

    return changed


def set_sum(column: int, value: float) -> Callable[[dict[str, Any]], dict[str, Any]]:
    def change(sums: np.ndarray[Any, Any]) -> None:
        sums[0, 0, column] = value

    return with_sums(change)


def first_node(**change: Any) -> Callable[[dict[str, Any]], dict[str, Any]]:
    names = ("level", "index", "draws")

    def changed(document: dict[str, Any]) -> dict[str, Any]:
        node = [change.get(name, number) for name, number in zip(names, document["nodes"][0], strict=True)]
        return {"nodes": [node, *document["nodes"][1:]]}

    return changed


def cut_to(width: int) -> Callable[[np.ndarray[Any, Any]], Any]:
    return lambda sums: sums[..., :width]


FORGERIES: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = {
    **{f"width {width}": with_sums(cut_to(width)) for width in (0, 1, 2, 5, 12)},
    "twice the width": with_sums(lambda sums: np.concatenate([sums, sums], axis=-1)),
    **{f"level {level:.0e}": first_node(level=level) for level in (-1, 64, 10**12)},
    "level 10**4000": first_node(level=10**4000),
    "level NaN": first_node(level=float("nan")),
    "index -1": first_node(index=-1),
    "index 10**12": first_node(index=10**12),
    "draws infinite": first_node(draws=float("inf")),
    "draws 0": first_node(draws=0),
    "text for draws": first_node(draws="1"),
    "blocks": lambda document: {"blocks": [*document["blocks"][:4], 10**30]},
    "other draws": lambda document: {"blocks": [mutations.SAMPLES + 1, *document["blocks"][1:]]},
    "other block length": lambda document: {"blocks": [document["blocks"][0], 1024, *document["blocks"][2:]]},
    "centres": lambda document: {"centres": [*document["centres"], 0.0]},
    "text for a centre": lambda document: {"centres": ["0", *document["centres"][1:]]},
    "places": lambda document: {"places": [7]},
    "negative places": lambda document: {"places": [-1]},
    "node twice": lambda document: {"nodes": [*document["nodes"], document["nodes"][0]]},
    "no nodes": lambda document: {"nodes": [], "accumulators": ""},
    "count 1e300": set_sum(c.COUNT, 1e300),
    "draws of sums": set_sum(c.DRAWS, 5.0),
    "other centre": set_sum(c.CENTRE, 0.125),
    "negative square": set_sum(c.M2, -1.0),
    "negative absolute": set_sum(c.ABS, -1.0),
    "square NaN": set_sum(c.M2, float("nan")),
    "square infinite": set_sum(c.M2, float("inf")),
    "square too large": set_sum(c.M2, 1e30),
    "mean out of range": set_sum(c.SHIFT, 1e6),
    "half a zero": set_sum(c.ZEROS, 0.5),
    "more zeros than values": set_sum(c.ZEROS, 1e18),
}


@pytest.mark.parametrize("estimator", ["mc", "rqmc"])
@pytest.mark.parametrize("name", FORGERIES)
def test_forged_nodes_are_unreadable(name: str, estimator: str) -> None:
    first, second = shards(estimator)
    with pytest.raises((UnreadableFile, UsageError), match=r"^[12]\.parquet[: ]") as caught:
        joined([first, forged(second, FORGERIES[name])])
    assert "\n" not in str(caught.value)
    assert caught.value.code in (Exit.UNREADABLE, Exit.USAGE)


@pytest.mark.parametrize("estimator", ["mc", "rqmc"])
def test_nodes_as_they_are_merge(estimator: str) -> None:
    """Negative control: the same path without a change."""
    first, second = shards(estimator)
    found = joined([first, forged(second, lambda document: {})])
    assert found.table.equals(mutations.sampled(estimator, None).table)


@pytest.mark.parametrize(
    ("entry", "value"),
    [
        ("shard", {"index": 1, "of": 10**9}),
        ("shard", {"index": 1, "of": 10**7}),
        ("shard", {"index": 1.0, "of": 2}),
        ("shard", {"index": True, "of": 2}),
        ("shard", {"index": 0, "of": 2}),
        ("wall_seconds", "1"),
        ("wall_seconds", -1.0),
        ("configuration", None),
        ("configuration", []),
        ("versions", {"gradstat": 1}),
        ("threads", "::error::"),
    ],
)
def test_forged_provenance_is_unreadable(entry: str, value: Any) -> None:
    first = shards()[0]
    changed = first.provenance[entry] | value if isinstance(value, dict) and entry == "shard" else value
    content = to_parquet(replace(first, provenance=first.provenance | {entry: changed}))
    with pytest.raises(UnreadableFile, match=r"^1\.parquet: "):
        joined([parse(content, Path("1.parquet"))])


def test_many_missing_shards_are_one_short_line() -> None:
    first = shards()[0]
    mark = first.provenance["shard"] | {"of": SHARDS.most}
    with pytest.raises(UsageError, match=r"and 9989 more are missing") as caught:
        joined([replace(first, provenance=first.provenance | {"shard": mark})])
    assert len(str(caught.value)) < 400


def test_a_shard_of_another_estimator_is_refused() -> None:
    first, second = shards()
    config = second.provenance["configuration"] | {"estimator": "rqmc"}
    both = [replace(part, provenance=part.provenance | {"configuration": config}) for part in (first, second)]
    with pytest.raises(UnreadableFile, match="of another run than its configuration"):
        joined(both)


def test_values_near_the_largest_float_are_kept() -> None:
    """Sums that overflowed are what a run of such values has; its shards merge as it does."""
    part = decode("r", node_of(low=-1e200, high=1e200, square=float("inf")))
    assert part.nodes[0].accumulators[0, c.M2] == np.inf
    checked(part)
    with pytest.raises(ValueError, match="not finite"):
        checked(decode("r", node_of(low=-1.0, high=1.0, square=float("inf"))))


def node_of(low: float, high: float, square: float) -> str:
    """A part with one node of relu's rows, all values of which are between these."""
    segment = mutations.planned("mc")[0]
    part = mutations.kept(segment)[0]
    rows = part.accumulators.copy()
    rows[:, [c.MIN, c.MAX, c.M2]] = low, high, square
    from gradstat.runs.nodes import encode

    snapshot = SegmentSnapshot(
        segment.case_indices, segment.blocks, tuple(rows[:, c.CENTRE].tolist()), (part._replace(accumulators=rows),)
    )
    return encode("r", snapshot)


def checked(part: SegmentSnapshot) -> None:
    from gradstat.runs.validation import check_part

    check_part(part, mutations.planned("mc")[0])


# Kept parts -------------------------------------------------------------------------------------------------------


@pytest.fixture
def results(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("GRADSTAT_RESULTS", str(tmp_path / "results"))
    return tmp_path / "results"


def folder() -> RunFolder:
    return RunFolder("run", {"seed": 1})


def reader(warnings: list[str]) -> FolderCheckpointer:
    return FolderCheckpointer(folder(), warnings.append)


@pytest.mark.parametrize("kind", ["link", "link to /dev/zero", "pipe", "folder"])
def test_a_part_that_is_no_file_is_sampled_again(kind: str, results: Path) -> None:
    written = folder()
    written.write("a", "{}")
    written.close()
    path = results / "run" / "a.part"
    path.unlink()
    match kind:
        case "pipe":
            os.mkfifo(path)
        case "folder":
            path.mkdir()
        case _:
            path.symlink_to("/dev/zero" if "zero" in kind else "run.json")
    warnings: list[str] = []
    keeper = reader(warnings)
    assert not keeper.open(fresh=False)
    keeper.folder.close()
    assert len(warnings) == 1
    assert warnings[0].endswith("its draws are sampled again")


def test_links_in_the_folder_of_a_run_are_not_followed(results: Path, tmp_path: Path) -> None:
    """Others may write there: a lock, a key, a part or a temporary file that is a link must not reach its target."""
    target = tmp_path / "target"
    target.write_text("precious")
    (results / "run").mkdir(parents=True)
    for name in ("run.json", "a.part", f".a.part.{os.getpid()}.tmp"):
        (results / "run" / name).symlink_to(target)
    written = folder()
    written.write("a", "{}")
    assert target.read_text() == "precious"
    assert stat.S_ISREG((results / "run" / "a.part").lstat().st_mode)
    assert written.read("a") == "{}"
    written.close()
    (results / "run" / "lock").unlink()
    (results / "run" / "lock").symlink_to(target)
    with pytest.raises(OSError, match=r"symbolic|link"):
        folder().open()
    assert target.read_text() == "precious"


def test_a_folder_that_is_a_link_is_not_used(results: Path, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    results.mkdir()
    (results / "run").symlink_to(tmp_path / "elsewhere")
    warnings: list[str] = []
    keeper = reader(warnings)
    assert not keeper.open(fresh=False)
    assert list((tmp_path / "elsewhere").iterdir()) == []
    assert len(warnings) == 1


def test_results_that_are_deleted_in_mid_run_are_made_again(results: Path) -> None:
    import shutil

    written = folder()
    written.write("a", "{}")
    shutil.rmtree(results)
    written.write("b", "[]")
    assert (written.names(), written.read("b")) == (["b"], "[]")
    written.close()


@pytest.mark.parametrize("number", ["ENOSYS", "ENOLCK", "EOPNOTSUPP"])
def test_parts_are_kept_without_locks(number: str, results: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import errno

    def refused(*arguments: Any) -> None:
        raise OSError(getattr(errno, number), "no locks here")

    monkeypatch.setattr("fcntl.flock", refused)
    written = folder()
    written.write("a", "{}")
    written.close()
    assert (results / "run" / "a.part").exists()


# Pipes and devices ------------------------------------------------------------------------------------------------

READERS = (
    ("run", "{}"),
    ("verify", "{}"),
    ("verify", "--quick", "{}"),
    ("propagate", "{}"),
    ("show", "{}"),
    ("diff", "{}", "{}"),
    ("merge", "{}", "-o", "-"),
    ("tables", "selu", "--check", "{}"),
    ("plot", "forest", "{}", "-o", "a.svg"),
)


@pytest.mark.parametrize("kind", ["pipe", "socket", "/dev/zero", "/dev/null"])
@pytest.mark.parametrize("arguments", READERS, ids=lambda arguments: " ".join(arguments))
def test_what_is_no_file_is_refused_at_once(
    arguments: tuple[str, ...], kind: str, cli: Command, tmp_path: Path
) -> None:
    """A pipe without a writer would be waited for, and /dev/zero has no end."""
    suffix = {"tables": ".md", "show": ".parquet", "diff": ".parquet", "merge": ".parquet", "plot": ".parquet"}
    name = f"x{suffix.get(arguments[0], '.toml')}"
    if kind == "pipe":
        os.mkfifo(tmp_path / name)
    elif kind == "socket":
        with socket.socket(socket.AF_UNIX) as listening:
            listening.bind(name)
    else:
        (tmp_path / name).symlink_to(kind)
    outcome = cli(*(argument.replace("{}", name) for argument in arguments))
    assert outcome.code == Exit.UNREADABLE
    assert name in outcome.line()


def test_a_file_is_examined_after_it_was_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A pipe that takes the place of a file between a check and the opening is refused all the same."""
    path = tmp_path / "a.toml"
    os.mkfifo(path)
    monkeypatch.setattr("os.stat", lambda *arguments, **named: os.lstat("/etc/hostname"))
    with pytest.raises(UnreadableFile, match="is a pipe, not a file"):
        read_bytes(path)


def test_the_environment_is_not_printed(cli: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "t.md").symlink_to("/proc/self/environ")
    outcome = cli("tables", "selu", "--check", "t.md")
    assert outcome.code == Exit.UNREADABLE
    assert "PATH" not in outcome.line()
    long = "secret " * 100
    (tmp_path / "u.md").write_text(long)
    assert len(cli("tables", "selu", "--check", "u.md").line()) < 300


# Parquet ----------------------------------------------------------------------------------------------------------


def parquet(table: pa.Table, report: bool = True, **options: Any) -> bytes:
    key, document = (REPORT_KEY, {"title": "t"}) if report else (KEY, mutations.sampled("mc", None).provenance)
    buffer = pa.BufferOutputStream()
    pq.write_table(table.replace_schema_metadata({key: json.dumps(document)}), buffer, **options)
    return bytes(buffer.getvalue())


BOMBS: dict[str, Callable[[bool], bytes]] = {
    "rows": lambda report: parquet(pa.table({"a": pa.nulls(ROWS.most + 1, pa.int8())}), report),
    "cells": lambda report: parquet(pa.table({f"c{i}": pa.nulls(ROWS.most, pa.int8()) for i in range(30)}), report),
    "columns": lambda report: parquet(pa.table({f"c{i}": [1] for i in range(1001)}), report),
    "compression": lambda report: parquet(pa.table({"a": [0.0] * 1000}), report, compression="zstd"),
    "long texts": lambda report: parquet(pa.table({"layer": ["x" * 10_000] * 90_000}), report),
    "lists": lambda report: parquet(pa.table({"a": [[1, 2]]}), report),
}


@pytest.mark.parametrize("report", [True, False], ids=["report", "result"])
@pytest.mark.parametrize("name", BOMBS)
def test_parquet_bombs_are_refused_before_their_data_is_read(
    name: str, report: bool, cli: Command, tmp_path: Path
) -> None:
    content = BOMBS[name](report)
    assert len(content) < 400_000
    (tmp_path / "a.parquet").write_bytes(content)
    before = pa.total_allocated_bytes()
    outcome = cli("show", "a.parquet")
    assert outcome.code == Exit.UNREADABLE
    assert outcome.line().startswith("a.parquet: ")
    assert pa.total_allocated_bytes() - before < 2**20


def test_the_footer_says_what_pyarrow_says() -> None:
    table = pa.table({"a": [1.0, 2.0, None], "b": ["x", "y", "x"]})
    content = parquet(table, row_group_size=2)
    metadata = pq.read_metadata(pa.BufferReader(content))
    footer = footer_of(content)
    sizes = [metadata.row_group(g).column(i).total_uncompressed_size for g in range(2) for i in range(2)]
    assert (footer.rows, footer.columns, footer.decoded) == (3, 2, sum(sizes))
    assert footer.codecs == {1}
    assert footer_of(parquet(table, compression="none")).codecs == {0}
    for length in range(len(content)):
        with pytest.raises(ValueError, match="footer"):
            footer_of(content[:length])


def test_a_file_of_reports_is_shown(cli: Command, tmp_path: Path) -> None:
    """Negative control: the same table within the limits."""
    (tmp_path / "a.parquet").write_bytes(parquet(pa.table({"a": [1.5, None], "b": ["x", "x"]})))
    assert cli("show", "a.parquet", "--format", "csv").out == "a,b\n1.5,x\n,x\n"


def test_an_unknown_estimator_in_a_row_is_unreadable() -> None:
    whole = mutations.sampled("mc", None)
    index = whole.table.schema.get_field_index("estimator")
    table = whole.table.set_column(index, "estimator", pa.array(["other"] * len(whole.table)))
    with pytest.raises(UnreadableFile, match="its column estimator has 'other'; known: mc, rqmc"):
        parse(mutations.as_file(table, whole.provenance), Path("r.parquet"))
