"""The report of experiments: a table with a row per architecture and scheme, and every block for programs."""

import json
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache, partial
from typing import Any

import numpy as np

from gradstat.networks.growth import RANGE, Growth, mean_and_error
from gradstat.networks.outcome import COLUMNS, Combination, Outcome
from gradstat.plots import kinds as plots
from gradstat.text.answer import Answer
from gradstat.text.formats import PICTURES, TABLES, check_matplotlib
from gradstat.text.machine import described, parquet_bytes
from gradstat.text.tables import Cell, Column, Report, Table, finite
from gradstat.text.uncertain import Uncertain

ROUNDING = 1e-9  # relative; a smaller error is only the rounding of numbers that are equal in every network
SUMMARY = (
    Column("network", wrap=8),
    Column("scheme"),
    Column("y_std", "σ[y]", align="decimal", priority=1),
    Column("y_rate", "per level", priority=3),
    Column("forward"),
    Column("dx_std", "σ[dx]", align="decimal", priority=1),
    Column("dx_rate", "per level", priority=3),
    Column("backward"),
    Column("rank", align="decimal", priority=2),
    Column("dead", align="decimal", priority=4),
    Column("cosine", align="decimal", idle=(None,), priority=5),
    Column("ratio", align="decimal", idle=(None,), priority=6),
)
TEXTS, COUNTS = ("configuration", "network", "scheme", "path", "block"), ("level", "networks")
BLOCKS = tuple(Column(name) for name in ("configuration", *COLUMNS))


@dataclass(frozen=True, repr=False)
class Networks(Answer):
    """What was measured of networks, an outcome for each configuration."""

    outcomes: Sequence[Outcome]
    formats = (*TABLES, *PICTURES)

    def report(self) -> Report:
        """A table with a row per architecture and scheme, and every block for programs."""
        return report(self.outcomes)

    def pictures(self) -> dict[str, plots.Picture]:
        """σ against depth, one picture for each configuration by its name."""
        check_matplotlib()
        return {outcome.title: picture(outcome) for outcome in self.outcomes}


def report(outcomes: Sequence[Outcome]) -> Report:
    """Every outcome in every format; as a picture, if there is one outcome."""
    rows = [[outcome.title, *row.values()] for outcome in outcomes for row in outcome.rows()]
    own: dict[str, Callable[[], str | bytes]] = {"parquet": partial(_parquet, outcomes)}
    if len(outcomes) == 1:
        drawn = cache(lambda: picture(outcomes[0]).report().own)
        own |= {name: partial(lambda name: drawn()[name](), name) for name in PICTURES}
    return Report(
        [Table(SUMMARY, [cells(one) for one in outcome.combinations], outcome.title) for outcome in outcomes],
        Table(BLOCKS, rows),
        notes=[note for outcome in outcomes for note in notes(outcome)] + LEGEND,
        facts={"configurations": finite([_facts(outcome) for outcome in outcomes])},
        own=own,
    )


def picture(outcome: Outcome) -> plots.Picture:
    """σ against depth."""
    return plots.Picture(plots.styled_figure("gradstat.networks.picture", outcome))


def cells(combination: Combination) -> list[Cell]:
    """One row of the table."""
    forward, backward = combination.growth(True), combination.growth(False)
    return [
        combination.network.name,
        combination.scheme,
        cell(*mean_and_error(combination.end(True))),
        rate_text(forward),
        forward.verdict,
        cell(*mean_and_error(combination.end(False))),
        rate_text(backward),
        backward.verdict,
        cell(*combination.last("rank")),
        cell(*combination.last("dead")),
        cell(combination.worst_cosine(), 0.0),
        cell(combination.first("ratio")[0], 0.0),
    ]


def cell(value: float, error: float) -> Cell:
    """The value with its error; alone if it is the same in every network; ∞ after an overflow; None if undefined."""
    if math.isnan(value):
        return None
    if math.isinf(value):
        return "∞"
    return f"{value:.4g}" if error <= ROUNDING * abs(value) else Uncertain(value, error)


def rate_text(growth: Growth) -> str | None:
    """`0.9962 [0.9932, 0.9991]`: the factor per level with its interval."""
    return None if math.isnan(growth.rate) else f"{growth.rate:.4f} [{growth.low:.4f}, {growth.high:.4f}]"


LEGEND = [
    "σ[y] at the output, σ[dx] at the input; ± is one standard error over networks",
    "per level: factor by which σ grows, from the slope of ln σ, with its 95 % interval; "
    f"stable: within {RANGE:g}× over the whole depth",
    "rank: effective rank of the batch at the output, (Σλ)²/Σλ² from the eigenvalues of yyᵀ, from 1 to the batch",
    "dead: fraction of the units of the last activation with slope 0 for every sample",
    "cosine: smallest cosine of a layer's scaled and true weight gradient; ratio: of their norms, first layer",
]


def notes(outcome: Outcome) -> list[str]:
    """The sizes of an experiment, and the schemes that coincide in it."""
    one = outcome.combinations[0]
    shape = "×".join(map(str, one.network.features))
    seed = outcome.provenance["configuration"]["seed"]
    sizes = f"{one.networks} networks each, batch {one.batch}, x of {shape} features, seed {seed}"
    twins = [pair for pair in _pairs(outcome.schemes()) if all(_same(outcome, name, *pair) for name in outcome.names())]
    same = [f"{' and '.join(pair)} are the same here, since every layer is square" for pair in twins]
    return [f"{outcome.title}: {line}" for line in (sizes, *same)]


def _pairs(schemes: list[str]) -> list[tuple[str, str]]:
    return [(a, b) for index, a in enumerate(schemes) for b in schemes[index + 1 :]]


def _same(outcome: Outcome, name: str, one: str, other: str) -> bool:
    a, b = outcome.find(name, one), outcome.find(name, other)
    return a is not None and b is not None and all(np.array_equal(a.curve(d)[0], b.curve(d)[0]) for d in (True, False))


def _facts(outcome: Outcome) -> dict[str, Any]:
    """The provenance of an experiment, and what is measured of a whole network."""
    summary = [
        {
            "network": one.network.name,
            "scheme": one.scheme,
            "forward": vars(one.growth(True)),
            "backward": vars(one.growth(False)),
            "worst_cosine": one.worst_cosine(),
            "whole_cosine": one.whole[0],
            "whole_cosine_se": one.whole[1],
        }
        for one in outcome.combinations
    ]
    return {"configuration": outcome.title, "provenance": outcome.provenance, "summary": summary}


def _parquet(outcomes: Sequence[Outcome]) -> bytes:
    """Every block with typed columns, and the provenance as metadata."""
    import pyarrow as pa

    types = {name: pa.string() for name in TEXTS} | {name: pa.int64() for name in COUNTS}
    schema = pa.schema([(column.name, types.get(column.name, pa.float64())) for column in BLOCKS])
    rows = [{"configuration": outcome.title, **row} for outcome in outcomes for row in outcome.rows()]
    document = json.dumps({outcome.title: outcome.provenance for outcome in outcomes}).encode()
    table = pa.Table.from_pylist(rows, schema).replace_schema_metadata({b"gradstat-propagation": document})
    return parquet_bytes(described(table, "Random networks, every block"))
