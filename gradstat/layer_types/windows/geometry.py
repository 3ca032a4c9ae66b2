"""The geometry of windows: the positions that each window reads, in one dimension and in the product of dimensions.

An unbounded map has a repeating cell of `stride` positions. It is simulated by the smallest patch that contains all
windows that cover one cell. The cell begins at the first position of a window. A finite map is simulated completely.
"""

import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from gradstat.errors import UsageError
from gradstat.layer_types.record import ALL, Domain, Row

MOST_SLOTS = 4096  # inputs or outputs of one draw: 1024 lanes take 32 MB
MOST_TAPS = 2**17  # pairs (window, input) of one draw
MOST_CELLS = 64  # rows of single cells; with more cells, only the pooled row is reported
PADDING = -1


@dataclass(frozen=True)
class Axis:
    """One dimension: its positions, the positions that each window reads, and the positions that are reported."""

    length: int
    windows: tuple[tuple[int, ...], ...]  # the position that each tap of a window reads, or PADDING
    spans: tuple[int, ...]  # size of each window in an average that counts padding
    cell: range

    @property
    def counts(self) -> list[int]:
        """The number of windows that cover each position."""
        return [sum(taps.count(position) for taps in self.windows) for position in range(self.length)]


Axes = Sequence[Axis]


def unbounded(kernel: int, stride: int, dilation: int, every: bool = False) -> Axis:
    """The patch around one cell: ⌈extent/stride⌉ windows; the cell begins at the last window.

    With dilation some of these windows do not read the cell; they are left out unless `every` is set.
    """
    extent = (kernel - 1) * dilation + 1
    start = (extent - 1) // stride * stride
    cell = range(start, start + stride)
    all_windows = [tuple(range(at, at + extent, dilation)) for at in range(0, start + 1, stride)]
    windows = tuple(taps for taps in all_windows if every or any(position in cell for position in taps))
    return Axis(start + max(stride, extent), windows, (kernel,) * len(windows), cell)


def bounded(size: int, kernel: int, stride: int, dilation: int, padding: int, ceil_mode: bool) -> Axis:
    """A finite map with PyTorch's windows; with ceil_mode the last window may end outside."""
    extent = (kernel - 1) * dilation + 1
    if 2 * padding > extent:
        raise UsageError(f"padding = {padding} is more than half of a window of {extent}")
    count = (size + 2 * padding - extent + (stride - 1 if ceil_mode else 0)) // stride + 1
    if ceil_mode and (count - 1) * stride >= size + padding:
        count -= 1
    if count < 1:
        raise UsageError(f"size = {size} with padding = {padding} is too small for a window of {extent}")
    starts = range(-padding, count * stride - padding, stride)
    windows = tuple(
        tuple(at if 0 <= at < size else PADDING for at in range(start, start + extent, dilation)) for start in starts
    )
    if any(set(taps) == {PADDING} for taps in windows):
        raise UsageError(f"size = {size}, dilation = {dilation}, padding = {padding}: a window contains only padding")
    return Axis(size, windows, tuple(min(kernel, size + padding - start) for start in starts), range(size))


