"""Machines with too little of something, and folders of strangers: one line that names it, or no difference at all."""

import os
import resource
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from gradstat.cli.resources import DESCRIPTORS, MEMORY, THREADS, scarce
from gradstat.estimation.engines import threads
from gradstat.estimation.groups import Group
from gradstat.estimation.merge_tree import MergeTree
from gradstat.estimation.tasks import Task
from gradstat.layer_types.case import Case
from gradstat.layer_types.registry import LAYERS

COMMAND = Path(sys.executable).with_name("gradstat")
CONFIG = 'samples = 100_000\n[[layer]]\nname = "relu"\n'
MB = 2**20


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "relu.toml").write_text(CONFIG)
    return tmp_path


def command(
    folder: Path,
    *arguments: str,
    limits: Sequence[tuple[int, int]] = (),
    program: Sequence[str | Path] = (COMMAND,),
    environment: dict[str, str] | None = None,
) -> "subprocess.CompletedProcess[str]":
    """A process of gradstat under limits of the system."""

    return subprocess.run(
        [*program, *arguments],
        cwd=folder,
        env=os.environ | {"GRADSTAT_RESULTS": str(folder)} | (environment or {}),
        capture_output=True,
        text=True,
        timeout=300,
        preexec_fn=lambda: limit(limits),
    )


def limit(limits: Sequence[tuple[int, int]]) -> None:
    for what, most in limits:
        resource.setrlimit(what, (most, most))


@pytest.fixture(scope="module")
def plenty(tmp_path_factory: pytest.TempPathFactory) -> str:
    """What the command prints where nothing is scarce. It leaves kernels in the cache."""
    folder = tmp_path_factory.mktemp("plenty")
    (folder / "relu.toml").write_text(CONFIG)
    done = command(folder, "run", "relu.toml")
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


# Memory -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("megabytes", [300, 470, 600])
@pytest.mark.parametrize("cold", [False, True])
def test_too_little_memory_is_said_in_one_line(megabytes: int, cold: bool, folder: Path, plenty: str) -> None:
    """No std::bad_alloc, SIGABRT or SIGSEGV; and where the memory suffices, the numbers are the same."""
    cache = {"XDG_CACHE_HOME": str(folder)} if cold else {}
    done = command(folder, "run", "relu.toml", limits=[(resource.RLIMIT_AS, megabytes * MB)], environment=cache)
    if done.returncode == 0:
        assert (done.stdout, done.stderr) == (plenty, "")
    else:
        assert (done.returncode, done.stdout) == (2, "")
        assert done.stderr in (f"gradstat: {MEMORY}\n", f"gradstat: {THREADS}\n")


def test_exact_values_need_little_memory(folder: Path) -> None:
    done = command(folder, "gain", "relu", limits=[(resource.RLIMIT_AS, 300 * MB)])
    assert (done.returncode, done.stderr) == (0, "")


# Threads, processes, descriptors ----------------------------------------------------------------------------------

# A stack that does not fit into the address space: the system starts no thread, though memory is there.
NO_THREADS = [(resource.RLIMIT_STACK, 4000 * MB), (resource.RLIMIT_AS, 3000 * MB)]


def test_without_threads_the_main_thread_samples(folder: Path, plenty: str) -> None:
    assert command(folder, "run", "relu.toml", "-j", "4", limits=NO_THREADS).stdout == plenty
    control = subprocess.run(
        [sys.executable, "-c", "import threading; threading.Thread(target=print).start()"],
        capture_output=True,
        preexec_fn=lambda: limit(NO_THREADS),
    )
    assert b"can't start new thread" in control.stderr


@pytest.mark.parametrize("started", [0, 1, 3])
def test_threads_that_start_do_the_work_of_all(started: int, monkeypatch: pytest.MonkeyPatch) -> None:
    start, left = threading.Thread.start, [None] * started

    def scarce_start(thread: threading.Thread) -> None:
        if not left:
            raise RuntimeError("can't start new thread")
        left.pop()
        start(thread)

    def total() -> bytes:
        tree, group = MergeTree(), Group([Case(LAYERS["relu"])])
        blocks = iter(group.blocks(3_000_000))
        threads(Task(group, 1, 0), blocks, 4, lambda node, accumulators, draws: tree.add(node, accumulators))
        return tree.total().tobytes()

    expected = total()
    monkeypatch.setattr(threading.Thread, "start", scarce_start)
    assert total() == expected


def test_a_cluster_without_threads_is_said_in_one_line(folder: Path) -> None:
    pytest.importorskip("distributed")
    done = command(folder, "run", "relu.toml", "--engine", "dask", limits=NO_THREADS)
    assert (done.returncode, done.stdout, done.stderr) == (2, "", f"gradstat: {THREADS}\n")


