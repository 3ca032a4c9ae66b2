"""Worker processes, each fed by a thread. Answers do not depend on the number of processes."""

import json
import os
import queue
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

from gradstat.errors import GradstatError, UsageError
from gradstat.networks.tasks import Experiment, Task
from gradstat.networks.worker import KEPT_MEMORY, ONE_THREAD

PACKAGES = Path(__file__).resolve().parents[2]
Done = Callable[[Task, dict[str, Any]], None]  # called with each finished task and its answer
ENDED = (
    "a worker process ended (exit code {}); finished networks are saved; repeat the command to resume; "
    "if memory ran out, use fewer jobs: -j 1"
)


class Pool:
    """Worker processes. They start with the pool and are killed when the `with` block ends."""

    def __init__(self, experiment: Experiment, jobs: int) -> None:
        self.configuration = experiment.config.model_dump_json()
        self.tasks: queue.SimpleQueue[Task] = queue.SimpleQueue()
        self.answers: queue.SimpleQueue[tuple[Task | None, Any]] = queue.SimpleQueue()
        self.processes = [_process() for _ in range(jobs)]
        self.stopped = False

    def __enter__(self) -> "Pool":
        return self

    def __exit__(self, *error: Any) -> None:
        self.stopped = True
        for process in self.processes:
            process.kill()
        for process in self.processes:
            process.wait()
            for stream in (process.stdin, process.stdout):
                with suppress(OSError):
                    stream.close()  # type: ignore[union-attr]

    def run(self, tasks: Sequence[Task], done: Done) -> None:
        """Compute every task; the first failure is raised and stops the other workers."""
        for task in tasks:
            self.tasks.put(task)
        for process in self.processes:
            threading.Thread(target=self._feed, args=(process,), daemon=True).start()
        for _ in tasks:
            finished, answer = self._next()
            if finished is None:
                raise GradstatError(ENDED.format(answer))
            where = f"{finished.network}, {finished.scheme}"
            if "refused" in answer:
                raise UsageError(f"{where}: {answer['refused']}")
            if "failed" in answer:
                failure = GradstatError(f"{where}: {answer['failed']}")
                failure.add_note(answer["trace"])  # what --debug shows
                raise failure
            done(finished, answer["done"])

    def _next(self) -> tuple[Task | None, Any]:
        while True:
            with suppress(queue.Empty):
                return self.answers.get(timeout=0.1)  # without a timeout, Ctrl-C would not interrupt the wait

    def _feed(self, process: "subprocess.Popen[str]") -> None:
        """Send tasks to one worker, the next after each answer."""
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            process.stdin.write(self.configuration + "\n")
            while not self.stopped:
                try:
                    task = self.tasks.get_nowait()
                except queue.Empty:
                    return
                process.stdin.write(json.dumps(asdict(task)) + "\n")
                process.stdin.flush()
                line = process.stdout.readline()
                if not line.endswith("\n"):
                    raise OSError("the worker ended")
                self.answers.put((task, json.loads(line)))
        except (OSError, ValueError):
            self.answers.put((None, process.wait()))


def _process() -> "subprocess.Popen[str]":
    """A worker that imports this copy of gradstat and nothing from the current folder, with one BLAS thread.

    It runs in a separate session, so that Ctrl-C reaches only the parent, which then ends the worker.
    """
    path = os.pathsep.join([str(PACKAGES), *filter(None, [os.environ.get("PYTHONPATH")])])
    return subprocess.Popen(
        [sys.executable, "-P", "-m", "gradstat.networks.worker"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=os.environ | ONE_THREAD | KEPT_MEMORY | {"PYTHONPATH": path},
        text=True,
        encoding="utf-8",
        start_new_session=True,
    )
