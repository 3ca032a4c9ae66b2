"""Callables: functions written with NumPy, PyTorch or JAX become the steps of the expression that one would type."""

import functools
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numba
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import special

import gradstat
from gradstat.cli.app import start
from gradstat.cli.callables import imported
from gradstat.errors import UsageError
from gradstat.layer_types.case import Case
from gradstat.layer_types.expression.callables import expression_of, traced
from gradstat.layer_types.expression.grammar import parse
from gradstat.layer_types.expression.layer import expression_layer
from gradstat.layer_types.expression.spelling import spelled
from gradstat.layer_types.expression.tape import Tape
from gradstat.layer_types.record import BACKWARD, FORWARD, Row

Steps = list[tuple[Any, ...]]
ROWS = (Row(FORWARD, "all", (0,)), Row(BACKWARD, "all", (0,)))


def steps(tape: Tape, root: int) -> Steps:
    """The steps that a value needs, numbered in the order in which a walk from it finishes them."""
    numbers: dict[int, int] = {}
    listed: Steps = []

    def walk(index: int) -> int:
        if index not in numbers:
            step = tape.steps[index]
            arguments = tuple(walk(argument) for argument in step.arguments)
            numbers[index] = len(listed)
            listed.append((step.operation, arguments, repr(step.payload)))
        return numbers[index]

    walk(root)
    return listed


def steps_of(text: str) -> Steps:
    parsed = parse(text)
    return steps(parsed.tape, parsed.value)


def case_of(function: Callable[..., Any]) -> Case:
    return Case(expression_layer(expression_of(function)))


# Random formulas: typed, as a function of NumPy's, and as one of PyTorch's where it is installed

Tree = tuple[Any, ...]
UNARY = {
    "-{}": lambda m, a: -a,
    "abs({})": lambda m, a: abs(a),
    "exp({})": lambda m, a: m.exp(a),
    "expm1({})": lambda m, a: m.expm1(a),
    "tanh({})": lambda m, a: m.tanh(a),
    "sin({})": lambda m, a: m.sin(a),
    "cos({})": lambda m, a: m.cos(a),
    "atan({})": lambda m, a: m.arctan(a),
    "asinh({})": lambda m, a: m.arcsinh(a),
    "sinh({})": lambda m, a: m.sinh(a),
    "cosh({})": lambda m, a: m.cosh(a),
    "sign({})": lambda m, a: m.sign(a),
    "floor({})": lambda m, a: m.floor(a),
    "ceil({})": lambda m, a: m.ceil(a),
    "round({})": lambda m, a: m.round(a),
    "exp2({})": lambda m, a: m.exp2(a),
    "log1p({}**2)": lambda m, a: m.log1p(a**2),
    "log2(1 + {}**2)": lambda m, a: m.log2(1 + a**2),
    "sqrt(1 + {}**4)": lambda m, a: m.sqrt(1 + a**4),
    "clip({}, -1.5, 2)": lambda m, a: m.clip(a, -1.5, 2),
    "(1 + {}**2)**-0.75": lambda m, a: (1 + a**2) ** -0.75,
    "2**{}": lambda m, a: 2**a,
}
BINARY = {
    "{} + {}": lambda m, a, b: a + b,
    "{} - {}": lambda m, a, b: a - b,
    "{} * {}": lambda m, a, b: a * b,
    "{} / {}": lambda m, a, b: a / b,
    "min({}, {})": lambda m, a, b: m.minimum(a, b),
    "max({}, {})": lambda m, a, b: m.maximum(a, b),
    "where({} < {}, x, 1)": lambda m, a, b: m.where(a < b, X[0], 1.0),
    "where(x >= {} and not x == {}, 2, x)": lambda m, a, b: m.where((X[0] >= a) & ~(X[0] == b), 2.0, X[0]),
}
X: list[Any] = [None]  # x, for the templates that use it beside their arguments
LEAVES = st.one_of(st.just(("x",)), st.sampled_from([0.25, 1.0, 2.0, 3.0]).map(lambda v: ("number", v)))


def grown(inner: st.SearchStrategy[Tree]) -> st.SearchStrategy[Tree]:
    unary = st.tuples(st.sampled_from(sorted(UNARY)), inner)
    return st.one_of(unary, st.tuples(st.sampled_from(sorted(BINARY)), inner, inner))


