"""`gradstat run`."""

from pathlib import Path

import click

from gradstat.cli.completion import Config, Suggested, engine_names, estimator_names
from gradstat.cli.options import Count, Jobs, Positive, Seed, Shard, output_options
from gradstat.cli.output import Output
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
@click.option("--seed", type=Seed(), help="0 to 2**64 - 1, or random.")
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
@click.option("--fresh", is_flag=True, help="Forget what an interrupted run of the same question left in results/.")
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

    CONFIG is a TOML file, or the name of a shipped configuration (gradstat list configs).

    A run that lasts keeps what is finished in results/ (or $GRADSTAT_RESULTS), in a folder named by a hash of the
    question. Interrupted or killed, the same command goes on from there.
    """
    from gradstat.config import load
    from gradstat.layer_types.from_config import cases
    from gradstat.shipped import resolve
    from gradstat.toml_file import Override, parse_override

    named = {
        "samples": samples,
        "rel_error": rel_error,
        "target_error": target_error,
        "max_samples": max_samples,
        "seed": seed,
        "estimator": estimator,
    }
    overrides = [parse_override(text) for text in settings]
    overrides += [
        Override(key, value, f"--{key.replace('_', '-')} {value}") for key, value in named.items() if value is not None
    ]
    config = resolve(config, "run")
    wanted = load(config, overrides)
    questions = cases(wanted, str(config))

    from gradstat.cli.progress import progress
    from gradstat.cli.sampling import Job, sample
    from gradstat.results.overview import report

    if shard and not any(path.suffix == ".parquet" for path in output.files):
        raise UsageError("a shard needs a file that gradstat merge can read: -o FILE.parquet")
    job = Job(wanted, questions, engine, jobs, shard, fresh, output.quiet)
    with progress(output.quiet, verbose) as listener:
        return sample(job, listener, lambda result: output.deliver(report(result), verbose))
