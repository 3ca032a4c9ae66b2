"""Convolution and transposed convolution in 1, 2 and 3 dimensions, on the smallest patch of a map without border.

Every draw has new weights, in PyTorch's layout: [out, in/groups, taps], and [in, out/groups, taps] for the
transposed one. Normalized means divided by the ℓ2 norm of a set of weights:

* `fan_in`: the sets are the weights of one output channel, in/groups × taps weights;
* `fan_out`: the weights of one input channel, out/groups × taps weights;
* with `per_tap`, the same for each tap (in/groups or out/groups weights); each tap is then multiplied by the factor of
  post III, 1/(number of windows that cover the input it reads), or by the square root of it. For the transposed one
  it is the number of inputs that reach the output.

Interpretation of post III: with a flat kernel times 1/windows, every input receives the mean of the dy of its windows,
so σ[dx] is the same in every cell if all dy are equal, which the post assumes. With independent dy, variances add, and
the square root makes σ[dx] the same in every cell.
"""

import math
from collections.abc import Iterator

from gradstat.assumptions import Input, Upstream
from gradstat.errors import UsageError
from gradstat.layer_types.linear.edges import LARGEST, NORMALIZE, Connections, weights_kernel
from gradstat.layer_types.record import BACKWARD, FORWARD, Exact, Layer, Parameter, Params, Row, Shape, one_of, whole
from gradstat.layer_types.windows import geometry
from gradstat.layer_types.windows.geometry import Axes, sizes
from gradstat.layer_types.windows.kernels import average_kernel
from gradstat.layer_types.windows.pooling import PER_TAP, steps, tap_divisors


