"""Pooling in 1, 2 and 3 dimensions: the maximum, the average or the p-norm of the inputs of a window.

Without `size`, the map has no border, and the smallest patch around one cell is simulated (see `geometry`).
"""

import itertools
import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from typing import Any

import numpy as np

from gradstat.assumptions import Input, Upstream
from gradstat.errors import UsageError
from gradstat.layer_types.exact import inputs, upstream
from gradstat.layer_types.exact.closed_forms import (
    ZERO,
    Terms,
    abs_component,
    lengths,
    of_inputs,
    of_upstream,
    root,
    total,
)
from gradstat.layer_types.exact.enclosure import enclosure
from gradstat.layer_types.exact.order_statistics import gradient_of_maxima, maxima
from gradstat.layer_types.record import (
    ALL,
    BACKWARD,
    FLAG,
    FORWARD,
    POSITIVE,
    Domain,
    Exact,
    Layer,
    Parameter,
    Params,
    Row,
    Shape,
)
from gradstat.layer_types.windows import geometry
from gradstat.layer_types.windows.geometry import Axes, sizes
from gradstat.layer_types.windows.kernels import average_kernel, length_kernel, max_kernel, power_kernel, window_table

PER_TAP = Domain('false, true (1/windows, post III) or "root" (1/√windows)', lambda v: v in (False, True, "root"))
LayOut = Callable[[Params], Axes]
Weights = list[list[tuple[int, float]]]  # of every window: (input slot, divisor)


def axes_of(dims: int, params: Params) -> Axes:
    """The dimensions of a map of windows, finite if `size` is given."""
    kernel, stride, dilation = steps(dims, params)
    padding = geometry.each(params.get("padding", 0), dims)
    if params["size"] is not None:
        lengths_ = geometry.each(params["size"], dims)
        rounding = (params["ceil_mode"],) * dims
        axes = tuple(map(geometry.bounded, lengths_, kernel, stride, dilation, padding, rounding))
    elif any(padding) or params["ceil_mode"]:
        raise UsageError("padding and ceil_mode need a finite map", "give its size")
    else:
        axes = tuple(map(geometry.unbounded, kernel, stride, dilation))
    geometry.check_room(axes)
    return axes


def steps(dims: int, params: Params) -> tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]]:
    """Kernel size, stride (default: the kernel size) and dilation of every dimension."""
    kernel = geometry.each(params["kernel_size"], dims)
    stride = kernel if params["stride"] is None else geometry.each(params["stride"], dims)
    return kernel, stride, geometry.each(params.get("dilation", 1), dims)


def adaptive_axes(dims: int, params: Params) -> Axes:
    """The dimensions of a finite map whose windows are given by the size of the output."""
    axes = tuple(
        map(geometry.adaptive, geometry.each(params["size"], dims), geometry.each(params["output_size"], dims))
    )
    geometry.check_room(axes)
    return axes


def shape_of(axes: Axes, finite: bool) -> Shape:
    """Slots and rows of one draw: all windows, and the positions of the cell or of the finite map."""
    return Shape(
        n_in=math.prod(geometry.grid(axes)),
        n_out=math.prod(len(axis.windows) for axis in axes),
        grid=geometry.grid(axes),
        rows=(*geometry.rows_of_windows(FORWARD, axes, finite), *geometry.rows_of_positions(BACKWARD, axes)),
    )


def slots_of(axes: Axes) -> list[list[int]]:
    """The inputs of every window."""
    return [[slot for _, slot in taps] for taps in geometry.windows_of(axes)]


def spans_of(axes: Axes) -> list[int]:
    """The number of positions of every window, padding included as PyTorch's averages count it."""
    return [math.prod(spans) for spans in itertools.product(*(axis.spans for axis in axes))]


def divisors(dims: int, axes: Axes, params: Params) -> Weights:
    """The divisor of each input of each average: the size of the window times the divisor of the tap."""
    windows, spans = geometry.windows_of(axes), spans_of(axes)
    if not params.get("count_include_pad", True):
        spans = [len(taps) for taps in windows]
    factors = tap_divisors(dims, params) if params.get("per_tap") else None
    return [
        [(slot, span * factors[tap] if factors else float(span)) for tap, slot in taps]
        for taps, span in zip(windows, spans, strict=True)
    ]


