"""`gradstat diff`."""

from pathlib import Path

import click

from gradstat.cli.options import PATH, output_options
from gradstat.cli.output import STDOUT, Output
from gradstat.errors import Exit, UsageError


@click.command()
@click.argument("first", type=PATH)
@click.argument("second", type=PATH)
@output_options()
def command(first: Path, second: Path, output: Output) -> int:
    """Compare two result files row by row; one of them may be - for standard input.

    The same seed and draws must give the same bytes. Otherwise mean and std are compared by z-scores, whose bound
    holds for all of them together. Exit code 1 where the files disagree, or where one has a row that the other lacks.
    """
    from gradstat.results.diff import compare, report
    from gradstat.results.store import read

    if first == second == STDOUT:
        raise UsageError("standard input can be read once; name a file for one of the two")
    comparison = compare(read(first), read(second))
    output.deliver(report(comparison, (str(first), str(second))))
    return Exit.DONE if comparison.agree else Exit.CHECK_FAILED
