"""Same seed, same bytes: whatever the threads, the company of other layers, the order of work, the CPU.

`python -m tests.test_bytes` prints the digests of all cases, `python -m tests.test_bytes relu` those of one. After a
change that means to move digits: bump STREAM_VERSION in gradstat/numerics/draws.py, tell it under Numbers in
CHANGELOG.md, and `python -m tests.test_bytes > tests/data/golden.json`.
"""

import hashlib
import json
import os
import pickle
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from gradstat.assumptions import Input, Upstream
from gradstat.config import RunConfig
from gradstat.estimation.blocks import Block
from gradstat.estimation.engines import Engine, threads
from gradstat.estimation.groups import Group
from gradstat.estimation.run import ResultRow, run
from gradstat.estimation.tasks import Done, Task
from gradstat.layer_types.case import Case
from gradstat.layer_types.from_config import cases
from gradstat.layer_types.registry import LAYERS
from gradstat.numerics import columns
from gradstat.numerics.draws import STREAM_VERSION
from tests import kernels

GOLDEN = Path(__file__).parent / "data" / "golden.json"
SEED = 20160328
SAMPLES = 2**18 + 5000  # two blocks where a draw has two numbers; the last batch is not full

VARIANTS = {
    "max_pool2d 3x3": Case(LAYERS["max_pool2d"], {"kernel_size": 3}),
    "avg_pool2d 3x3": Case(LAYERS["avg_pool2d"], {"kernel_size": 3}),
    "dropout plain": Case(LAYERS["dropout"], {"p": 0.2, "inverted": False}),
    "linear fan_in": Case(LAYERS["linear"], {"normalize": "fan_in"}),
    "linear none": Case(LAYERS["linear"], {"in_features": 3, "out_features": 5, "normalize": "none"}),
    "sigmoid laplace": Case(LAYERS["sigmoid"], {}, Input("laplace"), Upstream("laplace")),
    "sigmoid logistic": Case(LAYERS["sigmoid"], {}, Input("logistic"), Upstream("logistic")),
    "sigmoid uniform": Case(LAYERS["sigmoid"], {}, Input("uniform", 0.5, 2.0), Upstream("uniform")),
    "max_pool2d laplace": Case(LAYERS["max_pool2d"], {}, Input("laplace"), Upstream("logistic")),
}
CASES = {name: Case(layer) for name, layer in LAYERS.items()} | VARIANTS
HANDFUL = [
    "relu",
    "sigmoid",
    "tanh",
    "linear",
    "max_pool2d 3x3",
    "dropout plain",
    "sigmoid laplace",
    "sigmoid logistic",
]


def sampled(names: Sequence[str], samples: int = SAMPLES, jobs: int = 1, engine: Engine = threads) -> list[ResultRow]:
    return run([CASES[name] for name in names], samples, SEED, jobs, engine)


def digests(names: Sequence[str], lines: list[ResultRow]) -> dict[str, str]:
    """One digest for each case, over the accumulators of its rows."""
    rows = {name: [line for line in lines if line.case is CASES[name]] for name in names}
    return {
        name: hashlib.sha256(b"".join(line.accumulators.tobytes() for line in own)).hexdigest()[:32]
        for name, own in rows.items()
    }


def document(names: Sequence[str]) -> dict[str, object]:
    """What golden.json holds."""
    return {"stream_version": STREAM_VERSION, "digests": digests(names, sampled(names))}


@pytest.fixture(scope="module")
def one_thread() -> list[ResultRow]:
    return sampled(HANDFUL)


@pytest.mark.parametrize("jobs", [2, 3])
def test_threads(one_thread: list[ResultRow], jobs: int) -> None:
    lines = sampled(HANDFUL, jobs=jobs)
    for line, expected in zip(lines, one_thread, strict=True):
        assert line.accumulators.tobytes() == expected.accumulators.tobytes(), (line.case.label, line.row.direction)
        assert repr(line.estimates) == repr(expected.estimates)


@pytest.mark.parametrize("name", HANDFUL)
def test_a_layer_alone_and_among_others(one_thread: list[ResultRow], name: str) -> None:
    assert digests([name], sampled([name])) == digests([name], one_thread)


def test_the_order_of_layers(one_thread: list[ResultRow]) -> None:
    assert digests(HANDFUL, sampled(HANDFUL[::-1])) == digests(HANDFUL, one_thread)


def backwards(task: Task, blocks: Iterator[Block], jobs: int, done: Done) -> None:
    """An engine that does the last block first."""
    for block in reversed(list(blocks)):
        done(block.node, task.block(block), block.draws)


