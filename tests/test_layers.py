"""Kernels, plain and compiled, against the textbook and against finite differences."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from gradstat.assumptions import Input
from gradstat.estimation.run import run
from gradstat.estimation.significance import z_bound
from gradstat.layer_types.case import Case
from gradstat.layer_types.record import BACKWARD, FORWARD
from gradstat.layer_types.registry import LAYERS, find
from gradstat.layer_types.windows import kernels
from gradstat.layer_types.windows.kernels import power_kernel, window_table
from gradstat.numerics.draws import LANES
from tests.layer_cases import SMALL_CASES, Array, name_of, numbers, run_compiled, run_plain
from tests.naive_layers import NAIVE

CASES = pytest.mark.parametrize("case", SMALL_CASES, ids=name_of)
ARRAYS = pytest.mark.parametrize("case", [c for c in SMALL_CASES if not c.layer.elementwise], ids=name_of)


def naive(case: Case, x: Array, dy: Array, noise: Array) -> tuple[Array, Array]:
    results = [NAIVE[case.layer.name](case, *draw) for draw in zip(x.T, noise.T, strict=True)]
    dx = [jacobian.T @ own for (_, jacobian), own in zip(results, dy.T, strict=True)]
    return np.array([y for y, _ in results]).T, np.array(dx).T


def assert_same(found: tuple[Array, Array], expected: tuple[Array, Array], tolerance: float) -> None:
    for direction, a, b in zip((FORWARD, BACKWARD), found, expected, strict=True):
        assert a.shape == b.shape
        np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance, err_msg=direction)


def is_elementary(case: Case) -> bool:
    """A layer over arrays whose kernel calls exp, log, erf or a power: NumPy's in Python, ours when compiled."""
    names = {"glu", "geglu", "swiglu", "softmax", "softmin", "log_softmax"}
    return case.layer.name in names or case.layer.kernel(case.params) is power_kernel


def finite_differences(case: Case, x: Array, dy: Array, noise: Array, step: float = 2.0**-17) -> Array:
    """dx by central differences of Σ dy·y, one input at a time, the noise held."""
    dx = np.empty_like(x)
    for slot in range(x.shape[0]):
        up, down = x.copy(), x.copy()
        up[slot] += step
        down[slot] -= step
        change = run_plain(case, up, dy, noise)[0] - run_plain(case, down, dy, noise)[0]
        dx[slot] = (dy * change).sum(axis=0) / (2.0 * step)
    return dx


@ARRAYS
@pytest.mark.parametrize("ties", [False, True])
def test_plain_kernel_is_the_textbook(case: Case, ties: bool) -> None:
    drawn = numbers(case, 16, seed=1, ties=ties)
    assert_same(run_plain(case, *drawn), naive(case, *drawn), 2e-15 * max(4, case.shape.n_in))


@ARRAYS
@pytest.mark.parametrize("ties", [False, True])
def test_compiled_kernel_is_the_plain_one(case: Case, ties: bool) -> None:
    """Arrays of sums and products agree to the last bit (no contraction); elementary functions to 18 ulp.

    The ulps are those of the numbers a function is multiplied with, times 1/p where it is the p-th root. The first
    lanes stand for all: see `test_draws_do_not_touch_each_other`.
    """
    x, dy, noise = numbers(case, LANES, seed=2, ties=ties)
    found = [a[:, :64] for a in run_compiled(case, x, dy, noise)]
    plain = run_plain(case, first(x), first(dy), first(noise))
    if is_elementary(case):
        root = max(1.0, 1.0 / case.params.get("norm_type", 1.0))
        size = max(1.0, np.abs(x).max() * np.abs(dy).max())
        for direction, a, b in zip((FORWARD, BACKWARD), found, plain, strict=True):
            np.testing.assert_allclose(a, b, rtol=4e-15 * root, atol=4e-15 * size, err_msg=direction)
    else:
        assert all(np.array_equal(a, b) for a, b in zip(found, plain, strict=True))


