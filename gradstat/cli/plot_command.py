"""`gradstat plot`."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from gradstat.cli.completion import LayerOrFile, layer_names
from gradstat.cli.options import (
    Count,
    Jobs,
    ListedCommand,
    Name,
    Seed,
    assumption_options,
    document,
    output_options,
    parse_pairs,
)
from gradstat.cli.output import Output
from gradstat.errors import UsageError
from gradstat.text.formats import PICTURES

if TYPE_CHECKING:
    from gradstat.layer_types.case import Case

RESULT = ".parquet"
MOST_LAYERS = 12


def _kinds() -> Iterable[tuple[str, str]]:
    from gradstat.plots.kinds import PLOTS

    return [(name, plot.description) for name, plot in PLOTS.items()]


@click.command(cls=ListedCommand, title="Kinds", names=_kinds)
@click.argument("kind", type=Name("kind of picture", lambda: [name for name, _ in _kinds()]))
@click.argument(
    "what",
    nargs=-1,
    type=LayerOrFile("layer", layer_names),
    metavar="[LAYER [PARAMETER=VALUE]... | CONFIG.toml | RESULT.parquet]...",
)
@output_options(PICTURES, default="svg", show="never")
@click.option("--expression", multiple=True, metavar="FORMULA", help="A formula of x instead of a layer; repeatable.")
@assumption_options
@click.option("-n", "--samples", type=Count(), help="Draws, where something is sampled.")
@click.option("--seed", type=Seed(), default="20160328", show_default=True, help="0 to 2**64 - 1, or random.")
@click.option("-j", "--jobs", type=Jobs(), help="Threads; all processors where it is left out.")
@click.option("--statistic", metavar="NAME", help="variance-map: std or rms; error and cells: std or mean.")
@click.option("--gain", type=float, help="variance-map: a number that y is multiplied by.")
@click.option(
    "--range", "span", metavar="LOW:HIGH", help="variance-map: scales of x, as 0.01:100; 0.03:30 where it is left out."
)
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
    """Draw a picture of layers or of a result file, which may be - for standard input.

    Parameters follow the layer that they belong to:
    gradstat plot variance-map gelu leaky_relu negative_slope=0.2 -o a.png
    """
    from gradstat.plots import kinds as plots

    plot = plots.find(kind)
    known = {"statistic": plot.statistics, "gain": "gain" in plot.options, "range": "range" in plot.options}
    for name, value in {"statistic": statistic, "gain": gain, "range": span}.items():
        if value is not None and not known[name]:
            raise UsageError(f"--{name} says nothing to {kind}; leave it out")
    if statistic is not None and statistic not in plot.statistics:
        raise UsageError(f"--statistic {statistic} is impossible; allowed: {', '.join(plot.statistics)}")
    if not output.paths:
        raise UsageError("a picture needs a file to go to; add -o FILE.png, FILE.svg or FILE.pdf")
    plots.check()
    files = [Path(word) for word in what if word == "-" or word.endswith(RESULT)]
    words = [word for word in what if Path(word) not in files]
    _check_sources(kind, plot.takes, files, [*words, *expression])
    request = plots.Request(
        cases=() if files else tuple(_cases(words, expression, x, dy)),
        file=files[0] if files else None,
        samples=samples or plot.samples,
        seed=seed,
        jobs=jobs or 0,
        statistic=statistic or "std",
        gain=_positive(gain),
        span=_span(span),
    )
    output.deliver(plots.report(plots.draw(kind, request)), verbose=True)


def _check_sources(kind: str, takes: Sequence[str], files: list[Path], layers: list[str]) -> None:
    """UsageError for a source that this kind cannot draw, for none, and for two at once."""
    from gradstat.plots.kinds import FILE, LAYERS

    example = {LAYERS: f"gradstat plot {kind} gelu", FILE: f"gradstat plot {kind} results/series.parquet"}
    advice = f"for example {example[takes[0]]} -o picture.png"
    if files and layers:
        raise UsageError("a layer and a result file make two pictures; keep one of the two")
    if len(files) > 1:
        raise UsageError(f"{len(files)} result files make {len(files)} pictures; name one")
    if not files and not layers:
        raise UsageError(f"{kind} is drawn from {' or '.join(takes)}, and there is none; {advice}")
    if (FILE if files else LAYERS) not in takes:
        raise UsageError(f"{kind} is drawn from {takes[0]}, not from {files[0] if files else layers[0]}; {advice}")


def _cases(words: Sequence[str], expressions: Sequence[str], x: str | None, dy: str | None) -> "list[Case]":
    """Layers with the parameters that follow each, the layers of configurations, and expressions."""
    from pydantic import ValidationError

    from gradstat.config import RunConfig, describe_error, load
    from gradstat.layer_types.from_config import cases

    tables: list[dict[str, Any]] = []
    found: list[Case] = []
    for word in words:
        if word.endswith(".toml"):
            found += cases(load(Path(word)), word)
        elif "=" not in word:
            tables.append({"name": word})
        elif not tables:
            raise UsageError(f"{word}: a parameter follows its layer, as leaky_relu {word}")
        else:
            tables[-1] |= parse_pairs([word])
    tables += [{"expression": formula} for formula in expressions]
    if tables:
        try:
            found += cases(RunConfig.model_validate(document(tables, x, dy)), "command line")
        except ValidationError as error:
            raise UsageError(describe_error(error)[1]) from None
    if len(found) > MOST_LAYERS:
        raise UsageError(f"{len(found)} layers do not fit into one picture; allowed: up to {MOST_LAYERS}")
    return found


def _positive(gain: float | None) -> float:
    if gain is not None and not 0.0 < gain < 1e30:
        raise UsageError(f"--gain {gain:g} is impossible; allowed: a number above 0")
    return 1.0 if gain is None else gain


def _span(text: str | None) -> tuple[float, float]:
    """`0.01:100` → two scales."""
    if text is None:
        return 0.03, 30.0
    low, _, high = text.partition(":")
    try:
        ends = float(low), float(high)
    except ValueError:
        ends = 0.0, 0.0
    if not 1e-12 <= ends[0] < ends[1] <= 1e12 or ends[1] < 1.5 * ends[0]:
        raise UsageError(f"--range {text} is impossible; allowed: two scales from 1e-12 to 1e12, as 0.01:100")
    return ends
