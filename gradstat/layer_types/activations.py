"""The table of activations: piecewise linear ones, sigmoids, soft maxima, gates of x by x, and other smooth functions.

Each is one function x ↦ (y, dy/dx), whose arguments after x are the parameters.

A new activation is one new function here. At a kink the formula takes the side that PyTorch takes.

`where` computes both sides, so a formula must be finite on both. The exponentials are therefore those of −|x|, which
never overflow: with e = e^−|x|, σ(x) is 1/(1 + e) or e/(1 + e), and σ′(x) = e/(1 + e)², accurate in both tails,
where y·(1 − y) would lose digits. Each formula computes e once for y and dy/dx.
"""

import math

from gradstat.layer_types.elementwise import activation
from gradstat.layer_types.record import NOT_NEGATIVE, NOT_ZERO, Domain
from gradstat.numerics import elementary as el
from gradstat.numerics.elementary import Value

Pair = tuple[Value, Value]

ERF_SLOPE = 2.0 / math.sqrt(math.pi)
SELU_SCALE, SELU_ALPHA = 1.0507009873554804934193349852946, 1.6732632423543772848170429916717
SQRT_HALF = math.sqrt(0.5)
PHI_0 = 1.0 / math.sqrt(2.0 * math.pi)  # the density of the standard normal distribution at 0
LN_2 = math.log(2.0)
GELU_SCALE, GELU_CUBE = math.sqrt(8.0 / math.pi), 0.044715
GELU_QUICK = 1.702
LECUN_SCALE, LECUN_SLOPE = 1.7159, 2.0 / 3.0


# Piecewise linear


@activation(formula="x", torch="torch.nn.Identity")
def identity(x: Value) -> Pair:
    return x, 1.0


@activation(formula="max(x, 0)", kinks=(0.0,))
def relu(x: Value) -> Pair:
    return el.maximum(x, 0.0), el.where(x > 0.0, 1.0, 0.0)


@activation(formula="min(max(x, 0), 6)", kinks=(0.0, 6.0))
def relu6(x: Value) -> Pair:
    return el.minimum(el.maximum(x, 0.0), 6.0), el.where(x > 0.0, el.where(x < 6.0, 1.0, 0.0), 0.0)


@activation(formula="x if x > 0 else negative_slope·x", kinks=(0.0,))
def leaky_relu(x: Value, negative_slope: float = 0.01) -> Pair:
    slope = el.where(x > 0.0, 1.0, negative_slope)
    return slope * x, slope


@activation(formula="x if x > 0 else weight·x", kinks=(0.0,))
def prelu(x: Value, weight: float = 0.25) -> Pair:
    slope = el.where(x > 0.0, 1.0, weight)
    return slope * x, slope


@activation(
    formula="min(max(x, min_val), max_val)",
    kinks=lambda min_val, max_val: (min_val, max_val),
    constraint=Domain("min_val at most max_val", lambda params: params["min_val"] <= params["max_val"]),
    aliases=("hard_tanh",),
)
def hardtanh(x: Value, min_val: float = -1.0, max_val: float = 1.0) -> Pair:
    y = el.minimum(el.maximum(x, min_val), max_val)
    return y, el.where(x > min_val, el.where(x < max_val, 1.0, 0.0), 0.0)


@activation(formula="min(max(x + 3, 0), 6)/6", kinks=(-3.0, 3.0), aliases=("hard_sigmoid",))
def hardsigmoid(x: Value) -> Pair:
    y = el.minimum(el.maximum(x + 3.0, 0.0), 6.0) / 6.0
    return y, el.where(x > -3.0, el.where(x < 3.0, 1.0 / 6.0, 0.0), 0.0)


@activation(formula="x·min(max(x + 3, 0), 6)/6", kinks=(-3.0, 3.0), aliases=("hard_swish",))
def hardswish(x: Value) -> Pair:
    y = x * el.minimum(el.maximum(x + 3.0, 0.0), 6.0) / 6.0
    return y, el.where(x > -3.0, el.where(x < 3.0, x / 3.0 + 0.5, 1.0), 0.0)


