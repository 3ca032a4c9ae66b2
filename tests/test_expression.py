"""Expressions and registered functions: parsing, derivatives, domains, kernels, and what nobody should write."""

import ctypes
import math
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import integrate, special

import gradstat
from gradstat.arithmetic import DEEPEST
from gradstat.assumptions import Input, Upstream
from gradstat.config import RunConfig, load
from gradstat.errors import UsageError
from gradstat.estimation.callbacks import callback_of
from gradstat.estimation.run import run
from gradstat.estimation.significance import disagreements
from gradstat.layer_types.case import Case
from gradstat.layer_types.expression.derivative import LARGEST_PROGRAM, program
from gradstat.layer_types.expression.emit import source
from gradstat.layer_types.expression.functions import FUNCTIONS
from gradstat.layer_types.expression.grammar import LONGEST, parse
from gradstat.layer_types.expression.layer import check, expression_layer
from gradstat.layer_types.from_config import cases
from gradstat.layer_types.record import BACKWARD, FORWARD, Row
from gradstat.layer_types.registry import LAYERS, find
from gradstat.numerics import elementary as el
from gradstat.numerics.draws import LANES

ROWS = (Row(FORWARD, "all", (0,)), Row(BACKWARD, "all", (0,)))
POINTS = np.r_[np.linspace(-4.0, 4.0, 401), 0.0, -0.0]


def case_of(text: str, **params: float) -> Case:
    return Case(expression_layer(text, tuple(params)), params)


def message_of(call: Callable[[], object]) -> str:
    """What a UsageError says; nothing where there is none."""
    try:
        call()
    except UsageError as error:
        return str(error)
    return ""


def value_and_slope(case: Case, x: Any) -> tuple[Any, Any]:
    """y and dy/dx of the plain Python function."""
    with np.errstate(all="ignore"):
        y, slope = case.layer.kernel(case.params)(x, *map(np.float64, case.constants))
    return y * np.ones_like(x), slope * np.ones_like(x)


def compiled(case: Case, x: Any) -> tuple[Any, Any]:
    """y and dy/dx of the compiled callback."""
    lanes, dy, y, dx = np.resize(x, LANES), np.ones(LANES), np.empty(LANES), np.empty(LANES)
    arrays = np.array([1, 1, 0, len(case.constants)], np.int64), np.array([*case.constants, 0.0]), lanes, dy
    function = ctypes.CFUNCTYPE(None, *[ctypes.c_void_p] * 7)(callback_of(case).address)
    function(*(array.ctypes.data for array in (*arrays, np.empty(1), y, dx)))
    return y[: len(x)], dx[: len(x)]


# Values and derivatives


@pytest.mark.parametrize(
    ("text", "params", "name", "same"),
    [
        ("max(x, 0)", {}, "relu", {}),
        ("relu(x)", {}, "relu", {}),
        ("where(x > 0, x, a * x)", {"a": 0.2}, "leaky_relu", {"negative_slope": 0.2}),
        ("max(x, 0) + 0.01 * min(x, 0)", {}, "leaky_relu", {}),
        ("sigmoid(x)", {}, "sigmoid", {}),
        ("1 / (1 + exp(-x))", {}, "sigmoid", {}),
        ("2 * sigmoid(2 * x) - 1", {}, "tanh", {}),
        ("x * sigmoid(x)", {}, "silu", {}),
        ("x * sigmoid(1.702 * x)", {}, "gelu", {"approximate": "quick"}),
        ("0.5 * x * (1 + tanh(sqrt(2 / pi) * (x + 0.044715 * x**3)))", {}, "gelu", {"approximate": "tanh"}),
        ("x / 2 * (1 + erf(x / sqrt(2)))", {}, "gelu", {}),
        ("x * tanh(softplus(x))", {}, "mish", {}),
        ("softplus(b * x) / b", {"b": 2.0}, "softplus", {"beta": 2.0}),
        ("where(x > 0, x, a * expm1(x))", {"a": 0.7}, "elu", {"alpha": 0.7}),
        ("x / (1 + abs(x))", {}, "softsign", {}),
        ("(exp(x) - exp(-x)) / (exp(x) + exp(-x))", {}, "tanh", {}),
    ],
)
def test_an_expression_is_the_layer_it_spells(
    text: str, params: dict[str, float], name: str, same: dict[str, float]
) -> None:
    own, known = case_of(text, **params), Case(find(name), same)
    x = POINTS if "min(" not in text else POINTS[POINTS != 0.0]  # there each half has slope 0 at 0
    for a, b in zip(value_and_slope(own, x), value_and_slope(known, x), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-13, atol=1e-14)
    for row in ROWS:
        a, b = own.exact(row), known.exact(row)
        assert a is not None
        assert b is not None
        assert (a.mean, a.var) == pytest.approx((b.mean, b.var), rel=1e-12, abs=1e-14)
        if a.abs_mean is not None:  # no sign is proven for a difference of exponentials
            assert (a.abs_mean, a.mad) == pytest.approx((b.abs_mean, b.mad), rel=1e-12, abs=1e-14)