TREES = st.recursive(LEAVES, grown, max_leaves=8)


def text_of(tree: Tree) -> str:
    if tree[0] == "x":
        return "x"
    return repr(tree[1]) if tree[0] == "number" else tree[0].format(*(f"({text_of(part)})" for part in tree[1:]))


def value_of(tree: Tree, library: Any, x: Any) -> Any:
    X[0] = x
    if tree[0] == "x":
        return x
    if tree[0] == "number":
        return tree[1]
    return (UNARY | BINARY)[tree[0]](library, *(value_of(part, library, x) for part in tree[1:]))


def depends_on_x(tree: Tree) -> bool:
    """Every operation on numbers alone is Python's or NumPy's own and no step."""
    return tree[0] == "x" or (len(tree) > 1 and tree[0] != "number" and all(map(depends_on_x, tree[1:])))


def message_of(call: Callable[[], Any]) -> str:
    try:
        call()
    except UsageError as error:
        return str(error)
    return ""


@given(TREES)
def test_a_traced_function_has_the_steps_of_the_typed_formula(tree: Tree) -> None:
    text = text_of(tree)
    if message_of(lambda: parse(text)) or not all(map(depends_on_x, tree[1:] if tree[0] in BINARY else [tree])):
        return
    assert steps_of(expression_of(lambda x: value_of(tree, np, x))) == steps_of(text)


@given(TREES)
def test_a_typed_formula_spelled_again_has_the_same_steps(tree: Tree) -> None:
    text = text_of(tree)
    if message_of(lambda: parse(text)):
        return
    parsed = parse(text)
    assert steps_of(spelled(parsed.tape, parsed.value)) == steps(parsed.tape, parsed.value)


@given(TREES)
def test_a_traced_function_has_the_values_of_the_function(tree: Tree) -> None:
    x = np.array([-2.71, -1.13, -0.37, 0.41, 1.07, 2.93])
    if message_of(lambda: traced(lambda v: value_of(tree, np, v))):
        return
    tape, value = traced(lambda v: value_of(tree, np, v))
    with np.errstate(all="ignore"):
        expected = value_of(tree, np, x) * np.ones(6)
        actual = tape.values(x, {})[value] * np.ones(6)
    fine = np.isfinite(expected) & (np.abs(expected) < 1e6)
    np.testing.assert_allclose(actual[fine], expected[fine], rtol=1e-9, atol=1e-9)


def test_a_changed_number_changes_the_steps() -> None:
    """The comparison of the tests above sees a difference."""
    assert steps_of("x * tanh(1.5 * x)") != steps_of("x * tanh(1.5000000000000002 * x)")
    assert steps_of("where(x < 1, x, 2)") != steps_of("where(x <= 1, x, 2)")


# Callables as people write them

SLOPE = 0.2


def helper(x: Any) -> Any:
    return math.exp(-abs(x))


def with_math(x: Any) -> Any:
    return max(x, 0.0) + math.log1p(helper(x))


@numba.njit  # type: ignore[untyped-decorator]
def inner_jitted(x: Any) -> Any:
    return 1.0 / (1.0 + math.exp(-x))


@numba.njit  # type: ignore[untyped-decorator]
def jitted(x: Any) -> Any:
    return x * inner_jitted(SLOPE * x)


@numba.vectorize  # type: ignore[untyped-decorator]
def vectorized(x: Any) -> Any:
    return x * math.tanh(x)


def closure(beta: float) -> Callable[[Any], Any]:
    def swish(x: Any) -> Any:
        return x / (1.0 + np.exp(-beta * x))

    return swish


def masked(x: Any) -> Any:
    y = np.asarray(x, dtype=np.float64).copy()
    y[y < 0] = 0.0
    y *= 2.0
    return y


def bounded(x: Any, low: float = -1.0, high: float = 1.0) -> Any:
    return np.clip(x, low, high)


class Activation:
    """A callable object with parameters, which cannot be hashed."""

    __hash__ = None  # type: ignore[assignment]

    def __init__(self, alpha: float) -> None:
        self.alpha = np.float32(alpha)

    def __call__(self, x: Any) -> Any:
        return np.where(x > 0, x, self.alpha * np.expm1(x))