def test_every_layer_over_arrays_has_a_textbook_version() -> None:
    assert {name for name, layer in LAYERS.items() if not layer.elementwise} == set(NAIVE)


@ARRAYS
@pytest.mark.parametrize("runner", [run_plain, run_compiled])
def test_kernel_reads_no_output(case: Case, runner: Any) -> None:
    drawn = numbers(case, 16 if runner is run_plain else LANES, seed=3)
    first, second = runner(case, *drawn, poison=np.nan), runner(case, *drawn, poison=1e300)
    assert all(np.array_equal(a, b) for a, b in zip(first, second, strict=True))
    assert all(np.isfinite(a).all() for a in first)


@CASES
@pytest.mark.parametrize("runner", [run_plain, run_compiled])
def test_kernel_leaves_x_and_dy_alone(case: Case, runner: Any) -> None:
    """The layers of a group share them (the noise is drawn anew for each)."""
    x, dy, noise = numbers(case, 16 if runner is run_plain else LANES, seed=4)
    before = x.copy(), dy.copy()
    runner(case, x, dy, noise)
    assert np.array_equal(x, before[0])
    assert np.array_equal(dy, before[1])


def first(a: Array) -> Array:
    """Its first 64 lanes."""
    return np.ascontiguousarray(a[:, :64])


@ARRAYS
def test_draws_do_not_touch_each_other(case: Case) -> None:
    drawn = numbers(case, LANES, seed=5)
    order = np.random.default_rng(6).permutation(LANES)
    x, dy, noise = (np.ascontiguousarray(a[:, order]) for a in drawn)
    moved = run_compiled(case, x, dy, noise)
    assert all(np.array_equal(a[:, order], b) for a, b in zip(run_compiled(case, *drawn), moved, strict=True))


@ARRAYS
def test_backward_is_the_derivative_of_forward(case: Case) -> None:
    drawn = numbers(case, 32, seed=7)
    np.testing.assert_allclose(run_plain(case, *drawn)[1], finite_differences(case, *drawn), rtol=1e-6, atol=1e-6)


def always(kernel: Callable[..., None]) -> Callable[[Any], Callable[..., None]]:
    return lambda params: kernel


def test_a_wrong_backward_is_caught() -> None:
    """Negative control: the gradient of every window goes to the wrong input, or is not divided."""

    def shifted(*arrays: Array) -> None:
        kernels.max_kernel(*arrays)
        arrays[5][:] = np.roll(arrays[5], 1, axis=0)

    def undivided(*arrays: Array) -> None:
        kernels.average_kernel(*arrays)
        arrays[5][:] *= 4.0

    for name, kernel in (("max_pool2d", shifted), ("avg_pool2d", undivided)):
        case = Case(replace(LAYERS[name], kernel=always(kernel)))
        with pytest.raises(AssertionError):
            test_backward_is_the_derivative_of_forward(case)
        with pytest.raises(AssertionError):
            test_plain_kernel_is_the_textbook(case, False)


def test_a_kernel_that_reads_its_output_is_caught() -> None:
    def uncleared(constants: Array, x: Array, dy: Array, noise: Array, y: Array, dx: Array) -> None:
        before = dx.copy()
        kernels.max_kernel(constants, x, dy, noise, y, dx)
        dx += before

    case = Case(replace(LAYERS["max_pool2d"], kernel=lambda params: uncleared))
    with pytest.raises(AssertionError):
        test_kernel_reads_no_output(case, run_plain)