SMOOTH = {
    "x * sigmoid(x)": lambda z: z / (1 + np.exp(-z)),
    "x * sigmoid(1.702 * x)": lambda z: z / (1 + np.exp(-1.702 * z)),
    "0.5 * x * (1 + tanh(sqrt(2 / pi) * (x + 0.044715 * x**3)))": lambda z: (
        0.5 * z * (1 + np.tanh(math.sqrt(2 / math.pi) * (z + 0.044715 * z**3)))
    ),
    "x / 2 * (1 + erf(x / sqrt(2)))": lambda z: 0.5 * z * (1 + special.erf(z / math.sqrt(2))),
    "x * tanh(softplus(x))": lambda z: z * np.tanh(np.log(1 + np.exp(z))),
    "softplus(x) - log(2)": lambda z: np.log(1 + np.exp(z)) - math.log(2),
    "x + sin(x)**2": lambda z: z + np.sin(z) ** 2,
    "x * tanh(exp(x))": lambda z: z * np.tanh(np.exp(z)),
    "x * erf(log1p(exp(x)))": lambda z: z * special.erf(np.log(1 + np.exp(z))),
    "1.7159 * tanh(2 * x / 3)": lambda z: 1.7159 * np.tanh(2 * z / 3),
    "(sqrt(x**2 + 1) - 1) / 2 + x": lambda z: (np.sqrt(z**2 + 1) - 1) / 2 + z,
    "where(x > 0, x, expm1(x))": lambda z: np.where(z.real > 0, z, np.exp(z) - 1),
    "exp(-x**2)": lambda z: np.exp(-(z**2)),
    "cos(x) - atan(x) * asinh(x)": lambda z: np.cos(z) - np.arctan(z) * np.arcsinh(z),
    "2**x + (1 + x**2)**-1.5 - (2 + sin(x))**x": lambda z: 2**z + (1 + z**2) ** -1.5 - (2 + np.sin(z)) ** z,
    "x**-2 / 3 + x**7 - (x**2)**0.5 * x**-0": lambda z: z**-2 / 3 + z**7 - np.where(z.real < 0, -z, z),
}


@pytest.mark.parametrize("text", SMOOTH)
def test_values_and_derivatives_against_a_complex_step(text: str) -> None:
    x = POINTS[np.abs(POINTS) > 1e-3]
    reference = SMOOTH[text](x + 1e-30j)
    y, slope = value_and_slope(case_of(text), x)
    np.testing.assert_allclose(y, reference.real, rtol=1e-12, atol=1e-13)
    np.testing.assert_allclose(slope, reference.imag / 1e-30, rtol=1e-11, atol=1e-12)


@pytest.mark.parametrize(
    ("text", "at", "value", "slope"),
    [
        ("abs(x)", 0.0, 0.0, 0.0),
        ("sign(x)", 0.0, 0.0, 0.0),
        ("sign(x)", 2.0, 1.0, 0.0),
        ("max(x, 0)", 0.0, 0.0, 0.0),  # where(x > 0, x, 0)
        ("max(0, x)", 0.0, 0.0, 1.0),  # where(0 > x, 0, x)
        ("min(x, 2)", 2.0, 2.0, 0.0),
        ("min(2, x)", 2.0, 2.0, 1.0),
        ("where(x >= 0, x, 0)", 0.0, 0.0, 1.0),
        ("where(x == 1, 5 * x, x)", 1.0, 5.0, 5.0),
        ("where(x != 1, 5 * x, x)", 1.0, 1.0, 1.0),
        ("where(x <= 1, x, x**2)", 1.0, 1.0, 1.0),
        ("softplus(x)", 0.0, math.log(2), 0.5),
    ],
)
def test_conventions_at_kinks(text: str, at: float, value: float, slope: float) -> None:
    case, x = case_of(text), np.array([at])
    for found in (value_and_slope(case, x), compiled(case, x)):
        assert [part[0] for part in found] == pytest.approx([value, slope], rel=1e-15)


COMPILED = [
    "exp(x) + expm1(x) * log(2 + sin(x)) - log1p(abs(x)) / sqrt(1 + x * x)",
    "tanh(x) * sigmoid(x) + erf(x) - sin(x) * cos(x) + atan(x) * asinh(x)",
    "min(x, 1) * max(x, -1) + relu(x) - softplus(-x) + sign(x) * abs(x - 1)",
    "where(x < 1, x, 2) + where(x <= 0, 1, 0) + where(x >= 2, 1, 0) - where(x == 0, 1, 0) + where(x != 0, -x, 3)",
    "(1 + x**2)**1.7 + 2.5**x - (1 + abs(x))**x + x**5 - 3 / (2 + x**4) + pi - e",
    "sinh(x) - cosh(x / 2) + log2(1 + x * x) * exp2(-x) + cbrt(x + 0.1) + erfc(x) - log_sigmoid(x)",
    "floor(1.3 * x) + ceil(0.7 * x) - round(1.9 * x) + clip(x, -1, 2) + normal_cdf(x) * normal_pdf(x)",
    "min(x, 1, x * x) + max(0, x, 0.5, 1 - x) + where(-1 < x <= 1 and not x == 0.5 or x > 3, (t := exp(x)) * t, 2)",
    "gelu(x, approximate='tanh') + elu(x, 0.7) * mish(x) - softplus(x, beta=2, threshold=3)",
    "1.5",
    "x",
]


