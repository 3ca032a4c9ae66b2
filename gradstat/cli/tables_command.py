"""`gradstat tables`."""

from pathlib import Path

import click

from gradstat.cli.app import emit
from gradstat.cli.options import PATH, Jobs, Name, debug_option
from gradstat.errors import CheckFailed

NAMES = ("series", "pytorch", "nfnets", "timm", "e3nn", "kaiming", "selu", "order-statistics", "stride")
FORMATS = ("md", "latex", "csv", "json", "python", "c")
SUFFIXES = ".md, .tex, .csv, .json, .py, .h"


@click.command()
@click.argument("names", nargs=-1, type=Name("table", lambda: NAMES), metavar="[NAME]...")
@click.option(
    "--format",
    "format_name",
    type=Name("format", lambda: FORMATS),
    default="md",
    show_default=True,
    metavar="NAME",
    help=f"Format on stdout: {', '.join(FORMATS)}.",
)
@click.option("-o", "--output", type=PATH, multiple=True, metavar="FILE", help=f"Write FILE ({SUFFIXES}); repeatable.")
@click.option("--check", type=PATH, multiple=True, metavar="FILE", help="Exit 1 where FILE is not what -o would write.")
@click.option("-j", "--jobs", type=Jobs(), help="Threads, where something has to be sampled.")
@debug_option
def command(
    names: tuple[str, ...], format_name: str, output: tuple[Path, ...], check: tuple[Path, ...], jobs: int | None
) -> None:
    """Regenerate the tables of constants that people paste into code.

    NAME: series, pytorch, nfnets, timm, e3nn, kaiming, selu, order-statistics, stride; all of them without any.
    On stdout unless a file is written or checked.
    """
    from gradstat.constants.catalogue import chosen, compute
    from gradstat.constants.literals import FORMATS as RENDERED
    from gradstat.constants.literals import first_difference, format_of
    from gradstat.text.files import check_writable, replacing

    tables = chosen(names)
    for path in (*output, *check):
        format_of(path)
    for path in output:
        check_writable(path)
    computed = [compute(table, jobs or 0) for table in tables]
    for path in output:
        with replacing(path) as temporary:
            temporary.write_text(format_of(path).render(computed), encoding="utf-8")
    for path in check:
        if difference := first_difference(path, computed):
            raise CheckFailed(difference)
    if not output and not check:
        emit(RENDERED[format_name].render(computed))
