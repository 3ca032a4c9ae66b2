"""Order statistics and closed forms against SciPy, printed tables and arithmetic that can be done by hand."""

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import mpmath
import numpy as np
import pytest
from scipy import integrate, stats

from gradstat.assumptions import Input, Upstream
from gradstat.layer_types.case import Case
from gradstat.layer_types.exact.order_statistics import maximum
from gradstat.layer_types.record import BACKWARD, FORWARD, Exact
from gradstat.layer_types.registry import find
from tests.integrals import (
    INPUTS,
    UPSTREAMS,
    assert_exact,
    row_of,
    scipy_distribution,
    scipy_integral,
    scipy_moments,
    size_of,
)
from tests.layer_cases import Array

WITH_INPUT = pytest.mark.parametrize("x", INPUTS, ids=Input.label)
WITH_UPSTREAM = pytest.mark.parametrize("dy", UPSTREAMS, ids=Upstream.label)
# n: E and σ of the largest of n standard normals, as CLOSED_FORMS.md and tables of order statistics print them
# (twice the first is the quality engineers' d₂ for n = 2; e.g. Harter 1961, Biometrika 48).
LARGEST_OF = {
    2: (0.5641896, 0.8256453),
    3: (0.8462844, 0.7479754),
    4: (1.0293754, 0.7012241),
    8: (1.4236003, 0.6106530),
    9: (1.4850132, 0.5977904),
    16: (1.7659914, 0.5431481),
    25: (1.9653146, 0.5084396),
    27: (1.9982693, 0.5030120),
    49: (2.2411896, 0.4655894),
}


@pytest.mark.parametrize("n", LARGEST_OF)
def test_largest_of_n_as_printed(n: int) -> None:
    exact = maximum(n, Input())
    assert exact is not None
    assert exact.mean == pytest.approx(LARGEST_OF[n][0], abs=5.1e-8)
    assert math.sqrt(exact.var) == pytest.approx(LARGEST_OF[n][1], abs=5.1e-8)


@pytest.mark.parametrize("n", [1, 2, 9, 25])
@WITH_INPUT
def test_largest_of_n_against_scipy(n: int, x: Input) -> None:
    p = scipy_distribution(x)

    def expectation(g: Callable[[Array], Array], *breaks: float) -> float:
        return scipy_integral(lambda v: g(v) * n * p.cdf(v) ** (n - 1), x, list(breaks))

    mean = expectation(lambda v: v)
    var = expectation(lambda v: (v - mean) ** 2)
    size, spread = expectation(np.abs, 0.0), expectation(lambda v: np.abs(v - mean), mean)
    found = maximum(n, x)
    assert_exact(found, Exact(mean, var, size, spread))
    assert found is not None
    assert found.abs_mean is not None
    assert found.mad is not None


@pytest.mark.parametrize("n", [2, 3, 9, 49, 4096])
def test_largest_of_n_by_hand(n: int) -> None:
    """Uniform: Beta(n, 1). Logistic: ψ(n) + γ, ψ′(n) + π²/6. Laplace at n = 2: mean 3/4 of its scale."""
    found = maximum(n, Input("uniform"))
    half = math.sqrt(3.0)
    assert_exact(found, Exact(half * (n - 1) / (n + 1), (2 * half) ** 2 * n / ((n + 1) ** 2 * (n + 2))))
    scale = math.sqrt(3.0) / math.pi
    mean, var = float(mpmath.psi(0, n) + mpmath.euler), float(mpmath.psi(1, n) + mpmath.pi**2 / 6)
    assert_exact(maximum(n, Input("logistic")), Exact(scale * mean, scale**2 * var))
    two = maximum(2, Input("laplace"))
    assert two is not None
    assert two.mean == pytest.approx(0.75 * math.sqrt(0.5), rel=1e-13)


def test_a_chain_of_pairwise_normal_maxima_would_be_caught() -> None:
    """Negative control: Clark's approximation of 2×2 max pooling (1.03001, 0.68169; CLOSED_FORMS.md) is not exact."""
    exact = maximum(4, Input())
    assert exact is not None
    with pytest.raises(AssertionError):
        assert_exact(Exact(1.03001, 0.68169**2), exact, 1e-5)


@WITH_INPUT
@pytest.mark.parametrize(("p", "inverted"), [(0.0, True), (0.1, False), (0.5, True), (0.99, True)])
def test_dropout_by_cases(x: Input, p: float, inverted: bool) -> None:
    """The mixture of an atom at 0, weight p, and of c·x, each integrated on its own."""
    case = Case(find("dropout"), {"p": p, "inverted": inverted}, x)
    c = 1.0 / (1.0 - p) if inverted else 1.0

    def mixture(g: Callable[[Array], Array], *breaks: float) -> float:
        at_zero = float(g(np.zeros(1))[0])
        return p * at_zero + (1.0 - p) * scipy_integral(lambda v: g(c * v), x, [b / c for b in breaks])

    mean = mixture(lambda v: v)
    var = mixture(lambda v: (v - mean) ** 2)
    expected = Exact(mean, var, mixture(np.abs, 0.0), mixture(lambda v: np.abs(v - mean), mean))
    found = case.exact(row_of(case, FORWARD))
    assert_exact(found, expected)
    assert found is not None
    assert None not in (found.abs_mean, found.mad)
    for dy in UPSTREAMS:
        size = (1.0 - p) * c * size_of(dy)
        expected = Exact(0.0, (1.0 - p) * c * c, size, size)
        assert_exact(replace(case, dy=dy).exact(row_of(case, BACKWARD)), expected)