def tap_divisors(dims: int, params: Params) -> list[float]:
    """The divisor of every tap: the number of windows over the input that it reads, or the root of this number."""
    counts = geometry.tap_windows(*steps(dims, params))
    return [math.sqrt(count) if params["per_tap"] == "root" else float(count) for count in counts]


def average_terms(dims: int, axes: Axes, params: Params) -> list[Terms]:
    """The square of the factor of each input of each average, as a fraction: 1/divisor²."""
    windows, spans = geometry.windows_of(axes), spans_of(axes)
    if not params.get("count_include_pad", True):
        spans = [len(taps) for taps in windows]
    factors: list[int] = []
    if params.get("per_tap"):
        power = 1 if params["per_tap"] == "root" else 2
        factors = [count**power for count in geometry.tap_windows(*steps(dims, params))]
    return [
        [(slot, Fraction(1, span**2 * (factors[tap] if factors else 1))) for tap, slot in taps]
        for taps, span in zip(windows, spans, strict=True)
    ]


def max_referee(axes: Axes, row: Row, x: Input, dy: Upstream) -> Exact | None:
    """y is the maximum of a window, dx belongs to the largest input; correlated inputs: windows of at most two."""
    windows, sizes = slots_of(axes), geometry.grid(axes)
    if x.correlation and max(map(len, windows)) > 2:
        return pass_through_referee([Fraction(1)] * len(windows), axes, row, dy)
    if row.direction == FORWARD:
        own = [windows[slot] for slot in row.slots]
        return maxima(Counter((len(window), correlation_of(window, sizes, x)) for window in own), x)
    sets = [frozenset(window) for window in windows]
    covering = [[window for window in sets if slot in window] for slot in row.slots]
    if x.correlation and max(map(len, covering)) > 1:
        shares = [Fraction(1, len(window)) for own in covering for window in own]
        return None if dy.correlation else Exact.proven(ZERO, enclosure(sum(shares)) / len(covering))
    return gradient_of_maxima(covering, dy)


def correlation_of(window: Sequence[int], sizes: tuple[int, ...], x: Input) -> Fraction:
    """The correlation of the two inputs of a window, a power of ρ."""
    if len(window) < 2 or not x.correlation:
        return Fraction(0)
    one, two = np.array(np.unravel_index(list(window), sizes)).T
    return Fraction(repr(x.correlation)) ** int(abs(one - two).sum())


def weighted_referee(windows: Sequence[Terms], axes: Axes, row: Row, x: Input, dy: Upstream) -> Exact | None:
    """Fixed linear maps: y = Σ factor·x over a window, dx = Σ factor·dy over the windows that read x."""
    if row.direction == FORWARD:
        return of_inputs([windows[slot] for slot in row.slots], x, geometry.grid(axes))
    outputs: dict[int, list[tuple[int, Fraction]]] = {slot: [] for slot in row.slots}
    for window, terms in enumerate(windows):
        for slot, square in terms:
            if slot in outputs:
                outputs[slot].append((window, square))
    return of_upstream(list(outputs.values()), dy)


def pass_through_referee(scales: list[Fraction], axes: Axes, row: Row, dy: Upstream) -> Exact | None:
    """Pooled row only. Layers whose squared partial derivatives sum to a constant a over each window.

    With independent dy its variance is Σa/positions; on a map without border one window belongs to each cell.
    """
    if row.direction == FORWARD or row.cell != ALL or dy.correlation:
        return None
    whole = all(len(axis.cell) == axis.length for axis in axes)
    return Exact.proven(ZERO, enclosure(sum(scales if whole else scales[:1])) / len(row.slots))


def norm_scales(axes: Axes) -> list[Fraction]:
    """PyTorch's lp_pool is (size·mean xᵖ)^(1/p): a = 1, and more for a window cut off by ceil_mode."""
    full = math.prod(len(axis.windows[0]) for axis in axes)
    return [Fraction(full, span) for span in spans_of(axes)]


