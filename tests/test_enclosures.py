"""Exact values as enclosures: every fault that was found, mpmath's digits, and a planted wrong bound."""

import json
import math
import random
import subprocess
import sys
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import mpmath
import pytest

from gradstat.assumptions import Input, Upstream
from gradstat.layer_types.case import Case
from gradstat.layer_types.elementwise import ACTIVATIONS
from gradstat.layer_types.exact.enclosure import Enclosure, enclosure, to_digits
from gradstat.layer_types.expression.layer import expression_layer
from gradstat.layer_types.record import BACKWARD, FORWARD, Exact
from gradstat.layer_types.registry import find
from gradstat.layer_types.statistics import enclosure_of, exact_bound, exact_value
from gradstat.verification.files import load
from gradstat.verification.verify import verify
from tests.enclosure_reference import questions, reference
from tests.integrals import row_of

DATA = Path(__file__).parent / "data" / "enclosures.json"
ROWS = json.loads(DATA.read_text(encoding="utf-8"))["rows"]


def exact_of(layer: str, direction: str, x: Input = Input(), **params: float) -> Exact | None:  # noqa: B008
    """The referee's row of a layer, or of an expression where the name is none."""
    case = Case(find(layer), params, x) if layer in ACTIVATIONS else Case(expression_layer(layer), {}, x)
    return case.moments(row_of(case, direction))


def value(layer: str, statistic: str, direction: str, x: Input = Input(), **params: float) -> Enclosure:  # noqa: B008
    exact = exact_of(layer, direction, x, **params)
    assert exact is not None
    found = enclosure_of(statistic, exact)
    assert found is not None
    return found


def holds(found: Enclosure, low: mpmath.mpf, high: mpmath.mpf | None = None) -> bool:
    """Whether the bounds leave room for a reference value between these two."""
    ends = [mpmath.mpf(end.numerator) / end.denominator for end in found.bounds]
    return bool(ends[0] <= (low if high is None else high) and low <= ends[1])


# What was printed as certain and was not; right values from mpmath at 30 digits.
FAULTS = [
    ("tanh(3000*(x + 1.719))", {}, Input(), "std", BACKWARD, "19.0833"),
    ("sigmoid(10000*(x - 0.6006))", {}, Input(), "std", BACKWARD, "23.5621"),
    ("exp(-(3000*(x + 1.719))**2)", {}, Input(), "mean", FORWARD, "5.379e-5"),
    ("silu", {"beta": 3e5}, Input(), "std", BACKWARD, "0.7071069833"),
    ("relu", {}, Input(mean=1e9), "std", FORWARD, "1"),
    ("identity", {}, Input(mean=1e16), "std", FORWARD, "1"),
    ("identity", {}, Input(mean=1e16), "std", BACKWARD, "1"),
    ("identity", {}, Input("uniform", 1e8), "std", FORWARD, "1"),
    ("cos", {}, Input(std=1e-6), "std", FORWARD, "7.071067812e-13"),
    ("tanh", {}, Input(mean=30.0), "std", FORWARD, "9.47e-25"),
    ("softplus", {"beta": 1e-12}, Input(), "std", FORWARD, "0.5"),
    ("exp", {}, Input("laplace", 0.0, 0.7), "rms", FORWARD, "7.0710678"),
    ("exp", {}, Input(std=10.0), "std", FORWARD, "2.688e43"),
    ("exp(0.24*x*x)", {}, Input(), "rms", FORWARD, "2.2360680"),
    ("sqrt(abs(x) + 1e-5)", {}, Input(), "std", BACKWARD, "1.519230517"),
    ("gelu", {}, Input(mean=-10.0), "std", BACKWARD, "5.45e-8"),
    ("gelu", {}, Input(mean=-10.0), "rms", FORWARD, "1.616594912e-8"),
    ("hardsigmoid", {}, Input(mean=20.0), "mean", FORWARD, "1"),
    ("cos", {}, Input(std=1e18), "std", FORWARD, "0.7071067812"),
    ("exp", {}, Input(std=10.0), "mean", FORWARD, "5.184705529e21"),
    ("elu", {"alpha": 1e160}, Input(), "mean", FORWARD, "-2.384217081e159"),
    ("elu", {"alpha": 1e160}, Input(), "std", BACKWARD, "4.100024405e159"),
    ("exp", {}, Input(mean=400.0), "std", FORWARD, "1.12846268e174"),
    ("identity", {}, Input("uniform", 1e9), "mean", FORWARD, "1e9"),
    ("tanh", {}, Input(mean=25.0), "mean", FORWARD, "1"),
    ("sigmoid", {}, Input(mean=33.0), "mean", FORWARD, "1"),
]


