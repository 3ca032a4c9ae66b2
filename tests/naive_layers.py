"""Every layer over arrays as a textbook writes it, one draw at a time: (case, x, noise) ↦ (y, the matrix ∂y/∂x).

Windows in plain loops (`naive_windows`), gates, vectors and noise by their Jacobians (`naive_vectors`).
"""

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from gradstat.layer_types.case import Case
from gradstat.layer_types.record import ALL, BACKWARD
from gradstat.layer_types.windows import geometry
from tests import naive_vectors
from tests import naive_windows as naive

Array = np.ndarray[Any, np.dtype[np.float64]]
Forward = Callable[[Array], Array]
Naive = Callable[[Case, Array, Array], tuple[Array, Array]]


def windows_of(case: Case) -> tuple[Any, ...]:
    """Map, kernel, stride, padding and dilation of a pooling case; and for each naive window, whether it is simulated.

    On a map without border those are the windows that cover the reported cell.
    """
    p, grid = case.params, case.shape.grid
    dims = len(grid)
    kernel = geometry.each(p["kernel_size"], dims)
    stride = geometry.each(p["stride"] or p["kernel_size"], dims)
    padding = geometry.each(p.get("padding", 0), dims)
    dilation = geometry.each(p.get("dilation", 1), dims)
    taps = [own for _, own in naive.windows(grid, kernel, stride, padding, dilation, p.get("ceil_mode", False))]
    cell = next(row.slots for row in case.shape.rows if (row.direction, row.cell) == (BACKWARD, ALL))
    places = {np.unravel_index(slot % math.prod(grid), grid) for slot in cell}
    seen = [p.get("size") is not None or any(at in places for at in own) for own in taps]
    return grid, kernel, stride, padding, dilation, np.array(seen)


def forward_of(case: Case) -> Any:
    """The layer in plain loops: slots of x → slots of y, for one draw."""
    name, p = case.layer.name, case.params
    if name.startswith("adaptive"):
        grid = case.shape.grid
        reduce = max if "max" in name else lambda values: sum(values) / len(values)
        output = geometry.each(p["output_size"], len(grid))
        return lambda x: np.array(naive.adaptive_pool(x.reshape(grid), output, reduce))
    grid, kernel, stride, padding, dilation, seen = windows_of(case)
    ceil_mode = p["ceil_mode"]
    if name.startswith("max"):
        return lambda x: np.array(naive.max_pool(x.reshape(grid), kernel, stride, padding, dilation, ceil_mode))[seen]
    if name.startswith("lp"):
        return lambda x: np.array(naive.lp_pool(x.reshape(grid), p["norm_type"], kernel, stride, ceil_mode))[seen]
    count = p["count_include_pad"]
    return lambda x: np.array(naive.avg_pool(x.reshape(grid), kernel, stride, padding, ceil_mode, count))[seen]