def norm_referee(params: Params, axes: Axes, row: Row, x: Input, dy: Upstream) -> Exact | None:
    """p = 1: a sum. p = 2: lengths of normal vectors; Var[dx] = Σ a/n over independent dy of windows of n inputs."""
    windows, scales, p = slots_of(axes), norm_scales(axes), params["norm_type"]
    if p == 1:
        sums = [[(slot, a**2) for slot in window] for window, a in zip(windows, scales, strict=True)]
        return weighted_referee(sums, axes, row, x, dy)
    standard = x.is_normal and x.mean == 0.0 and not x.correlation
    if p != 2:
        known = standard and p % 2 == 0 and max(map(len, windows)) <= 2
        return pairs_referee(params, windows, scales, row, x, dy) if known else None
    if x.correlation:
        return pass_through_referee(scales, axes, row, dy)
    if row.direction == FORWARD:
        std = inputs.std(x)
        return lengths([(len(windows[slot]), std * root(scales[slot])) for slot in row.slots]) if standard else None
    covering = covering_of(windows, scales, row)
    if dy.correlation and any(len(own) > 1 for own in covering):
        return None
    var = enclosure(sum(a / n for own in covering for n, a in own)) / len(covering)
    if not standard or any(len(own) > 1 for own in covering):
        return Exact.proven(ZERO, var)
    size = upstream.abs_mean(dy) * total(root(a) * abs_component(n) for own in covering for n, a in own) / len(covering)
    return Exact.proven(ZERO, var, size, size)


def covering_of(windows: list[list[int]], scales: list[Fraction], row: Row) -> list[list[tuple[int, Fraction]]]:
    """(inputs, a) of the windows over each slot of a row."""
    return [[(len(w), a) for w, a in zip(windows, scales, strict=True) if slot in w] for slot in row.slots]


def pairs_referee(
    params: Params, windows: list[list[int]], scales: list[Fraction], row: Row, x: Input, dy: Upstream
) -> Exact | None:
    """Windows of at most two normal inputs of zero mean: integrals over their angle."""
    from gradstat.layer_types.exact.pairs import gradient_of_norms, norms  # loads flint

    p = int(params["norm_type"])
    if row.direction == FORWARD:
        return norms(Counter((len(windows[slot]), scales[slot]) for slot in row.slots), p, inputs.std(x))
    return gradient_of_norms(covering_of(windows, scales, row), p, dy)


def norm_negative_input_error(params: Params) -> str:
    """The reason why x must not be negative: only p = 1 and even p are defined for negative sums of powers."""
    p = params["norm_type"]
    if p == 1 or p % 2 == 0:
        return ""
    return f"norm_type = {p!r} makes NaN of negative x, as in PyTorch; expected 1 or an even whole number"


def norm_constants(params: Params, axes: Axes) -> tuple[float, ...]:
    """The windows, the a of each window, and p if it is not 2."""
    p = float(params["norm_type"])
    return window_table(slots_of(axes), (*map(float, norm_scales(axes)), *(() if p == 2.0 else (p,))))


def max_pool(name: str, lay_out: LayOut, parameters: Mapping[str, tuple[Any, Domain]]) -> Layer:
    """The record of a max pooling."""
    return Layer(
        name=name,
        formula="y = max x over the window",
        backward="dx = Σ dy over the windows of which x is the first of the largest",
        torch=f"torch.nn.functional.{name}",
        kernel=lambda params: max_kernel,
        elementwise=False,
        referee=lambda params, row, x, dy: max_referee(lay_out(params), row, x, dy),
        referee_words="proven integral",
        parameters=_parameters(parameters),
        shape=_shape(lay_out),
        constants=lambda params: window_table(slots_of(lay_out(params))),
        aliases=_aliases(name),
    )


