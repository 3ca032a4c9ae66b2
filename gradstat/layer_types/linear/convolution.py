"""Convolution and transposed convolution in 1, 2 and 3 dimensions.

Without `size`, the map has no border, and the smallest patch around one cell is simulated. With `size`, the map of x is
finite, and `padding` adds zeros around it (for the transposed one, it cuts y).

Every draw has new weights, in PyTorch's layout: [out, in/groups, taps], and [in, out/groups, taps] for the
transposed one. They are `gaussian` (standard normal), `uniform` (from −1/√fan_in to 1/√fan_in, which with `none` is the
default of PyTorch; fan_in is in/groups × taps, and out/groups × taps for the transposed one) or `flat` (all 1).
Normalized means divided by the ℓ2 norm of a set of weights:

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
from collections import Counter
from collections.abc import Iterator
from typing import Any

from gradstat.assumptions import Input, Upstream
from gradstat.errors import UsageError
from gradstat.layer_types.exact.closed_forms import ZERO
from gradstat.layer_types.exact.enclosure import Enclosure, enclosure
from gradstat.layer_types.linear.axes import Sums, bounded, sums_of, transposed_bounded
from gradstat.layer_types.linear.edges import NORMALIZE, Connections, weights_kernel
from gradstat.layer_types.linear.moments import (
    Terms,
    Weights,
    fixed_map,
    gaussian,
    random_map,
    uniform,
    values_of,
)
from gradstat.layer_types.linear.streams import ChannelMap, stream_kernel
from gradstat.layer_types.record import (
    BACKWARD,
    FORWARD,
    MOST_KEPT,
    Exact,
    Layer,
    Parameter,
    Params,
    Row,
    Shape,
    one_of,
    whole,
)
from gradstat.layer_types.windows import geometry
from gradstat.layer_types.windows.geometry import Axes, sizes
from gradstat.layer_types.windows.kernels import average_kernel
from gradstat.layer_types.windows.pooling import PER_TAP, steps, tap_divisors

MOST_CHANNELS = 2**14
MOST_SLOTS = 2**20  # inputs or outputs of a layer whose exact values are wanted


class Convolution:
    """A convolution with given parameters: channels, taps and the map or its patch."""

    def __init__(self, dims: int, params: Params, transposed: bool) -> None:
        self.params, self.dims, self.transposed = params, dims, transposed
        self.groups: int = params["groups"]
        self.n_in: int = params["in_channels"]
        self.n_out: int = params["out_channels"]
        if self.n_in % self.groups or self.n_out % self.groups:
            raise UsageError(f"groups = {self.groups} does not divide {self.n_in} and {self.n_out} channels")
        self.kernel, self.stride, self.dilation = steps(dims, params)
        self.taps = math.prod(self.kernel)
        self.weights = self.n_in * self.n_out // self.groups * self.taps
        self.is_flat: bool = params["weight"] == "flat"
        self.finite = params["size"] is not None
        self.axes = self._axes()
        geometry.check_room(self.axes)
        self.fine = math.prod(geometry.grid(self.axes))
        self.coarse_grid = tuple(len(axis.windows) for axis in self.axes)
        self.coarse = math.prod(self.coarse_grid)
        fine_channels, coarse_channels = (self.n_out, self.n_in) if transposed else (self.n_in, self.n_out)
        slots = max(self.fine * fine_channels, self.coarse * coarse_channels)
        if slots > MOST_SLOTS:
            raise UsageError(f"a draw has {slots} inputs or outputs; at most {MOST_SLOTS} are allowed")
        most_taps = self.n_in * self.n_out // self.groups * self.taps * self.coarse
        self.streamed = self.weights > MOST_KEPT or slots > geometry.MOST_SLOTS or most_taps > geometry.MOST_TAPS

    def _axes(self) -> Axes:
        padding = geometry.each(self.params["padding"], self.dims)
        lines = list(zip(self.kernel, self.stride, self.dilation, strict=True))
        if not self.finite:
            if any(padding):
                raise UsageError("padding needs a finite map", "give its size")
            # the coarse map of a transposed convolution is x, which must not have gaps
            return tuple(geometry.unbounded(*line, self.transposed) for line in lines)
        lengths = geometry.each(self.params["size"], self.dims)
        lay_out = transposed_bounded if self.transposed else bounded
        return tuple(lay_out(size, *line, pad) for size, line, pad in zip(lengths, lines, padding, strict=True))

    def shape(self) -> Shape:
        """Channels first, then the map; the rows of cells belong to the fine side: dx, or y of the transposed."""
        fine_channels, coarse_channels = (self.n_out, self.n_in) if self.transposed else (self.n_in, self.n_out)
        cells, pooled = (FORWARD, BACKWARD) if self.transposed else (BACKWARD, FORWARD)
        rows = (
            *geometry.rows_of_positions(cells, self.axes, fine_channels),
            *geometry.rows_of_windows(pooled, self.axes, self.finite, coarse_channels),
        )
        fine, coarse = self.fine * fine_channels, self.coarse * coarse_channels
        return Shape(
            n_in=coarse if self.transposed else fine,
            n_out=fine if self.transposed else coarse,
            noise=0 if self.is_flat or self.streamed else self.weights,
            noise_kind="uniform" if self.params["weight"] == "uniform" else "normal",
            grid=self.coarse_grid if self.transposed else geometry.grid(self.axes),
            rows=tuple(sorted(rows, key=lambda row: row.direction != FORWARD)),
            stream=self.channel_map().stream() if self.streamed else None,
        )

    def constants(self) -> tuple[float, ...]:
        """The constants of the kernel."""
        if self.streamed:
            return self.channel_map().constants()
        own = self.connections()
        return own.flat_constants() if self.is_flat else own.constants(self.shape().noise_kind)

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
        outputs = self.n_out * (self.fine if self.transposed else self.coarse)
        return Connections(outputs, edges, self.factors(), self.norm_groups())

    def channel_map(self) -> ChannelMap:
        """The same for weights that are not kept."""
        connections: list[list[tuple[int, int]]] = [[] for _ in range(self.taps)]
        for window, taps in enumerate(geometry.windows_of(self.axes)):
            for tap, slot in taps:
                connections[tap].append((slot, window) if self.transposed else (window, slot))
        norm = math.sqrt(self.norm_size or 1) if self.is_flat else 1.0
        return ChannelMap(
            self.params["weight"],
            self.params["normalize"],
            self.groups,
            (self.n_in, self.n_out),
            (self.coarse, self.fine) if self.transposed else (self.fine, self.coarse),
            [factor / norm for factor in self.tap_factors()],
            connections,
            bool(self.params["per_tap"]),
            self.transposed,
        )

    @property
    def fan_in(self) -> int:
        """PyTorch's number of inputs of an output; it swaps the channels of transposed convolutions."""
        return (self.n_out if self.transposed else self.n_in) // self.groups * self.taps

    @property
    def norm_size(self) -> int | None:
        """The number of weights that share a norm; None if they have none."""
        if self.params["normalize"] == "none":
            return None
        channels = self.n_in if self.params["normalize"] == "fan_in" else self.n_out
        return channels // self.groups * (1 if self.params["per_tap"] else self.taps)

    def tap_factors(self) -> list[float]:
        """The factor of every tap after normalization."""
        is_default = self.params["weight"] == "uniform" and self.params["normalize"] == "none"
        divisors = tap_divisors(self.dims, self.params) if self.params["per_tap"] else [1.0] * self.taps
        return [1.0 / (divisor * math.sqrt(self.fan_in) if is_default else divisor) for divisor in divisors]

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
        factors, of_taps = [1.0] * self.weights, self.tap_factors()
        for out, in_, tap in self.in_layout():
            factors[self.weight(out, in_, tap)] = of_taps[tap]
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

    def exact(self, row: Row, x: Input, dy: Upstream) -> Exact | None:
        """Exact values of a row, from the sums over the terms of each of its slots."""
        parts = list(self._parts(row))
        if self.is_flat:
            weight = 1 / enclosure(self.norm_size or 1).root()
            return fixed_map(row, parts, weight, x, dy)
        return random_map(parts, self._weight_moments(), values_of(row, x, dy))

    def _weight_moments(self) -> Weights:
        if self.params["weight"] == "uniform":
            return uniform(self.norm_size, self.fan_in)
        return gaussian(self.norm_size)

    def _parts(self, row: Row) -> Iterator[tuple[int, Terms]]:
        """The slots of a row that sum over the same terms, and how many they are."""
        forward = row.direction == FORWARD
        at_windows = forward != self.transposed
        places = self.coarse_grid if at_windows else geometry.grid(self.axes)
        lines = zip(self.axes, self.kernel, self.stride, self.dilation, strict=True)
        of_axes = [sums_of(*line, self.params["per_tap"], at_windows) for line in lines]
        found: Counter[tuple[Sums, ...]] = Counter()
        for slot, slots in Counter(slot % math.prod(places) for slot in row.slots).items():
            at = _unraveled(slot, places)
            found[tuple(sums[place] for sums, place in zip(of_axes, at, strict=True))] += slots
        for sums, slots in found.items():
            yield slots, self._terms(sums, forward)

    def _terms(self, sums: tuple[Sums, ...], forward: bool) -> Terms:
        """The product of the sums of all dimensions, in every channel of the other side."""
        channels = (self.n_in if forward else self.n_out) // self.groups
        own = self.params["normalize"] == ("fan_in" if forward else "fan_out")  # one norm covers all these channels
        per_tap, is_normalized = bool(self.params["per_tap"]), self.params["normalize"] != "none"
        taps = math.prod(line.count for line in sums)
        plain, squares, fourths = (math.prod((line.powers[p] for line in sums), start=enclosure(1)) for p in range(3))

        def neighbours(power: int, r: Enclosure) -> Enclosure:
            every = math.prod((line.correlated(power, r) for line in sums), start=enclosure(1))
            return channels * (every - (squares if power == 1 else fourths))

        together, of_one_norm = ZERO, 1
        if own and per_tap:
            together, of_one_norm = channels * (channels - 1) * fourths, channels
        elif own:
            together, of_one_norm = (channels * squares).squared() - channels * fourths, channels * taps
        elif is_normalized and not per_tap:
            together, of_one_norm = channels * (squares.squared() - fourths), taps
        return Terms(
            count=channels * taps,
            sums=(channels * plain, channels * squares, channels * fourths),
            normalized_together=together,
            neighbours=neighbours,
            neighbours_together=is_normalized and not per_tap,
            whole=is_normalized and (not taps or of_one_norm == self.norm_size),
        )


