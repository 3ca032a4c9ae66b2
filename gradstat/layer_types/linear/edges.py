"""Linear maps as lists of connections: y = Wx, dx = Wᵀdy, W drawn anew in every draw and then normalized, or flat.

Weights are standard normal noise in PyTorch's order. A set of them is normalized by dividing it by its ℓ2 norm. Flat
weights are all 1 before that.
"""

import math
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from gradstat.assumptions import Input, Upstream
from gradstat.layer_types.exact.closed_forms import Terms, of_inputs, of_upstream, pooled, pooled_normals, second_moment
from gradstat.layer_types.record import FORWARD, Exact, Row
from gradstat.layer_types.windows.kernels import window_table

NORMALIZE = ("fan_in", "fan_out", "none")
LARGEST = 4096  # weights of one draw: 1024 lanes of them take 32 MB


def weights_kernel(constants: Any, x: Any, dy: Any, noise: Any, y: Any, dx: Any) -> None:
    """y[o] += w·x[i] and dx[i] += w·dy[o] for every connection (o, i, w), the weights normalized first.

    Constants: numbers of weights, of sets to normalize and of connections; set and factor of every weight;
    connections.
    """
    weights, sets, connections = int(constants[0]), int(constants[1]), int(constants[2])
    lanes = x.shape[1]
    norm = np.empty((sets, lanes))
    norm[:, :] = 0.0
    for weight in range(weights if sets > 0 else 0):
        own = int(constants[3 + weight])
        for lane in range(lanes):
            norm[own, lane] += noise[weight, lane] * noise[weight, lane]
    for own in range(sets):
        for lane in range(lanes):
            norm[own, lane] = 1.0 / np.sqrt(norm[own, lane])
    for weight in range(weights):
        own, factor = int(constants[3 + weight]), constants[3 + weights + weight]
        if sets > 0:
            for lane in range(lanes):
                noise[weight, lane] *= norm[own, lane]
        if factor != 1.0:
            for lane in range(lanes):
                noise[weight, lane] *= factor
    y[:, :] = 0.0
    dx[:, :] = 0.0
    for connection in range(connections):
        at = 3 + 2 * weights + 3 * connection
        out, in_, weight = int(constants[at]), int(constants[at + 1]), int(constants[at + 2])
        for lane in range(lanes):
            w = noise[weight, lane]
            y[out, lane] += w * x[in_, lane]
            dx[in_, lane] += w * dy[out, lane]


@dataclass(frozen=True)
class Connections:
    """A linear map: which weight joins which output to which input, and what the weights are normalized over."""

    n_out: int
    edges: Sequence[tuple[int, int, int]]  # output slot, input slot, weight
    factors: Sequence[float]  # of every weight, after it is normalized
    norm_groups: Sequence[int] | None  # of every weight: the set that is divided by its norm; None: as drawn
    grid: tuple[int, ...] = ()  # the map of the inputs, where they have one

    @cached_property
    def group_sizes(self) -> Counter[int]:
        """The number of weights in every set."""
        return Counter(self.norm_groups or ())

    def flat(self, weight: int) -> float:
        """A weight where all are alike: factor / √(weights of the group)."""
        return self.factors[weight] / math.sqrt(self.group_sizes[self.norm_groups[weight]] if self.norm_groups else 1)

    def constants(self) -> tuple[float, ...]:
        """What `weights_kernel` receives."""
        edges = [number for connection in self.edges for number in connection]
        sets = [0] * len(self.factors) if self.norm_groups is None else self.norm_groups
        counts = (len(sets), len(self.group_sizes), len(self.edges))
        return tuple(map(float, (*counts, *sets, *self.factors, *edges)))

    def flat_constants(self) -> tuple[float, ...]:
        """What `average_kernel` receives where all weights are alike."""
        windows: list[list[tuple[int, float]]] = [[] for _ in range(self.n_out)]
        for out, in_, weight in self.edges:
            windows[out].append((in_, 1.0 / self.flat(weight)))
        return window_table(
            [[i for i, _ in own] for own in windows], [divisor for own in windows for _, divisor in own]
        )

    def terms(self, row: Row) -> list[list[tuple[int, int]]]:
        """Of every slot of a row: (slot on the other side, weight)."""
        found = defaultdict(list)
        for out, in_, weight in self.edges:
            here, there = (out, in_) if row.direction == FORWARD else (in_, out)
            found[here].append((there, weight))
        return [found[slot] for slot in row.slots]

    def flat_referee(self, row: Row, x: Input, dy: Upstream) -> Exact | None:
        """A fixed linear map."""
        slots: list[Terms] = [[(at, self.flat(weight)) for at, weight in own] for own in self.terms(row)]
        return of_inputs(slots, x, self.grid) if row.direction == FORWARD else of_upstream(slots, dy)

    def referee(self, row: Row, x: Input, dy: Upstream) -> Exact:
        """Zero mean, variance Σ E[w²]·E[u²], whatever the correlations: the signs of the weights are independent.

        Normal where whole sets meet independent normal values of zero mean: their weights then have a fixed norm.
        """
        forward = row.direction == FORWARD
        parts = [(0.0, self._variance(own) * (second_moment(x) if forward else 1.0)) for own in self.terms(row)]
        if forward:
            normal = x.is_normal and x.mean == 0.0 and not (x.correlation and self.grid)
        else:
            normal = dy.is_normal and not dy.correlation
        return pooled_normals(parts) if normal and all(map(self._whole, self.terms(row))) else pooled(parts)

    def _variance(self, terms: list[tuple[int, int]]) -> float:
        """Σ E[w²], E[w²] = factor²/(weights of the group)."""
        sets, factors = self.norm_groups, self.factors
        return math.fsum(factors[w] ** 2 / (self.group_sizes[sets[w]] if sets else 1) for _, w in terms)

    def _whole(self, terms: list[tuple[int, int]]) -> bool:
        """True where every set is here with all its weights, and with one factor."""
        if self.norm_groups is None:
            return False
        found = Counter(self.norm_groups[weight] for _, weight in terms)
        factors = {(self.norm_groups[weight], self.factors[weight]) for _, weight in terms}
        return len(factors) == len(found) and all(self.group_sizes[own] == count for own, count in found.items())
