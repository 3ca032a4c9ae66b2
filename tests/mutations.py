"""Files of strangers, changed bit by bit and field by field: refused with one line, or taken with the right numbers.

`python -m tests.mutations [NUMBER [SEED]]` tries NUMBER mutations, a fifth of each kind, and prints their outcomes.
A change of a single bit never changes a number, since files carry digests and checksums. Where the forger knows that
and makes a new digest, only a sum of values may differ, and only where some sample could have it.
"""

import base64
import json
import math
import os
import random
import struct
import sys
import tempfile
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from gradstat.config import RunConfig
from gradstat.errors import GradstatError
from gradstat.estimation.engines import threads
from gradstat.estimation.estimators import estimator_of
from gradstat.estimation.merge_tree import MergeTree
from gradstat.estimation.run import execute, plan, prepared_groups, result_rows
from gradstat.estimation.segments import Segment
from gradstat.layer_types.from_config import cases
from gradstat.networks import experiment as experiments
from gradstat.networks.outcome import outcome as outcome_of
from gradstat.networks.summary import Networks
from gradstat.networks.tasks import Task
from gradstat.results.provenance import provenance
from gradstat.results.result import Result
from gradstat.results.rows import to_arrow
from gradstat.results.store import parse, to_parquet
from gradstat.runs.checkpoints import FolderCheckpointer
from gradstat.runs.folder import RunFolder, seal, unseal
from gradstat.runs.nodes import run_key
from gradstat.runs.shards import marked, merge
from gradstat.text.formats import render
from gradstat.verification.files import load
from gradstat.verification.verify import verify

SAMPLES = 600_000
LAYERS = ({"name": "relu"}, {"name": "max_pool1d", "kernel_size": 2})
NASTY: tuple[Any, ...] = (
    *(None, True, "", "1", "::error::x", "=1+1", [], {}, [1], {"a": 1}, -1, 0, 1, 2, 5, 63, 64, 65, 10**9, 10**12),
    *(2**31, 2**63, 2**64, 10**4000, 0.5, -1.0, 1e300, -0.0, math.nan, math.inf, -math.inf),
)
FLOATS = (0.0, -0.0, -1.0, 1.0, 1e300, -1e300, 5e-324, math.nan, math.inf, -math.inf)
CLAIMS = """[[claim]]
id = "relu-std"
source = "a paper"
url = "https://example.org"
layer = "relu"
input = { mean = 0.0, std = 1.0, distribution = "normal" }
direction = "backward"
statistic = "std"
value = "0.7071"
obtained = { method = "monte-carlo", samples = 1000 }

[[claim]]
id = "pool-windows"
source = "a paper"
layer = "max_pool2d"
params = { kernel_size = 3, stride = 2 }
statistic = "windows"
value = "4 2; 2 1"
"""
NETWORK = {
    "networks": 2,
    "batch": 4,
    "features": 4,
    "schemes": ["he"],
    "network": [{"stage": [{"repeat": 2, "blocks": [{"kind": "linear"}]}]}],
}
REFUSED, SAME, FORGED, OTHER = "refused", "right numbers", "forged sums that a sample could have", "OTHER NUMBERS"
Mutation = Callable[[random.Random], str]


@cache
def configuration(estimator: str) -> RunConfig:
    return RunConfig.model_validate(
        {"seed": 3, "samples": SAMPLES, "estimator": estimator, "layer": [dict(table) for table in LAYERS]}
    )


@cache
def planned(estimator: str) -> list[Segment]:
    config = configuration(estimator)
    asked, chosen = cases(config), estimator_of(estimator)
    return plan(asked, prepared_groups(asked, chosen), config.samples, config.seed, 1, threads, chosen)


@cache
def sampled(estimator: str, place: tuple[int, int] | None) -> Result:
    """The whole run, or a shard of it."""
    config = configuration(estimator)
    asked, segments = cases(config), planned(estimator)
    if place:
        segments = [segment.shard(*place) for segment in segments]
    parts = execute(segments, config.seed, 1, threads)
    rows = result_rows(asked, parts, estimator_of(estimator))
    result = Result(to_arrow(rows, config.seed, estimator), provenance(config, 1, 0.0))
    return marked(result, run_key(asked, config.seed, estimator), place, parts) if place else result


# Changes ----------------------------------------------------------------------------------------------------------


def bit(content: bytes, chance: random.Random) -> bytes:
    """One bit changed, or the end cut off."""
    place = chance.randrange(len(content))
    if chance.random() < 0.1:
        return content[:place]
    changed = bytearray(content)
    changed[place] ^= 1 << chance.randrange(8)
    return bytes(changed)