@pytest.mark.parametrize("text", COMPILED)
def test_the_kernel_computes_what_the_formula_says(text: str) -> None:
    case = case_of(text)
    for a, b in zip(compiled(case, POINTS), value_and_slope(case, POINTS), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-13, atol=1e-13)


def test_every_function_is_compiled_somewhere() -> None:
    words = set(re.findall(r"[a-z][a-z0-9_]*", " ".join(COMPILED)))
    assert set(FUNCTIONS) <= words


# Random expressions: a tree, its text, and its value on complex numbers, whose imaginary part is the derivative

Tree = tuple[Any, ...]


def trees() -> st.SearchStrategy[Tree]:
    numbers = st.tuples(st.just("number"), st.sampled_from([0.25, 0.5, 1.0, 1.5, 2.0, 3.0]))
    leaves = st.one_of(st.just(("x",)), st.just(("x",)), numbers)
    return st.recursive(leaves, _grown, max_leaves=10)


def _grown(inner: st.SearchStrategy[Tree]) -> st.SearchStrategy[Tree]:
    unary = st.tuples(st.sampled_from(sorted(UNARY)), inner)
    binary = st.tuples(st.sampled_from(sorted(BINARY)), inner, inner)
    where = st.tuples(st.just("where"), st.sampled_from(["<", "<=", ">", ">="]), inner, inner, inner, inner)
    return st.one_of(unary, binary, where)


def _chosen(condition: Any, a: Any, b: Any) -> Any:
    return np.where(condition, a, b)


def _sigmoid(z: Any) -> Any:
    return 1 / (1 + np.exp(-z))


# text with {} for the arguments, and the same on complex numbers
UNARY: dict[str, Any] = {
    "-({})": lambda a: -a,
    "tanh({})": np.tanh,
    "sigmoid({})": _sigmoid,
    "erf({})": special.erf,
    "sin({})": np.sin,
    "cos({})": np.cos,
    "atan({})": np.arctan,
    "asinh({})": np.arcsinh,
    "exp(sin({}))": lambda a: np.exp(np.sin(a)),
    "expm1(-abs({}))": lambda a: np.exp(_chosen(a.real > 0, -a, a)) - 1,
    "log(1 + ({})**2)": lambda a: np.log(1 + a**2),
    "log1p(({})**2)": lambda a: np.log(1 + a**2),
    "sqrt(1 + ({})**2)": lambda a: np.sqrt(1 + a**2),
    "softplus(tanh({}))": lambda a: np.log(1 + np.exp(np.tanh(a))),
    "relu({})": lambda a: _chosen(a.real > 0, a, 0 * a),
    "({})**3": lambda a: a**3,
    "(1 + ({})**2)**-0.75": lambda a: (1 + a**2) ** -0.75,
    "2**tanh({})": lambda a: 2 ** np.tanh(a),
}
BINARY: dict[str, Any] = {
    "({}) + ({})": lambda a, b: a + b,
    "({}) - ({})": lambda a, b: a - b,
    "({}) * ({})": lambda a, b: a * b,
    "({}) / (1 + ({})**2)": lambda a, b: a / (1 + b**2),
    "min({}, {})": lambda a, b: _chosen(a.real < b.real, a, b),
    "max({}, {})": lambda a, b: _chosen(a.real > b.real, a, b),
    "(1.5 + sin({}))**tanh({})": lambda a, b: (1.5 + np.sin(a)) ** np.tanh(b),
}


def text_of(tree: Tree) -> str:
    if tree[0] == "x":
        return "x"
    if tree[0] == "number":
        return repr(tree[1])
    if tree[0] == "where":
        a, b, c, d = map(text_of, tree[2:])
        return f"where({a} {tree[1]} {b}, {c}, {d})"
    return str(tree[0]).format(*map(text_of, tree[1:]))


def complex_of(tree: Tree, z: Any) -> Any:
    if tree[0] == "x":
        return z
    if tree[0] == "number":
        return tree[1] + 0 * z
    inner = [complex_of(part, z) for part in tree[1:] if isinstance(part, tuple)]
    if tree[0] == "where":
        a, b, c, d = inner
        difference = np.where(a.real < b.real, -1, a.real > b.real)
        return _chosen(np.isin(difference, {"<": [-1], "<=": [-1, 0], ">": [1], ">=": [1, 0]}[tree[1]]), c, d)
    return (UNARY | BINARY)[tree[0]](*inner)


