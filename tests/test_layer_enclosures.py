"""Exact values of layers of several inputs, of windows and of rrelu: proven bounds against mpmath's digits.

The referee and the sampler are compared for correlated inputs; the false-alarm rate is that of `disagreements`, 10⁻⁶.
"""

import json
import math
from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import mpmath
import numpy as np
import pytest

from gradstat.assumptions import Input, Upstream
from gradstat.estimation.run import run
from gradstat.estimation.significance import disagreements
from gradstat.layer_types.case import Case
from gradstat.layer_types.exact.enclosure import Enclosure, to_digits
from gradstat.layer_types.exact.order_statistics import maximum
from gradstat.layer_types.normalization import VECTORS
from gradstat.layer_types.record import ALL, BACKWARD, FORWARD, Exact
from gradstat.layer_types.registry import find
from gradstat.layer_types.statistics import enclosure_of
from tests.integrals import row_of
from tests.layer_cases import SMALL_CASES, numbers, run_compiled
from tests.layer_reference import questions, reference
from tests.test_enclosures import holds

ROWS = json.loads((Path(__file__).parent / "data" / "layer_enclosures.json").read_text(encoding="utf-8"))["rows"]
NAMES = {"mean": FORWARD, "second_moment": FORWARD, "abs_mean": FORWARD, "backward": BACKWARD}
SMALL = mpmath.mpf(10) ** -30  # the relative error of the reference


def exact_of(case: Case, direction: str) -> Exact:
    exact = case.moments(row_of(case, direction))
    assert exact is not None
    return exact


def value(case: Case, statistic: str, direction: str) -> Enclosure:
    found = enclosure_of(statistic, exact_of(case, direction))
    assert found is not None
    return found


def pairs(rows: list[Any]) -> Iterator[tuple[Any, str, Enclosure, mpmath.mpf]]:
    """Each bound of the package with the digits of the reference."""
    for row in rows:
        layer, params, distribution, mean, std, correlation, known = row
        case = Case(find(layer), params, Input(distribution, mean, std, correlation))
        for name, digits in known.items():
            statistic = "second_moment" if name == "backward" else name
            if enclosure_of(statistic, exact_of(case, NAMES[name])) is not None:
                yield row[:6], name, value(case, statistic, NAMES[name]), mpmath.mpf(digits)


def test_the_stored_rows_are_those_of_the_reference() -> None:
    assert [tuple(row[:6]) for row in ROWS] == list(questions())
    for layer, params, distribution, mean, std, correlation, stored in (ROWS[0], ROWS[33], ROWS[70]):
        with mpmath.workdps(60):
            x = (distribution, *(mpmath.mpf(repr(number)) for number in (mean, std, correlation)))
            known = reference(layer, params, x)
            assert {name: mpmath.nstr(number, 40) for name, number in known.items()} == stored


@pytest.mark.parametrize("part", range(4))
def test_random_layers_hold_mpmaths_digits(part: int) -> None:
    compared = 0
    with mpmath.workdps(60):
        for row, name, found, right in pairs(ROWS[40 * part : 40 * part + 40]):
            slack = abs(right) * SMALL + mpmath.mpf(10) ** -55
            assert holds(found, right - slack, right + slack), (row, name)
            assert found.contains_zero or found.certain_digits(17) >= 16, (row, name)
            assert not found.numeric
            compared += 1
    assert compared >= 120


def test_a_planted_wrong_enclosure_is_caught() -> None:
    """Bounds a million times too narrow about a point inside the right ones, and bounds that are shifted by 10⁻²⁰."""
    narrow = shifted = possible = 0
    with mpmath.workdps(60):
        for _, _, found, right in pairs(ROWS[:60]):
            slack, (low, _) = abs(right) * SMALL + mpmath.mpf(10) ** -55, found.bounds
            off = found.middle * (1 + Fraction(1, 10**20))
            shifted += not holds(Enclosure(off - found.radius, off + found.radius), right - slack, right + slack)
            if mpmath.mpf(found.radius.numerator) / found.radius.denominator > 10**8 * slack:
                possible += 1
                off = low + found.radius / 4
                thin = found.radius / 10**6
                narrow += not holds(Enclosure(off - thin, off + thin), right - slack, right + slack)
    assert shifted >= 180
    assert narrow == possible


@pytest.mark.parametrize(
    ("n", "right"),
    [
        (2, lambda: 1 / mpmath.sqrt(mpmath.pi)),
        (3, lambda: 3 / (2 * mpmath.sqrt(mpmath.pi))),
        (4, lambda: 6 * mpmath.atan(mpmath.sqrt(2)) / mpmath.sqrt(mpmath.pi) ** 3),
        (5, lambda: 5 / (4 * mpmath.sqrt(mpmath.pi)) * (1 + 6 / mpmath.pi * mpmath.asin(mpmath.mpf(1) / 3))),
    ],
)
def test_means_of_normal_maxima_have_a_hundred_digits(n: int, right: Any) -> None:
    """David & Nagaraja, Order Statistics, section 3.2, print closed forms for n ≤ 5."""
    with mpmath.workdps(130), to_digits(100):
        exact = maximum(n, Input())
        assert exact is not None
        assert all(found.certain_digits(100) == 100 for found in exact.enclosures.values())
        assert holds(exact.enclosures["mean"], right() - mpmath.mpf(10) ** -125, right() + mpmath.mpf(10) ** -125)


