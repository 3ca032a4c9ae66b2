"""The command line. click stays in this package; every command is a thin coat over a function of the library."""

import os
import sys
from typing import NoReturn

from gradstat.errors import Exit


def main() -> NoReturn:
    """Entry point of the console script; imports the rest where an interrupt already ends in one line."""
    # NumPy's BLAS starts a thread for every processor, which takes longer than an exact answer; no command needs them.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    try:
        from gradstat.cli.app import start

        code = start(sys.argv[1:])
    except KeyboardInterrupt:
        sys.stderr.write("gradstat: interrupted\n")
        code = Exit.INTERRUPTED
    if code == Exit.INTERRUPTED:  # at once: waiting for threads and taking LLVM down can last longer than a second
        sys.stderr.flush()
        os._exit(code)
    sys.exit(code)


__all__ = ["main"]
