"""`make soak`: runs are killed, interrupted, damaged and refused for a while, and every result is compared to the byte.

`python -m tests.soak [SECONDS [SEED]]`. Prints what was done to gradstat and what became of it; exit code 1 where
anything was lost: a wrong byte, a traceback, a wrong exit code, or a file that should not be there.
"""

import logging
import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from importlib.util import find_spec
from pathlib import Path

from gradstat.results.store import read
from gradstat.runs.folder import seal, unseal
from tests.launcher import ROOT, Launcher

LAYERS = ("relu", "sigmoid", "max_pool2d")
SAMPLES = "3e6"
JUNK = ("\x00", "[[layer]]", "name = 3", "samples = -1", "=", "]", '"', "1e999", "nan", "ÿ", "input = {", "\n" * 50)


class Lost(Exception):
    """Something that must not happen."""


class Soak:
    """A folder, a server of processes, and the result that every run must have."""

    def __init__(self, folder: Path, seed: int) -> None:
        self.folder, self.chance, self.launcher = folder, random.Random(seed), Launcher()
        self.config = folder / "run.toml"
        self.config.write_text("".join(f'[[layer]]\nname = "{name}"\n' for name in LAYERS))
        self.command = ("run", "run.toml", "-n", SAMPLES, "-q", "-o", "run.parquet")
        self.check(self.launcher.run(self.command, folder, every=1e9) == (0, ""), "the first run failed")
        self.whole = read(folder / "run.parquet").table
        (folder / "run.parquet").unlink()

    def check(self, holds: bool, words: str) -> None:
        """Lost unless it holds."""
        if not holds:
            raise Lost(f"{words}: {(self.folder / 'stderr').read_text()}")

    def parts(self) -> list[Path]:
        return sorted((self.folder / "results").glob("*/*.part"))

    def stop(self, how: signal.Signals) -> bool:
        """Start the run and stop it at some moment; whether it was still at work."""
        jobs = str(self.chance.choice([1, 2]))
        process = self.launcher.start((*self.command, "-j", jobs), self.folder, pause=0.01)
        time.sleep(self.chance.uniform(0.0, 0.6))
        os.kill(process, how)
        code = self.launcher.wait(process)
        self.check(code in (0, -how if how == signal.SIGKILL else 130), f"exit code {code} after {how.name}")
        if code == 0:
            self.compare()
        return code != 0

    def finish(self) -> None:
        """The run to its end, and its bytes."""
        code, _ = self.launcher.run(self.command, self.folder)
        self.check(code == 0, f"exit code {code}")
        self.compare()

    def compare(self) -> None:
        self.check(read(self.folder / "run.parquet").table.equals(self.whole), "other bytes")
        self.check(self.parts() == [], "parts are left")
        (self.folder / "run.parquet").unlink()


def kills(soak: Soak) -> Iterator[str]:
    """Kill -9, several times in a row."""
    for _ in range(soak.chance.randint(1, 5)):
        if soak.stop(signal.SIGKILL):
            yield "kill -9"
    soak.finish()


def interrupts(soak: Soak) -> Iterator[str]:
    """Ctrl-C."""
    if soak.stop(signal.SIGINT):
        yield "Ctrl-C"
    soak.finish()


def damages(soak: Soak) -> Iterator[str]:
    """A part cut off, changed in one place, or exchanged for another one."""
    soak.stop(signal.SIGKILL)
    for path in soak.parts():
        content = bytearray(path.read_bytes())
        place = soak.chance.randrange(len(content))
        kind = soak.chance.choice(["part cut off", "part changed", "part of another run"])
        if kind == "part cut off":
            path.write_bytes(content[:place])
        elif kind == "part changed":
            content[place] ^= 1 << soak.chance.randrange(8)
            path.write_bytes(content)
        else:
            path.write_text(seal(unseal(path.read_text()).replace('"run": "', '"run": "f', 1)))
        yield kind
    soak.finish()


def second_processes(soak: Soak) -> Iterator[str]:
    """Two at a time on the same question: one ends with code 2 or both do their work, and nothing is mixed up."""
    both = [soak.launcher.start(soak.command, soak.folder, pause=0.02) for _ in range(2)]
    codes = sorted(soak.launcher.wait(process) for process in both)
    soak.check(codes in ([0, 0], [0, 2]), f"exit codes {codes}")
    yield "second process"
    soak.compare()


def full_disks(soak: Soak) -> Iterator[str]:
    """No file may be longer than a few bytes."""
    limit = soak.chance.randrange(2000)
    code, said = soak.launcher.run(soak.command[:-2], soak.folder, limit=limit)
    soak.check(code == 0 and said.count("\n") <= 1 and "Traceback" not in said, f"exit code {code}")
    yield "full disk"
    soak.finish()


