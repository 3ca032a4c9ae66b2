"""The answers of all tasks → statistics over networks, for every block, and for every architecture and scheme."""

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
    row_of: dict[str, int] = field(default_factory=dict)  # path → row

    @property
    def networks(self) -> int:
        """The number of networks."""
        return len(self.whole_cosine)

    def ends(self) -> list[int]:
        """The row of the last block of each level, whose y is the output of the level."""
        return [self.row_of[node.path] for node in {node.level: node for node in self.network.nodes}.values()]

    def starts(self) -> list[int]:
        """The row of the first block of each level, whose dx is the gradient of the level."""
        firsts = {node.level: node for node in reversed(self.network.nodes)}
        return [self.row_of[firsts[level].path] for level in sorted(firsts)]

    def curve(self, forward: bool) -> tuple[Array, Array]:
        """σ[network, level], of y or of dx, and its prediction, from the input to the output."""
        name, rows = ("y_std", self.ends()) if forward else ("dx_std", self.starts())
        return self.figures[name][:, rows], self.predicted[name][rows]

    def growth(self, forward: bool) -> Growth:
        """Growth per level, in the direction of the pass."""
        sigmas, _ = self.curve(forward)
        return growth(sigmas if forward else sigmas[:, ::-1])

    def last(self, name: str) -> tuple[float, float]:
        """A statistic of the last block that has it, with its standard error."""
        return self._of_row(name, -1)

    def first(self, name: str) -> tuple[float, float]:
        """A statistic of the first block that has it, with its standard error."""
        return self._of_row(name, 0)

    def _of_row(self, name: str, which: int) -> tuple[float, float]:
        rows = [row for row in range(len(self.row_of)) if not np.isnan(self.figures[name][:, row]).all()]
        return mean_and_error(self.figures[name][:, rows[which]]) if rows else (math.nan, math.nan)

    def worst_cosine(self) -> float:
        """The smallest mean cosine of the weights of a block; NaN if the scheme does not scale the gradient alone."""
        cosines = self.figures["cosine"].mean(axis=0)
        return float(np.nanmin(cosines)) if not np.isnan(cosines).all() else math.nan

    def end(self, forward: bool) -> Array:
        """σ[network] at the end of the pass: of y at the output, or of dx at the input."""
        return self.curve(forward)[0][:, -1 if forward else 0]

    @property
    def whole(self) -> tuple[float, float]:
        """The cosine of the scaled and the true gradient of all weights together, with its standard error."""
        return mean_and_error(self.whole_cosine)


@dataclass(frozen=True)
class Outcome:
    """The outcome of an experiment."""

    title: str
    combinations: list[Combination]
    provenance: dict[str, Any]

    def rows(self) -> list[dict[str, Any]]:
        """One dictionary per block, with the columns of COLUMNS."""
        return [row for combination in self.combinations for row in _rows(combination)]

    def find(self, network: str, scheme: str) -> Combination | None:
        """The combination with these names; None if there is none."""
        named = (c for c in self.combinations if (c.network.name, c.scheme) == (network, scheme))
        return next(named, None)

    def names(self) -> list[str]:
        """The names of the architectures in the order of the configuration."""
        return list(dict.fromkeys(c.network.name for c in self.combinations))

    def schemes(self) -> list[str]:
        """The names of the schemes in the order of the configuration."""
        return list(dict.fromkeys(c.scheme for c in self.combinations))


def outcome(experiment: Experiment, answers: Answers, provenance: dict[str, Any]) -> Outcome:
    """The outcome in the order of the configuration; the order of the answers does not matter."""
    groups: dict[tuple[int, str], list[Task]] = {}
    for task in experiment.tasks():
        groups.setdefault((task.architecture, task.scheme), []).append(task)
    combinations = []
    for (architecture, scheme), tasks in groups.items():
        network = experiment.networks[architecture]
        paths = [node.path for node in network.rows()]
        measured = [answers[task] for task in tasks if task.number != PREDICTION]
        (theory,) = [answers[task]["figures"] for task in tasks if task.number == PREDICTION]
        combinations.append(
            Combination(
                network,
                scheme,
                experiment.config.batch,
                {
                    s: np.array([[answer["figures"][path][s] for path in paths] for answer in measured])
                    for s in STATISTICS
                },
                {s: np.array([theory[path][s] for path in paths]) for s in PREDICTED},
                np.array([answer["whole_cosine"] for answer in measured]),
                {path: row for row, path in enumerate(paths)},
            )
        )
    return Outcome(experiment.title, combinations, provenance)


def _rows(combination: Combination) -> list[dict[str, Any]]:
    rows = []
    for index, node in enumerate(combination.network.rows()):
        row: dict[str, Any] = {
            "network": combination.network.name,
            "scheme": combination.scheme,
            "level": node.level,
            "path": node.path,
            "block": label(node),
            "networks": combination.networks,
        }
        for name, values in combination.figures.items():
            row[name], row[f"{name}_se"] = mean_and_error(values[:, index])
        row |= {f"predicted_{name}": float(values[index]) for name, values in combination.predicted.items()}
        rows.append({name: _number(value) for name, value in row.items()})
    return rows


def _number(value: Any) -> Any:
    """The value, None for NaN."""
    return None if isinstance(value, float) and math.isnan(value) else value
