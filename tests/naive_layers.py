"""Layers as a textbook writes them: one draw at a time, in plain Python and `math`, sharing nothing with the package.

Each function takes the parameters and the lists x, dy and noise of one draw, and returns the lists y and dx.
"""

import math
from collections.abc import Callable, Mapping
from typing import Any

Params = Mapping[str, Any]
Draw = list[float]
Naive = Callable[[Params, Draw, Draw, Draw], tuple[Draw, Draw]]


def relu(params: Params, x: float) -> tuple[float, float]:
    """PyTorch gives the kink slope 0."""
    return (x, 1.0) if x > 0 else (0.0, 0.0)


def leaky_relu(params: Params, x: float) -> tuple[float, float]:
    """PyTorch gives the kink the slope of the negative side."""
    slope = params["negative_slope"]
    return (x, 1.0) if x > 0 else (slope * x, slope)


def sigmoid(params: Params, x: float) -> tuple[float, float]:
    """The slope as 1/(e^(x/2) + e^(−x/2))², which does not cancel."""
    return 1.0 / (1.0 + math.exp(-x)), 1.0 / (math.exp(0.5 * x) + math.exp(-0.5 * x)) ** 2


def tanh(params: Params, x: float) -> tuple[float, float]:
    """The slope as 1/cosh²."""
    return math.tanh(x), 1.0 / math.cosh(x) ** 2


def max_pool2d(params: Params, x: Draw, dy: Draw, noise: Draw) -> tuple[Draw, Draw]:
    """One window. The gradient goes to the first of the largest, as in PyTorch."""
    winner = x.index(max(x))
    return [x[winner]], [dy[0] if slot == winner else 0.0 for slot in range(len(x))]


def avg_pool2d(params: Params, x: Draw, dy: Draw, noise: Draw) -> tuple[Draw, Draw]:
    """One window."""
    return [math.fsum(x) / len(x)], [dy[0] / len(x) for _ in x]


def dropout(params: Params, x: Draw, dy: Draw, noise: Draw) -> tuple[Draw, Draw]:
    """The uniform noise decides: below p the input is dropped."""
    if noise[0] < params["p"]:
        return [0.0], [0.0]
    keep = 1.0 - params["p"] if params["inverted"] else 1.0
    return [x[0] / keep], [dy[0] / keep]


def linear(params: Params, x: Draw, dy: Draw, noise: Draw) -> tuple[Draw, Draw]:
    """The normal noise is W, output by output."""
    n_in, n_out = len(x), len(dy)
    w = [noise[out * n_in : (out + 1) * n_in] for out in range(n_out)]
    if params["normalize"] == "fan_in":
        w = [[v / math.hypot(*row) for v in row] for row in w]
    if params["normalize"] == "fan_out":
        norms = [math.hypot(*(row[i] for row in w)) for i in range(n_in)]
        w = [[v / norm for v, norm in zip(row, norms, strict=True)] for row in w]
    y = [math.fsum(w[out][i] * x[i] for i in range(n_in)) for out in range(n_out)]
    return y, [math.fsum(w[out][i] * dy[out] for out in range(n_out)) for i in range(n_in)]


def _elementwise(function: Callable[[Params, float], tuple[float, float]]) -> Naive:
    def layer(params: Params, x: Draw, dy: Draw, noise: Draw) -> tuple[Draw, Draw]:
        y, slope = function(params, x[0])
        return [y], [slope * dy[0]]

    return layer


NAIVE: dict[str, Naive] = {
    **{function.__name__: _elementwise(function) for function in (relu, leaky_relu, sigmoid, tanh)},
    **{function.__name__: function for function in (max_pool2d, avg_pool2d, dropout, linear)},
}
