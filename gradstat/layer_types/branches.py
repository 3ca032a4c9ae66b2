"""Layers that join branches: the sum, product, average or maximum of k independent inputs, and the residual sum."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from gradstat.assumptions import Input, Upstream
from gradstat.layer_types.exact.closed_forms import normal, second_moment
from gradstat.layer_types.exact.distributions import abs_mean_of_upstream
from gradstat.layer_types.exact.order_statistics import maximum
from gradstat.layer_types.exact.quadrature import expectation
from gradstat.layer_types.record import (
    BACKWARD,
    FLAG,
    FORWARD,
    REAL,
    Exact,
    Layer,
    Parameter,
    Params,
    Row,
    Shape,
    whole,
)

LARGEST = 4096  # branches
RESIDUAL_ROWS = (
    Row(FORWARD, "all", (0,)),
    Row(BACKWARD, "all", (0, 1)),
    Row(BACKWARD, "skip", (0,)),
    Row(BACKWARD, "residual", (1,)),
)


def sum_kernel(constants: Any, x: Any, dy: Any, noise: Any, y: Any, dx: Any) -> None:
    """y = Σ wᵢxᵢ, dxᵢ = wᵢ·dy, one constant w per slot."""
    y[:, :] = 0.0
    for slot in range(x.shape[0]):
        weight = constants[slot]
        for lane in range(x.shape[1]):
            y[0, lane] += weight * x[slot, lane]
            dx[slot, lane] = weight * dy[0, lane]


def product_kernel(constants: Any, x: Any, dy: Any, noise: Any, y: Any, dx: Any) -> None:
    """y = Πx, dxᵢ = dy·(product of the inputs before i)·(product of the inputs after i)."""
    k, lanes = x.shape
    behind = np.ones(lanes)
    y[:, :] = 1.0
    for slot in range(k):
        for lane in range(lanes):
            dx[slot, lane] = dy[0, lane] * y[0, lane]
            y[0, lane] *= x[slot, lane]
    for back in range(k):
        slot = k - 1 - back
        for lane in range(lanes):
            dx[slot, lane] *= behind[lane]
            behind[lane] *= x[slot, lane]


def maxout_kernel(constants: Any, x: Any, dy: Any, noise: Any, y: Any, dx: Any) -> None:
    """y = max x, dx = dy at the first maximum, 0 for other inputs."""
    k, lanes = x.shape
    winner = np.zeros(lanes)
    for lane in range(lanes):
        y[0, lane] = x[0, lane]
    for slot in range(1, k):
        for lane in range(lanes):
            larger = x[slot, lane] > y[0, lane]
            y[0, lane] = x[slot, lane] if larger else y[0, lane]
            winner[lane] = float(slot) if larger else winner[lane]
    for slot in range(k):
        for lane in range(lanes):
            dx[slot, lane] = dy[0, lane] if winner[lane] == slot else 0.0


def sum_referee(weights: tuple[float, ...], row: Row, x: Input, dy: Upstream) -> Exact | None:
    """y: μΣw and σ²Σw²; dx: the mean square of the row's weights."""
    if row.direction == FORWARD:
        if x.correlation and not x.is_normal:
            return None
        squares, total = math.fsum(w * w for w in weights), math.fsum(weights)
        mean, var = x.mean * total, x.std**2 * (squares + x.correlation * (total**2 - squares))
        return normal(mean, var) if x.is_normal else Exact(mean, var)
    own = [weights[slot] for slot in row.slots]
    spread = abs_mean_of_upstream(dy) * math.fsum(abs(w) for w in own) / len(own)
    return Exact(0.0, math.fsum(w * w for w in own) / len(own), spread, spread)


def product_referee(params: Params, row: Row, x: Input, dy: Upstream) -> Exact | None:
    """y: mean μᵏ and E[y²] = (μ² + σ²)ᵏ; dx: the product of the k − 1 other inputs."""
    k, size = params["k"], expectation(abs, x, (0.0,))
    if size is None or x.correlation:
        return None
    if row.direction == BACKWARD:
        spread = abs_mean_of_upstream(dy) * size ** (k - 1)
        return Exact(0.0, second_moment(x) ** (k - 1), spread, spread)
    if x.mean == 0.0:
        return Exact(0.0, x.std ** (2 * k), size**k, size**k)
    var = x.mean ** (2 * k) * math.expm1(k * math.log1p((x.std / x.mean) ** 2))
    return Exact(x.mean**k, var, size**k)


