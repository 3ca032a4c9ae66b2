"""Kernels of windows: the maximum, a weighted sum, the Euclidean length or the p-norm of the inputs of a window.

The constants of a kernel describe its windows: their number W, then W + 1 offsets into the constants (the beginning of
each window's inputs and the end of the last), then the input slots of every window in scan order, then its numbers.
"""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from gradstat.numerics import elementary as el

LARGEST_LOG = 600.0  # of a power: e^600 is 10⁴⁷ times smaller than the largest float, so that sums stay finite


def window_table(windows: Sequence[Sequence[int]], numbers: Sequence[float] = ()) -> tuple[float, ...]:
    """The constants of a kernel: W, W + 1 offsets, the slots, and the kernel's numbers."""
    places = [len(windows) + 2]
    for slots in windows:
        places.append(places[-1] + len(slots))
    return tuple(map(float, (len(windows), *places, *(slot for slots in windows for slot in slots), *numbers)))


def max_kernel(constants: Any, x: Any, dy: Any, noise: Any, y: Any, dx: Any) -> None:
    """y = max x; dx = Σ dy over the windows of which x is the first maximum (as in PyTorch)."""
    lanes = x.shape[1]
    winner = np.empty(lanes)
    dx[:, :] = 0.0
    for window in range(int(constants[0])):
        first, end = int(constants[1 + window]), int(constants[2 + window])
        slot = int(constants[first])
        for lane in range(lanes):
            y[window, lane] = x[slot, lane]
            winner[lane] = 0.0
        for tap in range(1, end - first):
            slot = int(constants[first + tap])
            for lane in range(lanes):
                larger = x[slot, lane] > y[window, lane]
                y[window, lane] = x[slot, lane] if larger else y[window, lane]
                winner[lane] = float(tap) if larger else winner[lane]
        for tap in range(end - first):
            slot = int(constants[first + tap])
            for lane in range(lanes):
                dx[slot, lane] += dy[window, lane] if winner[lane] == tap else 0.0


def average_kernel(constants: Any, x: Any, dy: Any, noise: Any, y: Any, dx: Any) -> None:
    """y = Σ x/divisor; dx = Σ dy/divisor over the windows that read x. One divisor per input follows the slots."""
    windows, lanes = int(constants[0]), x.shape[1]
    taps = int(constants[1 + windows]) - int(constants[1])
    dx[:, :] = 0.0
    y[:, :] = 0.0
    for window in range(windows):
        for at in range(int(constants[1 + window]), int(constants[2 + window])):
            slot, divisor = int(constants[at]), constants[at + taps]
            for lane in range(lanes):
                y[window, lane] += x[slot, lane] / divisor
                dx[slot, lane] += dy[window, lane] / divisor


def length_kernel(constants: Any, x: Any, dy: Any, noise: Any, y: Any, dx: Any) -> None:
    """y = √(a·Σx²), a following the slots, one per window; dx = Σ a·x·dy/y, 0 from a window with y = 0."""
    windows, lanes = int(constants[0]), x.shape[1]
    slope = np.empty(lanes)
    dx[:, :] = 0.0
    y[:, :] = 0.0
    for window in range(windows):
        first, end = int(constants[1 + window]), int(constants[2 + window])
        scale = constants[int(constants[1 + windows]) + window]
        for at in range(first, end):
            slot = int(constants[at])
            for lane in range(lanes):
                y[window, lane] += x[slot, lane] * x[slot, lane]
        for lane in range(lanes):
            y[window, lane] = np.sqrt(scale * y[window, lane])
            slope[lane] = scale * dy[window, lane] / y[window, lane] if y[window, lane] > 0.0 else 0.0
        for at in range(first, end):
            slot = int(constants[at])
            for lane in range(lanes):
                dx[slot, lane] += slope[lane] * x[slot, lane]


def power_kernel(constants: Any, x: Any, dy: Any, noise: Any, y: Any, dx: Any) -> None:
    """y = S^(1/p), S = a·Σxᵖ; dx = Σ a·xᵖ⁻¹·S^(1/p − 1)·dy, 0 from a window with S = 0; NaN if PyTorch gives NaN.

    The a of every window and p follow the slots. Powers of negative numbers: |x|ᵖ with the sign of (−1)ᵖ. Where xᵖ of
    the largest |x| would leave the range of floats, all x of the window are divided by it.
    """
    windows, lanes = int(constants[0]), x.shape[1]
    p = constants[int(constants[1 + windows]) + windows]
    power_sign = 1.0 if p % 2.0 == 0.0 else (-1.0 if p % 2.0 == 1.0 else math.nan)
    root_sign = -1.0 if p == 1.0 else math.nan
    reach = LARGEST_LOG / max(p, 1.0)
    least, most = el.exp(-reach), el.exp(reach)
    slope, unit = np.empty(lanes), np.empty(lanes)
    dx[:, :] = 0.0
    y[:, :] = 0.0
    for window in range(windows):
        first, end = int(constants[1 + window]), int(constants[2 + window])
        scale = constants[int(constants[1 + windows]) + window]
        for at in range(first, end):
            slot = int(constants[at])
            for lane in range(lanes):
                y[window, lane] = max(y[window, lane], abs(x[slot, lane]))
        for lane in range(lanes):
            outside = y[window, lane] > most or 0.0 < y[window, lane] < least
            unit[lane] = y[window, lane] if outside else 1.0
            y[window, lane] = 0.0
        for at in range(first, end):
            slot = int(constants[at])
            for lane in range(lanes):
                sign = power_sign if x[slot, lane] < 0.0 else 1.0
                y[window, lane] += sign * el.power(abs(x[slot, lane]) / unit[lane], p)
        for lane in range(lanes):
            total = scale * y[window, lane]
            size = 1.0 if total == 0.0 else abs(total)
            sign = 0.0 if total == 0.0 else (root_sign if total < 0.0 else 1.0)
            y[window, lane] = unit[lane] * sign * el.power(size, 1.0 / p)
            slope[lane] = scale * dy[window, lane] * sign * sign * el.power(size, 1.0 / p - 1.0)
        for at in range(first, end):
            slot = int(constants[at])
            for lane in range(lanes):
                sign = -power_sign if x[slot, lane] < 0.0 else 1.0
                dx[slot, lane] += slope[lane] * sign * el.power(abs(x[slot, lane]) / unit[lane], p - 1.0)
