"""`gradstat show`."""

from pathlib import Path

import click

from gradstat.cli.options import PATH, output_options


@click.command()
@click.argument("result", type=PATH)
@output_options
def command(result: Path, output: tuple[Path, ...], format_name: str, quiet: bool) -> None:
    """Print a result file, or convert it to another format."""
    from gradstat.cli.output import check, deliver
    from gradstat.results.store import read

    check(output)
    deliver(read(result), output, format_name, quiet)
