"""Sines and cosines of wide x: exact values by characteristic functions, and angles that kernels cannot reduce."""

from collections.abc import Callable
from typing import Any

import mpmath
import pytest
from mpmath import mpf

import gradstat
from gradstat.assumptions import Input
from gradstat.errors import UsageError
from gradstat.estimation.angles import check_angles
from gradstat.layer_types.case import Case
from gradstat.layer_types.exact.enclosure import Enclosure
from gradstat.layer_types.expression.layer import expression_layer
from gradstat.layer_types.record import BACKWARD, FORWARD
from gradstat.layer_types.registry import find
from gradstat.layer_types.statistics import enclosure_of
from tests.integrals import row_of

ROOT = mpmath.sqrt
# E[e^(itz)] of a z with mean 0 and variance 1
CHARACTERISTIC: dict[str, Callable[[Any], Any]] = {
    "normal": lambda t: mpmath.exp(-t * t / 2),
    "laplace": lambda t: 1 / (1 + t * t / 2),
    "uniform": lambda t: mpmath.sin(ROOT(3) * t) / (ROOT(3) * t),
    "logistic": lambda t: ROOT(3) * t / mpmath.sinh(ROOT(3) * t),
}


def mean_of_wave(law: str, mean: Any, std: Any, t: Any, power: int = 0) -> Any:
    """E[xᵏ·e^(itx)] for k = 0 or 1, x = mean + std·z."""
    turn = mpmath.expj(t * mean)
    plain = CHARACTERISTIC[law](t * std)
    if power == 0:
        return turn * plain
    return turn * (mean * plain - 1j * std * mpmath.diff(CHARACTERISTIC[law], t * std))


def exact_value(layer: str, statistic: str, direction: str, x: Input, **params: float) -> Enclosure:
    case = Case(find(layer), params, x)
    exact = case.moments(row_of(case, direction))
    assert exact is not None
    found = enclosure_of(statistic, exact)
    assert found is not None
    return found


def holds(found: Enclosure, right: Any) -> bool:
    low, high = (mpf(end.numerator) / end.denominator for end in found.bounds)
    return bool(low <= right + mpf(10) ** -45 and right - mpf(10) ** -45 <= high)


@pytest.mark.parametrize("law", CHARACTERISTIC)
@pytest.mark.parametrize(("mean", "std"), [(0.0, 60.0), (0.7, 1e3), (-12.25, 3.7e4), (1.5, 1e18)])
def test_sine_and_cosine_of_wide_x(law: str, mean: float, std: float) -> None:
    x = Input(law, mean, std)
    with mpmath.workdps(90):
        m, s = mpf(repr(mean)), mpf(repr(std))
        first, second = mean_of_wave(law, m, s, 1), mean_of_wave(law, m, s, 2)
        assert holds(exact_value("cos", "mean", FORWARD, x), first.real)
        assert holds(exact_value("sin", "mean", FORWARD, x), first.imag)
        assert holds(exact_value("cos", "second_moment", FORWARD, x), (1 + second.real) / 2)
        assert holds(exact_value("cos", "second_moment", BACKWARD, x), (1 - second.real) / 2)
        assert exact_value("cos", "std", FORWARD, x).certain_digits(17) >= 16
        wrong = (1 + second.real) / 2 * (1 + mpf(10) ** -15)
        assert not holds(exact_value("cos", "second_moment", FORWARD, x), wrong)


@pytest.mark.parametrize("law", CHARACTERISTIC)
@pytest.mark.parametrize(("mean", "std", "alpha"), [(2.0, 1e3, 1.0), (-3.0, 40.0, 5.0)])
def test_snake_of_wide_x(law: str, mean: float, std: float, alpha: float) -> None:
    """y = x + (1 − cos 2αx)/2α, dy/dx = 1 + sin 2αx."""
    x = Input(law, mean, std)
    with mpmath.workdps(90):
        m, s, a = mpf(repr(mean)), mpf(repr(std)), mpf(repr(alpha))
        one, two = (mean_of_wave(law, m, s, 2 * a * k) for k in (1, 2))
        linear = mean_of_wave(law, m, s, 2 * a, power=1)
        first = m + (1 - one.real) / (2 * a)
        square = m * m + s * s + (m - linear.real) / a + (mpf(3) / 2 - 2 * one.real + two.real / 2) / (4 * a * a)
        slope = 1 + 2 * one.imag + (1 - two.real) / 2
        assert holds(exact_value("snake", "mean", FORWARD, x, alpha=alpha), first)
        assert holds(exact_value("snake", "second_moment", FORWARD, x, alpha=alpha), square)
        assert holds(exact_value("snake", "second_moment", BACKWARD, x, alpha=alpha), slope)


@pytest.mark.parametrize(
    ("layer", "x"),
    [
        ("cos", Input(std=1e18)),
        ("sin", Input("laplace", 0.0, 4e3)),
        ("snake", Input(mean=-2e5)),
        ("sin(1e6 * x)", Input()),
        ("cos(x * x) + x", Input("uniform", 0.0, 1e4)),
    ],
)
def test_angles_that_kernels_cannot_reduce_are_not_sampled(layer: str, x: Input) -> None:
    case = Case(expression_layer(layer) if "(" in layer else find(layer), {}, x)
    with pytest.raises(UsageError, match="sin and cos take angles within 100000"):
        check_angles(case)


def test_angles_that_kernels_can_reduce_are_sampled() -> None:
    for layer, x in (("cos", Input(std=1e4)), ("snake", Input()), ("erf", Input(std=1e18)), ("glu", Input(std=1e18))):
        check_angles(Case(find(layer), {}, x))


def test_a_statistic_without_exact_value_is_refused_and_not_made_up() -> None:
    assert float(gradstat.gain("cos", input={"std": 1e18}).forward.std) == pytest.approx(0.5**0.5, rel=1e-15)
    with pytest.raises(UsageError, match="cos: cannot be sampled"):
        gradstat.gain("cos", input={"std": 1e18}, statistics=["abs_mean"])
    with pytest.raises(UsageError, match="cos: cannot be sampled"):
        gradstat.run([{"name": "cos", "input": {"std": 1e18}}], samples=1000)
