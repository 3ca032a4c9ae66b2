"""`gradstat run`."""

import math
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from gradstat.cli.app import say
from gradstat.cli.interrupts import at_once
from gradstat.cli.options import PATH, Count, Jobs, Seed, output_options
from gradstat.errors import Exit

if TYPE_CHECKING:
    from gradstat.estimation.run import Line


@click.command()
@click.argument("config", type=PATH)
@click.option("-n", "--samples", type=Count(), help="Draws per layer: 1e8, 100M, 2**27.")
@click.option("--seed", type=Seed(), help="0 to 2**64 - 1, or random.")
@click.option("-j", "--jobs", type=Jobs(), help="Threads; all processors where it is left out.")
@click.option("--estimator", metavar="NAME", help="How to sample: mc.")
@click.option("--engine", default="threads", show_default=True, metavar="NAME", help="Where to sample: threads.")
@click.option(
    "--set", "settings", multiple=True, metavar="KEY=VALUE", help="Over the configuration, as input.std=2; repeatable."
)
@click.option("-v", "--verbose", is_flag=True, help="Say on stderr what is being done.")
@output_options
def command(
    config: Path,
    samples: int | None,
    seed: int | None,
    jobs: int | None,
    estimator: str | None,
    engine: str,
    settings: tuple[str, ...],
    verbose: bool,
    output: tuple[Path, ...],
    format_name: str,
    quiet: bool,
) -> int:
    """Sample the layers of a configuration and print what they do to signal and gradient."""
    from gradstat.config import Override, load, parse_override
    from gradstat.layers.cases import cases

    named = {"samples": samples, "seed": seed, "estimator": estimator}
    overrides = [parse_override(text) for text in settings]
    overrides += [Override(key, value, f"--{key} {value}") for key, value in named.items() if value is not None]
    wanted = load(config, overrides)
    questions = cases(wanted, str(config))

    from gradstat.cli.output import check, deliver
    from gradstat.cli.progress import progress

    check(output)
    with progress(quiet, verbose) as report:
        with at_once():
            from gradstat.estimation.engines import engine_of
            from gradstat.estimation.plan import groups
            from gradstat.estimation.run import available_cpus, run
            from gradstat.records.provenance import provenance
            from gradstat.records.rows import table
            from gradstat.records.store import Result

            place, workers = engine_of(engine), jobs or available_cpus()
            titles = [", ".join(case.title for case in group.cases) for group in groups(questions)]  # compiles
        report.begin(titles, wanted.samples)
        start = time.perf_counter()
        lines = run(questions, wanted.samples, wanted.seed, workers, place, report)
        seconds = time.perf_counter() - start
    result = Result(table(lines, wanted.seed, wanted.estimator), provenance(wanted, workers, seconds))
    deliver(result, output, format_name, quiet, verbose)
    return judge(lines)


def judge(lines: Sequence["Line"]) -> int:
    """A line on stderr for every number that is none, or too far from its exact value; the exit code."""
    from gradstat.estimation.run import suspects
    from gradstat.estimation.scores import z_bound

    lost = [line for line in lines if not _is_finite(line)]
    for line in lost:
        say(f"check failed: {line.case.title} {line.row.direction}: its moments are too large or too small for a float")
    wrong = [(line, name, z) for line, name, z in suspects(lines) if _is_finite(line)]
    bound = z_bound(sum(2 for line in lines if line.exact))
    for line, name, z in wrong:
        where = f"{line.case.title} {line.row.direction} {name}"
        say(f"check failed: {where} is {z:+.1f} standard errors from its exact value; bound: {bound:.1f}")
    return Exit.CHECK_FAILED if wrong or lost else Exit.DONE


def _is_finite(line: "Line") -> bool:
    return math.isfinite(line.estimates.mean_se) and math.isfinite(line.estimates.std)
