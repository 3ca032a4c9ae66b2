"""`gradstat diff`."""

from pathlib import Path

import click

from gradstat.cli.app import emit
from gradstat.cli.options import PATH, debug_option
from gradstat.errors import Exit


@click.command()
@click.argument("first", type=PATH)
@click.argument("second", type=PATH)
@click.option("-q", "--quiet", is_flag=True, help="Nothing on stdout: the exit code tells.")
@debug_option
def command(first: Path, second: Path, quiet: bool) -> int:
    """Compare two result files row by row.

    The same seed and draws must give the same bytes. Otherwise mean and std are compared by z-scores, whose bound
    holds for all of them together. Exit code 1 where the files disagree, or where one has a row that the other lacks.
    """
    from gradstat.results.diff import compare, report
    from gradstat.results.store import read

    comparison = compare(read(first), read(second))
    if not quiet:
        emit(report(comparison, (str(first), str(second))))
    return Exit.DONE if comparison.agree else Exit.CHECK_FAILED
