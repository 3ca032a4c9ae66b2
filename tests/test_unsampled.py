"""Statistics that are computed and never sampled, their table, and claims about solutions of equations."""

import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import gradstat
from gradstat.cli.app import start
from gradstat.constants.catalogue import NOT_BOUNDED
from gradstat.errors import UsageError

NODES, WEIGHTS = np.polynomial.hermite_e.hermegauss(180)


def normal_mean(function: Callable[[np.ndarray], np.ndarray]) -> float:
    """E[f(z)] of a standard normal z, for smooth f."""
    return float(WEIGHTS @ function(NODES) / math.sqrt(2.0 * math.pi))


# Largest slopes. gelu: f″ = φ(x)(2 − x²) = 0 at x = √2, so f′ = Φ(√2) + √2·φ(√2). The others in closed form; silu
# and tanh-like ones by mpmath 1.3 with 30 digits, findroot of f″.
@pytest.mark.parametrize(
    ("layer", "known", "place"),
    [
        ("gelu", 1.1289041451851547, "at x = 1.414214"),
        ("silu", 1.0998393201288669, "at x = 2.399357"),
        ("x * sigmoid(x)", 1.0998393201288669, "at x = 2.399357"),
        ("x * tanh(x)", 1.1996786402577339, "1.19967864"),
        ("hardswish", 1.5, "at x = 3"),
        ("relu", 1.0, ""),
        ("sigmoid", 0.25, "at x = 0"),
        ("softsign", 1.0, "at x = 0"),
        ("erf", 2.0 / math.sqrt(math.pi), "at x = 0"),
        ("cos", 1.0, ""),
        ("x + 3*exp(-x*x)", 1.0 + 3.0 * math.sqrt(2.0 / math.e), "at x = -0.7071068"),
        ("tanh(x/100) + x/100", 0.02, "at x = 0"),
        ("logsigmoid", 1.0, "as x → −∞"),
        ("selu", 1.0507009873554805 * 1.6732632423543772, ""),
        ("where(x > 1, 2*x - 2, -3*(x - 1))", 3.0, ""),
    ],
)
def test_lipschitz(layer: str, known: float, place: str) -> None:
    answer = gradstat.gain(layer, statistics=["lipschitz"])
    assert answer.forward.lipschitz == pytest.approx(known, rel=2e-15)
    assert answer.forward.lipschitz.kind == "proven"
    assert place in str(answer)


def test_lipschitz_has_the_digits_asked_for() -> None:
    # Φ(√2) + √2·φ(√2), by mpmath 1.3 with 50 digits
    known = "1.128904145185154786340744442261973312332"
    assert gradstat.gain("gelu", statistics=["lipschitz"], digits=40).forward.lipschitz.digits == known


@pytest.mark.parametrize(
    ("layer", "reason"),
    [
        ("square", "grows without bound as x → "),
        ("exp", "grows without bound as x → ∞"),
        ("sqrt(abs(x))", "grows without bound at x = 0"),
        ("sign", "y jumps by 2 at x = 0"),
        ("hardshrink", "y jumps by 0.5 at x = -0.5"),
        ("softplus", "y jumps by 2.06e-09 at x = 20"),
    ],
)
def test_lipschitz_is_infinite(layer: str, reason: str) -> None:
    found = gradstat.gain(layer, statistics=["lipschitz"]).forward.lipschitz
    assert math.isinf(found)
    assert reason in found.reason


def test_lipschitz_of_uniform_x_is_that_of_its_range() -> None:
    found = gradstat.gain("square", statistics=["lipschitz"], input={"distribution": "uniform", "std": 0.5})
    assert found.forward.lipschitz == pytest.approx(2.0 * math.sqrt(3.0) * 0.5, rel=1e-15)


def test_covariance_slope_mean_and_chi() -> None:
    names = ["cov_xy", "slope_mean", "chi"]
    found = gradstat.gain("tanh", statistics=names, input={"mean": 0.25, "std": 0.75}).forward

    def x(z: np.ndarray) -> np.ndarray:
        return 0.25 + 0.75 * z

    def slope(z: np.ndarray) -> np.ndarray:
        return np.asarray(1.0 / np.cosh(x(z)) ** 2)

    covariance = normal_mean(lambda z: 0.75 * z * np.tanh(x(z)))
    chi = normal_mean(lambda z: 0.75 * z * np.tanh(x(z)) * slope(z)) / normal_mean(lambda z: np.tanh(x(z)) ** 2)
    assert found.cov_xy == pytest.approx(covariance, rel=1e-9)
    assert found.slope_mean == pytest.approx(normal_mean(slope), rel=1e-9)
    assert found.cov_xy == pytest.approx(0.75**2 * found.slope_mean, rel=1e-14)  # Stein's lemma
    assert found.chi == pytest.approx(chi, rel=1e-9)
    assert found.chi.kind == found.cov_xy.kind == "proven"


