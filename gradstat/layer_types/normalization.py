"""Layers over n independent inputs: softmax and its relatives, and the normalizations, without affine parameters.

The normalizations are exact with eps = 0, PyTorch's own default being 1e-5; batch_norm is one feature over a batch of n
in training mode, so it is layer_norm by another name for the same n numbers.
"""

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from gradstat.assumptions import Input, Upstream
from gradstat.layer_types.exact import ratios
from gradstat.layer_types.exact.closed_forms import abs_component
from gradstat.layer_types.record import (
    FORWARD,
    NOT_NEGATIVE,
    Exact,
    Layer,
    Parameter,
    Params,
    Referee,
    Row,
    Shape,
    whole,
)
from gradstat.numerics import elementary as el

LARGEST = 4096


def softmax_kernel(constants: Any, x: Any, dy: Any, noise: Any, y: Any, dx: Any) -> None:
    """y = e^(sx)/Σe^(sx), dx = s·y(dy − Σ y·dy), with the sign s."""
    sign = constants[0]
    n, lanes = x.shape
    largest, total, inner = np.empty(lanes), np.zeros(lanes), np.zeros(lanes)
    for lane in range(lanes):
        largest[lane] = sign * x[0, lane]
    for slot in range(1, n):
        for lane in range(lanes):
            value = sign * x[slot, lane]
            largest[lane] = value if value > largest[lane] else largest[lane]
    for slot in range(n):
        for lane in range(lanes):
            y[slot, lane] = el.exp(sign * x[slot, lane] - largest[lane])
            total[lane] += y[slot, lane]
    for slot in range(n):
        for lane in range(lanes):
            y[slot, lane] /= total[lane]
            inner[lane] += y[slot, lane] * dy[slot, lane]
    for slot in range(n):
        for lane in range(lanes):
            dx[slot, lane] = sign * y[slot, lane] * (dy[slot, lane] - inner[lane])


def log_softmax_kernel(constants: Any, x: Any, dy: Any, noise: Any, y: Any, dx: Any) -> None:
    """y = x − ln Σeˣ, dx = dy − e^y·Σdy."""
    n, lanes = x.shape
    largest, total, received = np.empty(lanes), np.zeros(lanes), np.zeros(lanes)
    for lane in range(lanes):
        largest[lane] = x[0, lane]
    for slot in range(1, n):
        for lane in range(lanes):
            value = x[slot, lane]
            largest[lane] = value if value > largest[lane] else largest[lane]
    for slot in range(n):
        for lane in range(lanes):
            dx[slot, lane] = el.exp(x[slot, lane] - largest[lane])
            total[lane] += dx[slot, lane]
            received[lane] += dy[slot, lane]
    for lane in range(lanes):
        received[lane] /= total[lane]
        largest[lane] += el.log(total[lane])
    for slot in range(n):
        for lane in range(lanes):
            y[slot, lane] = x[slot, lane] - largest[lane]
            dx[slot, lane] = dy[slot, lane] - dx[slot, lane] * received[lane]


def norm_kernel(constants: Any, x: Any, dy: Any, noise: Any, y: Any, dx: Any) -> None:
    """y = (x − c·x̄)/r, r² = mean (x − c·x̄)² + ε, dx = (dy − c·mean dy − y·mean(y·dy))/r; c = 1, or 0 for rms_norm."""
    centred, eps = constants[0], constants[1]
    n, lanes = x.shape
    mean, scale = np.zeros(lanes), np.zeros(lanes)
    received, inner = np.zeros(lanes), np.zeros(lanes)
    for slot in range(n):
        for lane in range(lanes):
            mean[lane] += centred * x[slot, lane] / n
            received[lane] += centred * dy[slot, lane] / n
    for slot in range(n):
        for lane in range(lanes):
            y[slot, lane] = x[slot, lane] - mean[lane]
            scale[lane] += y[slot, lane] * y[slot, lane] / n
    for lane in range(lanes):
        scale[lane] = 1.0 / np.sqrt(scale[lane] + eps)
    for slot in range(n):
        for lane in range(lanes):
            y[slot, lane] *= scale[lane]
            inner[lane] += y[slot, lane] * dy[slot, lane] / n
    for slot in range(n):
        for lane in range(lanes):
            dx[slot, lane] = (dy[slot, lane] - received[lane] - y[slot, lane] * inner[lane]) * scale[lane]


def softmax_referee(params: Params, row: Row, x: Input, dy: Upstream) -> Exact | None:
    """E[y] = 1/n; E[dx²] = (1 − c)·E[y²(1 − 2y + Σy²)], since equal dy cancel; the same for softmin by symmetry."""
    n = params["n"]
    known = ratios.softmax(n, x)
    if known is None:
        return None
    if row.direction == FORWARD:
        return Exact(1.0 / n, known.second - 1.0 / n**2, 1.0 / n)
    if dy.correlation == 1.0:
        return None  # dx = 0 up to rounding
    return Exact(0.0, (1.0 - dy.correlation) * (known.second - 2.0 * known.third + known.square_of_squares))


