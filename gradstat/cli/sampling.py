"""What `gradstat run` does once it knows the question: compile, pilot, sample, deliver, and lose nothing on the way."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from gradstat.cli.exit_status import exit_code_for
from gradstat.cli.interrupts import exit_on_interrupt, ignore_interrupts
from gradstat.cli.progress import Progress
from gradstat.config import RunConfig
from gradstat.errors import Interrupted
from gradstat.layer_types.case import Case

if TYPE_CHECKING:
    from gradstat.results.store import Result
    from gradstat.runs.checkpoints import FolderCheckpointer


@dataclass(frozen=True)
class Job:
    """A question, and how it is to be answered."""

    config: RunConfig
    questions: Sequence[Case]
    engine: str
    jobs: int | None
    shard: tuple[int, int] | None
    fresh: bool
    quiet: bool


def sample(job: Job, listener: Progress, deliver: "Callable[[Result], None]") -> int:
    """Answer the question; the exit code. What is kept on the way goes when the result is delivered."""
    with ExitStack() as stack:  # of the engine: the processes of a cluster end with it
        return _sample(job, listener, deliver, stack)


def _sample(job: Job, listener: Progress, deliver: "Callable[[Result], None]", stack: ExitStack) -> int:
    config, questions = job.config, job.questions
    with exit_on_interrupt():
        from gradstat.estimation.engines import engine_of
        from gradstat.estimation.estimators import estimator_of
        from gradstat.estimation.groups import groups
        from gradstat.estimation.precision import Target
        from gradstat.estimation.run import available_cpus, execute, plan, result_rows
        from gradstat.results.provenance import provenance
        from gradstat.results.rows import to_arrow
        from gradstat.results.store import Result
        from gradstat.runs.checkpoints import checkpointer_of
        from gradstat.runs.nodes import run_key
        from gradstat.runs.shards import marked

        engine, jobs = stack.enter_context(engine_of(job.engine, job.jobs or available_cpus()))
        estimator = estimator_of(config.estimator)
        found = groups(questions, estimator.kernel)  # compiles
    listener.ready(len(found))
    start = time.perf_counter()
    asked, target = run_key(questions, config.seed, config.estimator), Target.of(config)
    with checkpointing(checkpointer_of(asked, job.shard, listener.tell), job, listener) as checkpointer:
        planned = plan(questions, found, target or config.samples, config.seed, jobs, engine, estimator)
        if job.shard:
            planned = [segment.shard(*job.shard) for segment in planned]
        listener.planned(planned, target)
        snapshots = execute(planned, config.seed, jobs, engine, listener, checkpointer)
        listener.close()
        if checkpointer.saves:
            listener.note(f"kept what was finished {checkpointer.saves} times, in {checkpointer.seconds:.3f} s")
        rows = result_rows(questions, snapshots, estimator)
        seconds = time.perf_counter() - start
        result = Result(to_arrow(rows, config.seed, config.estimator), provenance(config, jobs, seconds))
        deliver(marked(result, asked, job.shard, snapshots) if job.shard else result)
        checkpointer.forget(planned)
    return exit_code_for(rows, None if job.shard else target)


@contextmanager
def checkpointing(checkpointer: "FolderCheckpointer", job: Job, listener: Progress) -> "Iterator[FolderCheckpointer]":
    """The snapshots of a run from begin to end; whatever stops it, what is finished is written first."""
    try:
        if checkpointer.open(job.fresh) and not job.quiet:
            listener.tell(f"going on from what is kept in {checkpointer.folder.folder}; --fresh starts over")
        yield checkpointer
    except BaseException as error:
        listener.close()
        stopped = isinstance(error, KeyboardInterrupt)
        if stopped or checkpointer.lasted:
            with ignore_interrupts():
                checkpointer.save()
        if stopped:
            raise Interrupted("interrupted", _how_to_go_on(checkpointer, listener)) from None
        if checkpointer.lasted and (advice := _how_to_go_on(checkpointer, listener)):
            listener.tell(advice)
        raise
    finally:
        checkpointer.folder.close()


def _how_to_go_on(checkpointer: "FolderCheckpointer", listener: Progress) -> str:
    if not checkpointer.holds:
        return ""
    finished = f"what is finished{listener.fraction} is kept in {checkpointer.folder.folder}"
    return f"{finished}; the same command goes on from there"
