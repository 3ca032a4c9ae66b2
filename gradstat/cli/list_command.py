"""`gradstat list`."""

from collections.abc import Iterable

import click

from gradstat.cli.options import Name, output_options
from gradstat.cli.output import Output
from gradstat.errors import UsageError
from gradstat.text.tables import Report


def _listings() -> Iterable[str]:
    from gradstat.cli.listings import LISTINGS

    return LISTINGS


def _layers() -> Iterable[str]:
    from gradstat.layer_types.registry import LAYERS

    return LAYERS


class LayerName(Name):
    """A layer's name, completed by the shell; looked up with its aliases by the command."""

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> str:
        return value


@click.command()
@click.argument("what", required=False, type=Name("listing", _listings))
@click.argument("name", required=False, type=LayerName("layer", _layers))
@output_options()
def command(what: str | None, name: str | None, output: Output) -> None:
    """List what gradstat knows; without WHAT, what can be listed. `list layers relu` shows one layer in full."""
    from gradstat.cli.listings import LISTINGS, layer_in_full, listings

    if what is None:
        report = Report([listings()])
    elif name is None:
        report = Report([LISTINGS[what].table()])
    elif what == "layers":
        report = layer_in_full(name)
    else:
        raise UsageError(f"{what} are not shown one by one, only layers are; gradstat list {what}")
    output.deliver(report)
