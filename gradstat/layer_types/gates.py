"""Gated linear units: y = a·g(b), where the gate g of one half of the features multiplies the other half.

Slot 0 is a (`value`), slot 1 is b (`gate`), the order of the halves in torch.nn.functional.glu.
The gates for exact values are implemented separately from those of the kernels, so that each checks the other.
"""

import math
from collections.abc import Callable
from typing import Any

from gradstat.assumptions import Input, Upstream
from gradstat.layer_types.exact.closed_forms import second_moment
from gradstat.layer_types.exact.distributions import abs_mean_of_upstream
from gradstat.layer_types.exact.quadrature import expectation, moments
from gradstat.layer_types.record import (
    BACKWARD,
    FORWARD,
    REAL,
    Exact,
    Layer,
    Parameter,
    Params,
    Row,
    Shape,
    all_values,
    one_of,
)
from gradstat.numerics import elementary as el
from gradstat.numerics.elementary import Value

Pair = tuple[Value, Value]

VALUE, GATE = "value", "gate"
ROWS = (
    Row(FORWARD, "all", (0,)),
    Row(BACKWARD, "all", (0, 1)),
    Row(BACKWARD, VALUE, (0,)),
    Row(BACKWARD, GATE, (1,)),
)
SQRT_HALF = 0.7071067811865476
GELU_QUICK = 1.702
DENSITY_AT_0 = 0.3989422804014327  # 1/√(2π)
TANH_SCALE, TANH_CUBIC = 0.7978845608028654, 0.044715  # √(2/π)


def glu_kernel(constants: Any, x: Any, dy: Any, noise: Any, y: Any, dx: Any) -> None:
    """y = a·σ(b)."""
    for lane in range(x.shape[1]):
        gate = el.sigmoid(x[1, lane])
        y[0, lane] = x[0, lane] * gate
        dx[0, lane] = dy[0, lane] * gate
        dx[1, lane] = dy[0, lane] * x[0, lane] * gate * (1.0 - gate)


def reglu_kernel(constants: Any, x: Any, dy: Any, noise: Any, y: Any, dx: Any) -> None:
    """y = a·max(b, 0)."""
    for lane in range(x.shape[1]):
        slope = 1.0 if x[1, lane] > 0.0 else 0.0
        y[0, lane] = x[0, lane] * (x[1, lane] * slope)
        dx[0, lane] = dy[0, lane] * (x[1, lane] * slope)
        dx[1, lane] = dy[0, lane] * x[0, lane] * slope


def swiglu_kernel(constants: Any, x: Any, dy: Any, noise: Any, y: Any, dx: Any) -> None:
    """y = a·b·σ(βb)."""
    beta = constants[0]
    for lane in range(x.shape[1]):
        b = x[1, lane]
        s = el.sigmoid(beta * b)
        y[0, lane] = x[0, lane] * (b * s)
        dx[0, lane] = dy[0, lane] * (b * s)
        dx[1, lane] = dy[0, lane] * x[0, lane] * (s + beta * b * s * (1.0 - s))


def geglu_kernel(constants: Any, x: Any, dy: Any, noise: Any, y: Any, dx: Any) -> None:
    """y = a·b·Φ(b)."""
    for lane in range(x.shape[1]):
        b = x[1, lane]
        below = 0.5 + 0.5 * el.erf(b * SQRT_HALF)
        y[0, lane] = x[0, lane] * (b * below)
        dx[0, lane] = dy[0, lane] * (b * below)
        dx[1, lane] = dy[0, lane] * x[0, lane] * (below + b * DENSITY_AT_0 * el.exp(-0.5 * b * b))


def tanh_geglu_kernel(constants: Any, x: Any, dy: Any, noise: Any, y: Any, dx: Any) -> None:
    """y = a·b·(1 + tanh u)/2, u = √(2/π)(b + 0.044715b³)."""
    for lane in range(x.shape[1]):
        b = x[1, lane]
        t = el.tanh(TANH_SCALE * (b + TANH_CUBIC * b * b * b))
        steepness = TANH_SCALE * (1.0 + 3.0 * TANH_CUBIC * b * b)
        y[0, lane] = x[0, lane] * (0.5 * b * (1.0 + t))
        dx[0, lane] = dy[0, lane] * (0.5 * b * (1.0 + t))
        dx[1, lane] = dy[0, lane] * x[0, lane] * (0.5 * (1.0 + t) + 0.5 * b * (1.0 - t * t) * steepness)


def logistic_gate(b: Value, params: Params) -> Pair:
    """(σ(b), σ′(b) = σ(b)σ(−b))."""
    return el.sigmoid(b), el.sigmoid(b) * el.sigmoid(-b)


def relu_gate(b: Value, params: Params) -> Pair:
    """(max(b, 0), [b > 0])."""
    return el.maximum(b, 0.0), el.where(b > 0.0, 1.0, 0.0)


