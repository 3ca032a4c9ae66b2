"""What `gradstat run` does once it knows the question: compile, pilot, sample, deliver, and lose nothing on the way."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from gradstat.cli.interrupts import at_once, deaf
from gradstat.cli.judgement import judge
from gradstat.cli.progress import Progress
from gradstat.config import RunConfig
from gradstat.errors import Interrupted
from gradstat.layer_types.registry import Case

if TYPE_CHECKING:
    from gradstat.results.store import Result
    from gradstat.runs.checkpoints import Checkpoint


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


def sample(job: Job, watch: Progress, deliver: "Callable[[Result], None]") -> int:
    """Answer the question; the exit code. What is kept on the way goes when the result is delivered."""
    with ExitStack() as stack:  # of the engine: the processes of a cluster end with it
        return _sample(job, watch, deliver, stack)


def _sample(job: Job, watch: Progress, deliver: "Callable[[Result], None]", stack: ExitStack) -> int:
    config, questions = job.config, job.questions
    with at_once():
        from gradstat.estimation.engines import engine_of
        from gradstat.estimation.estimators import estimator_of
        from gradstat.estimation.groups import groups
        from gradstat.estimation.precision import Target
        from gradstat.estimation.run import available_cpus, execute, lines, plan
        from gradstat.results.provenance import provenance
        from gradstat.results.rows import table
        from gradstat.results.store import Result
        from gradstat.runs.checkpoints import checkpoint
        from gradstat.runs.nodes import question
        from gradstat.runs.shards import marked

        engine, jobs = stack.enter_context(engine_of(job.engine, job.jobs or available_cpus()))
        estimator = estimator_of(config.estimator)
        found = groups(questions, estimator.kernel)  # compiles
    watch.ready(len(found))
    start = time.perf_counter()
    asked, target = question(questions, config.seed, config.estimator), Target.of(config)
    with keeping(checkpoint(asked, job.shard, watch.tell), job, watch) as keeper:
        planned = plan(questions, found, target or config.samples, config.seed, jobs, engine, estimator)
        if job.shard:
            planned = [segment.shard(*job.shard) for segment in planned]
        watch.planned(planned, target)
        snapshots = execute(planned, config.seed, jobs, engine, watch, keeper)
        watch.close()
        if keeper.saves:
            watch.note(f"kept what was finished {keeper.saves} times, in {keeper.seconds:.3f} s")
        rows = lines(questions, snapshots, estimator)
        seconds = time.perf_counter() - start
        result = Result(table(rows, config.seed, config.estimator), provenance(config, jobs, seconds))
        deliver(marked(result, asked, job.shard, snapshots) if job.shard else result)
        keeper.forget(planned)
    return judge(rows, None if job.shard else target)


@contextmanager
def keeping(keeper: "Checkpoint", job: Job, watch: Progress) -> "Iterator[Checkpoint]":
    """The snapshots of a run from begin to end; whatever stops it, what is finished is written first."""
    try:
        if keeper.open(job.fresh) and not job.quiet:
            watch.tell(f"going on from what is kept in {keeper.parts.folder}; --fresh starts over")
        yield keeper
    except BaseException as error:
        watch.close()
        stopped = isinstance(error, KeyboardInterrupt)
        if stopped or keeper.lasted:
            with deaf():
                keeper.save()
        if stopped:
            raise Interrupted("interrupted", _how_to_go_on(keeper, watch)) from None
        if keeper.lasted and (advice := _how_to_go_on(keeper, watch)):
            watch.tell(advice)
        raise
    finally:
        keeper.parts.close()


def _how_to_go_on(keeper: "Checkpoint", watch: Progress) -> str:
    if not keeper.holds:
        return ""
    return f"what is finished{watch.fraction} is kept in {keeper.parts.folder}; the same command goes on from there"