WRITTEN: list[tuple[Callable[..., Any], str]] = [
    (np.tanh, "tanh(x)"),
    (math.erf, "erf(x)"),
    (special.expit, "sigmoid(x)"),
    (lambda x: x * np.tanh(x), "x * tanh(x)"),
    (lambda x: np.maximum(0, x) ** 2, "max(0.0, x) * max(0.0, x)"),
    (
        lambda x: np.where(x > 0, x, np.exp(x) - 1) / (1 + np.exp(-x)),
        "where(x > 0.0, x, exp(x) - 1.0) / (1.0 + exp(-x))",
    ),
    (
        lambda x: 0.5 * x * (1 + np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3))),
        "0.5 * x * (1.0 + tanh(0.7978845608028654 * (x + 0.044715 * x ** 3.0)))",
    ),
    (lambda x: x * special.ndtr(x), "x * normal_cdf(x)"),
    (lambda x: np.logaddexp(0.0, x), "softplus(x)"),
    (lambda x: x * ((x > -1) & (x < 1)), "x * where(x > -1.0 and x < 1.0, 1.0, 0.0)"),
    (lambda x: np.select([x < -1, x > 1], [-1.0, 1.0], x), "where(x < -1.0, -1.0, where(x > 1.0, 1.0, x))"),
    (lambda x: x % 1, "x - 1.0 * floor(x / 1.0)"),
    (with_math, "max(x, 0.0) + log1p(exp(-abs(x)))"),
    (jitted, "x * (1.0 / (1.0 + exp(-(0.2 * x))))"),
    (vectorized, "x * tanh(x)"),
    (np.vectorize(with_math), "max(x, 0.0) + log1p(exp(-abs(x)))"),
    (closure(1.702), "x / (1.0 + exp(-1.702 * x))"),
    (functools.partial(bounded, high=6.0), "clip(x, -1.0, 6.0)"),
    (masked, "where(x < 0.0, 0.0, x) * 2.0"),
    (Activation(0.5), "where(x > 0.0, x, 0.5 * expm1(x))"),
    (lambda x: (np.tanh(np.exp(x) - np.sin(3 * x) / 7)) ** 2, "(t1 := tanh(exp(x) - sin(3.0 * x) / 7.0)) * t1"),
    (lambda x: 3, "3.0"),
]


@pytest.mark.parametrize(("function", "text"), WRITTEN, ids=[text for _, text in WRITTEN])
def test_a_callable_becomes_the_text_that_one_would_type(function: Callable[..., Any], text: str) -> None:
    assert expression_of(function) == text
    assert steps_of(text)


@pytest.mark.parametrize(("function", "text"), WRITTEN, ids=[text for _, text in WRITTEN])
def test_the_layer_of_a_callable_computes_what_it_computes(function: Callable[..., Any], text: str) -> None:
    x = np.linspace(-2.96, 3.04, 97)
    scalar = function in (math.erf, with_math, jitted)
    case = case_of(function)
    expected = [function(float(v)) for v in x] if scalar else function(x.copy())
    y, slope = case.layer.kernel(case.params)(x)
    np.testing.assert_allclose(y * np.ones(97), expected * np.ones(97), rtol=1e-12, atol=1e-14)
    step = 1e-6
    near = [case.layer.kernel(case.params)(x + side)[0] * np.ones(97) for side in (-step, step)]
    smooth = np.abs(near[1] - near[0]) < 0.1  # not at a jump
    np.testing.assert_allclose((slope * np.ones(97))[smooth], ((near[1] - near[0]) / (2 * step))[smooth], atol=2e-8)


def test_the_gain_of_a_callable_is_that_of_the_layer_it_spells() -> None:
    from gradstat.layer_types.registry import find

    ours, silu = case_of(closure(1.0)), Case(find("silu"))
    for row in ROWS:
        a, b = ours.exact(row), silu.exact(row)
        assert a is not None
        assert b is not None
        assert (a.mean, a.var) == pytest.approx((b.mean, b.var), rel=1e-12)


