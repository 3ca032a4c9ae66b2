"""Slow and readable: every activation and its derivative as a textbook writes them, on one float, with `math` only.

Written without looking at the formulas of the package; `reference(name, x, **params)` returns (y, dy/dx).
At a kink they say nothing: the tests have a table for that.
"""

import math
from collections.abc import Callable


def exp(v: float) -> float:
    return math.exp(v) if v < 709.0 else math.inf


def sech2(v: float) -> float:
    """The derivative of tanh."""
    return math.cosh(v) ** -2 if -350.0 < v < 350.0 else 0.0


def sigma(v: float) -> float:
    return 1.0 / (1.0 + exp(-v))


def sigma_slope(v: float) -> float:
    return sech2(0.5 * v) / 4.0


def soft(v: float) -> float:
    """ln(1 + e^v)."""
    return math.log1p(math.exp(v)) if v < 700.0 else v


def normal_cdf(v: float) -> float:
    return 0.5 * math.erfc(-v / math.sqrt(2.0))


def normal_density(v: float) -> float:
    return math.exp(-v * v / 2.0) / math.sqrt(2.0 * math.pi)


def erf_slope(v: float) -> float:
    return 2.0 / math.sqrt(math.pi) * math.exp(-v * v)


def relu(x: float) -> tuple[float, float]:
    return (x, 1.0) if x > 0.0 else (0.0, 0.0)


def relu6(x: float) -> tuple[float, float]:
    return clipped(x, 0.0, 6.0)


def clipped(x: float, low: float, high: float) -> tuple[float, float]:
    return min(max(x, low), high), 1.0 if low < x < high else 0.0


def leaky(x: float, slope: float) -> tuple[float, float]:
    return (x, 1.0) if x > 0.0 else (slope * x, slope)


def elu(x: float, alpha: float) -> tuple[float, float]:
    return (x, 1.0) if x > 0.0 else (alpha * math.expm1(x), alpha * math.exp(x))


def celu(x: float, alpha: float) -> tuple[float, float]:
    return (x, 1.0) if x > 0.0 else (alpha * math.expm1(x / alpha), math.exp(x / alpha))


def selu(x: float) -> tuple[float, float]:
    alpha, scale = 1.6732632423543772, 1.0507009873554805
    y, slope = elu(x, alpha)
    return scale * y, scale * slope


def gelu(x: float, approximate: str) -> tuple[float, float]:
    if approximate == "none":
        return x * normal_cdf(x), normal_cdf(x) + x * normal_density(x)
    if approximate == "quick":
        return gated(x, 1.702)
    u = math.sqrt(2.0 / math.pi) * (x + 0.044715 * x**3)
    slope_of_u = math.sqrt(2.0 / math.pi) * (1.0 + 3.0 * 0.044715 * x**2)
    return 0.5 * x * (1.0 + math.tanh(u)), 0.5 * (1.0 + math.tanh(u)) + 0.5 * x * sech2(u) * slope_of_u


def gated(x: float, beta: float) -> tuple[float, float]:
    return x * sigma(beta * x), sigma(beta * x) + beta * x * sigma_slope(beta * x)


def mish(x: float) -> tuple[float, float]:
    return x * math.tanh(soft(x)), math.tanh(soft(x)) + x * sech2(soft(x)) * sigma(x)


def serf(x: float) -> tuple[float, float]:
    return x * math.erf(soft(x)), math.erf(soft(x)) + x * erf_slope(soft(x)) * sigma(x)


def telu(x: float) -> tuple[float, float]:
    if x > 100.0:
        return x, 1.0
    return x * math.tanh(exp(x)), math.tanh(exp(x)) + x * exp(x) * sech2(exp(x))


def smooth_leaky_relu(x: float, negative_slope: float) -> tuple[float, float]:
    a = negative_slope
    y = (1.0 + a) / 2.0 * x + (1.0 - a) / 2.0 * x * (2.0 * sigma(x) - 1.0)
    slope = (1.0 + a) / 2.0 + (1.0 - a) / 2.0 * (2.0 * sigma(x) - 1.0 + 2.0 * x * sigma_slope(x))
    return y, slope


