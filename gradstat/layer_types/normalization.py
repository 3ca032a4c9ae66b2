"""Layers over n independent inputs: softmax and its relatives, and the normalizations, without affine parameters.

eps of the normalizations is 0 unless given; PyTorch's default is 1e-5. batch_norm is one feature over a batch of n in
training mode, so it equals layer_norm of the same n numbers.
"""

from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np

from gradstat.assumptions import Input, Upstream
from gradstat.layer_types.exact import inputs, upstream
from gradstat.layer_types.exact.enclosure import decimal, enclosure
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

LARGEST = 10**9
SQRT_2 = 1.4142135623730951
ZERO, ONE = enclosure(0), enclosure(1)
NOTHING = Exact.proven(ZERO, ZERO, ZERO, ZERO)  # equal dy cancel


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
    """E[y] = 1/n; E[dx²] = (1 − c)·E[y²(1 − 2y + Σy²)], since equal dy cancel; softmin is equal by symmetry."""
    from gradstat.layer_types.exact.exponentials import Law  # loads flint
    from gradstat.layer_types.exact.ratios import softmax

    n, forward = params["n"], row.direction == FORWARD
    if not forward and dy.correlation == 1.0:
        return NOTHING
    if n == 2 and x.is_normal and not x.correlation:
        return softmax_of_two(forward, x, dy)
    variance = spread_of(x)
    known = None if variance is None else softmax(n, Law(x.distribution, variance))
    if known is None:
        return None
    if forward:
        mean = enclosure(Fraction(1, n))
        return Exact.proven(mean, known.var, mean, kurtosis=known.kurtosis, skewness=known.skewness)
    return Exact.proven(ZERO, (1 - decimal(dy.correlation)) * known.gradient)


def sigmoid_of_difference(x: Any, root: Any) -> tuple[Any, Any]:
    """σ(√2·x) and its slope: of two normal inputs, √2·x has the distribution of the difference."""
    y = el.sigmoid(root * x)
    return y, root * y * el.sigmoid(-root * x)


def softmax_of_two(forward: bool, x: Input, dy: Upstream) -> Exact | None:
    """y = σ(x₁ − x₂); dx = σ′·(dy₁ − dy₂), where dy₁ − dy₂ has the variance 2(1 − c)."""
    from gradstat.layer_types.exact.moments import moments  # loads flint

    known = moments(sigmoid_of_difference, (SQRT_2,), (), Input(x.distribution, 0.0, x.std))
    if known is None or known.var is None or known.slope_second is None or known.slope_abs is None:
        return None
    half = enclosure(Fraction(1, 2))
    if forward:
        return Exact.proven(half, known.var, half, known.mad, known.kurtosis, ZERO)
    part = 1 - decimal(dy.correlation)
    # of (dy₁ − dy₂)/√(2(1 − c)): two Laplace numbers of scale 1/2 have E|sum| = 3/4 and kurtosis 9/2
    size = upstream.abs_mean(dy) if dy.is_normal else enclosure(Fraction(3, 4))
    tail = enclosure(3 if dy.is_normal else Fraction(9, 2))
    spread = part.root() * known.slope_abs * size
    kurtosis = None if known.slope_fourth is None else tail * known.slope_fourth / known.slope_second.squared()
    return Exact.proven(ZERO, part * known.slope_second, spread, spread, kurtosis)


def log_softmax_referee(params: Params, row: Row, x: Input, dy: Upstream) -> Exact | None:
    """y = x − lse; with k = 1 + (n − 1)c, E[dx²] = 1 − k/n + nk·var[softmax]; Cov(x₁, lse) = σ²/n for normal x."""
    from gradstat.layer_types.exact.exponentials import Law  # loads flint
    from gradstat.layer_types.exact.ratios import covariance, log_sum, softmax

    n, variance = params["n"], spread_of(x)
    if variance is None:
        return None
    law = Law(x.distribution, variance)
    if row.direction == FORWARD:
        known = log_sum(n, law)
        shared = enclosure(variance / n) if x.is_normal else covariance(n, law)
        if known is None or shared is None:
            return None
        mean = -known[0]
        return Exact.proven(mean, known[1] + variance - 2 * shared, -mean)
    probabilities = softmax(n, law)
    k = 1 + (n - 1) * decimal(dy.correlation)
    return None if probabilities is None else Exact.proven(ZERO, 1 - k / n + n * k * probabilities.var)


def spread_of(x: Input) -> Fraction | None:
    """The variance of the independent parts of x: equally correlated normal x is √ρ·shared + √(1 − ρ)·own.

    What x shares is lost in the layers that use this. None for other correlated x.
    """
    variance = inputs.variance(x).middle
    if not x.correlation:
        return variance
    return (1 - decimal(x.correlation).middle) * variance if x.is_normal else None