def test_a_function_of_steps_is_sampled() -> None:
    """σ of ⌊x + ½⌋ is that of the rounded normal distribution: its slope is 0, and has no kurtosis."""
    answer = gradstat.gain(lambda x: np.floor(x + 0.5))
    outer = [special.ndtr(-(n - 0.5)) for n in range(1, 9)]
    variance = 2.0 * sum((2 * n - 1) * p for n, p in enumerate(outer, 1))
    error = answer.forward.std.error
    assert error is not None
    assert abs(answer.forward.std - math.sqrt(variance)) < 6.0 * error
    assert float(answer.backward.std) == 0.0


def test_the_function_and_its_module_are_left_alone() -> None:
    before = dict(globals())
    expression_of(with_math)
    expression_of(jitted)
    assert all(globals()[name] is value for name, value in before.items())
    assert with_math(1.0) == pytest.approx(math.log1p(math.exp(1.0)))


# What cannot be traced


def branching(x: Any) -> Any:
    if x > 0:
        return x
    return 0.1 * x


def aliased(x: Any) -> Any:
    y = x
    y += 1.0
    return x * y


def unknown_deep_inside(x: Any) -> Any:
    return 1.0 + np.tanh(np.sinc(x))


class NoInstance:
    def __init__(self, x: Any) -> None:
        pass

    def __call__(self, x: Any) -> Any:
        return x


UNTRACEABLE: list[tuple[Any, str]] = [
    (branching, "'branching' cannot be traced: `if`, `while`, "),
    (aliased, "a value is used again that was changed in place at test_callables.py, line "),
    (unknown_deep_inside, "np.sinc is not available in expressions (test_callables.py, line "),
    (lambda x: np.sum(x), "np.sum is not available"),
    (lambda x: np.add.reduce(x), "np.add.reduce is called"),
    (lambda x: np.interp(x, [0, 1], [0, 1]), "np.interp is not available"),
    (lambda x: x @ np.eye(2), "it is combined with ndarray of shape (2, 2)"),
    (lambda x: x * np.arange(3.0), "it is combined with ndarray of shape (3,); a number is expected"),
    (lambda x: x * "2", "it is combined with str"),
    (lambda x: x * 2j, "it is combined with complex"),
    (lambda x: x[0], "its argument is indexed"),
    (lambda x: list(x), "its argument is taken apart as a sequence"),
    (lambda x: int(x) * x, "a function of single numbers"),
    (lambda x: (x, x), "it returns a tuple; one number is expected"),
    (lambda x: None, "it returns nothing"),
    (lambda x: np.exp(x, out=np.zeros(3)), "np.exp is called with out"),
    (lambda x: x.clamp(0, 1, 2), "clamp is called in a way that is not known"),
    (lambda x: x.tahn(), "the function or method tahn is not available"),
    (lambda x: x * math.inf, "is inf, not a finite number"),
    (lambda x: x**65, "the exponent is 65"),
    (lambda x: functools.reduce(lambda a, b: np.sin(a * b + 1), range(300), x), "more than 200 operations"),
    (lambda x, y: x, "it takes (x, y); a function of one variable is expected"),
    (lambda: 1.0, "it takes (); a function of one variable is expected"),
    (lambda x: 1 / 0, "ZeroDivisionError: division by zero"),
    (NoInstance, "it returns a NoInstance; one number is expected; give an instance of it: NoInstance()"),
    (3, "it is a int; a function of one variable is expected"),
]


@pytest.mark.parametrize(("function", "message"), UNTRACEABLE, ids=[message for _, message in UNTRACEABLE])
def test_what_cannot_be_traced_is_one_line_with_a_way_out(function: Any, message: str) -> None:
    with pytest.raises(UsageError) as caught:
        expression_of(function)
    text = str(caught.value)
    assert message in text
    assert text.endswith("register it with its derivative: gradstat.activation(f, derivative)")
    assert text.isprintable()


def test_a_message_names_the_line_of_the_function() -> None:
    line = branching.__code__.co_firstlineno + 1
    with pytest.raises(UsageError, match=rf"\(test_callables.py, line {line}\)"):
        expression_of(branching)


