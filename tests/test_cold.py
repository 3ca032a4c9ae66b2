"""The first second of a process: what it imports, what it compiles, and what it finds compiled."""

import errno
import json
import os
import random
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numba
import numpy as np
import pytest
from numba import types

from gradstat.errors import UsageError
from gradstat.estimation import callbacks
from gradstat.layer_types.case import Case
from gradstat.layer_types.registry import find
from gradstat.numerics import jit
from gradstat.numerics.draws import LANES
from gradstat.numerics.kernel_cache import PrivateFolder
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
    told["printed"] = run.stdout[: run.stdout.rstrip().rfind("\n")]
    return told


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty kernel cache for this test alone."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    jit.cache_folder.cache_clear()
    callbacks._compile.cache_clear()
    yield tmp_path / "cache"
    jit.cache_folder.cache_clear()
    callbacks._compile.cache_clear()


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


def test_a_run_compiles_only_the_steps_that_it_needs(tmp_path: Path) -> None:
    """Correlated inputs and other distributions need further steps; the next run of the first layer needs none."""
    plain, more = tmp_path / "plain.toml", tmp_path / "more.toml"
    plain.write_text('samples = 2000\n[[layer]]\nname = "relu"\n')
    more.write_text(
        'samples = 2000\n[input]\ndistribution = "laplace"\ncorrelation = 0.5\n[upstream]\ndistribution = "laplace"\n'
        '[[layer]]\nname = "max_pool2d"\n'
    )
    cache, found = str(tmp_path / "cache"), []
    for command in (plain, more, plain):
        probe(tmp_path, "run", command.name, XDG_CACHE_HOME=cache)
        found.append({path.name for path in tmp_path.rglob("*.kernel")})
    assert len(found[0]) <= 8
    assert len(found[1] - found[0]) >= 5  # the layer, mix, transform, uniforms and quantiles
    assert found[2] == found[1]


def test_listing_engines_compiles_nothing(tmp_path: Path) -> None:
    probe(tmp_path, "list", "engines", XDG_CACHE_HOME=str(tmp_path / "cache"))
    assert not [*tmp_path.rglob("*.kernel")]


# The kernel cache ---------------------------------------------------------------------------------------------------


def twice(x: float) -> float:
    return 2.0 * x


def kernel() -> jit.Kernel:
    return jit.compiled(types.float64(types.float64))(twice)


def saved(folder: Path) -> Path:
    """The only file of a cache."""
    (file,) = folder.rglob("*.kernel")
    return file


def test_cache_belongs_to_its_user_alone(cache: Path) -> None:
    assert kernel()(2.0) == 4.0
    assert stat.S_IMODE(saved(cache).stat().st_mode) == 0o600
    assert stat.S_IMODE(saved(cache).parent.stat().st_mode) == 0o700
    assert [*saved(cache).parent.iterdir()] == [saved(cache)]


@pytest.mark.parametrize("size", [0, 20, 40, 4000])
def test_a_truncated_kernel_is_compiled_again(size: int, cache: Path) -> None:
    assert kernel()(2.0) == 4.0
    whole = saved(cache).read_bytes()
    saved(cache).write_bytes(whole[:size])
    damaged = kernel()
    assert damaged(2.0) == 4.0
    assert not damaged.prepare().stats.cache_hits
    healed = kernel()
    assert healed(2.0) == 4.0
    assert healed.prepare().stats.cache_hits


def test_no_flipped_bit_is_loaded(cache: Path) -> None:
    """Nor a file under the name of another one."""
    assert kernel()(2.0) == 4.0
    path, folder, chance = saved(cache), jit.cache_folder(), random.Random(5)
    assert folder is not None
    whole = path.read_bytes()
    assert folder.read(path.name) == whole[32:]
    for _ in range(1000):
        content = bytearray(whole)
        content[chance.randrange(len(content))] ^= 1 << chance.randrange(8)
        path.write_bytes(content)
        assert folder.read(path.name) is None
    path.with_name("other.kernel").write_bytes(whole)
    assert folder.read("other.kernel") is None
    other = PrivateFolder(path.parent.with_name("kernels-of-other-sources"))
    (path.parent.with_name("kernels-of-other-sources") / path.name).write_bytes(whole)
    assert other.read(path.name) is None
    path.write_bytes(whole)
    assert kernel().prepare().stats.cache_hits


