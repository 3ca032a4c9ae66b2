"""`gradstat solve`: constants that are known from elsewhere, planted equations, proofs, and messages."""

import json
import math
from fractions import Fraction
from typing import Any

import pytest

import gradstat
from gradstat.cli.app import start
from gradstat.errors import UsageError
from gradstat.layer_types.exact.enclosure import Enclosure
from gradstat.solving import numbers
from gradstat.solving.answer import EXISTS, EXTREMUM, NOT_PROVEN, UNIQUE
from gradstat.solving.subject import BASES, MEAN, STD, Subject

# Klambauer et al. 2017, appendix: α₀₁ = −√(2/π)/(erfc(√½)·e^½ − 1) and λ₀₁, to 50 digits by mpmath 1.3
SELU_ALPHA = "1.6732632423543772848170429916717"
SELU_SCALE = "1.0507009873554804934193349852946"


def agree(text: str, known: str, digits: int) -> bool:
    """True if two decimal numbers agree to one unit of this significant digit."""
    size = math.floor(math.log10(abs(float(known))))
    return abs(Fraction(text) - Fraction(known)) <= Fraction(10) ** (size - digits + 1)


# One unknown. References: mpmath 1.3 with 30 digits, findroot over quad.
@pytest.mark.parametrize(
    ("layer", "unknown", "equation", "digits", "known"),
    [
        ("relu", "input.std", "forward.rms = 1", 40, "1.4142135623730950488016887242096980785697"),
        ("gelu", "input.std", "forward.rms = 1", 16, "1.4680112605467932"),
        ("silu", "input.std", "forward.rms = 1", 16, "1.5587599300694918"),
        ("2 * tanh(x)", "input.std=0.1..10", "forward.second_moment = input.std**2", 16, "1.4565279153532137"),
        (
            "smooth_leaky_relu",
            "negative_slope=0..1",
            "backward.gain_rms = 3 - (1 + sqrt(5))/2",
            15,
            "0.375706395624792",
        ),
        ("a * relu(x)", "a=0.1..10", "backward.std = 1", 20, "1.4142135623730950488"),
        ("leaky_relu", "negative_slope=0..1", "forward.second_moment = 0.625", 12, "0.5"),
    ],
)
def test_one_unknown(layer: str, unknown: str, equation: str, digits: int, known: str) -> None:
    answer = gradstat.solve(layer, unknown, equation, digits=digits)
    (text,) = answer.texts[0].values()
    assert len(answer.texts) == 1
    assert agree(text, known, digits)
    assert answer.code == 0
    assert answer.found[0].proof == UNIQUE
    (bounds,) = answer.found[0].values.values()
    assert bounds.bounds[0] <= Fraction(known) + Fraction(1, 10 ** (digits - 2))


@pytest.mark.parametrize(("layer", "unknown", "statistic"), [("gelu", "std", "rms"), ("silu", "std", "rms")])
def test_a_solution_put_back_gives_the_wanted_statistic(layer: str, unknown: str, statistic: str) -> None:
    solution = gradstat.solve(layer, f"input.{unknown}", f"forward.{statistic} = 1", digits=17).solutions[0]
    gain = gradstat.gain(layer, input={unknown: solution[f"input.{unknown}"]})
    assert float(getattr(gain.forward, statistic)) == pytest.approx(1.0, abs=4e-16)


def test_selu_is_solved_from_its_definition_to_thirty_digits() -> None:
    formula = "where(x > 0, lam*x, lam*alpha*(exp(min(x, 0)) - 1))"
    wanted = ["forward.mean = 0", "forward.second_moment = 1"]
    answer = gradstat.solve(formula, ["lam", "alpha"], wanted, digits=30)
    assert agree(answer.texts[0]["alpha"], SELU_ALPHA, 30)
    assert agree(answer.texts[0]["lam"], SELU_SCALE, 30)
    assert answer.found[0].proof == UNIQUE
    gain = gradstat.gain(formula, lam=answer.solutions[0]["lam"], alpha=answer.solutions[0]["alpha"])
    assert float(gain.forward.mean) == pytest.approx(0.0, abs=1e-15)
    assert float(gain.forward.second_moment) == pytest.approx(1.0, abs=1e-15)


