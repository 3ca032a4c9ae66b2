"""One dimension of a convolution: finite maps, and the sums over the taps that reach one place."""

from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from typing import Any

from gradstat.errors import UsageError
from gradstat.layer_types.exact.closed_forms import total
from gradstat.layer_types.exact.enclosure import Enclosure, enclosure
from gradstat.layer_types.linear.moments import power
from gradstat.layer_types.windows import geometry
from gradstat.layer_types.windows.geometry import PADDING, Axis


def bounded(size: int, kernel: int, stride: int, dilation: int, padding: int) -> Axis:
    """A finite map of x with zeros around it, and PyTorch's windows; a window may read zeros only."""
    extent = (kernel - 1) * dilation + 1
    count = (size + 2 * padding - extent) // stride + 1
    if count < 1:
        raise UsageError(f"size = {size} with padding = {padding} is too small for a window of {extent}")
    return _finite(size, count, kernel, stride, dilation, padding)


def transposed_bounded(size: int, kernel: int, stride: int, dilation: int, padding: int) -> Axis:
    """The map of y of a transposed convolution of a finite map of x, cut by `padding` at both ends."""
    length = (size - 1) * stride - 2 * padding + (kernel - 1) * dilation + 1
    if length < 1:
        raise UsageError(f"size = {size} with padding = {padding} leaves no output")
    return _finite(length, size, kernel, stride, dilation, padding)


def _finite(length: int, count: int, kernel: int, stride: int, dilation: int, padding: int) -> Axis:
    starts = [window * stride - padding for window in range(count)]
    windows = tuple(
        tuple(at if 0 <= at < length else PADDING for at in (start + tap * dilation for tap in range(kernel)))
        for start in starts
    )
    return Axis(length, windows, (kernel,) * count, range(length))


@dataclass(frozen=True)
class Sums:
    """The taps that connect one place of a map to places of the other, with their factors a."""

    places: tuple[int, ...]  # on the other map
    divisors: tuple[int, ...]  # of the taps: a = 1/divisor, or its root
    root: bool

    @property
    def count(self) -> int:
        """The number of taps."""
        return len(self.places)

    @property
    def powers(self) -> tuple[Enclosure, Enclosure, Enclosure]:
        """Σa, Σa² and Σa⁴."""
        return _powers(self.divisors, self.root)

    def correlated(self, exponent: int, r: Enclosure) -> Enclosure:
        """Σ aᵖbᵖ·r^distance over all ordered pairs of taps, a tap with itself included."""
        factors = [_power(divisor, self.root, exponent) for divisor in self.divisors]
        return total(
            a * b * power(r, abs(p - q))
            for a, p in zip(factors, self.places, strict=True)
            for b, q in zip(factors, self.places, strict=True)
        )


@cache
def _powers(divisors: tuple[int, ...], root: bool) -> tuple[Enclosure, Enclosure, Enclosure]:
    one, two, four = (total(_power(divisor, root, p) for divisor in divisors) for p in (1, 2, 4))
    return one, two, four


def _power(divisor: int, root: bool, exponent: int) -> Enclosure:
    """The power of 1/divisor, or of its root."""
    if not root:
        return enclosure(Fraction(1, divisor**exponent))
    if exponent % 2:
        return enclosure(Fraction(1, divisor**exponent)).root()
    return enclosure(Fraction(1, divisor ** (exponent // 2)))


def sums_of(axis: Axis, kernel: int, stride: int, dilation: int, per_tap: Any, at_windows: bool) -> list[Sums]:
    """The sums at every window of an axis, or at every position."""
    counts = geometry.tap_windows([kernel], [stride], [dilation]) if per_tap else [1] * kernel
    found: list[list[tuple[int, int]]] = [[] for _ in range(len(axis.windows) if at_windows else axis.length)]
    for window, positions in enumerate(axis.windows):
        for tap, position in enumerate(positions):
            if position != PADDING:
                here, there = (window, position) if at_windows else (position, window)
                found[here].append((there, counts[tap]))
    return [
        Sums(tuple(there - own[0][0] for there, _ in own), tuple(count for _, count in own), per_tap == "root")
        for own in found
    ]
