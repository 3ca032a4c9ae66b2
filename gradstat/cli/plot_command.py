"""`gradstat plot`."""

import re
from collections.abc import Iterable, Sequence
from typing import Any

import click

import gradstat
from gradstat.cli.completion import LayerOrFile, layer_names
from gradstat.cli.options import (
    Count,
    Jobs,
    ListedCommand,
    Name,
    assumed,
    assumption_options,
    output_options,
    parse_pairs,
    seed_option,
)
from gradstat.cli.output import Output
from gradstat.errors import UsageError
from gradstat.text.formats import PICTURES


def _kinds() -> Iterable[tuple[str, str]]:
    return [(name, description) for name, _, description in gradstat.listing("plots").rows]


@click.command(cls=ListedCommand, title="Kinds", names=_kinds)
@click.argument("kind", type=Name("kind of picture", lambda: [name for name, _ in _kinds()]))
@click.argument(
    "what",
    nargs=-1,
    type=LayerOrFile("layer", layer_names),
    metavar="[LAYER [PARAMETER=VALUE]... | CONFIG.toml | RESULT.parquet]...",
)
@output_options(PICTURES, default="svg", show="never")
@click.option("--expression", multiple=True, metavar="FORMULA", help="A formula of x, instead of a layer. Repeatable.")
@assumption_options
@click.option("-n", "--samples", type=Count(), help="Draws per layer, for a picture that samples.")
@seed_option(gradstat.DEFAULT_SEED)
@click.option("-j", "--jobs", type=Jobs(), help="Threads (default: all processors).")
@click.option(
    "--statistic",
    metavar="NAME",
    help="Statistic to draw: std or rms for variance-map, std or mean for error and cells.",
)
@click.option("--gain", type=float, help="Factor of y, for variance-map.")
@click.option("--range", "span", metavar="LOW:HIGH", help="Scales of x, for variance-map (default: 0.03:30).")
def command(
    kind: str,
    what: tuple[str, ...],
    output: Output,
    expression: tuple[str, ...],
    x: str | None,
    dy: str | None,
    samples: int | None,
    seed: int,
    jobs: int | None,
    statistic: str | None,
    gain: float | None,
    span: str | None,
) -> None:
    """Draw a picture of layers or of a result file.

    The parameters of a layer follow its name.

    \b
    Examples:
      gradstat plot histogram gelu -o gelu.png
      gradstat plot variance-map gelu leaky_relu negative_slope=0.2 -o map.svg
      gradstat plot forest result.parquet -o forest.pdf
    """
    if not output.paths:
        raise UsageError("a picture needs a file: -o FILE.png, FILE.svg or FILE.pdf")
    picture = gradstat.plot(
        kind,
        *_sources(what, expression, assumed(x, "input"), assumed(dy, "upstream")),
        samples=samples,
        seed=seed,
        jobs=jobs,
        statistic=statistic,
        gain=gain,
        range=_span(span),
    )
    output.deliver(picture.report(), verbose=True)


def _sources(
    arguments: Sequence[str], expressions: Sequence[str], x: dict[str, Any] | None, dy: dict[str, Any] | None
) -> "list[str | gradstat.Case]":
    """Layers with the parameters that follow each, expressions, and files."""
    files: list[str | gradstat.Case] = []
    layers: list[tuple[str, dict[str, Any]]] = []
    for argument in arguments:
        if argument == "-" or argument.endswith((".toml", ".parquet")):
            files.append(argument)
        elif re.fullmatch(r"\w+\s*=.*", argument) is None:
            layers.append((argument, {}))
        elif not layers:
            raise UsageError(f"{argument}: a parameter follows its layer, e.g. leaky_relu {argument}")
        else:
            layers[-1][1].update(parse_pairs([argument]))
    layers += [(formula, {}) for formula in expressions]
    return [*files, *(gradstat.layer(name, input=x, upstream=dy, **parameters) for name, parameters in layers)]


def _span(text: str | None) -> tuple[float, float] | None:
    """`0.01:100` → two scales."""
    if text is None:
        return None
    low, _, high = text.partition(":")
    try:
        return float(low), float(high)
    except ValueError:
        raise UsageError(
            f"--range {text} is not allowed; expected two scales from 1e-12 to 1e12, e.g. 0.01:100"
        ) from None
