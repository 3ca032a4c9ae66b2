"""Processor time of `import gradstat` and of an exact answer: `python -m tests.bench.startup`; exit 1 above a limit."""

import os
import resource
import subprocess
import sys
from collections.abc import Sequence

REPEATS = 9  # the smallest is reported: the machine does other things as well
LIMITS = {
    "import gradstat": (["-c", "import gradstat"], 0.06),
    "gradstat gain gelu": (["-m", "gradstat", "gain", "gelu"], 0.3),
}


def seconds(arguments: Sequence[str]) -> float:
    """Processor seconds of one Python process, user and system."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, *arguments], stdout=subprocess.DEVNULL, check=True, env=os.environ)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime


def main() -> int:
    """Print a line for each, and return how many are above their limits."""
    over = 0
    for name, (arguments, limit) in LIMITS.items():
        least = min(seconds(arguments) for _ in range(REPEATS))
        over += least > limit
        print(f"{name:20} {least:.3f} s, limit {limit:g} s{', exceeded' if least > limit else ''}")
    return over


if __name__ == "__main__":
    sys.exit(main())
