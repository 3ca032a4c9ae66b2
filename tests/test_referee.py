"""The quadrature against mpmath, SciPy and printed constants."""

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import mpmath
import numpy as np
import pytest

from gradstat.assumptions import Input
from gradstat.distributions import DISTRIBUTIONS, Distribution
from gradstat.layer_types.case import Case
from gradstat.layer_types.elementwise import ACTIVATIONS
from gradstat.layer_types.exact import quadrature
from gradstat.layer_types.exact.distributions import cumulative, density
from gradstat.layer_types.record import BACKWARD, FORWARD, Exact, Row
from gradstat.layer_types.registry import LAYERS, find
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
from tests.layer_cases import SMALL_CASES, name_of

WITH_INPUT = pytest.mark.parametrize("x", INPUTS, ids=Input.label)
# Layer: E[y], σ[y], σ[dx] for standard normal x and dy (CLOSED_FORMS.md; the series of articles for the poolings).
PRINTED: dict[str, tuple[float | None, float | None, float | None]] = {
    "relu": (1 / math.sqrt(2 * math.pi), math.sqrt(0.5 - 0.5 / math.pi), math.sqrt(0.5)),
    "sigmoid": (0.5, 0.20827634493166, 0.21174569972067),
    "tanh": (0.0, 0.62792873, 0.68147113),
    "max_pool2d": (1.0293754, 0.7012241, 0.5),
    "avg_pool2d": (0.0, 0.5, 0.25),
    "dropout": (0.0, math.sqrt(2.0), math.sqrt(2.0)),
    "silu": (0.20662096, 0.55953847, 0.61602139),
    "softplus": (0.80605918, 0.52107053, 0.54164475),
    "gelu": (0.28209479, 0.58791497, 0.67516729),
    "selu": (0.0, 1.0, 1.03516906),
    "hardtanh": (0.0, 0.71837215, 0.82625026),
}


@WITH_INPUT
def test_density_and_cumulative(x: Input) -> None:
    v = x.mean + x.std * np.linspace(-12.0, 12.0, 1001)
    p = scipy_distribution(x)
    np.testing.assert_allclose(density(x, v), p.pdf(v), rtol=1e-12, atol=0)
    np.testing.assert_allclose(cumulative(x, v), p.cdf(v), rtol=1e-12, atol=1e-300)
    assert p.std() == pytest.approx(x.std, rel=1e-14)


@WITH_INPUT
def test_reach_leaves_nothing_out(x: Input) -> None:
    if not x.law.bounded:
        assert density(x, np.array([x.mean + x.law.reach * x.std]))[0] < 1e-290
    assert quadrature.expectation(np.ones_like, x) == pytest.approx(1.0, rel=1e-13)
    assert quadrature.expectation(lambda v: v, x) == pytest.approx(x.mean, rel=1e-13, abs=1e-14)
    assert quadrature.expectation(lambda v: (v - x.mean) ** 2, x) == pytest.approx(x.std**2, rel=1e-13)
    fourth = quadrature.expectation(lambda v: (v - x.mean) ** 4, x)
    assert fourth == pytest.approx(x.law.kurtosis * x.std**4, rel=1e-13)


@pytest.mark.parametrize("law", DISTRIBUTIONS.values(), ids=lambda law: law.name)
def test_record_of_a_distribution(law: Distribution) -> None:
    p = scipy_distribution(Input(law.name))
    assert p.stats("mvsk") == pytest.approx((0.0, 1.0, 0.0, law.kurtosis - 3.0), abs=1e-14)
    assert p.support() == pytest.approx((law.lowest, law.highest))
    assert p.sf(law.bulk) < 1e-22
    assert law.bounded or 1e-18 < p.sf(law.drawn) < 2.0**-53


@pytest.mark.parametrize("case", [c for c in SMALL_CASES if c.layer.elementwise and not c.given], ids=name_of)
@WITH_INPUT
def test_activations_against_scipy(case: Case, x: Input) -> None:
    case = replace(case, x=x)
    if (
        case.layer.name == "exp" and x.distribution in ("laplace", "logistic") and x.std >= 1.0
    ):  # E[e^2x] diverges from std 0.71, 0.91
        assert case.exact(row_of(case, FORWARD)) is None
        return
    constants, kinks = case.constants, case.layer.kinks(case.params)
    kernel = case.layer.kernel(case.params)
    y = scipy_moments(lambda v: kernel(v, *constants)[0] * np.ones_like(v), x, kinks)
    assert_exact(case.exact(row_of(case, FORWARD)), y)
    slope = scipy_moments(lambda v: kernel(v, *constants)[1] * np.ones_like(v), x, kinks)
    assert slope.abs_mean is not None
    for dy in UPSTREAMS:
        size = slope.abs_mean * size_of(dy)
        expected = Exact(0.0, slope.var + slope.mean**2, size, size)
        assert_exact(replace(case, dy=dy).exact(row_of(case, BACKWARD)), expected)


