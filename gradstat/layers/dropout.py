"""Dropout: each input is kept with probability 1 − p; `inverted` divides what is kept by 1 − p."""

from dataclasses import replace
from typing import Any

from gradstat.assumptions import Input, Upstream
from gradstat.layers.record import FLAG, FORWARD, PROBABILITY, Exact, Layer, Parameter, Params, Row, Shape
from gradstat.layers.referee.closed_forms import second_moment
from gradstat.layers.referee.distributions import abs_mean_of_upstream
from gradstat.layers.referee.quadrature import expectation


def dropout_kernel(constants: Any, x: Any, dy: Any, noise: Any, y: Any, dx: Any) -> None:
    """r = [u ≥ p]·scale; y = r·x, dx = r·dy."""
    p, scale = constants[0], constants[1]
    for lane in range(x.shape[1]):
        r = scale if noise[0, lane] >= p else 0.0
        y[0, lane] = r * x[0, lane]
        dx[0, lane] = r * dy[0, lane]


def referee(params: Params, row: Row, x: Input, dy: Upstream) -> Exact | None:
    """With keep probability q and scale c: E[y] = qc·E[x], E[y²] = qc²·E[x²]; the same for dx with dy."""
    p, scale = constants(params)
    keep = 1.0 - p
    if row.direction != FORWARD:
        spread = keep * scale * abs_mean_of_upstream(dy)
        return Exact(0.0, keep * scale**2, spread, spread)
    mean = keep * scale * x.mean
    size = expectation(abs, x, (0.0,))
    kept = expectation(abs, replace(x, mean=x.mean - mean / scale), (0.0,))  # E|x − mean/c|
    if size is None or kept is None:
        return None
    mad = p * abs(mean) + keep * scale * kept
    return Exact(mean, keep * scale**2 * second_moment(x) - mean**2, keep * scale * size, mad)


def constants(params: Params) -> tuple[float, float]:
    """(p, scale of what is kept)."""
    p = float(params["p"])
    return p, 1.0 / (1.0 - p) if params["inverted"] else 1.0


DROPOUT = Layer(
    name="dropout",
    formula="y = r·x, r = 1/(1 − p) with probability 1 − p, else 0 (r = 1 where not inverted)",
    backward="dx = r·dy",
    torch="torch.nn.functional.dropout",
    kernel=lambda params: dropout_kernel,
    elementwise=False,
    referee=referee,
    referee_words="closed form",
    parameters=(Parameter("p", 0.5, PROBABILITY), Parameter("inverted", True, FLAG)),
    shape=lambda params: Shape(noise=1),
    constants=constants,
)
