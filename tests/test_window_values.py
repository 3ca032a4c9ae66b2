"""Exact values of layers of windows: against matrices, orders, scipy and samples; post III's numbers."""

import itertools
import math
from collections.abc import Sequence
from fractions import Fraction

import numpy as np
import pytest

from gradstat.assumptions import Input, Upstream
from gradstat.estimation.run import run
from gradstat.estimation.significance import disagreements
from gradstat.layer_types.case import Case
from gradstat.layer_types.exact.order_statistics import windows_won
from gradstat.layer_types.record import ALL, BACKWARD, FORWARD, Exact
from gradstat.layer_types.registry import find
from tests.window_cases import ADAPTIVE, CONVS, PADDED, POOLS, Array, case_of, kernel_of

FIXED = [
    *(case_of("avg_", name, given) for name, given in POOLS + PADDED),
    *(case_of("adaptive_avg_", name, given) for name, given in ADAPTIVE),
    *(case_of("lp_", name, given, norm_type=1) for name, given in POOLS),
    *(case_of("avg_", name, given, per_tap=how) for name, given in POOLS[:7] for how in (True, "root")),
    *(case_of(prefix, name, given, weight="flat") for prefix in ("conv", "conv_transpose") for name, given in CONVS),
    *(case_of("conv", "2d", {"stride": 2}, weight="flat", normalize=how, per_tap=True) for how in ("fan_in", "none")),
    Case(find("linear"), {"weight": "flat", "normalize": "fan_in"}),
]


def moments_of(matrix: Array, mean: Array, covariance: Array, slots: Sequence[int]) -> tuple[float, float, float]:
    """Mean, variance and E|v − mean| of the pooled slots of matrix·u, u normal."""
    means, variances = matrix @ mean, np.diag(matrix @ covariance @ matrix.T)
    m, v = means[list(slots)], variances[list(slots)]
    rng = np.linspace(-9.0, 9.0, 4001)  # a plain sum over the normal density, good to 1e-5
    weights = np.exp(-0.5 * rng**2) / np.exp(-0.5 * rng**2).sum()
    mad = float(
        np.mean(
            [np.sum(weights * np.abs(a + math.sqrt(max(b, 0.0)) * rng - m.mean())) for a, b in zip(m, v, strict=True)]
        )
    )
    return float(m.mean()), float(v.mean() + m.var()), mad