def test_a_message_names_no_line_of_a_library() -> None:
    with pytest.raises(UsageError, match=r"np.sinc is not available in expressions; or register"):
        expression_of(np.sinc)


def test_the_command_line_imports_a_callable() -> None:
    assert imported("tests.test_callables:branching").__name__ == "branching"
    assert expression_of(imported("numpy:tanh")) == "tanh(x)"
    for path, message in {
        "numpy": "expected package.module:name",
        "numpy:tahn": "has no attribute 'tahn'",
        "no_such_module:f": "No module named 'no_such_module'",
        "math:pi": "is a float; expected a function",
    }.items():
        with pytest.raises(UsageError, match=message):
            imported(path)


def swish(x: Any, beta: float) -> Any:
    return x / (1.0 + np.exp(-beta * x))


def test_the_public_face_takes_functions() -> None:
    ours, known = gradstat.gain(swish, beta=1.702), gradstat.gain("gelu", approximate="quick")
    assert ours.forward.std == pytest.approx(float(known.forward.std), rel=1e-12)
    assert ours.backward.gain_rms == pytest.approx(float(known.backward.gain_rms), rel=1e-12)
    assert gradstat.layer(swish, beta=2).params == {"expression": "x / (1.0 + exp(-2.0 * x))"}
    with pytest.raises(UsageError, match="'branching' cannot be traced"):
        gradstat.gain(branching)


def test_the_command_takes_functions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    (tmp_path / "own_functions.py").write_text("def bent(x, a=0.5):\n    return abs(x) * a + x\n")
    monkeypatch.chdir(tmp_path)
    assert start(["gain", "--callable", "own_functions:bent", "a=0.25", "--format", "json"]) == 0
    assert '"abs(x) * 0.25 + x"' in capsys.readouterr().out.replace("\\", "")
    assert start(["gain", "--callable", "own_functions:bend"]) == 2
    assert start(["gain", "--callable", "own_functions:bent", "--expression", "x"]) == 2


# PyTorch's protocol, with an object that speaks it, and with PyTorch itself


def torch_like(name: str) -> Callable[..., Any]:
    """A function that does what PyTorch's do with an argument that has `__torch_function__`."""

    def function(*arguments: Any, **options: Any) -> Any:
        for value in (*arguments, *options.values()):
            if hasattr(type(value), "__torch_function__"):
                return type(value).__torch_function__(function, (type(value),), arguments, options)
        raise AssertionError("no argument speaks the protocol")

    function.__name__ = name
    return function


class Parameter:
    """A tensor of one number, as PyTorch's modules hold them."""

    shape = (1,)

    def item(self) -> float:
        return 0.25

    def __mul__(self, other: Any) -> Any:
        return type(other).__torch_function__(torch_like("mul"), (type(other),), (self, other), None)


TORCH_LIKE: list[tuple[Callable[[Any], Any], str]] = [
    (lambda x: torch_like("gelu")(x, approximate="tanh"), 'gelu(x, approximate="tanh")'),
    (lambda x: torch_like("gelu")(x, approximate="none"), "gelu(x)"),
    (
        lambda x: torch_like("hardtanh")(torch_like("gelu")(x), min_val=-1.0, max_val=2.0),
        "hardtanh(gelu(x), max_val=2.0)",
    ),
    (lambda x: torch_like("softplus")(x, 2.0, 20.0), "softplus(x, beta=2.0, threshold=20.0)"),
    (lambda x: torch_like("leaky_relu")(x, negative_slope=0.2, inplace=False), "leaky_relu(x, negative_slope=0.2)"),
    (lambda x: torch_like("_threshold")(x, 0.1, 2.0, inplace=False), "threshold(x, threshold=0.1, value=2.0)"),
    (lambda x: torch_like("prelu")(x, Parameter()), "prelu(x)"),
    (lambda x: Parameter() * x, "0.25 * x"),
    (lambda x: x + torch_like("relu")(x, inplace=True), "relu(x) + relu(x)"),
    (lambda x: torch_like("add")(x, x, alpha=2), "x + x * 2.0"),
    (lambda x: x.clamp(min=0).pow(2).neg(), "-(max(x, 0.0) * max(x, 0.0))"),
    (lambda x: torch_like("where")(x > 0, x, torch_like("zeros_like")(x)), "where(x > 0.0, x, 0.0)"),
    (lambda x: x.masked_fill(x < 0, 0.0), "where(x < 0.0, 0.0, x)"),
    (lambda x: torch_like("dropout")(x, 0.5, False), "x"),
]


