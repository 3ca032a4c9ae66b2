"""`gradstat list`."""

import click
from click.shell_completion import CompletionItem

import gradstat
from gradstat.cli.completion import Suggested, layer_names
from gradstat.cli.options import Name, output_options
from gradstat.cli.output import Output


class _LayerToList(Suggested):
    """The layer in `gradstat list layers NAME`; the other listings take no name."""

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        return super().shell_complete(ctx, param, incomplete) if ctx.params.get("what") == "layers" else []


@click.command()
@click.argument("what", required=False, type=Name("listing", lambda: gradstat.listing().names))
@click.argument("name", required=False, type=_LayerToList("layer", layer_names))
@output_options()
def command(what: str | None, name: str | None, output: Output) -> None:
    """List layers, statistics, distributions and other tables. Without WHAT, list the names of the tables.

    \b
    Examples:
      gradstat list layers
      gradstat list layers relu
      gradstat list statistics --format json
    """
    output.deliver(gradstat.listing(what, name).report())
