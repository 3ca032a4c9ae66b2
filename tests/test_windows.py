"""Kernels of windows and convolutions: values against plain loops, gradients against finite differences."""

import itertools
import math
from typing import Any

import numpy as np
import pytest

from gradstat.layer_types.case import Case
from gradstat.layer_types.registry import LAYERS, find
from tests import naive_windows as naive
from tests.naive_layers import forward_of, forward_of_convolution, normalized
from tests.window_cases import ADAPTIVE, CONVS, DILATED, NOT_COUNTED, PADDED, POOLS, Array, case_of, kernel_of

LANES = 3


def drawn(case: Case, ties: bool = False) -> tuple[Array, Array, Array]:
    rng = np.random.default_rng(20160328)
    x = rng.standard_normal((case.shape.n_in, LANES))
    dy, noise = rng.standard_normal((case.shape.n_out, LANES)), rng.standard_normal((case.shape.noise, LANES))
    noise = rng.random(noise.shape) if case.shape.noise_kind == "uniform" else noise
    return np.round(x) if ties else x, dy, noise


def check(case: Case, forward: Any, x: Array, dy: Array, noise: Array) -> None:
    y, dx = kernel_of(case, x, dy, noise)
    for lane in range(LANES):
        np.testing.assert_allclose(y[:, lane], forward(x[:, lane]), rtol=1e-12, atol=1e-14)
        slope = naive.gradient(forward, x[:, lane], dy[:, lane])
        np.testing.assert_allclose(dx[:, lane], slope, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize(("name", "given"), POOLS + PADDED + DILATED)
def test_max_pooling_is_plain_loops(name: str, given: dict[str, Any]) -> None:
    case = case_of("max_", name, given)
    check(case, forward_of(case), *drawn(case))


@pytest.mark.parametrize(("name", "given"), POOLS + PADDED + NOT_COUNTED)
def test_average_pooling_is_plain_loops(name: str, given: dict[str, Any]) -> None:
    case = case_of("avg_", name, given)
    check(case, forward_of(case), *drawn(case))


@pytest.mark.parametrize(("name", "given"), POOLS)
@pytest.mark.parametrize("norm_type", [1, 2, 2.0, 3, 4, 2.5, 0.5])
def test_lp_pooling_is_plain_loops(name: str, given: dict[str, Any], norm_type: float) -> None:
    """Signed inputs where the power has them: 1, 2 and 4; positive ones elsewhere."""
    case = case_of("lp_", name, given, norm_type=norm_type)
    x, dy, noise = drawn(case)
    forward = forward_of(case)
    check(case, forward, x if norm_type in (2, 4) else np.abs(x) + 0.1, dy, noise)
    if norm_type == 1:
        check(case, forward, x, dy, noise)


@pytest.mark.parametrize("prefix", ["adaptive_max_", "adaptive_avg_"])
@pytest.mark.parametrize(("name", "given"), ADAPTIVE)
def test_adaptive_pooling_is_plain_loops(prefix: str, name: str, given: dict[str, Any]) -> None:
    case = case_of(prefix, name, given)
    check(case, forward_of(case), *drawn(case))


@pytest.mark.parametrize(("name", "given"), POOLS + DILATED)
def test_the_first_of_the_largest_in_scan_order_gets_the_gradient(name: str, given: dict[str, Any]) -> None:
    """Integer inputs: lowering an input by a hair, the less the earlier it comes, decides ties as PyTorch does."""
    case = case_of("max_", name, given)
    x, dy, noise = drawn(case, ties=True)
    order = 1e-6 * np.arange(case.shape.n_in)[:, None]
    np.testing.assert_array_equal(kernel_of(case, x, dy, noise)[1], kernel_of(case, x - order, dy, noise)[1])


@pytest.mark.parametrize(
    ("norm_type", "x", "y", "dx"),
    [
        (2, (0.0, 0.0), 0.0, (0.0, 0.0)),
        (1, (1.0, -1.0), 0.0, (0.0, 0.0)),
        (1, (1.0, -3.0), -2.0, (1.0, 1.0)),
        (3, (2.0, -1.0), 7 ** (1 / 3), (4 * 7 ** (-2 / 3), 7 ** (-2 / 3))),
        (3, (-2.0, 1.0), math.nan, (math.nan, math.nan)),
        (2.5, (2.0, -1.0), math.nan, (math.nan, math.nan)),
        (4, (-1.0, 0.0), 1.0, (-1.0, 0.0)),
    ],
)
def test_signs_of_lp_pooling(norm_type: float, x: Any, y: float, dx: Any) -> None:
    """As torch.nn.functional.lp_pool1d gives them (checked with PyTorch 2.13)."""
    case = Case(find("lp_pool1d"), {"norm_type": norm_type})
    found = kernel_of(case, np.array(x)[:, None], np.ones((1, 1)), np.empty((0, 1)))
    np.testing.assert_allclose(found[0][:, 0], [y], rtol=1e-14)
    np.testing.assert_allclose(found[1][:, 0], dx, rtol=1e-14)


@pytest.mark.parametrize("prefix", ["conv", "conv_transpose"])
@pytest.mark.parametrize(("name", "given"), CONVS)
@pytest.mark.parametrize("weight", ["gaussian", "uniform", "flat"])
@pytest.mark.parametrize(
    ("normalize", "per_tap"), [*itertools.product(["fan_in", "fan_out"], [False, True]), ("none", "root")]
)
def test_convolutions_are_plain_loops(
    prefix: str, name: str, given: dict[str, Any], weight: str, normalize: str, per_tap: bool | str
) -> None:
    case = case_of(prefix, name, given, weight=weight, normalize=normalize, per_tap=per_tap)
    x, dy, noise = drawn(case)
    y, dx = kernel_of(case, x, dy, noise)
    for lane in range(LANES):
        forward = forward_of_convolution(case, normalized(case, noise[:, lane]))
        np.testing.assert_allclose(y[:, lane], forward(x[:, lane]), rtol=1e-12, atol=1e-13)
        slope = naive.gradient(forward, x[:, lane], dy[:, lane])
        np.testing.assert_allclose(dx[:, lane], slope, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize(("n_in", "n_out"), [(1, 1), (4, 4), (5, 3), (2, 6)])
@pytest.mark.parametrize("normalize", ["fan_in", "fan_out", "none"])
def test_orthogonal_weights(n_in: int, n_out: int, normalize: str) -> None:
    """W·Wᵀ (or Wᵀ·W) is a multiple of the identity; rows, or columns, have the mean square norm asked for."""
    case = Case(
        find("linear"), {"in_features": n_in, "out_features": n_out, "normalize": normalize, "weight": "orthogonal"}
    )
    noise = np.random.default_rng(1).standard_normal((n_in * n_out, n_in))
    noise[:] = noise[:, :1]  # every lane the same weights, and its own unit vector as x
    w, _ = kernel_of(case, np.eye(n_in), np.zeros((n_out, n_in)), noise)
    product = w @ w.T if n_out <= n_in else w.T @ w
    np.testing.assert_allclose(product, product[0, 0] * np.eye(len(product)), atol=1e-13)
    rows = {"fan_in": n_out, "fan_out": n_in, "none": min(n_in, n_out)}[normalize]
    assert np.sum(w * w) == pytest.approx(rows, rel=1e-13)
    x, dy = np.random.default_rng(2).standard_normal((2, max(n_in, n_out), n_in))
    y, dx = kernel_of(case, x[:n_in], dy[:n_out], noise)
    np.testing.assert_allclose(y, w @ x[:n_in], atol=1e-13)
    np.testing.assert_allclose(dx, w.T @ dy[:n_out], atol=1e-13)


def test_every_layer_of_windows_is_in_the_table() -> None:
    names = {f"{kind}_pool{d}d" for kind in ("max", "avg", "lp", "adaptive_max", "adaptive_avg") for d in (1, 2, 3)}
    names |= {f"{kind}{d}d" for kind in ("conv", "conv_transpose") for d in (1, 2, 3)}
    assert names <= set(LAYERS)
    assert find("global_avg_pool2d").name == "adaptive_avg_pool2d"
