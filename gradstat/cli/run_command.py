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
@click.option("-n", "--samples", type=Count(), help="Draws per layer: 1e8, 100M, 2**27.")
@click.option(
    "--rel-error",
    type=Positive(),
    metavar="NUMBER",
    help="Instead of -n: draw until the standard error of every std is this share of it, and that of every mean this "
    "share of rms = √(mean² + std²), for a mean may be 0. A pilot decides how many draws that takes.",
)
@click.option("--target-error", type=Positive(), metavar="NUMBER", help="The same for the standard errors themselves.")
@click.option(
    "--max-samples", type=Count(), help="Most draws per layer that a target may take; exit code 3 where it needs more."
)
@seed_option()
@click.option("-j", "--jobs", type=Jobs(), help="Threads, or workers of --engine dask; all processors where left out.")
@click.option(
    "--estimator",
    type=Suggested("estimator", estimator_names),
    metavar="NAME",
    help="How to sample: mc, or rqmc, whose errors fall faster.",
)
@click.option(
    "--engine",
    type=Suggested("engine", engine_names),
    default="threads",
    show_default=True,
    metavar="NAME",
    help="Where to sample: threads, dask or dask:tcp://host:port.",
)
@click.option("--shard", type=Shard(), metavar="I/K", help="Only the I-th of K parts; gradstat merge joins them.")
@click.option("--fresh", is_flag=True, help="Delete the checkpoints of an interrupted run.")
@click.option(
    "--set", "settings", multiple=True, metavar="KEY=VALUE", help="Over the configuration, as input.std=2; repeatable."
)
@click.option("-v", "--verbose", is_flag=True, help="Say on stderr what is being done.")
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
    shard: tuple[int, int] | None,
    fresh: bool,
    settings: tuple[str, ...],
    verbose: bool,
    output: Output,
) -> int:
    """Sample the layers of a configuration and print what they do to signal and gradient.

    CONFIG is a TOML file, `-` for standard input, or the name of a shipped configuration (gradstat list configs).

    Runs longer than 5 seconds save checkpoints under results/ (or $GRADSTAT_RESULTS). Repeat the command to continue.
    """
    if shard and not any(path.suffix == ".parquet" for path in output.files):
        raise UsageError("a shard needs a file that gradstat merge can read: -o FILE.parquet")
    with progress(output.quiet, verbose) as shown:
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
            jobs=jobs,
            shard=shard,
            fresh=fresh,
            progress=shown,
            deliver=lambda result: output.deliver(result.report(), verbose),
        )
    return exit_code_for(result)