def test_a_process_survives_a_flipped_bit_in_every_kernel(tmp_path: Path, result: Path) -> None:
    """Loaded unchecked, such machine code ends the process with SIGILL, SIGSEGV or SIGABRT, or computes nonsense."""
    environment, chance = {"XDG_CACHE_HOME": str(tmp_path)}, random.Random(7)
    expected = probe(result, "run", "two.toml", **environment)["printed"]
    paths = sorted(tmp_path.rglob("*.kernel"))
    assert len(paths) >= 4
    for path in paths:
        content = bytearray(path.read_bytes())
        for _ in range(8):
            content[chance.randrange(len(content))] ^= 1 << chance.randrange(8)
        path.write_bytes(content)
    told = probe(result, "run", "two.toml", **environment)
    assert told["printed"] == expected
    assert told["passes"] > 0
    assert probe(result, "run", "two.toml", **environment)["passes"] == 0


def to_link(path: Path) -> None:
    path.symlink_to(path.rename(path.with_name("target")))


def to_pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def to_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def for_the_group(path: Path) -> None:
    path.chmod(path.stat().st_mode | 0o020)


def for_everyone(path: Path) -> None:
    path.chmod(path.stat().st_mode | 0o002)


def of_another_user(path: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can give a file away")
    os.chown(path, 65534, -1)


@pytest.mark.parametrize("change", [to_link, to_pipe, to_folder, for_the_group, for_everyone, of_another_user])
def test_a_file_that_another_user_may_have_written_is_not_loaded(change: Callable[[Path], None], cache: Path) -> None:
    assert kernel()(2.0) == 4.0
    change(saved(cache))
    again = kernel()
    assert again(2.0) == 4.0
    assert not again.prepare().stats.cache_hits


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (to_link, "is a link"),
        (for_the_group, "can be written by other users"),
        (for_everyone, "can be written by other users"),
        (of_another_user, "belongs to another user"),
    ],
)
def test_a_folder_that_another_user_can_write_is_not_used(
    change: Callable[[Path], None], reason: str, cache: Path
) -> None:
    assert kernel()(2.0) == 4.0
    folder, before = saved(cache).parent, saved(cache).stat()
    change(folder)
    jit.cache_folder.cache_clear()
    again = kernel()
    with pytest.warns(jit.UncachedWarning, match=rf"kernel cache .* {reason}: .*; set XDG_CACHE_HOME"):
        assert again(2.0) == 4.0
    assert not again.prepare().stats.cache_hits
    assert saved(folder.resolve()).stat() == before


def test_a_folder_exchanged_while_a_process_runs_is_not_used(cache: Path) -> None:
    assert kernel()(2.0) == 4.0
    path = saved(cache)
    path.parent.rename(cache / "mine")
    path.parent.mkdir(mode=0o777)
    path.write_bytes((cache / "mine" / path.name).read_bytes())
    (cache / "mine" / path.name).unlink()
    again = kernel()
    assert again(2.0) == 4.0
    assert not again.prepare().stats.cache_hits
    assert (cache / "mine" / path.name).exists()


@pytest.mark.parametrize("value", ["cache", ".", ""])
def test_a_relative_cache_home_is_ignored(value: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", "/home/someone")
    monkeypatch.setenv("XDG_CACHE_HOME", value)
    assert jit.cache_directory().parent == Path("/home/someone/.cache/gradstat")


def test_no_cache_is_made_in_the_current_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nor below a folder called ~, where the user has no home."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", "")
    monkeypatch.setenv("HOME", "home")
    jit.cache_folder.cache_clear()
    with pytest.warns(jit.UncachedWarning, match="is not an absolute path"):
        assert jit.cache_folder() is None
    jit.cache_folder.cache_clear()
    assert not [*tmp_path.iterdir()]


def test_layers_of_one_shape_have_kernels_of_their_own(cache: Path) -> None:
    """One process saves both, and the next one loads each under its own name."""
    first, other = (Case(find(name)) for name in ("relu", "hardtanh"))
    for _ in range(2):
        callbacks._compile.cache_clear()
        x, dy, noise = np.linspace(-3.0, 3.0, LANES)[None], np.ones((1, LANES)), np.empty((0, LANES))
        assert np.array_equal(run_compiled(other, x, dy, noise)[0], np.clip(x, -1.0, 1.0))
        assert np.array_equal(run_compiled(first, x, dy, noise)[0], np.maximum(x, 0.0))
    assert callbacks.callback_of(first)._cache_hits == callbacks.callback_of(other)._cache_hits == 1


def test_a_full_disk_costs_the_cache_only(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*arguments: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(PrivateFolder, "write", full)
    assert kernel()(2.0) == 4.0
    assert not [*cache.rglob("*.kernel")]


def test_numba_without_a_compiler_is_refused_with_the_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(numba.config, "DISABLE_JIT", 1)
    with pytest.raises(UsageError, match=r"NUMBA_DISABLE_JIT is set, .*; unset it"):
        kernel()(2.0)
