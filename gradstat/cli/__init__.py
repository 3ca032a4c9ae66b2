"""The command line. click stays in this package; every command calls one function of the library."""

import os
import sys
from typing import NoReturn

from gradstat.errors import Exit


def main() -> NoReturn:
    """Run the console script. It imports inside the `try`, so that Ctrl-C during an import prints one line."""
    try:
        from gradstat.cli.resources import prepare_environment

        prepare_environment()
        from gradstat.cli.app import start

        code = start(sys.argv[1:])
    except KeyboardInterrupt:
        sys.stderr.write("gradstat: interrupted\n")
        code = Exit.INTERRUPTED
    if code == Exit.INTERRUPTED:  # without waiting: stopping threads and LLVM can take more than a second
        sys.stderr.flush()
        os._exit(code)
    sys.exit(code)


__all__ = ["main"]
