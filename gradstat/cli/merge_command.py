"""`gradstat merge`."""

from pathlib import Path

import click

from gradstat.cli.options import PATH, output_options
from gradstat.errors import UsageError


@click.command()
@click.argument("parts", type=PATH, nargs=-1, required=True, metavar="PART...")
@output_options
def command(parts: tuple[Path, ...], output: tuple[Path, ...], format_name: str, quiet: bool) -> None:
    """Join result files that hold different draws of the same run.

    Accumulators are merged, so nothing is lost. Files whose draws overlap are refused, and so are other seeds.
    """
    from gradstat.cli.output import check, deliver
    from gradstat.records.merging import merge
    from gradstat.records.store import read

    if not output:
        raise UsageError("name the file to write: -o OUT.parquet, or -o - to look at it only")
    check(output)
    deliver(merge([(path, read(path)) for path in parts]), output, format_name, quiet)