@activation(formula="x if |x| > lambd else 0", kinks=lambda lambd: (-lambd, lambd), domains={"lambd": NOT_NEGATIVE})
def hardshrink(x: Value, lambd: float = 0.5) -> Pair:
    size = el.absolute(x)
    return el.where(size > lambd, x, 0.0), el.where(size > lambd, 1.0, 0.0)


@activation(formula="sign(x)·max(|x| − lambd, 0)", kinks=lambda lambd: (-lambd, lambd), domains={"lambd": NOT_NEGATIVE})
def softshrink(x: Value, lambd: float = 0.5) -> Pair:
    y = el.where(x > lambd, x - lambd, el.where(x < -lambd, x + lambd, 0.0))
    return y, el.where(el.absolute(x) > lambd, 1.0, 0.0)


@activation(formula="x if x > threshold else value", kinks=lambda threshold, value: (threshold,))
def threshold(x: Value, threshold: float = 0.0, value: float = 0.0) -> Pair:
    return el.where(x > threshold, x, value), el.where(x > threshold, 1.0, 0.0)


@activation(formula="|x|", torch="torch.abs", kinks=(0.0,), aliases=("absolute",))
def abs(x: Value) -> Pair:
    return el.absolute(x), el.sign(x)


@activation(formula="sign(x)", torch="torch.sign", kinks=(0.0,))
def sign(x: Value) -> Pair:
    return el.sign(x), 0.0


# Exponential below 0


@activation(formula="x if x > 0 else alpha·(e^x − 1)", kinks=(0.0,))
def elu(x: Value, alpha: float = 1.0) -> Pair:
    below = el.minimum(x, 0.0)
    return el.where(x > 0.0, x, alpha * el.expm1(below)), el.where(x > 0.0, 1.0, alpha * el.exp(below))


@activation(formula="x if x > 0 else alpha·(e^(x/alpha) − 1)", kinks=(0.0,), domains={"alpha": NOT_ZERO})
def celu(x: Value, alpha: float = 1.0) -> Pair:
    below = el.minimum(x, 0.0) / alpha
    return el.where(x > 0.0, x, alpha * el.expm1(below)), el.where(x > 0.0, 1.0, el.exp(below))


@activation(formula="1.0507·(x if x > 0 else 1.6733·(e^x − 1))", kinks=(0.0,))
def selu(x: Value) -> Pair:
    below = el.minimum(x, 0.0)
    y = SELU_SCALE * el.where(x > 0.0, x, SELU_ALPHA * el.expm1(below))
    return y, SELU_SCALE * el.where(x > 0.0, 1.0, SELU_ALPHA * el.exp(below))


# Sigmoids


@activation(formula="σ(x) = 1/(1 + e^−x)")
def sigmoid(x: Value) -> Pair:
    e = el.exp(-el.absolute(x))
    upper = 1.0 / (1.0 + e)
    return el.where(x > 0.0, 1.0, e) * upper, e * upper * upper


def tanh_of_decay(x: Value) -> Pair:
    """tanh and its derivative by e = e^(−2|x|), which tends to 0 where tanh tends to ±1."""
    double = -2.0 * el.absolute(x)
    e = el.exp(double)
    upper = 1.0 / (1.0 + e)
    return el.sign(x) * -el.expm1(double) * upper, 4.0 * e * upper * upper


def lecun_tanh_of_decay(x: Value) -> Pair:
    y, slope = tanh_of_decay(LECUN_SLOPE * x)
    return LECUN_SCALE * y, LECUN_SCALE * LECUN_SLOPE * slope


def telu_of_decay(x: Value) -> Pair:
    v = el.exp(el.minimum(x, 5.0))
    gate, slope = tanh_of_decay(v)
    return x * gate, gate + x * v * slope


@activation(formula="tanh x", referee=tanh_of_decay)
def tanh(x: Value) -> Pair:
    """With m = e^(2|x|) − 1: tanh |x| = m/(m + 2) and tanh′ = 4(m + 1)/(m + 2)², without cancellation."""
    size = el.absolute(x)
    m = el.expm1(2.0 * el.minimum(size, 350.0))
    y = m / (m + 2.0)
    return el.where(x < 0.0, -y, y), 4.0 * ((m + 1.0) / (m + 2.0)) / (m + 2.0)


