"""Exact values of layers over vectors: mpmath's digits lie within the bounds, and a planted wrong bound is noticed."""

import json
from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from flint import arb, ctx

from gradstat.assumptions import Input, Upstream
from gradstat.estimation.error_bars import INFINITE_FOURTH_MOMENT
from gradstat.estimation.run import run
from gradstat.estimation.significance import disagreements, score
from gradstat.layer_types.case import Case
from gradstat.layer_types.exact.enclosure import Enclosure, to_digits
from gradstat.layer_types.exact.norms import Squares
from gradstat.layer_types.exact.transforms import step_for
from gradstat.layer_types.record import BACKWARD, FORWARD, Exact
from gradstat.layer_types.registry import find
from tests.integrals import row_of
from tests.vector_reference import DIGITS

DATA = Path(__file__).parent / "data" / "vectors.json"
ROWS = json.loads(DATA.read_text(encoding="utf-8"))["rows"]


def exact_of(name: str, direction: str, x: Input, dy: Upstream = Upstream(), **params: Any) -> Exact:  # noqa: B008
    case = Case(find(name), params, x, dy)
    exact = case.moments(row_of(case, direction))
    assert exact is not None
    return exact


def references(row: list[Any]) -> Iterator[tuple[str, Enclosure, Fraction, Fraction]]:
    """Each statistic of a row of the file, its enclosure, and bounds of what the reference means.

    The reference loses four digits where a fourth central moment cancels.
    """
    name, params, x, correlation, direction, values = row
    exact = exact_of(name, direction, Input(**x), Upstream("normal", correlation), **params)
    for statistic, printed in values.items():
        value = Fraction(printed)
        slack = abs(value) / 10 ** (DIGITS - (6 if statistic == "kurtosis" else 2))
        yield statistic, exact.enclosures[statistic], value - slack, value + slack


def label(row: list[Any]) -> str:
    name, params, x, correlation, direction, _ = row
    return f"{name} {params} {x} c={correlation} {direction}"


@pytest.mark.parametrize("row", ROWS, ids=label)
def test_the_bounds_contain_the_reference(row: list[Any]) -> None:
    for statistic, found, low, high in references(row):
        below, above = found.bounds
        assert below <= high, statistic
        assert low <= above, statistic
        assert not found.numeric
        assert found.certain_digits(17) >= 16, statistic


def test_a_wrong_bound_is_noticed() -> None:
    """Bounds moved by 10⁻¹⁵ of the value contain hardly any reference."""
    missed = total = 0
    for row in ROWS[::3]:
        for _, found, low, high in references(row):
            below, above = (end * (1 + Fraction(1, 10**15)) for end in found.bounds)
            total += 1
            missed += not (below <= high and low <= above)
    assert missed > 0.9 * total


def test_the_error_of_the_trapezoidal_rule_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """A step that is four times too large: the value is off, and the bound covers it."""
    squares = Squares(5, Fraction(1, 27))
    with ctx.workprec(160):
        right = squares.inverse(0, Fraction(1), 64)
        for module in ("norms", "transforms"):
            monkeypatch.setattr(f"gradstat.layer_types.exact.{module}.step_for", lambda bits: 4 * step_for(bits))
        wrong = squares.inverse(0, Fraction(1), 64)
        assert abs(wrong.mid() - right.mid()) > 1000 * right.rad()
        assert wrong.contains(right.mid())
        assert wrong.rad() < arb("0.01")


@pytest.mark.parametrize(
    ("name", "params", "x"),
    [
        ("layer_norm", {"n": 768, "eps": 1e-5}, Input()),
        ("rms_norm", {"n": 8, "eps": 1e-6}, Input("normal", 0.5)),
        ("rms_norm", {"n": 8}, Input("laplace")),
        ("softmax", {"n": 5}, Input("logistic")),
        ("log_softmax", {"n": 50}, Input()),
    ],
)
def test_more_digits_confirm_the_first(name: str, params: dict[str, Any], x: Input) -> None:
    for direction in (FORWARD, BACKWARD):
        short = exact_of(name, direction, x, **params).enclosures["var"]
        with to_digits(30):
            long = exact_of(name, direction, x, **params).enclosures["var"]
        assert short.bounds[0] <= long.bounds[0] <= long.bounds[1] <= short.bounds[1]
        assert long.certain_digits(60) >= 29


def test_a_large_eps_keeps_all_digits() -> None:
    for name in ("layer_norm", "rms_norm"):
        y = exact_of(name, FORWARD, Input(), n=16, eps=1e300)
        assert y.enclosures["var"].text(15) == {"layer_norm": "9.375e-301", "rms_norm": "1e-300"}[name]
        assert y.enclosures["kurtosis"].text(12) == "3"


