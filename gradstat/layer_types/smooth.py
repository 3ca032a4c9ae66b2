"""The table of activations, second part: soft maxima, x times a gate, and other smooth functions.

As in `activations`: one function each, and exponentials of −|x| that never overflow.
"""

import math

from gradstat.layer_types.elementwise import activation
from gradstat.layer_types.record import NOT_ZERO
from gradstat.numerics import elementary as el
from gradstat.numerics.elementary import Value

Pair = tuple[Value, Value]

SQRT_HALF = math.sqrt(0.5)
PHI_0 = 1.0 / math.sqrt(2.0 * math.pi)  # the density of the standard normal distribution at 0
ERF_SLOPE = 2.0 / math.sqrt(math.pi)
LN_2 = math.log(2.0)
GELU_SCALE, GELU_CUBE = math.sqrt(8.0 / math.pi), 0.044715
GELU_QUICK = 1.702


# Soft maxima of x and 0


@activation(formula="ln σ(x) = −ln(1 + e^−x)", aliases=("log_sigmoid",))
def logsigmoid(x: Value) -> Pair:
    e = el.exp(-el.absolute(x))
    return el.minimum(x, 0.0) - el.log1p(e), el.where(x < 0.0, 1.0, e) / (1.0 + e)


@activation(
    formula="ln(1 + e^(beta·x))/beta, or x where beta·x > threshold",
    kinks=lambda beta, threshold: (threshold / beta,),
    domains={"beta": NOT_ZERO},
)
def softplus(x: Value, beta: float = 1.0, threshold: float = 20.0) -> Pair:
    z = beta * x
    e = el.exp(-el.absolute(z))
    y = (el.maximum(z, 0.0) + el.log1p(e)) / beta
    slope = el.where(z > 0.0, 1.0, e) / (1.0 + e)
    return el.where(z > threshold, x, y), el.where(z > threshold, 1.0, slope)


@activation(formula="ln(1 + e^x) − ln 2", torch="", source="SchNet, arXiv:1706.08566")
def shifted_softplus(x: Value) -> Pair:
    e = el.exp(-el.absolute(x))
    return el.maximum(x, 0.0) + el.log1p(e) - LN_2, el.where(x > 0.0, 1.0, e) / (1.0 + e)


# x times a gate


def gelu_tanh(x: Value) -> Pair:
    """x·σ(u) with u = √(8/π)·(x + 0.044715·x³), which is PyTorch's ½x·(1 + tanh ½u)."""
    u = GELU_SCALE * x * (1.0 + GELU_CUBE * x * x)
    e = el.exp(-el.absolute(u))
    upper = 1.0 / (1.0 + e)
    gate = el.where(x > 0.0, 1.0, e) * upper
    return x * gate, gate + x * (e * upper * upper) * GELU_SCALE * (1.0 + 3.0 * GELU_CUBE * x * x)


def gelu_quick(x: Value) -> Pair:
    """x·σ(1.702x)."""
    u = GELU_QUICK * x
    e = el.exp(-el.absolute(u))
    upper = 1.0 / (1.0 + e)
    gate = el.where(x > 0.0, 1.0, e) * upper
    return x * gate, gate + u * (e * upper * upper)


@activation(
    formula="x·Φ(x); tanh: x·σ(√(8/π)·(x + 0.044715x³)); quick: x·σ(1.702x)",
    variants=("approximate", {"none": None, "tanh": gelu_tanh, "quick": gelu_quick}),
)
def gelu(x: Value) -> Pair:
    gate = 0.5 + 0.5 * el.erf(SQRT_HALF * x)
    return x * gate, gate + x * (PHI_0 * el.exp(-0.5 * x * x))


@activation(formula="x·σ(beta·x)", aliases=("swish",))
def silu(x: Value, beta: float = 1.0) -> Pair:
    z = beta * x
    e = el.exp(-el.absolute(z))
    upper = 1.0 / (1.0 + e)
    gate = el.where(z > 0.0, 1.0, e) * upper
    return x * gate, gate + z * (e * upper * upper)


