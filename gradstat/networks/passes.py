"""One random network, forward and backward, each layer measured on the way.

Forward from x ~ N(0, I), backward from dy ~ N(0, I) at the top. A scheme that scales the backward pass only is walked
twice: once with its scales, once without them, which is the true gradient, and the two are compared.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from gradstat.networks.network import Leaf, Network, Node, Residual, Scaling, scalings
from gradstat.networks.plain_operations import Activation
from gradstat.networks.randomness import MASK, SIGNAL, UPSTREAM, WEIGHTS, Array, normals, uniforms
from gradstat.networks.schemes import Scheme

# Of every node in one network; NaN where a node has none (weights, units that die, a second gradient).
STATISTICS: dict[str, str] = {
    "y_mean": "mean of y over samples and units",
    "y_std": "σ of y over samples and units",
    "dx_std": "σ of the gradient with respect to x, as the scheme hands it down",
    "dx_mad": "E|v − E[v]| of the same",
    "dw_std": "σ of the gradient with respect to W, summed over the batch",
    "dw_mad": "E|v − E[v]| of the same",
    "dead": "share of units whose slope is 0 for every sample",
    "rank": "effective rank of the batch's y: (Σλ)²/Σλ² over the eigenvalues λ of yyᵀ, from 1 to the batch",
    "cosine": "cosine between the scaled and the true gradient with respect to W",
    "ratio": "norm of the scaled over norm of the true gradient with respect to W",
}
Figures = dict[str, float]


@dataclass(frozen=True)
class Measured:
    """Statistics of every node by path, and the cosine of the scaled and the true gradient of all weights together."""

    figures: dict[str, Figures]
    whole_cosine: float


class NetworkPass:
    """One network of one scheme: its draws, what it remembers on the way up, what it measures."""

    def __init__(self, network: Network, scheme: Scheme, seed: int, number: int, batch: int) -> None:
        self.network, self.scalings = network, scalings(network, scheme)
        self.seed, self.number, self.batch = seed, number, batch
        self.figures: dict[str, Figures] = {node.path: dict.fromkeys(STATISTICS, math.nan) for node in network.rows()}
        self.drawn: dict[str, Array] = {}
        self.memory: dict[str, Any] = {}
        self.weights: dict[str, list[Array]] = {}  # gradients: as scaled, and true
        self.products = np.zeros(3)  # over all weights: scaled·true, scaled·scaled, true·true

    def run(self) -> Measured:
        """Both passes."""
        x = normals(self.seed, self.number, 0, SIGNAL, (self.batch, *self.network.features))
        y = self.forward(self.network.nodes, x)
        dy = normals(self.seed, self.number, 0, UPSTREAM, y.shape)
        passes = 2 if any(scaling.gradient_scale != 1.0 for scaling in self.scalings.values()) else 1
        self.backward(self.network.nodes, [dy, dy][:passes])
        product, own, true = self.products
        return Measured(self.figures, float(product / math.sqrt(own * true)) if own * true > 0.0 else math.nan)

    def forward(self, nodes: Sequence[Node], x: Array) -> Array:
        """y of the last node."""
        for node in nodes:
            scaling = self.scalings[node.path]
            if isinstance(node, Residual):
                y = x + node.weight * self.forward(node.branch, x)
            else:
                y = self._operate(node, scaling, x)
            if scaling.shift != 0.0:
                y -= scaling.shift
            if scaling.divisor != 1.0:
                y /= scaling.divisor
            self.figures[node.path] |= {"y_mean": float(y.mean()), "y_std": float(y.std()), "rank": rank(y)}
            x = y
        return x

    def _operate(self, leaf: Leaf, scaling: Scaling, x: Array) -> Array:
        operation = leaf.operation
        drawn = None
        if operation.fans is not None:
            raw = normals(self.seed, self.number, leaf.site, WEIGHTS, operation.draws)
            drawn = unit(raw, scaling.normalized, operation.fans.taps)
            drawn *= scaling.weight_std
            self.drawn[leaf.path] = drawn
        elif operation.draws:
            drawn = uniforms(self.seed, self.number, leaf.site, MASK, (self.batch, *operation.draws))
        y, memory = operation.forward(x, drawn)
        self.memory[leaf.path] = memory
        if isinstance(operation, Activation):
            self.figures[leaf.path]["dead"] = dead(memory)
        return y

    def backward(self, nodes: Sequence[Node], dys: list[Array]) -> list[Array]:
        """dx of the first node, of every pass; the first pass is the scaled one."""
        for node in reversed(nodes):
            scaling = self.scalings[node.path]
            factors = (scaling.gradient_scale / scaling.divisor, 1.0 / scaling.divisor)
            if isinstance(node, Residual):
                factors = (scaling.gradient_scale, 1.0)  # the divisor comes first: the branch has weights
                inner = self.backward(node.branch, [node.weight / scaling.divisor * dy for dy in dys])
                dxs = [dy / scaling.divisor + branch for dy, branch in zip(dys, inner, strict=True)]
            else:
                dxs = self._differentiate(node, dys)
            dxs = [dx if f == 1.0 else f * dx for f, dx in zip(factors, dxs, strict=False)]
            self.figures[node.path] |= std_and_mad("dx", dxs[0])
            dys = dxs
        return dys

    def _differentiate(self, leaf: Leaf, dys: list[Array]) -> list[Array]:
        """dx of every pass, still without the scheme's factors; the weights' gradients are measured."""
        drawn, memory = self.drawn.get(leaf.path), self.memory[leaf.path]
        both = [leaf.operation.backward(dy, drawn, memory) for dy in dys]
        weights = [dw for _, dw in both if dw is not None]
        if weights:
            self._compare(leaf.path, weights)
        return [dx for dx, _ in both]

    def _compare(self, path: str, weights: list[Array]) -> None:
        """σ and MAD of the scaled gradient, and where there is a true one beside it, their cosine and ratio."""
        figures, scaled = self.figures[path], weights[0].ravel()
        figures |= std_and_mad("dw", scaled)
        if len(weights) > 1:
            true = weights[1].ravel()
            products = np.array([scaled @ true, scaled @ scaled, true @ true])
            self.products += products
            lengths = np.sqrt(products[1:])
            if lengths.all():
                figures["cosine"] = float(products[0] / lengths[0] / lengths[1])
                figures["ratio"] = float(lengths[0] / lengths[1])


def unit(raw: Array, normalized: str, taps: int = 1) -> Array:
    """Weights of unit mean square: as drawn, or exactly so for every output, every input, or by the mean of both."""
    if not normalized:
        return raw
    each = raw.reshape(len(raw), -1, taps)
    outputs, inputs, _ = each.shape
    rows = np.sqrt(np.einsum("oit,oit->o", each, each) / (inputs * taps)).reshape(-1, 1, 1)
    columns = np.sqrt(np.einsum("oit,oit->i", each, each) / (outputs * taps)).reshape(-1, 1)
    scale = {"rows": rows, "columns": columns, "both": np.sqrt(rows * columns)}[normalized]
    scaled: Array = each / scale
    return scaled.reshape(raw.shape)


def rank(y: Array) -> float:
    """(Σλ)²/Σλ² over the eigenvalues of yyᵀ: the batch where samples differ, 1 where all are alike or one is large."""
    flat = y.reshape(len(y), -1)
    size = np.max(np.abs(flat))
    if not 0.0 < size < math.inf:
        return math.nan
    flat = flat / size
    gram = flat @ flat.T
    return float(np.trace(gram) ** 2 / np.sum(gram**2))


def std_and_mad(name: str, values: Array) -> Figures:
    """σ and E|v − E[v]|."""
    distance = values.ravel() - values.mean()
    std = math.sqrt(float(distance @ distance) / len(distance))
    return {f"{name}_std": std, f"{name}_mad": float(np.abs(distance, out=distance).mean())}


def dead(slope: Array) -> float:
    """The share of units, or channels of a map, whose slope is 0 for every sample and position."""
    axes = tuple(i for i in range(slope.ndim) if i != 1)
    return float(np.mean(~np.any(slope != 0.0, axis=axes)))


def measure(network: Network, scheme: Scheme, seed: int, number: int, batch: int) -> Measured:
    """Network `number` of an architecture under a scheme; what overflows comes out as infinite or NaN."""
    with np.errstate(all="ignore"):
        return NetworkPass(network, scheme, seed, number, batch).run()
