"""`gradstat merge`."""

from pathlib import Path

import click

import gradstat
from gradstat.cli.app import say
from gradstat.cli.exit_status import exit_code_for
from gradstat.cli.options import PATH, output_options
from gradstat.cli.output import Output
from gradstat.errors import UsageError


@click.command()
@click.argument("parts", type=PATH, nargs=-1, required=True, metavar="PART...")
@output_options()
def command(parts: tuple[Path, ...], output: Output) -> int:
    """Merge the shards of a run, in any order; the result equals that of an unsharded run to the byte.

    A shard given twice counts once. A missing shard, or one of another run, is an error.

    \b
    Examples:
      gradstat merge 1of2.parquet 2of2.parquet -o whole.parquet
      gradstat merge shards/*.parquet -o -
    """
    if not output.paths:
        raise UsageError("name the file to write, -o OUT.parquet, or print to the terminal, -o -")
    result = gradstat.merge(*parts)
    for note in result.notes:
        say(note)
    output.deliver(result.report())
    return exit_code_for(result)