# C_W = 1/E[f′²] and C_b = K − C_W·E[f²] at the K where χ_∥ = 1 (Roberts, Yaida and Hanin, chapter 5.3). GELU: K =
# (3 + √17)/2, by mpmath 1.3 with 25 digits.
@pytest.mark.parametrize(
    ("layer", "start_at", "c_w", "c_b", "digits"),
    [
        ("gelu", (2, 0.2, 1.9), "1.983058257437547125", "0.17292239075606735", 16),
        ("silu", (2, 0.5, 3.8), "1.9880046782694922", "0.5551431707215304", 15),
    ],
)
def test_critical_initialization(layer: str, start_at: tuple[float, ...], c_w: str, c_b: str, digits: int) -> None:
    equations = [
        "c_w * backward.second_moment = 1",
        "c_w * forward.second_moment + c_b = input.std**2",
        "c_w * forward.second_moment * forward.chi = input.std**2",
    ]
    unknowns = dict(zip(("c_w", "c_b", "input.std"), start_at, strict=True))
    answer = gradstat.solve(layer, unknowns, equations, digits=digits)
    assert agree(answer.texts[0]["c_w"], c_w, digits)
    assert agree(answer.texts[0]["c_b"], c_b, digits)
    assert answer.found[0].proof == UNIQUE


# Planted equations


def test_an_equation_without_a_solution() -> None:
    answer = gradstat.solve("relu", "input.std", "forward.rms = -1")
    assert (answer.texts, answer.code) == ([], 1)
    assert answer.notes[0].startswith("no solution: searched input.std from 0.001 to 1000 at 401 points")


def test_an_equation_with_two_solutions_lists_both() -> None:
    answer = gradstat.solve("leaky_relu", "negative_slope", "backward.rms = 1")
    assert [one["negative_slope"] for one in answer.texts] == ["-1", "1"]
    assert answer.code == 0


def test_two_solutions_between_two_points_of_the_grid() -> None:
    answer = gradstat.solve("a * x", "a=0..10", "(forward.second_moment - 1)**2 * 1e6 + a = 1.001")
    roots = [one["a"] for one in answer.solutions]
    assert len(roots) == 2
    assert all(abs((a * a - 1.0) ** 2 * 1e6 + a - 1.001) < 1e-6 for a in roots)


def test_a_double_solution_is_named_and_not_certain() -> None:
    answer = gradstat.solve("silu", "input.mean", "(forward.mean - 0.3)**2 = 0")
    assert (answer.texts, answer.code) == ([], 3)
    assert any("may be a double solution" in note and "0.1759155" in note for note in answer.notes)


def test_a_jump_is_no_solution() -> None:
    answer = gradstat.solve("sign(a) * (1 + x*x)", "a", "forward.mean = 0.3")
    assert (answer.texts, answer.code) == ([], 1)
    assert any("no solution at a = " in note and "jumps from -2.3 to 1.7" in note for note in answer.notes)


def test_a_pole_is_no_solution() -> None:
    answer = gradstat.solve("x / a", "a=-1..2", "1/a = 0")
    assert (answer.texts, answer.code) == ([], 1)


def test_a_flat_equation_is_named() -> None:
    answer = gradstat.solve("relu", "input.std", "forward.gain_rms * forward.rms = 1")
    assert (answer.texts, answer.code) == ([], 3)
    assert any("holds within rounding for every input.std from 0.001 to 1000" in note for note in answer.notes)


