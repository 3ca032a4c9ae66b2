"""`make soak`: runs are killed, interrupted, damaged and refused for a while, and every result is compared to the byte.

`python -m tests.soak [SECONDS [SEED]]`. Prints what was done to gradstat and what became of it; exit code 1 where
anything was lost: a wrong byte, a traceback, a wrong exit code, or a file that should not be there.
"""

import os
import random
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

from gradstat.results.store import read
from gradstat.runs.folder import seal, unseal
from tests.launcher import Launcher

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


FAULTS: tuple[Callable[[Soak], Iterator[str]], ...] = (
    *(kills, interrupts, damages, second_processes, full_disks, shards),
    *(bad_configurations, bad_results),
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
