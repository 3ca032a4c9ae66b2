"""The identity of a gradstat process: versions that must be equal before one machine samples for another.

Imports no kernel, so a mismatch is reported before any compilation.
"""

from collections.abc import Mapping

import llvmlite
import numba

from gradstat import __version__
from gradstat.errors import UsageError
from gradstat.numerics.draws import STREAM_VERSION
from gradstat.numerics.jit import source_hash

Identity = Mapping[str, str]
ADVICE = "install the same gradstat, numba and llvmlite on every machine"


def identity() -> dict[str, str]:
    """Everything that the digits of a block depend on, the most informative item first."""
    return {
        "gradstat": __version__,
        "stream version": str(STREAM_VERSION),
        "numba": numba.__version__,
        "llvmlite": llvmlite.__version__,
        "sources": source_hash(),
    }


def check(address: str, found: Identity, expected: Identity) -> None:
    """Raise UsageError with the worker and the first item that differs."""
    for what, ours in expected.items():
        theirs = found.get(what, "unknown")
        if theirs != ours:
            raise UsageError(f"Dask worker {address} has {what} {theirs}, this process has {ours}", ADVICE)