def test_a_flat_direction_of_several_unknowns_is_named() -> None:
    answer = gradstat.solve("a * b * relu(x)", ["a", "b"], ["forward.rms = 1", "forward.second_moment = 1"])
    assert (answer.texts, answer.code) == ([], 3)
    assert "do not determine all unknowns" in answer.notes[0]


def test_several_equations_without_a_solution() -> None:
    answer = gradstat.solve("a * relu(x) + b", ["a", "b"], ["forward.var = -1", "forward.mean = 0"])
    assert (answer.texts, answer.code) == ([], 1)
    assert "no solution found: began at a = 1, b = 1" in answer.notes[0]


def test_a_branch_that_depends_on_the_unknown_is_not_proven() -> None:
    answer = gradstat.solve("where(x > a, x, 0)", "a=0..3", "forward.rms = 0.5", digits=8)
    assert answer.found[0].proof == NOT_PROVEN
    assert answer.code == 3


def test_continuous_without_a_derivative_is_proven_to_exist() -> None:
    answer = gradstat.solve("relu(x - a)", "a=0..3", "forward.rms = 0.5", digits=8)
    assert answer.found[0].proof == EXISTS


# Extrema


def test_the_alpha_of_the_largest_variance_of_snake() -> None:
    answer = gradstat.solve("snake", "alpha=0.1..3", maximize="forward.var", digits=12)
    assert agree(answer.texts[0]["alpha"], "0.5604532113892670", 12)
    assert answer.found[0].proof == EXTREMUM
    best = answer.solutions[0]["alpha"]
    around = [float(gradstat.gain("snake", alpha=best + side).forward.var) for side in (-1e-3, 0.0, 1e-3)]
    assert around[1] > max(around[0], around[2])


def test_an_extremum_without_a_derivative_has_the_digits_that_three_values_prove() -> None:
    answer = gradstat.solve("snake", "alpha=0.5..2", maximize="forward.mad", digits=6)
    (bounds,) = [value for name, value in answer.found[0].values.items() if name == "alpha"]
    ends = [float(end) for end in (*bounds.bounds, bounds.middle)]
    values = [float(gradstat.gain("snake", alpha=a).forward.mad) for a in ends]
    assert values[2] > max(values[:2])


def test_a_value_that_is_the_same_everywhere_has_no_extremum() -> None:
    answer = gradstat.solve("gelu", "input.std", maximize="forward.slope_mean")  # E[Φ(x) + x·φ(x)] = ½
    assert (answer.texts, answer.code) == ([], 3)
    assert answer.notes[0].endswith("the value is the same everywhere, within rounding")


def test_an_extremum_at_an_end_is_none() -> None:
    answer = gradstat.solve("relu", "input.std=1..2", maximize="forward.rms")
    assert (answer.texts, answer.code) == ([], 1)
    assert answer.notes == (
        "searched input.std from 1 to 2 at 401 points: the largest value is at an end, input.std = 2",
    )


# Derivatives of statistics, against differences


@pytest.mark.parametrize("by", ["b", STD, MEAN])
@pytest.mark.parametrize("base", BASES)
def test_derivatives_of_integrals(base: str, by: str) -> None:
    case = gradstat.layer("sigmoid(b * x) * x + b", b=1.0)
    subject = Subject(case, ("b", STD, MEAN))
    at = {"b": Fraction(3, 4), STD: Fraction(5, 4), MEAN: Fraction(1, 3)}
    step = Fraction(1, 10**6)
    ends = [subject.base(base, "", at | {by: at[by] + side * step}, 25).middle for side in (-1, 1)]
    difference = (ends[1] - ends[0]) / (2 * step)
    assert float(subject.base(base, by, at, 20)) == pytest.approx(float(difference), rel=1e-9, abs=1e-10)


