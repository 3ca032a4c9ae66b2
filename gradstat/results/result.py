"""The result of a run in Python: rows, layers by name, statistics by attribute."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from gradstat.errors import UsageError, unknown
from gradstat.layer_types.case import Case
from gradstat.layer_types.record import ALL, BACKWARD, FORWARD
from gradstat.layer_types.registry import resolve
from gradstat.results.estimate import Statistics, sampled
from gradstat.text.answer import Answer
from gradstat.text.tables import Report

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa


@dataclass(frozen=True, repr=False)
class Result(Answer):
    """The rows of a run, one per layer × parameters × direction × cell, and their provenance.

    `result["sigmoid"].backward.std` is an `Estimate`. Iterating gives the rows as dictionaries, with None for unknown
    values. `failures` lists failed checks, `shortfalls` missed targets, and `notes` remarks about merged shards.
    """

    table: "pa.Table"
    provenance: dict[str, Any]
    nodes: str = ""  # of a shard: its finished nodes, which merging needs (runs/shards.py)
    failures: tuple[str, ...] = field(default=(), compare=False)
    shortfalls: tuple[str, ...] = field(default=(), compare=False)
    notes: tuple[str, ...] = field(default=(), compare=False)

    def rows(self) -> list[dict[str, Any]]:
        """Every row as a dictionary with the columns of a result file; None for unknown values."""
        rows: list[dict[str, Any]] = self.table.to_pylist()
        return rows

    def __iter__(self) -> Iterator[dict[str, Any]]:
        return iter(self.rows())

    def __len__(self) -> int:
        return int(self.table.num_rows)

    @property
    def layers(self) -> "list[LayerResult]":
        """The layers of the result, in their order."""
        members: dict[tuple[str, ...], list[Mapping[str, Any]]] = {}
        for row in self.rows():
            members.setdefault(tuple(row[name] for name in ("layer", "params", "input", "upstream")), []).append(row)
        return [LayerResult(rows) for rows in members.values()]

    def __getitem__(self, layer: str | Case) -> "LayerResult":
        return self.layer(layer)

    def layer(self, layer: str | Case, **parameters: Any) -> "LayerResult":
        """The statistics of one layer, given by its name and the parameters that distinguish it from other layers.

        A case of `gradstat.layer` also distinguishes the assumptions about x and dy. UsageError if no layer or more
        than one fits.
        """
        layers = self.layers
        name = layer if isinstance(layer, str) else layer.label
        fitting = [each for each in layers if each.fits(layer, parameters)]
        if len(fitting) == 1:
            return fitting[0]
        wanted = ", ".join([name, *(f"{key}={json.dumps(value)}" for key, value in parameters.items())])
        if not fitting:
            raise UsageError(unknown("layer of this result", wanted, [each.label for each in layers]))
        choices = "; ".join(each.label for each in fitting)
        raise UsageError(
            f"{wanted} is ambiguous: it names {len(fitting)} layers of this result: {choices}",
            f"name the parameters, result.layer({name!r}, parameter=value), or a case, result[gradstat.layer(...)]",
        )

    def to_pandas(self) -> "pd.DataFrame":
        """A data frame with the columns of a result file, except the raw accumulators; `params` is JSON."""
        from gradstat.results.schema import SHOWN

        frame: pd.DataFrame = self.table.select(SHOWN).to_pandas()
        return frame

    def report(self) -> Report:
        """E, σ and MAD of y and dx for people; for programs, all columns except the raw accumulators."""
        from gradstat.results.overview import report

        return report(self)


class LayerResult:
    """One layer of a result: `forward` are the statistics of y, `backward` those of dx."""

    def __init__(self, rows: list[Mapping[str, Any]]) -> None:
        self._rows = rows

    @property
    def label(self) -> str:
        """The layer with its parameters and assumptions that differ from the defaults."""
        from gradstat.results.overview import label

        return label(self._rows[0])

    @property
    def forward(self) -> "RowResult":
        """The statistics of y, over all positions."""
        return self.cell(ALL, FORWARD)

    @property
    def backward(self) -> "RowResult":
        """The statistics of dx, over all positions."""
        return self.cell(ALL, BACKWARD)

    def cell(self, cell: str, direction: str = BACKWARD) -> "RowResult":
        """The statistics of one position of a strided window, e.g. "(0, 1)"; UsageError for an unknown position."""
        rows = {row["cell"]: row for row in self._rows if row["direction"] == direction}
        if cell not in rows:
            raise UsageError(unknown(f"cell of {self.label} {direction}", cell, rows))
        return RowResult(rows[cell])

    def fits(self, layer: str | Case, parameters: Mapping[str, Any]) -> bool:
        """True if the name and these parameters, or the case, describe this layer."""
        first = self._rows[0]
        own_parameters = json.loads(first["params"])
        if isinstance(layer, Case):
            key = (layer.layer.name, layer.params, layer.x.label(), layer.dy.label())
            return key == (first["layer"], own_parameters, first["input"], first["upstream"])
        name, implied = _resolved(layer)
        wanted = {**implied, **parameters}
        return bool(
            name == first["layer"] and all(own_parameters.get(key, ...) == value for key, value in wanted.items())
        )

    def __repr__(self) -> str:
        statistics = [f"{d}.{s} = {sampled(s, row)}" for d, row in self._pooled() for s in ("mean", "std")]
        return f"{self.label}: {', '.join(statistics)}"

    def _pooled(self) -> list[tuple[str, Mapping[str, Any]]]:
        return [(row["direction"], row) for row in self._rows if row["cell"] == ALL]


def _resolved(name: str) -> tuple[str, Mapping[str, Any]]:
    """The layer's name and the parameters that a name or alias implies; the name of a formula is returned unchanged."""
    try:
        layer, implied = resolve(name)
    except UsageError:
        return name, {}
    return layer.name, implied


class RowResult(Statistics):
    """The statistics of one row of a result; `row` has all its columns."""

    def __init__(self, row: Mapping[str, Any]) -> None:
        self.row = dict(row)
        super().__init__(lambda name: sampled(name, row))

    @property
    def n(self) -> int:
        """The number of draws."""
        return int(self.row["n"])

    @property
    def min(self) -> float:
        """The smallest value drawn."""
        return float(self.row["min"])

    @property
    def max(self) -> float:
        """The largest value drawn."""
        return float(self.row["max"])

    def __repr__(self) -> str:
        return f"{self.row['layer']} {self.row['direction']}, {self.n:,} draws: mean {self.mean}, std {self.std}"
