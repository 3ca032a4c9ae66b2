"""The first second of a process: what it imports, what it compiles, and what it finds compiled."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numba
import numpy as np
import pytest
from numba import types
from numba.core.caching import IndexDataCacheFile

from gradstat.estimation import callbacks
from gradstat.layer_types.case import Case
from gradstat.layer_types.registry import find
from gradstat.numerics import jit
from gradstat.numerics.draws import LANES
from tests.layer_cases import run_compiled

ROOT = Path(__file__).parents[1]
HEAVY = {"numba", "pandas", "pyarrow", "pydantic", "rich", "matplotlib", "distributed"}

# Runs a command; its last line tells which of these packages were imported, and how many passes of numba's compiler
# ran. `control` is that number after one function more, which no cache knows.
PROBE = """
import json, sys
heavy, *command = sys.argv[1:]
passes = []
if command[0] == "run":
    import numba
    from numba.core import event
    recorder = event.RecordingListener()
    event.register("numba:run_pass", recorder)
    passes = recorder.buffer
from gradstat.cli.app import start
code = start(command)
told = {"code": code, "imported": sorted(set(heavy.split()) & sys.modules.keys()), "passes": len(passes)}
if command[0] == "run":
    numba.njit("float64(float64)")(lambda x: x)
print()
print(json.dumps(told | {"control": len(passes)}))
"""


def probe(folder: Path, *command: str, **environment: str) -> dict[str, Any]:
    run = subprocess.run(
        [sys.executable, "-c", PROBE, " ".join(HEAVY), *command],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(ROOT)} | environment,
        capture_output=True,
        text=True,
        check=True,
    )
    told: dict[str, Any] = json.loads(run.stdout.splitlines()[-1])
    assert told["code"] == 0, run.stderr
    return told


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty kernel cache for this test alone."""
    monkeypatch.setattr(numba.config, "CACHE_DIR", numba.config.CACHE_DIR)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    jit.caching.cache_clear()
    yield tmp_path / "cache"
    jit.caching.cache_clear()


@pytest.fixture(scope="module")
def result(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a configuration and its result, whose kernels are in the cache by now."""
    folder = tmp_path_factory.mktemp("cold")
    (folder / "two.toml").write_text(
        'samples = 300_000\n[[layer]]\nname = "relu"\n[[layer]]\nname = "max_pool2d"\nkernel_size = 2\n'
    )
    told = probe(folder, "run", "two.toml", "-o", "two.parquet")
    assert not {"rich", "matplotlib"} & set(told["imported"])
    return folder


@pytest.mark.parametrize(
    ("command", "imported"),
    [
        (("list", "layers"), set()),
        (("gain", "sigmoid"), set()),
        (("gain", "leaky_relu", "negative_slope=0.2"), set()),
        (("verify", "--quick", str(ROOT / "configs/claims/lecun.toml")), {"pydantic"}),
        (("show", "two.parquet", "--format", "csv"), {"pyarrow", "pydantic"}),
        (("show", "two.parquet"), {"pyarrow", "pydantic"}),
    ],
    ids=lambda value: "-".join(value).replace(str(ROOT), "") if isinstance(value, tuple) else "",
)
def test_a_command_imports_what_it_needs(command: tuple[str, ...], imported: set[str], result: Path) -> None:
    assert set(probe(result, *command)["imported"]) == imported


def test_a_second_process_compiles_nothing(result: Path) -> None:
    told = probe(result, "run", "two.toml")
    assert told["passes"] == 0
    assert told["control"] > 0


def test_listing_engines_compiles_nothing(tmp_path: Path) -> None:
    probe(tmp_path, "list", "engines", XDG_CACHE_HOME=str(tmp_path / "cache"))
    assert not [*tmp_path.rglob("*.nbi")]


@pytest.mark.parametrize("suffix", ["nbi", "nbc"])
@pytest.mark.parametrize("size", [0, 40])
def test_a_damaged_cache_is_made_anew(suffix: str, size: int, cache: Path) -> None:
    def kernel() -> jit.Kernel:
        return jit.compiled(types.float64(types.float64))(twice)

    assert kernel()(2.0) == 4.0
    (file,) = cache.rglob(f"*.{suffix}")
    file.write_bytes(file.read_bytes()[:size])
    assert kernel()(2.0) == 4.0
    healed = kernel()
    assert healed(2.0) == 4.0
    assert healed.prepare().stats.cache_hits


def twice(x: float) -> float:
    return 2.0 * x


def test_two_processes_that_save_at_once_do_not_mix_layers_up(cache: Path) -> None:
    """numba writes index, then data. The other process reads the index before, and does both meanwhile."""
    first, other = (Case(find(name)) for name in ("relu", "hardtanh"))
    save_data = IndexDataCacheFile._save_data
    depth: list[str] = []

    def interleaved(file: Any, name: str, data: Any) -> None:
        if not depth:
            depth.append(name)
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(IndexDataCacheFile, "_load_index", lambda file: {})
                callbacks.callback_of(other)
        save_data(file, name, data)

    callbacks._compile.cache_clear()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(IndexDataCacheFile, "_save_data", interleaved)
        callbacks.callback_of(first)
    assert depth
    callbacks._compile.cache_clear()  # from here on: the next process
    x, dy, noise = np.linspace(-3.0, 3.0, LANES)[None], np.ones((1, LANES)), np.empty((0, LANES))
    assert np.array_equal(run_compiled(other, x, dy, noise)[0], np.clip(x, -1.0, 1.0))
    assert np.array_equal(run_compiled(first, x, dy, noise)[0], np.maximum(x, 0.0))
    callbacks._compile.cache_clear()