@pytest.mark.parametrize(("layer", "params", "x", "statistic", "direction", "right"), FAULTS)
def test_faults_have_their_right_value(
    layer: str, params: dict[str, float], x: Input, statistic: str, direction: str, right: str
) -> None:
    found = value(layer, statistic, direction, x, **params)
    assert found.certain_digits(12) == 12
    digits = len(right.partition("e")[0].replace(".", "").lstrip("0"))
    assert float(found) == pytest.approx(float(right), rel=0.51 * 10.0 ** (1 - digits) + 1e-9)


@pytest.mark.parametrize(
    ("layer", "x", "statistic", "direction", "sign", "reason"),
    [
        ("exp", Input("laplace"), "std", FORWARD, 1, "diverges at +∞"),
        ("exp", Input("logistic"), "std", FORWARD, 1, "diverges at +∞"),
        ("exp(-x)", Input("laplace"), "std", FORWARD, 1, "diverges at −∞"),
        ("exp(0.25*x*x)", Input(), "rms", FORWARD, 1, "diverges at +∞ and at −∞"),
        ("sqrt(abs(x))", Input(), "std", BACKWARD, 1, "diverges at 0"),
        ("sign(x)*sqrt(abs(x))", Input(), "std", BACKWARD, 1, "diverges at 0"),
        ("log(abs(x))", Input(), "std", BACKWARD, 1, "diverges at 0"),
        ("sqrt(relu(x))", Input(), "std", BACKWARD, 1, "diverges at 0"),
        ("1/x", Input(), "mean", FORWARD, 0, "diverges at 0"),
        ("1/(x - 1/3)", Input(), "mean", FORWARD, 0, "diverges at 0.333333"),
        ("abs(x)**-0.5", Input(), "rms", FORWARD, 1, "diverges at 0"),
    ],
)
def test_moments_that_do_not_exist_say_why(
    layer: str, x: Input, statistic: str, direction: str, sign: int, reason: str
) -> None:
    found = value(layer, statistic, direction, x)
    assert (found.is_finite, found.sign, found.reason) == (False, sign, reason)
    assert math.isnan(float(found)) if sign == 0 else float(found) == math.inf


@pytest.mark.parametrize(
    ("layer", "statistic", "direction", "right"),
    [
        ("log(abs(x))", "var", FORWARD, lambda: mpmath.pi**2 / 8),
        ("log(abs(x))", "mean", FORWARD, lambda: -(mpmath.euler + mpmath.log(2)) / 2),
        ("sqrt(abs(x))", "second_moment", FORWARD, lambda: mpmath.sqrt(2 / mpmath.pi)),
        (
            "abs(x)**-0.49",
            "second_moment",
            FORWARD,
            lambda: 2 ** mpmath.mpf("-0.49") * mpmath.gamma(mpmath.mpf("0.01")) / mpmath.sqrt(mpmath.pi),
        ),
        ("exp", "mean", FORWARD, lambda: mpmath.sqrt(mpmath.e)),
        ("gelu", "mean", FORWARD, lambda: 1 / (2 * mpmath.sqrt(mpmath.pi))),
        ("gelu", "second_moment", FORWARD, lambda: mpmath.mpf(1) / 3 + 1 / (2 * mpmath.pi * mpmath.sqrt(3))),
        ("gelu", "second_moment", BACKWARD, lambda: mpmath.mpf(1) / 3 + 2 / (3 * mpmath.sqrt(3) * mpmath.pi)),
        ("erf", "var", FORWARD, lambda: 2 / mpmath.pi * mpmath.asin(mpmath.mpf(2) / 3)),
        ("relu_squared", "var", FORWARD, lambda: mpmath.mpf(5) / 4),
        ("abs(x - 1/3)", "var", FORWARD, None),
    ],
)
def test_closed_forms_lie_within(layer: str, statistic: str, direction: str, right: object) -> None:
    """Fifty digits of them: constants of formulas and parameters are exact numbers, not floats."""
    with mpmath.workdps(70), to_digits(50):
        found = value(layer, statistic, direction)
        assert found.certain_digits(50) == 50
        if callable(right):
            assert holds(found, right())
        else:  # E|x − c| = 2φ(c) + c(2Φ(c) − 1), E(x − c)² = 1 + c²
            c = mpmath.mpf(1) / 3
            mean = 2 * mpmath.npdf(c) + c * (2 * mpmath.ncdf(c) - 1)
            assert holds(found, 1 + c * c - mean**2)


