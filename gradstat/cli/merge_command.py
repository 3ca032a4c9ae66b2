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
    """Join the shards of a run, in any order, to the bytes of the whole.

    A shard that is there twice counts once; a missing one is named, and one of another run is refused.
    """
    if not output.paths:
        raise UsageError("name the file to write: -o OUT.parquet, or -o - to look at it only")
    result = gradstat.merge(*parts)
    for note in result.notes:
        say(note)
    output.deliver(result.report())
    return exit_code_for(result)
