"""Activations with noise of their own: rrelu, whose slope below zero is drawn anew for every element."""

from typing import Any

import numpy as np

from gradstat.assumptions import Input, Upstream
from gradstat.layer_types.exact.distributions import Array, abs_mean_of_upstream
from gradstat.layer_types.exact.quadrature import expectation
from gradstat.layer_types.record import FLAG, FORWARD, REAL, Domain, Exact, Layer, Parameter, Params, Row, Shape


def rrelu_kernel(constants: Any, x: Any, dy: Any, noise: Any, y: Any, dx: Any) -> None:
    """slope = 1 for x > 0, else lower + (upper − lower)·u; y = slope·x, dx = slope·dy."""
    lower, width = constants[0], constants[1]
    for lane in range(x.shape[1]):
        slope = 1.0 if x[0, lane] > 0.0 else lower + width * noise[0, lane]
        y[0, lane] = slope * x[0, lane]
        dx[0, lane] = slope * dy[0, lane]


def referee(params: Params, row: Row, x: Input, dy: Upstream) -> Exact | None:
    """Given x ≤ 0, y is uniform between lower·x and upper·x; quadrature over x does the rest."""
    lower, upper = slopes(params)
    slope, square = 0.5 * (lower + upper), (lower**2 + lower * upper + upper**2) / 3.0
    if row.direction != FORWARD:
        var = expectation(lambda v: np.where(v > 0.0, 1.0, square), x, (0.0,))
        size = expectation(lambda v: np.where(v > 0.0, 1.0, mean_distance(lower, upper, 0.0)), x, (0.0,))
        spread = None if size is None else size * abs_mean_of_upstream(dy)
        return None if var is None else Exact(0.0, var, spread, spread)
    mean = expectation(lambda v: np.where(v > 0.0, v, slope * v), x, (0.0,))
    if mean is None:
        return None
    noise = square - slope**2
    var = expectation(lambda v: np.where(v > 0.0, (v - mean) ** 2, (slope * v - mean) ** 2 + noise * v**2), x, (0.0,))
    size, mad = distance(lower, upper, 0.0, x), distance(lower, upper, mean, x)
    return None if var is None else Exact(mean, var, size, mad)


def distance(lower: float, upper: float, centre: float, x: Input) -> float | None:
    """E|y − centre|, split where y or an end of its range meets the centre."""
    kinks = (0.0, centre, *(centre / slope for slope in (lower, upper) if slope != 0.0))

    def given(v: Array) -> Array:
        return np.where(v > 0.0, np.abs(v - centre), mean_distance(lower * v, upper * v, centre))

    return expectation(given, x, kinks)


def mean_distance(a: Any, b: Any, centre: float) -> Any:
    """E|U − c|, U uniform between a and b: the mean of |ends − c| without c between them, else (p² + q²)/(2(p + q))."""
    p, q = np.subtract(a, centre), np.subtract(b, centre)
    inside = p * q < 0.0
    width = np.where(inside, np.abs(p - q), 1.0)
    return np.where(inside, (p * p + q * q) / (2.0 * width), 0.5 * (np.abs(p) + np.abs(q)))


def slopes(params: Params) -> tuple[float, float]:
    """The range of the slope; outside training its middle alone."""
    lower, upper = float(params["lower"]), float(params["upper"])
    middle = 0.5 * (lower + upper)
    return (lower, upper) if params["training"] else (middle, middle)


def constants(params: Params) -> tuple[float, float]:
    """(lower, upper − lower)."""
    lower, upper = slopes(params)
    return lower, upper - lower


RRELU = Layer(
    name="rrelu",
    formula="y = x if x > 0 else a·x, a uniform on (lower, upper), or its middle outside training",
    backward="dx = dy if x > 0 else a·dy",
    torch="torch.nn.functional.rrelu",
    kernel=lambda params: rrelu_kernel,
    elementwise=False,
    referee=referee,
    referee_words="quadrature",
    parameters=(
        Parameter("lower", 1.0 / 8.0, REAL),
        Parameter("upper", 1.0 / 3.0, REAL),
        Parameter("training", True, FLAG),
    ),
    constraint=Domain("lower ≤ upper", lambda params: params["lower"] <= params["upper"]),
    shape=lambda params: Shape(noise=1),
    constants=constants,
)
NOISY = (RRELU,)