def log_softmax_referee(params: Params, row: Row, x: Input, dy: Upstream) -> Exact | None:
    """y = x − lse; with k = 1 + (n − 1)c, E[dx²] = 1 − 2k/n + nk·E[softmax²]."""
    n = params["n"]
    probabilities, known = ratios.softmax(n, x), ratios.log_softmax(n, x)
    if probabilities is None or known is None:
        return None
    if row.direction == FORWARD:
        return Exact(known[0], known[1], -known[0])
    k = 1.0 + (n - 1) * dy.correlation
    return Exact(0.0, 1.0 - 2.0 * k / n + n * k * probabilities.second)


def layer_norm_referee(params: Params, row: Row, x: Input, dy: Upstream) -> Exact | None:
    """Σy = 0 and Σy² = n for any x; normal x: var[dx] = (1 − c)/σ² · (n − 2)/(n − 3).

    The Jacobian is 1/r times a projector of rank n − 2 that is orthogonal to the ones; n·r² = σ²χ² with n − 1 degrees
    of freedom, and E[1/χ²] = 1/(n − 3).
    """
    n = params["n"]
    if params["eps"] > 0.0:
        return None
    if row.direction == FORWARD:
        size = abs_component(n - 1) * math.sqrt((n - 1) / n) if x.is_normal else None
        return Exact(0.0, 1.0, size and size * math.sqrt(n), size and size * math.sqrt(n))
    if not x.is_normal or dy.correlation == 1.0:
        return None  # equal dy: dx = 0 up to rounding
    return Exact(0.0, (1.0 - dy.correlation) * (n - 2) / (n - 3) / x.std**2)


def rms_norm_referee(params: Params, row: Row, x: Input, dy: Upstream) -> Exact | None:
    """μ = 0: Σy² = n, and var[dx] = (n − 1)·E[1/Σx²] whatever the correlation of dy; (n − 1)/(n − 2)/σ² for normal x.

    The Jacobian is 1/r times a projector of rank n − 1, and x is symmetric under a change of sign of any coordinate.
    """
    n = params["n"]
    if params["eps"] > 0.0 or x.mean != 0.0:
        return None
    if row.direction == FORWARD:
        size = abs_component(n) * math.sqrt(n) if x.is_normal else None
        return Exact(0.0, 1.0, size, size)
    return Exact(0.0, (n - 1) * ratios.inverse_sum_of_squares(n, x))


def vector(
    name: str,
    formula: str,
    backward: str,
    kernel: Callable[..., Any],
    referee: Referee,
    constants: Callable[[Params], tuple[float, ...]],
    parameters: tuple[Parameter, ...],
    description: str,
    aliases: tuple[str, ...] = (),
) -> Layer:
    """The record of one layer from n inputs to n outputs."""
    return Layer(
        name=name,
        formula=f"y = {formula}",
        backward=f"dx = {backward}",
        torch=f"torch.nn.functional.{name}",
        kernel=lambda params: kernel,
        elementwise=False,
        referee=referee,
        referee_words=description,
        parameters=parameters,
        aliases=aliases,
        shape=lambda params: Shape.pooled(params["n"], params["n"]),
        constants=constants,
    )


def softmax_like(name: str, sign: float, formula: str, backward: str) -> Layer:
    """softmax of x, or of −x."""
    parameters = (Parameter("n", 8, whole(2, LARGEST)),)
    return vector(
        name, formula, backward, softmax_kernel, softmax_referee, lambda params: (sign,), parameters, "quadrature"
    )


def norm(
    name: str,
    centred: float,
    least: int,
    referee: Referee,
    formula: str,
    backward: str,
    aliases: tuple[str, ...] = (),
) -> Layer:
    """A normalization over n; below `least` the variance of dx is infinite."""
    parameters = (Parameter("n", 16, whole(least, LARGEST)), Parameter("eps", 0.0, NOT_NEGATIVE))
    return vector(
        name,
        formula,
        backward,
        norm_kernel,
        referee,
        lambda params: (centred, float(params["eps"])),
        parameters,
        "closed form",
        aliases,
    )


SOFTMAX = softmax_like("softmax", 1.0, "eˣ/Σeˣ over n", "y·(dy − Σ y·dy)")
SOFTMIN = softmax_like("softmin", -1.0, "e⁻ˣ/Σe⁻ˣ over n", "−y·(dy − Σ y·dy)")
LOG_SOFTMAX = vector(
    "log_softmax",
    "x − ln Σeˣ over n",
    "dy − e^y·Σdy",
    log_softmax_kernel,
    log_softmax_referee,
    lambda params: (),
    (Parameter("n", 8, whole(2, LARGEST)),),
    "quadrature",
)
CENTRED = "(x − x̄)/r, r² = mean (x − x̄)² + eps over n"
CENTRED_BACK = "(dy − mean dy − y·mean(y·dy))/r"
LAYER_NORM = norm(
    "layer_norm", 1.0, 4, layer_norm_referee, CENTRED, CENTRED_BACK, aliases=("group_norm", "instance_norm")
)
BATCH_NORM = norm("batch_norm", 1.0, 4, layer_norm_referee, f"{CENTRED} samples of one feature", CENTRED_BACK)
RMS_NORM = norm("rms_norm", 0.0, 3, rms_norm_referee, "x/r, r² = mean x² + eps over n", "(dy − y·mean(y·dy))/r")
VECTORS = (SOFTMAX, SOFTMIN, LOG_SOFTMAX, LAYER_NORM, RMS_NORM, BATCH_NORM)