@pytest.mark.parametrize("case", FIXED, ids=lambda case: case.label)
@pytest.mark.parametrize("correlation", [0.0, 0.6, 1.0])
def test_exact_values_of_fixed_linear_maps(case: Case, correlation: float) -> None:
    """The referee against A·C·Aᵀ, where A is what the kernel does to unit vectors and C is written out in full."""
    shape = case.shape
    n = max(shape.n_in, shape.n_out)
    no_noise = np.empty((0, n))
    forward, _ = kernel_of(case, 100.0 + np.eye(shape.n_in, n), np.zeros((shape.n_out, n)), no_noise)
    base, _ = kernel_of(case, np.full((shape.n_in, n), 100.0), np.zeros((shape.n_out, n)), no_noise)
    _, backward = kernel_of(case, np.ones((shape.n_in, n)), np.eye(shape.n_out, n), no_noise)
    rho = min(correlation, 0.9)
    x, dy = Input("normal", 0.7, 1.3, rho), Upstream("normal", correlation)
    lines = [rho ** np.abs(np.subtract.outer(np.arange(k), np.arange(k))) for k in shape.grid]
    channels = np.eye(shape.n_in // math.prod(shape.grid))
    of_x = x.std**2 * np.eye(1)
    for line in [channels, *lines]:
        of_x = np.kron(of_x, line)
    of_dy = (1.0 - correlation) * np.eye(shape.n_out) + correlation
    for row in shape.rows:
        if row.direction == FORWARD:
            wanted = moments_of((forward - base)[:, : shape.n_in], np.full(shape.n_in, x.mean), of_x, row.slots)
        else:
            wanted = moments_of(backward[:, : shape.n_out], np.zeros(shape.n_out), of_dy, row.slots)
        exact = Case(case.layer, case.given, x, dy).exact(row)
        assert exact is not None
        assert (exact.mean, exact.var) == pytest.approx(wanted[:2], rel=1e-10, abs=1e-12)
        assert exact.mad == pytest.approx(wanted[2], rel=1e-4, abs=1e-9)


@pytest.mark.parametrize(
    ("size", "windows"), [(5, [(0, 1, 2), (1, 2, 3), (2, 3, 4)]), (6, [(0, 1, 2), (2, 3), (2, 4, 5)])]
)
def test_windows_won(size: int, windows: list[tuple[int, ...]]) -> None:
    """Input 2 of these windows, over all orders of the inputs."""
    counts = [0] * (len(windows) + 1)
    for order in itertools.permutations(range(size)):
        counts[sum(max(window, key=order.__getitem__) == 2 for window in windows)] += 1
    assert windows_won(list(map(frozenset, windows))) == [Fraction(count, math.factorial(size)) for count in counts]


@pytest.mark.parametrize("n", [1, 2, 9])
@pytest.mark.parametrize("std", [1.0, 2.5])
def test_lengths(n: int, std: float) -> None:
    """p = 2: y/std is chi with n degrees of freedom, x/y the component of a random unit vector."""
    stats = pytest.importorskip("scipy.stats")
    case = Case(find("lp_pool1d"), {"kernel_size": n}, Input(std=std))
    y, dx = (case.exact(row) for row in case.shape.rows)
    assert y is not None
    assert dx is not None
    chi = stats.chi(n)
    assert (y.mean, y.var) == pytest.approx((std * chi.mean(), std**2 * chi.var()), rel=1e-12)
    spread = chi.expect(lambda v: abs(v - chi.mean()), ub=chi.mean()) + chi.expect(
        lambda v: v - chi.mean(), lb=chi.mean()
    )
    assert y.mad == pytest.approx(std * spread, rel=1e-8)
    assert dx.var == pytest.approx(1.0 / n, rel=1e-14)
    component = 1.0 if n == 1 else math.gamma(n / 2) / (math.sqrt(math.pi) * math.gamma((n + 1) / 2))
    assert dx.abs_mean == pytest.approx(math.sqrt(2.0 / math.pi) * component, rel=1e-12)


def backward(case: Case) -> dict[str, Exact]:
    rows = {row.cell: case.exact(row) for row in case.shape.rows if row.direction == BACKWARD}
    return {cell: exact for cell, exact in rows.items() if exact is not None}


@pytest.mark.parametrize(
    ("normalize", "correlation", "std"),
    [("fan_out", 0.0, 1 / 2), ("fan_out", 1.0, 5 / 6), ("none", 0.0, 3 / 2), ("none", 1.0, 5 / 2)],
)
def test_flat_3x3_stride_2_of_post_iii(normalize: str, correlation: float, std: float) -> None:
    """Post III prints 5/2 and 5/6: one dy for all outputs. With independent dy it is 3/2 and 1/2."""
    flat = {
        "in_channels": 1,
        "out_channels": 1,
        "kernel_size": 3,
        "stride": 2,
        "weight": "flat",
        "normalize": normalize,
    }
    found = backward(Case(find("conv2d"), flat, dy=Upstream(correlation=correlation)))
    assert math.sqrt(found[ALL].var) == pytest.approx(std, rel=1e-14)
    assert found[ALL].var == pytest.approx(math.fsum(found[f"({i}, {j})"].var for i in (0, 1) for j in (0, 1)) / 4)


@pytest.mark.parametrize(("per_tap", "correlation"), [(True, 1.0), ("root", 0.0)])
@pytest.mark.parametrize(("w", "s"), [(3, 1), (3, 2), (3, 3), (4, 2), (4, 3), (6, 4)])
def test_per_tap_normalization_makes_all_cells_alike(per_tap: bool | str, correlation: float, w: int, s: int) -> None:
    """1/windows where all outputs receive the same dy (post III's sum), 1/√windows where they are independent."""
    given = {"kernel_size": w, "stride": s, "per_tap": per_tap}
    one = {"in_channels": 1, "out_channels": 1, "weight": "flat", "normalize": "none"}
    dy = Upstream(correlation=correlation)
    for exact in backward(Case(find("conv2d"), given | one, dy=dy)).values():
        assert exact.var == pytest.approx(1.0, rel=1e-14)
    for exact in backward(Case(find("avg_pool2d"), given, dy=dy)).values():
        assert exact.var == pytest.approx(1.0 / w**4, rel=1e-14)
    if correlation == 0.0:
        for exact in backward(Case(find("conv2d"), given, dy=dy)).values():  # gaussian, each tap over fan_out
            assert exact.var == pytest.approx(1.0, rel=1e-14)


def test_overlapping_max_pooling() -> None:
    """w = 3, s = 2, independent inputs: an input in k windows has variance k/9 with independent dy, more if shared."""
    found = backward(Case(find("max_pool2d"), {"kernel_size": 3, "stride": 2}))
    assert {cell: exact.var for cell, exact in found.items()} == pytest.approx(
        {ALL: 1 / 4, "(0, 0)": 4 / 9, "(0, 1)": 2 / 9, "(1, 0)": 2 / 9, "(1, 1)": 1 / 9}, rel=1e-14
    )
    shared = backward(Case(find("max_pool2d"), {"kernel_size": 3, "stride": 2}, dy=Upstream(correlation=1.0)))
    corner = 4 / 9 + 2 * (4 / 15 + 2 / 17)  # four pairs of neighbours share 15 inputs, two diagonal ones 17
    assert shared["(0, 0)"].var == pytest.approx(corner, rel=1e-14)
    assert shared["(1, 1)"].var == pytest.approx(1 / 9, rel=1e-14)


@pytest.mark.parametrize("name", ["max_pool2d", "lp_pool2d"])
@pytest.mark.parametrize(("w", "s"), [(3, 1), (3, 2), (2, 2), (2, 3)])
def test_correlated_inputs_leave_the_pooled_variance_alone(name: str, w: int, s: int) -> None:
    """Each window hands its dy on as a whole, to one input or to several: σ[dx] = 1/s, whatever ρ is."""
    for rho in (0.0, 0.5):
        found = backward(Case(find(name), {"kernel_size": w, "stride": s}, Input(correlation=rho)))
        assert found[ALL].var == pytest.approx(1.0 / s**2, rel=1e-14)
        assert rho == 0.0 or set(found) == {ALL}


SAMPLED = [
    Case(find("max_pool2d"), {"kernel_size": 3, "stride": 2}, Input("laplace"), Upstream("laplace")),
    Case(find("max_pool2d"), {"kernel_size": 3, "stride": 2}, Input("normal", 1.0, 2.0), Upstream("normal", 0.5)),
    Case(find("max_pool1d"), {"kernel_size": 3, "stride": 2, "size": 6, "padding": 1}, Input("uniform")),
    Case(find("avg_pool2d"), {"kernel_size": 3, "stride": 2}, Input(correlation=0.5), Upstream("normal", 1.0)),
    Case(find("lp_pool1d"), {"kernel_size": 3, "stride": 2, "size": 6, "ceil_mode": True}),
    Case(find("conv1d"), {"stride": 2, "normalize": "fan_in"}, Input("normal", 0.5, 1.0, 0.5), Upstream("normal", 0.5)),
    Case(find("conv_transpose1d"), {"stride": 2, "per_tap": True}),
    Case(find("max_pool2d"), {"size": 3, "stride": 1}, Input("normal", 1.0, 1.0, 0.7)),
    Case(find("lp_pool1d"), {"kernel_size": 3, "stride": 2}, Input("normal", 1.0, 1.0, 0.7)),
    Case(find("linear"), {"weight": "orthogonal"}, Input("uniform", 1.0), Upstream("laplace", 0.5)),
]


def test_sampling_agrees_with_the_referee() -> None:
    """|z| stays within the family-wise bound, E|v| and MAD within six errors; no row of independent x lacks a value."""
    lines = run(SAMPLED, 2**18, seed=20160328)
    assert all(line.exact is not None for line in lines if not line.case.x.correlation)
    assert all(line.exact is not None for line in lines if (line.row.direction, line.row.cell) == (BACKWARD, ALL))
    assert disagreements(lines) == []
    for line in lines:
        e, exact = line.estimates, line.exact
        if exact is not None and exact.abs_mean is not None:
            assert abs(e.abs_mean - exact.abs_mean) <= 6.0 * e.abs_mean_se
        if exact is not None and exact.mad is not None:
            assert abs(e.mad - exact.mad) <= 6.0 * e.mad_se
