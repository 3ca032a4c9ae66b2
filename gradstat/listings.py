"""The listings of `gradstat list`, generated from the tables of records."""

from collections.abc import Callable, Iterable
from typing import Any

from gradstat.distributions import DISTRIBUTIONS, OF_UPSTREAM
from gradstat.errors import UsageError, unknown
from gradstat.estimators import ESTIMATORS
from gradstat.layer_types.record import Layer
from gradstat.layer_types.registry import LAYERS, find
from gradstat.layer_types.statistics import DESCRIPTIONS
from gradstat.shipped import configurations
from gradstat.text.answer import Answer
from gradstat.text.formats import FORMATS
from gradstat.text.tables import Column, Report, Table, shown


class Listing(Answer):
    """A listing: a table with one row per entry."""

    def __init__(self, report: Report) -> None:
        self._report = report

    @property
    def rows(self) -> list[tuple[Any, ...]]:
        """The rows of the table, as tuples with one cell per column."""
        return [tuple(row) for row in self._report.tables[0].rows]

    @property
    def names(self) -> list[str]:
        """The names of the listed entries: the first column."""
        return [str(row[0]) for row in self.rows]

    def report(self) -> Report:
        return self._report


def listing(what: str | None, name: str | None) -> Listing:
    """The names of all listings, one listing, or one layer in full; UsageError for unknown names."""
    if what is None:
        return Listing(Report([listings()]))
    if what not in LISTINGS:
        raise UsageError(unknown("listing", what, LISTINGS))
    if name is None:
        return Listing(Report([LISTINGS[what][1]()]))
    if what != "layers":
        raise UsageError(f"only layers have a listing of one entry; show all with gradstat list {what}")
    return Listing(layer_in_full(name))


def layers(chosen: Iterable[Layer] = ()) -> Table:
    """Name, parameters with defaults, formula, PyTorch name and exact values of every layer, or of those chosen."""
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
    """The PyTorch name in its usual short form, `F.relu`."""
    return torch.replace("torch.nn.functional.", "F.")


def defaults(layer: Layer) -> dict[str, object]:
    """The parameters of a layer with their defaults."""
    return {parameter.name: parameter.default for parameter in layer.parameters}


def layer_in_full(name: str) -> Report:
    """All facts about one layer, one line each; for programs, its row of the listing."""
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
    """Every statistic with its definition; v is y or dx, and y = f(x) in those that only elementwise layers have."""
    return _table(("statistic", "definition"), list(DESCRIPTIONS.items()))


def distributions() -> Table:
    """The distributions of x and dy, with their densities for mean 0 and standard deviation 1."""
    rows = [(name, "x, dy" if name in OF_UPSTREAM else "x", law.description) for name, law in DISTRIBUTIONS.items()]
    return _table(("distribution", "of", "density"), rows)


def engines() -> Table:
    """The engines, which sample blocks."""
    from gradstat.estimation.engines import ENGINES

    return _table(("engine", "description"), [(name, engine.description) for name, engine in ENGINES.items()])


def schemes() -> Table:
    """The schemes of scaling that `gradstat propagate` compares."""
    from gradstat.networks.schemes import SCHEMES

    return _table(("scheme", "description"), [(scheme.name, scheme.description) for scheme in SCHEMES.values()])


def estimators() -> Table:
    """The estimators: methods of choosing draws."""
    return _table(("estimator", "description"), [(name, each.description) for name, each in ESTIMATORS.items()])


def formats() -> Table:
    """The output formats, their suffixes and contents."""
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
    """The pictures of `gradstat plot`, and their sources."""
    from gradstat.plots.kinds import PLOTS

    rows = [(name, " or ".join(plot.takes), plot.description) for name, plot in PLOTS.items()]
    return _table(("plot", "drawn from", "description"), rows)


LISTINGS: dict[str, tuple[str, Callable[[], Table]]] = {
    "layers": ("layers with parameters and formulas; `gradstat list layers NAME` shows one layer in full", layers),
    "statistics": ("statistics with their definitions", statistics),
    "distributions": ("distributions that x and dy can have", distributions),
    "schemes": ("schemes of scaling that gradstat propagate compares", schemes),
    "estimators": ("methods of choosing draws", estimators),
    "engines": ("engines, which sample draws on threads or machines", engines),
    "formats": ("output formats and their suffixes", formats),
    "tables": ("tables of constants that `gradstat tables` regenerates", tables),
    "configs": ("configurations that gradstat ships, found by name from any folder", configs),
    "plots": ("pictures that `gradstat plot` draws", plots),
}


def listings() -> Table:
    """The names of all listings."""
    return _table(("listing", "description"), [(name, description) for name, (description, _) in LISTINGS.items()])


def _table(names: tuple[str, ...], rows: Iterable[tuple[object, ...]]) -> Table:
    """A table whose last column is wrapped, unless it is the only one."""
    last = len(names) - 1
    return Table([Column(name, wrap=20 if 0 < i == last else 0) for i, name in enumerate(names)], list(rows))