def test_dropout_with_a_mean_is_not_variance_over_keep() -> None:
    """(σ² + p·μ²)/(1 − p); the shortcut σ²/(1 − p) is 18.9 % short behind a relu at p = ½ (CLOSED_FORMS.md)."""
    mean, var = math.sqrt(0.5 / math.pi), 0.5 - 0.5 / math.pi
    case = Case(find("dropout"), {"p": 0.5}, Input("normal", mean, math.sqrt(var)))
    exact = case.exact(row_of(case, FORWARD))
    assert exact is not None
    assert exact.var == pytest.approx((var + 0.5 * mean**2) / 0.5, rel=1e-14)
    assert var / 0.5 / exact.var - 1 == pytest.approx(-0.189, abs=5e-4)


@WITH_INPUT
@WITH_UPSTREAM
@pytest.mark.parametrize("kernel_size", [1, 2, [2, 3], 3])
def test_average_pooling(x: Input, dy: Upstream, kernel_size: Any) -> None:
    n = kernel_size**2 if isinstance(kernel_size, int) else math.prod(kernel_size)
    case = Case(find("avg_pool2d"), {"kernel_size": kernel_size}, x, dy)
    y = case.exact(row_of(case, FORWARD))
    assert_exact(y, Exact(x.mean, x.std**2 / n))
    assert y is not None
    if x.distribution == "normal":
        assert_exact(y, scipy_moments(lambda v: v, replace(x, std=x.std / math.sqrt(n)), ()))
        assert None not in (y.abs_mean, y.mad)
    size = size_of(dy) / n
    assert_exact(case.exact(row_of(case, BACKWARD)), Exact(0.0, 1.0 / n**2, size, size))


@pytest.mark.parametrize("x", INPUTS[1::3], ids=Input.label)
@WITH_UPSTREAM
@pytest.mark.parametrize("kernel_size", [1, 2, [2, 3], 3])
def test_max_pooling(x: Input, dy: Upstream, kernel_size: Any) -> None:
    n = kernel_size**2 if isinstance(kernel_size, int) else math.prod(kernel_size)
    case = Case(find("max_pool2d"), {"kernel_size": kernel_size}, x, dy)
    assert case.exact(row_of(case, FORWARD)) == maximum(n, x)
    size = size_of(dy) / n
    assert_exact(case.exact(row_of(case, BACKWARD)), Exact(0.0, 1.0 / n, size, size))


@WITH_INPUT
@pytest.mark.parametrize("normalize", ["fan_in", "fan_out", "none"])
@pytest.mark.parametrize(("n_in", "n_out"), [(1, 1), (2, 1), (1, 2), (2, 3), (8, 4)])
def test_linear(x: Input, normalize: str, n_in: int, n_out: int) -> None:
    """Weights and inputs are independent and the weights' signs are symmetric: Σ E[w²]·E[input²], no cross terms."""
    given = {"in_features": n_in, "out_features": n_out, "normalize": normalize}
    case = Case(find("linear"), given, x)
    square = {"fan_in": square_on_sphere(n_in), "fan_out": square_on_sphere(n_out), "none": 1.0}[normalize]
    expected = Exact(0.0, n_in * square * (x.mean**2 + x.std**2))
    assert_exact(case.exact(row_of(case, FORWARD)), expected)
    assert_exact(case.exact(row_of(case, BACKWARD)), Exact(0.0, n_out * square))


def square_on_sphere(n: int) -> float:
    """E[w²] of one coordinate on the unit sphere in n dimensions, by integrating over its angle."""
    if n == 1:
        return 1.0
    weight = integrate.quad(lambda t: math.sin(t) ** (n - 2), 0.0, math.pi, epsabs=0, epsrel=1e-13)[0]
    square = integrate.quad(lambda t: math.cos(t) ** 2 * math.sin(t) ** (n - 2), 0.0, math.pi, epsabs=0, epsrel=1e-13)[
        0
    ]
    return float(square / weight)


@pytest.mark.parametrize("normalize", ["fan_in", "fan_out"])
def test_linear_against_numpy(normalize: str) -> None:
    """A brute-force sample of 10⁵ independent draws; false alarm 10⁻⁶ over the eight comparisons here."""
    x, n_in, n_out, draws = Input("normal", 0.7, 0.5), 3, 2, 100_000
    case = Case(find("linear"), {"in_features": n_in, "out_features": n_out, "normalize": normalize}, x)
    rng = np.random.default_rng(20160328)
    w = rng.standard_normal((draws, n_out, n_in))
    w /= np.linalg.norm(w, axis=2 if normalize == "fan_in" else 1, keepdims=True)
    values = {
        FORWARD: np.einsum("doi,di->do", w, x.mean + x.std * rng.standard_normal((draws, n_in))),
        BACKWARD: np.einsum("doi,do->di", w, rng.standard_normal((draws, n_out))),
    }
    bound = stats.norm.isf(1e-6 / 2 / 8)
    for direction, v in values.items():
        exact = case.exact(row_of(case, direction))
        assert exact is not None
        for of_draw, wanted in ((v.mean(axis=1), exact.mean), ((v**2).mean(axis=1), exact.var + exact.mean**2)):
            z = (of_draw.mean() - wanted) / (of_draw.std(ddof=1) / math.sqrt(draws))
            assert abs(z) < bound, (direction, z)
