"""Layers that join branches: the sum, product, average or maximum of k independent inputs, and the residual sum."""

import itertools
import math
from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import Any

import numpy as np

from gradstat.assumptions import Input, Upstream
from gradstat.layer_types.exact import inputs, upstream
from gradstat.layer_types.exact.closed_forms import ZERO, average, of_weights
from gradstat.layer_types.exact.enclosure import Enclosure, decimal, enclosure
from gradstat.layer_types.exact.order_statistics import maximum
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


def sum_referee(weights: Sequence[Enclosure], row: Row, x: Input, dy: Upstream) -> Exact | None:
    """y: μΣw and σ²(Σw² + ρ((Σw)² − Σw²)); dx: the mean square of the row's weights."""
    if row.direction == FORWARD:
        return of_weights(weights, x)
    own = [weights[slot] for slot in row.slots]
    spread = upstream.abs_mean(dy) * average([abs(weight) for weight in own])
    return Exact.proven(ZERO, average([weight.squared() for weight in own]), spread, spread)


def product_referee(params: Params, row: Row, x: Input, dy: Upstream) -> Exact | None:
    """y: E[Πx] and E[Πx²] of k inputs; dx: those of the k − 1 other inputs. Correlated inputs have to be normal."""
    k = params["k"] - int(row.direction == BACKWARD)
    if x.correlation and not x.is_normal and k > 1:
        return None
    mean, second = products(k, x)
    spread = power(inputs.distance(x, ZERO), k) if k == 1 or not x.correlation else None
    kurtosis = None if x.correlation or second.is_zero else power(_fourth_moment(x), k) / second.squared()
    if row.direction == BACKWARD:
        own = None if spread is None else upstream.abs_mean(dy) * spread
        return Exact.proven(ZERO, second, own, own, None if kurtosis is None else upstream.kurtosis(dy) * kurtosis)
    if x.mean == 0.0 and not x.correlation:
        return Exact.proven(ZERO, second, spread, spread, kurtosis)
    return Exact.proven(mean, second - mean.squared(), spread)


def _fourth_moment(x: Input) -> Enclosure:
    """E[x⁴] = μ⁴ + 6μ²σ² + κσ⁴."""
    mean, var = inputs.mean(x).squared(), inputs.variance(x)
    return mean.squared() + 6 * mean * var + decimal(x.law.kurtosis) * var.squared()


def products(k: int, x: Input) -> tuple[Enclosure, Enclosure]:
    """E[Πx] and E[Πx²] of k inputs: given s, the inputs μ + σ(√ρ·s + √(1 − ρ)·e) are independent, and s is normal."""
    mean, var, rho = inputs.mean(x), inputs.variance(x), decimal(x.correlation)
    shared, own = var * rho, var * (1 - rho)
    first, second = [mean, enclosure(1)], [mean.squared() + own, 2 * mean, enclosure(1)]
    return _average_power(first, k, shared), _average_power(second, k, shared)


def _average_power(polynomial: Sequence[Enclosure], k: int, var: Enclosure) -> Enclosure:
    """E[q(s)ᵏ] for normal s of this variance: E[s²ʲ] = (2j − 1)!!·varʲ, odd powers have none."""
    product = [enclosure(1)]
    for _ in range(k):
        wider = [ZERO] * (len(product) + len(polynomial) - 1)
        for (i, a), (j, b) in itertools.product(enumerate(product), enumerate(polynomial)):
            wider[i + j] = wider[i + j] + a * b
        product = wider
    moment, result = enclosure(1), ZERO
    for order, coefficient in enumerate(product[::2]):
        result, moment = result + coefficient * moment, moment * var * (2 * order + 1)
    return result


def power(value: Enclosure, exponent: int) -> Enclosure:
    """valueᵏ."""
    return math.prod([value] * exponent, start=enclosure(1))


def maxout_referee(params: Params, row: Row, x: Input, dy: Upstream) -> Exact | None:
    """The largest of k inputs for y; each is the largest with probability 1/k, whatever their correlation is."""
    k = params["k"]
    if row.direction == FORWARD:
        return maximum(k, x, Fraction(repr(x.correlation)))
    spread = upstream.abs_mean(dy) / k
    return Exact.proven(ZERO, enclosure(Fraction(1, k)), spread, spread)


def residual_weights(params: Params) -> tuple[float, float]:
    """(1, τ), divided by √(1 + τ²) if normalized."""
    tau = float(params["tau"])
    scale = math.hypot(1.0, tau) if params["normalized"] else 1.0
    return 1.0 / scale, tau / scale


def proven_residual_weights(params: Params) -> tuple[Enclosure, Enclosure]:
    """The same with τ as the decimal number that was given."""
    tau = decimal(params["tau"])
    scale = (1 + tau.squared()).root() if params["normalized"] else enclosure(1)
    return 1 / scale, tau / scale


def equal_weights(weight: Callable[[int], float]) -> Callable[[Params], tuple[float, ...]]:
    """The same weight for each of k branches."""
    return lambda params: (weight(params["k"]),) * params["k"]


def weighted_sum(
    name: str,
    formula: str,
    torch: str,
    weights: Callable[[Params], tuple[float, ...]],
    proven: Callable[[Params], Sequence[Enclosure]],
    parameters: tuple[Parameter, ...],
    shape: Callable[[Params], Shape],
    source: str = "",
) -> Layer:
    """The record of y = Σ wᵢxᵢ."""

    def referee(params: Params, row: Row, x: Input, dy: Upstream) -> Exact | None:
        return sum_referee(proven(params), row, x, dy)

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

ADD = weighted_sum(
    "add",
    "Σx over k branches",
    "torch.add",
    equal_weights(lambda k: 1.0),
    lambda params: [enclosure(1)] * params["k"],
    BRANCHES_K,
    one_output,
)
AVERAGE = weighted_sum(
    "average",
    "Σx / k over k branches",
    "torch.mean",
    equal_weights(lambda k: 1.0 / k),
    lambda params: [enclosure(Fraction(1, params["k"]))] * params["k"],
    BRANCHES_K,
    one_output,
)
RESIDUAL = weighted_sum(
    "residual",
    "(x_skip + τ·x_residual)/√(1 + τ²), without the root if not normalized",
    "",
    residual_weights,
    proven_residual_weights,
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
    referee_words="proven integral",
    parameters=BRANCHES_K,
    shape=one_output,
    constants=lambda params: (),
    source="Goodfellow et al., Maxout Networks, 2013",
)
BRANCHES = (ADD, MULTIPLY, AVERAGE, RESIDUAL, MAXOUT)
