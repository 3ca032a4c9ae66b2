"""Operations with weights: what linear layers and convolutions compute, forward and backward, in float64.

An operation is immutable, gets its weights as an argument, does not depend on the scheme, and predicts mean and σ of
its outputs. Arrays are [sample, features…]; a map is [sample, channel, row, column]. Max and average pooling, dropout,
linear layers and convolutions exist once as kernels in layer_types, which compute one independent patch per draw, and
once here in NumPy, because the units of a network share weights and inputs and need whole maps.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Protocol

import numpy as np

from gradstat.errors import UsageError
from gradstat.layer_types.case import Case
from gradstat.layer_types.record import ALL, BACKWARD, FORWARD
from gradstat.layer_types.registry import find
from gradstat.layer_types.windows.geometry import bounded
from gradstat.networks.randomness import Array
from gradstat.networks.schemes import Constants, Fans

Features = tuple[int, ...]


@dataclass(frozen=True)
class Moments:
    """Mean and σ of y, and rms[dx]/rms[dy], for a given mean and σ of the inputs."""

    mean: float
    std: float
    slope: float


class Operation(Protocol):
    """One step of a network. `fans` is None without weights, `constants` is None if no scheme may scale it."""

    @property
    def label(self) -> str: ...
    @property
    def features(self) -> Features:
        """The shape of one sample of y."""

    @property
    def fans(self) -> Fans | None: ...
    @property
    def draws(self) -> tuple[int, ...]:
        """The shape of the weights, or of the mask of one sample; empty if nothing is drawn."""

    @property
    def kept(self) -> int:
        """The number of floats per sample that the forward pass keeps for the backward pass."""

    @property
    def constants(self) -> Constants | None: ...
    @property
    def terms(self) -> float:
        """The number of products x·dy that a weight's gradient sums for one sample."""

    def forward(self, x: Array, drawn: Array | None) -> tuple[Array, Any]:
        """y, and the memory that the backward pass needs."""

    def backward(self, dy: Array, drawn: Array | None, memory: Any) -> tuple[Array, Array | None]:
        """dx, and dW or None."""

    def moments(self, mean: float, std: float, weight_std: float) -> Moments | None:
        """The prediction from this layer alone; `weight_std` is σ of a weight. None without a prediction."""


def exact_constants(case: Case) -> Constants | None:
    """Exact E[y], σ[y] and σ[dx] of a layer; None if one of them is unknown."""
    rows = {row.direction: case.exact(row) for row in reversed(case.shape.rows) if row.cell == ALL}
    y, dx = rows[FORWARD], rows[BACKWARD]
    return None if y is None or dx is None else Constants(y.mean, math.sqrt(y.var), math.sqrt(dx.var))


@dataclass(frozen=True)
class Linear:
    """y = Wx, dx = Wᵀdy, dW = Σ dy·xᵀ over the samples."""

    source: Features
    width: int

    @property
    def label(self) -> str:
        return f"linear({self.width})"

    @property
    def features(self) -> Features:
        return (self.width,)

    @property
    def fans(self) -> Fans:
        return Fans(math.prod(self.source), self.width)

    @property
    def draws(self) -> tuple[int, ...]:
        return (self.width, math.prod(self.source))

    @property
    def kept(self) -> int:
        return math.prod(self.source)

    @property
    def constants(self) -> None:
        return None

    @property
    def terms(self) -> float:
        return 1.0

    def forward(self, x: Array, drawn: Array | None) -> tuple[Array, Any]:
        flat = x.reshape(len(x), -1)
        return flat @ _weights(drawn).T, flat

    def backward(self, dy: Array, drawn: Array | None, memory: Any) -> tuple[Array, Array]:
        return (dy @ _weights(drawn)).reshape(len(dy), *self.source), dy.T @ memory

    def moments(self, mean: float, std: float, weight_std: float) -> Moments:
        fans = self.fans
        return Moments(
            0.0, weight_std * math.sqrt(fans.inputs * (mean**2 + std**2)), weight_std * math.sqrt(fans.outputs)
        )


