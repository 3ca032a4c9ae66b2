"""`gradstat gain`."""

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import click

from gradstat.cli.completion import Parameter, Suggested, layer_names
from gradstat.cli.options import Jobs, Name, assumption_options, document, output_options, parse_pairs
from gradstat.cli.output import Output
from gradstat.errors import UsageError
from gradstat.text.formats import CODE, TABLES

if TYPE_CHECKING:
    from gradstat.layer_types.case import Case


def _statistics() -> Iterable[str]:
    from gradstat.constants.gain import ANSWERED

    return ANSWERED


@click.command()
@click.argument("layer", required=False, type=Suggested("layer", layer_names))
@click.argument("parameters", nargs=-1, type=Parameter(), metavar="[PARAMETER=VALUE]...")
@click.option("--expression", metavar="FORMULA", help="Instead of a layer: a formula of x, as 'x * sigmoid(1.7 * x)'.")
@assumption_options
@click.option(
    "--statistic",
    "names",
    type=Name("statistic", _statistics),
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
    from gradstat.constants import gain as gains

    if expression is not None and layer is not None:
        parameters, layer = (layer, *parameters), None
    if layer is None and expression is None:
        raise UsageError(
            "name a layer, as gradstat gain silu, or give --expression; gradstat list layers shows them all"
        )
    if layer is not None and not (parameters or x or dy):
        case = _bare(layer)
    else:
        case = _case({"expression": expression} if layer is None else {"name": layer}, parameters, x, dy)
    found = gains.gains(case, names or gains.DEFAULT, jobs or 0)
    output.deliver(gains.report(case, found))


def _bare(layer: str) -> "Case":
    """A layer as it is: there is nothing to validate, and pydantic would take longer than the answer."""
    from gradstat.layer_types.case import Case
    from gradstat.layer_types.registry import find

    case = Case(find(layer))
    case.check()
    return case


def _case(layer: dict[str, Any], parameters: Sequence[str], x: str | None, dy: str | None) -> "Case":
    from pydantic import ValidationError

    from gradstat.config import RunConfig, describe_error
    from gradstat.layer_types.from_config import cases_of

    try:
        config = RunConfig.model_validate(document([parse_pairs(parameters) | layer], x, dy))
        (case,) = cases_of(config.layer[0], config)
    except ValidationError as error:
        raise UsageError(describe_error(error)[1].removeprefix("layer 1: ")) from None
    return case
