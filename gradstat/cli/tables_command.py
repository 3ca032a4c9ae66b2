"""`gradstat tables`."""

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import click

from gradstat.cli.options import PATH, Jobs, ListedCommand, Name, output_options
from gradstat.cli.output import Output
from gradstat.errors import CheckFailed
from gradstat.text.formats import CODE, TABLES, format_of


def _names() -> Iterable[tuple[str, str]]:
    from gradstat.constants.catalogue import tables

    return [(name, table.description) for name, table in tables().items()]


@click.command(cls=ListedCommand, title="Tables", names=_names)
@click.argument("names", nargs=-1, type=Name("table", lambda: [name for name, _ in _names()]), metavar="[NAME]...")
@output_options((*TABLES, *CODE), default="md", show="without files")
@click.option("--check", type=PATH, multiple=True, metavar="FILE", help="Exit 1 where FILE is not what -o would write.")
@click.option("-j", "--jobs", type=Jobs(), help="Threads, where something has to be sampled.")
def command(names: tuple[str, ...], output: Output, check: tuple[Path, ...], jobs: int | None) -> None:
    """Regenerate the tables of constants that people paste into code: those that are named, or all of them.

    On stdout unless a file is written or checked.
    """
    from gradstat.constants.catalogue import chosen, compute
    from gradstat.constants.literals import first_difference, report

    texts = [name for name in output.formats if name != "parquet"]
    for path in check:
        format_of(path, texts)
    constants = report([compute(table, jobs or 0) for table in chosen(names)])
    replace(output, quiet=output.quiet or bool(check)).deliver(constants)
    for path in check:
        if difference := first_difference(path, constants, texts):
            raise CheckFailed(difference)