def field(document: Any, chance: random.Random) -> Any:
    """A JSON document with one value changed, left out, or there twice."""
    if isinstance(document, dict) and document and chance.random() < 0.9:
        key = chance.choice(sorted(document))
        return {name: field(value, chance) if name == key else value for name, value in document.items()}
    if isinstance(document, list) and document and chance.random() < 0.9:
        place = chance.randrange(len(document))
        how = chance.random()
        if how < 0.1:
            return document[:place] + document[place + 1 :]
        if how < 0.2:
            return [*document, document[place]]
        return [*document[:place], field(document[place], chance), *document[place + 1 :]]
    return chance.choice(NASTY)


def sums(text: str, chance: random.Random) -> str:
    """Accumulators with one float changed, or with another width."""
    packed = bytearray(base64.b64decode(text))
    how = chance.random()
    if how < 0.2:
        return base64.b64encode(packed[: 8 * chance.randrange(len(packed) // 8 + 1)]).decode()
    if how < 0.3:
        return base64.b64encode(packed * chance.choice([0, 2, 3])).decode()
    place = 8 * chance.randrange(len(packed) // 8)
    if how < 0.6:
        packed[place + chance.randrange(8)] ^= 1 << chance.randrange(8)
    else:
        packed[place : place + 8] = struct.pack("<d", chance.choice(FLOATS))
    return base64.b64encode(packed).decode()


def part(line: str, chance: random.Random) -> tuple[str, bool]:
    """A part of a checkpoint or shard with a field or a sum changed, and whether it was a sum."""
    document = json.loads(line)
    if chance.random() < 0.5:
        return json.dumps(document | {"accumulators": sums(document["accumulators"], chance)}), True
    return json.dumps(field(document, chance)), False


# Kinds ------------------------------------------------------------------------------------------------------------


def verdict(table: pa.Table, right: pa.Table, forged: bool) -> str:
    if table.equals(right) or table.to_pylist() == right.to_pylist():
        return SAME
    return FORGED if forged else OTHER


def shard(chance: random.Random) -> str:
    """A shard whose file, nodes or provenance was changed, and the merge with the others."""
    estimator = chance.choice(["mc", "rqmc"])
    first, second = (sampled(estimator, (index, 2)) for index in (1, 2))
    how, forged, content = chance.random(), False, to_parquet(second)
    if how < 0.3:
        content = bit(content, chance)
    elif how < 0.5:
        content = to_parquet(replace(second, provenance=field(second.provenance, chance)))
    else:
        lines = json.loads(unseal(second.nodes))
        place = chance.randrange(len(lines))
        lines[place], forged = part(lines[place], chance)
        content = to_parquet(replace(second, nodes=seal(json.dumps(lines))))
    merged = merge([(Path("1"), first), (Path("2"), parse(content, Path("2")))])
    render(merged.report(), "table")
    return verdict(merged.table, sampled(estimator, None).table, forged)


def checkpoint(chance: random.Random) -> str:
    """A part that a run kept: its nodes are those that were saved, or it is sampled again."""
    segment = chance.choice(planned("mc"))
    tree = MergeTree(segment.blocks.stop_level)
    for node in kept(segment):
        tree.add(node.node, node.accumulators.copy())
    warnings: list[str] = []
    with tempfile.TemporaryDirectory() as name:
        os.environ["GRADSTAT_RESULTS"] = name
        keeper = FolderCheckpointer(RunFolder("run", {}), warnings.append)
        keeper.keep(segment, tree)
        keeper.save()
        (path,) = (Path(name) / "run").glob("*.part")
        forged = False
        if chance.random() < 0.3:
            path.write_bytes(bit(path.read_bytes(), chance))
        else:
            line, forged = part(unseal(path.read_text()), chance)
            path.write_text(seal(line))
        keeper.folder.close()
        reader = FolderCheckpointer(RunFolder("run", {}), warnings.append)
        reader.open(fresh=False)
        nodes = reader.finished(segment)
        reader.folder.close()
    for node in nodes:
        tree.add(node.node, node.accumulators)  # merges: a kernel without checks
    if not nodes:
        return REFUSED
    saved = {node.node: node for node in kept(segment)}
    same = all(np.array_equal(saved[node.node].accumulators, node.accumulators, equal_nan=True) for node in nodes)
    return SAME if same else FORGED if forged else OTHER


@cache
def samples_of(index: int) -> Any:
    segment = planned("mc")[index]
    return execute([segment], 3, 1, threads)[0]


def kept(segment: Segment) -> Any:
    return samples_of(planned("mc").index(segment)).nodes


def result(chance: random.Random) -> str:
    """A result with a bit, a cell or an entry of its provenance changed, and its report."""
    whole = sampled("mc", None)
    how, forged = chance.random(), False
    if how < 0.4:
        content = bit(to_parquet(whole), chance)
    elif how < 0.7:
        content = to_parquet(replace(whole, provenance=field(whole.provenance, chance)))
    else:
        table, forged = whole.table, True
        name = chance.choice(table.schema.names)
        values = table[name].to_pylist()
        values[chance.randrange(len(values))] = chance.choice(NASTY)
        try:
            column = pa.array(values, chance.choice([table.schema.field(name).type, None]))
        except (pa.ArrowInvalid, pa.ArrowTypeError, OverflowError, TypeError):
            return "not a column"
        changed = table.set_column(table.schema.get_field_index(name), name, column)
        content = as_file(changed, whole.provenance)
    read = parse(content, Path("r.parquet"))
    for name in ("table", "json", "csv", "md", "html", "latex"):
        render(read.report(), name)
    return verdict(read.table, whole.table, forged)


def as_file(table: pa.Table, document: Any) -> bytes:
    from gradstat.results.store import KEY
    from gradstat.text.machine import parquet_bytes

    return parquet_bytes(table.replace_schema_metadata({KEY: json.dumps(document).encode()}))


def claims(chance: random.Random) -> str:
    """A file of claims with a bit or a value changed."""
    text = CLAIMS.encode()
    if chance.random() < 0.5:
        text = bit(text, chance)
    else:
        lines = CLAIMS.split("\n")
        place = chance.choice([number for number, line in enumerate(lines) if "=" in line])
        value = json.dumps(chance.choice(NASTY)).replace("NaN", "nan").replace("Infinity", "inf")
        lines[place] = f"{lines[place].partition('=')[0]}= {value}"
        text = "\n".join(lines).encode()
    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / "c.toml"
        path.write_bytes(text)
        outcomes = verify(load([path]), 3, quick=True)
    return f"verdicts: {', '.join(sorted({outcome.verdict for outcome in outcomes}))}"


@cache
def network() -> Any:
    """An experiment, its tasks, and the answer of each."""
    from gradstat.networks.tasks import execute as answer_of

    experiment = experiments.prepare(NETWORK)
    return experiment, {task: answer_of(experiment, task) for task in experiment.tasks()}


def network_part(chance: random.Random) -> str:
    """A part that `propagate` kept."""
    experiment, answers = network()
    task: Task = chance.choice(sorted(answers, key=lambda task: task.name))
    with tempfile.TemporaryDirectory() as name:
        os.environ["GRADSTAT_RESULTS"] = name
        folder = RunFolder("run", {}, lock=False)
        body = {"run": "run", "task": task.name, "answer": answers[task]}
        folder.write(task.name, json.dumps(body))
        path = folder.path(task.name)
        forged = chance.random() < 0.7
        if forged:
            path.write_text(seal(json.dumps(field(body, chance))))
        else:
            path.write_bytes(bit(path.read_bytes(), chance))
        try:
            answer = experiments.read_part(experiment, task, folder)
        except ValueError:
            return REFUSED
    outcome = outcome_of(experiment, answers | {task: answer}, {"configuration": {"seed": 3}})
    networks = Networks([outcome])
    render(networks.report(), "table")
    render(networks.report(), "json")
    same = json.dumps(answer, sort_keys=True) == json.dumps(answers[task], sort_keys=True)
    return SAME if same else FORGED if forged else OTHER


KINDS: dict[str, Mutation] = {
    mutation.__name__: mutation for mutation in (shard, checkpoint, result, claims, network_part)
}


def tried(kind: str, number: int, seed: int) -> Counter[str]:
    """What became of mutations of one kind. AssertionError for a number that is wrong without a word."""
    outcomes: Counter[str] = Counter()
    for index in range(number):
        try:
            outcome = KINDS[kind](random.Random(f"{kind} {seed} {index}"))
        except GradstatError as error:
            outcome = REFUSED if error.code in (2, 4) and "\n" not in str(error) else f"{OTHER}: {error}"
        except Exception as error:
            error.add_note(f"{kind}, mutation {index} of seed {seed}")
            raise
        assert not outcome.startswith(OTHER), f"{kind}, mutation {index} of seed {seed}: {outcome}"
        outcomes[outcome] += 1
    return outcomes


def main(number: int, seed: int) -> None:
    """Try mutations of every kind, and print their outcomes."""
    for kind in KINDS:
        for outcome, count in sorted(tried(kind, number // len(KINDS), seed).items()):
            print(f"{count:7}  {kind}: {outcome}", flush=True)


if __name__ == "__main__":
    given = sys.argv[1:]
    main(int(given[0]) if given else 10_000, int(given[1]) if given[1:] else 1)
