"""Which gradstat a process runs: what must agree between machines before one may sample for another.

Costs no kernel: a worker with another gradstat is to say so before it compiles anything.
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
    """All that the digits of a block depend on, the most telling first."""
    return {
        "gradstat": __version__,
        "stream version": str(STREAM_VERSION),
        "numba": numba.__version__,
        "llvmlite": llvmlite.__version__,
        "sources": source_hash(),
    }


def check(address: str, found: Identity, expected: Identity) -> None:
    """UsageError that names the worker and the first thing in which it differs."""
    for what, ours in expected.items():
        theirs = found.get(what, "unknown")
        if theirs != ours:
            raise UsageError(f"Dask worker {address} has {what} {theirs}, this process has {ours}", ADVICE)
