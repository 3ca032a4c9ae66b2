"""A whole experiment as one call: read what an earlier run finished, compute the rest, and collect the outcome."""

import json
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from copy import deepcopy
from pathlib import Path
from typing import Any

from gradstat.errors import Interrupted, UsageError
from gradstat.estimation.run import available_cpus
from gradstat.input_files import input_name
from gradstat.networks.config import load, of_document
from gradstat.networks.outcome import Outcome, outcome
from gradstat.networks.pool import Pool
from gradstat.networks.provenance import provenance
from gradstat.networks.summary import Networks
from gradstat.networks.tasks import Answer, Experiment, Task, check_answer, memory_of_machine
from gradstat.runs.folder import RunFolder, run_id
from gradstat.runs.progress import SILENT, Progress
from gradstat.shipped import resolve
from gradstat.toml_file import Override, parse_override

Answers = dict[Task, Answer]
Configuration = str | os.PathLike[str] | Mapping[str, Any]


def propagate(
    configurations: Sequence[Configuration],
    seed: int | None,
    settings: Sequence[str],
    jobs: int | None,
    fresh: bool,
    progress: Progress,
) -> Networks:
    """The outcomes of several experiments; every mistake in a configuration is found before the first one begins."""
    experiments = [prepare(configuration, seed, settings) for configuration in configurations]
    titles = [experiment.title for experiment in experiments]
    if not titles:
        raise UsageError("name a configuration")
    if twice := [title for title in titles if titles.count(title) > 1]:
        raise UsageError(f"two configurations are named {twice[0]!r}; rename one")
    try:
        return Networks([run(experiment, jobs, fresh, progress) for experiment in experiments])
    finally:
        progress.close()


def prepare(configuration: Configuration, seed: int | None = None, settings: Iterable[str] = ()) -> Experiment:
    """The experiment of a configuration, built and checked; UsageError for every mistake in it."""
    overrides = [parse_override(text) for text in settings]
    overrides += [Override("seed", seed, f"--seed {seed}")] if seed is not None else []
    if isinstance(configuration, Mapping):
        return Experiment(of_document(deepcopy(dict(configuration)), overrides, "configuration"))
    path = resolve(Path(configuration), "propagate")
    return Experiment(load(path, overrides), input_name(path))


def run(experiment: Experiment, jobs: int | None = None, fresh: bool = False, progress: Progress = SILENT) -> Outcome:
    """Return the outcome of an experiment.

    Every finished task is saved immediately. Raises Interrupted after Ctrl-C.
    """
    folder = RunFolder(run_id(experiment.run_key), experiment.run_key, lock=False)
    _writable(folder.folder, lambda: _open(folder, fresh))
    tasks = list(experiment.tasks())
    answers = _kept(experiment, tasks, folder, progress)
    remaining = [task for task in tasks if task not in answers]
    workers = workers_for(experiment, jobs, len(remaining))

    def keep(task: Task, answer: Answer) -> None:
        body = json.dumps({"run": folder.folder.name, "task": task.name, "answer": answer})
        _writable(folder.path(task.name), lambda: folder.write(task.name, body))
        answers[task] = answer
        text = f"{experiment.title}: {task.network}, {task.scheme}, {task.description}"
        progress.note(text)
        progress.finished(text, len(answers), len(tasks))

    progress.finished(experiment.title, len(answers), len(tasks))
    try:
        with Pool(experiment, workers) as pool:
            pool.run(remaining, keep)
    except KeyboardInterrupt:
        saved = f"{len(answers)} of {len(tasks)} networks and predictions are saved in {folder.folder}"
        raise Interrupted(f"interrupted; {saved}", "repeat the command without --fresh to resume") from None
    return outcome(experiment, answers, provenance(experiment, workers))


def workers_for(experiment: Experiment, jobs: int | None, tasks: int) -> int:
    """The number of processes: at most one per task, and no more than fit in memory; UsageError if `jobs` is more."""
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
    """The answers that an earlier run saved.

    Parts that are damaged or of another run or task are reported and ignored.
    """
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
        kept = f"{len(answers)} of {len(tasks)} are saved in {folder.folder}"
        progress.message(f"{experiment.title}: {kept}; --fresh computes them again")
    return answers


def read_part(experiment: Experiment, task: Task, folder: RunFolder) -> Answer:
    """The answer of a finished task; ValueError if the part is damaged or belongs to another run or task."""
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
            "finished networks are saved; free disk space or set GRADSTAT_RESULTS to another folder, and run it again",
        ) from None