@dataclass(frozen=True)
class Conv2d:
    """y = Σ w·x over the window of every output, in every channel; zeros around the map."""

    source: Features
    channels: int
    kernel: int
    stride: int
    padding: int

    def __post_init__(self) -> None:
        check_map("conv2d", self.source)
        _ = self.size

    @property
    def label(self) -> str:
        tail = f", stride={self.stride}" if self.stride > 1 else ""
        return f"conv2d({self.channels}, {self.kernel}×{self.kernel}{tail})"

    @property
    def size(self) -> tuple[int, int]:
        """Rows and columns of y."""
        rows, columns = (len(axis.windows) for axis in self._axes())
        return rows, columns

    @property
    def features(self) -> Features:
        return (self.channels, *self.size)

    @property
    def taps(self) -> int:
        """Weights between two channels."""
        return self.kernel**2

    @property
    def fans(self) -> Fans:
        """σ[dx] is the exact value for a map without border: 1/stride if columns have norm 1."""
        backward = _backward_of_unit_columns(self.kernel, self.stride)
        return Fans(self.source[0] * self.taps, self.channels * self.taps, backward, self.taps)

    @property
    def draws(self) -> tuple[int, ...]:
        return (self.channels, self.source[0] * self.taps)

    @property
    def kept(self) -> int:
        return math.prod(self.size) * self.source[0] * self.taps

    @property
    def constants(self) -> None:
        return None

    @property
    def terms(self) -> float:
        return math.prod(self.size) * self._inside()

    def forward(self, x: Array, drawn: Array | None) -> tuple[Array, Any]:
        columns = self._columns(x)
        y = columns @ _weights(drawn).T
        return y.reshape(len(x), *self.size, self.channels).transpose(0, 3, 1, 2), columns

    def backward(self, dy: Array, drawn: Array | None, memory: Any) -> tuple[Array, Array]:
        flat = np.ascontiguousarray(dy.transpose(0, 2, 3, 1)).reshape(-1, self.channels)
        return self._gathered(flat @ _weights(drawn), len(dy)), flat.T @ memory

    def moments(self, mean: float, std: float, weight_std: float) -> Moments:
        """Uses mean numbers of taps, since inputs and outputs at the border meet fewer weights."""
        met = self._inside() * self.taps
        read = met * math.prod(self.size) / math.prod(self.source[1:])
        rms = math.hypot(mean, std)
        return Moments(
            0.0, weight_std * math.sqrt(self.source[0] * met) * rms, weight_std * math.sqrt(self.channels * read)
        )

    def _axes(self) -> tuple[Any, Any]:
        rows, columns = (bounded(n, self.kernel, self.stride, 1, self.padding, False) for n in self.source[1:])
        return rows, columns

    def _inside(self) -> float:
        """The fraction of all (window, tap) pairs that lies on the map."""
        fraction = 1.0
        for axis in self._axes():
            fraction *= sum(axis.counts) / (len(axis.windows) * self.kernel)
        return fraction

    def _columns(self, x: Array) -> Array:
        """One row per window: its inputs in the order [channel, row, column], which is PyTorch's."""
        edge = (self.padding, self.padding)
        padded = np.pad(x, ((0, 0), (0, 0), edge, edge))
        windows = sliding(padded, self.kernel, self.stride)
        rows = len(x) * math.prod(self.size)
        return np.ascontiguousarray(windows.transpose(0, 2, 3, 1, 4, 5)).reshape(rows, -1)

    def _gathered(self, columns: Array, samples: int) -> Array:
        """The sum over the windows that read each input."""
        channels, rows, wide = self.source
        height, width = self.size
        taps = columns.reshape(samples, height, width, channels, self.kernel, self.kernel)
        dx = np.zeros((samples, channels, rows + 2 * self.padding, wide + 2 * self.padding))
        for i in range(self.kernel):
            for j in range(self.kernel):
                target = dx[:, :, i : i + self.stride * height : self.stride, j : j + self.stride * width : self.stride]
                target += taps[:, :, :, :, i, j].transpose(0, 3, 1, 2)
        return np.ascontiguousarray(dx[:, :, self.padding : self.padding + rows, self.padding : self.padding + wide])


@cache
def _backward_of_unit_columns(kernel: int, stride: int) -> float:
    """σ[dx] of a convolution whose weights per input channel have norm 1. Cached: every level needs the same."""
    sizes = {"kernel_size": kernel, "stride": stride, "in_channels": 1, "out_channels": 1}
    constants = exact_constants(Case(find("conv2d"), sizes | {"normalize": "fan_out"}))
    assert constants is not None  # a closed form
    return constants.backward


def sliding(x: Array, kernel: int, stride: int) -> Array:
    """Every window of every map: [sample, channel, row, column, tap row, tap column], a view."""
    windows = np.lib.stride_tricks.sliding_window_view(x, (kernel, kernel), axis=(2, 3))
    view: Array = windows[:, :, ::stride, ::stride]
    return view


def check_map(name: str, source: Sequence[int]) -> None:
    """Raise UsageError if the features are not a map."""
    if len(source) != 3:
        shape = "×".join(map(str, source))
        raise UsageError(f"{name} needs a map of channels × rows × columns; its input has {shape} features")


def _weights(drawn: Array | None) -> Array:
    assert drawn is not None
    return drawn