def silu_gate(b: Value, params: Params) -> Pair:
    """(bσ(βb), σ(βb)(1 + βb·σ(−βb)))."""
    z = params["beta"] * b
    return b * el.sigmoid(z), el.sigmoid(z) * (1.0 + z * el.sigmoid(-z))


def gelu_gate(b: Value, params: Params) -> Pair:
    """(bΦ(b), Φ(b) + bφ(b)), or the same with PyTorch's tanh instead of 2Φ − 1, or with σ(1.702b) instead of Φ."""
    if params["approximate"] == "quick":
        return silu_gate(b, {"beta": GELU_QUICK})
    if params["approximate"] == "none":
        below = 0.5 * (1.0 + el.erf(b / math.sqrt(2.0)))
        return b * below, below + b * el.exp(-b * b / 2.0) / math.sqrt(2.0 * math.pi)
    double = 2.0 * math.sqrt(2.0 / math.pi)  # (1 + tanh u)/2 = σ(2u)
    s = el.sigmoid(double * (b + 0.044715 * b**3))
    other = el.sigmoid(-double * (b + 0.044715 * b**3))
    return b * s, s + b * s * other * double * (1.0 + 3.0 * 0.044715 * b**2)


def exact(gate: Callable[[Value], Pair], row: Row, x: Input, dy: Upstream) -> Exact | None:
    """Products of independent factors: y = a·g(b), da = dy·g(b), db = dy·a·g′(b); `all` is the mean of the last two."""
    kinks = (0.0,)
    g, slope = moments(lambda b: gate(b)[0], x, kinks), moments(lambda b: gate(b)[1], x, kinks)
    size = expectation(abs, x, kinks)
    if g is None or slope is None or g.abs_mean is None or slope.abs_mean is None or size is None:
        return None
    if row.direction == FORWARD:
        var = x.std**2 * (g.var + g.mean**2) + x.mean**2 * g.var
        if x.mean != 0.0:
            return Exact(x.mean * g.mean, var, size * g.abs_mean)
        spread, fourth = size * g.abs_mean, expectation(lambda b: gate(b)[0] ** 4, x, kinks)
        outer = expectation(lambda a: a**4, x)
        known = fourth is not None and outer is not None and var > 0.0
        return Exact(0.0, var, spread, spread, (fourth or 0.0) * (outer or 0.0) / var / var if known else None)
    squares = (g.var + g.mean**2, second_moment(x) * (slope.var + slope.mean**2))
    sizes = (g.abs_mean, size * slope.abs_mean)
    var = sum(squares[slot] for slot in row.slots) / len(row.slots)
    spread = abs_mean_of_upstream(dy) * sum(sizes[slot] for slot in row.slots) / len(row.slots)
    return Exact(0.0, var, spread, spread)


def gated(
    name: str,
    formula: str,
    kernel: Callable[[Params], Callable[..., Any]],
    gate: Callable[[Value, Params], Pair],
    parameters: tuple[Parameter, ...] = (),
    torch: str = "",
    source: str = "Shazeer, GLU Variants Improve Transformer, 2020",
    constants: Callable[[Params], tuple[float, ...]] = all_values,
) -> Layer:
    """The record of one gate."""

    def referee(params: Params, row: Row, x: Input, dy: Upstream) -> Exact | None:
        return exact(lambda b: gate(b, params), row, x, dy)

    return Layer(
        name=name,
        formula=f"y = {formula}, a = x[0], b = x[1]",
        backward="dx = dy·g(b) for a, dy·a·g′(b) for b, where y = a·g(b)",
        torch=torch,
        kernel=kernel,
        elementwise=False,
        referee=referee,
        referee_words="quadrature",
        parameters=parameters,
        shape=lambda params: Shape(n_in=2, rows=ROWS),
        constants=constants,
        source=source,
    )


GLU = gated("glu", "a·σ(b)", lambda params: glu_kernel, logistic_gate, torch="torch.nn.functional.glu", source="")
REGLU = gated("reglu", "a·max(b, 0)", lambda params: reglu_kernel, relu_gate)
SWIGLU = gated("swiglu", "a·b·σ(βb)", lambda params: swiglu_kernel, silu_gate, (Parameter("beta", 1.0, REAL),))
GEGLU_KERNELS = {"none": geglu_kernel, "tanh": tanh_geglu_kernel, "quick": swiglu_kernel}
GEGLU = gated(
    "geglu",
    "a·b·Φ(b); approximate = tanh: Φ(b) ≈ (1 + tanh(√(2/π)(b + 0.044715b³)))/2; quick: Φ(b) ≈ σ(1.702b)",
    lambda params: GEGLU_KERNELS[params["approximate"]],
    gelu_gate,
    (Parameter("approximate", "none", one_of(*GEGLU_KERNELS)),),
    constants=lambda params: (GELU_QUICK,) if params["approximate"] == "quick" else (),
)
GATES = (GLU, GEGLU, SWIGLU, REGLU)
