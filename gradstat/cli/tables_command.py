"""`gradstat tables`."""

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import click

import gradstat
from gradstat.cli.options import PATH, Jobs, ListedCommand, Name, output_options
from gradstat.cli.output import Output
from gradstat.text.formats import CODE, TABLES, format_of


def _names() -> Iterable[tuple[str, str]]:
    return [(name, description) for name, _, description in gradstat.listing("tables").rows]


@click.command(cls=ListedCommand, title="Tables", names=_names)
@click.argument("names", nargs=-1, type=Name("table", lambda: [name for name, _ in _names()]), metavar="[NAME]...")
@output_options((*TABLES, *CODE), default="md", show="without files")
@click.option("--check", type=PATH, multiple=True, metavar="FILE", help="Exit 1 where FILE is not what -o would write.")
@click.option("-j", "--jobs", type=Jobs(), help="Threads, where something has to be sampled.")
def command(names: tuple[str, ...], output: Output, check: tuple[Path, ...], jobs: int | None) -> None:
    """Regenerate the tables of constants that people paste into code: those that are named, or all of them.

    On stdout unless a file is written or checked.
    """
    for path in check:
        format_of(path, [name for name in output.formats if name != "parquet"])
    tables = gradstat.tables(*names, jobs=jobs)
    replace(output, quiet=output.quiet or bool(check)).deliver(tables.report())
    tables.check(*check)
