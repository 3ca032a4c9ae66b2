"""Scarce machines: which resource of the system ran out, and what needs less of it."""

import errno
import os
import re
import sys

MEMORY = "out of memory; use fewer threads (-j 1), fewer cases at once, or raise the limit (ulimit -v)"
THREADS = "the system starts no more threads or processes; use fewer (-j 1), or raise the limits (ulimit -u, ulimit -v)"
DESCRIPTORS = "too many files are open; raise the limit (ulimit -n)"

_BY_NUMBER = {errno.ENOMEM: MEMORY, errno.EAGAIN: THREADS, errno.EMFILE: DESCRIPTORS, errno.ENFILE: DESCRIPTORS}
_BY_TEXT = {
    r"failed to map segment|cannot allocate|unable to allocate|out of memory|Cannot allocate": MEMORY,
    r"libllvmlite": MEMORY,  # its loader hides the reason
    r"can't start new thread": THREADS,
    r"Too many open files": DESCRIPTORS,
}


def prepare_environment() -> None:
    """Set what libraries read when they are imported.

    No command needs a thread of BLAS, of numba or of the allocator of pyarrow. NUMBA_DISABLE_JIT would leave kernels
    that exist as machine code only.
    """
    os.environ["OPENBLAS_NUM_THREADS"] = "1"  # starting more takes longer than an exact answer
    os.environ["NUMBA_NUM_THREADS"] = "1"
    os.environ.setdefault("JE_ARROW_MALLOC_CONF", "background_thread:false")
    os.environ.pop("NUMBA_DISABLE_JIT", None)
    if os.path.lexists(".numba_config.yaml"):
        _import_numba_without_its_file()


def _import_numba_without_its_file() -> None:
    """numba reads .numba_config.yaml of the current folder, a stranger's perhaps, unless yaml cannot be imported."""
    import warnings

    before = sys.modules.get("yaml")
    sys.modules["yaml"] = None  # type: ignore[assignment]
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            import numba  # noqa: F401
    finally:
        del sys.modules["yaml"]
        if before is not None:
            sys.modules["yaml"] = before


def scarce(error: BaseException) -> str:
    """What ran out, and what needs less of it; empty if the error has another reason."""
    if isinstance(error, MemoryError):
        return MEMORY
    if isinstance(error, OSError) and error.errno in _BY_NUMBER:
        return _BY_NUMBER[error.errno]
    if isinstance(error, OSError | RuntimeError | ImportError):
        return next((words for pattern, words in _BY_TEXT.items() if re.search(pattern, str(error))), "")
    if isinstance(error, SystemError) and "without setting an exception" in str(error):
        return MEMORY  # CPython's answer where an allocation failed twice
    return ""
