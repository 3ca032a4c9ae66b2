"""Every activation as one spells it in NumPy: (x, dy) → (y, dx), at the default parameters."""

from collections.abc import Callable
from typing import Any

import numpy as np
from scipy.special import erf

Array = np.ndarray[Any, np.dtype[np.float64]]
Layer = Callable[[Array, Array], tuple[Array, Array]]

SPELLED: dict[str, Layer] = {}


def spelled(function: Layer) -> Layer:
    """Decorator: into the table, under its own name."""
    SPELLED[function.__name__.rstrip("_")] = function
    return function


def from_slope(name: str, slope: Callable[[Array], Any], value: Callable[[Array], Array]) -> None:
    """Into the table: a layer whose y and dy/dx have nothing in common."""
    SPELLED[name] = lambda x, dy: (value(x), dy * slope(x))


def sigma(x: Array) -> Array:
    """1/(1 + e^−x)."""
    return 1.0 / (1.0 + np.exp(-x))


from_slope("identity", lambda x: 1.0, lambda x: x.copy())
from_slope("relu", lambda x: x > 0.0, lambda x: np.maximum(x, 0.0))
from_slope("relu6", lambda x: (x > 0.0) & (x < 6.0), lambda x: np.clip(x, 0.0, 6.0))
from_slope("leaky_relu", lambda x: np.where(x > 0.0, 1.0, 0.01), lambda x: np.where(x > 0.0, x, 0.01 * x))
from_slope("prelu", lambda x: np.where(x > 0.0, 1.0, 0.25), lambda x: np.where(x > 0.0, x, 0.25 * x))
from_slope("hardtanh", lambda x: np.abs(x) < 1.0, lambda x: np.clip(x, -1.0, 1.0))
from_slope("hardsigmoid", lambda x: (np.abs(x) < 3.0) / 6.0, lambda x: np.clip(x / 6.0 + 0.5, 0.0, 1.0))
from_slope(
    "hardswish",
    lambda x: np.where(x <= -3.0, 0.0, np.where(x < 3.0, x / 3.0 + 0.5, 1.0)),
    lambda x: x * np.clip(x / 6.0 + 0.5, 0.0, 1.0),
)
from_slope("hardshrink", lambda x: np.abs(x) > 0.5, lambda x: np.where(np.abs(x) > 0.5, x, 0.0))
from_slope("softshrink", lambda x: np.abs(x) > 0.5, lambda x: np.sign(x) * np.maximum(np.abs(x) - 0.5, 0.0))
from_slope("threshold", lambda x: x > 0.0, lambda x: np.where(x > 0.0, x, 0.0))
from_slope("abs", np.sign, np.abs)
from_slope("sign", lambda x: 0.0, np.sign)
from_slope("square", lambda x: 2.0 * x, np.square)
from_slope("relu_squared", lambda x: 2.0 * np.maximum(x, 0.0), lambda x: np.maximum(x, 0.0) ** 2)
from_slope(
    "bent_identity", lambda x: 1.0 + 0.5 * x / np.sqrt(x * x + 1.0), lambda x: x + (np.sqrt(x * x + 1.0) - 1) / 2
)
from_slope("sin", np.cos, np.sin)
from_slope("cos", lambda x: -np.sin(x), np.cos)
from_slope("erf", lambda x: 2.0 / np.sqrt(np.pi) * np.exp(-x * x), erf)
from_slope("atan", lambda x: 1.0 / (1.0 + x * x), np.arctan)
from_slope("asinh", lambda x: 1.0 / np.sqrt(1.0 + x * x), np.arcsinh)
from_slope("snake", lambda x: 1.0 + np.sin(2.0 * x), lambda x: x + np.sin(x) ** 2)
from_slope("logsigmoid", lambda x: sigma(-x), lambda x: np.minimum(x, 0.0) - np.log1p(np.exp(-np.abs(x))))
from_slope("softplus", sigma, lambda x: np.maximum(x, 0.0) + np.log1p(np.exp(-np.abs(x))))
from_slope("shifted_softplus", sigma, lambda x: np.maximum(x, 0.0) + np.log1p(np.exp(-np.abs(x))) - np.log(2.0))


