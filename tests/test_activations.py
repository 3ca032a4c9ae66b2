"""The contract of every activation: derivative, kinks, naive reference, tails, kernel and referee."""

import math
from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from scipy import integrate, optimize

from gradstat.assumptions import Input, Upstream
from gradstat.errors import UsageError
from gradstat.layer_types.case import Case
from gradstat.layer_types.elementwise import ACTIVATIONS
from gradstat.layer_types.record import ALL, BACKWARD, FORWARD, Row
from gradstat.numerics.draws import LANES
from tests.layer_cases import SMALL_CASES, grows_exponentially, run_compiled, run_plain
from tests.naive_activations import NAIVE, reference

# Every activation as it is by default, and each one with parameters once more with others.
OTHERS: list[tuple[str, dict[str, Any]]] = [
    ("leaky_relu", {"negative_slope": 0.3}),
    ("prelu", {"weight": -0.5}),
    ("hardtanh", {"min_val": -2.0, "max_val": 0.5}),
    ("hardshrink", {"lambd": 1.0}),
    ("softshrink", {"lambd": 0.2}),
    ("threshold", {"threshold": 0.5, "value": -1.0}),
    ("elu", {"alpha": 1.7}),
    ("celu", {"alpha": 2.0}),
    ("softplus", {"beta": 2.0, "threshold": 3.0}),
    ("softplus", {"beta": -0.7}),
    ("gelu", {"approximate": "tanh"}),
    ("gelu", {"approximate": "quick"}),
    ("silu", {"beta": 1.7}),
    ("smooth_leaky_relu", {"negative_slope": 0.5}),
    ("snake", {"alpha": 2.5}),
]
CASES: list[tuple[str, dict[str, Any]]] = [(name, {}) for name in ACTIVATIONS] + OTHERS
SMALL = [(case.layer.name, dict(case.given)) for case in SMALL_CASES if case.layer.elementwise]


def parametrize(cases: list[tuple[str, dict[str, Any]]]) -> pytest.MarkDecorator:
    """One test for each case, named by layer and parameters."""
    named = {}
    for name, given in cases:
        named[" ".join([name, *(f"{key}={value}" for key, value in given.items())])] = (name, given)
    return pytest.mark.parametrize(("name", "given"), [pytest.param(*case, id=words) for words, case in named.items()])


each_case = parametrize(CASES + SMALL)
each_known_case = parametrize(CASES)

