"""Operations without weights: activations, pooling, dropout, in NumPy (see operations.py). Constants are exact."""

import math
from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache
from typing import Any, ClassVar

import numpy as np

from gradstat.assumptions import Input
from gradstat.layer_types.case import Case
from gradstat.layer_types.exact.quadrature import expectation
from gradstat.layer_types.record import Layer
from gradstat.layer_types.registry import find
from gradstat.layer_types.windows.geometry import bounded
from gradstat.networks.apply_activation import value_and_slope
from gradstat.networks.operations import Features, Moments, check_map, exact_constants, sliding
from gradstat.networks.randomness import Array
from gradstat.networks.schemes import Constants


class Plain(ABC):
    """Base of the operations in this module: no weights; by default nothing is drawn and y has the shape of x."""

    source: Features
    fans = None
    terms = 0.0

    @property
    def features(self) -> Features:
        return self.source

    @property
    def draws(self) -> tuple[int, ...]:
        return ()

    @property
    def kept(self) -> int:
        return math.prod(self.features)

    @property
    @abstractmethod
    def case(self) -> Case:
        """The layer with the same constants."""

    @property
    def constants(self) -> Constants | None:
        return _constants(self.case.layer, tuple(self.case.given.items()))

    def moments(self, mean: float, std: float, weight_std: float) -> Moments | None:
        """Exact values for x ~ N(mean, std²) with independent neighbours."""
        if not 0.0 < std < math.inf:
            return None
        exact = exact_constants(replace(self.case, x=Input(mean=mean, std=std)))
        return None if exact is None else Moments(exact.mean, exact.forward, exact.backward)


@cache
def _constants(layer: Layer, given: tuple[tuple[str, Any], ...]) -> Constants | None:
    """Cached: every level asks for the same constants."""
    return exact_constants(Case(layer, dict(given)))


@dataclass(frozen=True)
class Activation(Plain):
    """y = f(x), dx = f′(x)·dy."""

    source: Features
    elementwise: Case

    @property
    def label(self) -> str:
        return self.elementwise.layer_label

    @property
    def case(self) -> Case:
        return self.elementwise

    def forward(self, x: Array, drawn: Array | None) -> tuple[Array, Any]:
        return value_and_slope(self.elementwise, x)

    def backward(self, dy: Array, drawn: Array | None, memory: Any) -> tuple[Array, None]:
        return dy * memory, None

    def moments(self, mean: float, std: float, weight_std: float) -> Moments | None:
        """E[f], σ[f] and √E[f′²] by quadrature, alone of all statistics: this is called for every level."""
        if not 0.0 < std < math.inf:
            return None
        case, x = self.elementwise, Input(mean=mean, std=std)
        f, kinks = case.layer.kernel(case.params), case.layer.kinks(case.params)
        centre = expectation(lambda v: f(v, *case.constants)[0], x, kinks)
        if centre is None:
            return None
        var = expectation(lambda v: (f(v, *case.constants)[0] - centre) ** 2, x, kinks)
        slope = expectation(lambda v: f(v, *case.constants)[1] ** 2, x, kinks)
        return None if var is None or slope is None else Moments(centre, math.sqrt(var), math.sqrt(slope))


@dataclass(frozen=True)
class Pool2d(Plain):
    """An operation on the windows of every channel of a map."""

    source: Features
    kernel: int
    stride: int
    name: ClassVar[str]

    def __post_init__(self) -> None:
        check_map(self.name, self.source)
        _ = self.features

    @property
    def label(self) -> str:
        size = f"{self.kernel}×{self.kernel}"
        return f"{self.name}({size})" if self.stride == self.kernel else f"{self.name}({size}, stride={self.stride})"

    @property
    def features(self) -> Features:
        rows, columns = (len(bounded(n, self.kernel, self.stride, 1, 0, False).windows) for n in self.source[1:])
        return (self.source[0], rows, columns)

    @property
    def case(self) -> Case:
        return Case(find(self.name), {"kernel_size": self.kernel, "stride": self.stride})

    def taps(self) -> Iterator[tuple[int, slice, slice]]:
        """The number of each tap of a window, with the rows and columns of x that it reads in all windows."""
        _, rows, columns = self.features
        for tap in range(self.kernel**2):
            i, j = divmod(tap, self.kernel)
            yield tap, slice(i, i + self.stride * rows, self.stride), slice(j, j + self.stride * columns, self.stride)


class MaxPool2d(Pool2d):
    """y = the maximum of each window, dx = the sum of dy over the windows of which x is the (first) maximum."""

    name = "max_pool2d"

    def forward(self, x: Array, drawn: Array | None) -> tuple[Array, Any]:
        windows = sliding(x, self.kernel, self.stride)
        flat = windows.reshape(*windows.shape[:4], -1)
        winner = flat.argmax(axis=4)
        return np.take_along_axis(flat, winner[..., None], axis=4)[..., 0], winner

    def backward(self, dy: Array, drawn: Array | None, memory: Any) -> tuple[Array, None]:
        dx = np.zeros((len(dy), *self.source))
        for tap, rows, columns in self.taps():
            dx[:, :, rows, columns] += np.where(memory == tap, dy, 0.0)
        return dx, None


class AvgPool2d(Pool2d):
    """y = the mean of each window, dx = the sum of dy/size over the windows that read x."""

    name = "avg_pool2d"
    kept = 0

    def forward(self, x: Array, drawn: Array | None) -> tuple[Array, Any]:
        return np.ascontiguousarray(sliding(x, self.kernel, self.stride).mean(axis=(4, 5))), None

    def backward(self, dy: Array, drawn: Array | None, memory: Any) -> tuple[Array, None]:
        dx = np.zeros((len(dy), *self.source))
        part = dy / self.kernel**2
        for _, rows, columns in self.taps():
            dx[:, :, rows, columns] += part
        return dx, None


@dataclass(frozen=True)
class Dropout(Plain):
    """y = r·x, dx = r·dy; r = 0 with probability p, else 1/(1 − p) if inverted, else 1."""

    source: Features
    p: float
    inverted: bool

    @property
    def label(self) -> str:
        return f"dropout(p={self.p:g})"

    @property
    def draws(self) -> tuple[int, ...]:
        return self.source

    @property
    def case(self) -> Case:
        return Case(find("dropout"), {"p": self.p, "inverted": self.inverted})

    def forward(self, x: Array, drawn: Array | None) -> tuple[Array, Any]:
        assert drawn is not None
        kept = 1.0 / (1.0 - self.p) if self.inverted else 1.0
        mask = np.where(drawn >= self.p, kept, 0.0)
        return x * mask, mask

    def backward(self, dy: Array, drawn: Array | None, memory: Any) -> tuple[Array, None]:
        return dy * memory, None
