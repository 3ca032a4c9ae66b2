"""The folder of a run, results/<run id>/, which keeps finished parts for the next process. Each part is one file.

A part has two lines: the SHA-256 of the second line, and a line of JSON. Files are written atomically. A lock admits
one process at a time; it is an flock, which the operating system releases when the process exits or is killed. A file
system without locks keeps the parts, too: every process writes the same bytes for a part.

No link in the folder is followed, and the folder itself is none: others may write where results are.
"""

import errno
import fcntl
import hashlib
import json
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from gradstat.errors import UnreadableFile, UsageError
from gradstat.input_files import READ, read_opened
from gradstat.limits import PART

HOME = "GRADSTAT_RESULTS"  # environment variable: the folder of all runs; the default is ./results
SUFFIX = ".part"
LOCK, KEY = "lock", "run.json"
WITHOUT_LOCKS = (errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP)  # the answers of file systems that have no flock
NO_LINK = os.O_NOFOLLOW | os.O_CLOEXEC


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
        if self._lock is not None and self.exists():
            return
        self._made_home = self._made_home or not self.folder.parent.exists()
        self.folder.mkdir(parents=True, exist_ok=True)
        with self._directory() as directory:
            if self._locks:
                self._release()
                self._lock = _locked(directory, self.folder)
                for name in os.listdir(directory):
                    if name.startswith(".") and name.endswith(".tmp"):
                        _remove(directory, name)
            if KEY not in os.listdir(directory):
                document = json.dumps(self._run_key, indent=1, ensure_ascii=False) + "\n"
                _write(directory, KEY, document.encode("utf-8", "backslashreplace"))

    def names(self) -> list[str]:
        """The names of the parts."""
        try:
            with self._directory() as directory:
                return sorted(name.removesuffix(SUFFIX) for name in os.listdir(directory) if name.endswith(SUFFIX))
        except OSError:
            return []

    def write(self, name: str, body: str) -> None:
        """Write a part: one line of text."""
        self.open()
        with self._directory() as directory:
            _write(directory, f"{name}{SUFFIX}", seal(body).encode())

    def read(self, name: str) -> str:
        """The line of a part; ValueError with the reason if it cannot be read or is damaged."""
        try:
            with self._directory() as directory:
                handle = os.open(f"{name}{SUFFIX}", READ | NO_LINK, dir_fd=directory)
                content = read_opened(handle, self.path(name), PART.most)
        except OSError as error:
            is_link = error.errno == errno.ELOOP
            raise ValueError("is a link" if is_link else error.strerror or str(error)) from None
        except UnreadableFile:
            raise ValueError("is not a regular file") from None
        if len(content) > PART.most:
            raise ValueError(f"is larger than {PART.most >> 30} GiB")
        return unseal(content.decode(errors="replace"))

    def path(self, name: str) -> Path:
        """The path of a part."""
        return self.folder / f"{name}{SUFFIX}"

    def remove(self, name: str) -> None:
        """Delete a part."""
        with suppress(FileNotFoundError), self._directory() as directory:
            _remove(directory, f"{name}{SUFFIX}")

    def close(self) -> None:
        """Release the lock, and delete a folder without parts."""
        if self._lock is None:
            return
        with suppress(OSError):
            if not self.names():
                with self._directory() as directory:
                    _remove(directory, KEY)
                    _remove(directory, LOCK)
                self.folder.rmdir()
                if self._made_home:
                    self.folder.parent.rmdir()
        self._release()

    def _release(self) -> None:
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    @contextmanager
    def _directory(self) -> Iterator[int]:
        """A handle of the folder; OSError if it is a link or no folder."""
        try:
            handle = os.open(self.folder, os.O_RDONLY | os.O_DIRECTORY | NO_LINK)
        except OSError as error:
            if self.folder.is_symlink():
                raise OSError(errno.ELOOP, "it is a link", str(self.folder)) from None
            raise error
        try:
            yield handle
        finally:
            os.close(handle)


def _write(directory: int, name: str, content: bytes) -> None:
    """Write a file of a folder atomically. A link of this name is replaced, and not followed."""
    temporary = f".{name}.{os.getpid()}.tmp"
    _remove(directory, temporary)
    handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | NO_LINK, 0o666, dir_fd=directory)
    try:
        with open(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(handle)
        os.replace(temporary, name, src_dir_fd=directory, dst_dir_fd=directory)
    except BaseException:
        _remove(directory, temporary)
        raise


def _remove(directory: int, name: str) -> None:
    with suppress(FileNotFoundError):
        os.unlink(name, dir_fd=directory)


def _locked(directory: int, folder: Path) -> int:
    """Open and lock the lock of a folder. Retries if another process deleted the file in the meantime."""
    while True:
        handle = os.open(LOCK, os.O_RDWR | os.O_CREAT | os.O_NONBLOCK | NO_LINK, 0o666, dir_fd=directory)
        try:
            with suppress_missing_locks():
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if _same_file(handle, directory):
                os.ftruncate(handle, 0)
                os.pwrite(handle, f"process {os.getpid()} on {socket.gethostname()}".encode(), 0)
                return handle
        except BlockingIOError:
            holder = os.pread(handle, 200, 0).decode(errors="replace") or "another process"
            os.close(handle)
            raise UsageError(
                f"{folder}: {holder} is sampling the same run; wait for it, or set {HOME} to another folder"
            ) from None
        except OSError:
            os.close(handle)
            raise
        os.close(handle)  # the previous holder has deleted the file


@contextmanager
def suppress_missing_locks() -> Iterator[None]:
    """Ignore the error of a file system that has no locks."""
    try:
        yield
    except OSError as error:
        if error.errno not in WITHOUT_LOCKS:
            raise


def _same_file(handle: int, directory: int) -> bool:
    try:
        return os.path.samestat(os.fstat(handle), os.stat(LOCK, dir_fd=directory, follow_symlinks=False))
    except FileNotFoundError:
        return False
