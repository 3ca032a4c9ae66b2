"""Writing a file so that it is there whole or not at all."""

import errno
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from gradstat.errors import UsageError


def write_whole(path: Path, content: str | bytes) -> None:
    """Write a file whole or not at all; a character that UTF-8 cannot hold becomes a question mark."""
    with replacing(path) as temporary:
        temporary.write_bytes(content if isinstance(content, bytes) else content.encode("utf-8", "replace"))


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A temporary name beside `path`, which is synced and renamed to `path` if nothing fails; UsageError if it does."""
    try:
        with whole(path) as temporary:
            yield temporary
    except OSError as error:
        raise _refused(path, error) from None


@contextmanager
def whole(path: Path) -> Iterator[Path]:
    """The same with the OSError as it is. A failure or an interrupt leaves what was there before, and no other file."""
    target = target_of(path)
    temporary = target.with_name(f".{target.name}.{os.getpid()}.tmp")
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
    """The file that a link leads to, so that the link stays a link; OSError where it leads in a circle."""
    target = Path(os.path.realpath(path))
    if target.is_symlink():
        raise OSError(errno.ELOOP, os.strerror(errno.ELOOP))
    return target


def check_writable(path: Path) -> None:
    """UsageError now rather than after an hour of sampling."""
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
            probe.touch()
        finally:
            probe.unlink(missing_ok=True)
    except OSError as error:
        raise _refused(path, error) from None


def _refused(path: Path, error: OSError) -> UsageError:
    reason = os.strerror(error.errno) if error.errno else str(error)
    return UsageError(f"{path}: cannot be written: {reason}; name another file with -o")
