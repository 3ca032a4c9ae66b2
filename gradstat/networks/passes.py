"""The forward and the backward pass through one random network, and the statistics of every node.

x ~ N(0, I) enters at the input, dy ~ N(0, I) at the output. If a scheme scales the backward pass alone, two gradients
pass backward, with its scales and without them (the true gradient), and are compared.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from gradstat.networks.network import Leaf, Network, Node, Residual, Scaling, scalings
from gradstat.networks.plain_operations import Activation
from gradstat.networks.randomness import MASK, SIGNAL, UPSTREAM, WEIGHTS, Array, normals, uniforms
from gradstat.networks.schemes import Scheme

# Statistics of a node in one network; NaN if the node has no weights, no activation or no second gradient.
STATISTICS: dict[str, str] = {
    "y_mean": "mean of y over samples and units",
    "y_std": "σ of y over samples and units",
    "dx_std": "σ of the gradient with respect to x, with the scales of the scheme",
    "dx_mad": "E|v − E[v]| of that gradient",
    "dw_std": "σ of the gradient with respect to W, summed over the batch",
    "dw_mad": "E|v − E[v]| of that gradient",
    "dead": "fraction of units whose slope is 0 for every sample",
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
    """A forward and a backward pass through a network with given weights and masks; measures every node on the way.

    `gradients` holds, if `keep_gradients`, dW by path: one array per gradient that passes backward.
    """

    def __init__(
        self,
        network: Network,
        scalings: Mapping[str, Scaling],
        drawn: Mapping[str, Array],
        keep_gradients: bool = False,
    ) -> None:
        self.network, self.scalings, self.drawn, self.keep_gradients = network, scalings, drawn, keep_gradients
        self.figures: dict[str, Figures] = {node.path: dict.fromkeys(STATISTICS, math.nan) for node in network.rows()}
        self.memory: dict[str, Any] = {}
        self.gradients: dict[str, list[Array]] = {}
        self.products = np.zeros(3)  # over all weights: scaled·true, scaled·scaled, true·true

    def run(self, x: Array, draw_dy: Callable[[tuple[int, ...]], Array]) -> Measured:
        """Both passes; a second, true gradient passes backward if the scheme scales the backward pass alone."""
        y = self.forward(self.network.nodes, x)
        dy = draw_dy(y.shape)
        gradients = 2 if any(scaling.gradient_scale != 1.0 for scaling in self.scalings.values()) else 1
        self.backward(self.network.nodes, [dy, dy][:gradients])
        product, scaled, true = self.products
        return Measured(self.figures, float(product / math.sqrt(scaled * true)) if scaled * true > 0.0 else math.nan)

    def forward(self, nodes: Sequence[Node], x: Array) -> Array:
        """y of the last node."""
        for node in nodes:
            scaling = self.scalings[node.path]
            y = x + node.weight * self.forward(node.branch, x) if isinstance(node, Residual) else self._apply(node, x)
            if scaling.shift != 0.0:
                y -= scaling.shift
            if scaling.divisor != 1.0:
                y /= scaling.divisor
            self.figures[node.path] |= {"y_mean": float(y.mean()), "y_std": float(y.std()), "rank": rank(y)}
            x = y
        return x

    def _apply(self, leaf: Leaf, x: Array) -> Array:
        y, memory = leaf.operation.forward(x, self.drawn.get(leaf.path))
        self.memory[leaf.path] = memory
        if isinstance(leaf.operation, Activation):
            self.figures[leaf.path]["dead"] = dead(memory)
        return y

    def backward(self, nodes: Sequence[Node], dys: list[Array]) -> list[Array]:
        """dx of the first node, one array per dy: the scaled gradient, then (if there are two) the true one."""
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
        """dx of every gradient, without the scheme's factors; measures dW."""
        drawn, memory = self.drawn.get(leaf.path), self.memory[leaf.path]
        both = [leaf.operation.backward(dy, drawn, memory) for dy in dys]
        dws = [dw for _, dw in both if dw is not None]
        if dws:
            self._compare(leaf.path, dws)
        if self.keep_gradients:
            self.gradients[leaf.path] = dws
        return [dx for dx, _ in both]

    def _compare(self, path: str, dws: list[Array]) -> None:
        """σ and MAD of the scaled gradient; its cosine with the true one and the ratio of norms, if there are two."""
        figures, scaled = self.figures[path], dws[0].ravel()
        figures |= std_and_mad("dw", scaled)
        if len(dws) > 1:
            true = dws[1].ravel()
            products = np.array([scaled @ true, scaled @ scaled, true @ true])
            self.products += products
            lengths = np.sqrt(products[1:])
            if lengths.all():
                figures["cosine"] = float(products[0] / lengths[0] / lengths[1])
                figures["ratio"] = float(lengths[0] / lengths[1])


def draw(network: Network, scalings: Mapping[str, Scaling], seed: int, number: int, batch: int) -> dict[str, Array]:
    """The weights of network `number` with the σ of its scalings, and uniform numbers for its masks, by path."""
    drawn = {}
    for leaf in (node for node in network.rows() if isinstance(node, Leaf) and node.operation.draws):
        operation, scaling = leaf.operation, scalings[leaf.path]
        if operation.fans is None:
            drawn[leaf.path] = uniforms(seed, number, leaf.site, MASK, (batch, *operation.draws))
        else:
            raw = normals(seed, number, leaf.site, WEIGHTS, operation.draws)
            drawn[leaf.path] = scaling.weight_std * unit(raw, scaling.normalized, operation.fans.taps)
    return drawn


def unit(raw: Array, normalized: str, taps: int = 1) -> Array:
    """Weights of mean square 1: on average if not `normalized`, else exactly: rows, columns, or √(rows·columns)."""
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
    """(Σλ)²/Σλ² over the eigenvalues λ of yyᵀ: the batch size if samples are orthogonal, 1 if they are parallel."""
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
    """The fraction of units, or channels of a map, whose slope is 0 for every sample and position."""
    axes = tuple(i for i in range(slope.ndim) if i != 1)
    return float(np.mean(~np.any(slope != 0.0, axis=axes)))


def measure(network: Network, scheme: Scheme, seed: int, number: int, batch: int) -> Measured:
    """Statistics of network `number` of an architecture under a scheme; infinite or NaN after an overflow."""
    scales = scalings(network, scheme)
    with np.errstate(all="ignore"):
        x = normals(seed, number, 0, SIGNAL, (batch, *network.features))
        network_pass = NetworkPass(network, scales, draw(network, scales, seed, number, batch))
        return network_pass.run(x, lambda shape: normals(seed, number, 0, UPSTREAM, shape))
