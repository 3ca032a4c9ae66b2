"""The folder of a run, results/<run id>/, which keeps finished parts for the next process. Each part is one file.

A part has two lines: the SHA-256 of the second line, and a line of JSON. Files are written atomically. A lock admits
one process at a time; it is an flock, which the operating system releases when the process exits or is killed.
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

HOME = "GRADSTAT_RESULTS"  # environment variable: the folder of all runs; the default is ./results
SUFFIX = ".part"
LOCK, KEY = "lock", "run.json"


def home() -> Path:
    """The folder of all runs."""
    return Path(os.environ.get(HOME) or "results")


def run_id(run_key: Any) -> str:
    """Sixteen hex digits that identify a run: the hash of its key as JSON with sorted keys."""
    document = json.dumps(run_key, sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(document.encode()).hexdigest()[:16]


def seal(body: str) -> str:
    """The SHA-256 of a line of text, and below it the line."""
    return f"{hashlib.sha256(body.encode()).hexdigest()}\n{body}\n"


def unseal(text: str) -> str:
    """The line that `seal` was given; ValueError if it is damaged."""
    digest, _, rest = text.partition("\n")
    body = rest.removesuffix("\n")
    if body == rest or hashlib.sha256(body.encode()).hexdigest() != digest:
        raise ValueError("cut off or damaged")
    return body


class RunFolder:
    """The folder of one run. Methods raise OSError for errors of the system; `open` raises UsageError if it is locked.

    Without `lock` several processes share the folder. All of them write the same bytes for a part.
    """

    def __init__(self, name: str, run_key: Any, lock: bool = True) -> None:
        self.folder = home() / name
        self._run_key, self._locks = run_key, lock
        self._lock: int | None = None
        self._made_home = False

    def exists(self) -> bool:
        """True if an earlier process created the folder."""
        return self.folder.is_dir()

    def open(self) -> None:
        """Create and lock the folder, write the key of its run, and delete temporary files of killed processes."""
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
        """The names of the parts."""
        return sorted(path.name.removesuffix(SUFFIX) for path in self.folder.glob(f"*{SUFFIX}"))

    def write(self, name: str, body: str) -> None:
        """Write a part: one line of text."""
        self.open()
        with whole(self.path(name)) as temporary:
            temporary.write_text(seal(body), encoding="utf-8")

    def read(self, name: str) -> str:
        """The line of a part; ValueError with the reason if it cannot be read or is damaged."""
        try:
            return unseal(self.path(name).read_bytes().decode(errors="replace"))
        except OSError as error:
            raise ValueError(error.strerror or str(error)) from None

    def path(self, name: str) -> Path:
        """The path of a part."""
        return self.folder / f"{name}{SUFFIX}"

    def remove(self, name: str) -> None:
        """Delete a part."""
        self.path(name).unlink(missing_ok=True)

    def close(self) -> None:
        """Release the lock, and delete a folder without parts."""
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
    """Open and lock a file. Retries if another process deleted the file in the meantime."""
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
        os.close(handle)  # the previous holder has deleted the file


def _same_file(handle: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(handle), path.stat())
    except FileNotFoundError:
        return False