@given(trees())
def test_random_expressions_against_a_complex_step(tree: Tree) -> None:
    x = np.array([-2.71, -1.13, -0.37, 0.41, 1.07, 2.93])
    text = text_of(tree)
    if message := message_of(lambda: program(text)):
        assert re.search(r"characters; at most|more than|nested deeper", message)
        return
    case = case_of(text)
    reference, near = complex_of(tree, x + 1e-30j), complex_of(tree, x * (1 + 1e-13) + 1e-30j)
    value, slope = value_and_slope(case, x)
    smooth = np.abs(near.imag - reference.imag) < 1e-9 * (1e-30 + np.abs(reference.imag))  # not at a kink, not wild
    np.testing.assert_allclose(value[smooth], reference.real[smooth], rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(slope[smooth], reference.imag[smooth] / 1e-30, rtol=1e-8, atol=1e-8)


OPERANDS = st.sampled_from(["x", "2", "0.5", "3.", ".25", "1e0", "(x + 1)", "(2 - x)", "(-x)"])
SIGNS = st.lists(st.sampled_from(["-", "+", ""]), max_size=2).map("".join)


@given(st.lists(st.tuples(SIGNS, OPERANDS, st.sampled_from(["+", "-", "*", "/", "**"])), min_size=1, max_size=6))
def test_precedence_is_pythons(parts: list[tuple[str, str, str]]) -> None:
    text = "".join(sign + operand + operator for sign, operand, operator in parts).rstrip("+-*/")
    try:
        expected = eval(text, {"x": 1.3})  # the text is this test's own
        tape = parse(text)
    except (OverflowError, ZeroDivisionError, UsageError):
        return
    found = tape.tape.values(np.float64(1.3), {})[tape.value]
    if isinstance(expected, float | int) and np.isfinite(found):  # a negative base under ** is complex in Python
        assert found == pytest.approx(expected, rel=1e-12)


# The referee, and sampling against it


@pytest.mark.parametrize("text", ["x * sigmoid(x)", "x * tanh(softplus(x))", "min(max(x, -0.3), 1.7) * abs(x - 0.7)"])
@pytest.mark.parametrize("x", [Input(), Input("laplace", 0.5, 2.0), Input("uniform", -1.0, 3.0)])
def test_exact_values_against_scipy(text: str, x: Input) -> None:
    case = Case(expression_layer(text), {}, x)
    density = {
        "normal": lambda v: math.exp(-0.5 * v * v) / math.sqrt(2 * math.pi),
        "laplace": lambda v: math.exp(-math.sqrt(2) * abs(v)) / math.sqrt(2),
        "uniform": lambda v: 1 / math.sqrt(12),
    }[x.distribution]
    reach = math.sqrt(3) if x.distribution == "uniform" else 30.0
    breaks = sorted((k - x.mean) / x.std for k in (0.0, -0.3, 0.7, 1.7, x.mean))

    def mean(power: int, part: int) -> float:
        def integrand(z: float) -> float:
            v = np.array([x.mean + x.std * z])
            return float(value_and_slope(case, v)[part][0] ** power * density(z))

        return float(integrate.quad(integrand, -reach, reach, points=breaks, epsabs=1e-13, epsrel=1e-13, limit=500)[0])

    y, dx = (case.exact(row) for row in ROWS)
    assert y is not None
    assert dx is not None
    assert (y.mean, y.var + y.mean**2) == pytest.approx((mean(1, 0), mean(2, 0)), rel=1e-11, abs=1e-12)
    assert (dx.mean, dx.var) == pytest.approx((0.0, mean(2, 1)), rel=1e-11)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("relu(x)", [0.0]),
        ("softplus(x) + tanh(x)", []),
        ("min(max(x, -1.5), 2)", [-1.5, 2.0]),
        ("where(x * x > 2, 1, abs(x - 0.3))", [-math.sqrt(2), 0.3, math.sqrt(2)]),
        ("where(3 * x - 1 < 2, x, -x)", [1.0]),
        ("abs(max(x, 0))", [0.0]),
    ],
)
def test_kinks_are_found(text: str, expected: list[float]) -> None:
    case = case_of(text)
    found = [kink for kink in case.layer.kinks(case.params) if abs(kink) < 10.0]
    if "softplus" not in text:
        assert found == pytest.approx(expected, abs=1e-12)
    assert len(found) <= max(1, len(expected))


@pytest.fixture(autouse=True)
def own_layers() -> Iterator[None]:
    """What a test registers is gone after it."""
    before = dict(LAYERS)
    yield
    LAYERS.clear()
    LAYERS.update(before)


def test_sampling_agrees_with_the_referee() -> None:
    """By chance this fails with probability 10⁻⁶ (Bonferroni); the seed is fixed."""
    wide = Input("logistic", 0.5, 2.0)
    questions = [
        case_of("x * sigmoid(beta * x)", beta=1.702),
        case_of("x ** n + 1", n=3.0),
        case_of("where(x > 1, 1, where(x < -1, -1, x))"),
        Case(expression_layer("abs(x) ** 1.5 - softplus(x)"), {}, wide, Upstream("laplace")),
        Case(expression_layer("log(1 + x ** 2) * sin(3 * x)"), {}, wide),
    ]
    for case in questions:
        check(case.layer, case.params, case.x)
    lines = run(questions, 2**20, 5)
    assert len(lines) == 10
    assert all(line.exact is not None for line in lines)
    assert not disagreements(lines)