def layer_norm_referee(params: Params, row: Row, x: Input, dy: Upstream) -> Exact | None:
    """Σy = 0, and without eps Σy² = n for any x; normal x: the moments of n − 1 dimensions, and dx loses equal dy.

    Without eps, var[dx] = (1 − c)/σ² · (n − 2)/(n − 3).
    """
    n, eps, variance = params["n"], decimal(params["eps"]).middle, spread_of(x)
    if row.direction != FORWARD and dy.correlation == 1.0:
        return NOTHING
    if not x.is_normal or variance is None:
        return Exact.proven(ZERO, ONE) if row.direction == FORWARD and not eps else None
    if row.direction == FORWARD:
        return normalized(n - 1, n * eps / variance)
    return normalized_back(n - 1, n * eps / variance, variance, dy, True)


def rms_norm_referee(params: Params, row: Row, x: Input, dy: Upstream) -> Exact | None:
    """Without eps, Σy² = n for any x. For zero mean, var[dx] is the same for every correlation of dy.

    Zero mean: the distribution of x does not change with the sign of a coordinate. Without eps, normal x,
    var[dx] = (n − 1)/(n − 2)/σ².
    """
    from gradstat.layer_types.exact import norms, squares  # loads flint

    if x.correlation:
        return None
    n, variance = params["n"], inputs.variance(x).middle
    a, forward = n * decimal(params["eps"]).middle / variance, row.direction == FORWARD
    if x.is_normal and not x.mean:
        return normalized(n, a) if forward else normalized_back(n, a, variance, dy, not dy.correlation)
    if x.is_normal:
        centre = n * inputs.mean(x).squared().middle / variance
        if forward:
            mean, var = norms.shifted_outputs(n, a, centre)
            return None if mean is None or var is None else Exact.proven(mean if x.mean > 0.0 else -mean, var)
        var = norms.shifted_gradients(n, a, centre, decimal(dy.correlation).middle)
    elif x.mean:
        return None
    else:
        y, var = squares.normalized(n, x.distribution, a)
        if forward:
            return None if y is None else Exact.proven(ZERO, y)
    return None if var is None else Exact.proven(ZERO, var / variance, kurtosis=norms.tail_of(n, a))


def normalized(k: int, a: Fraction) -> Exact | None:
    """y of normal x in k dimensions, symmetric about 0."""
    from gradstat.layer_types.exact.norms import outputs  # loads flint

    var, size, kurtosis = outputs(k, a)
    return None if var is None else Exact.proven(ZERO, var, size, size, kurtosis, ZERO)


def normalized_back(k: int, a: Fraction, variance: Fraction, dy: Upstream, independent: bool) -> Exact | None:
    """dx of normal x in k dimensions; `independent`: only the independent parts of dy have an effect.

    `independent` is False for correlated dy whose shared part has the same second moment as the independent one.
    """
    from gradstat.layer_types.exact.norms import gradients, tail_of  # loads flint

    var, kurtosis, size = gradients(k, a)
    if var is None:
        return None
    part = (1 - decimal(dy.correlation)) / variance if independent else ONE / variance
    if not (independent and dy.is_normal):
        return Exact.proven(ZERO, part * var, kurtosis=tail_of(k, a))
    spread = None if size is None else part.root() * size
    return Exact.proven(ZERO, part * var, spread, spread, kurtosis, ZERO)


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
        shape=lambda params: Shape.pooled(params["n"], params["n"], equicorrelated=True),
        constants=constants,
    )


def softmax_like(name: str, sign: float, formula: str, backward: str) -> Layer:
    """softmax of x, or of −x."""
    parameters = (Parameter("n", 8, whole(2, LARGEST)),)
    return vector(
        name, formula, backward, softmax_kernel, softmax_referee, lambda params: (sign,), parameters, "proven integral"
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
        "closed form; proven integral with eps or a mean",
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
    "proven integral; quadrature for the variance of y of other than normal x",
)
CENTRED = "(x − x̄)/r, r² = mean (x − x̄)² + eps over n"
CENTRED_BACK = "(dy − mean dy − y·mean(y·dy))/r"
LAYER_NORM = norm(
    "layer_norm", 1.0, 4, layer_norm_referee, CENTRED, CENTRED_BACK, aliases=("group_norm", "instance_norm")
)
BATCH_NORM = norm("batch_norm", 1.0, 4, layer_norm_referee, f"{CENTRED} samples of one feature", CENTRED_BACK)
RMS_NORM = norm("rms_norm", 0.0, 3, rms_norm_referee, "x/r, r² = mean x² + eps over n", "(dy − y·mean(y·dy))/r")
VECTORS = (SOFTMAX, SOFTMIN, LOG_SOFTMAX, LAYER_NORM, RMS_NORM, BATCH_NORM)
