"""Inner product y = Wx, dx = Wᵀdy: W is drawn anew in every draw, then normalized.

W[out, in] comes as standard normal noise, output by output. `fan_in` divides each output's row by its ℓ2 norm,
`fan_out` each input's column (the articles' "rows on the unit ball", for the forward and the backward pass).
"""

from typing import Any

import numpy as np

from gradstat.assumptions import Input, Upstream
from gradstat.errors import UsageError
from gradstat.layers.record import COUNT, FORWARD, Exact, Kind, Layer, Parameter, Params, Row, Shape, one_of
from gradstat.layers.referee.closed_forms import second_moment

NORMALIZE = ("fan_in", "fan_out", "none")
LARGEST = 4096  # weights of one draw: 1024 lanes of them take 32 MB
FEATURES = COUNT & Kind(f"at most {LARGEST}", lambda value: value <= LARGEST)


def linear_kernel(constants: Any, x: Any, dy: Any, noise: Any, y: Any, dx: Any) -> None:
    """y[o] = Σᵢ W[o, i]·x[i] and dx[i] = Σₒ W[o, i]·dy[o], with W normalized first."""
    normalize = int(constants[0])
    n_out, (n_in, lanes) = dy.shape[0], x.shape
    norm = np.empty(lanes)
    groups = n_out if normalize == 0 else n_in
    members = n_in if normalize == 0 else n_out
    for group in range(groups if normalize < 2 else 0):
        norm[:] = 0.0
        for member in range(members):
            slot = group * n_in + member if normalize == 0 else member * n_in + group
            for lane in range(lanes):
                norm[lane] += noise[slot, lane] * noise[slot, lane]
        for lane in range(lanes):
            norm[lane] = 1.0 / np.sqrt(norm[lane])
        for member in range(members):
            slot = group * n_in + member if normalize == 0 else member * n_in + group
            for lane in range(lanes):
                noise[slot, lane] *= norm[lane]
    y[:, :] = 0.0
    dx[:, :] = 0.0
    for out in range(n_out):
        for in_ in range(n_in):
            for lane in range(lanes):
                weight = noise[out * n_in + in_, lane]
                y[out, lane] += weight * x[in_, lane]
                dx[in_, lane] += weight * dy[out, lane]


def referee(params: Params, row: Row, x: Input, dy: Upstream) -> Exact:
    """Zero mean; variance = number of terms · E[w²] · E[input²], with E[w²] = 1, 1/fan_in or 1/fan_out."""
    fans = {"fan_in": params["in_features"], "fan_out": params["out_features"], "none": 1}
    weight = 1.0 / fans[params["normalize"]]
    if row.direction == FORWARD:
        return Exact(0.0, params["in_features"] * weight * second_moment(x))
    return Exact(0.0, params["out_features"] * weight)


def shape(params: Params) -> Shape:
    """in_features inputs, out_features outputs and their weights."""
    n_in, n_out = params["in_features"], params["out_features"]
    if n_in * n_out > LARGEST:
        raise UsageError(f"linear: {n_in} x {n_out} weights in one draw; allowed: up to {LARGEST}")
    return Shape.pooled(n_in, n_out, noise=n_in * n_out, noise_kind="normal")


LINEAR = Layer(
    name="linear",
    formula="y = Wx, W normal with rows of unit ℓ2 norm over fan_in or fan_out, or left as drawn",
    backward="dx = Wᵀdy",
    torch="torch.nn.functional.linear",
    kernel=lambda params: linear_kernel,
    elementwise=False,
    referee=referee,
    referee_words="closed form",
    parameters=(
        Parameter("in_features", 8, FEATURES),
        Parameter("out_features", 4, FEATURES),
        Parameter("normalize", "fan_out", one_of(*NORMALIZE)),
    ),
    shape=shape,
    constants=lambda params: (float(NORMALIZE.index(params["normalize"])),),
)
