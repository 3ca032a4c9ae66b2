"""Cases of the layers of windows: overlap, gaps, padding, dilation, groups, in one to three dimensions."""

from typing import Any

import numpy as np

from gradstat.layer_types.case import Case
from gradstat.layer_types.registry import find

Array = np.ndarray[Any, np.dtype[np.float64]]

# fmt: off
POOLS: list[tuple[str, dict[str, Any]]] = [
    ("pool1d", {}),
    ("pool1d", {"kernel_size": 3, "stride": 2}),
    ("pool1d", {"kernel_size": 2, "stride": 3}),
    ("pool1d", {"kernel_size": 5, "stride": 2, "size": 9}),
    ("pool1d", {"kernel_size": 3, "stride": 2, "size": 6, "ceil_mode": True}),
    ("pool2d", {"kernel_size": 3, "stride": 2}),
    ("pool2d", {"kernel_size": [3, 2], "stride": [2, 1]}),
    ("pool2d", {"kernel_size": [2, 3], "stride": [2, 2], "size": [5, 6], "ceil_mode": True}),
    ("pool3d", {"kernel_size": [2, 1, 3], "stride": [1, 1, 2]}),
    ("pool3d", {"kernel_size": 2, "stride": 2, "size": [3, 4, 3], "ceil_mode": True}),
]
PADDED: list[tuple[str, dict[str, Any]]] = [
    ("pool1d", {"kernel_size": 3, "stride": 2, "size": 7, "padding": 1}),
    ("pool1d", {"kernel_size": 4, "stride": 3, "size": 6, "padding": 2, "ceil_mode": True}),
    ("pool2d", {"kernel_size": [3, 2], "stride": [2, 1], "size": [5, 3], "padding": [1, 1]}),
    ("pool2d", {"kernel_size": 3, "stride": 2, "size": [4, 5], "padding": 1, "ceil_mode": True}),
    ("pool3d", {"kernel_size": [2, 3, 2], "stride": 2, "size": [2, 3, 4], "padding": [0, 1, 1], "ceil_mode": True}),
]
DILATED: list[tuple[str, dict[str, Any]]] = [
    ("pool1d", {"kernel_size": 2, "stride": 1, "dilation": 3}),
    ("pool1d", {"kernel_size": 3, "stride": 2, "dilation": 2, "size": 9, "padding": 2, "ceil_mode": True}),
    ("pool2d", {"kernel_size": 2, "stride": 1, "dilation": [2, 1]}),
    ("pool2d", {"kernel_size": [3, 2], "stride": [1, 2], "dilation": [2, 1], "size": [7, 4], "padding": [2, 1]}),
    ("pool3d", {"kernel_size": 2, "stride": 1, "dilation": [1, 2, 1], "size": [3, 4, 2], "padding": [0, 1, 1]}),
]
NOT_COUNTED = [(name, given | {"count_include_pad": False}) for name, given in PADDED]
ADAPTIVE: list[tuple[str, dict[str, Any]]] = [
    ("pool1d", {"size": 7, "output_size": 3}),
    ("pool1d", {"size": 2, "output_size": 3}),
    ("pool2d", {"size": [5, 4], "output_size": [2, 3]}),
    ("pool3d", {"size": [2, 3, 4], "output_size": [1, 2, 3]}),
]
CONVS: list[tuple[str, dict[str, Any]]] = [
    ("1d", {}),
    ("1d", {"kernel_size": 2, "stride": 3}),
    ("1d", {"kernel_size": 3, "stride": 2, "dilation": 2, "in_channels": 4, "out_channels": 2, "groups": 2}),
    ("1d", {"kernel_size": 2, "stride": 1, "dilation": 3, "in_channels": 1, "out_channels": 1}),
    ("2d", {"kernel_size": [3, 2], "stride": [2, 1], "in_channels": 2, "out_channels": 4, "groups": 2}),
    ("2d", {"kernel_size": 2, "stride": 1, "dilation": [1, 2], "in_channels": 1, "out_channels": 3}),
    ("3d", {"kernel_size": [1, 2, 2], "stride": [1, 2, 1]}),
    ("1d", {"kernel_size": 3, "size": 4, "padding": 1}),
    ("1d", {"kernel_size": 2, "size": 2, "padding": 0, "stride": 3}),
    ("2d", {"kernel_size": [3, 2], "size": [4, 3], "padding": [1, 0], "stride": [2, 1], "in_channels": 1}),
]
# fmt: on


def case_of(prefix: str, name: str, given: dict[str, Any], **more: Any) -> Case:
    return Case(find(prefix + name), given | more)


def kernel_of(case: Case, x: Array, dy: Array, noise: Array) -> tuple[Array, Array]:
    """y and dx of the kernel run as plain Python, which is handed garbage to write over."""
    y, dx = np.full(dy.shape, np.nan), np.full(x.shape, np.nan)
    case.layer.kernel(case.params)(np.array(case.constants), x, dy, noise.copy(), y, dx)
    return y, dx
