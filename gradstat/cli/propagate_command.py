"""`gradstat propagate`."""

from pathlib import Path

import click

import gradstat
from gradstat.cli.completion import Config
from gradstat.cli.options import PATH, Jobs, output_options, seed_option
from gradstat.cli.output import Output
from gradstat.cli.progress import progress
from gradstat.errors import UsageError
from gradstat.text.files import check_writable
from gradstat.text.formats import PICTURES, TABLES, check_matplotlib, format_of


@click.command()
@click.argument("configs", nargs=-1, required=True, type=Config("propagate"), metavar="CONFIG...")
@seed_option()
@click.option("-j", "--jobs", type=Jobs(), help="Worker processes (default: all processors).")
@click.option(
    "--set", "settings", multiple=True, metavar="KEY=VALUE", help="Override a value, e.g. networks=4. Repeatable."
)
@click.option("--fresh", is_flag=True, help="Ignore and delete finished networks of an earlier run.")
@click.option("--pictures", type=PATH, metavar="FOLDER", help="Draw one picture per configuration, FOLDER/<name>.svg.")
@click.option("-v", "--verbose", is_flag=True, help="Print one line per network to stderr.")
@output_options((*TABLES, *PICTURES))
def command(
    configs: tuple[Path, ...],
    seed: int | None,
    jobs: int | None,
    settings: tuple[str, ...],
    fresh: bool,
    pictures: Path | None,
    verbose: bool,
    output: Output,
) -> None:
    """Draw random networks, pass signal and gradient through them, and measure every layer under every scheme.

    CONFIG is a TOML file, `-` for standard input, or the name of a shipped configuration (gradstat list configs).

    Finished networks are saved under results/ (or $GRADSTAT_RESULTS). Repeat the command to resume.

    \b
    Examples:
      gradstat propagate depth
      gradstat propagate depth --set networks=4 -o depth.svg
    """
    output_formats = {output.format_name, *(format_of(path, output.formats).name for path in output.files)}
    if output_formats & set(PICTURES) and len(configs) > 1:
        raise UsageError(f"a picture shows one configuration, not {len(configs)}; use --pictures FOLDER")
    if output_formats & set(PICTURES) or pictures:
        check_matplotlib()
    if pictures:
        for path in configs:
            check_writable(pictures / f"{path.stem}.svg")
    with progress(output.quiet, verbose) as terminal_progress:
        networks = gradstat.propagate(
            *configs, seed=seed, settings=settings, jobs=jobs, fresh=fresh, progress=terminal_progress
        )
    if pictures:
        for title, picture in networks.pictures().items():
            picture.save(pictures / f"{title}.svg")
    output.deliver(networks.report())
