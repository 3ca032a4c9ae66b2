"""Eight activations as one spells them in NumPy: (x, dy) → (y, dx), at the default parameters."""

from collections.abc import Callable
from typing import Any

import numpy as np
from scipy.special import erf

Array = np.ndarray[Any, np.dtype[np.float64]]
Layer = Callable[[Array, Array], tuple[Array, Array]]


def sigma(x: Array) -> Array:
    """1/(1 + e^−x)."""
    return 1.0 / (1.0 + np.exp(-x))


def relu(x: Array, dy: Array) -> tuple[Array, Array]:
    return np.maximum(x, 0.0), dy * (x > 0.0)


def leaky_relu(x: Array, dy: Array) -> tuple[Array, Array]:
    return np.where(x > 0.0, x, 0.01 * x), dy * np.where(x > 0.0, 1.0, 0.01)


def elu(x: Array, dy: Array) -> tuple[Array, Array]:
    y = np.where(x > 0.0, x, np.expm1(np.minimum(x, 0.0)))
    return y, dy * np.where(x > 0.0, 1.0, y + 1.0)


def sigmoid(x: Array, dy: Array) -> tuple[Array, Array]:
    y = sigma(x)
    return y, dy * y * (1.0 - y)


def tanh(x: Array, dy: Array) -> tuple[Array, Array]:
    y = np.tanh(x)
    return y, dy * (1.0 - y * y)


def gelu(x: Array, dy: Array) -> tuple[Array, Array]:
    gate = 0.5 * (1.0 + erf(x / np.sqrt(2.0)))
    return x * gate, dy * (gate + x * np.exp(-0.5 * x * x) / np.sqrt(2.0 * np.pi))


def silu(x: Array, dy: Array) -> tuple[Array, Array]:
    gate = sigma(x)
    return x * gate, dy * gate * (1.0 + x * (1.0 - gate))


def mish(x: Array, dy: Array) -> tuple[Array, Array]:
    t = np.tanh(np.log1p(np.exp(x)))
    return x * t, dy * (t + x * (1.0 - t * t) * sigma(x))


SPELLED: dict[str, Layer] = {
    layer.__name__: layer for layer in (relu, leaky_relu, elu, sigmoid, tanh, gelu, silu, mish)
}


def max_pool(x: Array, dy: Array) -> tuple[Array, Array]:
    """Windows x[draw, 9] with a dy[draw] each: the largest, and dy where it stood."""
    places = x.argmax(axis=1)[:, None]
    dx = np.zeros_like(x)
    np.put_along_axis(dx, places, dy[:, None], axis=1)
    return np.take_along_axis(x, places, axis=1), dx
