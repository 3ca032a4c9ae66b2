"""The answers of all tasks → statistics over networks: a row per block, and a line per architecture and scheme."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from gradstat.networks.growth import Growth, growth, mean_and_error
from gradstat.networks.network import Network, label
from gradstat.networks.passes import STATISTICS
from gradstat.networks.prediction import PREDICTED
from gradstat.networks.randomness import Array
from gradstat.networks.tasks import PREDICTION, Experiment, Task

Answers = Mapping[Task, Mapping[str, Any]]
COLUMNS = (
    *("network", "scheme", "level", "path", "block", "networks"),
    *(name for statistic in STATISTICS for name in (statistic, f"{statistic}_se")),
    *(f"predicted_{name}" for name in PREDICTED),
)


@dataclass(frozen=True)
class Combination:
    """One architecture under one scheme: every statistic of every block in every network."""

    network: Network
    scheme: str
    batch: int
    figures: dict[str, Array]  # statistic → [network, row]
    predicted: dict[str, Array]  # statistic → [row]
    whole_cosine: Array  # [network]
    place: dict[str, int] = field(default_factory=dict)  # path → row

    @property
    def networks(self) -> int:
        """How many there are."""
        return len(self.whole_cosine)

    def ends(self) -> list[int]:
        """The row of the last block of each level: its y is the level's."""
        return [self.place[node.path] for node in {node.level: node for node in self.network.nodes}.values()]

    def starts(self) -> list[int]:
        """The row of the first block of each level: its dx is the level's."""
        firsts = {node.level: node for node in reversed(self.network.nodes)}
        return [self.place[firsts[level].path] for level in sorted(firsts)]

    def curve(self, forward: bool) -> tuple[Array, Array]:
        """σ[network, level], of y or of dx, and its prediction, from the input to the output."""
        name, rows = ("y_std", self.ends()) if forward else ("dx_std", self.starts())
        return self.figures[name][:, rows], self.predicted[name][rows]

    def growth(self, forward: bool) -> Growth:
        """Per level in the direction in which the pass goes."""
        sigmas, _ = self.curve(forward)
        return growth(sigmas if forward else sigmas[:, ::-1])

    def last(self, name: str) -> tuple[float, float]:
        """A statistic of the topmost block that has it, with its standard error."""
        return self._of_row(name, -1)

    def first(self, name: str) -> tuple[float, float]:
        """The same of the lowest."""
        return self._of_row(name, 0)

    def _of_row(self, name: str, which: int) -> tuple[float, float]:
        rows = [row for row in range(len(self.place)) if not np.isnan(self.figures[name][:, row]).all()]
        return mean_and_error(self.figures[name][:, rows[which]]) if rows else (math.nan, math.nan)

    def worst_cosine(self) -> float:
        """The smallest mean cosine of any block's weights; NaN where the scheme scales no gradient."""
        known = self.figures["cosine"].mean(axis=0)
        return float(np.nanmin(known)) if not np.isnan(known).all() else math.nan

    def end(self, forward: bool) -> Array:
        """σ[network] where the pass ends: of y at the top, or of dx at the bottom."""
        return self.curve(forward)[0][:, -1 if forward else 0]

    @property
    def whole(self) -> tuple[float, float]:
        """The cosine of the scaled and the true gradient of all weights together, with its standard error."""
        return mean_and_error(self.whole_cosine)


@dataclass(frozen=True)
class Outcome:
    """A whole experiment."""

    title: str
    combinations: list[Combination]
    provenance: dict[str, Any]

    def rows(self) -> list[dict[str, Any]]:
        """One dictionary per block, with the columns of COLUMNS."""
        return [row for combination in self.combinations for row in _rows(combination)]

    def find(self, network: str, scheme: str) -> Combination | None:
        """The combination of these names."""
        named = (c for c in self.combinations if (c.network.name, c.scheme) == (network, scheme))
        return next(named, None)

    def names(self) -> list[str]:
        """The architectures, in their order."""
        return list(dict.fromkeys(c.network.name for c in self.combinations))

    def schemes(self) -> list[str]:
        """The schemes, in their order."""
        return list(dict.fromkeys(c.scheme for c in self.combinations))


def outcome(experiment: Experiment, answers: Answers, provenance: dict[str, Any]) -> Outcome:
    """Everything in the order of the configuration, whatever the order in which it was computed."""
    groups: dict[tuple[int, str], list[Task]] = {}
    for task in experiment.tasks():
        groups.setdefault((task.architecture, task.scheme), []).append(task)
    found = []
    for (place, scheme), tasks in groups.items():
        network = experiment.networks[place]
        paths = [node.path for node in network.rows()]
        measured = [answers[task] for task in tasks if task.number != PREDICTION]
        (theory,) = [answers[task]["figures"] for task in tasks if task.number == PREDICTION]
        found.append(
            Combination(
                network,
                scheme,
                experiment.config.batch,
                {s: np.array([[one["figures"][path][s] for path in paths] for one in measured]) for s in STATISTICS},
                {s: np.array([theory[path][s] for path in paths]) for s in PREDICTED},
                np.array([one["whole_cosine"] for one in measured]),
                {path: row for row, path in enumerate(paths)},
            )
        )
    return Outcome(experiment.title, found, provenance)


def _rows(combination: Combination) -> list[dict[str, Any]]:
    rows = []
    for place, node in enumerate(combination.network.rows()):
        row: dict[str, Any] = {
            "network": combination.network.name,
            "scheme": combination.scheme,
            "level": node.level,
            "path": node.path,
            "block": label(node),
            "networks": combination.networks,
        }
        for name, values in combination.figures.items():
            row[name], row[f"{name}_se"] = mean_and_error(values[:, place])
        row |= {f"predicted_{name}": float(values[place]) for name, values in combination.predicted.items()}
        rows.append({name: _known(value) for name, value in row.items()})
    return rows


def _known(value: Any) -> Any:
    """None for NaN: there is no such number."""
    return None if isinstance(value, float) and math.isnan(value) else value
