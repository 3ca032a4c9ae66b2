"""Reading of files that users name: regular files, and `-` for standard input. Nothing else is opened to read.

A file is opened once, without waiting, and what was opened is examined. So a pipe or a device cannot take the place of
a file between a check and the reading.
"""

import errno
import os
import stat
import sys
from pathlib import Path

from gradstat.errors import UnreadableFile
from gradstat.limits import TEXT

READ = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY  # O_NONBLOCK: a pipe without a writer does not wait
KINDS = {stat.S_IFIFO: "a pipe", stat.S_IFCHR: "a device", stat.S_IFBLK: "a device", stat.S_IFSOCK: "a socket"}


def is_stdin(path: Path) -> bool:
    """True for `-`, which means standard input."""
    return str(path) == "-"


def input_name(path: Path) -> str:
    """The name of an input file in messages."""
    return "standard input" if is_stdin(path) else str(path)


def read_stdin(limit: int = TEXT.most) -> bytes:
    """The content of standard input, at most `limit` + 1 bytes; empty if it was read before."""
    return b"" if sys.stdin is None else sys.stdin.buffer.read(limit + 1)


def read_bytes(path: Path, limit: int = TEXT.most) -> bytes:
    """The content of a regular file or of standard input, at most `limit` + 1 bytes.

    Raises OSError, or ValueError for a name with a null byte, if the file cannot be opened; IsADirectoryError for a
    folder; UnreadableFile for a pipe, a device or a socket.
    """
    return read_stdin(limit) if is_stdin(path) else read_opened(os.open(path, READ), path, limit)


def read_opened(handle: int, path: Path, limit: int) -> bytes:
    """The content of an open file, which is closed; errors as for `read_bytes`."""
    try:
        mode = os.fstat(handle).st_mode
        if stat.S_ISDIR(mode):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
        if not stat.S_ISREG(mode):
            kind = KINDS.get(stat.S_IFMT(mode), "a special file")
            raise UnreadableFile(
                f"{path}: is {kind}, not a file; write it to a file first, or name - for standard input"
            )
        with open(handle, "rb", closefd=False) as file:
            return file.read(limit + 1)
    finally:
        os.close(handle)
