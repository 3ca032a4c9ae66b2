"""Compiled kernels on disk. A file is loaded only if its digest fits, and if only this user can have written it.

numba's own cache unpickles whatever lies in its folder, and loads machine code without a check: a flipped bit ends the
process, and a folder that others can write runs their code.

A file is 32 bytes, the SHA-256 digest of its place and of the rest; the rest is the pickle of a compiled function. The
name is a digest of everything that the machine code depends on, except the sources: the folder's name contains theirs.
"""

import hashlib
import os
import pickle
import secrets
import stat
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from numba.core.compiler import CompileResult
from numba.core.serialize import dumps

DIGEST_BYTES = 32
OTHERS_WRITE = stat.S_IWGRP | stat.S_IWOTH


class PrivateFolder:
    """A folder that no other user can write, held open: a folder that takes its place later is never read.

    Made with mode 0700 if it is missing. OSError if it is a link, belongs to another user, or others can write it.
    """

    def __init__(self, path: Path) -> None:
        if not path.is_absolute():
            raise OSError("is not an absolute path")
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        path.mkdir(mode=0o700, exist_ok=True)
        if path.is_symlink():
            raise OSError("is a link")
        self._name = path.name
        self._folder = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
        try:
            if reason := _unsafe(os.fstat(self._folder)):
                raise OSError(reason)
            os.unlink(self._write(".probe", b""), dir_fd=self._folder)
        except OSError:
            os.close(self._folder)
            raise

    def read(self, name: str) -> bytes | None:
        """The content that `write` saved; None if there is none, or if the file is damaged or not this user's."""
        try:
            whole = self._read(name)
        except OSError:
            return None
        digest, content = whole[:DIGEST_BYTES], whole[DIGEST_BYTES:]
        return content if digest == self._digest(name, content) else None

    def _read(self, name: str) -> bytes:
        file = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=self._folder)
        try:
            status = os.fstat(file)
            if not stat.S_ISREG(status.st_mode) or _unsafe(status):
                return b""
            with open(file, "rb", closefd=False) as stream:
                return stream.read()
        finally:
            os.close(file)

    def write(self, name: str, content: bytes) -> None:
        """Save the content under a name, whole or not at all."""
        temporary = self._write(name, self._digest(name, content) + content)
        os.replace(temporary, name, src_dir_fd=self._folder, dst_dir_fd=self._folder)

    def _digest(self, name: str, content: bytes) -> bytes:
        """Of the file's place, too: a kernel of other sources has no place here."""
        return hashlib.sha256(f"{self._name}/{name}\n".encode() + content).digest()

    def _write(self, name: str, content: bytes) -> str:
        """Write a temporary file and return its name."""
        temporary = f"{name}.{secrets.token_hex(8)}"
        file = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600, dir_fd=self._folder)
        try:
            with open(file, "wb") as stream:
                stream.write(content)
        except OSError:
            os.unlink(temporary, dir_fd=self._folder)
            raise
        return temporary


class KernelCache:
    """The cache of one function, with the methods that numba calls."""

    def __init__(self, function: Callable[..., Any], folder: PrivateFolder) -> None:
        self._function, self._folder = function, folder
        self.cache_path = None  # of numba's statistics

    def load_overload(self, signature: Any, target: Any) -> Any:
        """The compiled function, or None if it has to be compiled."""
        target.refresh()
        content = self._folder.read(self._name(signature, target.codegen()))
        if content is not None:
            with suppress(Exception):  # another version of NumPy or Python saved it
                return CompileResult._rebuild(target, *pickle.loads(content))
        return None

    def save_overload(self, signature: Any, compiled: Any) -> None:
        """Save a compiled function. It is used whether it can be saved or not."""
        if compiled.library.has_dynamic_globals:  # it contains addresses of this process
            return
        with suppress(OSError):  # a full disk
            self._folder.write(self._name(signature, compiled.codegen), dumps(compiled._reduce()))

    def _name(self, signature: Any, codegen: Any) -> str:
        """A digest of what the machine code depends on: function, closure, signature, processor and Python."""
        function = self._function
        cells = tuple(cell.cell_contents for cell in function.__closure__ or ())
        parts = (
            f"{function.__module__}.{function.__qualname__}:{function.__code__.co_firstlineno} {signature}",
            f"{codegen.magic_tuple()} {sys.implementation.cache_tag}",
            hashlib.sha256(function.__code__.co_code).hexdigest(),
            hashlib.sha256(dumps(cells) if cells else b"").hexdigest(),
        )
        return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:32] + ".kernel"


def _unsafe(status: os.stat_result) -> str:
    """Why another user may have written this; empty if nobody else can."""
    if status.st_uid != os.geteuid():
        return "belongs to another user"
    return "can be written by other users" if status.st_mode & OTHERS_WRITE else ""