def adaptive(size: int, output: int) -> Axis:
    """Window o reads the positions from ⌊o·size/output⌋ up to, not including, ⌈(o + 1)·size/output⌉."""
    windows = tuple(tuple(range(o * size // output, -(-(o + 1) * size // output))) for o in range(output))
    return Axis(size, windows, tuple(map(len, windows)), range(size))


def grid(axes: Axes) -> tuple[int, ...]:
    """The sizes of the map."""
    return tuple(axis.length for axis in axes)


def windows_of(axes: Axes) -> list[list[tuple[int, int]]]:
    """The (tap, slot) pairs of every window that are not padding, in scan order, the last dimension fastest."""
    return [list(_taps(taps, grid(axes))) for taps in itertools.product(*(axis.windows for axis in axes))]


def _taps(of_axes: tuple[tuple[int, ...], ...], sizes: tuple[int, ...]) -> Iterator[tuple[int, int]]:
    for tap, position in enumerate(itertools.product(*of_axes)):
        if PADDING not in position:
            yield tap, slot_of(position, sizes)


def slot_of(position: Sequence[int], sizes: Sequence[int]) -> int:
    """The index of a position, the last dimension fastest."""
    slot = 0
    for at, size in zip(position, sizes, strict=True):
        slot = slot * size + at
    return slot


def tap_windows(kernel: Sequence[int], stride: Sequence[int], dilation: Sequence[int]) -> list[int]:
    """The number of windows that cover the input that each tap reads (the reciprocals of post III's factors)."""
    lines = []
    for k, s, d in zip(kernel, stride, dilation, strict=True):
        residues = [tap * d % s for tap in range(k)]
        lines.append([residues.count(residue) for residue in residues])
    return [math.prod(counts) for counts in itertools.product(*lines)]


def check_room(axes: Axes, channels: int = 1) -> None:
    """Raise UsageError if a draw needs too many inputs or taps."""
    slots = channels * math.prod(grid(axes))
    taps = channels * math.prod(sum(map(len, axis.windows)) for axis in axes)
    if slots > MOST_SLOTS or taps > MOST_TAPS:
        raise UsageError(
            f"a draw has {slots} inputs and {taps} taps; at most {MOST_SLOTS} and {MOST_TAPS} are allowed",
            "use a smaller window or map, or a larger stride",
        )


def rows_of_positions(direction: str, axes: Axes, channels: int = 1) -> tuple[Row, ...]:
    """The pooled cell, then each of its positions, unless one window reads every input: then all are equal."""
    sizes, counts = grid(axes), [axis.counts for axis in axes]
    cells = list(itertools.product(*(axis.cell for axis in axes)))
    covering = [math.prod(line[at] for line, at in zip(counts, cell, strict=True)) for cell in cells]
    slots = [slots_of_cell(slot_of(cell, sizes), math.prod(sizes), channels) for cell in cells]
    pooled = tuple(sorted(itertools.chain(*slots)))
    rows = [Row(direction, ALL, pooled, sum(covering) / len(cells))]
    alike = all(axis.windows == (tuple(range(axis.length)),) for axis in axes)
    if 1 < len(cells) <= MOST_CELLS and not alike:
        origin = [axis.cell.start for axis in axes]
        for cell, own, windows in zip(cells, slots, covering, strict=True):
            rows.append(Row(direction, label(cell, origin), own, float(windows)))
    return tuple(rows)


def rows_of_windows(direction: str, axes: Axes, finite: bool, channels: int = 1) -> tuple[Row, ...]:
    """All windows pooled; on a finite map also each window, since those at the border read fewer inputs."""
    sizes = [len(axis.windows) for axis in axes]
    windows = list(itertools.product(*map(range, sizes)))
    rows = [Row(direction, ALL, tuple(range(channels * len(windows))))]
    if finite and 1 < len(windows) <= MOST_CELLS:
        for number, window in enumerate(windows):
            own = slots_of_cell(number, len(windows), channels)
            rows.append(Row(direction, label(window, [0] * len(sizes)), own))
    return tuple(rows)


def slots_of_cell(slot: int, positions: int, channels: int) -> tuple[int, ...]:
    """One position in every channel."""
    return tuple(channel * positions + slot for channel in range(channels))


def label(position: Sequence[int], origin: Sequence[int]) -> str:
    """`(1, 0)`: a position counted from the first of its cell."""
    return f"({', '.join(str(at - first) for at, first in zip(position, origin, strict=True))})"


def each(value: int | list[int], dims: int) -> tuple[int, ...]:
    """PyTorch's shorthand: one number for all dimensions."""
    return (value,) * dims if isinstance(value, int) else tuple(value)


def sizes(dims: int, low: int = 1, optional: bool = False) -> Domain:
    """A whole number from `low` to 64, or one per dimension; also None if it is optional."""
    words = f"a whole number from {low} to 64" + ("" if dims == 1 else f", or a list of {dims}")

    def contains(value: Any) -> bool:
        if value is None:
            return optional
        numbers = value if isinstance(value, list) and len(value) == dims else [value]
        return all(isinstance(n, int) and not isinstance(n, bool) and low <= n <= 64 for n in numbers)

    return Domain(words + (", or left out" if optional else ""), contains)