@pytest.mark.parametrize("case", [c for c in SMALL_CASES if c.layer.elementwise and c.given], ids=name_of)
def test_parameters_against_scipy(case: Case) -> None:
    case = replace(case, x=Input("normal", 0.3, 1.5))
    kernel, constants, kinks = case.layer.kernel(case.params), case.constants, case.layer.kinks(case.params)
    expected = scipy_moments(lambda v: kernel(v, *constants)[0] * np.ones_like(v), case.x, kinks)
    assert_exact(case.exact(row_of(case, FORWARD)), expected)
    slope = scipy_moments(lambda v: kernel(v, *constants)[1] * np.ones_like(v), case.x, kinks)
    assert_exact(case.exact(row_of(case, BACKWARD)), Exact(0.0, slope.var + slope.mean**2))


MP_FORMULAS: dict[str, tuple[Callable[[Any], Any], Callable[[Any], Any]]] = {
    "relu": (lambda v: max(v, mpmath.mpf(0)), lambda v: mpmath.mpf(v > 0)),
    "leaky_relu": (lambda v: v if v > 0 else v / 100, lambda v: mpmath.mpf(1) if v > 0 else mpmath.mpf(1) / 100),
    "sigmoid": (lambda v: 1 / (1 + mpmath.exp(-v)), lambda v: 1 / (4 * mpmath.cosh(v / 2) ** 2)),
    "tanh": (mpmath.tanh, lambda v: 1 / mpmath.cosh(v) ** 2),
}


@pytest.mark.parametrize("name", MP_FORMULAS)
def test_activations_against_mpmath(name: str) -> None:
    """Formulas, density and integration at 25 digits, none of them the package's."""
    mean, std = 0.7, 2.5
    case = Case(find(name), {}, Input("normal", mean, std))
    with mpmath.workdps(25):
        points = sorted(
            {mpmath.mpf(0), mpmath.mpf(mean), *(mean + std * mpmath.mpf(k) for k in (-14, -6, -3, 3, 6, 14))}
        )

        def expectation(g: Callable[[Any], Any]) -> Any:
            return mpmath.quad(lambda v: g(v) * mpmath.npdf(v, mean, std), points)

        y, slope = MP_FORMULAS[name]
        first, second, third = expectation(y), expectation(lambda v: y(v) ** 2), expectation(lambda v: slope(v) ** 2)
        expected = Exact(float(first), float(second - first**2), float(expectation(lambda v: abs(y(v)))))
    assert_exact(case.exact(row_of(case, FORWARD)), expected)
    assert_exact(case.exact(row_of(case, BACKWARD)), Exact(0.0, float(third)))


@pytest.mark.parametrize("name", sorted(set(PRINTED) & set(LAYERS)))
def test_printed_constants(name: str) -> None:
    """Each agrees with what is printed in the sources to their last digit, eight decimals or seven."""
    case = Case(find(name))
    y, dx = case.exact(row_of(case, FORWARD)), case.exact(row_of(case, BACKWARD))
    assert y is not None
    assert dx is not None
    for found, printed in zip((y.mean, math.sqrt(y.var), math.sqrt(dx.var)), PRINTED[name], strict=True):
        assert printed is None or found == pytest.approx(printed, abs=5.1e-8 if name == "max_pool2d" else 5.1e-9)