def shards(soak: Soak) -> Iterator[str]:
    """Any number of shards in any order, one of them killed and resumed, one of them twice."""
    of = soak.chance.randint(1, 9)
    files = []
    for index in range(1, of + 1):
        command = (*soak.command[:-1], f"{index}.parquet", "--shard", f"{index}/{of}")
        process = soak.launcher.start(command, soak.folder, pause=0.01)
        if soak.chance.random() < 0.3:
            time.sleep(soak.chance.uniform(0.0, 0.2))
            os.kill(process, signal.SIGKILL)
            yield "shard killed"
        if soak.launcher.wait(process) != 0:
            soak.check(soak.launcher.run(command, soak.folder)[0] == 0, "a shard failed")
        files.append(f"{index}.parquet")
    missing = soak.chance.choice(files)
    others = [name for name in files if name != missing]
    code, said = soak.launcher.run(("merge", *(others or files), "-q", "-o", "run.parquet"), soak.folder)
    named = f"shard {missing.removesuffix('.parquet')}/{of} is missing" in said
    soak.check((code == 2 and named) or of == 1, f"exit code {code}")
    yield "shard missing"
    soak.chance.shuffle(files)
    files.append(soak.chance.choice(files))
    code, _ = soak.launcher.run(("merge", *files, "-q", "-o", "run.parquet"), soak.folder)
    soak.check(code == 0, f"exit code {code}")
    yield "shard twice"
    soak.compare()


def bad_configurations(soak: Soak) -> Iterator[str]:
    """A configuration with something wrong in it: one line, an exit code of the list, nothing written."""
    text = soak.config.read_text()
    place = soak.chance.randrange(len(text))
    wrong = text[:place] + soak.chance.choice(JUNK) + text[place + soak.chance.randrange(4) :]
    (soak.folder / "wrong.toml").write_text(wrong)
    code, said = soak.launcher.run(("run", "wrong.toml", "-n", "2", "-q", "-o", "wrong.parquet"), soak.folder)
    soak.check(code in (0, 1, 2, 4) and "Traceback" not in said and "internal error" not in said, f"exit code {code}")
    soak.check((soak.folder / "wrong.parquet").exists() == (code in (0, 1)), "written although it failed")
    (soak.folder / "wrong.parquet").unlink(missing_ok=True)
    yield "bad configuration"


def bad_results(soak: Soak) -> Iterator[str]:
    """A result file with a wrong byte somewhere: shown as it was, or refused with code 4."""
    soak.launcher.run((*soak.command, "-n", "4096", "--shard", "1/1"), soak.folder, every=1e9)
    path = soak.folder / "run.parquet"
    content = bytearray(path.read_bytes())
    place = soak.chance.randrange(len(content))
    content[place] ^= 1 << soak.chance.randrange(8)
    path.write_bytes(content if soak.chance.random() < 0.8 else content[:place])
    for command in (("show", "run.parquet"), ("merge", "run.parquet", "-q", "-o", "-")):
        code, said = soak.launcher.run(command, soak.folder)
        fine = code in (0, 1, 2, 4) and "Traceback" not in said and "internal error" not in said
        soak.check(fine, f"byte {place}: {command[0]} ended with {code}")
    path.unlink()
    yield "bad result file"


def fresh(
    soak: Soak, *arguments: str, limits: Sequence[tuple[int, int]] = (), seconds: float = 300.0
) -> tuple[int, str]:
    """A command in a process of its own, with the kernel cache of the folder: exit code and stderr."""

    def limit() -> None:
        for what, most in limits:
            resource.setrlimit(what, (most, most))

    with (soak.folder / "stderr").open("wb") as said:
        try:
            done = subprocess.run(
                [sys.executable, "-m", "gradstat", *arguments],
                cwd=soak.folder,
                env=os.environ | {"XDG_CACHE_HOME": str(soak.folder / "cache"), "PYTHONPATH": str(ROOT)},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=said,
                timeout=seconds,
                preexec_fn=limit,
            )
        except subprocess.TimeoutExpired:
            soak.check(False, f"{arguments} did not end within {seconds:g} s")
    return done.returncode, (soak.folder / "stderr").read_text()


def kernel_caches(soak: Soak) -> Iterator[str]:
    """Bits flipped in compiled kernels: compiled again, and never run."""
    soak.check(fresh(soak, *soak.command)[0] == 0, "the run failed")
    soak.compare()
    kernels = sorted((soak.folder / "cache").rglob("*.kernel"))
    for path in soak.chance.sample(kernels, soak.chance.randint(1, len(kernels))):
        content = bytearray(path.read_bytes())
        for _ in range(soak.chance.choice([1, 8, 100])):
            content[soak.chance.randrange(len(content))] ^= 1 << soak.chance.randrange(8)
        path.write_bytes(content)
        yield "kernel with flipped bits"
    code, _ = fresh(soak, *soak.command)
    soak.check(code == 0, f"exit code {code}")
    soak.compare()