def maxout_referee(params: Params, row: Row, x: Input, dy: Upstream) -> Exact | None:
    """The order-statistics integral for y; each of k inputs is the largest with probability 1/k."""
    k = params["k"]
    if row.direction == FORWARD:
        return None if x.correlation else maximum(k, x)
    spread = abs_mean_of_upstream(dy) / k
    return Exact(0.0, 1.0 / k, spread, spread)


def residual_weights(params: Params) -> tuple[float, float]:
    """(1, τ), divided by √(1 + τ²) if normalized."""
    tau = float(params["tau"])
    scale = math.hypot(1.0, tau) if params["normalized"] else 1.0
    return 1.0 / scale, tau / scale


def equal_weights(weight: Callable[[int], float]) -> Callable[[Params], tuple[float, ...]]:
    """The same weight for each of k branches."""
    return lambda params: (weight(params["k"]),) * params["k"]


def weighted_sum(
    name: str,
    formula: str,
    torch: str,
    weights: Callable[[Params], tuple[float, ...]],
    parameters: tuple[Parameter, ...],
    shape: Callable[[Params], Shape],
    source: str = "",
) -> Layer:
    """The record of y = Σ wᵢxᵢ."""

    def referee(params: Params, row: Row, x: Input, dy: Upstream) -> Exact | None:
        return sum_referee(weights(params), row, x, dy)

    return Layer(
        name=name,
        formula=f"y = {formula}",
        backward="dx = dy · ∂y/∂x, branch by branch",
        torch=torch,
        kernel=lambda params: sum_kernel,
        elementwise=False,
        referee=referee,
        referee_words="closed form",
        parameters=parameters,
        shape=shape,
        constants=weights,
        source=source,
    )


def one_output(params: Params) -> Shape:
    """k inputs, one output."""
    return Shape.pooled(n_in=params["k"], n_out=1, equicorrelated=True)


BRANCHES_K = (Parameter("k", 2, whole(1, LARGEST)),)

ADD = weighted_sum("add", "Σx over k branches", "torch.add", equal_weights(lambda k: 1.0), BRANCHES_K, one_output)
AVERAGE = weighted_sum(
    "average", "Σx / k over k branches", "torch.mean", equal_weights(lambda k: 1.0 / k), BRANCHES_K, one_output
)
RESIDUAL = weighted_sum(
    "residual",
    "(x_skip + τ·x_residual)/√(1 + τ²), without the root if not normalized",
    "",
    residual_weights,
    (Parameter("tau", 1.0, REAL), Parameter("normalized", True, FLAG)),
    lambda params: Shape(n_in=2, equicorrelated=True, rows=RESIDUAL_ROWS),
    "residual_add of the unit-scaling library; Blake et al., Unit Scaling, 2023",
)
MULTIPLY = Layer(
    name="multiply",
    formula="y = Πx over k branches",
    backward="dx = dy · product of the other branches",
    torch="torch.mul",
    kernel=lambda params: product_kernel,
    elementwise=False,
    referee=product_referee,
    referee_words="closed form",
    parameters=(Parameter("k", 2, whole(1, 8)),),  # E[y⁴] = 3ᵏ: with more branches no sample size is enough
    shape=one_output,
    constants=lambda params: (),
)
MAXOUT = Layer(
    name="maxout",
    formula="y = max x over k independent pieces",
    backward="dx = dy at the first of the largest x, 0 elsewhere",
    torch="",
    kernel=lambda params: maxout_kernel,
    elementwise=False,
    referee=maxout_referee,
    referee_words="order statistics",
    parameters=BRANCHES_K,
    shape=one_output,
    constants=lambda params: (),
    source="Goodfellow et al., Maxout Networks, 2013",
)
BRANCHES = (ADD, MULTIPLY, AVERAGE, RESIDUAL, MAXOUT)