def test_gauss_hermite_across_a_kink_would_be_caught() -> None:
    """Negative control: the tempting rule misses E[relu] in the third digit."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(50)
    mean = float(weights @ np.maximum(nodes, 0.0)) / math.sqrt(2.0 * math.pi)
    exact = Case(find("relu")).exact(Row(FORWARD, "all", (0,)))
    assert exact is not None
    with pytest.raises(AssertionError):
        assert_exact(replace(exact, mean=mean), exact)


@pytest.mark.parametrize("x", [replace(x, mean=m, std=1000.0) for x in INPUTS[::3] for m in (0.0, 333.3, -700.0)])
def test_narrow_features(x: Input) -> None:
    """tanh is a step and its slope a spike of width 1 where x is a thousand wide."""
    case = Case(find("tanh"), {}, x)
    y, dx = case.exact(row_of(case, FORWARD)), case.exact(row_of(case, BACKWARD))
    expected = scipy_moments(np.tanh, x, ())
    assert_exact(y, expected)
    assert dx is not None
    assert dx.var == pytest.approx(scipy_integral(lambda v: np.cosh(np.clip(v, -300, 300)) ** -4, x, []), rel=1e-11)


@pytest.mark.parametrize("mean", [0.0, 123456.0, -777777.0])
@pytest.mark.parametrize("distribution", DISTRIBUTIONS)
@pytest.mark.parametrize("name", ["tanh", "sigmoid"])
def test_a_spike_in_a_haystack(name: str, distribution: str, mean: float) -> None:
    """At std 10⁶ the density is flat over the spike of the slope: E[f′²] = p(0)·∫f′² = p(0)·4/3 for tanh, p(0)/6."""
    case = Case(find(name), {}, Input(distribution, mean, 1e6))
    dx = case.exact(row_of(case, BACKWARD))
    assert dx is not None
    flat = float(density(case.x, np.zeros(1))[0]) * {"tanh": 4.0 / 3.0, "sigmoid": 1.0 / 6.0}[name]
    assert dx.var == pytest.approx(flat, rel=1e-5)


@pytest.mark.parametrize("mean", [-4.0, -12.0, -25.0, -35.0])
def test_a_kink_far_in_the_tail(mean: float) -> None:
    """E[relu] = φ(m) + m·Φ(m), which is φ(m)·(1 + m·Mills ratio): relative accuracy down to 10⁻²⁷⁰."""
    case = Case(find("relu"), {}, Input("normal", mean))
    y, dx = case.exact(row_of(case, FORWARD)), case.exact(row_of(case, BACKWARD))
    with mpmath.workdps(700):
        phi, tail = mpmath.npdf(mean), mpmath.ncdf(mean)
        first, second = phi + mean * tail, (mean * mean + 1) * tail + mean * phi
        wanted = float(first), float(second - first**2), float(tail)
    assert y is not None
    assert dx is not None
    assert y.mean == pytest.approx(wanted[0], rel=1e-11, abs=0)
    assert y.var == pytest.approx(wanted[1], rel=1e-11, abs=0)
    assert dx.var == pytest.approx(wanted[2], rel=1e-11, abs=0)


@pytest.mark.parametrize("mean", [-60.0, 60.0])
def test_a_kink_out_of_reach(mean: float) -> None:
    case = Case(find("relu"), {}, Input("normal", mean))
    expected = Exact(0.0, 0.0, 0.0, 0.0) if mean < 0 else Exact(mean, 1.0, mean, math.sqrt(2 / math.pi))
    assert_exact(case.exact(row_of(case, FORWARD)), expected, 1e-13)


@pytest.mark.parametrize(
    ("g", "x", "kinks"),
    [
        (lambda v: 1.0 / v, Input(), (0.0,)),
        (lambda v: 1.0 / (v - 0.3), Input(), ()),
        (lambda v: np.sqrt(np.abs(v)) ** -3.0, Input("uniform"), (0.0,)),
        (np.exp, Input("laplace", 0.0, 1.0), ()),
        (np.exp, Input("laplace", 0.0, 0.71), ()),
        (np.exp, Input("laplace", 0.0, 0.715), ()),
        (np.exp, Input("logistic", 0.0, 1.0), ()),
        (np.exp, Input("logistic", 0.0, 0.908), ()),
        (lambda v: np.exp(v * v), Input(), ()),
        (lambda v: np.exp(0.26 * v * v), Input(), ()),
        (lambda v: np.where(v > 0.0, np.nan, v), Input(), ()),
    ],
)
def test_what_does_not_converge_has_no_value(g: Any, x: Input, kinks: tuple[float, ...]) -> None:
    """Among them variances of e^x that are infinite although every number on the way is finite: never a guess."""
    assert quadrature.moments(g, x, kinks) is None


@pytest.mark.parametrize(
    ("distribution", "rate"), [("laplace", math.sqrt(2.0)), ("logistic", math.pi / math.sqrt(3.0))]
)
def test_heavy_tails_that_do_converge(distribution: str, rate: float) -> None:
    """E[e^(ax)]: 1/(1 − (a/r)²) for the Laplace, (πa/r)/sin(πa/r) for the logistic distribution."""
    for part in (0.1, 0.5, 0.9):
        a = part * rate
        wanted = 1 / (1 - part**2) if distribution == "laplace" else math.pi * part / math.sin(math.pi * part)
        assert quadrature.expectation(lambda v: np.exp(a * v), Input(distribution)) == pytest.approx(wanted, rel=1e-12)  # noqa: B023


@pytest.mark.parametrize("std", [1e-300, 1e-200, 1e200, 1e308])
def test_absurd_scales_end_in_a_value_or_in_none(std: float) -> None:
    for case in SMALL_CASES:
        for row in case.shape.rows:
            exact = replace(case, x=Input("normal", 0.0, std)).exact(row)
            assert exact is None or (math.isfinite(exact.mean) and math.isfinite(exact.var))


def test_every_activation_has_quadrature() -> None:
    for name in ACTIVATIONS:
        case = Case(find(name))
        y, dx = (case.exact(row_of(case, direction)) for direction in (FORWARD, BACKWARD))
        assert y is not None
        assert dx is not None
        assert None not in (y.abs_mean, y.mad, dx.abs_mean, dx.mad)