def elsewhere(task: Task, blocks: Iterator[Block], jobs: int, done: Done) -> None:
    """An engine that does ranges of three blocks after a journey through pickle, as another process would."""
    own = list(blocks)
    for first in range(0, len(own), 3):
        for finished in pickle.loads(pickle.dumps(task)).range(own[first : first + 3]):
            done(*finished)


def mixed_up(task: Task, blocks: Iterator[Block], jobs: int, done: Done) -> None:
    """An engine that puts the block of draws 1 in the place of 2, and so on around."""
    own = list(blocks)
    for block in own:
        done((0, (block.number + 1) % len(own)), task.block(block), block.draws)


def test_the_order_of_blocks(one_thread: list[ResultRow]) -> None:
    assert digests(HANDFUL, sampled(HANDFUL, engine=backwards)) == digests(HANDFUL, one_thread)


EXPRESSION = RunConfig.model_validate(
    {"layer": [{"name": "own", "expression": "b * tanh(x) / a", "a": 2, "sweep": {"b": [0.5, 3]}}]}
)


def test_a_task_rebuilt_in_another_process(one_thread: list[ResultRow]) -> None:
    assert digests(HANDFUL, sampled(HANDFUL, engine=elsewhere)) == digests(HANDFUL, one_thread)
    own = cases(EXPRESSION)
    here, there = (run(own, 12 * 2**18, SEED, 1, engine) for engine in (threads, elsewhere))
    assert [line.accumulators.tobytes() for line in here] == [line.accumulators.tobytes() for line in there]


def test_a_task_travels_light() -> None:
    """Names and numbers go over the wire, never kernels or arrays."""
    task = Task(Group([CASES["relu"], CASES["sigmoid"]]), SEED, 0)
    wire = pickle.dumps(task)
    assert len(wire) < 600
    assert not any(word in wire for word in (b"numba", b"numpy", b"llvm"))


def test_blocks_in_the_wrong_place_are_caught(one_thread: list[ResultRow]) -> None:
    """Negative control."""
    assert digests(["linear"], sampled(["linear"], engine=mixed_up)) != digests(["linear"], one_thread)


def test_another_cpu(one_thread: list[ResultRow], tmp_path: Path) -> None:
    """Compiled for x86-64 without AVX or FMA, in a process and a cache of its own."""
    environment = os.environ | {"NUMBA_CPU_NAME": "generic", "NUMBA_CPU_FEATURES": "", "XDG_CACHE_HOME": str(tmp_path)}
    command = [sys.executable, "-m", "tests.test_bytes", *HANDFUL]
    root = Path(__file__).parents[1]
    done = subprocess.run(command, env=environment, cwd=root, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["digests"] == digests(HANDFUL, one_thread)


@pytest.mark.parametrize("samples", [2, 1023, 1024, 5000, 100_000])
def test_a_short_run_is_the_start_of_a_long_one(samples: int) -> None:
    """x of the first draws, sampled without a run, explains what relu counted in runs of every length."""
    (x,), (dy,) = kernels.signal(SEED, range(98))
    forward, backward = sampled(["relu"], samples)
    kept = x[:samples] > 0.0
    assert forward.accumulators[columns.COUNT] == samples
    assert forward.accumulators[columns.ZEROS] == backward.accumulators[columns.ZEROS] == samples - kept.sum()
    assert forward.accumulators[columns.MAX] == max(x[:samples].max(), 0.0)
    assert backward.accumulators[columns.MIN] == min((dy[:samples] * kept).min(), 0.0)
    assert forward.estimates.mean == pytest.approx((x[:samples] * kept).mean(), rel=1e-12)


def test_seeds_differ(one_thread: list[ResultRow]) -> None:
    other = run([CASES["relu"]], SAMPLES, SEED + 1, 1)
    assert digests(["relu"], other) != digests(["relu"], one_thread)


def test_golden_digests() -> None:
    """The digits of this STREAM_VERSION, for every layer."""
    golden = json.loads(GOLDEN.read_text())
    again = f"`python -m tests.test_bytes > tests/data/{GOLDEN.name}`"
    assert golden["stream_version"] == STREAM_VERSION, f"STREAM_VERSION was bumped: {again}"
    found = digests(list(CASES), sampled(list(CASES), jobs=2))
    assert set(found) == set(golden["digests"]), f"layers came or went: {again}"
    changed = [name for name in found if found[name] != golden["digests"][name]]
    assert changed == [], f"sampled digits changed: bump STREAM_VERSION, tell it in CHANGELOG.md, then {again}"


if __name__ == "__main__":
    print(json.dumps(document(sys.argv[1:] or list(CASES)), indent=2))