def scarce_memory(soak: Soak) -> Iterator[str]:
    """A limit of the address space: the right bytes, or one line and exit code 2."""
    megabytes = soak.chance.randint(250, 1000)
    code, said = fresh(soak, *soak.command, limits=[(resource.RLIMIT_AS, megabytes * 2**20)])
    yield "scarce memory"
    if code == 0:
        soak.compare()
    else:
        soak.check(code == 2 and said.count("\n") == 1, f"exit code {code} with {megabytes} MB")
        soak.finish()


def pipes(soak: Soak) -> Iterator[str]:
    """A named pipe that nobody writes, in the place of a file: refused, not waited for."""
    name = soak.chance.choice(["pipe.toml", "pipe.parquet"])
    os.mkfifo(soak.folder / name)
    commands = {"pipe.toml": ["run", "verify", "propagate"], "pipe.parquet": ["show", "merge"]}
    command = soak.chance.choice(commands[name])
    yield "pipe"
    try:
        code, said = fresh(soak, command, name, seconds=60.0)
        soak.check(code in (2, 4) and said.count("\n") == 1, f"{command} ended with {code}")
    finally:
        (soak.folder / name).unlink()


def stopped_workers(soak: Soak) -> Iterator[str]:
    """A worker of a Dask cluster that hangs, at some moment: others sample its draws."""
    from distributed import LocalCluster

    quiet = logging.CRITICAL + 1
    with LocalCluster(
        n_workers=2, threads_per_worker=1, host="127.0.0.1", dashboard_address=None, silence_logs=quiet
    ) as cluster:
        cluster.wait_for_workers(2)
        stopped = cluster.workers[0].pid
        engine = ("--engine", f"dask:{cluster.scheduler_address}", "--worker-timeout", "3")
        timer = threading.Timer(soak.chance.uniform(0.0, 10.0), os.kill, (stopped, signal.SIGSTOP))
        timer.start()
        try:
            code, _ = fresh(soak, *soak.command, *engine)
        finally:
            timer.cancel()
            timer.join()
            os.kill(stopped, signal.SIGCONT)
    yield "stopped worker"
    soak.check(code == 0, f"exit code {code}")
    soak.compare()


def forged_files(soak: Soak) -> Iterator[str]:
    """Shards, parts, results, claims and parts of propagate, changed bit by bit and field by field."""
    number, seed = 50, soak.chance.randrange(10**6)
    command = [sys.executable, "-m", "tests.mutations", str(number), str(seed)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=600)
    soak.check(done.returncode == 0, f"seed {seed}: {done.stdout} {done.stderr[-500:]}")
    for _ in range(number):
        yield "forged file"


FAULTS: tuple[Callable[[Soak], Iterator[str]], ...] = (
    *(kills, interrupts, damages, second_processes, full_disks, shards),
    *(bad_configurations, bad_results, kernel_caches, scarce_memory, pipes),
    *((stopped_workers,) if find_spec("distributed") else ()),
    *((forged_files,) if find_spec("tests.mutations") else ()),
)


def main(seconds: float, seed: int) -> int:
    """Fault after fault until the time is up; the exit code."""
    folder = Path(tempfile.mkdtemp(prefix="gradstat-soak-"))
    injected: Counter[str] = Counter()
    lost = []
    soak = Soak(folder, seed)
    end, number = time.monotonic() + seconds, 0
    while time.monotonic() < end:
        fault = FAULTS[number % len(FAULTS)]
        number += 1
        try:
            for name in fault(soak):
                injected[name] += 1
        except Lost as error:
            lost.append(f"{fault.__name__}: {error}")
            (folder / "run.parquet").unlink(missing_ok=True)
            shutil.rmtree(folder / "results", ignore_errors=True)
    soak.launcher.close()
    shutil.rmtree(folder)
    total = injected.total()
    for name, count in sorted(injected.items()):
        print(f"{count:6}  {name}")
    for words in lost:
        print(f"LOST    {words}")
    print(f"{total:6}  faults injected, {total - len(lost)} survived, {len(lost)} lost (seed {seed})")
    return 1 if lost else 0


if __name__ == "__main__":
    given = sys.argv[1:]
    sys.exit(main(float(given[0]) if given else 60.0, int(given[1]) if given[1:] else int(time.time())))
