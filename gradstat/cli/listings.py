"""What `gradstat list` prints, made from the tables themselves."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from gradstat.assumptions import DISTRIBUTIONS
from gradstat.layer_types.record import Layer
from gradstat.layer_types.registry import LAYERS, find
from gradstat.layer_types.statistics import STATISTICS

NOTHING = "–"


def layers() -> str:
    """Name, referee, PyTorch's name, formula, and parameters with defaults of every layer."""
    rows = [(x.name, x.referee_words, short(x.torch) or NOTHING, x.formula, signature(x)) for x in LAYERS.values()]
    return _columns([("layer", "referee", "PyTorch", "formula", "parameters"), *rows])


def short(torch: str) -> str:
    """`F.relu`, as people import it."""
    return torch.replace("torch.nn.functional.", "F.")


def signature(layer: Layer) -> str:
    """`negative_slope=0.01`, or a dash."""
    return ", ".join(f"{p.name}={_value(p.default)}" for p in layer.parameters) or NOTHING


def layer_in_full(name: str) -> str:
    """Everything about one layer, a line each."""
    layer = find(name)
    lines = [
        ("layer", layer.name),
        ("aliases", ", ".join(layer.aliases) or NOTHING),
        ("forward", layer.formula),
        ("backward", layer.backward),
        ("PyTorch", layer.torch or NOTHING),
        ("exact values", layer.referee_words),
    ]
    lines += [("parameter", f"{p.name} = {_value(p.default)} ({p.domain.description})") for p in layer.parameters]
    defaults = {p.name: p.default for p in layer.parameters}
    if kinks := layer.kinks(defaults):
        lines.append(("kinks", ", ".join(f"{kink:g}" for kink in kinks)))
    return _columns(lines)


def statistics() -> str:
    """Every statistic with its definition; v is y or dx."""
    return _columns([(name, statistic.description) for name, statistic in STATISTICS.items()])


def distributions() -> str:
    """The distributions of x."""
    return "\n".join(DISTRIBUTIONS) + "\n"


def engines() -> str:
    """Where blocks can be sampled."""
    from gradstat.estimation.engines import ENGINES

    return _columns([(name, place.description) for name, place in ENGINES.items()])


def schemes() -> str:
    """How `gradstat propagate` can scale a network."""
    from gradstat.networks.schemes import SCHEMES

    return _columns([(scheme.name, scheme.description) for scheme in SCHEMES.values()])


def estimators() -> str:
    """How draws are chosen."""
    from gradstat.estimation.estimators import ESTIMATORS

    return _columns([(name, estimator.description) for name, estimator in ESTIMATORS.items()])


def formats() -> str:
    """Output formats, their suffixes, and what they hold."""
    from gradstat.results.formats import FORMATS, PARQUET

    parquet = ("parquet", PARQUET, "every column, the raw accumulators and the provenance; with -o only")
    return _columns([parquet, *((name, f.suffix, f.description) for name, f in FORMATS.items())])


def tables() -> str:
    """The tables of `gradstat tables`."""
    from gradstat.constants.catalogue import tables as known

    return _columns([(name, table.description, f"{len(table.entries)} entries") for name, table in known().items()])


def plots() -> str:
    """The pictures of `gradstat plot`, and what they are drawn from."""
    from gradstat.plots.kinds import PLOTS

    return _columns([(name, plot.description, f"from {' or '.join(plot.takes)}") for name, plot in PLOTS.items()])


@dataclass(frozen=True)
class Listing:
    """Something that can be listed: one line about it, and its text."""

    description: str
    text: Callable[[], str]


LISTINGS: dict[str, Listing] = {
    "layers": Listing("layers with parameters and formulas; `gradstat list layers NAME` shows one in full", layers),
    "statistics": Listing("statistics with their definitions", statistics),
    "distributions": Listing("distributions that x can have", distributions),
    "schemes": Listing("schemes of scaling that gradstat propagate compares", schemes),
    "estimators": Listing("how draws are chosen", estimators),
    "engines": Listing("where draws can be sampled", engines),
    "formats": Listing("output formats and their suffixes", formats),
    "tables": Listing("tables of constants that `gradstat tables` regenerates", tables),
    "plots": Listing("pictures that `gradstat plot` draws", plots),
}


def listings() -> str:
    """What can be listed."""
    return _columns([(name, listing.description) for name, listing in LISTINGS.items()])


def _columns(rows: Sequence[tuple[str, ...]]) -> str:
    """Left-aligned columns."""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    return "".join(
        "  ".join(cell.ljust(w) for cell, w in zip(row, widths, strict=True)).rstrip() + "\n" for row in rows
    )


def _value(value: Any) -> str:
    return NOTHING if value is None else value if isinstance(value, str) else json.dumps(value)