def softplus(x: float, beta: float, threshold: float) -> tuple[float, float]:
    return (x, 1.0) if beta * x > threshold else (soft(beta * x) / beta, sigma(beta * x))


def hardswish(x: float) -> tuple[float, float]:
    if x <= -3.0:
        return 0.0, 0.0
    return (x, 1.0) if x >= 3.0 else (x * (x + 3.0) / 6.0, (2.0 * x + 3.0) / 6.0)


def hardsigmoid(x: float) -> tuple[float, float]:
    y, slope = clipped(x + 3.0, 0.0, 6.0)
    return y / 6.0, slope / 6.0


def softshrink(x: float, lambd: float) -> tuple[float, float]:
    return (0.0, 0.0) if math.fabs(x) <= lambd else (x - math.copysign(lambd, x), 1.0)


NAIVE: dict[str, Callable[..., tuple[float, float]]] = {
    "identity": lambda x: (x, 1.0),
    "relu": relu,
    "relu6": relu6,
    "leaky_relu": lambda x, negative_slope: leaky(x, negative_slope),
    "prelu": lambda x, weight: leaky(x, weight),
    "hardtanh": lambda x, min_val, max_val: clipped(x, min_val, max_val),
    "hardsigmoid": hardsigmoid,
    "hardswish": hardswish,
    "hardshrink": lambda x, lambd: (x, 1.0) if math.fabs(x) > lambd else (0.0, 0.0),
    "softshrink": softshrink,
    "threshold": lambda x, threshold, value: (x, 1.0) if x > threshold else (value, 0.0),
    "abs": lambda x: (math.fabs(x), math.copysign(1.0, x)),
    "sign": lambda x: (math.copysign(1.0, x), 0.0),
    "elu": elu,
    "celu": celu,
    "selu": selu,
    "sigmoid": lambda x: (sigma(x), sigma_slope(x)),
    "tanh": lambda x: (math.tanh(x), sech2(x)),
    "lecun_tanh": lambda x: (1.7159 * math.tanh(2.0 * x / 3.0), 1.7159 * 2.0 / 3.0 * sech2(2.0 * x / 3.0)),
    "tanhshrink": lambda x: (x - math.tanh(x), math.tanh(x) ** 2),
    "softsign": lambda x: (x / (1.0 + math.fabs(x)), (1.0 + math.fabs(x)) ** -2),
    "erf": lambda x: (math.erf(x), erf_slope(x)),
    "atan": lambda x: (math.atan(x), 1.0 / (1.0 + x**2)),
    "asinh": lambda x: (math.asinh(x), 1.0 / math.hypot(1.0, x)),
    "logsigmoid": lambda x: (-soft(-x), sigma(-x)),
    "softplus": softplus,
    "shifted_softplus": lambda x: (soft(x) - math.log(2.0), sigma(x)),
    "gelu": gelu,
    "silu": gated,
    "smooth_leaky_relu": smooth_leaky_relu,
    "mish": mish,
    "serf": serf,
    "telu": telu,
    "exp": lambda x: (exp(x), exp(x)),
    "square": lambda x: (x**2, 2.0 * x),
    "relu_squared": lambda x: (x**2, 2.0 * x) if x > 0.0 else (0.0, 0.0),
    "gaussian": lambda x: (math.exp(-(x**2)), -2.0 * x * math.exp(-(x**2))),
    "bent_identity": lambda x: ((math.sqrt(x**2 + 1.0) - 1.0) / 2.0 + x, x / (2.0 * math.sqrt(x**2 + 1.0)) + 1.0),
    "sin": lambda x: (math.sin(x), math.cos(x)),
    "cos": lambda x: (math.cos(x), -math.sin(x)),
    "snake": lambda x, alpha: (x + math.sin(alpha * x) ** 2 / alpha, 1.0 + math.sin(2.0 * alpha * x)),
}


def reference(name: str, x: float, **params: object) -> tuple[float, float]:
    """(y, dy/dx) of the activation `name` at x."""
    return NAIVE[name](x, **params)
