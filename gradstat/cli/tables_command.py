"""`gradstat tables`."""

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import click

import gradstat
from gradstat.cli.options import PATH, Jobs, ListedCommand, Name, digits_option, output_options
from gradstat.cli.output import Output
from gradstat.text.formats import CODE, TABLES, format_of


def _names() -> Iterable[tuple[str, str]]:
    return [(name, description) for name, _, description in gradstat.listing("tables").rows]


@click.command(cls=ListedCommand, title="Tables", names=_names)
@click.argument("names", nargs=-1, type=Name("table", lambda: [name for name, _ in _names()]), metavar="[NAME]...")
@digits_option
@output_options((*TABLES, *CODE), default="md", show="without files")
@click.option(
    "--check",
    type=PATH,
    multiple=True,
    metavar="FILE",
    help="Exit with code 1 if FILE differs from what -o would write. Repeatable.",
)
@click.option("-j", "--jobs", type=Jobs(), help="Threads for sampling (default: all processors).")
def command(
    names: tuple[str, ...], output: Output, check: tuple[Path, ...], jobs: int | None, digits: int | None
) -> None:
    """Compute tables of constants, as Markdown, LaTeX, Python or C: the named ones, or all of them.

    The tables are printed unless a file is written or checked.

    \b
    Examples:
      gradstat tables selu
      gradstat tables nfnets -o nfnets.py
      gradstat tables nfnets --check nfnets.py
    """
    for path in check:
        format_of(path, [name for name in output.formats if name != "parquet"])
    tables = gradstat.tables(*names, jobs=jobs, digits=digits)
    replace(output, quiet=output.quiet or bool(check)).deliver(tables.report())
    tables.check(*check)