# What is not in the grammar

HOSTILE = [
    "__import__('os').system('touch owned')",
    "__import__",
    "().__class__.__bases__[0].__subclasses__()",
    "x.real",
    "x[0]",
    "'text'",
    '"""text"""',
    "f'{x}'",
    "lambda x: x",
    "(lambda: 0)()",
    "[x for x in x]",
    "{1: 2}",
    "x if x else x",
    "x := 3",
    "x = 3",
    "x; x",
    "x\\\nx",
    "x # comment",
    "exec(x)",
    "eval(x)",
    "open(x)",
    "getattr(x, x)",
    "el.exp(x)",
    "np",
    "v0",
    "p0",
    "(" * 10**6,
    "(" * 10**6 + "x" + ")" * 10**6,
    "(" * 400 + "x" + ")" * 400,
    "-" * 900 + "x",
    "x**" * 300 + "x",
    "exp(" * 200 + "x" + ")" * 200,
    "x" * 10_000_000,
    "1" * 10_000_000,
    "1" * 999,
    "+".join(["x"] * 500),
    "*".join(f"(x+{i})" for i in range(140)),
    "9**9**9**9",
    "10**10**10*x",
    "1e999",
    "-1e999",
    "1/0",
    "0/0*x",
    "log(-1)",
    "(-8)**(1/3)",
    "x**1e9",
    "x**65",
    "x**-65",
    "1e300*(1e300*x)",
    "sigmiod(x)",
    "beta*x",
    "sigmoid()",
    "sigmoid(x, 2)",
    "where(x > 0, 1)",
    "where(x, 1, 0)",
    "where((x > 0) > 0, x, 0)",
    "tanh(x,)",
    "tanh(,x)",
    "(x, x)",
    "x(",
    "where(0 < x <, x, 0)",
    "where(x > 0 and x, x, 0)",
    "where(not x, x, 0)",
    "where(x is 0, x, 0)",
    "where(x in x, x, 0)",
    "(x := 2) * x",
    "(tanh := x)",
    "(t := x) * (t := x)",
    "t * (t := x)",
    "(t.a := x)",
    "gelu(x, approximate='exact')",
    "gelu(x, approximat='tanh')",
    "gelu(approximate='tanh')",
    "gelu(*x)",
    "gelu(x, **x)",
    "elu(x, x)",
    "elu(x, 1, alpha=1)",
    "celu(x, 0)",
    "elu('tanh')",
    "max_pool2d(x)",
    "True",
    "None",
    "...",
    "x if x > 0 else 0",
    "min(x)",
    "clip(x, 0)",
    "x > 0",
    "max(x > 0, 1)",
    "max(,)",
    "max(x,)",
    "",
    " \t\n",
    "(x",
    "x)",
    "()",
    "x x",
    "2x",
    "x(2)",
    "pi(2)",
    "exp",
    "exp x",
    "x *",
    "* x",
    "x // 2",
    "x % 2",
    "x @ x",
    "x ^ 2",
    "x & 1",
    "~x",
    "!x",
    "x <> 1",
    "1_000 * x",
    "0x10",
    "1e",
    "1.5.2",
    "1j*x",
    "ｘ",
    "х",  # Cyrillic
    "x²",
    "２ * x",
    "x − 1",
    "x\u202e",
    "x\u00a0+ 1",
    "\ufeffx",
    "x\x00",
    "x\x1b[31m",
    "x\x85y",
    "\ud800",
    "not x",
    "x and x",
]


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_hostile_text_ends_in_one_line_and_runs_nothing(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def never(*arguments: Any, **more: Any) -> None:
        raise AssertionError("executed")

    monkeypatch.setattr("gradstat.layer_types.expression.emit.made", never)
    monkeypatch.setattr("builtins.eval", never)
    with pytest.raises(UsageError) as caught:
        expression_layer(text)
    message = str(caught.value)
    assert message.isascii()
    assert message.isprintable()
    assert len(message) < 500


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("x.real", "unknown name 'x.real' at character 1"),
        ("sigmiod(x)", "unknown name 'sigmiod' at character 1; did you mean 'sigmoid'?"),
        ("2*beta", "unknown name 'beta' at character 3; known: abs, "),
        ("x**1e9", "the exponent is 1e+09; whole exponents go from -64 to 64"),
        ("9**9**9**9", "'9**9**9' is inf, not a finite number"),
        ("(x", "it ends where ')' was expected"),
        ("tanh(x, x)", "tanh takes 1 argument, not 2, at character 1"),
        ("x > 0", "a comparison may stand in the condition of where(condition, a, b) only, not at character 1"),
        ("where(x, 1, 0)", "needs a comparison as its condition, such as x > 0, at character 7"),
        ("", "the expression is empty"),
        ("(" * 200, f"nested deeper than {DEEPEST} at character {DEEPEST + 1}"),
        ("x" * 5000, f"5000 characters; at most {LONGEST} are allowed"),
        ("1e300*(1e300*x)", "its derivative: "),
    ],
)
def test_messages_say_what_and_where(text: str, message: str) -> None:
    with pytest.raises(UsageError, match=re.escape(message)):
        program(text)


