"""`gradstat list`."""

from collections.abc import Iterable

import click
from click.shell_completion import CompletionItem

from gradstat.cli.completion import Suggested, layer_names
from gradstat.cli.options import Name, output_options
from gradstat.cli.output import Output
from gradstat.errors import UsageError
from gradstat.text.tables import Report


def _listings() -> Iterable[str]:
    from gradstat.cli.listings import LISTINGS

    return LISTINGS


class _LayerToList(Suggested):
    """The layer in `gradstat list layers NAME`; the other listings take no name."""

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        return super().shell_complete(ctx, param, incomplete) if ctx.params.get("what") == "layers" else []


@click.command()
@click.argument("what", required=False, type=Name("listing", _listings))
@click.argument("name", required=False, type=_LayerToList("layer", layer_names))
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