def test_the_largest_of_nine_normals_and_relu_like_windows() -> None:
    y = exact_of(Case(find("max_pool2d"), {"kernel_size": 3}), FORWARD)
    assert y.enclosures["mean"].text(11) == "1.4850131622"
    assert math.sqrt(y.var) == pytest.approx(0.5977904, abs=5e-8)


@pytest.mark.parametrize("rho", [-0.9, -0.3, 0.5, 0.99])
def test_two_correlated_normal_inputs(rho: float) -> None:
    """E[max] = √((1 − ρ)/π) and Var[max] = 1 − (1 − ρ)/π: in maxout and in a window of two."""
    for name, given in (("maxout", {}), ("max_pool1d", {"kernel_size": 2}), ("max_pool2d", {"kernel_size": [1, 2]})):
        case = Case(find(name), given, Input(correlation=rho))
        y = exact_of(case, FORWARD)
        assert y.mean == pytest.approx(math.sqrt((1.0 - rho) / math.pi), rel=1e-15)
        assert y.var == pytest.approx(1.0 - (1.0 - rho) / math.pi, rel=1e-15)
        assert None not in (y.abs_mean, y.mad)
        assert exact_of(case, BACKWARD).var == 0.5


def test_sums_of_correlated_inputs() -> None:
    assert value(Case(find("add"), {}, Input(correlation=0.5)), "var", FORWARD).bounds == (Fraction(3), Fraction(3))
    assert value(Case(find("add"), {"k": 3}, Input(correlation=0.5)), "var", FORWARD).bounds == (
        Fraction(6),
        Fraction(6),
    )
    assert value(Case(find("average"), {"k": 4}, Input(correlation=-0.25)), "var", FORWARD).middle == Fraction(1, 16)


CORRELATED = [
    Case(find("add"), {"k": 3}, Input("normal", 1.0, 2.0, -0.4)),
    Case(find("average"), {"k": 4}, Input("normal", 1.0, 2.0, 0.7)),
    Case(find("residual"), {"tau": 0.5}, Input(correlation=-0.8)),
    Case(find("maxout"), {"k": 2}, Input("normal", 1.0, 2.0, 0.5)),
    Case(find("maxout"), {"k": 5}, Input("normal", 1.0, 2.0, -0.2)),
    Case(find("maxout"), {"k": 5}, Input("laplace", correlation=0.5)),
    Case(find("multiply"), {"k": 2}, Input("normal", 1.0, 0.5, 0.5)),
    Case(find("multiply"), {"k": 3}, Input("normal", 1.0, 0.5, -0.3)),
    *(Case(find(name), {}, Input("normal", 0.5, 1.5, 0.6)) for name in ("glu", "geglu", "swiglu", "reglu")),
    Case(find("glu"), {}, Input("laplace", correlation=0.6)),
    Case(find("max_pool1d"), {"kernel_size": 2, "stride": 1}, Input("normal", 0.5, 2.0, 0.6)),
    Case(find("max_pool1d"), {"kernel_size": 2, "dilation": 2}, Input(correlation=-0.7)),
    Case(find("dropout2d"), {}, Input("normal", 1.0, 1.0, 0.6)),
    Case(find("lp_pool1d"), {"norm_type": 4, "stride": 1}),
    Case(find("lp_pool1d"), {"norm_type": 2000}),
    Case(find("rrelu"), {"lower": -0.5, "upper": 1.5}, Input("logistic", 0.7, 2.0)),
]
NO_VALUE = {("maxout", "laplace"), ("glu", "laplace")}  # of y: x has the correlation of a Gaussian copula


def test_sampling_agrees_with_the_referee() -> None:
    lines = run(CORRELATED, 2**18, seed=20160328)
    assert disagreements(lines) == []
    for line in lines:
        if line.row.direction == FORWARD:
            name = (line.case.layer.name, line.case.x.distribution)
            assert (line.exact is None) == (name in NO_VALUE), name


def test_a_correlation_that_is_ignored_would_be_caught() -> None:
    """Negative control: the exact std of independent inputs is far from that of a sample of correlated ones."""
    for line in run([case for case in CORRELATED if case.layer.name in ("add", "average", "maxout")], 2**16, seed=1):
        if line.row.direction == FORWARD:
            case, e = line.case, line.estimates
            alone = Case(case.layer, case.given, replace(case.x, correlation=0.0)).exact(line.row)
            assert alone is not None
            assert abs(e.std - math.sqrt(alone.var)) > 10.0 * e.std_se, case.label


