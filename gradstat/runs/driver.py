"""A run with checkpoints: compile, pilot, sample, deliver the result, delete the checkpoints."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from gradstat.config import RunConfig
from gradstat.errors import Interrupted
from gradstat.estimation.engines import WORKER_TIMEOUT, engine_of
from gradstat.estimation.estimators import estimator_of
from gradstat.estimation.precision import Target
from gradstat.estimation.run import (
    NO_CHECKPOINTS,
    Checkpointer,
    available_cpus,
    execute,
    plan,
    prepared_groups,
    repeated,
    result_rows,
)
from gradstat.layer_types.case import Case
from gradstat.layer_types.from_config import distinct
from gradstat.results.provenance import provenance
from gradstat.results.result import Result
from gradstat.results.rows import to_arrow
from gradstat.runs.checkpoints import FolderCheckpointer, checkpointer_of
from gradstat.runs.checks import checked
from gradstat.runs.duration import announce
from gradstat.runs.nodes import run_key
from gradstat.runs.progress import Progress
from gradstat.runs.shards import marked
from gradstat.runs.status import Status

LONG = 60.0  # seconds from which a run says beforehand what a layer takes
Deliver = Callable[[Result], None]


@dataclass(frozen=True)
class Job:
    """The configuration and cases of a run, and how to sample them."""

    config: RunConfig
    cases: Sequence[Case]
    engine: str = "threads"
    jobs: int | None = None
    shard: tuple[int, int] | None = None
    fresh: bool = False
    checkpoints: bool = True
    worker_timeout: float = WORKER_TIMEOUT


def run(job: Job, progress: Progress, deliver: Deliver) -> Result:
    """Return the result of a job.

    `deliver` is called with it before the checkpoints are deleted; if it raises, they stay.

    Raises Interrupted after Ctrl-C. The finished nodes are saved first, and the message names their folder.
    """
    config, (cases, indices) = job.config, distinct(job.cases)  # equal cases are sampled once
    opened = engine_of(job.engine, job.jobs or available_cpus(), job.worker_timeout)
    with opened as (engine, jobs):  # closes the cluster
        estimator = estimator_of(config.estimator)
        announce(cases, None if config.precise else config.samples, jobs, progress)
        with progress.compiling():
            grouped = prepared_groups(cases, estimator)
        progress.note(f"{len(grouped)} groups of layers share their draws; kernels are ready")
        start = time.perf_counter()
        key, target, status = run_key(cases, config.seed, config.estimator), Target.of(config), Status(progress)
        with _checkpoints(job, key, progress, status) as checkpointer:
            planned = plan(cases, grouped, target or config.samples, config.seed, jobs, engine, estimator)
            if job.shard:
                planned = [segment.shard(*job.shard) for segment in planned]
            status.planned(planned, target)
            for segment in planned:
                if (seconds := segment.group.seconds(segment.blocks.total)) > LONG:
                    progress.message(f"{segment.label}: about {seconds / 60.0:.0f} minutes of one core")
            snapshots = execute(planned, config.seed, jobs, engine, status, checkpointer)
            progress.close()
            rows = repeated(result_rows(cases, snapshots, estimator), cases, indices)
            seconds = time.perf_counter() - start
            result = Result(to_arrow(rows, config.seed, config.estimator), provenance(config, jobs, seconds))
            if job.shard:
                result = marked(result, key, job.shard, snapshots)
            result = checked(result, rows, None if job.shard else target)
            deliver(result)
            if isinstance(checkpointer, FolderCheckpointer):
                checkpointer.forget(planned)
    return result


@contextmanager
def _checkpoints(job: Job, key: object, progress: Progress, status: Status) -> Iterator[Checkpointer]:
    """Yield the checkpointer of a run. If the run stops for any reason, its finished nodes are saved."""
    if not job.checkpoints:
        yield NO_CHECKPOINTS
        return
    checkpointer = checkpointer_of(key, job.shard, progress.warn)
    try:
        if checkpointer.open(job.fresh):
            progress.message(f"resuming from {checkpointer.folder.folder}; --fresh starts from the beginning")
        yield checkpointer
    except BaseException as error:
        progress.close()
        stopped = isinstance(error, KeyboardInterrupt)
        if stopped or checkpointer.lasted:
            with progress.saving():
                checkpointer.save()
        if stopped:
            raise Interrupted("interrupted", _how_to_continue(checkpointer, status)) from None
        if checkpointer.lasted and (advice := _how_to_continue(checkpointer, status)):
            progress.warn(advice)
        raise
    finally:
        checkpointer.folder.close()
    if checkpointer.saves:
        progress.note(f"saved finished nodes {checkpointer.saves} times, in {checkpointer.seconds:.3f} s")


def _how_to_continue(checkpointer: FolderCheckpointer, status: Status) -> str:
    if not checkpointer.holds:
        return ""
    how_much = f" ({status.percent})" if status.percent else ""
    return f"finished draws{how_much} are saved in {checkpointer.folder.folder}; run it again to resume"
