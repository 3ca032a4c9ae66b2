"""A worker process: `python -m gradstat.networks.worker` reads a configuration and tasks, and writes one line per task.

It is a process, not a thread, because the number of BLAS threads must be set to 1 before BLAS is loaded: the last
digits of a matrix product depend on the number of threads.
"""

import json
import os
import queue
import sys
import threading
import traceback
from typing import Any

THREADS = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS")
ONE_THREAD = dict.fromkeys(THREADS, "1")

# By default glibc returns freed arrays of megabytes to the system and allocates them again, half of the time.
KEPT_MEMORY = {
    "MALLOC_MMAP_THRESHOLD_": str(2**32),
    "MALLOC_TRIM_THRESHOLD_": str(2**33),
    "MALLOC_TOP_PAD_": str(2**26),
}


def main() -> None:
    """Answer tasks until standard input ends, which happens when the parent process exits or is killed."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # texts that libraries print must not mix with the answers
    lines: queue.SimpleQueue[str] = queue.SimpleQueue()
    threading.Thread(target=_read, args=(lines,), daemon=True).start()
    try:
        _serve(lines, answers)
    except BrokenPipeError:
        os._exit(1)


def _read(lines: "queue.SimpleQueue[str]") -> None:
    """Queue the lines of standard input; at its end, exit immediately, even during a task."""
    for line in sys.stdin:
        lines.put(line)
    os._exit(0)


def _serve(lines: "queue.SimpleQueue[str]", answers: Any) -> None:
    from gradstat.errors import GradstatError
    from gradstat.networks.config import PropagateConfig
    from gradstat.networks.tasks import Experiment, Task, execute

    experiment = Experiment(PropagateConfig.model_validate_json(lines.get()))
    while True:
        try:
            answer: dict[str, Any] = {"done": execute(experiment, Task(**json.loads(lines.get())))}
        except GradstatError as error:
            answer = {"refused": str(error)}
        except MemoryError:
            answer = {"failed": "out of memory; use fewer jobs: -j 1", "trace": ""}
        except Exception as error:
            answer = {"failed": f"{type(error).__name__}: {error}", "trace": traceback.format_exc()}
        answers.write(json.dumps(answer) + "\n")
        answers.flush()


if __name__ == "__main__":
    main()
