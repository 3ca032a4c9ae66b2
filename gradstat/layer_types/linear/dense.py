"""Inner product y = Wx, dx = Wᵀdy: W[out, in] is drawn anew in every draw, then normalized.

`fan_in` divides each output's row by its ℓ2 norm, `fan_out` each input's column (the articles' "rows on the unit ball",
for the forward and the backward pass). Weights are `gaussian`, `flat` (all alike) or `orthogonal`: orthonormal rows, or
columns where there are more outputs than inputs, the whole scaled so that fan_in makes the mean square norm of a row
1, and fan_out that of a column; `none` leaves the basis as it is.
"""

import math
from typing import Any

import numpy as np

from gradstat.assumptions import Input, Upstream
from gradstat.errors import UsageError
from gradstat.layer_types.exact.closed_forms import normal, second_moment
from gradstat.layer_types.linear.edges import LARGEST, NORMALIZE, Connections, weights_kernel
from gradstat.layer_types.record import FORWARD, Exact, Layer, Parameter, Params, Row, Shape, one_of, whole
from gradstat.layer_types.windows.kernels import average_kernel


def orthogonal_kernel(constants: Any, x: Any, dy: Any, noise: Any, y: Any, dx: Any) -> None:
    """y = Wx and dx = Wᵀdy, W = scale · the modified Gram-Schmidt basis of normal vectors (uniform over all bases).

    The vectors are the rows of W, or its columns where those are shorter in number.
    """
    scale, n_out, (n_in, lanes) = constants[0], dy.shape[0], x.shape
    vectors, members = min(n_in, n_out), max(n_in, n_out)
    step, stride = (n_in, 1) if n_out <= n_in else (1, n_in)
    product = np.empty(lanes)
    for vector in range(vectors):
        product[:] = 0.0
        for member in range(members):
            slot = vector * step + member * stride
            for lane in range(lanes):
                product[lane] += noise[slot, lane] * noise[slot, lane]
        for lane in range(lanes):
            product[lane] = 1.0 / np.sqrt(product[lane])
        for member in range(members):
            slot = vector * step + member * stride
            for lane in range(lanes):
                noise[slot, lane] *= product[lane]
        for later in range(vector + 1, vectors):
            product[:] = 0.0
            for member in range(members):
                slot, other = vector * step + member * stride, later * step + member * stride
                for lane in range(lanes):
                    product[lane] += noise[slot, lane] * noise[other, lane]
            for member in range(members):
                slot, other = vector * step + member * stride, later * step + member * stride
                for lane in range(lanes):
                    noise[other, lane] -= product[lane] * noise[slot, lane]
    y[:, :] = 0.0
    dx[:, :] = 0.0
    for out in range(n_out):
        for in_ in range(n_in):
            for lane in range(lanes):
                weight = scale * noise[out * n_in + in_, lane]
                y[out, lane] += weight * x[in_, lane]
                dx[in_, lane] += weight * dy[out, lane]


KERNELS = {"gaussian": weights_kernel, "orthogonal": orthogonal_kernel, "flat": average_kernel}


def scale_of(params: Params) -> float:
    """What an orthonormal basis is multiplied by: the mean square norm of the rows or columns becomes 1."""
    n_in, n_out = params["in_features"], params["out_features"]
    vectors = {"fan_in": n_out, "fan_out": n_in, "none": min(n_in, n_out)}[params["normalize"]]
    return math.sqrt(vectors / min(n_in, n_out))  # the squares of all weights sum up to the number of basis vectors


def features(params: Params) -> tuple[int, int]:
    """Inputs and outputs; UsageError where one draw would need too many weights."""
    n_in, n_out = params["in_features"], params["out_features"]
    if n_in * n_out > LARGEST:
        raise UsageError(f"linear: {n_in} x {n_out} weights in one draw; allowed: up to {LARGEST}")
    return n_in, n_out


def connections(params: Params) -> Connections:
    """Every input is joined to every output."""
    n_in, n_out = features(params)
    edges = [(out, in_, out * n_in + in_) for out in range(n_out) for in_ in range(n_in)]
    sets = {"fan_in": [out for out, _, _ in edges], "fan_out": [in_ for _, in_, _ in edges], "none": None}
    return Connections(n_out, edges, (1.0,) * len(edges), sets[params["normalize"]])


def constants(params: Params) -> tuple[float, ...]:
    """The scale of an orthogonal matrix, the connections of any other."""
    if params["weight"] == "orthogonal":
        return (scale_of(params),)
    own = connections(params)
    return own.flat_constants() if params["weight"] == "flat" else own.constants()


def referee(params: Params, row: Row, x: Input, dy: Upstream) -> Exact | None:
    """Orthogonal: variance = number of terms · E[w²] · E[u²]; others as any connections."""
    if params["weight"] != "orthogonal":
        own = connections(params)
        return own.flat_referee(row, x, dy) if params["weight"] == "flat" else own.referee(row, x, dy)
    n_in, n_out, square = params["in_features"], params["out_features"], scale_of(params) ** 2
    if row.direction == FORWARD:
        var = square * n_in / max(n_in, n_out) * second_moment(x)
        unit = n_out <= n_in and x.is_normal and x.mean == 0.0
    else:
        var = square * n_out / max(n_in, n_out)
        unit = n_in <= n_out and dy.is_normal and not dy.correlation
    return normal(0.0, var) if unit else Exact(0.0, var)


def shape(params: Params) -> Shape:
    """in_features inputs, out_features outputs and their weights."""
    n_in, n_out = features(params)
    noise = 0 if params["weight"] == "flat" else n_in * n_out
    return Shape.pooled(n_in, n_out, noise=noise, noise_kind="normal")


LINEAR = Layer(
    name="linear",
    formula="y = Wx, W normal with rows of unit ℓ2 norm over fan_in or fan_out, or left as drawn",
    backward="dx = Wᵀdy",
    torch="torch.nn.functional.linear",
    kernel=lambda params: KERNELS[params["weight"]],
    elementwise=False,
    referee=referee,
    referee_words="closed form",
    parameters=(
        Parameter("in_features", 8, whole(1, LARGEST)),
        Parameter("out_features", 4, whole(1, LARGEST)),
        Parameter("normalize", "fan_out", one_of(*NORMALIZE)),
        Parameter("weight", "gaussian", one_of(*KERNELS)),
    ),
    shape=shape,
    constants=constants,
)
