"""Pooling windows without overlap: the largest, or the average, of the inputs of one window.

A kernel finds its windows in its constants: their number, their size, then the input slots of each.
"""

import math
from typing import Any

import numpy as np

from gradstat.assumptions import Input, Upstream
from gradstat.errors import UsageError
from gradstat.layers.record import FORWARD, Exact, Kind, Layer, Parameter, Params, Row, Shape
from gradstat.layers.referee.closed_forms import mean_of_independent
from gradstat.layers.referee.distributions import abs_mean_of_upstream
from gradstat.layers.referee.order_statistics import maximum


def max_kernel(constants: Any, x: Any, dy: Any, noise: Any, y: Any, dx: Any) -> None:
    """y = max x; dx = dy at the first of the largest x (as PyTorch breaks ties), 0 elsewhere."""
    windows, size = int(constants[0]), int(constants[1])
    lanes = x.shape[1]
    winner = np.empty(lanes)
    dx[:, :] = 0.0
    for window in range(windows):
        first = 2 + window * size
        slot = int(constants[first])
        for lane in range(lanes):
            y[window, lane] = x[slot, lane]
            winner[lane] = 0.0
        for tap in range(1, size):
            slot = int(constants[first + tap])
            for lane in range(lanes):
                larger = x[slot, lane] > y[window, lane]
                y[window, lane] = x[slot, lane] if larger else y[window, lane]
                winner[lane] = float(tap) if larger else winner[lane]
        for tap in range(size):
            slot = int(constants[first + tap])
            for lane in range(lanes):
                dx[slot, lane] += dy[window, lane] if winner[lane] == tap else 0.0


def average_kernel(constants: Any, x: Any, dy: Any, noise: Any, y: Any, dx: Any) -> None:
    """y = Σx / size; dx = dy / size from every window that covers the input."""
    windows, size = int(constants[0]), int(constants[1])
    lanes = x.shape[1]
    dx[:, :] = 0.0
    y[:, :] = 0.0
    for window in range(windows):
        for tap in range(size):
            slot = int(constants[2 + window * size + tap])
            for lane in range(lanes):
                y[window, lane] += x[slot, lane] / size
                dx[slot, lane] += dy[window, lane] / size


def max_referee(params: Params, row: Row, x: Input, dy: Upstream) -> Exact | None:
    """The order-statistics integral for y; each of n inputs is the largest with probability 1/n."""
    n = window_size(params)
    if row.direction == FORWARD:
        return maximum(n, x)
    size = abs_mean_of_upstream(dy) / n
    return Exact(0.0, 1.0 / n, size, size)


def average_referee(params: Params, row: Row, x: Input, dy: Upstream) -> Exact | None:
    """y: mean and variance over n; dx = dy/n."""
    n = window_size(params)
    if row.direction == FORWARD:
        return mean_of_independent(n, x)
    size = abs_mean_of_upstream(dy) / n
    return Exact(0.0, 1.0 / n**2, size, size)


def window_size(params: Params) -> int:
    """Number of inputs of one window."""
    return math.prod(pair(params["kernel_size"]))


def pair(value: int | list[int]) -> tuple[int, int]:
    """PyTorch's shorthand: one number stands for both dimensions."""
    return (value, value) if isinstance(value, int) else (value[0], value[1])


def one_window(params: Params) -> Shape:
    """All inputs of one window, one output."""
    if params["stride"] is not None and pair(params["stride"]) != pair(params["kernel_size"]):
        raise UsageError(
            f"stride = {params['stride']!r} differs from kernel_size = {params['kernel_size']!r}: windows that overlap"
            " or leave gaps are not simulated yet",
            "leave stride out",
        )
    return Shape.pooled(n_in=window_size(params), n_out=1)


def slots_of_windows(params: Params) -> tuple[float, ...]:
    """The constants of the kernels: one window over all inputs, in order."""
    n = window_size(params)
    return (1.0, float(n), *map(float, range(n)))


def _is_size(value: Any) -> bool:
    numbers = value if isinstance(value, list) and len(value) == 2 else [value]
    return all(isinstance(n, int) and not isinstance(n, bool) and 0 < n <= 64 for n in numbers)


SIZE = Kind("a whole number from 1 to 64, or a list of two", _is_size)
OPTIONAL_SIZE = Kind(f"{SIZE.words}, or left out", lambda value: value is None or _is_size(value))
PARAMETERS = (Parameter("kernel_size", 2, SIZE), Parameter("stride", None, OPTIONAL_SIZE))

MAX_POOL2D = Layer(
    name="max_pool2d",
    formula="y = max x over the window",
    backward="dx = dy at the first of the largest x, 0 elsewhere",
    torch="torch.nn.functional.max_pool2d",
    kernel=lambda params: max_kernel,
    elementwise=False,
    referee=max_referee,
    referee_words="order statistics",
    parameters=PARAMETERS,
    shape=one_window,
    constants=slots_of_windows,
)
AVG_POOL2D = Layer(
    name="avg_pool2d",
    formula="y = Σx / n over the n inputs of the window",
    backward="dx = dy / n",
    torch="torch.nn.functional.avg_pool2d",
    kernel=lambda params: average_kernel,
    elementwise=False,
    referee=average_referee,
    referee_words="closed form",
    parameters=PARAMETERS,
    shape=one_window,
    constants=slots_of_windows,
)
POOLING = (AVG_POOL2D, MAX_POOL2D)
