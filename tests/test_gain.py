"""`gradstat gain`: every printed digit against mpmath, whose formulas stand here; what it imports; its formats."""

import json
import subprocess
import sys
from collections.abc import Callable
from functools import cache
from typing import Any

import mpmath
import pytest
from mpmath import mp, mpf

from gradstat.assumptions import Input
from gradstat.cli.app import start
from gradstat.constants.gain import DEFAULT, DIRECTIONS, Constant, gains, report
from gradstat.layer_types.case import Case
from gradstat.layer_types.registry import find
from gradstat.text.formats import render_text
from gradstat.text.uncertain import Uncertain

DIGITS = 25
MARKS = [-13, -8, -5, -3, -2, -1, 0, 1, 2, 3, 5, 8, 13]  # beyond 13 lies less than 10⁻³⁶
Formula = Callable[[Any], tuple[Any, Any]]  # x ↦ (y, dy/dx)


def sigma(x: Any) -> Any:
    return 1 / (1 + mp.exp(-x))


def density(x: Any) -> Any:
    return mp.exp(-x * x / 2) / mp.sqrt(2 * mp.pi)


def phi(x: Any) -> Any:
    return (1 + mp.erf(x / mp.sqrt(2))) / 2


def gelu_tanh(x: Any) -> tuple[Any, Any]:
    c, k = mp.sqrt(2 / mp.pi), mpf("0.044715")
    t = mp.tanh(c * (x + k * x**3))
    return x * (1 + t) / 2, (1 + t) / 2 + x * (1 - t * t) * c * (1 + 3 * k * x * x) / 2


def mish(x: Any) -> tuple[Any, Any]:
    t = mp.tanh(mp.log(1 + mp.exp(x)))
    return x * t, t + x * (1 - t * t) * sigma(x)


def selu(x: Any) -> tuple[Any, Any]:
    scale, alpha = mpf("1.0507009873554804934193349852946"), mpf("1.6732632423543772848170429916717")
    return (scale * x, scale) if x > 0 else (scale * alpha * mp.expm1(x), scale * alpha * mp.exp(x))


def clipped(x: Any, low: Any, high: Any) -> tuple[Any, Any]:
    return min(max(x, mpf(low)), mpf(high)), mpf(1 if low < x < high else 0)


CASES: dict[str, tuple[str, dict[str, Any], Formula]] = {
    "gelu": ("gelu", {}, lambda x: (x * phi(x), phi(x) + x * density(x))),
    "gelu tanh": ("gelu", {"approximate": "tanh"}, gelu_tanh),
    "silu": ("silu", {}, lambda x: (x * sigma(x), sigma(x) * (1 + x * sigma(-x)))),
    "silu 2": ("silu", {"beta": 2.0}, lambda x: (x * sigma(2 * x), sigma(2 * x) * (1 + 2 * x * sigma(-2 * x)))),
    "sigmoid": ("sigmoid", {}, lambda x: (sigma(x), sigma(x) * sigma(-x))),
    "tanh": ("tanh", {}, lambda x: (mp.tanh(x), mp.sech(x) ** 2)),
    "tanhshrink": ("tanhshrink", {}, lambda x: (x - mp.tanh(x), mp.tanh(x) ** 2)),
    "softplus": ("softplus", {}, lambda x: (mp.log(1 + mp.exp(x)), sigma(x))),
    "logsigmoid": ("logsigmoid", {}, lambda x: (-mp.log(1 + mp.exp(-x)), sigma(-x))),
    "mish": ("mish", {}, mish),
    "elu": ("elu", {}, lambda x: (x, mpf(1)) if x > 0 else (mp.expm1(x), mp.exp(x))),
    "selu": ("selu", {}, selu),
    "relu": ("relu", {}, lambda x: (max(x, mpf(0)), mpf(x > 0))),
    "relu6": ("relu6", {}, lambda x: clipped(x, 0, 6)),
    "hardtanh": ("hardtanh", {}, lambda x: clipped(x, -1, 1)),
    "leaky_relu": ("leaky_relu", {}, lambda x: (x, mpf(1)) if x > 0 else (x * mpf("0.01"), mpf("0.01"))),
    "softsign": ("softsign", {}, lambda x: (x / (1 + abs(x)), 1 / (1 + abs(x)) ** 2)),
    "erf": ("erf", {}, lambda x: (mp.erf(x), 2 / mp.sqrt(mp.pi) * mp.exp(-x * x))),
    "atan": ("atan", {}, lambda x: (mp.atan(x), 1 / (1 + x * x))),
    "asinh": ("asinh", {}, lambda x: (mp.asinh(x), 1 / mp.sqrt(1 + x * x))),
    "gaussian": ("gaussian", {}, lambda x: (mp.exp(-x * x), -2 * x * mp.exp(-x * x))),
    "snake": ("snake", {}, lambda x: (x + mp.sin(x) ** 2, 1 + mp.sin(2 * x))),
}


