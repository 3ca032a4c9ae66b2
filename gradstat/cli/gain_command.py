"""`gradstat gain`."""

import click

import gradstat
from gradstat.cli.completion import Parameter, Suggested, layer_names
from gradstat.cli.options import Jobs, Name, assumed, assumption_options, output_options, parse_pairs
from gradstat.cli.output import Output
from gradstat.errors import UsageError
from gradstat.text.formats import CODE, TABLES


@click.command()
@click.argument("layer", required=False, type=Suggested("layer", layer_names), metavar="[LAYER | FORMULA]")
@click.argument("parameters", nargs=-1, type=Parameter(), metavar="[PARAMETER=VALUE]...")
@click.option("--expression", metavar="FORMULA", help="Instead of a layer: a formula of x, as 'x * sigmoid(1.7 * x)'.")
@assumption_options
@click.option(
    "--statistic",
    "names",
    type=Name("statistic", lambda: gradstat.listing("statistics").names),
    multiple=True,
    metavar="NAME",
    help="Instead of the five usual ones; repeatable.",
)
@click.option("-j", "--jobs", type=Jobs(), help="Threads, where something has to be sampled.")
@output_options((*TABLES, *CODE))
def command(
    layer: str | None,
    parameters: tuple[str, ...],
    expression: str | None,
    x: str | None,
    dy: str | None,
    names: tuple[str, ...],
    jobs: int | None,
    output: Output,
) -> None:
    """What one layer does to the scale of signal and gradient, to as many digits as are certain.

    From the exact referee where it exists (nothing is compiled), from sampling otherwise.
    """
    if expression is not None and layer is not None:
        parameters, layer = (layer, *parameters), None
    if layer is None and expression is None:
        raise UsageError(
            "name a layer, as gradstat gain silu, or give --expression; gradstat list layers shows them all"
        )
    answer = gradstat.gain(
        expression or str(layer),
        statistics=names,
        input=assumed(x, "input"),
        upstream=assumed(dy, "upstream"),
        jobs=jobs,
        **parse_pairs(parameters),
    )
    output.deliver(answer.report())