def normalized(case: Case, noise: Array) -> Array:
    """The weights of one draw in PyTorch's layout, normalized as the docstring of `convolution` says."""
    p, transposed = case.params, "transpose" in case.layer.name
    dims = int(case.layer.name[-2])
    kernel, groups = geometry.each(p["kernel_size"], dims), p["groups"]
    ins, outs = p["in_channels"], p["out_channels"]
    shape = (ins, outs // groups, *kernel) if transposed else (outs, ins // groups, *kernel)
    weight = drawn_weights(p["weight"], noise, shape)
    if (p["weight"], p["normalize"]) == ("uniform", "none"):
        weight /= math.sqrt(math.prod(shape[1:]))  # torch.nn.init.calculate_fan_in
    stride, dilation = geometry.each(p["stride"], dims), geometry.each(p["dilation"], dims)
    covering = [naive.coverage(*line, 64) for line in zip(kernel, stride, dilation, strict=True)]
    squares: dict[Any, float] = {}

    def places() -> Any:
        for first, second, *tap in np.ndindex(shape):
            group = first // (shape[0] // groups)
            other = group * shape[1] + second
            out, in_ = (other, first) if transposed else (first, other)
            key = out if p["normalize"] == "fan_in" else in_
            yield (first, second, *tap), (key, *tap) if p["per_tap"] else key

    for place, key in places():
        squares[key] = squares.get(key, 0.0) + weight[place] ** 2
    for place, key in places():
        if p["normalize"] != "none":
            weight[place] /= math.sqrt(squares[key])
        count = math.prod(line[t * d] for line, t, d in zip(covering, place[2:], dilation, strict=True))
        if p["per_tap"]:
            weight[place] /= math.sqrt(count) if p["per_tap"] == "root" else count
    return weight


def drawn_weights(kind: str, noise: Array, shape: tuple[int, ...]) -> Array:
    """Normal noise as it is, uniform noise on (−1, 1), or 1."""
    if kind == "flat":
        return np.ones(shape)
    return (2.0 * noise - 1.0 if kind == "uniform" else noise).reshape(shape).copy()


def forward_of_convolution(case: Case, weight: Array) -> Any:
    """The layer in plain loops with these weights: slots of x → slots of y, for one draw."""
    p, grid = case.params, case.shape.grid
    kernel, stride, dilation = (geometry.each(p[key], len(grid)) for key in ("kernel_size", "stride", "dilation"))
    maps = (p["in_channels"], *grid)
    if p["size"] is not None:
        return finite_convolution(case, weight, maps, stride, dilation)
    if "transpose" not in case.layer.name:
        seen = windows_of(case)[-1]
        return lambda x: naive.conv(x.reshape(maps), weight, stride, dilation, p["groups"])[:, seen].ravel()
    sizes = [geometry.unbounded(*line, True).length for line in zip(kernel, stride, dilation, strict=True)]

    def forward(x: Array) -> Array:
        y = naive.conv_transpose(x.reshape(maps), weight, stride, dilation, p["groups"])
        patch = np.zeros((y.shape[0], *sizes))  # a stride above the extent ends in outputs that no input reaches
        patch[tuple(map(slice, y.shape))] = y
        return patch.ravel()

    return forward


def finite_convolution(case: Case, weight: Array, maps: Any, stride: Any, dilation: Any) -> Forward:
    """Zeros around x; the transposed layer leaves the border of y away."""
    groups, padding = case.params["groups"], geometry.each(case.params["padding"], len(maps) - 1)

    def forward(x: Array) -> Array:
        if "transpose" not in case.layer.name:
            padded = np.pad(x.reshape(maps), [(0, 0), *((n, n) for n in padding)])
            return np.ravel(naive.conv(padded, weight, stride, dilation, groups))
        y = naive.conv_transpose(x.reshape(maps), weight, stride, dilation, groups)
        inner = tuple(slice(n, size - n) for n, size in zip(padding, y.shape[1:], strict=True))
        return np.ravel(y[(slice(None), *inner)])

    return forward


def matrix_of(forward: Forward, n_in: int) -> Array:
    """A linear map, column by column."""
    return np.array([forward(unit) for unit in np.eye(n_in)]).T


def largest(case: Case, x: Array, noise: Array) -> tuple[Array, Array]:
    """The gradient goes to the first of the largest: ranks, in which of equal inputs the earlier one counts more."""
    forward = forward_of(case)
    order = np.lexsort((-np.arange(x.size), x))
    ranks = np.empty(x.size)
    ranks[order] = np.arange(x.size)
    winners = order[forward(ranks).astype(int)]
    return forward(x), np.eye(x.size)[winners]


def average(case: Case, x: Array, noise: Array) -> tuple[Array, Array]:
    """Per tap: each input over the number, or the root of the number, of the windows that read it in an endless map."""
    how, matrix = case.params.get("per_tap"), matrix_of(forward_of(case), x.size)
    if how:
        matrix = matrix / np.array(divisors_of_taps(case, matrix))
    return matrix @ x, matrix


def divisors_of_taps(case: Case, matrix: Array) -> Array:
    """Of every (window, input): what `per_tap` divides the input by there."""
    grid, kernel, stride, padding, dilation, seen = windows_of(case)
    found = np.ones(matrix.shape)
    every = naive.windows(grid, kernel, stride, padding, dilation, case.params["ceil_mode"])
    covering = [naive.coverage(*line, 64) for line in zip(kernel, stride, dilation, strict=True)]
    for row, (_, taps) in enumerate(own for own, is_seen in zip(every, seen, strict=True) if is_seen):
        for tap, at in zip(np.ndindex(*kernel), taps, strict=True):
            if naive.inside([at], grid):
                count = math.prod(line[t * d] for line, t, d in zip(covering, tap, dilation, strict=True))
                slot = np.ravel_multi_index(at, grid)
                found[row, slot] = math.sqrt(count) if case.params["per_tap"] == "root" else count
    return found


def norm(case: Case, x: Array, noise: Array) -> tuple[Array, Array]:
    """yᵖ = a·Σxᵖ, so ∂y/∂x = a·xᵖ⁻¹·y¹⁻ᵖ, where a is what p = 1 multiplies every input by; 0 where the sum is 0."""
    p = float(case.params["norm_type"])
    y = forward_of(case)(x)
    sums = matrix_of(forward_of(Case(case.layer, {**case.params, "norm_type": 1.0})), x.size)
    slopes = sums * (x ** (p - 1.0)) if p != 1.0 else sums
    return y, np.array([row * value ** (1.0 - p) if value else 0.0 * row for row, value in zip(slopes, y, strict=True)])


def convolution(case: Case, x: Array, noise: Array) -> tuple[Array, Array]:
    """The weights normalized, then a linear map."""
    matrix = matrix_of(forward_of_convolution(case, normalized(case, noise)), x.size)
    return matrix @ x, matrix


def linear(case: Case, x: Array, noise: Array) -> tuple[Array, Array]:
    """The normal noise is W, output by output; orthogonal: Gram and Schmidt on the shorter of rows and columns."""
    n_out, how = case.params["out_features"], case.params["normalize"]
    w = drawn_weights(case.params["weight"], noise, (n_out, x.size))
    if case.params["weight"] == "orthogonal":
        transposed = n_out > x.size
        w = gram_schmidt(w.T if transposed else w)
        wanted = {"fan_in": n_out, "fan_out": x.size, "none": len(w)}[how]
        w = (w.T if transposed else w) * math.sqrt(wanted / len(w))
    elif how != "none":
        w = w / np.sqrt((w**2).sum(axis=1 if how == "fan_in" else 0, keepdims=True))
    elif case.params["weight"] == "uniform":
        w = w / math.sqrt(x.size)
    return w @ x, w


def gram_schmidt(rows: Array) -> Array:
    """In long doubles, each row made orthogonal twice: the digits of a kernel are then its own."""
    basis: list[Any] = []
    for row in rows.astype(np.longdouble):
        for own in basis * 2:
            row = row - own * (own @ row)
        basis.append(row / np.sqrt(row @ row))
    return np.array(basis, dtype=np.float64)


def without_windows(function: naive_vectors.Naive) -> Naive:
    return lambda case, x, noise: function(case.params, x, noise)


NAIVE: dict[str, Naive] = {name: without_windows(function) for name, function in naive_vectors.NAIVE.items()}
NAIVE["linear"] = linear
for dims in ("1d", "2d", "3d"):
    NAIVE |= {f"max_pool{dims}": largest, f"adaptive_max_pool{dims}": largest, f"lp_pool{dims}": norm}
    NAIVE |= {f"avg_pool{dims}": average, f"adaptive_avg_pool{dims}": average}
    NAIVE |= {f"conv{dims}": convolution, f"conv_transpose{dims}": convolution}
