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
@output_options(quiet="Print nothing; use the exit code.")
def command(first: Path, second: Path, output: Output) -> int:
    """Compare two result files row by row; one of them may be - for standard input.

    Rows with equal seeds and draws must be equal to the byte. For other rows, mean and std are compared by z-scores,
    with one bound for all of them. The exit code is 1 if the files disagree or one has a row that the other lacks.

    \b
    Examples:
      gradstat diff today.parquet yesterday.parquet
      gradstat diff -q a.parquet b.parquet && echo equal
    """
    comparison = gradstat.diff(first, second)
    output.deliver(comparison.report())
    return Exit.DONE if comparison.agree else Exit.CHECK_FAILED