INFINITE = [("layer_norm", 4), ("layer_norm", 5), ("batch_norm", 4), ("rms_norm", 3), ("rms_norm", 4)]


@pytest.mark.parametrize(("name", "n"), INFINITE)
def test_the_fourth_moment_of_dx_is_infinite_for_few_numbers(name: str, n: int) -> None:
    for dy in (Upstream(), Upstream("laplace", 0.3)):
        dx = exact_of(name, BACKWARD, Input(), dy, n=n)
        assert dx.enclosures["kurtosis"] == Enclosure.infinite(1, "E[1/r⁴] diverges at r = 0")
        assert dx.enclosures["var"].is_finite
    finite = exact_of(name, BACKWARD, Input(), n=n, eps=1e-6).enclosures["kurtosis"]
    assert finite.is_finite
    assert finite.middle > 30
    assert exact_of(name, BACKWARD, Input(), n=6).enclosures["kurtosis"].is_finite


def test_an_infinite_fourth_moment_leaves_no_error_bar() -> None:
    (row,) = [r for r in run([Case(find("layer_norm"), {"n": 4})], 4096, seed=5) if r.row.direction == BACKWARD]
    assert row.no_error_bar == INFINITE_FOURTH_MOMENT
    assert score(row, "std").z is None


def test_kurtosis_by_sampling() -> None:
    """κ of y and dx of layer_norm with 8 numbers, from 400,000 draws by NumPy: within 5 % and 1 %."""
    rng = np.random.default_rng(11)
    x, dy = rng.standard_normal((2, 8, 400_000))
    x = x - x.mean(axis=0)
    r = np.sqrt((x * x).mean(axis=0) + 0.25)
    y = x / r
    dx = (dy - dy.mean(axis=0) - y * (y * dy).mean(axis=0)) / r
    for values, direction, error in ((y, FORWARD, 0.01), (dx, BACKWARD, 0.05)):
        kurtosis = (values**4).mean() / (values**2).mean() ** 2
        assert exact_of("layer_norm", direction, Input(), n=8, eps=0.25).kurtosis == pytest.approx(kurtosis, rel=error)


def test_rounding_is_what_is_left_of_equal_gradients() -> None:
    """dx = 0: what rounding leaves agrees with it or is not judged, and a spread that is no rounding disagrees."""
    for name in ("softmax", "layer_norm"):
        case = Case(find(name), {}, Input("normal", 100.0, 1e-3), Upstream("normal", 1.0))
        (row,) = [r for r in run([case], 4096, seed=5) if r.row.direction == BACKWARD]
        assert 0.0 < row.estimates.std < 1e-7
        assert {score(row, statistic).z for statistic in ("mean", "std")} <= {0.0, None}
        spread = replace(row, estimates=replace(row.estimates, std=1e-3, std_se=1e-5, std_df=1e6))
        assert disagreements([spread])


def test_equally_correlated_inputs_act_as_independent_ones_of_less_spread() -> None:
    """Normal x = √ρ·shared + √(1 − ρ)·own: softmax and layer_norm do not see what is shared; rms_norm does."""
    x, own = Input("normal", 0.3, 2.0, 0.75), Input("normal", 0.0, 1.0)
    cases: list[tuple[str, dict[str, Any]]] = [("softmax", {}), ("log_softmax", {}), ("layer_norm", {"eps": 0.1})]
    for name, given in (*cases, ("layer_norm", {})):
        for direction in (FORWARD, BACKWARD):
            correlated, alone = exact_of(name, direction, x, **given), exact_of(name, direction, own, **given)
            assert correlated == alone
    assert Case(find("rms_norm"), {}, x).moments(row_of(Case(find("rms_norm")), FORWARD)) is None


def test_many_features_are_answered_without_a_draw() -> None:
    y = exact_of("layer_norm", FORWARD, Input(), n=10**9, eps=1e-5)
    assert y.var == pytest.approx(1.0 - 1e-5 - 1e-9 + 1e-10 + 1e-9, rel=1e-8)
    assert exact_of("softmax", FORWARD, Input(), n=10**9).var == pytest.approx((np.e - 1.0) * 1e-18, rel=1e-6)


@pytest.mark.parametrize("name", ["softmax", "log_softmax", "layer_norm", "rms_norm"])
def test_sampling_agrees_where_inputs_are_correlated(name: str) -> None:
    """ρ = 0.6; the exact values of independent inputs disagree with the same sample."""
    rows = run([Case(find(name), {}, Input("normal", 0.0, 1.5, 0.6), Upstream())], 2**16, seed=8)
    assert disagreements(rows) == []
    independent = Case(find(name), {}, Input("normal", 0.0, 1.5))
    wrong = [replace(row, exact=independent.exact(row.row)) for row in rows]
    assert disagreements(wrong)
