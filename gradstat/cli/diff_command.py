"""`gradstat diff`."""

from pathlib import Path

import click

import gradstat
from gradstat.cli.options import PATH, output_options
from gradstat.cli.output import Output
from gradstat.errors import Exit


@click.command()
@click.argument("first", type=PATH)
@click.argument("second", type=PATH)
@output_options()
def command(first: Path, second: Path, output: Output) -> int:
    """Compare two result files row by row; one of them may be - for standard input.

    The same seed and draws must give the same bytes. Otherwise mean and std are compared by z-scores, whose bound
    holds for all of them together. Exit code 1 where the files disagree, or where one has a row that the other lacks.
    """
    comparison = gradstat.diff(first, second)
    output.deliver(comparison.report())
    return Exit.DONE if comparison.agree else Exit.CHECK_FAILED