@pytest.mark.parametrize(("function", "text"), TORCH_LIKE, ids=[text for _, text in TORCH_LIKE])
def test_functions_that_speak_pytorchs_protocol(function: Callable[[Any], Any], text: str) -> None:
    assert expression_of(function) == text
    assert steps_of(text)


def test_a_module_that_draws_at_random_is_refused() -> None:
    with pytest.raises(UsageError, match=r"draws at random; call .eval\(\) on the module"):
        expression_of(lambda x: torch_like("dropout")(x, 0.5, True))
    with pytest.raises(UsageError, match="torch's softmax is not available in expressions"):
        expression_of(lambda x: torch_like("softmax")(x, -1))
    with pytest.raises(UsageError, match="unknown parameter of elu 'alhpa'; did you mean 'alpha'"):
        expression_of(lambda x: torch_like("elu")(x, alhpa=2.0))


def test_pytorch_itself() -> None:
    torch = pytest.importorskip("torch")
    functional, nn = torch.nn.functional, torch.nn
    points = torch.linspace(-3.0, 3.0, 61, dtype=torch.float64) + 1e-3
    modules = [
        nn.GELU(),
        nn.GELU("tanh"),
        nn.Sequential(nn.GELU(), nn.Hardtanh()),
        nn.PReLU(),
        nn.ELU(0.7),
        nn.CELU(2.0),
        nn.SELU(),
        nn.Mish(),
        nn.SiLU(),
        nn.Softsign(),
        nn.Softshrink(0.3),
        nn.Hardswish(),
        nn.LogSigmoid(),
        nn.Softplus(2.0),
        nn.LeakyReLU(0.2),
        nn.ReLU6(),
        nn.Threshold(0.1, 2.0),
        nn.Tanhshrink(),
        lambda x: x * torch.sigmoid(1.7 * x),
        lambda x: functional.softplus(x, beta=2) / torch.tensor(3.0),
        lambda x: torch.where(x > 0, x, torch.expm1(x)),
        lambda x: torch.maximum(x, torch.zeros_like(x)).square(),
    ]
    for module in modules:
        case = case_of(module)
        y, slope = case.layer.kernel(case.params)(points.numpy())
        x = points.clone().requires_grad_()
        value = (module.double() if isinstance(module, nn.Module) else module)(x)
        value.sum().backward()
        np.testing.assert_allclose(y * np.ones(61), value.detach().numpy(), rtol=1e-12, atol=1e-14)
        np.testing.assert_allclose(slope * np.ones(61), x.grad.numpy(), rtol=1e-7, atol=1e-12)


@given(TREES)
def test_random_functions_of_pytorch(tree: Tree) -> None:
    torch = pytest.importorskip("torch")
    text = text_of(tree)
    if message_of(lambda: parse(text)) or not depends_on_x(tree):
        return
    assert steps_of(expression_of(lambda x: value_of(tree, torch, x))) == steps_of(text)


def test_jax_itself() -> None:
    jax = pytest.importorskip("jax")
    points = np.linspace(-3.0, 3.0, 61) + 1e-3
    functions = [
        jax.numpy.tanh,
        jax.nn.relu,
        jax.nn.gelu,
        jax.nn.elu,
        jax.nn.softplus,
        jax.jit(lambda x: x * jax.numpy.tanh(jax.numpy.exp(x))),
        lambda x: jax.numpy.where(x > 0, x, 0.2 * x) * 0.1,
        lambda x: jax.numpy.clip(x, -1, 1) ** 3,
    ]
    for function in functions:
        case = case_of(function)
        y, slope = case.layer.kernel(case.params)(points)
        with jax.enable_x64(True):
            value, grad = jax.vmap(function)(points), jax.vmap(jax.grad(function))(points)
        np.testing.assert_allclose(y, value, rtol=1e-12, atol=1e-13)
        np.testing.assert_allclose(slope, grad, rtol=1e-11, atol=1e-12)
