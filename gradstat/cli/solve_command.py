"""`gradstat solve`."""

import click

import gradstat
from gradstat.cli.completion import Parameter, Suggested, layer_names
from gradstat.cli.options import assumed, assumption_options, output_options, parse_pairs
from gradstat.cli.output import Output
from gradstat.text.formats import TABLES


@click.command()
@click.argument("layer", type=Suggested("layer", layer_names), metavar="LAYER | FORMULA")
@click.argument("parameters", nargs=-1, type=Parameter(), metavar="[PARAMETER=VALUE]...")
@click.option(
    "--for",
    "unknowns",
    multiple=True,
    required=True,
    metavar="NAME[=START|=LOW..HIGH]",
    help="An unknown: a parameter, input.std, input.mean, or a name of the formula or the equations. Repeatable.",
)
@click.option(
    "--such-that",
    "equations",
    multiple=True,
    metavar="EQUATION",
    help="Arithmetic of statistics, unknowns and numbers on both sides, e.g. 'forward.rms = 1'. Repeatable.",
)
@click.option("--maximize", default="", metavar="EXPRESSION", help="Find the largest value, instead of equations.")
@click.option("--minimize", default="", metavar="EXPRESSION", help="Find the smallest value, instead of equations.")
@click.option("--digits", type=int, default=10, show_default=True, metavar="N", help="Certain digits, 1 to 100.")
@assumption_options
@output_options(TABLES)
def command(
    layer: str,
    parameters: tuple[str, ...],
    unknowns: tuple[str, ...],
    equations: tuple[str, ...],
    maximize: str,
    minimize: str,
    digits: int,
    x: str | None,
    dy: str | None,
    output: Output,
) -> int:
    """Find parameters for which statistics of one layer take wanted values, with certain digits.

    Of one equation in one unknown, all solutions in the bracket are listed; of several equations, the one that
    Newton's method reaches from the starts. Exit code 1: there is no solution; 3: something is not certain.

    \b
    Examples:
      gradstat solve gelu --for input.std --such-that 'forward.rms = 1'
      gradstat solve 'b * elu(x, a)' --for a --for b --such-that 'forward.mean = 0' --such-that 'forward.std = 1'
      gradstat solve snake --for alpha=0.1..3 --maximize forward.var
    """
    answer = gradstat.solve(
        layer,
        unknowns,
        equations,
        maximize=maximize,
        minimize=minimize,
        digits=digits,
        input=assumed(x, "input"),
        upstream=assumed(dy, "upstream"),
        **parse_pairs(parameters),
    )
    output.deliver(answer.report())
    return answer.code