@activation(
    formula="1.7159·tanh(2x/3)", referee=lecun_tanh_of_decay, torch="", source="LeCun et al. 1998, Efficient BackProp"
)
def lecun_tanh(x: Value) -> Pair:
    """Computes tanh as the function `tanh` does."""
    size = LECUN_SLOPE * el.absolute(x)
    m = el.expm1(2.0 * el.minimum(size, 350.0))
    y = LECUN_SCALE * m / (m + 2.0)
    slope = (4.0 * LECUN_SCALE * LECUN_SLOPE) * ((m + 1.0) / (m + 2.0)) / (m + 2.0)
    return el.where(x < 0.0, -y, y), slope


@activation(formula="x − tanh x")
def tanhshrink(x: Value) -> Pair:
    t = el.tanh(x)
    return x - t, t * t


@activation(formula="x/(1 + |x|)", kinks=(0.0,), aliases=("soft_sign",))
def softsign(x: Value) -> Pair:
    inverse = 1.0 / (1.0 + el.absolute(x))
    return x * inverse, inverse * inverse


@activation(formula="erf x", torch="torch.erf")
def erf(x: Value) -> Pair:
    return el.erf(x), ERF_SLOPE * el.exp(-x * x)


@activation(formula="arctan x", torch="torch.atan", aliases=("arctan",))
def atan(x: Value) -> Pair:
    return el.atan(x), 1.0 / (1.0 + x * x)


@activation(formula="arsinh x", torch="torch.asinh", aliases=("arcsinh",))
def asinh(x: Value) -> Pair:
    return el.asinh(x), 1.0 / el.sqrt(1.0 + x * x)


# Soft maxima of x and 0


@activation(formula="ln σ(x) = −ln(1 + e^−x)", aliases=("log_sigmoid",))
def logsigmoid(x: Value) -> Pair:
    e = el.exp(-el.absolute(x))
    return el.minimum(x, 0.0) - el.log1p(e), el.where(x < 0.0, 1.0, e) / (1.0 + e)


@activation(
    formula="ln(1 + e^(beta·x))/beta, or x if beta·x > threshold",
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
    """x·σ(u) with u = √(8/π)·(x + 0.044715·x³), equal to PyTorch's ½x·(1 + tanh ½u)."""
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


# Hugging Face's ACT2FN and timm have one name per formula.
TANH_GELU = ("gelu_tanh", "gelu_pytorch_tanh", "gelu_python_tanh", "gelu_new", "gelu_fast", "gelu_accurate")


@activation(
    formula="x·Φ(x); tanh: x·σ(√(8/π)·(x + 0.044715x³)); quick: x·σ(1.702x)",
    variants=("approximate", {"none": None, "tanh": gelu_tanh, "quick": gelu_quick}),
    aliases=("gelu_python",),
    presets={
        **{name: {"approximate": "tanh"} for name in TANH_GELU},
        "quick_gelu": {"approximate": "quick"},
    },
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
    """tanh(ln(1 + v)) = (v² + 2v)/(v² + 2v + 2) with v = e^x.

    For x > 0, numerator and denominator are divided by v².
    """
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


@activation(
    formula="x·tanh(e^x)", referee=telu_of_decay, torch="", source="TanhExp, arXiv:2003.09855", aliases=("tanhexp",)
)
def telu(x: Value) -> Pair:
    """Computes tanh as the function `tanh` does; for x ≥ 5 the gate is 1 to the last digit."""
    v = el.exp(el.minimum(x, 5.0))
    m = el.expm1(2.0 * v)
    gate = m / (m + 2.0)
    return x * gate, gate + x * v * (4.0 * ((m + 1.0) / (m + 2.0)) / (m + 2.0))


# The rest


@activation(formula="e^x", torch="torch.exp")
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


@activation(formula="e^−x²", torch="", source="Hartman et al. 1990, Neural Computation 2(2)")
def gaussian(x: Value) -> Pair:
    y = el.exp(-x * x)
    return y, -2.0 * x * y


@activation(formula="x + (√(x² + 1) − 1)/2", torch="", source="Wikipedia's list of activation functions")
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