@activation(formula="x·(negative_slope + (1 − negative_slope)·σ(x))", torch="", source="Equiformer, arXiv:2206.11990")
def smooth_leaky_relu(x: Value, negative_slope: float = 0.2) -> Pair:
    e = el.exp(-el.absolute(x))
    upper = 1.0 / (1.0 + e)
    gate = negative_slope + (1.0 - negative_slope) * (el.where(x > 0.0, 1.0, e) * upper)
    return x * gate, gate + (1.0 - negative_slope) * x * (e * upper * upper)


@activation(formula="x·tanh(ln(1 + e^x))")
def mish(x: Value) -> Pair:
    """tanh(ln(1 + v)) = (v² + 2v)/(v² + 2v + 2) with v = e^x; above 0 both sides of the fraction are over v²."""
    e = el.exp(-el.absolute(x))
    upper = el.where(x > 0.0, 1.0 + 2.0 * e, (e + 2.0) * e)
    lower = upper + el.where(x > 0.0, 2.0 * e * e, 2.0)
    gate = upper / lower
    return x * gate, gate + x * (4.0 * (1.0 + e) * el.where(x > 0.0, e * e, e)) / (lower * lower)


@activation(formula="x·erf(ln(1 + e^x))", torch="", source="Serf, arXiv:2108.09598")
def serf(x: Value) -> Pair:
    e = el.exp(-el.absolute(x))
    softened = el.maximum(x, 0.0) + el.log1p(e)
    gate = el.erf(softened)
    sigma = el.where(x > 0.0, 1.0, e) / (1.0 + e)
    return x * gate, gate + x * (ERF_SLOPE * el.exp(-softened * softened)) * sigma


@activation(formula="x·tanh(e^x)", torch="", source="TanhExp, arXiv:2003.09855", aliases=("tanhexp",))
def telu(x: Value) -> Pair:
    """tanh as in `activations`; from x = 5 on the gate is 1 to the last digit."""
    v = el.exp(el.minimum(x, 5.0))
    m = el.expm1(2.0 * v)
    gate = m / (m + 2.0)
    return x * gate, gate + x * v * (4.0 * ((m + 1.0) / (m + 2.0)) / (m + 2.0))


# The rest


@activation(formula="e^x", torch="torch.exp", growth="exponential")
def exp(x: Value) -> Pair:
    y = el.exp(x)
    return y, y


@activation(formula="x²", torch="torch.square")
def square(x: Value) -> Pair:
    return x * x, 2.0 * x


@activation(
    formula="max(x, 0)²", torch="", source="Primer, arXiv:2109.08668", kinks=(0.0,), aliases=("squared_relu", "relu2")
)
def relu_squared(x: Value) -> Pair:
    above = el.maximum(x, 0.0)
    return above * above, 2.0 * above


@activation(formula="e^−x²", torch="")
def gaussian(x: Value) -> Pair:
    y = el.exp(-x * x)
    return y, -2.0 * x * y


@activation(formula="x + (√(x² + 1) − 1)/2", torch="")
def bent_identity(x: Value) -> Pair:
    root = el.sqrt(x * x + 1.0)
    return x + 0.5 * x * x / (root + 1.0), 1.0 + 0.5 * x / root


@activation(formula="sin x", torch="torch.sin")
def sin(x: Value) -> Pair:
    return el.sin(x), el.cos(x)


@activation(formula="cos x", torch="torch.cos")
def cos(x: Value) -> Pair:
    return el.cos(x), -el.sin(x)


@activation(formula="x + sin²(alpha·x)/alpha", torch="", source="Snake, arXiv:2006.08195", domains={"alpha": NOT_ZERO})
def snake(x: Value, alpha: float = 1.0) -> Pair:
    sine, cosine = el.sin(alpha * x), el.cos(alpha * x)
    return x + sine * sine / alpha, 1.0 + 2.0 * sine * cosine
