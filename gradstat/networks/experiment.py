"""A whole experiment as one call: read what an earlier run finished, compute the rest, and collect the outcome."""

import json
import os
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from copy import deepcopy
from pathlib import Path
from typing import Any

from gradstat.errors import Interrupted, UsageError
from gradstat.estimation.run import available_cpus
from gradstat.networks.config import load, of_document
from gradstat.networks.outcome import Outcome, outcome
from gradstat.networks.pool import Pool
from gradstat.networks.provenance import provenance
from gradstat.networks.tasks import Answer, Experiment, Task, check_answer, memory_of_machine
from gradstat.runs.folder import RunFolder, run_id
from gradstat.toml_file import Override, input_name, parse_override

Answers = dict[Task, Answer]
Configuration = str | os.PathLike[str] | Mapping[str, Any]


class Progress:
    """Receives the events of an experiment. This class ignores all but warnings: override methods."""

    def begin(self, title: str, total: int, finished: int) -> None:
        """An experiment of `total` tasks begins, `finished` of them by an earlier run."""

    def done(self, task: Task) -> None:
        """One more task is finished."""

    def message(self, text: str) -> None:
        """A line about what is going to be done."""

    def warn(self, text: str) -> None:
        """A line about a problem that does not end the call."""
        warnings.warn(text, stacklevel=2)


SILENT = Progress()


def propagate(
    configuration: Configuration,
    *,
    seed: int | None = None,
    settings: Iterable[str] = (),
    jobs: int | None = None,
    fresh: bool = False,
    progress: Progress = SILENT,
) -> Outcome:
    """Draw random networks, pass signal and gradient through them, and measure every layer under every scheme.

    Finished networks are kept in ./results (or $GRADSTAT_RESULTS). The same call continues after an interrupt and gives
    the same numbers as an unbroken one.

    Arguments:
        configuration: the path of a TOML file, or its content as a dictionary.
        seed: a whole number below 2**64; equal seeds give equal numbers.
        settings: overrides of other keys of the configuration, as "networks = 4".
        jobs: worker processes; all processors by default, as far as memory allows.
        fresh: delete finished networks of an earlier call, and compute them again.
        progress: receives the events of the call.

    Raises: `errors.UsageError` for a mistake in the configuration, before anything is computed; `errors.Interrupted`
        after a Ctrl-C.
    """
    return run(prepare(configuration, seed, settings), jobs, fresh, progress)


def prepare(configuration: Configuration, seed: int | None = None, settings: Iterable[str] = ()) -> Experiment:
    """The experiment of a configuration, built and checked; UsageError for every mistake in it."""
    overrides = [parse_override(text) for text in settings]
    overrides += [Override("seed", seed, f"--seed {seed}")] if seed is not None else []
    if isinstance(configuration, Mapping):
        return Experiment(of_document(deepcopy(dict(configuration)), overrides, "configuration"))
    path = Path(configuration)
    return Experiment(load(path, overrides), input_name(path))


def run(experiment: Experiment, jobs: int | None = None, fresh: bool = False, progress: Progress = SILENT) -> Outcome:
    """The outcome of an experiment. Every task is kept as soon as it is finished; Interrupted after a Ctrl-C."""
    folder = RunFolder(run_id(experiment.run_key), experiment.run_key, lock=False)
    _writable(folder.folder, lambda: _open(folder, fresh))
    tasks = list(experiment.tasks())
    answers = _kept(experiment, tasks, folder, progress)
    left = [task for task in tasks if task not in answers]
    workers = workers_for(experiment, jobs, len(left))

    def keep(task: Task, answer: Answer) -> None:
        body = json.dumps({"run": folder.folder.name, "task": task.name, "answer": answer})
        _writable(folder.path(task.name), lambda: folder.write(task.name, body))
        answers[task] = answer
        progress.done(task)

    progress.begin(experiment.title, len(tasks), len(answers))
    try:
        with Pool(experiment, workers) as pool:
            pool.run(left, keep)
    except KeyboardInterrupt:
        have = f"{len(answers)} of {len(tasks)} networks and predictions are kept in {folder.folder}"
        raise Interrupted(f"interrupted; {have}", "the same command without --fresh continues") from None
    return outcome(experiment, answers, provenance(experiment, workers))


def workers_for(experiment: Experiment, jobs: int | None, tasks: int) -> int:
    """The number of processes: at most one per task, and no more than memory holds; UsageError if `jobs` is more."""
    have = memory_of_machine()
    room = max(1, have // experiment.bytes_per_process)
    if jobs is not None and min(jobs, tasks) > room:
        need = experiment.bytes_per_process / 2**30
        raise UsageError(
            f"--jobs {jobs}: each process needs {need:.3g} GiB at least; this machine has {have / 2**30:.3g} GiB",
            f"-j {room} fits",
        )
    return min(jobs or available_cpus(), room, tasks)


def _open(folder: RunFolder, fresh: bool) -> None:
    folder.open()
    for name in folder.names() if fresh else []:
        folder.remove(name)


def _kept(experiment: Experiment, tasks: Sequence[Task], folder: RunFolder, progress: Progress) -> Answers:
    """What an earlier run finished. A part that is damaged, or of another run or task, is reported and ignored."""
    answers: Answers = {}
    names = set(folder.names())
    for task in tasks:
        if task.name not in names:
            continue
        try:
            answers[task] = read_part(experiment, task, folder)
        except ValueError as error:
            progress.warn(f"{folder.path(task.name)}: {error}; it is computed again")
    if answers:
        kept = f"{len(answers)} of {len(tasks)} are kept in {folder.folder}"
        progress.message(f"{experiment.title}: {kept}; --fresh computes them again")
    return answers


def read_part(experiment: Experiment, task: Task, folder: RunFolder) -> Answer:
    """The answer of a finished task; ValueError unless the part is whole and belongs to this run and task."""
    body = folder.read(task.name)
    try:
        part: Any = json.loads(body)
    except (ValueError, RecursionError):
        part = None
    if not isinstance(part, dict) or part.keys() != {"run", "task", "answer"}:
        raise ValueError("is not a part of an experiment")
    if (part["run"], part["task"]) != (folder.folder.name, task.name):
        raise ValueError("belongs to another run or task")
    answer: Answer = part["answer"]
    check_answer(experiment, task, answer)
    return answer


def _writable(path: Path, write: Callable[[], None]) -> None:
    """Call `write`; UsageError if the system refuses."""
    try:
        write()
    except OSError as error:
        raise UsageError(
            f"{path}: cannot be written: {error.strerror or error}",
            "finished networks are kept: make room or set GRADSTAT_RESULTS to another folder, and run it again",
        ) from None