def test_the_derivative_on_an_interval_contains_those_at_its_points() -> None:
    subject = Subject(gradstat.layer("gelu"), (STD,))
    box = Enclosure(Fraction(3, 2), Fraction(3, 2) + Fraction(1, 10**10))
    whole = subject.base("second_moment", STD, {STD: box}, 6)
    for end in box.bounds:
        low, high = subject.base("second_moment", STD, {STD: end}, 20).bounds
        assert whole.bounds[0] <= low <= high <= whole.bounds[1]


@pytest.mark.parametrize(
    ("base", "exponent", "value"),
    [("2", "10", 1024.0), ("2", "-2", 0.25), ("0.5", "0.5", math.sqrt(0.5)), ("e", "2", math.e**2), ("-3", "3", -27.0)],
)
def test_powers_of_enclosures(base: str, exponent: str, value: float) -> None:
    sign = -1 if base.startswith("-") else 1
    number, power = (numbers.of_text(text.removeprefix("-")) for text in (base, exponent))
    power = -power if exponent.startswith("-") else power
    assert float(numbers.power(sign * number, power)) == pytest.approx(value, rel=1e-15)


def test_the_root_of_a_negative_number_is_undefined() -> None:
    assert not numbers.root(numbers.of_text("1") - 2).is_finite
    assert not numbers.power(numbers.of_text("1") - 2, numbers.of_text("0.5")).is_finite


# Messages


@pytest.mark.parametrize(
    ("layer", "unknowns", "equations", "options", "message"),
    [
        ("softmax", ["input.std"], ["forward.rms = 1"], {}, "solve knows elementwise layers and formulas of x only"),
        ("gelu", ["input.std"], ["forward.rsm = 1"], {}, "unknown statistic 'rsm'; did you mean 'rms'"),
        ("gelu", ["input.std"], ["forward.rms"], {}, "expected one =, found 0"),
        ("gelu", ["input.std"], [], {}, "1 unknown and 0 equations"),
        ("gelu", ["input.std", "a"], ["forward.rms = 1"], {}, "a occurs neither in the layer nor in an equation"),
        ("gelu", ["input.std"], ["forward.rms = 1", "forward.std = 1"], {}, "1 unknown and 2 equations"),
        ("gelu", ["input.std=2..1"], ["forward.rms = 1"], {}, "the lower end must be below the upper one"),
        ("gelu", ["input.std=x"], ["forward.rms = 1"], {}, "'x' is not a number"),
        ("gelu", ["input.std=-1..1"], ["forward.rms = 1"], {}, "a std is above 0"),
        ("gelu", ["input.std"], ["abs(forward.rms) = 1"], {}, "is not arithmetic of statistics and unknowns"),
        ("gelu", ["input.std"], ["forward.rms = 1"], {"digits": 101}, "digits = 101 is not allowed"),
        ("elu", ["alpha"], ["forward.mean = 0"], {"alpha": 2.0}, "alpha is an unknown and has the value 2.0"),
        ("gelu", ["input.std"], ["backward.chi = 1"], {}, "chi is a statistic of y"),
    ],
)
def test_mistakes(layer: str, unknowns: list[str], equations: list[str], options: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError) as error:
        gradstat.solve(layer, unknowns, equations, **options)
    assert message in str(error.value)
    assert "\n" not in str(error.value)


def test_the_command(capsys: pytest.CaptureFixture[str]) -> None:
    words = ["solve", "relu", "--for", "input.std=0.5..3", "--such-that", "forward.rms = 1", "--digits", "20"]
    assert start([*words, "--format", "json"]) == 0
    (row,) = json.loads(capsys.readouterr().out)["rows"]
    assert row["value"] == "1.4142135623730950488"
    assert row["low"] <= math.sqrt(2.0) <= row["high"]
    assert start(["solve", "relu", "--for", "input.std", "--such-that", "forward.rms = -1"]) == 1
    assert start(["solve", "relu", "--for", "input.std", "--such-that", "forward.gain_rms = 1/forward.rms"]) == 3
    assert start(["solve", "relu", "--for", "input.std", "--such-that", "forward.rms"]) == 2
