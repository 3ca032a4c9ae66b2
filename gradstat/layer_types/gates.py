"""Gated linear units: y = a·g(b), where the gate g of one half of the features multiplies the other half.

Slot 0 is a (`value`), slot 1 is b (`gate`), the order of the halves in torch.nn.functional.glu.
The gates for exact values are implemented separately from those of the kernels, so that each checks the other.
"""

import math
from collections.abc import Callable
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from gradstat.assumptions import Input, Upstream
from gradstat.layer_types.exact import inputs, upstream
from gradstat.layer_types.exact.enclosure import Enclosure, decimal, enclosure
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

if TYPE_CHECKING:
    from gradstat.layer_types.exact.moments import Moments

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
    """Products of independent factors: y = a·g(b), da = dy·g(b), db = dy·a·g′(b); `all` averages the last two."""
    from gradstat.layer_types.exact.moments import moments  # loads flint

    if x.correlation:
        return correlated(gate, row, x, dy)
    known, size = moments(gate, (), (0.0,), x), inputs.distance(x, enclosure(0))
    if known is None or known.mean is None or known.var is None or known.abs_mean is None:
        return None
    second = known.var + known.mean.squared()
    if row.direction == FORWARD:
        mean = inputs.mean(x)
        var = inputs.variance(x) * second + mean.squared() * known.var
        spread = size * known.abs_mean
        if x.mean != 0.0:
            return Exact.proven(mean * known.mean, var, spread)
        fourth = _fourth(known)
        kurtosis = None if fourth is None else fourth * inputs.fourth_central(x) / var.squared()
        return Exact.proven(enclosure(0), var, spread, spread, kurtosis)
    if known.slope_second is None or known.slope_abs is None:
        return None
    squares = (second, inputs.second_moment(x) * known.slope_second)
    sizes = (known.abs_mean, size * known.slope_abs)
    slots = len(row.slots)
    var = sum((squares[slot] for slot in row.slots), enclosure(0)) / slots
    spread = upstream.abs_mean(dy) * sum((sizes[slot] for slot in row.slots), enclosure(0)) / slots
    return Exact.proven(enclosure(0), var, spread, spread)


def correlated(gate: Callable[[Value], Pair], row: Row, x: Input, dy: Upstream) -> Exact | None:
    """Correlated normal a and b: given b, a has mean μ + ρ(b − μ) and variance σ²(1 − ρ²)."""
    from gradstat.layer_types.exact.moments import moments  # loads flint

    known = moments(gate, (), (0.0,), x)
    if known is None or known.mean is None or known.var is None:
        return None
    second = known.var + known.mean.squared()
    if row.cell == VALUE:
        spread = None if known.abs_mean is None else upstream.abs_mean(dy) * known.abs_mean
        return Exact.proven(enclosure(0), second, spread, spread)
    rho, mean = decimal(x.correlation), inputs.mean(x)
    line = (((1 - rho) * mean).middle, rho.middle)  # μ(1 − ρ) and ρ, which are fractions
    joint = moments(_joint(gate), line, (0.0,), x) if x.is_normal else None
    if joint is None or joint.mean is None or joint.var is None:
        return None
    own = inputs.variance(x) * (1 - rho.squared())
    if row.direction == FORWARD:
        return Exact.proven(joint.mean, joint.var + own * second)
    if known.slope_second is None or joint.slope_second is None:
        return None
    squares = (second, joint.slope_second + own * known.slope_second)
    return Exact.proven(enclosure(0), sum((squares[slot] for slot in row.slots), enclosure(0)) / len(row.slots))


@lru_cache(maxsize=64)
def _joint(gate: Callable[[Value], Pair]) -> Callable[[Value, Value, Value], Pair]:
    """(c + ρb)·g(b) and (c + ρb)·g′(b); one function for all rows."""

    def joint(b: Value, constant: Value, rho: Value) -> Pair:
        value, slope = gate(b)
        return (constant + rho * b) * value, (constant + rho * b) * slope

    return joint


def _fourth(known: "Moments") -> Enclosure | None:
    """E[g⁴] from the central moments of g; None where they are not known."""
    mean, var = known.mean, known.var
    if mean is None or var is None or known.kurtosis is None or known.skewness is None:
        return None
    third = known.skewness * var * var.root()
    return known.kurtosis * var.squared() + 4 * mean * third + 6 * mean.squared() * var + mean.squared().squared()


@lru_cache(maxsize=64)
def _settled(gate: Callable[[Value, Params], Pair], params: tuple[tuple[str, Any], ...]) -> Callable[[Value], Pair]:
    """The gate with its parameters settled; one function for all rows, so that its moments are computed once."""
    return lambda b: gate(b, dict(params))


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
        return exact(_settled(gate, tuple(params.items())), row, x, dy)

    return Layer(
        name=name,
        formula=f"y = {formula}, a = x[0], b = x[1]",
        backward="dx = dy·g(b) for a, dy·a·g′(b) for b, where y = a·g(b)",
        torch=torch,
        kernel=kernel,
        elementwise=False,
        referee=referee,
        referee_words="proven integral",
        parameters=parameters,
        shape=lambda params: Shape(n_in=2, equicorrelated=True, rows=ROWS),
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