@cache
def moments(name: str, mean: float = 0.0, std: float = 1.0) -> tuple[Any, Any, Any]:
    """E[f], E[f²], E[f′²] by Gauss–Legendre between marks and kinks, in 25 digits."""
    f = CASES[name][2]
    kinks = sorted({*MARKS, *((mpf(kink) - mean) / std for kink in (-1, 0, 1, 6))})
    with mp.workdps(DIGITS):
        y, y2, slope2 = (
            mpmath.quad(lambda z, g=g: g(f(mean + std * z)) * density(z), kinks, method="gauss-legendre", maxdegree=5)
            for g in (lambda v: v[0], lambda v: v[0] ** 2, lambda v: v[1] ** 2)
        )
    return y, y2, slope2


def expected(name: str, mean: float = 0.0, std: float = 1.0) -> dict[tuple[str, str], Any]:
    y, y2, slope2 = moments(name, mean, std)
    found: dict[tuple[str, str], Any] = {}
    for direction, first, second in (("forward", y, y2), ("backward", mpf(0), slope2)):
        sigma_, rms = mp.sqrt(second - first**2), mp.sqrt(second)
        values = (first, sigma_, rms, 1 / sigma_, 1 / rms)
        found |= {(direction, statistic): value for statistic, value in zip(DEFAULT, values, strict=True)}
    return found


def printed(value: Any) -> str:
    return "0" if abs(value) < 1e-15 else f"{float(value):.10g}"


@pytest.mark.parametrize("name", CASES)
def test_every_printed_digit(name: str) -> None:
    layer, params, _ = CASES[name]
    wanted = expected(name)
    for gain in gains(Case(find(layer), params)):
        assert not gain.number.error
        assert gain.number.text == printed(wanted[gain.direction, gain.statistic]), (gain.direction, gain.statistic)


def test_definitions_name_their_variable() -> None:
    assert Constant("backward", "mad", Uncertain(1.0)).note == "E|dx − E[dx]|, the mean absolute deviation"
    assert Constant("forward", "gain_rms", Uncertain(1.0)).note == "1/√E[y²]"


def test_a_mean_of_nothing_is_0_and_a_small_one_has_the_digits_it_has() -> None:
    assert Uncertain(-1.4e-17, scale=0.6).text == "0"
    assert Uncertain(1.23456789012e-8, scale=1.0).text == "1.2346e-08"


def test_what_no_referee_knows_is_sampled_and_shows_its_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gradstat.constants.gain.SAMPLES", 2**16)
    case = Case(find("max_pool2d"), {}, Input(correlation=0.5))
    answered = gains(case)
    found = {(gain.direction, gain.statistic): gain.number for gain in answered}
    assert 0.0 < (found["forward", "std"].error or 0.0) < 0.01
    assert " ± " in found["forward", "gain_std"].text
    std, gain = found["forward", "std"], found["forward", "gain_std"]
    assert gain.value == pytest.approx(1.0 / std.value)
    assert gain.error == pytest.approx((std.error or 0.0) / std.value**2)
    assert f'"gain_std": {gain.literal},  # ± ' in render_text(report(case, answered), "python")