@pytest.mark.parametrize("layer", sorted(ACTIVATIONS))
def test_every_activation_is_proven_to_seventeen_digits(layer: str) -> None:
    for direction in (FORWARD, BACKWARD):
        exact = exact_of(layer, direction, Input("normal", 0.3, 1.5))
        assert exact is not None
        for name in ("mean", "std", "rms", "abs_mean", "mad"):
            found = enclosure_of(name, exact)
            assert found is not None
            assert not found.numeric
            assert found.contains_zero or found.certain_digits(17) >= 16  # sixteen where the seventeenth is a tie
            assert exact_value(name, exact) == float(found)


@pytest.mark.parametrize("part", range(30))
def test_random_questions_hold_mpmaths_digits(part: int) -> None:
    """Ten of the 300 stored layers and assumptions: each has exact values, and they hold mpmath's digits."""
    rows = slice(10 * part, 10 * part + 10)
    for (name, distribution, mean, std), row in zip(list(questions(len(ROWS)))[rows], ROWS[rows], strict=True):
        assert row[:4] == [name, distribution, mean, std]
        x = Input(distribution, mean, std)
        y, dx = exact_of(name, FORWARD, x), exact_of(name, BACKWARD, x)
        assert y is not None, row
        assert dx is not None, row
        with mpmath.workdps(60):
            first, second, slope = map(mpmath.mpf, row[4:])
            wanted = {"mean": (y, first), "second_moment": (y, second)}, {"second_moment": (dx, slope)}
            for each in wanted:
                for statistic, (exact, right) in each.items():
                    found = enclosure_of(statistic, exact)
                    assert found is not None
                    slack = abs(right) * mpmath.mpf(10) ** -30 + mpmath.mpf(10) ** -55  # of the reference
                    assert holds(found, right - slack, right + slack), (row, statistic)


def test_a_planted_wrong_enclosure_is_caught() -> None:
    """Bounds a million times too narrow, about a value that is off within the right ones."""
    caught = 0
    for (name, distribution, mean, std), row in zip(questions(40), ROWS, strict=False):
        exact = exact_of(name, FORWARD, Input(distribution, mean, std))
        if exact is None or not exact.enclosures["mean"].radius:
            continue
        right = exact.enclosures["mean"]
        off = right.low + right.radius / 4 if right.low is not None else Fraction(0)
        wrong = Enclosure(off - right.radius / 10**6, off + right.radius / 10**6)
        with mpmath.workdps(60):
            caught += not holds(wrong, mpmath.mpf(row[4]))
    assert caught >= 30


@pytest.mark.parametrize("number", [0, 7, 40])
def test_the_stored_digits_are_the_references(number: int) -> None:
    name, distribution, mean, std, *stored = ROWS[number]
    with mpmath.workdps(40):
        for fresh, kept in zip(reference(name, distribution, mean, std), stored, strict=True):
            assert abs(fresh - mpmath.mpf(kept)) <= abs(fresh) * mpmath.mpf(10) ** -36


def test_steep_slopes_anywhere() -> None:
    """E[sech⁴(k(x − c))]·k² for 200 random c and k up to 10⁷: density·4k/3 and corrections of order 1/k²."""
    rng = random.Random(20160328)
    for _ in range(200):
        c, k = round(rng.uniform(-3.0, 3.0), 4), float(f"{10 ** rng.uniform(3.0, 7.0):.5g}")
        found = value(f"tanh({k!r}*(x - ({c!r})))", "second_moment", BACKWARD)
        density = math.exp(-0.5 * c * c) / math.sqrt(2.0 * math.pi)
        # ∫ sech⁴ = 4/3 and ∫ u²·sech⁴ = (π² − 6)/9
        right = density * k * (4.0 / 3.0 + 0.5 * (c * c - 1.0) * (math.pi**2 - 6.0) / 9.0 / k**2)
        assert float(found) == pytest.approx(right, rel=20.0 / k**4 + 1e-13)
        assert found.certain_digits(17) >= 16


def test_moments_of_dx_multiply_those_of_dy() -> None:
    case = Case(find("relu"), {}, Input(), Upstream("laplace", 0.5))
    dx = case.exact(row_of(case, BACKWARD))
    assert dx is not None
    a = b = 0.5  # √(c/2), √((1 − c)/2)
    assert dx.abs_mean == pytest.approx(0.5 * (a * a + a * b + b * b) / (a + b), rel=1e-15)
    assert dx.kurtosis == pytest.approx(2.0 * (3.0 + 3.0 * 0.5), rel=1e-15)


def test_a_backward_that_is_no_derivative_is_not_taken_for_one() -> None:
    """sign has slope 0 everywhere: E|y| and MAD are found all the same."""
    y = exact_of("sign", FORWARD, Input("normal", 0.5))
    assert y is not None
    below = 0.5 * math.erfc(0.5 / math.sqrt(2.0))
    assert y.mean == pytest.approx(1.0 - 2.0 * below, rel=1e-15)
    assert y.mad == pytest.approx(4.0 * below * (1.0 - below), rel=1e-14)


