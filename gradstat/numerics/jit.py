"""Every numba option of gradstat, each with its reason, and the home of the kernel cache."""

import hashlib
import os
import resource
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

import llvmlite
import llvmlite.binding as llvm
import numba
import numpy as np
from numba.core import sigutils
from numba.core.ccallback import CFunc
from numba.core.codegen import get_host_cpu_features
from numba.extending import overload, register_jitable

from gradstat.errors import UsageError
from gradstat.numerics.kernel_cache import KernelCache, PrivateFolder

Function = TypeVar("Function", bound=Callable[..., Any])
PACKAGE = Path(__file__).resolve().parents[1]
COMPILER_BYTES = 256 * 2**20  # address space: with 130 MB left, processes ended in SIGSEGV, with 250 MB none did
KERNEL_SOURCES = ("numerics", "layer_types", "estimation")  # no other package compiles anything


class UncachedWarning(UserWarning):
    """Kernels are compiled again in every process because the cache directory cannot be written."""


def options() -> dict[str, Any]:
    """The options of every compiled function."""
    return {
        "nogil": True,  # blocks run on a thread pool; serial kernels need no threading layer
        "error_model": "numpy",  # the default adds a branch per division, and no such loop vectorizes (4x slower)
        "fastmath": False,  # contraction and reassociation would make the digits depend on the CPU
        "boundscheck": False,  # a branch per access stops vectorization; the tests run kernels as plain Python
        "no_cfunc_wrapper": True,  # C code calls none but callbacks; a wrapper for each is an eighth of a cold start
    }


def cache_directory() -> Path:
    """The folder of compiled kernels.

    Its name contains a hash of the sources and the processor, so old code is never loaded. A relative XDG_CACHE_HOME
    is ignored, as its specification demands.
    """
    base = os.environ.get("XDG_CACHE_HOME", "")
    if not os.path.isabs(base):
        base = os.path.join(os.path.expanduser("~"), ".cache")
    return Path(base) / "gradstat" / f"kernels-{source_hash()}-{processor()}"


@cache
def source_hash() -> str:
    """Sixteen hex digits over the sources that kernels are made of and the versions of numba and llvmlite.

    numba notices a change in the file of a cached function only, not in the files of what it inlines.
    """
    digest = hashlib.sha256(f"{numba.__version__} {llvmlite.__version__}".encode())
    for path in sorted(path for folder in KERNEL_SOURCES for path in (PACKAGE / folder).rglob("*.py")):
        digest.update(str(path.relative_to(PACKAGE)).encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


@cache
def processor() -> str:
    """What numba compiles for: the processor's name, and eight hex digits over what it can do."""
    name = numba.config.CPU_NAME or llvm.get_host_cpu_name()
    features = numba.config.CPU_FEATURES or get_host_cpu_features()
    return f"{name}-{hashlib.sha256(features.encode()).hexdigest()[:8]}"


@cache
def cache_folder() -> PrivateFolder | None:
    """The open cache directory; None, after one warning, if it cannot be written or other users can write it."""
    directory = cache_directory()
    try:
        return PrivateFolder(directory)
    except OSError as error:
        reason = f"cannot be written ({error.strerror})" if error.strerror else str(error)
        message = f"kernel cache {directory} {reason}: kernels are compiled in every process; set XDG_CACHE_HOME"
        warnings.warn(message, UncachedWarning, stacklevel=2)
        return None


def _use_cache(compiles: Any, function: Callable[..., Any]) -> None:
    """Let a dispatcher or C function of numba load from the kernel cache; `cache=True` would take numba's own."""
    if folder := cache_folder():
        compiles._cache = KernelCache(function, folder)


def _check_compiler() -> None:
    """Raise an exception where numba cannot compile or load a kernel.

    UsageError if it is told to compile nothing: some parts of the kernels exist as machine code only. MemoryError if
    too little memory is left: numba and LLVM would end the process in SIGSEGV or SIGABRT.
    """
    limit = resource.getrlimit(resource.RLIMIT_AS)[0]
    if limit != resource.RLIM_INFINITY and limit - _address_space() < COMPILER_BYTES:
        raise MemoryError
    if numba.config.DISABLE_JIT:
        raise UsageError("NUMBA_DISABLE_JIT is set, and gradstat cannot sample without compiled kernels", "unset it")


def _address_space() -> int:
    """Bytes of address space of this process; 0 if the system does not say."""
    try:
        return int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0]) * resource.getpagesize()
    except (OSError, ValueError):
        return 0