OWNERS = {layer.name for layer in VECTORS}


def test_every_exact_value_is_proven() -> None:
    """Every number of every row of every layer, but softmax and norms, has bounds of 16 digits or more."""
    for case in SMALL_CASES:
        x = Input("normal", 0.7, 1.5) if case.given else Input("laplace", -0.5, 0.5)
        own = Case(case.layer, case.given, x, Upstream("laplace", 0.5))
        if case.layer.name in OWNERS or case.layer.elementwise or case.layer.negative_input_error(case.params):
            continue
        for row in own.shape.rows:
            exact = own.exact(row)
            if exact is None:
                continue
            for name in ("mean", "var", "abs_mean", "mad", "kurtosis", "skewness"):
                if getattr(exact, name) is not None:
                    found = exact.enclosures[name]
                    digits = 10 if name in ("kurtosis", "skewness") else 16
                    assert not found.numeric
                    assert found.contains_zero or found.certain_digits(17) >= digits, (own.label, row, name)


def test_p_norms_of_a_large_p_are_numbers() -> None:
    """xᵖ leaves the range of floats: y is the largest |x| to 10⁻³, and dx is finite."""
    case = Case(find("lp_pool1d"), {"norm_type": 2000, "kernel_size": 3})
    x, dy, noise = numbers(case, 1024, 1)
    for scale in (1.0, 1e-30, 1e30):
        y, dx = run_compiled(case, scale * x, dy, noise)
        assert np.allclose(y, scale * np.abs(x).max(axis=0), rtol=1e-3)
        assert np.all(np.isfinite(dx))
    assert float(value(Case(find("lp_pool1d"), {"norm_type": 2000}), "std", FORWARD)) == pytest.approx(0.603, abs=5e-4)


def test_rrelu_of_huge_slopes_has_its_moments() -> None:
    """E|y| = E[x⁺] + E|a|·E[x⁻] with E|a| = 5·10¹⁹⁹, which a float holds; so does σ."""
    case = Case(find("rrelu"), {"lower": -1e200, "upper": 1e200})
    assert float(value(case, "std", FORWARD)) == pytest.approx(math.sqrt(1.0 / 6.0) * 1e200, rel=1e-15)
    assert float(value(case, "abs_mean", FORWARD)) == pytest.approx(0.5e200 / math.sqrt(2.0 * math.pi), rel=1e-15)


@pytest.mark.parametrize("x", [Input("normal", -20.0), Input("logistic", -20.0, 0.5)], ids=Input.label)
def test_rrelu_without_slope_is_relu_far_from_0(x: Input) -> None:
    """E[y] = 5.5e-90 of normal x: relative digits are not lost to what is on the other side of 0."""
    for direction in (FORWARD, BACKWARD):
        one = exact_of(Case(find("rrelu"), {"lower": 0.0, "upper": 0.0}, x), direction)
        two = exact_of(Case(find("relu"), {}, x), direction)
        for name in ("mean", "var", "abs_mean", "mad"):
            found, right = one.enclosures[name], two.enclosures[name]
            assert found.text(15) == right.text(15), name
            assert found.contains_zero or found.certain_digits(17) >= 16


def test_the_correlation_of_distant_inputs_is_a_power_of_the_decimal_number() -> None:
    """0.1³ is 1/1000, and not the float next to it; E[max]² = (1 − ρ³)/π."""
    with to_digits(40), mpmath.workdps(60):
        case = Case(find("max_pool1d"), {"kernel_size": 2, "dilation": 3}, Input(correlation=0.1))
        right = mpmath.sqrt(mpmath.mpf(999) / 1000 / mpmath.pi)
        assert holds(value(case, "mean", FORWARD), right * (1 - SMALL**1.5), right * (1 + SMALL**1.5))


def test_parameters_are_the_decimal_numbers_that_are_written() -> None:
    """rrelu's default upper slope is 1/3, and τ = 0.1 is 1/10."""
    with to_digits(40):
        slope = value(Case(find("rrelu"), {"training": False}), "second_moment", BACKWARD)
        assert slope.bounds[0] <= Fraction(1, 2) + Fraction(11, 48) ** 2 / 2 <= slope.bounds[1]
        sum_ = value(Case(find("residual"), {"tau": 0.1, "normalized": False}), "var", FORWARD)
        assert sum_.bounds == (Fraction(101, 100), Fraction(101, 100))


def test_all_cells_of_a_window_are_pooled() -> None:
    """The pooled row of a finite map: the mean over windows of two and of three inputs."""
    case = Case(find("max_pool1d"), {"kernel_size": 3, "size": 5, "padding": 1})
    rows = {row.cell: case.exact(row) for row in case.shape.rows if row.direction == FORWARD}
    whole, two, three = rows[ALL], maximum(2, Input()), maximum(3, Input())
    assert whole is not None
    assert two is not None
    assert three is not None
    assert whole.mean == pytest.approx((two.mean + three.mean) / 2.0, rel=1e-15)