def average_pool(name: str, dims: int, lay_out: LayOut, parameters: Mapping[str, tuple[Any, Domain]]) -> Layer:
    """The record of an average pooling."""

    def weights(params: Params) -> Weights:
        return divisors(dims, lay_out(params), params)

    def constants(params: Params) -> tuple[float, ...]:
        taps = weights(params)
        return window_table(
            [[slot for slot, _ in own] for own in taps], [divisor for own in taps for _, divisor in own]
        )

    def referee(params: Params, row: Row, x: Input, dy: Upstream) -> Exact | None:
        axes = lay_out(params)
        return weighted_referee(average_terms(dims, axes, params), axes, row, x, dy)

    return Layer(
        name=name,
        formula="y = Σx / n over the n inputs of the window",
        backward="dx = Σ dy / n over the windows that read x",
        torch=f"torch.nn.functional.{name}",
        kernel=lambda params: average_kernel,
        elementwise=False,
        referee=referee,
        referee_words="closed form",
        parameters=_parameters(parameters),
        shape=_shape(lay_out),
        constants=constants,
        aliases=_aliases(name),
    )


def norm_pool(name: str, lay_out: LayOut, parameters: Mapping[str, tuple[Any, Domain]]) -> Layer:
    """The record of a p-norm pooling."""
    return Layer(
        name=name,
        formula="y = (Σxᵖ)^(1/p) over the window, p = norm_type; NaN if PyTorch gives NaN",
        backward="dx = Σ dy·(x/y)ᵖ⁻¹ over the windows that read x, 0 from those with Σxᵖ = 0",
        torch=f"torch.nn.functional.{name}",
        kernel=lambda params: length_kernel if params["norm_type"] == 2 else power_kernel,
        elementwise=False,
        referee=lambda params, row, x, dy: norm_referee(params, lay_out(params), row, x, dy),
        referee_words="closed form for norm_type 1 and 2, proven integral for pairs, else none",
        parameters=_parameters(parameters),
        shape=_shape(lay_out),
        constants=lambda params: norm_constants(params, lay_out(params)),
        negative_input_error=norm_negative_input_error,
    )


def _parameters(given: Mapping[str, tuple[Any, Domain]]) -> tuple[Parameter, ...]:
    return tuple(Parameter(name, default, kind) for name, (default, kind) in given.items())


def _shape(lay_out: LayOut) -> Callable[[Params], Shape]:
    return lambda params: shape_of(lay_out(params), params["size"] is not None)


def _aliases(name: str) -> tuple[str, ...]:
    """The global pooling that an adaptive one is with its default output size of 1."""
    return (name.replace("adaptive_", "global_"),) if name.startswith("adaptive_") else ()


def _family(dims: int) -> tuple[Layer, ...]:
    """The pooling layers over maps of `dims` dimensions."""

    def lay_out(params: Params) -> Axes:
        return axes_of(dims, params)

    def lay_out_adaptive(params: Params) -> Axes:
        return adaptive_axes(dims, params)

    window = {"kernel_size": (2, sizes(dims)), "stride": (None, sizes(dims, optional=True))}
    padding = {"padding": (0, sizes(dims, low=0))}
    finite = {"ceil_mode": (False, FLAG), "size": (None, sizes(dims, optional=True))}
    average = {"count_include_pad": (True, FLAG), "per_tap": (False, PER_TAP)}
    output = {"output_size": (1, sizes(dims)), "size": (4 if dims < 3 else 2, sizes(dims))}
    dilation = {"dilation": (1, sizes(dims))}
    return (
        average_pool(f"avg_pool{dims}d", dims, lay_out, window | padding | finite | average),
        max_pool(f"max_pool{dims}d", lay_out, window | padding | dilation | finite),
        norm_pool(f"lp_pool{dims}d", lay_out, {"norm_type": (2.0, POSITIVE)} | window | finite),
        average_pool(f"adaptive_avg_pool{dims}d", dims, lay_out_adaptive, output),
        max_pool(f"adaptive_max_pool{dims}d", lay_out_adaptive, output),
    )


POOLING = tuple(layer for dims in (1, 2, 3) for layer in _family(dims))
