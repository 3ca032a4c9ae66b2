"""What is finished of a long run, kept for the next process: results/<run id>/, one file per part, whole or not at all.

A part is two lines: the SHA-256 of the second one, and the second one, JSON. With a lock, one process at a time works
in a folder: the lock is an flock, which the operating system releases when its holder ends or is killed.
"""

import fcntl
import hashlib
import json
import os
import socket
from contextlib import suppress
from pathlib import Path
from typing import Any

from gradstat.errors import UsageError
from gradstat.text.files import whole

HOME = "GRADSTAT_RESULTS"  # environment variable: the folder of all runs; ./results where it is not set
SUFFIX = ".part"
LOCK, KEY = "lock", "run.json"


def home() -> Path:
    """The folder of all runs."""
    return Path(os.environ.get(HOME) or "results")


def run_id(run_key: Any) -> str:
    """Sixteen hex digits that name a run: the hash of its key as JSON, whatever the order in it."""
    document = json.dumps(run_key, sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(document.encode()).hexdigest()[:16]


def seal(body: str) -> str:
    """One line of text below its SHA-256."""
    return f"{hashlib.sha256(body.encode()).hexdigest()}\n{body}\n"


def unseal(text: str) -> str:
    """The line that was sealed; ValueError where it is not whole."""
    digest, _, rest = text.partition("\n")
    body = rest.removesuffix("\n")
    if body == rest or hashlib.sha256(body.encode()).hexdigest() != digest:
        raise ValueError("cut off or damaged")
    return body


class RunFolder:
    """The folder of one run. OSError where the system refuses, UsageError where another process has the lock.

    Without `lock` several processes share the folder: whoever writes a part, its bytes are the same.
    """

    def __init__(self, name: str, run_key: Any, lock: bool = True) -> None:
        self.folder = home() / name
        self._run_key, self._locks = run_key, lock
        self._lock: int | None = None
        self._made_home = False

    def exists(self) -> bool:
        """Whether an earlier process left something."""
        return self.folder.is_dir()

    def open(self) -> None:
        """Make the folder, with the key of its run; lock it, and delete the temporary files of killed processes."""
        if self._lock is not None:
            return
        self._made_home = not self.folder.parent.exists()
        self.folder.mkdir(parents=True, exist_ok=True)
        if self._locks:
            self._lock = _locked(self.folder / LOCK)
            for path in self.folder.glob(".*.tmp"):
                path.unlink(missing_ok=True)
        if not (self.folder / KEY).exists():
            with whole(self.folder / KEY) as temporary:
                temporary.write_text(json.dumps(self._run_key, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")

    def names(self) -> list[str]:
        """The parts that are there."""
        return sorted(path.name.removesuffix(SUFFIX) for path in self.folder.glob(f"*{SUFFIX}"))

    def write(self, name: str, body: str) -> None:
        """Keep one line of text."""
        self.open()
        with whole(self.path(name)) as temporary:
            temporary.write_text(seal(body), encoding="utf-8")

    def read(self, name: str) -> str:
        """The line of a part; ValueError, saying why, where it cannot be had whole."""
        try:
            return unseal(self.path(name).read_bytes().decode(errors="replace"))
        except OSError as error:
            raise ValueError(error.strerror or str(error)) from None

    def path(self, name: str) -> Path:
        """Where a part is."""
        return self.folder / f"{name}{SUFFIX}"

    def remove(self, name: str) -> None:
        """Forget a part."""
        self.path(name).unlink(missing_ok=True)

    def close(self) -> None:
        """Let others in; a folder without parts goes."""
        if self._lock is None:
            return
        with suppress(OSError):
            if not self.names():
                (self.folder / KEY).unlink(missing_ok=True)
                (self.folder / LOCK).unlink(missing_ok=True)
                self.folder.rmdir()
                if self._made_home:
                    self.folder.parent.rmdir()
        os.close(self._lock)
        self._lock = None


def _locked(path: Path) -> int:
    """An open file that is locked, and still the one that the next process would open."""
    while True:
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if _same_file(handle, path):
                os.ftruncate(handle, 0)
                os.pwrite(handle, f"process {os.getpid()} on {socket.gethostname()}".encode(), 0)
                return handle
        except BlockingIOError:
            holder = os.pread(handle, 200, 0).decode(errors="replace") or "another process"
            os.close(handle)
            raise UsageError(
                f"{path.parent}: {holder} is sampling the same run; wait for it, or set {HOME} to another folder"
            ) from None
        except OSError:
            os.close(handle)
            raise
        os.close(handle)  # its last holder has removed it


def _same_file(handle: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(handle), path.stat())
    except FileNotFoundError:
        return False