class Kernel:
    """A function that numba compiles when it is first called or prepared, for one signature.

    Importing it compiles nothing. Python runs its first calls, until they have taken `patience` seconds: the bytes are
    the same, and a short run compiles less.
    """

    def __init__(self, function: Callable[..., Any], signature: Any, patience: float = 0.0) -> None:
        self.py_func, self.signature, self._patience = function, signature, patience
        self._lock, self._dispatcher = threading.Lock(), None

    def prepare(self) -> Any:
        """Return numba's dispatcher, compiled or loaded from the cache once per process.

        Safe to call from several threads.
        """
        with self._lock:
            if self._dispatcher is None:
                _check_compiler()
                dispatcher = numba.njit(**options())(self.py_func)
                _use_cache(dispatcher, self.py_func)
                dispatcher.compile(self.signature)
                dispatcher.disable_compile()
                self._dispatcher = dispatcher
            return self._dispatcher

    def __call__(self, *arguments: Any) -> Any:
        if self._dispatcher is None and self._patience > 0.0:
            return self._run_plain(arguments)
        return (self._dispatcher or self.prepare())(*arguments)

    def _run_plain(self, arguments: tuple[Any, ...]) -> Any:
        start = time.perf_counter()
        with np.errstate(all="ignore"):
            result = self.py_func(*arguments)
        self._patience -= time.perf_counter() - start
        return result


def compiled(signature: Any, patience: float = 0.0) -> Callable[[Callable[..., Any]], Kernel]:
    """Decorator: a kernel of this signature."""
    return lambda function: Kernel(function, signature, patience)


def callback(signature: Any, function: Callable[..., Any], cached: bool = True, interleaved: int = 0) -> Any:
    """A C function of the given signature; its `address` can be called from another kernel.

    Set `cached` only if gradstat defines every function that it calls: the cache does not notice a change of other
    files.
    """

    _check_compiler()
    made = CFunc(function, sigutils.normalize_signature(signature), locals={}, options=options())
    if cached:
        _use_cache(made, function)
    with interleaving(interleaved):
        made.compile()
    return made


@contextmanager
def interleaving(vectors: int) -> Iterator[None]:
    """Set the number of vectors that LLVM interleaves in a loop; 0 keeps LLVM's own choice.

    For a long formula LLVM chooses one, and each instruction waits for the one before. On AVX2 the mean of all
    activations is 1.25 ns a lane with four vectors and 1.51 ns with one; that of softplus is 3.1 and 4.5 ns.
    """
    llvm.set_option("gradstat", f"--force-vector-interleave={vectors}")
    try:
        yield
    finally:
        llvm.set_option("gradstat", "--force-vector-interleave=0")


def inline(function: Function) -> Function:
    """Let kernels call a plain Python function, and return it unchanged.

    A plain function is pickled by name, so the disk cache finds a closure over it; it never finds a closure over a
    dispatcher.
    """
    return register_jitable(**options())(function)  # type: ignore[no-any-return]


def always_inline(function: Function) -> Function:
    """Like `inline`, for functions of any size.

    LLVM does not inline a long formula, and a loop with a call is not vectorized.
    """
    return register_jitable(**options(), forceinline=True)(function)  # type: ignore[no-any-return]


def implements(facade: Callable[..., Any]) -> Callable[[Function], Function]:
    """Decorator: the implementation that kernels use for `facade`, a function of `elementary`."""

    def register(implementation: Function) -> Function:
        # LLVM leaves x^p a call otherwise, and a loop with a call does not vectorize: 19 ns a lane instead of 5
        inline_options = {**options(), "forceinline": True}
        overload(facade, jit_options=inline_options, strict=False)(lambda *types: implementation)
        return implementation

    return register
