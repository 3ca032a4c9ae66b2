"""Inner product y = Wx, dx = Wᵀdy: W[out, in] is new in every draw, and normalized.

`fan_in` divides each output's row by its ℓ2 norm, `fan_out` each input's column (the articles' "rows on the unit ball",
for the forward and the backward pass). Weights are

* `gaussian`: standard normal;
* `uniform`: from −1/√in_features to 1/√in_features, which with `none` is the default of torch.nn.Linear;
* `flat`: all 1;
* `orthogonal`: orthonormal rows, or columns if there are more outputs than inputs, multiplied by a scale: with fan_in
  the mean square norm of a row is 1, with fan_out that of a column; `none` does not scale.

Inputs with a correlation lie on a line: those at distance d have the correlation ρ^d.
"""

import math
from dataclasses import replace
from fractions import Fraction
from typing import Any

import numpy as np

from gradstat.assumptions import Input, Upstream
from gradstat.layer_types.exact.closed_forms import ZERO
from gradstat.layer_types.exact.enclosure import enclosure
from gradstat.layer_types.linear.edges import NORMALIZE, Connections, weights_kernel
from gradstat.layer_types.linear.moments import (
    Terms,
    Weights,
    fixed_map,
    gaussian,
    geometric,
    orthonormal,
    random_map,
    uniform,
    values_of,
)
from gradstat.layer_types.linear.streams import ChannelMap, stream_kernel
from gradstat.layer_types.record import FORWARD, MOST_KEPT, Exact, Layer, Parameter, Params, Row, Shape, one_of, whole
from gradstat.layer_types.windows.kernels import average_kernel

MOST_FEATURES = 2**18


def orthogonal_kernel(constants: Any, x: Any, dy: Any, noise: Any, y: Any, dx: Any) -> None:
    """y = Wx and dx = Wᵀdy, W = scale · the modified Gram-Schmidt basis of normal vectors (uniform over all bases).

    The vectors are the rows of W, or its columns if there are fewer columns.
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


KERNELS = {
    "gaussian": weights_kernel,
    "uniform": weights_kernel,
    "orthogonal": orthogonal_kernel,
    "flat": average_kernel,
}


def features(params: Params) -> tuple[int, int]:
    """The numbers of inputs and outputs."""
    return params["in_features"], params["out_features"]


def is_streamed(params: Params) -> bool:
    """True if a draw has too many weights to keep. Orthogonal weights depend on each other and are always kept."""
    n_in, n_out = features(params)
    return n_in * n_out > MOST_KEPT and params["weight"] != "orthogonal"


def norm_size(params: Params) -> int | None:
    """The number of weights that share a norm; None if they have none."""
    n_in, n_out = features(params)
    return {"fan_in": n_in, "fan_out": n_out, "none": None}[params["normalize"]]


def orthogonal_vectors(params: Params) -> int:
    """The sum of the squares of all weights of a scaled orthonormal basis."""
    n_in, n_out = features(params)
    return {"fan_in": n_out, "fan_out": n_in, "none": min(n_in, n_out)}[str(params["normalize"])]


def factor_of(params: Params) -> float:
    """The factor of every weight after normalization."""
    if params["weight"] == "flat":
        return 1.0 / math.sqrt(norm_size(params) or 1)
    is_default = params["weight"] == "uniform" and params["normalize"] == "none"
    return 1.0 / math.sqrt(params["in_features"]) if is_default else 1.0


def channels(params: Params) -> ChannelMap:
    """The map whose channels are features, with one weight between each two."""
    n_in, n_out = features(params)
    return ChannelMap(
        params["weight"], params["normalize"], 1, (n_in, n_out), (1, 1), (factor_of(params),), (((0, 0),),)
    )


def constants(params: Params) -> tuple[float, ...]:
    """The constants of the kernel: the scale of an orthogonal matrix, otherwise the connections."""
    n_in, n_out = features(params)
    if params["weight"] == "orthogonal":
        return (math.sqrt(orthogonal_vectors(params) / min(n_in, n_out)),)
    if is_streamed(params):
        return channels(params).constants()
    edges = [(out, in_, out * n_in + in_) for out in range(n_out) for in_ in range(n_in)]
    sets = {"fan_in": [out for out, _, _ in edges], "fan_out": [in_ for _, in_, _ in edges], "none": None}
    is_flat = params["weight"] == "flat"
    factor = 1.0 if is_flat else factor_of(params)  # flat weights are divided by their norm
    own = Connections(n_out, edges, (factor,) * len(edges), sets[params["normalize"]])
    return own.flat_constants() if is_flat else own.constants(shape(params).noise_kind)


def terms_of(params: Params, row: Row) -> Terms:
    """What every slot of a row sums over: all features of the other side, with factors of 1."""
    forward, normalize = row.direction == FORWARD, params["normalize"]
    n = params["in_features"] if forward else params["out_features"]
    is_orthogonal = params["weight"] == "orthogonal"
    together = is_orthogonal or normalize == ("fan_in" if forward else "fan_out")
    whole_ = n == max(features(params)) if is_orthogonal else together or norm_size(params) == 1
    one = enclosure(n)
    return Terms(
        count=n,
        sums=(one, one, one),
        normalized_together=enclosure(n * (n - 1)) if together else ZERO,
        neighbours=lambda power, r: geometric(n, r) - n,
        neighbours_together=together,
        whole=whole_,
    )


def weights_of(params: Params) -> Weights:
    """The moments of one weight."""
    n_in, n_out = features(params)
    if params["weight"] == "orthogonal":
        return orthonormal(max(n_in, n_out), Fraction(orthogonal_vectors(params), n_in * n_out))
    size = norm_size(params)
    return uniform(size, n_in) if params["weight"] == "uniform" else gaussian(size)


def referee(params: Params, row: Row, x: Input, dy: Upstream) -> Exact | None:
    """Exact values, from the number of terms and the moments of a weight."""
    parts = [(len(row.slots), terms_of(params, row))]
    if params["weight"] != "flat":
        return random_map(parts, weights_of(params), values_of(row, x, dy))
    weight = 1 / enclosure(norm_size(params) or 1).root()
    return fixed_map(row, parts, weight, x, dy)


def shape(params: Params) -> Shape:
    """The shape of a draw: in_features inputs, out_features outputs and their weights."""
    n_in, n_out = features(params)
    streamed = is_streamed(params)
    noise = 0 if streamed or params["weight"] == "flat" else n_in * n_out
    kind = "uniform" if params["weight"] == "uniform" else "normal"
    stream = channels(params).stream() if streamed else None
    return replace(Shape.pooled(n_in, n_out, noise=noise, noise_kind=kind), grid=(n_in,), stream=stream)


LINEAR = Layer(
    name="linear",
    formula="y = Wx, W random with rows of unit ℓ2 norm over fan_in or fan_out, or left as drawn",
    backward="dx = Wᵀdy",
    torch="torch.nn.functional.linear",
    kernel=lambda params: stream_kernel if is_streamed(params) else KERNELS[params["weight"]],
    elementwise=False,
    referee=referee,
    referee_words="closed form",
    parameters=(
        Parameter("in_features", 8, whole(1, MOST_FEATURES)),
        Parameter("out_features", 4, whole(1, MOST_FEATURES)),
        Parameter("normalize", "fan_out", one_of(*NORMALIZE)),
        Parameter("weight", "gaussian", one_of(*KERNELS)),
    ),
    shape=shape,
    constants=constants,
)