# (name, parameters, x, y, dy/dx) at every kink, measured with PyTorch 2.13 in float64 (relu_squared: relu(x)**2).
AT_KINKS = [
    ("relu", {}, 0.0, 0.0, 0.0),
    ("relu6", {}, 0.0, 0.0, 0.0),
    ("relu6", {}, 6.0, 6.0, 0.0),
    ("leaky_relu", {}, 0.0, 0.0, 0.01),
    ("leaky_relu", {"negative_slope": 0.3}, 0.0, 0.0, 0.3),
    ("prelu", {}, 0.0, 0.0, 0.25),
    ("hardtanh", {}, -1.0, -1.0, 0.0),
    ("hardtanh", {}, 1.0, 1.0, 0.0),
    ("hardtanh", {"min_val": -2.0, "max_val": 0.5}, -2.0, -2.0, 0.0),
    ("hardtanh", {"min_val": -2.0, "max_val": 0.5}, 0.5, 0.5, 0.0),
    ("hardtanh", {"min_val": 0.5, "max_val": 0.5}, 0.0, 0.5, 0.0),
    ("hardtanh", {"min_val": 0.5, "max_val": 0.5}, 0.5, 0.5, 0.0),
    ("hardsigmoid", {}, -3.0, 0.0, 0.0),
    ("hardsigmoid", {}, 3.0, 1.0, 0.0),
    ("hardswish", {}, -3.0, 0.0, 0.0),
    ("hardswish", {}, 3.0, 3.0, 1.0),
    ("hardshrink", {}, -0.5, 0.0, 0.0),
    ("hardshrink", {}, 0.5, 0.0, 0.0),
    ("hardshrink", {"lambd": 0.0}, 0.0, 0.0, 0.0),
    ("softshrink", {}, -0.5, 0.0, 0.0),
    ("softshrink", {}, 0.5, 0.0, 0.0),
    ("softshrink", {"lambd": 0.0}, 0.0, 0.0, 0.0),
    ("threshold", {}, 0.0, 0.0, 0.0),
    ("threshold", {"threshold": 0.5, "value": -1.0}, 0.5, -1.0, 0.0),
    ("abs", {}, 0.0, 0.0, 0.0),
    ("sign", {}, 0.0, 0.0, 0.0),
    ("elu", {}, 0.0, 0.0, 1.0),
    ("elu", {"alpha": 1.7}, 0.0, 0.0, 1.7),
    ("celu", {}, 0.0, 0.0, 1.0),
    ("celu", {"alpha": 2.0}, 0.0, 0.0, 1.0),
    ("selu", {}, 0.0, 0.0, 1.7580993408473766),
    ("softsign", {}, 0.0, 0.0, 1.0),
    ("softplus", {}, 20.0, 20.000000002061153, 0.9999999979388464),
    ("softplus", {}, 20.0000001, 20.0000001, 1.0),
    ("softplus", {"beta": 2.0, "threshold": 3.0}, 1.5, 1.524293675786871, 0.9525741268224333),
    ("relu_squared", {}, 0.0, 0.0, 0.0),
]
INPUTS = [Input(), Input(mean=0.3, std=1.7)]
UNPROVEN = [("snake", {"alpha": 2.5}, INPUTS[1])]  # E|dx|: the slope touches 0 too often


def settled(name: Any, given: Any) -> Any:
    """The layer, its parameters, and x ↦ (y, dy/dx)."""
    layer = ACTIVATIONS[name]
    params = layer.resolve(given)
    formula, constants = layer.kernel(params), layer.constants(params)
    return layer, params, lambda x: formula(x, *constants)


def points(kinks: Any = (), margin: Any = 0.0) -> Any:
    """Random points, most of them near 0, some up to ±1000; none within `margin` of a kink."""
    random = np.random.default_rng(7)
    x = np.r_[2.0 * random.standard_normal(2000), random.uniform(-40.0, 40.0, 300), random.uniform(-1e3, 1e3, 200)]
    x = np.r_[x, 1e-3 * random.standard_normal(100), -1e3, 1e3]
    return x[np.all(np.abs(x[:, None] - np.array([*kinks, np.inf])) > margin, axis=1)]


def test_the_reference_has_every_activation() -> None:
    assert set(NAIVE) == set(ACTIVATIONS)


def check_derivative(layer: Any, given: Any) -> Any:
    """Fourth-order central differences, farther from every kink than they reach."""
    params = layer.resolve(given)
    formula, constants = layer.kernel(params), layer.constants(params)

    def function(x: Any) -> Any:
        return [np.broadcast_to(part, x.shape) for part in formula(x, *constants)]

    h = 1e-3
    x = points(layer.kinks(params), 3.0 * h)
    x = x[np.abs(x) < 40.0]
    near, far = function(x + h)[0] - function(x - h)[0], function(x + 2.0 * h)[0] - function(x - 2.0 * h)[0]
    y, slope = function(x)
    error = np.abs((8.0 * near - far) / (12.0 * h) - slope)
    assert np.all(error <= 1e-9 * (1.0 + np.abs(slope) + np.abs(y)))


@each_case
def test_derivative_is_the_central_difference(name: Any, given: Any) -> None:
    check_derivative(ACTIVATIONS[name], given)


def test_a_wrong_slope_is_caught() -> None:
    def wrong(x: Any) -> Any:
        return np.tanh(x), (1.0 + 1e-6) / np.cosh(np.minimum(np.abs(x), 300.0)) ** 2

    with pytest.raises(AssertionError):
        check_derivative(replace(ACTIVATIONS["tanh"], kernel=lambda params: wrong), {})