def test_covariance_of_a_laplace_x() -> None:
    found = gradstat.gain("relu", statistics=["cov_xy"], input={"distribution": "laplace", "std": 3.0})
    assert found.forward.cov_xy == pytest.approx(4.5, rel=1e-15)  # E[x·max(x, 0)] = Var[x]/2 of a symmetric x


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ("gain max_pool1d --statistic lipschitz", "lipschitz is a statistic of elementwise layers and of formulas"),
        ("gain bent_identity --statistic lipschitz", "no exact value of lipschitz is known, and it is not sampled"),
    ],
)
def test_one_line_says_why_there_is_no_value(arguments: str, words: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert start(arguments.split()) == 2
    error = capsys.readouterr().err
    assert words in error
    assert error.count("\n") <= 2


def test_backward_is_refused() -> None:
    with pytest.raises(UsageError, match=r"statistic of y; write forward\.cov_xy"):
        _ = gradstat.gain("relu").backward.cov_xy


def test_a_result_does_not_have_them() -> None:
    result = gradstat.run(["relu"], samples=2**12)
    with pytest.raises(UsageError, match="computed and never sampled"):
        _ = result["relu"].forward.lipschitz


def test_statistics_are_listed() -> None:
    assert "cov_xy" in str(gradstat.listing("statistics"))


def test_the_table_has_every_activation_whose_slope_is_bounded_or_known_not_to_be() -> None:
    text = str(gradstat.tables("lipschitz"))
    assert "hardswish" in text
    for name in NOT_BOUNDED:
        with pytest.raises(UsageError, match="no exact value"):
            _ = gradstat.gain(name).forward.lipschitz


# In equations


@pytest.mark.parametrize(
    ("layer", "unknown", "equation", "known"),
    [
        ("gelu", "input.std", "forward.cov_xy = 1", "1.41421356237310"),  # E[x·y] = σ²/2
        ("leaky_relu", "negative_slope=0.1..3", "forward.cov_xy = 1", "1"),  # (1 + a)/2
        ("3*a*tanh(x)", "a=0.1..10", "forward.lipschitz = 1", "0.333333333333333"),
        ("a*x*sigmoid(x)", "a=0.1..10", "forward.lipschitz = 1", "0.909223721773132"),  # 1/1.0998393201288669
    ],
)
def test_solve(layer: str, unknown: str, equation: str, known: str) -> None:
    (found,) = gradstat.solve(layer, unknown, equation, digits=15).texts
    assert float(next(iter(found.values()))) == pytest.approx(float(known), rel=1e-14)


# In claims

CLAIMS = """
[[claim]]
id = "lipschitz"
source = "planted"
layer = "gelu"
direction = "forward"
statistic = "lipschitz"
value = "{lipschitz}"

[[claim]]
id = "ratio"
source = "planted"
layer = "relu"
statistic = "forward.cov_xy / forward.second_moment"
value = "{ratio}"

[[claim]]
id = "fixed-point"
source = "planted"
layer = "gelu"
solve = {{ for = "input.std", such_that = "forward.rms = 1" }}
value = "{fixed}"

[[claim]]
id = "of-a-formula"
source = "planted"
expression = "alpha * tanh(x)"
params = {{ alpha = 2 }}
solve = {{ for = "input.std", such_that = ["forward.second_moment = input.std**2"] }}
scale = 2
value = "{formula}"
"""
RIGHT = {"lipschitz": "1.128904145185", "ratio": "1.000", "fixed": "1.4680112605467932", "formula": "2.913055831"}
WRONG = {"lipschitz": "1.128904145186", "ratio": "1.001", "fixed": "1.4680112605467934", "formula": "2.913055832"}


@pytest.mark.parametrize(("values", "verdict"), [(RIGHT, "confirmed"), (WRONG, "refuted")])
def test_claims(values: dict[str, str], verdict: str, tmp_path: Path) -> None:
    path = tmp_path / "claims.toml"
    path.write_text(CLAIMS.format(**values))
    outcomes = gradstat.verify(path, quick=True).to_pandas()
    assert dict(zip(outcomes["id"], outcomes["verdict"], strict=True)) == dict.fromkeys(
        ("lipschitz", "ratio", "fixed-point", "of-a-formula"), verdict
    )


def test_unsampled_claims_are_not_sampled_without_quick(tmp_path: Path) -> None:
    path = tmp_path / "claims.toml"
    path.write_text(CLAIMS.format(**RIGHT))
    assert gradstat.verify(path).ok


def test_an_equation_without_a_solution_refutes(tmp_path: Path) -> None:
    path = tmp_path / "claims.toml"
    table = 'layer = "tanh"\nsolve = { for = "input.std", such_that = ["forward.std = 2"] }\nvalue = "1.5"\n'
    path.write_text(f'[[claim]]\nid = "a"\nsource = "planted"\n{table}')
    outcomes = gradstat.verify(path, quick=True).to_pandas()
    assert list(outcomes["verdict"]) == ["refuted"]
    assert "no solution" in outcomes["detail"][0]


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        ('solve = { for = "input.std", such_that = ["forward.std = 1"] }\nstatistic = "std"', "give one of the two"),
        ("", "give one of the two"),
        ('solve = { for = "input.std", such_that = ["forward.sdt = 1"] }', "sdt"),
        ('solve = { for = "input.std", such_that = ["forward.std = 1", "forward.mean = 0"] }', "as many of each"),
        ('solve = { for = "input.std", such_that = ["forward.std = 1"] }\ndirection = "forward"', "direction"),
        ('direction = "backward"\nstatistic = "lipschitz"', "statistic of y"),
    ],
)
def test_a_claim_that_cannot_be_checked_is_refused(lines: str, words: str, tmp_path: Path) -> None:
    path = tmp_path / "claims.toml"
    path.write_text(f'[[claim]]\nid = "a"\nsource = "planted"\nlayer = "gelu"\nvalue = "1.5"\n{lines}\n')
    with pytest.raises(UsageError, match=words):
        gradstat.verify(path, quick=True)


def test_an_annotation_claims_a_lipschitz_constant(tmp_path: Path) -> None:
    path = tmp_path / "constants.py"
    path.write_text("STEEPEST = 1.5  # gradstat: hardswish forward lipschitz\n")
    assert gradstat.verify(path).ok
    path.write_text("STEEPEST = 1.6  # gradstat: hardswish forward lipschitz\n")
    assert not gradstat.verify(path).ok
