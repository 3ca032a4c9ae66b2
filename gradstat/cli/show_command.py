"""`gradstat show`."""

from pathlib import Path

import click

import gradstat
from gradstat.cli.options import PATH, output_options
from gradstat.cli.output import Output


@click.command()
@click.argument("result", type=PATH)
@output_options()
def command(result: Path, output: Output) -> None:
    """Print a Parquet file that gradstat wrote, or convert it to another format. RESULT may be - for standard input.

    \b
    Examples:
      gradstat show result.parquet
      gradstat show result.parquet -q -o result.csv
    """
    output.deliver(gradstat.show(result).report())
