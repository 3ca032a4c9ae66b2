"""Slow readable references for gates, vectors, branches and noisy layers: x and noise of one draw ↦ (y, ∂y/∂x).

Each Jacobian is J[output, input], spelled from its definition; dx = Jᵀdy.
"""

import math
from collections.abc import Callable
from typing import Any

import numpy as np

Array = np.ndarray
Naive = Callable[[dict[str, Any], Array, Array], tuple[Array, Array]]

SQRT_2_OVER_PI = math.sqrt(2.0 / math.pi)
ALPHA = 1.7580993408473766


def logistic(b: float) -> float:
    return 1.0 / (1.0 + math.exp(-b))


def gate(g: Callable[[dict[str, Any], float], tuple[float, float]]) -> Naive:
    """y = a·g(b)."""

    def layer(params: dict[str, Any], x: Array, noise: Array) -> tuple[Array, Array]:
        a, b = x
        value, slope = g(params, b)
        return np.array([a * value]), np.array([[value, a * slope]])

    return layer


def glu(params: dict[str, Any], b: float) -> tuple[float, float]:
    return logistic(b), logistic(b) - logistic(b) ** 2


def reglu(params: dict[str, Any], b: float) -> tuple[float, float]:
    return (b, 1.0) if b > 0.0 else (0.0, 0.0)


def swiglu(params: dict[str, Any], b: float) -> tuple[float, float]:
    s = logistic(params["beta"] * b)
    return b * s, s + params["beta"] * b * s * (1.0 - s)


def geglu(params: dict[str, Any], b: float) -> tuple[float, float]:
    if params["approximate"] == "none":
        phi = math.exp(-b * b / 2.0) / math.sqrt(2.0 * math.pi)
        below = math.erfc(-b / math.sqrt(2.0)) / 2.0
        return b * below, below + b * phi
    if params["approximate"] == "quick":
        logistic = 1.0 / (1.0 + math.exp(-1.702 * b))
        return b * logistic, logistic + 1.702 * b * logistic * (1.0 - logistic)
    inner = SQRT_2_OVER_PI * (b + 0.044715 * b**3)
    slope = SQRT_2_OVER_PI * (1.0 + 3.0 * 0.044715 * b**2)
    t = math.tanh(inner)
    return 0.5 * b * (1.0 + t), 0.5 * (1.0 + t) + 0.5 * b * slope / math.cosh(inner) ** 2


def softmax(params: dict[str, Any], x: Array, noise: Array) -> tuple[Array, Array]:
    y = np.exp(x) / math.fsum(np.exp(x))
    return y, np.diag(y) - np.outer(y, y)


def softmin(params: dict[str, Any], x: Array, noise: Array) -> tuple[Array, Array]:
    y, jacobian = softmax(params, -x, noise)
    return y, -jacobian


def log_softmax(params: dict[str, Any], x: Array, noise: Array) -> tuple[Array, Array]:
    y, _ = softmax(params, x, noise)
    return np.log(y), np.eye(len(x)) - y  # row by row: ∂yᵢ/∂xⱼ = [i = j] − pⱼ


def divided_by_rms(x: Array, eps: float) -> tuple[Array, Array]:
    """x/r and its Jacobian 1/r − x xᵀ/(n r³)."""
    n = len(x)
    r = math.sqrt(math.fsum(x**2) / n + eps)
    return x / r, np.eye(n) / r - np.outer(x, x) / (n * r**3)


def rms_norm(params: dict[str, Any], x: Array, noise: Array) -> tuple[Array, Array]:
    return divided_by_rms(x, params["eps"])


def layer_norm(params: dict[str, Any], x: Array, noise: Array) -> tuple[Array, Array]:
    n = len(x)
    centring = np.eye(n) - 1.0 / n
    y, jacobian = divided_by_rms(centring @ x, params["eps"])
    return y, jacobian @ centring


def add(params: dict[str, Any], x: Array, noise: Array) -> tuple[Array, Array]:
    return np.array([math.fsum(x)]), np.ones((1, len(x)))


def average(params: dict[str, Any], x: Array, noise: Array) -> tuple[Array, Array]:
    return np.array([math.fsum(x) / len(x)]), np.full((1, len(x)), 1.0 / len(x))


def multiply(params: dict[str, Any], x: Array, noise: Array) -> tuple[Array, Array]:
    others = [math.prod(np.delete(x, slot)) for slot in range(len(x))]
    return np.array([math.prod(x)]), np.array([others])


def maxout(params: dict[str, Any], x: Array, noise: Array) -> tuple[Array, Array]:
    winner = list(x).index(max(x))  # the first
    return np.array([x[winner]]), np.array([[float(slot == winner) for slot in range(len(x))]])


def residual(params: dict[str, Any], x: Array, noise: Array) -> tuple[Array, Array]:
    skip, branch = x
    scale = 1.0 / math.sqrt(1.0 + params["tau"] ** 2) if params["normalized"] else 1.0
    return np.array([scale * (skip + params["tau"] * branch)]), np.array([[scale, scale * params["tau"]]])


def dropout(params: dict[str, Any], x: Array, noise: Array) -> tuple[Array, Array]:
    kept = noise[0] >= params["p"]
    scale = (1.0 / (1.0 - params["p"]) if params["inverted"] else 1.0) if kept else 0.0
    return scale * x, scale * np.eye(len(x))


def alpha_dropout(params: dict[str, Any], x: Array, noise: Array) -> tuple[Array, Array]:
    """As ATen writes it: x·(a·mask) + (mask − 1)·αa + αap."""
    p, mask = params["p"], float(noise[0] >= params["p"])
    a = 1.0 / math.sqrt((ALPHA**2 * p + 1.0) * (1.0 - p))
    return x * (a * mask) + (mask - 1.0) * ALPHA * a + ALPHA * a * p, a * mask * np.eye(len(x))


def rrelu(params: dict[str, Any], x: Array, noise: Array) -> tuple[Array, Array]:
    low, high = params["lower"], params["upper"]
    slope = low + (high - low) * noise[0] if params["training"] else (low + high) / 2.0
    slope = 1.0 if x[0] > 0.0 else slope
    return slope * x, np.array([[slope]])


NAIVE: dict[str, Naive] = {
    "glu": gate(glu),
    "reglu": gate(reglu),
    "swiglu": gate(swiglu),
    "geglu": gate(geglu),
    "softmax": softmax,
    "softmin": softmin,
    "log_softmax": log_softmax,
    "layer_norm": layer_norm,
    "batch_norm": layer_norm,
    "rms_norm": rms_norm,
    "add": add,
    "average": average,
    "multiply": multiply,
    "maxout": maxout,
    "residual": residual,
    "dropout": dropout,
    "dropout1d": dropout,
    "dropout2d": dropout,
    "dropout3d": dropout,
    "drop_path": dropout,
    "alpha_dropout": alpha_dropout,
    "feature_alpha_dropout": alpha_dropout,
    "rrelu": rrelu,
}
