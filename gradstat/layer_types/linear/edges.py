"""Linear maps as lists of connections: y = Wx, dx = Wᵀdy, with W new in every draw and normalized, or flat.

Weights are noise in PyTorch's order. Normalization divides a set of weights by its ℓ2 norm. Flat weights are all 1
before normalization. Only small maps are sampled so; `streams` draws the weights of larger ones one after another.
"""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from gradstat.layer_types.windows.kernels import window_table

NORMALIZE = ("fan_in", "fan_out", "none")


def weights_kernel(constants: Any, x: Any, dy: Any, noise: Any, y: Any, dx: Any) -> None:
    """y[o] += w·x[i] and dx[i] += w·dy[o] for every connection (o, i, w), the weights normalized first.

    Constants: numbers of weights, of sets to normalize and of connections; 1 if the noise is uniform on (0, 1), from
    which weights on (−1, 1) are made; set and factor of every weight; connections.
    """
    weights, sets, connections = int(constants[0]), int(constants[1]), int(constants[2])
    lanes = x.shape[1]
    for weight in range(weights if constants[3] == 1.0 else 0):
        for lane in range(lanes):
            noise[weight, lane] = 2.0 * noise[weight, lane] - 1.0
    norm = np.empty((sets, lanes))
    norm[:, :] = 0.0
    for weight in range(weights if sets > 0 else 0):
        own = int(constants[4 + weight])
        for lane in range(lanes):
            norm[own, lane] += noise[weight, lane] * noise[weight, lane]
    for own in range(sets):
        for lane in range(lanes):
            norm[own, lane] = 1.0 / np.sqrt(norm[own, lane])
    for weight in range(weights):
        own, factor = int(constants[4 + weight]), constants[4 + weights + weight]
        if sets > 0:
            for lane in range(lanes):
                noise[weight, lane] *= norm[own, lane]
        if factor != 1.0:
            for lane in range(lanes):
                noise[weight, lane] *= factor
    y[:, :] = 0.0
    dx[:, :] = 0.0
    for connection in range(connections):
        at = 4 + 2 * weights + 3 * connection
        out, in_, weight = int(constants[at]), int(constants[at + 1]), int(constants[at + 2])
        for lane in range(lanes):
            w = noise[weight, lane]
            y[out, lane] += w * x[in_, lane]
            dx[in_, lane] += w * dy[out, lane]


@dataclass(frozen=True)
class Connections:
    """A linear map: the output, input and weight of every connection, and the sets for normalization."""

    n_out: int
    edges: Sequence[tuple[int, int, int]]  # output slot, input slot, weight
    factors: Sequence[float]  # of every weight, applied after normalization
    norm_groups: Sequence[int] | None  # of every weight: its set for normalization; None: not normalized

    @cached_property
    def group_sizes(self) -> Counter[int]:
        """The number of weights in every set."""
        return Counter(self.norm_groups or ())

    def flat(self, weight: int) -> float:
        """The value of a flat weight: factor / √(weights of the group)."""
        return self.factors[weight] / math.sqrt(self.group_sizes[self.norm_groups[weight]] if self.norm_groups else 1)

    def constants(self, noise_kind: str) -> tuple[float, ...]:
        """The constants for `weights_kernel`, with this kind of noise."""
        edges = [number for connection in self.edges for number in connection]
        sets = [0] * len(self.factors) if self.norm_groups is None else self.norm_groups
        counts = (len(sets), len(self.group_sizes), len(self.edges), noise_kind == "uniform")
        return tuple(map(float, (*counts, *sets, *self.factors, *edges)))

    def flat_constants(self) -> tuple[float, ...]:
        """The constants for `average_kernel`, for flat weights."""
        windows: list[list[tuple[int, float]]] = [[] for _ in range(self.n_out)]
        for out, in_, weight in self.edges:
            windows[out].append((in_, 1.0 / self.flat(weight)))
        return window_table(
            [[i for i, _ in own] for own in windows], [divisor for own in windows for _, divisor in own]
        )
