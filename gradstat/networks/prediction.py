"""The mean-field prediction of σ forward and backward, from the constants of single layers at the scale of their input.

Forward, σ[y]² = Σ E[w²]·E[x²] after weights, and E[f], Var[f] at that σ after an activation. Backward, σ[dx]² =
χ·σ[dy]² with χ = Σ E[w²] for weights and χ = E[f′²] for an activation. It assumes that units are normal and independent
of each other and of the gradient, which holds in the limit of wide networks.
"""

import math
from collections.abc import Sequence

from gradstat.networks.network import Network, Node, Residual, Scaling, scalings
from gradstat.networks.operations import Moments
from gradstat.networks.schemes import Scheme

PREDICTED = ("y_mean", "y_std", "dx_std", "dw_std")
Figures = dict[str, float]


class _Recursion:
    """The recursion of mean and σ, forward and then backward."""

    def __init__(self, network: Network, scheme: Scheme, batch: int) -> None:
        self.scalings, self.batch = scalings(network, scheme), batch
        self.figures: dict[str, Figures] = {node.path: dict.fromkeys(PREDICTED, math.nan) for node in network.rows()}
        self.inputs: dict[str, float] = {}  # rms of x
        self.slopes: dict[str, float] = {}

    def forward(self, nodes: Sequence[Node], mean: float, std: float) -> tuple[float, float]:
        for node in nodes:
            scaling = self.scalings[node.path]
            self.inputs[node.path] = math.hypot(mean, std)
            moments = self._moments(node, scaling, mean, std)
            self.slopes[node.path] = moments.slope
            mean, std = (moments.mean - scaling.shift) / scaling.divisor, moments.std / scaling.divisor
            self.figures[node.path] |= {"y_mean": mean, "y_std": std}
        return mean, std

    def _moments(self, node: Node, scaling: Scaling, mean: float, std: float) -> Moments:
        if isinstance(node, Residual):
            inner_mean, inner_std = self.forward(node.branch, mean, std)
            total = math.hypot(std, node.weight * inner_std)
            return Moments(mean + node.weight * inner_mean, total, math.nan)
        moments = node.operation.moments(mean, std, scaling.weight_std) if std < math.inf else None
        return moments or Moments(math.nan, math.nan, math.nan)

    def backward(self, nodes: Sequence[Node], dy: float) -> float:
        for node in reversed(nodes):
            scaling = self.scalings[node.path]
            if isinstance(node, Residual):
                dy /= scaling.divisor
                dx = math.hypot(dy, self.backward(node.branch, node.weight * dy)) * scaling.divisor
            else:
                if node.operation.fans is not None:
                    terms = self.batch * node.operation.terms
                    self.figures[node.path]["dw_std"] = math.sqrt(terms) * dy * self.inputs[node.path]
                dx = self.slopes[node.path] * dy
            dy = dx * scaling.gradient_scale / scaling.divisor
            self.figures[node.path]["dx_std"] = dy
        return dy


def predict(network: Network, scheme: Scheme, batch: int) -> dict[str, Figures]:
    """The predicted figures of every node, by path; NaN if unknown."""
    recursion = _Recursion(network, scheme, batch)
    recursion.forward(network.nodes, 0.0, 1.0)
    recursion.backward(network.nodes, 1.0)
    return recursion.figures