# The command -------------------------------------------------------------------------------------------------------


def answer(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert start(["gain", *arguments]) == 0
    return capsys.readouterr().out


def rows(text: str) -> dict[str, Any]:
    """The rows of a JSON document by direction."""
    return {row["direction"]: row for row in json.loads(text)["rows"]}


def test_table_shows_both_directions_and_definitions(capsys: pytest.CaptureFixture[str]) -> None:
    lines = answer(capsys, "gelu").splitlines()
    assert lines[0] == "gelu, x ~ normal(0, 1), dy ~ normal(0, 1)"
    assert lines[6].split() == ["gain_std", "1.700926243", "1.481114413", "1/σ[v]"]
    assert lines[7].split() == ["gain_rms", "1.533530441", "1.481114413", "1/√E[v²]"]


def test_input_changes_the_numbers(capsys: pytest.CaptureFixture[str]) -> None:
    found = rows(answer(capsys, "gelu", "--input", "mean=0.5,std=1.3", "--format", "json"))
    assert found["forward"]["input"] == "normal(0.5, 1.3)"
    for (direction, statistic), value in expected("gelu", 0.5, 1.3).items():
        assert found[direction][statistic] == pytest.approx(float(value), rel=1e-12, abs=1e-15)


def test_an_expression_is_the_layer_it_spells(capsys: pytest.CaptureFixture[str]) -> None:
    found = rows(answer(capsys, "--expression", "x * sigmoid(beta * x)", "beta=2.0", "--format", "json"))
    for (direction, statistic), value in expected("silu 2").items():
        assert found[direction][statistic] == pytest.approx(float(value), rel=1e-12, abs=1e-15)


@pytest.mark.parametrize("name", ["gelu", "sign", "max_pool2d"])
def test_python_executes_to_the_same_values(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    scope: dict[str, Any] = {}
    exec(answer(capsys, name, "--format", "python", "--statistic", "gain_std", "--statistic", "mean"), scope)
    for gain in gains(Case(find(name)), ("gain_std", "mean")):
        value = scope[f"{name}_{gain.direction}".upper()][gain.statistic]
        assert isinstance(value, float)
        assert value == gain.number.value


@pytest.mark.parametrize("direction", DIRECTIONS)
def test_statistic_chooses_what_is_shown(direction: str, capsys: pytest.CaptureFixture[str]) -> None:
    row = rows(answer(capsys, "relu", "--statistic", "gain_rms", "--format", "json"))[direction]
    names = ("gain_rms", "gain_rms_se", "gain_rms_kind", "gain_rms_reason")
    assert list(row) == ["layer", "params", "input", "upstream", "direction", *names]
    assert row["gain_rms"] == pytest.approx(2**0.5, rel=1e-14)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["sigmiod"], "did you mean 'sigmoid'?"),
        ([], "name a layer"),
        (["relu", "--statistic", "skewed"], "unknown statistic 'skewed'"),
        (["silu", "beta"], "expected key=value"),
    ],
)
def test_mistakes_are_one_line(arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert start(["gain", *arguments]) == 2
    message = capsys.readouterr().err
    assert words in message
    assert message.count("\n") == 1


COMPILERS = {"numba", "llvmlite", "pandas", "pyarrow", "rich"}


@pytest.mark.parametrize(
    ("arguments", "absent"),
    [
        (["sigmoid"], {*COMPILERS, "pydantic", "numpy.ma", "gradstat.config", "gradstat.layer_types.expression.layer"}),
        (["max_pool2d", "stride=1"], {*COMPILERS, "numpy.ma", "gradstat.layer_types.expression.layer"}),
        (["--expression", "x**2"], COMPILERS),
    ],
)
def test_exact_answers_import_little(arguments: list[str], absent: set[str]) -> None:
    """Which is what makes them fast: half of the time of `gain sigmoid` is that of importing NumPy and click."""
    code = (
        "import sys; from gradstat.cli.app import start; assert start(['gain', *sys.argv[1:]]) == 0;"
        f"print({absent} & set(sys.modules), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "set()\n")