def survives(text: str) -> None:
    """Nothing but a UsageError comes out of any text, on its whole way to a kernel."""

    def whole() -> None:
        layer = expression_layer(text)
        check(layer, layer.resolve({}), Input())
        value_and_slope(Case(layer), np.linspace(-1.0, 1.0, 5))

    assert message_of(whole).isprintable()


@given(st.text(max_size=60))
def test_random_text(text: str) -> None:
    survives(text)


WORDS = ["x", "1", "2.5", ".5", "+", "-", "*", "/", "**", "(", ")", ",", "<", "==", "where(", "e", "pi", " "]


@given(st.lists(st.sampled_from([*WORDS, *(f"{name}(" for name in FUNCTIONS)]), max_size=25).map("".join))
def test_random_tokens(text: str) -> None:
    survives(text)


@pytest.mark.parametrize(
    "name", ["x", "e", "pi", "where", "tanh", "and", "not", "a b", "a.b", "", "β", "1a", "a\n", "a" * 5000 + "-"]
)
def test_names_that_a_parameter_cannot_have(name: str) -> None:
    with pytest.raises(UsageError, match="a parameter cannot be named") as caught:
        program("x", [name])
    assert len(str(caught.value)) < 300


def test_the_source_holds_nothing_of_the_text() -> None:
    names = ["__import__", "lambda", "el", "v0", "p0", "x0"]
    made = source(program("*".join(names) + "*x + where(x > lambda, __import__ ** 2, exp(el))", names), names)
    words = set(re.findall(r"[A-Za-z_][A-Za-z0-9_]*", made))
    assert all(re.fullmatch(r"x|return|el|where|exp|[vp][0-9]+", word) for word in words)


@pytest.mark.parametrize(
    "text", ["x" + "*tanh(x" * 49 + ")" * 49, "exp(sin(x))*" * 50 + "x", "1/(1+" * 45 + "x" + ")" * 45]
)
def test_derivatives_do_not_blow_up(text: str) -> None:
    found = program(text)
    assert len(found.tape.steps) <= 5 * len(parse(text).tape.steps) + 10 < LARGEST_PROGRAM


# Where an expression is not finite


@pytest.mark.parametrize(
    ("text", "x", "message"),
    [
        ("log(x)", Input(), "'log(x)' is nan at x = -0.1, and x is normal(0, 1)"),
        ("1 + x * log(x - 1)", Input(mean=9.0), "'log(x - 1)' is nan at x = 0.9"),
        ("sqrt(x)", Input("uniform", 1.0), "'sqrt(x)' is nan"),
        ("exp(exp(x))", Input(), "'exp(exp(x))' is inf at x = 6.5"),
        ("sqrt(max(x, 0))", Input(), "the derivative of 'sqrt(max(x, 0))' is inf"),
        ("x ** 0.5", Input(), "'x ** 0.5' is nan"),
        ("1 / (x - x)", Input(), "'1 / (x - x)' is "),
        ("max(log(x), 0)", Input(), "'log(x)' is nan"),
        ("x ** where(x > 0, 2, 3)", Input(), "is nan at x = -0.1"),
        ("floor(1000 * x)", Input(), "floor, ceil and round may jump once between "),
        ("exp(x)", Input("laplace", 0.0, 30.0), "'exp(x)' is inf at x = 7"),
    ],
)
def test_a_domain_that_x_leaves_is_an_error(text: str, x: Input, message: str) -> None:
    layer = expression_layer(text)
    with pytest.raises(UsageError, match=re.escape(message)):
        check(layer, layer.resolve({}), x)


@pytest.mark.parametrize(
    ("text", "x"),
    [
        ("where(x > 0, log(x), 0)", Input()),
        ("log(x)", Input("uniform", 10.0)),
        ("abs(x) ** 1.5", Input()),
        ("log(abs(x))", Input()),
        ("exp(x)", Input("laplace", 0.0, 10.0)),
    ],
)
def test_a_domain_that_x_keeps_is_not(text: str, x: Input) -> None:
    layer = expression_layer(text)
    check(layer, layer.resolve({}), x)


@pytest.mark.parametrize("text", ["1/(1+" * 45 + "x" + ")" * 45, "(1 - cos(x)) / x**2"])
def test_rounding_that_no_quadrature_can_refine_ends_without_exact_values(text: str) -> None:
    case = case_of(text)
    assert case.exact(ROWS[1]) is None