def test_too_much_work_is_no_value() -> None:
    """A place that a formula never settles."""
    assert exact_of("sin(1/x)", FORWARD) is None


def test_arithmetic_of_enclosures_rounds_outwards() -> None:
    third = enclosure(1) / 3
    root = enclosure(2).root()
    assert third.low == third.high == Fraction(1, 3)
    low, high = root.bounds
    assert low * low < 2 < high * high
    assert (root * root - 2).contains_zero
    assert root.certain_digits() == 100
    assert not (1 / (root - root)).is_finite
    assert Enclosure(Fraction(-1), Fraction(2)).squared().bounds == (Fraction(0), Fraction(4))


def test_a_bound_is_that_of_the_nearest_float() -> None:
    exact = exact_of("relu", FORWARD)
    assert exact is not None
    for name in ("mean", "std", "gain_rms"):
        number = exact_value(name, exact)
        assert number is not None
        assert exact_bound(name, exact) <= math.ulp(number) / 2 * 1.01
    plain = replace(exact, enclosures={})
    assert exact_bound("mean", plain) > 1e-14  # without a proof


def test_nothing_loads_flint_before_an_exact_value_is_asked_for() -> None:
    code = (
        "import sys; from gradstat.layer_types.registry import case_of; case = case_of('gelu', {}); "
        "print('flint' in sys.modules); case.exact(case.shape.rows[0]); print('flint' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=120)
    assert done.stdout.split() == ["False", "True"]


@pytest.mark.parametrize(
    ("claim", "verdict"),
    [
        (
            ("elu", {"alpha": 1.6732632423543772}, "forward", "gain_std", "1.0507009873554804934193349852946"),
            "confirmed",
        ),
        (("elu", {"alpha": 1.6732632423543772}, "forward", "gain_std", "1.0507009873554804934193349852947"), "refuted"),
        (("relu", {}, "forward", "gain_std", "1.712858550449663"), "confirmed"),
        (("relu", {}, "forward", "gain_std", "1.712858550449664"), "refuted"),
        (("relu", {}, "forward", "mean", "0.3989422804014327"), "confirmed"),
        (("relu", {}, "forward", "mean", "0.3989422804014328"), "refuted"),
        (("silu", {}, "forward", "gain_rms", "1.6765324703310912"), "confirmed"),  # 1.67653247033109115860…
        (("silu", {}, "forward", "gain_rms", "1.6765324703310915"), "refuted"),
        (("leaky_relu", {"negative_slope": 0.2}, "backward", "gain_rms", "1.3867504905630728"), "confirmed"),
        (("relu", {}, "backward", "second_moment", "0.5"), "confirmed"),
        (("relu", {}, "backward", "second_moment", "0"), "confirmed"),  # a tie: ½ rounds to 0 and to 1
        (("relu", {}, "backward", "second_moment", "1"), "confirmed"),
        (("exp", {}, "forward", "var", "4.67"), "confirmed"),
    ],
)
def test_claims_of_many_digits_are_decided(
    claim: tuple[str, dict[str, float], str, str, str], verdict: str, tmp_path: Path
) -> None:
    assert verdict_of(*claim, "", tmp_path) == verdict


@pytest.mark.parametrize(("printed", "verdict"), [("7.0711", "confirmed"), ("7.0712", "refuted")])
def test_a_claim_about_heavy_tails_is_decided(printed: str, verdict: str, tmp_path: Path) -> None:
    """E[e^2x] of a Laplace x with std 0.7 is 50; its sample mean hardly converges."""
    heavy = 'input = { distribution = "laplace", std = 0.7 }\n'
    assert verdict_of("exp", {}, "forward", "rms", printed, heavy, tmp_path) == verdict


def verdict_of(
    layer: str, params: dict[str, float], direction: str, statistic: str, printed: str, more: str, folder: Path
) -> str:
    """What `verify --quick` says about a claim; `more` are further lines of it."""
    table = ", ".join(f"{name} = {number!r}" for name, number in params.items())
    path = folder / "claims.toml"
    path.write_text(
        f'[[claim]]\nid = "one"\nsource = "a test"\nlayer = "{layer}"\nparams = {{ {table} }}\n'
        f'direction = "{direction}"\nstatistic = "{statistic}"\nvalue = "{printed}"\n{more}',
        encoding="utf-8",
    )
    (outcome,) = verify(load([path]), 1, quick=True)
    return str(outcome.verdict)