@pytest.mark.parametrize(("name", "given", "x", "y", "slope"), AT_KINKS)
def test_value_at_a_kink_is_that_of_pytorch(name: Any, given: Any, x: Any, y: Any, slope: Any) -> None:
    """As a number, as an array, and compiled."""
    assert settled(name, given)[2](x) == pytest.approx((y, slope), rel=4e-16, abs=0.0)
    case, arrays = Case(ACTIVATIONS[name], given), (np.full((1, LANES), x), np.ones((1, LANES)), np.empty((0, LANES)))
    for runner in (run_plain, run_compiled):
        found = runner(case, *arrays)
        assert (found[0][0, 0], found[1][0, 0]) == pytest.approx((y, slope), rel=4e-16, abs=0.0)


def test_every_kink_is_in_the_table() -> None:
    kinks = {(name, kink) for name, layer in ACTIVATIONS.items() for kink in layer.kinks(layer.resolve({}))}
    assert kinks <= {(name, x) for name, given, x, _, _ in AT_KINKS if not given}


@each_case
def test_formula_is_the_naive_one(name: Any, given: Any) -> None:
    layer, params, function = settled(name, given)
    x = points(layer.kinks(params))
    if params.get("alpha", 1.0) < 0.0:  # celu grows exponentially below 0
        x = x[np.abs(x) < 100.0]
    with np.errstate(over="ignore" if grows_exponentially(layer) else "raise", invalid="raise", divide="raise"):
        y, slope = (np.broadcast_to(part, x.shape) for part in function(x))
    for got in zip(x, y, slope, strict=True):
        want = reference(name, float(got[0]), **params)
        assert math.isclose(got[1], want[0], rel_tol=1e-13, abs_tol=1e-15 * max(1.0, abs(got[0]))), (got, want)
        assert math.isclose(got[2], want[1], rel_tol=1e-13, abs_tol=1e-15 * max(1.0, abs(got[0]))), (got, want)


@each_case
def test_floats_and_arrays_agree(name: Any, given: Any) -> None:
    _, _, function = settled(name, given)
    x = np.linspace(-7.0, 7.0, 29)
    y, slope = (np.broadcast_to(part, x.shape) for part in function(x))
    for i, value in enumerate(x):
        assert function(float(value)) == pytest.approx((y[i], slope[i]), rel=1e-15, abs=1e-16)


# Where |x| is large, the small part of y and of dy/dx is right in its own digits too.
BOTH, SLOPE = (0, 1), (1,)
TAILS = [
    *((name, -x, BOTH) for name in ("sigmoid", "softplus", "silu", "mish", "telu", "serf") for x in (30.0, 300.0)),
    *((name, x, SLOPE) for name in ("sigmoid", "tanh", "lecun_tanh") for x in (-300.0, -30.0, 30.0, 300.0)),
    *((name, -x, SLOPE) for name in ("elu", "celu", "selu", "shifted_softplus") for x in (30.0, 300.0)),
    *(("logsigmoid", x, BOTH) for x in (30.0, 300.0)),
    *(("gaussian", x, BOTH) for x in (-10.0, 10.0)),
]


@pytest.mark.parametrize(("name", "x", "parts"), TAILS)
def test_tails_keep_their_digits(name: Any, x: Any, parts: Any) -> None:
    _, params, function = settled(name, {})
    got, want = function(x), reference(name, x, **params)
    for part in parts:
        assert got[part] == pytest.approx(want[part], rel=1e-13, abs=0.0)


@each_case
def test_kernel_is_the_formula(name: Any, given: Any) -> None:
    """Compiled: points up to ±1000, three batches of them."""
    layer, _, function = settled(name, given)
    for x in np.resize(points(), (3, 1, LANES)):
        with np.errstate(over="ignore"):
            want = [np.broadcast_to(part, x.shape) for part in function(x)]
        found = run_compiled(Case(layer, given), x, np.ones((1, LANES)), np.empty((0, LANES)))
        np.testing.assert_allclose(found[0], want[0], rtol=1e-13, atol=1e-15, equal_nan=False)
        np.testing.assert_allclose(found[1], want[1], rtol=1e-13, atol=1e-15, equal_nan=False)