def test_a_division_by_a_zero_parameter_in_a_branch_not_taken() -> None:
    case = case_of("where(a > 0, x / a + 1 / a, x)", a=0.0)
    check(case.layer, case.params, case.x)
    exact = case.exact(ROWS[0])
    assert exact is not None
    assert exact.var == pytest.approx(1.0, rel=1e-12)


# Configuration and command line


def configured(*layers: dict[str, Any]) -> list[Case]:
    return cases(RunConfig.model_validate({"layer": list(layers)}))


def test_a_configuration_with_parameters_and_a_sweep() -> None:
    found = configured(
        {"expression": "x * sigmoid(beta * x)", "beta": 1.702},
        {"expression": "where(x > 0, x ** n, a * x)", "name": "bent", "a": 0.5, "sweep": {"n": [1, 2.5]}},
        {"name": "relu"},
        {"expression": " max(x,\n\t0)  "},
    )
    assert [case.layer.name for case in found] == ["expression", "bent", "bent", "relu", "expression"]
    assert found[0].params_json == '{"beta": 1.702, "expression": "x * sigmoid(beta * x)"}'
    assert found[-1].params_json == '{"expression": "max(x, 0)"}'
    labels = ["x * sigmoid(beta * x), beta=1.702", "bent: where(x > 0, x ** n, a * x), a=0.5, n=1"]
    labels += ["bent: where(x > 0, x ** n, a * x), a=0.5, n=2.5", "relu", "max(x, 0)"]
    assert [case.label for case in found] == labels
    assert [case.params["n"] for case in found[1:3]] == [1, 2.5]
    y, slope = value_and_slope(found[2], np.array([-2.0, 4.0]))
    assert (y.tolist(), slope.tolist()) == ([-1.0, 32.0], [0.5, 20.0])


@pytest.mark.parametrize(
    ("layer", "message"),
    [
        ({"expression": "x * beta"}, "unknown name 'beta'"),
        ({"expression": "x", "beta": 1.0}, "the parameter 'beta' does not occur in the expression"),
        ({"expression": "x * beta", "beta": "1"}, "beta = '1' is not allowed; expected a finite number"),
        ({"expression": "x * beta", "beta": True}, "beta = True is not allowed"),
        ({"expression": "x * beta", "sweep": {"beta": [1.0, "a"]}}, "beta = 'a' is not allowed"),
        ({"expression": "x", "name": "relu"}, "name = 'relu' is a layer of gradstat"),
        ({"expression": "x", "name": "a\x1bb"}, r"name = 'a\x1bb': letters, digits and _ are allowed"),
        ({"expression": "log(x)"}, "layer 1: expression 'log(x)': 'log(x)' is nan at x = -0.1"),
        ({"expression": "x ** n", "sweep": {"n": [2, 0.5]}}, "'x ** n' is nan"),
        ({"expression": "x ** n", "n": 1e9}, "the exponent is 1e+09"),
    ],
)
def test_mistakes_in_a_configuration(layer: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=re.escape(message)):
        configured(layer)


def test_an_expression_is_text(tmp_path: Path) -> None:
    path = tmp_path / "a.toml"
    path.write_text("[[layer]]\nexpression = 3\n")
    with pytest.raises(UsageError, match="layer 1: expression = 3"):
        load(path)


def gradstat_command(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "gradstat", *arguments]
    root = str(Path(gradstat.__file__).parents[1])
    environment = os.environ | {"PYTHONPATH": root}
    return subprocess.run(command, capture_output=True, text=True, cwd=folder, env=environment, check=False)


def test_the_command_line_end_to_end(tmp_path: Path) -> None:
    import pandas as pd

    (tmp_path / "own.toml").write_text(
        'samples = 100_000\n[[layer]]\nexpression = "x * sigmoid(beta * x)"\nbeta = 1.702\n'
        'printed = { forward_std = "0.58" }\n'
    )
    done = gradstat_command(tmp_path, "run", "own.toml", "-o", "own.parquet", "-o", "-")
    assert (done.returncode, "x * sigmoid(beta * x)" in done.stdout) == (0, True), done.stderr
    table = pd.read_parquet(tmp_path / "own.parquet")
    assert table["layer"].tolist() == ["expression", "expression"]
    assert (table["z_std"].abs() < 6).all()


@pytest.mark.parametrize("text", ["__import__('os').system('touch owned')", "(" * 10**6])
def test_the_command_line_refuses_in_one_line(tmp_path: Path, text: str) -> None:
    (tmp_path / "own.toml").write_text(f'[[layer]]\nexpression = "{text}"\n')
    done = gradstat_command(tmp_path, "run", "own.toml")
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert done.stderr.startswith("gradstat: own.toml: layer 1: expression ")
    assert not (tmp_path / "owned").exists()


def in_a_new_process(code: str, folder: Path, **variables: str) -> str:
    root = str(Path(gradstat.__file__).parents[1])
    environment = os.environ | {"PYTHONPATH": f"{root}:{folder}"} | variables
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=True)
    return done.stdout.strip()


