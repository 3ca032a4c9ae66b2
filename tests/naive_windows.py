"""Slow readable references for layers of windows: plain loops over NumPy arrays, nothing shared with the package."""

import itertools
import math
from typing import Any

import numpy as np


def starts(size: Any, kernel: Any, stride: Any, padding: Any = 0, dilation: Any = 1, ceil_mode: Any = False) -> Any:
    """Where the windows of one dimension begin: each must begin inside or in the padding before, PyTorch's rule."""
    extent = dilation * (kernel - 1) + 1
    found, start = [], -padding
    while start + extent <= size + padding or (ceil_mode and start + extent < size + padding + stride):
        if start < size:  # a last window may not begin in the padding behind
            found.append(start)
        start += stride
    return found


def windows(
    shape: Any, kernel: Any, stride: Any, padding: Any = None, dilation: Any = None, ceil_mode: Any = False
) -> Any:
    """Of every window: the start of each dimension and the positions its taps read, in scan order."""
    dims = len(shape)
    padding, dilation = padding or (0,) * dims, dilation or (1,) * dims
    lines = [starts(*line, ceil_mode) for line in zip(shape, kernel, stride, padding, dilation, strict=True)]
    for start in itertools.product(*lines):
        taps = itertools.product(*map(range, kernel))
        yield start, [tuple(s + t * d for s, t, d in zip(start, tap, dilation, strict=True)) for tap in taps]


def inside(positions: Any, shape: Any) -> Any:
    """The positions that are on the map."""
    return [p for p in positions if all(0 <= at < size for at, size in zip(p, shape, strict=True))]


def max_pool(
    x: Any, kernel: Any, stride: Any, padding: Any = None, dilation: Any = None, ceil_mode: Any = False
) -> Any:
    """The largest input of every window."""
    found = windows(x.shape, kernel, stride, padding, dilation, ceil_mode)
    return [max(x[p] for p in inside(taps, x.shape)) for _, taps in found]


def avg_pool(
    x: Any, kernel: Any, stride: Any, padding: Any = None, ceil_mode: Any = False, count_include_pad: Any = True
) -> Any:
    """The sum of every window over the number of its positions, those of the padding counted or not."""
    values = []
    padded = [size + 2 * pad for size, pad in zip(x.shape, padding or (0,) * x.ndim, strict=True)]
    for _, taps in windows(x.shape, kernel, stride, padding, None, ceil_mode):
        shifted = [tuple(at + (padding or (0,) * x.ndim)[d] for d, at in enumerate(p)) for p in taps]
        count = len(inside(shifted if count_include_pad else taps, padded if count_include_pad else x.shape))
        values.append(sum(x[p] for p in inside(taps, x.shape)) / count)
    return values


def lp_pool(x: Any, norm_type: Any, kernel: Any, stride: Any, ceil_mode: Any = False) -> Any:
    """The window's size times the mean of xᵖ, to the power of 1/p."""
    values = []
    for _, taps in windows(x.shape, kernel, stride, None, None, ceil_mode):
        total = [float(x[p]) ** norm_type for p in inside(taps, x.shape)]
        values.append((math.prod(kernel) * sum(total) / len(total)) ** (1.0 / norm_type))
    return values


def adaptive_pool(x: Any, output: Any, reduce: Any) -> Any:
    """`reduce` (max or the mean) over PyTorch's adaptive windows."""
    values = []
    for place in itertools.product(*map(range, output)):
        ranges = []
        for o, size, n in zip(place, x.shape, output, strict=True):
            ranges.append(range(math.floor(o * size / n), math.ceil((o + 1) * size / n)))
        values.append(reduce([x[p] for p in itertools.product(*ranges)]))
    return values


def conv(x: Any, weight: Any, stride: Any, dilation: Any, groups: Any) -> Any:
    """x[channel, …], weight[out, in/groups, …] → y[out, window] without padding."""
    outs, ins = weight.shape[:2]
    found = [taps for _, taps in windows(x.shape[1:], weight.shape[2:], stride, None, dilation)]
    y = np.zeros((outs, len(found)))
    for out in range(outs):
        group = out // (outs // groups)
        for number, taps in enumerate(found):
            for in_ in range(ins):
                for w, place in zip(weight[out, in_].ravel(), taps, strict=True):
                    y[out, number] += w * x[(group * ins + in_, *place)]
    return y


def conv_transpose(x: Any, weight: Any, stride: Any, dilation: Any, groups: Any) -> Any:
    """x[in, …], weight[in, out/groups, …] → y[out, …]: every input adds its kernel to the map."""
    kernel, per_group = weight.shape[2:], weight.shape[1]
    sizes = [(n - 1) * s + (k - 1) * d + 1 for n, s, k, d in zip(x.shape[1:], stride, kernel, dilation, strict=True)]
    y = np.zeros((per_group * groups, *sizes))
    for in_ in range(x.shape[0]):
        group = in_ // (x.shape[0] // groups)
        for place in itertools.product(*map(range, x.shape[1:])):
            for tap in itertools.product(*map(range, kernel)):
                at = tuple(p * s + t * d for p, s, t, d in zip(place, stride, tap, dilation, strict=True))
                for out in range(per_group):
                    y[(group * per_group + out, *at)] += x[(in_, *place)] * weight[(in_, out, *tap)]
    return y


def gradient(forward: Any, x: Any, dy: Any, step: Any = 1e-6) -> Any:
    """d(Σ dy·forward(x))/dx by central differences."""
    found = np.zeros_like(x)
    for place in np.ndindex(x.shape):
        up, down = x.copy(), x.copy()
        up[place] += step
        down[place] -= step
        found[place] = np.dot(dy, np.ravel(forward(up)) - np.ravel(forward(down))) / (2.0 * step)
    return found


def coverage(kernel: Any, stride: Any, dilation: Any, cell: Any) -> Any:
    """How many windows of an endless line cover each of the positions 0 … cell − 1 (a window begins at 0)."""
    reach = kernel * dilation + cell + stride
    begins = range(-reach * stride, reach * stride, stride)
    return [sum((at - b) % dilation == 0 and 0 <= (at - b) // dilation < kernel for b in begins) for at in range(cell)]