@spelled
def elu(x: Array, dy: Array) -> tuple[Array, Array]:
    y = np.where(x > 0.0, x, np.expm1(np.minimum(x, 0.0)))
    return y, dy * np.where(x > 0.0, 1.0, y + 1.0)


SPELLED["celu"] = elu


@spelled
def selu(x: Array, dy: Array) -> tuple[Array, Array]:
    scale, alpha = 1.0507009873554805, 1.6732632423543772
    y = scale * np.where(x > 0.0, x, alpha * np.expm1(np.minimum(x, 0.0)))
    return y, dy * np.where(x > 0.0, scale, y + scale * alpha)


@spelled
def sigmoid(x: Array, dy: Array) -> tuple[Array, Array]:
    y = sigma(x)
    return y, dy * y * (1.0 - y)


@spelled
def tanh(x: Array, dy: Array) -> tuple[Array, Array]:
    y = np.tanh(x)
    return y, dy * (1.0 - y * y)


@spelled
def lecun_tanh(x: Array, dy: Array) -> tuple[Array, Array]:
    t = np.tanh(2.0 / 3.0 * x)
    return 1.7159 * t, dy * (1.7159 * 2.0 / 3.0) * (1.0 - t * t)


@spelled
def tanhshrink(x: Array, dy: Array) -> tuple[Array, Array]:
    t = np.tanh(x)
    return x - t, dy * t * t


@spelled
def softsign(x: Array, dy: Array) -> tuple[Array, Array]:
    lower = 1.0 + np.abs(x)
    return x / lower, dy / (lower * lower)


@spelled
def gelu(x: Array, dy: Array) -> tuple[Array, Array]:
    gate = 0.5 * (1.0 + erf(x / np.sqrt(2.0)))
    return x * gate, dy * (gate + x * np.exp(-0.5 * x * x) / np.sqrt(2.0 * np.pi))


@spelled
def silu(x: Array, dy: Array) -> tuple[Array, Array]:
    gate = sigma(x)
    return x * gate, dy * gate * (1.0 + x * (1.0 - gate))


@spelled
def smooth_leaky_relu(x: Array, dy: Array) -> tuple[Array, Array]:
    s = sigma(x)
    return x * (0.2 + 0.8 * s), dy * (0.2 + 0.8 * s * (1.0 + x * (1.0 - s)))


@spelled
def mish(x: Array, dy: Array) -> tuple[Array, Array]:
    t = np.tanh(np.log1p(np.exp(x)))
    return x * t, dy * (t + x * (1.0 - t * t) * sigma(x))


@spelled
def serf(x: Array, dy: Array) -> tuple[Array, Array]:
    soft = np.log1p(np.exp(x))
    gate = erf(soft)
    return x * gate, dy * (gate + x * (2.0 / np.sqrt(np.pi) * np.exp(-soft * soft)) * sigma(x))


@spelled
def telu(x: Array, dy: Array) -> tuple[Array, Array]:
    v = np.exp(x)
    t = np.tanh(v)
    return x * t, dy * (t + x * v * (1.0 - t * t))


@spelled
def exp(x: Array, dy: Array) -> tuple[Array, Array]:
    y = np.exp(x)
    return y, dy * y


@spelled
def gaussian(x: Array, dy: Array) -> tuple[Array, Array]:
    y = np.exp(-x * x)
    return y, dy * (-2.0 * x * y)


def max_pool(x: Array, dy: Array) -> tuple[Array, Array]:
    """Windows x[draw, 9] with a dy[draw] each: the largest, and dy where it stood."""
    places = x.argmax(axis=1)[:, None]
    dx = np.zeros_like(x)
    np.put_along_axis(dx, places, dy[:, None], axis=1)
    return np.take_along_axis(x, places, axis=1), dx