@pytest.mark.parametrize("most", [8, 16])
def test_few_descriptors(most: int, folder: Path, plenty: str) -> None:
    done = command(folder, "run", "relu.toml", limits=[(resource.RLIMIT_NOFILE, most)])
    assert (done.returncode, done.stdout, done.stderr) in ((0, plenty, ""), (2, "", f"gradstat: {DESCRIPTORS}\n"))


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (MemoryError(), MEMORY),
        (OSError(12, "Cannot allocate memory"), MEMORY),
        (ImportError("libflint.so: failed to map segment from shared object"), MEMORY),
        (OSError("Could not find/load shared object file 'libllvmlite.so' from resource location"), MEMORY),
        (RuntimeError("cannot allocate executable memory. This may be due to security restrictions"), MEMORY),
        (SystemError("<built-in function exec> returned NULL without setting an exception"), MEMORY),
        (RuntimeError("can't start new thread"), THREADS),
        (BlockingIOError(11, "Resource temporarily unavailable"), THREADS),
        (OSError(24, "Too many open files"), DESCRIPTORS),
        (OSError(2, "No such file or directory"), ""),
        (ImportError("No module named 'flint'"), ""),
        (ValueError("out of memory"), ""),
        (KeyboardInterrupt(), ""),
    ],
)
def test_every_shortage_has_its_line(error: BaseException, words: str) -> None:
    assert scarce(error) == words


# Settings of numba and of BLAS ------------------------------------------------------------------------------------


SETTINGS = {
    "NUMBA_DISABLE_JIT": "1",
    "NUMBA_NUM_THREADS": "0",
    "NUMBA_CACHE_DIR": "/nowhere",
    "OPENBLAS_NUM_THREADS": "100000",
}


def test_settings_that_no_command_needs_change_nothing(folder: Path, plenty: str) -> None:
    done = command(folder, "run", "relu.toml", environment=SETTINGS)
    assert (done.returncode, done.stdout, done.stderr) == (0, plenty, "")


@pytest.mark.parametrize("content", ["disable_jit: 1\nnum_threads: 0\n", "{"])
def test_numbas_file_in_the_current_folder_is_not_read(content: str, folder: Path, plenty: str) -> None:
    (folder / ".numba_config.yaml").write_text(content)
    done = command(folder, "run", "relu.toml")
    assert (done.returncode, done.stdout, done.stderr) == (0, plenty, "")


# The current folder -----------------------------------------------------------------------------------------------

PLANTED = ("struct", "numpy", "click", "numba", "yaml", "pandas", "pyarrow", "pydantic", "rich", "flint")


@pytest.mark.parametrize("module", [False, True])
def test_modules_of_the_current_folder_are_not_imported(module: bool, folder: Path, plenty: str) -> None:
    """By the script, nor by `python -m gradstat`, which Python starts with the current folder on its path."""
    for name in PLANTED:
        (folder / f"{name}.py").write_text("raise SystemExit('a planted module was run')\n")
    program = (sys.executable, "-m", "gradstat") if module else (COMMAND,)
    done = command(folder, "run", "relu.toml", program=program)
    assert (done.returncode, done.stdout, done.stderr) == (0, plenty, "")
    control = command(folder, "gain", "relu", program=(sys.executable, "-m", "click"))
    assert "planted" in control.stderr


def in_a_folder(
    folder: Path, change: Callable[[Path], None], *program: str | Path
) -> "subprocess.CompletedProcess[str]":
    """The program in a current folder that changed after it was entered."""
    current = folder / "current"
    current.mkdir()
    return subprocess.run(
        program,
        cwd=current,
        env=os.environ | {"GRADSTAT_RESULTS": str(folder)},
        capture_output=True,
        text=True,
        timeout=300,
        preexec_fn=lambda: change(current),
    )


@pytest.mark.parametrize("arguments", ["run {}", "gain relu", "list layers", "verify --quick {}"])
def test_a_current_folder_that_was_removed(arguments: str, folder: Path) -> None:
    claims = 'claim = [{id="a", source="s", layer="relu", direction="forward", statistic="mean", value="0.3989"}]\n'
    file = folder / "claims.toml"
    file.write_text(claims)
    words = arguments.format(file if "verify" in arguments else folder / "relu.toml").split()
    done = in_a_folder(folder, Path.rmdir, COMMAND, *words)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("arguments", ["gain relu", "list layers", "tables pytorch"])
def test_a_current_folder_that_cannot_be_read(arguments: str, folder: Path) -> None:
    """Root may read everything unless it gives its capabilities up."""
    drop = ["setpriv", "--bounding-set=-dac_override,-dac_read_search", "--inh-caps=-all"]
    if os.geteuid() != 0:
        drop = []
    elif shutil.which("setpriv") is None or subprocess.run([*drop, "true"], check=False).returncode:
        pytest.skip("root reads every folder here")
    done = in_a_folder(folder, lambda current: current.chmod(0), *drop, COMMAND, *arguments.split())
    assert (done.returncode, done.stderr) == (0, "")
