"""`gradstat gain`."""

from collections.abc import Sequence
from typing import Any

import click

from gradstat.cli.app import emit
from gradstat.cli.options import Jobs, Name, debug_option
from gradstat.errors import UsageError

FORMATS = ("table", "json", "python")
DEFAULT = ("mean", "std", "rms", "gain_std", "gain_rms")


@click.command()
@click.argument("layer", required=False)
@click.argument("parameters", nargs=-1, metavar="[PARAMETER=VALUE]...")
@click.option("--expression", metavar="FORMULA", help="Instead of a layer: a formula of x, as 'x * sigmoid(1.7 * x)'.")
@click.option("--input", "x", metavar="KEY=VALUE,...", help="Of x: distribution, mean, std, correlation; as std=1.3.")
@click.option("--upstream", "dy", metavar="KEY=VALUE,...", help="Of dy: distribution, correlation.")
@click.option("--statistic", "names", multiple=True, metavar="NAME", help="Instead of the five usual ones; repeatable.")
@click.option("-j", "--jobs", type=Jobs(), help="Threads, where something has to be sampled.")
@click.option("--format", "format_name", type=Name("format", lambda: FORMATS), default="table", show_default=True)
@debug_option
def command(
    layer: str | None,
    parameters: tuple[str, ...],
    expression: str | None,
    x: str | None,
    dy: str | None,
    names: tuple[str, ...],
    jobs: int | None,
    format_name: str,
) -> None:
    """What one layer does to the scale of signal and gradient, to as many digits as are certain.

    From the exact referee where it exists (nothing is compiled), from sampling otherwise.
    """
    from pydantic import ValidationError

    from gradstat.config import RunConfig, explain
    from gradstat.layers.cases import cases_of
    from gradstat.layers.record import unknown
    from gradstat.records import gains

    for name in names:
        if name not in gains.ANSWERED:
            raise UsageError(unknown("statistic", name, gains.ANSWERED))
    if expression is not None and layer is not None:
        parameters, layer = (layer, *parameters), None
    if layer is None and expression is None:
        raise UsageError(
            "name a layer, as gradstat gain silu, or give --expression; gradstat list layers shows them all"
        )
    table: dict[str, Any] = _table(parameters, "")
    table |= {"name": layer} if layer is not None else {"expression": expression}
    document: dict[str, Any] = {"layer": [table]}
    document |= {"input": _table(x.split(","), "--input ")} if x else {}
    document |= {"upstream": _table(dy.split(","), "--upstream ")} if dy else {}
    try:
        config = RunConfig.model_validate(document)
        (case,) = cases_of(config.layer[0], config)
    except ValidationError as error:
        raise UsageError(explain(error)[1].removeprefix("layer 1: ")) from None
    found = gains.gains(case, names or DEFAULT, jobs or 0)
    emit(gains.FORMATS[format_name](case, found))


def _table(pairs: Sequence[str], option: str) -> dict[str, Any]:
    """`beta=2` and its like as a table; values are TOML, or bare words."""
    from gradstat.config import parse_override

    table = {}
    for pair in pairs:
        key, equals, _ = pair.partition("=")
        if not equals or not key.strip().isidentifier():
            raise UsageError(
                f"{option}{pair}: expected key=value, for example {option}{'std=2' if option else 'beta=2'}"
            )
        table[key.strip()] = parse_override(pair).value
    return table
