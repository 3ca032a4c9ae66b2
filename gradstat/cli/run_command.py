"""`gradstat run`."""

from pathlib import Path

import click

import gradstat
from gradstat.cli.completion import Config, Suggested, engine_names, estimator_names
from gradstat.cli.exit_status import exit_code_for
from gradstat.cli.options import Count, Jobs, Positive, Shard, output_options, seed_option
from gradstat.cli.output import Output
from gradstat.cli.progress import progress
from gradstat.errors import UsageError


@click.command()
@click.argument("config", type=Config("run"))
@click.option("-n", "--samples", type=Count(), help="Draws per layer, e.g. 1e8, 100M or 2**27.")
@click.option(
    "--rel-error",
    type=Positive(),
    metavar="NUMBER",
    help="Target relative standard error, instead of -n. Applies to every std, and to every mean relative to the rms. "
    "A pilot run chooses the number of draws.",
)
@click.option(
    "--target-error", type=Positive(), metavar="NUMBER", help="Target absolute standard error, instead of -n."
)
@click.option("--max-samples", type=Count(), help="Limit on draws per layer for a target (exit code 3 if not reached).")
@seed_option()
@click.option("-j", "--jobs", type=Jobs(), help="Threads (default: all processors).")
@click.option(
    "--estimator",
    type=Suggested("estimator", estimator_names),
    metavar="NAME",
    help="Estimator: mc, or rqmc, whose errors fall faster.",
)
@click.option(
    "--engine",
    type=Suggested("engine", engine_names),
    default="threads",
    show_default=True,
    metavar="NAME",
    help="Engine: threads, dask, dask:tcp://host:port or dask:tls://host:port.",
)
@click.option(
    "--worker-timeout",
    type=Positive(),
    default=120.0,
    show_default=True,
    metavar="SECONDS",
    help="Give the draws of a Dask worker to others when it has not answered for this time.",
)
@click.option(
    "--shard", type=Shard(), metavar="I/K", help="Sample only shard I of K; gradstat merge merges the shards."
)
@click.option("--fresh", is_flag=True, help="Ignore and delete checkpoints of an interrupted run.")
@click.option(
    "--set",
    "settings",
    multiple=True,
    metavar="KEY=VALUE",
    help="Override a configuration value, e.g. input.std=2. Repeatable.",
)
@click.option("-v", "--verbose", is_flag=True, help="Verbose: print one line per step to stderr.")
@output_options()
def command(
    config: Path,
    samples: int | None,
    rel_error: float | None,
    target_error: float | None,
    max_samples: int | None,
    seed: int | None,
    jobs: int | None,
    estimator: str | None,
    engine: str,
    worker_timeout: float,
    shard: tuple[int, int] | None,
    fresh: bool,
    settings: tuple[str, ...],
    verbose: bool,
    output: Output,
) -> int:
    """Sample the layers of a configuration and print the statistics of signal and gradient.

    CONFIG is a TOML file, `-` for standard input, or the name of a shipped configuration (gradstat list configs).

    Runs longer than 5 seconds save checkpoints under results/ (or $GRADSTAT_RESULTS). Repeat the command to resume.

    \b
    Examples:
      gradstat run series
      gradstat run my.toml -n 1e9 -o result.parquet
      gradstat run my.toml --rel-error 1e-4 --estimator rqmc
    """
    if shard and not any(path.suffix == ".parquet" for path in output.files):
        raise UsageError("a shard needs an output file for gradstat merge: -o FILE.parquet")
    with progress(output.quiet, verbose) as terminal_progress:
        result = gradstat.run(
            config,
            samples=samples,
            rel_error=rel_error,
            target_error=target_error,
            max_samples=max_samples,
            seed=seed,
            estimator=estimator,
            settings=settings,
            engine=engine,
            worker_timeout=worker_timeout,
            jobs=jobs,
            shard=shard,
            fresh=fresh,
            progress=terminal_progress,
            deliver=lambda result: output.deliver(result.report(), verbose),
        )
    return exit_code_for(result)