class Convolution:
    """A convolution with given parameters: channels, taps and the patch of its map."""

    def __init__(self, dims: int, params: Params, transposed: bool) -> None:
        self.params, self.dims, self.transposed = params, dims, transposed
        self.groups: int = params["groups"]
        self.n_in: int = params["in_channels"]
        self.n_out: int = params["out_channels"]
        if self.n_in % self.groups or self.n_out % self.groups:
            raise UsageError(f"groups = {self.groups} does not divide {self.n_in} and {self.n_out} channels")
        kernel, stride, dilation = steps(dims, params)
        self.taps = math.prod(kernel)
        self.weights = self.n_in * self.n_out // self.groups * self.taps
        if self.weights > LARGEST:
            raise UsageError(f"{self.weights} weights in one draw; at most {LARGEST} are allowed")
        every = (transposed,) * dims  # the coarse map of a transposed convolution is x, which must not have gaps
        self.axes: Axes = tuple(map(geometry.unbounded, kernel, stride, dilation, every))
        geometry.check_room(self.axes, self.n_in * self.n_out // self.groups)
        self.fine = math.prod(geometry.grid(self.axes))
        self.coarse_grid = tuple(len(axis.windows) for axis in self.axes)
        self.coarse = math.prod(self.coarse_grid)

    def shape(self) -> Shape:
        """Channels first, then the map; the rows of cells belong to the fine side: dx, or y of the transposed."""
        fine_channels, coarse_channels = (self.n_out, self.n_in) if self.transposed else (self.n_in, self.n_out)
        cells, pooled = (FORWARD, BACKWARD) if self.transposed else (BACKWARD, FORWARD)
        rows = (
            *geometry.rows_of_positions(cells, self.axes, fine_channels),
            *geometry.rows_of_windows(pooled, self.axes, False, coarse_channels),
        )
        fine, coarse = self.fine * fine_channels, self.coarse * coarse_channels
        return Shape(
            n_in=coarse if self.transposed else fine,
            n_out=fine if self.transposed else coarse,
            noise=0 if self.params["weight"] == "flat" else self.weights,
            noise_kind="normal",
            grid=self.coarse_grid if self.transposed else geometry.grid(self.axes),
            rows=tuple(sorted(rows, key=lambda row: row.direction != FORWARD)),
        )

    def connections(self) -> Connections:
        """The connections of outputs to the inputs in their windows and groups.

        Reversed for the transposed convolution.
        """
        windows = geometry.windows_of(self.axes)
        edges = [
            (*self.slots(out, in_, window, slot), self.weight(out, in_, tap))
            for out in range(self.n_out)
            for window, taps in enumerate(windows)
            for in_ in self.inputs_of(out)
            for tap, slot in taps
        ]
        shape = self.shape()
        return Connections(shape.n_out, edges, self.factors(), self.norm_groups(), shape.grid)

    def norm_groups(self) -> list[int] | None:
        """The set of every weight for normalization: its output or input channel, and its tap if `per_tap`."""
        if self.params["normalize"] == "none":
            return None
        sets = [0] * self.weights
        for out, in_, tap in self.in_layout():
            channel = out if self.params["normalize"] == "fan_in" else in_
            sets[self.weight(out, in_, tap)] = channel * self.taps + tap if self.params["per_tap"] else channel
        return sets

    def factors(self) -> list[float]:
        """The factor of every weight, which is that of its tap."""
        if not self.params["per_tap"]:
            return [1.0] * self.weights
        divisors, factors = tap_divisors(self.dims, self.params), [1.0] * self.weights
        for out, in_, tap in self.in_layout():
            factors[self.weight(out, in_, tap)] = 1.0 / divisors[tap]
        return factors

    def in_layout(self) -> Iterator[tuple[int, int, int]]:
        """(output channel, input channel, tap) of every weight."""
        for out in range(self.n_out):
            for in_ in self.inputs_of(out):
                for tap in range(self.taps):
                    yield out, in_, tap

    def inputs_of(self, out: int) -> range:
        """The input channels of an output channel's group."""
        size = self.n_in // self.groups
        group = out // (self.n_out // self.groups)
        return range(group * size, (group + 1) * size)

    def slots(self, out: int, in_: int, window: int, slot: int) -> tuple[int, int]:
        """(slot of y, slot of x) of one connection."""
        if self.transposed:
            return out * self.fine + slot, in_ * self.coarse + window
        return out * self.coarse + window, in_ * self.fine + slot

    def weight(self, out: int, in_: int, tap: int) -> int:
        """The index of a weight in PyTorch's layout."""
        ins, outs = self.n_in // self.groups, self.n_out // self.groups
        if self.transposed:
            return (in_ * outs + out % outs) * self.taps + tap
        return (out * ins + in_ % ins) * self.taps + tap


def convolution(dims: int, transposed: bool) -> Layer:
    """The record of one convolution."""

    def of(params: Params) -> Convolution:
        return Convolution(dims, params, transposed)

    def is_flat(params: Params) -> bool:
        return bool(params["weight"] == "flat")

    def constants(params: Params) -> tuple[float, ...]:
        own = of(params).connections()
        return own.flat_constants() if is_flat(params) else own.constants()

    def referee(params: Params, row: Row, x: Input, dy: Upstream) -> Exact | None:
        own = of(params).connections()
        return own.flat_referee(row, x, dy) if is_flat(params) else own.referee(row, x, dy)

    name = f"conv_transpose{dims}d" if transposed else f"conv{dims}d"
    return Layer(
        name=name,
        formula="y = Σ w·x over the inputs that reach y"
        if transposed
        else "y = Σ w·x over the window, in every channel",
        backward="dx = Σ w·dy over the outputs that read x",
        torch=f"torch.nn.functional.{name}",
        kernel=lambda params: average_kernel if is_flat(params) else weights_kernel,
        elementwise=False,
        referee=referee,
        referee_words="closed form",
        parameters=(
            Parameter(
                "in_channels", 2 if dims < 3 else 1, whole(1, LARGEST)
            ),  # few channels by default, so that a draw is cheap
            Parameter("out_channels", 2 if dims < 3 else 1, whole(1, LARGEST)),
            Parameter("kernel_size", 2, sizes(dims)),
            Parameter("stride", 1, sizes(dims)),
            Parameter("dilation", 1, sizes(dims)),
            Parameter("groups", 1, whole(1, LARGEST)),
            Parameter("weight", "gaussian", one_of("gaussian", "flat")),
            Parameter("normalize", "fan_out", one_of(*NORMALIZE)),
            Parameter("per_tap", False, PER_TAP),
        ),
        shape=lambda params: of(params).shape(),
        constants=constants,
    )


CONVOLUTIONS = tuple(convolution(dims, transposed) for transposed in (False, True) for dims in (1, 2, 3))
