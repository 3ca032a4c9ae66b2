"""A worker process: `python -m gradstat.networks.worker` reads a configuration, then tasks, and answers each in a line.

A process of its own and not a thread: its BLAS is told to use one thread before it is loaded, since the last digits
of a matrix product depend on the number of threads.
"""

import json
import os
import sys
import traceback
from typing import Any

THREADS = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS")
ONE_THREAD = dict.fromkeys(THREADS, "1")

# glibc hands arrays of megabytes back to the system when they are freed and asks for them again: half of the time.
KEPT_MEMORY = {
    "MALLOC_MMAP_THRESHOLD_": str(2**32),
    "MALLOC_TRIM_THRESHOLD_": str(2**33),
    "MALLOC_TOP_PAD_": str(2**26),
}


def main() -> None:
    """Serve until standard input ends, which it does when the parent process ends, in whatever way."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # nothing that a library prints gets between the answers
    try:
        _serve(answers)
    except BrokenPipeError:
        os._exit(1)


def _serve(answers: Any) -> None:
    from gradstat.errors import GradstatError
    from gradstat.networks.config import PropagateConfig
    from gradstat.networks.tasks import Experiment, Task, execute

    lines = iter(sys.stdin.readline, "")
    first = next(lines, None)
    if first is None:
        return
    experiment = Experiment(PropagateConfig.model_validate_json(first))
    for line in lines:
        try:
            answer: dict[str, Any] = {"done": execute(experiment, Task(**json.loads(line)))}
        except GradstatError as error:
            answer = {"refused": str(error)}
        except MemoryError:
            answer = {"failed": "out of memory; fewer jobs need less: -j 1", "trace": ""}
        except Exception as error:
            answer = {"failed": f"{type(error).__name__}: {error}", "trace": traceback.format_exc()}
        answers.write(json.dumps(answer) + "\n")
        answers.flush()


if __name__ == "__main__":
    main()
