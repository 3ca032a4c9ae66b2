"""`gradstat gain`."""

import click

import gradstat
from gradstat.cli.callables import imported
from gradstat.cli.completion import Parameter, Suggested, layer_names
from gradstat.cli.options import (
    Jobs,
    Name,
    assumed,
    assumption_options,
    digits_option,
    output_options,
    parse_pairs,
    timeout_option,
)
from gradstat.cli.output import Output
from gradstat.errors import UsageError
from gradstat.text.formats import CODE, TABLES


@click.command()
@click.argument("layer", required=False, type=Suggested("layer", layer_names), metavar="[LAYER | FORMULA]")
@click.argument("parameters", nargs=-1, type=Parameter(), metavar="[PARAMETER=VALUE]...")
@click.option(
    "--expression", metavar="FORMULA", help="A formula of x, instead of a layer, e.g. 'x * sigmoid(1.7 * x)'."
)
@click.option(
    "--callable",
    "path",
    metavar="MODULE:NAME",
    help="A Python function of x, instead of a layer, e.g. package.module:function. Imports (runs) that module.",
)
@assumption_options
@click.option(
    "--statistic",
    "names",
    type=Name("statistic", lambda: gradstat.listing("statistics").names),
    multiple=True,
    metavar="NAME",
    help="Statistic to print (default: mean, std, rms, gain_std, gain_rms). Repeatable.",
)
@click.option("-j", "--jobs", type=Jobs(), help="Threads for sampling (default: all processors).")
@digits_option
@timeout_option("Without an answer by then, the exit code is 3.")
@output_options((*TABLES, *CODE))
def command(
    layer: str | None,
    parameters: tuple[str, ...],
    expression: str | None,
    path: str | None,
    x: str | None,
    dy: str | None,
    names: tuple[str, ...],
    jobs: int | None,
    digits: int | None,
    timeout: float | None,
    output: Output,
) -> None:
    """Print the mean, std and gains of one layer, exact if known.

    Statistics without an exact value are sampled and printed with their standard error.

    \b
    Examples:
      gradstat gain gelu
      gradstat gain leaky_relu negative_slope=0.2
      gradstat gain 'x * sigmoid(1.7 * x)' --input std=1.3
    """
    if expression is not None and path is not None:
        raise UsageError("--expression and --callable are two layers; give one of the two")
    if layer is not None and (expression is not None or path is not None):
        parameters, layer = (layer, *parameters), None
    if layer is None and expression is None and path is None:
        raise UsageError("name a layer, e.g. gradstat gain silu, or a formula; gradstat list layers shows all layers")
    answer = gradstat.gain(
        imported(path) if path is not None else expression or str(layer),
        statistics=names,
        input=assumed(x, "input"),
        upstream=assumed(dy, "upstream"),
        jobs=jobs,
        digits=digits,
        timeout=timeout,
        **parse_pairs(parameters),
    )
    output.deliver(answer.report())