@pytest.mark.parametrize("runner", [run_plain, run_compiled])
@pytest.mark.parametrize(
    ("x", "winner"),
    [((1, 1, 1, 1), 0), ((0, 2, 2, 1), 1), ((-3, -3, -4, -3), 0), ((1, 2, 3, 3), 2), ((0.0, -0.0, 0.0, -0.0), 0)],
)
def test_the_first_of_the_largest_gets_the_gradient(runner: Any, x: tuple[float, ...], winner: int) -> None:
    """As torch.nn.functional.max_pool2d breaks ties."""
    case = Case(LAYERS["max_pool2d"])
    lanes = np.repeat(np.array(x, float)[:, None], LANES, axis=1)
    y, dx = runner(case, lanes, np.full((1, LANES), 7.0), np.empty((0, LANES)))
    assert np.all(y == max(x))
    assert dx[:, 0].tolist() == [7.0 if slot == winner else 0.0 for slot in range(4)]


def test_windows_may_overlap_and_run_backwards() -> None:
    """Windows (0, 1), (1, 2), (1, 0): in the last of them the first of the largest is the later input."""
    rng = np.random.default_rng(8)
    x, dy = np.round(rng.standard_normal((3, 50))), rng.standard_normal((3, 50))
    windows, none = [(0, 1), (1, 2), (1, 0)], np.empty((0, 50))
    for kernel, numbers_of_it in ((kernels.max_kernel, ()), (kernels.average_kernel, (2.0,) * 6)):
        y, dx = np.full((3, 50), np.nan), np.full((3, 50), np.nan)
        kernel(np.array(window_table(windows, numbers_of_it)), x, dy, none, y, dx)
        expected = np.zeros((3, 50))
        for lane in range(50):
            for window, slots in enumerate(windows):
                values = [x[slot, lane] for slot in slots]
                winner = slots[values.index(max(values))]
                largest = kernel is kernels.max_kernel
                assert y[window, lane] == (max(values) if largest else sum(values) / 2.0)
                for slot in slots:
                    expected[slot, lane] += dy[window, lane] * (slot == winner if largest else 0.5)
        np.testing.assert_allclose(dx, expected, rtol=0, atol=1e-15)


@pytest.mark.parametrize("normalize", ["fan_in", "fan_out"])
def test_linear_only_takes_the_direction_of_its_weights(normalize: str) -> None:
    """Normalized, weights three times as large are the same weights."""
    case = Case(LAYERS["linear"], {"normalize": normalize})
    x, dy, noise = numbers(case, LANES, seed=9)
    assert_same(run_compiled(case, x, dy, 3.0 * noise), run_compiled(case, x, dy, noise), 1e-14)


def test_layers_that_change_their_noise_do_not_change_their_neighbours() -> None:
    """`linear` normalizes its weights in place: beside itself and beside dropout, each gives its own digits."""
    single = {"in_features": 1, "out_features": 1}
    cases = [Case(find("linear"), single | {"normalize": how}) for how in ("fan_in", "none", "fan_out")]
    cases.insert(1, Case(find("dropout")))
    together = run(cases, 5000, seed=1, jobs=1)
    alone = [line for case in reversed(cases) for line in run([case], 5000, seed=1, jobs=1)]
    assert {name_of(a.case) + a.row.direction: a.accumulators.tobytes() for a in together} == {
        name_of(a.case) + a.row.direction: a.accumulators.tobytes() for a in alone
    }


def test_sampling_agrees_with_the_referee() -> None:
    """Every small case of every layer, 2¹⁶ draws; false alarm 10⁻⁶ over all z-scores (Bonferroni)."""
    positive = Input("uniform", 2.0, 1.0)
    cases = [Case(c.layer, c.given, positive if c.layer.negative_input_error(c.params) else c.x) for c in SMALL_CASES]
    lines = run(cases, 2**16, seed=20160328)
    scores = [(line, z) for line in lines for z in (line.z_mean, line.z_std) if z is not None]
    assert {line.case.layer.name for line, _ in scores} == {
        layer.name for layer in LAYERS.values() if layer.referee_words != "none"
    }
    bound = z_bound(len(scores))
    far = [(line.case.label, line.row, z) for line, z in scores if not abs(z) <= bound]
    assert not far
