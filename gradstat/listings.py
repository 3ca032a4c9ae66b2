"""What `gradstat.listing` returns, made from the tables themselves."""

from collections.abc import Callable, Iterable
from typing import Any

from gradstat.distributions import DISTRIBUTIONS, OF_UPSTREAM
from gradstat.errors import UsageError, unknown
from gradstat.estimators import ESTIMATORS
from gradstat.layer_types.record import Layer
from gradstat.layer_types.registry import LAYERS, find
from gradstat.layer_types.statistics import STATISTICS
from gradstat.shipped import configurations
from gradstat.text.answer import Answer
from gradstat.text.formats import FORMATS
from gradstat.text.tables import Column, Report, Table, shown


class Listing(Answer):
    """A table of what gradstat knows; `names` are those of its first column."""

    def __init__(self, report: Report) -> None:
        self._report = report

    @property
    def rows(self) -> list[tuple[Any, ...]]:
        """The rows of the table, with a cell for each column."""
        return [tuple(row) for row in self._report.tables[0].rows]

    @property
    def names(self) -> list[str]:
        """What is listed, by name."""
        return [str(row[0]) for row in self.rows]

    def report(self) -> Report:
        return self._report


def listing(what: str | None, name: str | None) -> Listing:
    """What can be listed, one listing, or one layer in full; UsageError for anything else."""
    if what is None:
        return Listing(Report([listings()]))
    if what not in LISTINGS:
        raise UsageError(unknown("listing", what, LISTINGS))
    if name is None:
        return Listing(Report([LISTINGS[what][1]()]))
    if what != "layers":
        raise UsageError(f"{what} are not shown one by one, only layers are; gradstat list {what}")
    return Listing(layer_in_full(name))


def layers(chosen: Iterable[Layer] = ()) -> Table:
    """Name, parameters with defaults, formula, name in PyTorch and referee of every layer, or of those chosen."""
    columns = [
        Column("layer"),
        Column("parameters", wrap=14),
        Column("formula", wrap=20),
        Column("pytorch", "PyTorch", show=short, wrap=20, priority=1),
        Column("exact_values", "exact values", wrap=14, priority=2),
        Column("backward", people=False),
        Column("aliases", people=False),
        Column("source", people=False),
        Column("allowed", people=False),
    ]
    rows = []
    for x in chosen or LAYERS.values():
        allowed = {parameter.name: parameter.domain.description for parameter in x.parameters}
        shared = (x.name, defaults(x), x.formula, x.torch or None, x.referee_words)
        rows.append((*shared, x.backward, [*x.aliases, *x.presets], x.source or None, allowed))
    return Table(columns, rows)


def short(torch: str) -> str:
    """`F.relu`, as people import it."""
    return torch.replace("torch.nn.functional.", "F.")


def defaults(layer: Layer) -> dict[str, object]:
    """The parameters of a layer with their defaults."""
    return {parameter.name: parameter.default for parameter in layer.parameters}


def layer_in_full(name: str) -> Report:
    """Everything about one layer, a line each; for programs the row of the listing."""
    layer = find(name)
    lines = [
        ("layer", layer.name),
        ("aliases", [*layer.aliases, *layer.presets]),
        ("forward", layer.formula),
        ("backward", layer.backward),
        ("PyTorch", layer.torch or None),
        *([("source", layer.source)] if layer.source else []),
        ("exact values", layer.referee_words),
    ]
    lines += [("parameter", f"{p.name} = {shown(p.default)} ({p.domain.description})") for p in layer.parameters]
    if kinks := layer.kinks(defaults(layer)):
        lines.append(("kinks", ", ".join(f"{kink:g}" for kink in kinks)))
    return Report([Table([Column("fact", ""), Column("value", "", wrap=30)], lines)], layers([layer]))


def statistics() -> Table:
    """Every statistic with its definition; v is y or dx."""
    return _table(("statistic", "definition"), [(name, s.description) for name, s in STATISTICS.items()])


def distributions() -> Table:
    """The distributions that x can have, with their densities at mean 0 and standard deviation 1, and those of dy."""
    rows = [(name, "x, dy" if name in OF_UPSTREAM else "x", law.description) for name, law in DISTRIBUTIONS.items()]
    return _table(("distribution", "of", "density"), rows)


def engines() -> Table:
    """Where blocks can be sampled."""
    from gradstat.estimation.engines import ENGINES

    return _table(("engine", "description"), [(name, engine.description) for name, engine in ENGINES.items()])


def schemes() -> Table:
    """How `gradstat propagate` can scale a network."""
    from gradstat.networks.schemes import SCHEMES

    return _table(("scheme", "description"), [(scheme.name, scheme.description) for scheme in SCHEMES.values()])


def estimators() -> Table:
    """How draws are chosen."""
    return _table(("estimator", "description"), [(name, each.description) for name, each in ESTIMATORS.items()])


def formats() -> Table:
    """Output formats, their suffixes, and what they hold."""
    return _table(("format", "suffix", "description"), [(f.name, f.suffix, f.description) for f in FORMATS.values()])


def tables() -> Table:
    """The tables of `gradstat tables`."""
    from gradstat.constants.catalogue import tables as constants

    rows = [(name, len(table.entries), table.description) for name, table in constants().items()]
    return _table(("table", "entries", "description"), rows)


def configs() -> Table:
    """The configurations that gradstat ships, each with the command that takes it."""
    rows = [(name, f"gradstat {c.command} {name}", c.description) for name, c in configurations().items()]
    return _table(("configuration", "command", "description"), rows)


def plots() -> Table:
    """The pictures of `gradstat plot`, and what they are drawn from."""
    from gradstat.plots.kinds import PLOTS

    rows = [(name, " or ".join(plot.takes), plot.description) for name, plot in PLOTS.items()]
    return _table(("plot", "drawn from", "description"), rows)


LISTINGS: dict[str, tuple[str, Callable[[], Table]]] = {
    "layers": ("layers with parameters and formulas; `gradstat list layers NAME` shows one in full", layers),
    "statistics": ("statistics with their definitions", statistics),
    "distributions": ("distributions that x and dy can have", distributions),
    "schemes": ("schemes of scaling that gradstat propagate compares", schemes),
    "estimators": ("how draws are chosen", estimators),
    "engines": ("where draws can be sampled", engines),
    "formats": ("output formats and their suffixes", formats),
    "tables": ("tables of constants that `gradstat tables` regenerates", tables),
    "configs": ("configurations that gradstat ships, found by name from any folder", configs),
    "plots": ("pictures that `gradstat plot` draws", plots),
}


def listings() -> Table:
    """What can be listed."""
    return _table(("listing", "description"), [(name, description) for name, (description, _) in LISTINGS.items()])


def _table(names: tuple[str, ...], rows: Iterable[tuple[object, ...]]) -> Table:
    """A table whose last column is wrapped where there are others."""
    last = len(names) - 1
    return Table([Column(name, wrap=20 if 0 < i == last else 0) for i, name in enumerate(names)], list(rows))