def test_kernels_are_found_in_the_cache_by_their_content(tmp_path: Path) -> None:
    code = (
        "from gradstat.estimation.callbacks import callback_of\n"
        "from gradstat.layer_types.expression.layer import expression_layer\n"
        "from gradstat.layer_types.case import Case\n"
        "print(callback_of(Case(expression_layer({!r}))).cache_hits)"
    )
    texts = ["x * tanh(x)", "x * tanh(x)", "x*tanh( x )", "x * tanh(2 * x)"]
    hits = [in_a_new_process(code.format(text), tmp_path, XDG_CACHE_HOME=str(tmp_path)) for text in texts]
    assert hits == ["0", "1", "1", "0"]


# Registration from Python


def swoosh(x: Any, beta: float = 1.702) -> Any:
    s = el.sigmoid(beta * x)
    return x * s, s * (1.0 + beta * x * (1.0 - s))


def gate(x: Any, beta: float = 1.702) -> Any:
    return x * el.sigmoid(beta * x)


def gate_slope(x: Any, beta: float = 1.702) -> Any:
    s = el.sigmoid(beta * x)
    return s * (1.0 + beta * x * (1.0 - s))


def test_three_ways_to_register_and_one_result() -> None:
    gradstat.activation(swoosh)
    gradstat.activation(gate, gate_slope, name="quick")
    decorated = gradstat.activation(name="wrapped", formula="x·σ(1.702x)", kinks=(0.0,))(swoosh)
    assert decorated is swoosh
    assert find("wrapped").formula == "y = x·σ(1.702x)"
    assert find("wrapped").kinks({}) == (0.0,)
    questions = [Case(find(name), {"beta": 2.0}) for name in ("swoosh", "quick", "wrapped")]
    questions.append(case_of("x * sigmoid(beta * x)", beta=2.0))
    lines = run(questions, 2**17, 7)
    assert not disagreements(lines)
    for line in lines[:2]:
        same = [other for other in lines if other.row == line.row]
        assert len(same) == 4
        for other in same:
            assert other.estimates.std == pytest.approx(line.estimates.std, rel=1e-12)
            assert other.exact is not None
            assert line.exact is not None
            assert other.exact.var == pytest.approx(line.exact.var, rel=1e-12)


def test_a_name_can_be_registered_again_but_not_taken() -> None:
    gradstat.activation(swoosh)
    gradstat.activation(gate, gate_slope, name="swoosh")
    assert find("swoosh").kernel({}) is not swoosh
    with pytest.raises(UsageError, match="'relu' is already a layer of gradstat"):
        gradstat.activation(swoosh, name="relu")


def branching(x: Any) -> Any:
    return (x, 1.0) if x > 0 else (0.0, 0.0)


def without_default(x: Any, beta: Any) -> Any:
    return x, 1.0


def alone(x: Any) -> Any:
    return x


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((lambda x: (x, 1.0),), "cannot be named '<lambda>'"),
        ((branching,), "branching: not x → (y, dy/dx) on a NumPy array"),
        ((alone,), "alone: not x → (y, dy/dx)"),
        ((without_default,), "expected arguments (x, parameter=number, ...)"),
        ((gate, alone), "the function takes 2 arguments; its derivative must take the same number"),
        ((np.cbrt,), "expected a plain Python function, found ufunc"),
    ],
)
def test_functions_that_cannot_be_registered(arguments: tuple[Any, ...], message: str) -> None:
    with pytest.raises(UsageError, match=re.escape(message)):
        gradstat.activation(*arguments)


def uncompilable(x: Any) -> Any:
    y = np.vectorize(math.tanh)(x)
    return y, 1.0 - y * y


def test_a_function_that_numba_cannot_compile() -> None:
    gradstat.activation(uncompilable)
    with pytest.raises(UsageError, match="numba cannot compile this activation"):
        callback_of(Case(find("uncompilable")))


def test_a_changed_module_is_compiled_anew(tmp_path: Path) -> None:
    """The cache does not know the files of others: what they contain is never taken from it."""
    code = (
        "import gradstat, own\nfrom gradstat.estimation.run import run\n"
        "from gradstat.layer_types.case import Case; from gradstat.layer_types.registry import find\n"
        "gradstat.activation(own.mine); gradstat.activation(own.half, own.slope)\n"
        "print(*(round(line.estimates.std) for line in run([Case(find('mine')), Case(find('half'))], 10000, 1)))"
    )
    text = (
        "def mine(x):\n    return {0} * x, {0}.0 + 0.0 * x\n"
        "def half(x):\n    return {0} * x\ndef slope(x):\n    return {0}.0\n"
    )
    for factor in (3, 7):
        (tmp_path / "own.py").write_text(text.format(factor))
        assert in_a_new_process(code, tmp_path) == " ".join([str(factor)] * 4)


def test_importing_gradstat_stays_cheap() -> None:
    code = "import sys, gradstat; print(sorted({'numpy', 'numba', 'pydantic'} & set(sys.modules)))"
    assert in_a_new_process(code, Path(".")) == "[]"
