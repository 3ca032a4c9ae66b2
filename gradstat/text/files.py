"""Atomic writing of files: a file is complete or does not exist."""

import errno
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from gradstat.errors import UsageError


def write_whole(path: Path, content: str | bytes) -> None:
    """Write a file atomically; a character that UTF-8 cannot encode becomes a question mark."""
    with replacing(path) as temporary:
        temporary.write_bytes(content if isinstance(content, bytes) else content.encode("utf-8", "replace"))


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a temporary path, and rename it to `path` after the block. UsageError for an error of the system."""
    try:
        with whole(path) as temporary:
            yield temporary
    except OSError as error:
        raise _refused(path, error) from None


@contextmanager
def whole(path: Path) -> Iterator[Path]:
    """Like `replacing`, but lets OSError through. After an error or an interrupt the old file is unchanged."""
    target = target_of(path)
    temporary = target.with_name(f".{target.name}.{os.getpid()}.tmp")
    temporary.unlink(missing_ok=True)
    os.close(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666))  # never through a link
    try:
        yield temporary
        with temporary.open("rb+") as handle:
            os.fsync(handle.fileno())
        if target.exists():
            shutil.copymode(target, temporary)
        temporary.replace(target)
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)


def target_of(path: Path) -> Path:
    """The file that a link points to, so that the link stays a link; OSError for a circular link."""
    target = Path(os.path.realpath(path))
    if target.is_symlink():
        raise OSError(errno.ELOOP, os.strerror(errno.ELOOP))
    return target


def check_writable(path: Path) -> None:
    """Raise UsageError if `path` cannot be written. Called before sampling, which may take hours."""
    try:
        target = target_of(path)
        if target.is_dir():
            raise UsageError(f"{path}: is a directory; name a file in it")
        if target.exists() and not target.is_file():
            raise UsageError(f"{path}: is not a regular file and cannot be replaced; name another, or - for stdout")
        if not target.parent.is_dir():
            raise UsageError(f"{path}: there is no directory {target.parent}", f"mkdir -p {target.parent}")
        probe = target.with_name(f".{target.name}.{os.getpid()}.tmp")
        try:
            probe.touch(exist_ok=False)
        finally:
            probe.unlink(missing_ok=True)
    except OSError as error:
        raise _refused(path, error) from None


def _refused(path: Path, error: OSError) -> UsageError:
    reason = os.strerror(error.errno) if error.errno else str(error)
    return UsageError(f"{path}: cannot be written: {reason}; name another file with -o")
