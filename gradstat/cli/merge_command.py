"""`gradstat merge`."""

from pathlib import Path

import click

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
    from gradstat.estimation.precision import Target
    from gradstat.results.overview import report
    from gradstat.results.store import read
    from gradstat.runs.shards import merge

    if not output.paths:
        raise UsageError("name the file to write: -o OUT.parquet, or -o - to look at it only")
    merged = merge([(path, read(path)) for path in parts])
    for note in merged.notes:
        say(note)
    output.deliver(report(merged.result))
    return exit_code_for(merged.lines, Target.of(merged.config))