def _unraveled(slot: int, places: tuple[int, ...]) -> tuple[int, ...]:
    """The position of a slot on a map, the last dimension fastest."""
    at = []
    for size in reversed(places):
        slot, place = divmod(slot, size)
        at.append(place)
    return tuple(reversed(at))


def convolution(dims: int, transposed: bool) -> Layer:
    """The record of one convolution."""

    def of(params: Params) -> Convolution:
        return Convolution(dims, params, transposed)

    name = f"conv_transpose{dims}d" if transposed else f"conv{dims}d"

    def kernel(params: Params) -> Any:
        if of(params).streamed:
            return stream_kernel
        return average_kernel if params["weight"] == "flat" else weights_kernel

    return Layer(
        name=name,
        formula="y = Σ w·x over the inputs that reach y"
        if transposed
        else "y = Σ w·x over the window, in every channel",
        backward="dx = Σ w·dy over the outputs that read x",
        torch=f"torch.nn.functional.{name}",
        kernel=kernel,
        elementwise=False,
        referee=lambda params, row, x, dy: of(params).exact(row, x, dy),
        referee_words="closed form",
        parameters=(
            Parameter(
                "in_channels", 2 if dims < 3 else 1, whole(1, MOST_CHANNELS)
            ),  # few channels by default, so that a draw is cheap
            Parameter("out_channels", 2 if dims < 3 else 1, whole(1, MOST_CHANNELS)),
            Parameter("kernel_size", 2, sizes(dims)),
            Parameter("stride", 1, sizes(dims)),
            Parameter("dilation", 1, sizes(dims)),
            Parameter("size", None, sizes(dims, optional=True)),
            Parameter("padding", 0, sizes(dims, low=0)),
            Parameter("groups", 1, whole(1, MOST_CHANNELS)),
            Parameter("weight", "gaussian", one_of("gaussian", "uniform", "flat")),
            Parameter("normalize", "fan_out", one_of(*NORMALIZE)),
            Parameter("per_tap", False, PER_TAP),
        ),
        shape=lambda params: of(params).shape(),
        constants=lambda params: of(params).constants(),
    )


CONVOLUTIONS = tuple(convolution(dims, transposed) for transposed in (False, True) for dims in (1, 2, 3))
