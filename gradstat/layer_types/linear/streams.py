"""Linear maps of real size: the weights of a draw are drawn two at a time and never kept.

The weights are a matrix of rows in PyTorch's layout: of output channels, or of input channels for transposed
convolutions. A row has `taps` weights for every channel of the other side.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from gradstat.layer_types.record import Stream

SQUARES, ROOTS, PRODUCTS = 0, 1, 2  # phases of a span of rows
ROWS_AT_ONCE = 8  # of each pair of weights: x and dx of the pair stay in the cache
BY_ROW, BY_CHANNEL = 1, 2  # what shares a norm
KIND = {"gaussian": "normal", "uniform": "uniform", "flat": "flat"}


def stream_kernel(step: Any, constants: Any, x: Any, dy: Any, noise: Any, y: Any, dx: Any) -> None:
    """y += w·x and dx += w·dy for every connection of two weights; or their squares, added to their norms.

    Constants: 1 for uniform noise on (0, 1), 2 for flat weights; what shares a norm; 1 for one norm per tap; 1 if rows
    are input channels; length and span of rows; taps; rows and channels of a group; slots of x and of y in a channel;
    factor of every tap; offsets of its connections; connections (slot of y, slot of x).
    """
    lanes, phase, row, pair = x.shape[1], step[0], step[1], step[2]
    length, span, taps = int(constants[4]), int(constants[5]), int(constants[6])
    if phase == ROOTS:
        for own in range(2, noise.shape[0]):
            for lane in range(lanes):
                noise[own, lane] = 1.0 / np.sqrt(noise[own, lane]) if noise[own, lane] > 0.0 else 0.0
        return
    group = row // int(constants[7])
    for side in range(min(2, length - 2 * pair)):
        other, tap = (2 * pair + side) // taps, (2 * pair + side) % taps
        channel = group * int(constants[8]) + other
        own = row % span if constants[1] == BY_ROW else channel
        norm = 2 + (own * taps + tap if constants[2] == 1.0 else own)
        if constants[0] == 1.0:
            for lane in range(lanes):
                noise[side, lane] = 2.0 * noise[side, lane] - 1.0
        if constants[0] == 2.0:
            noise[side, :] = 1.0
        if phase == SQUARES:
            for lane in range(lanes):
                noise[norm, lane] += noise[side, lane] * noise[side, lane]
            continue
        factor = constants[11 + tap]
        if constants[1] != 0.0:
            for lane in range(lanes):
                noise[side, lane] *= noise[norm, lane]
        if factor != 1.0:
            for lane in range(lanes):
                noise[side, lane] *= factor
        in_, out = (row, channel) if constants[3] == 1.0 else (channel, row)
        for at in range(int(constants[11 + taps + tap]), int(constants[12 + taps + tap]), 2):
            to, of = out * int(constants[10]) + int(constants[at]), in_ * int(constants[9]) + int(constants[at + 1])
            for lane in range(lanes):
                w = noise[side, lane]
                y[to, lane] += w * x[of, lane]
                dx[of, lane] += w * dy[to, lane]


@dataclass(frozen=True)
class ChannelMap:
    """Every channel of a group on one side is connected to every one on the other, in the same way."""

    weight: str
    normalize: str  # fan_in, fan_out or none
    groups: int
    channels: tuple[int, int]  # of x and of y
    slots: tuple[int, int]  # in a channel of x and of y
    factors: Sequence[float]  # of every tap
    connections: Sequence[Sequence[tuple[int, int]]]  # of every tap: (slot of y, slot of x) within a channel
    per_tap: bool = False
    transposed: bool = False

    @property
    def taps(self) -> int:
        """The weights that connect one channel to another."""
        return len(self.factors)

    @property
    def norms(self) -> int:
        """What shares a norm: 0, BY_ROW or BY_CHANNEL. Flat weights have theirs in their factors."""
        if self.normalize == "none" or self.weight == "flat":
            return 0
        return BY_ROW if (self.normalize == "fan_in") != self.transposed else BY_CHANNEL

    def stream(self) -> Stream:
        """The rows of weights, and the norms that are kept at the same time."""
        rows, others = self.channels if self.transposed else self.channels[::-1]
        span = ROWS_AT_ONCE if self.norms == BY_ROW else rows
        owners = {0: 0, BY_ROW: span, BY_CHANNEL: others}[self.norms]
        kept = owners * (self.taps if self.per_tap else 1)
        return Stream(rows, others // self.groups * self.taps, KIND[self.weight], kept, span)

    def constants(self) -> tuple[float, ...]:
        """The constants for `stream_kernel`."""
        stream = self.stream()
        rows, others = self.channels if self.transposed else self.channels[::-1]
        kind = {"normal": 0, "uniform": 1, "flat": 2}[stream.kind]
        ends = [12 + 2 * self.taps]
        for own in self.connections:
            ends.append(ends[-1] + 2 * len(own))
        head = (kind, self.norms, self.per_tap, self.transposed, stream.length, stream.span, self.taps)
        sizes = (rows // self.groups, others // self.groups, *self.slots)
        pairs = [slot for own in self.connections for pair in own for slot in pair]
        return tuple(map(float, (*head, *sizes, *self.factors, *ends, *pairs)))