def quadrature(g: Any, x: Any, kinks: Any) -> Any:
    """E[g(x)] of a normal x by scipy, panel by panel."""
    marks = {x.mean + x.std * z for z in (-38, -20, -12, *range(-9, 10), 12, 20, 38)} | set(kinks)
    edges = sorted(edge for edge in marks if abs(edge - x.mean) <= 38.0 * x.std)

    def weighted(v: Any) -> Any:
        z = (v - x.mean) / x.std
        return g(v) * math.exp(-0.5 * z * z) / (math.sqrt(2.0 * math.pi) * x.std)

    return math.fsum(
        integrate.quad(weighted, *panel, epsabs=1e-18, epsrel=1e-13, limit=200, full_output=1)[0]
        for panel in pairwise(edges)
    )


@pytest.mark.parametrize("x", INPUTS, ids=Input.label)
@each_known_case
def test_referee_is_the_quadrature_of_scipy(name: Any, given: Any, x: Any) -> None:
    layer, params, _ = settled(name, given)
    kinks = layer.kinks(params)
    forward = layer.referee(params, Row(FORWARD, ALL, (0,)), x, Upstream())
    backward = layer.referee(params, Row(BACKWARD, ALL, (0,)), x, Upstream())

    mean = quadrature(lambda v: reference(name, v, **params)[0], x, kinks)
    var = quadrature(lambda v: (reference(name, v, **params)[0] - mean) ** 2, x, kinks)
    assert forward.mean == pytest.approx(mean, rel=1e-12, abs=1e-12 * math.sqrt(var))
    assert forward.var == pytest.approx(var, rel=1e-12, abs=0.0)

    var = quadrature(lambda v: reference(name, v, **params)[1] ** 2, x, kinks)
    size = quadrature(lambda v: abs(reference(name, v, **params)[1]), x, (*kinks, *sign_changes(name, params)))
    assert backward.mean == 0.0
    assert backward.var == pytest.approx(var, rel=1e-12, abs=0.0)
    if backward.abs_mean is None:
        assert (name, given, x) in UNPROVEN
    else:
        assert backward.abs_mean == pytest.approx(size * math.sqrt(2.0 / math.pi), rel=1e-12, abs=0.0)


def sign_changes(name: Any, params: Any) -> Any:
    """Where the derivative changes its sign: the corners of |dy/dx|."""

    def slope(v: Any) -> Any:
        return reference(name, v, **params)[1]

    grid = np.linspace(-20.0, 20.0, 2001) + 1e-7
    return [optimize.brentq(slope, a, b, xtol=1e-15) for a, b in pairwise(grid) if slope(a) * slope(b) < 0.0]


def test_every_record_names_either_pytorchs_function_or_a_source() -> None:
    assert [layer.name for layer in ACTIVATIONS.values() if bool(layer.torch) == bool(layer.source)] == []


@pytest.mark.parametrize(
    ("name", "given", "words"),
    [
        ("hardtanh", {"min_val": 1.0, "max_val": -1.0}, "min_val at most max_val"),
        ("softshrink", {"lambd": -1.0}, "a number of at least 0"),
        ("celu", {"alpha": 0.0}, "a number other than 0"),
        ("softplus", {"beta": 0.0}, "a number other than 0"),
        ("snake", {"alpha": 0}, "a number other than 0"),
        ("gelu", {"approximate": "fast"}, '"none" or "tanh" or "quick"'),
    ],
)
def test_impossible_parameters_are_named(name: Any, given: Any, words: Any) -> None:
    with pytest.raises(UsageError, match=words):
        ACTIVATIONS[name].resolve(given)
