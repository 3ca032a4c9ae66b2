"""Gates, vectors, branches and the dropout family: kernels, derivatives, conventions and exact values."""

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from scipy import integrate, special, stats

from gradstat.assumptions import Input, Upstream
from gradstat.errors import UsageError
from gradstat.estimation.run import ResultRow, run
from gradstat.estimation.significance import disagreements, z_bound
from gradstat.layer_types.branches import BRANCHES, MAXOUT
from gradstat.layer_types.case import Case
from gradstat.layer_types.gates import GATES, GLU, REGLU
from gradstat.layer_types.normalization import VECTORS
from gradstat.layer_types.record import BACKWARD, FORWARD, Exact, Layer
from gradstat.layer_types.registry import LAYERS, find
from gradstat.layer_types.stochastic import ALPHA_DROPOUT, RRELU, STOCHASTIC
from tests.naive_vectors import NAIVE

TABLES = (*GATES, *VECTORS, *BRANCHES, *STOCHASTIC)

# Parameters worth testing beyond the defaults.
OTHERS: dict[str, list[dict[str, Any]]] = {
    "geglu": [{"approximate": "tanh"}],
    "swiglu": [{"beta": 1.702}, {"beta": -0.5}],
    "softmax": [{"n": 2}, {"n": 3}, {"n": 12}],
    "softmin": [{"n": 3}],
    "log_softmax": [{"n": 2}, {"n": 12}],
    "layer_norm": [{"n": 12}, {"n": 8, "eps": 0.1}],
    "rms_norm": [{"n": 12}, {"n": 8, "eps": 0.1}],
    "batch_norm": [{"n": 12}],
    "add": [{"k": 1}, {"k": 5}],
    "average": [{"k": 3}],
    "multiply": [{"k": 1}, {"k": 3}],
    "maxout": [{"k": 1}, {"k": 5}],
    "residual": [{"tau": 0.3}, {"tau": 2.0, "normalized": False}, {"tau": -0.5}],
    "dropout": [{"p": 0.1}, {"p": 0.0}, {"p": 0.3, "inverted": False}],
    "dropout2d": [{"p": 0.2, "size": 9}, {"inverted": False}],
    "drop_path": [{"p": 0.1, "inverted": False, "size": 1}],
    "alpha_dropout": [{"p": 0.1}, {"p": 0.0}],
    "feature_alpha_dropout": [{"p": 0.2, "size": 3}],
    "rrelu": [{"lower": -0.4, "upper": 0.3}, {"lower": 0.2, "upper": 0.2}, {"training": False}],
}
CASES = [Case(layer, given) for layer in TABLES for given in [{}, *OTHERS.get(layer.name, [])]]
each_case = pytest.mark.parametrize("case", CASES, ids=lambda case: case.label)
each_layer = pytest.mark.parametrize("layer", TABLES, ids=lambda layer: layer.name)


def apply(case: Case, x: np.ndarray, dy: np.ndarray, noise: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The kernel as plain Python; y and dx start as NaN, so that a slot left out shows."""
    y, dx = np.full((case.shape.n_out, x.shape[1]), np.nan), np.full(x.shape, np.nan)
    case.layer.kernel(case.params)(np.array(case.constants), x, dy, noise.copy(), y, dx)
    return y, dx


def draws(case: Case, lanes: int = 40) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(7)
    x, dy = rng.standard_normal((case.shape.n_in, lanes)), rng.standard_normal((case.shape.n_out, lanes))
    return 0.3 + 1.5 * x, dy, rng.random((case.shape.noise, lanes))


def test_every_layer_has_a_reference_and_is_found() -> None:
    names = {layer.name for layer in TABLES}
    assert names == set(NAIVE)
    assert names <= set(LAYERS)
    assert set(OTHERS) <= names
    assert all(find(alias) is layer for layer in TABLES for alias in layer.aliases)


@each_case
def test_kernel_equals_naive(case: Case) -> None:
    x, dy, noise = draws(case)
    kept = x.copy(), dy.copy()
    y, dx = apply(case, x, dy, noise)
    for lane in range(x.shape[1]):
        expected, jacobian = NAIVE[case.layer.name](case.params, x[:, lane], noise[:, lane])
        np.testing.assert_allclose(y[:, lane], expected, rtol=1e-12, atol=1e-14)
        np.testing.assert_allclose(dx[:, lane], jacobian.T @ dy[:, lane], rtol=1e-11, atol=1e-13)
    assert np.array_equal(x, kept[0])  # other layers of the group read them too
    assert np.array_equal(dy, kept[1])


def derivative_error(case: Case) -> float:
    """Largest |dx − central difference of Σ dy·y|, noise held fixed."""
    x, dy, noise = draws(case)
    _, dx = apply(case, x, dy, noise)
    h, worst = 1e-6, 0.0
    for slot in range(x.shape[0]):
        step = np.zeros_like(x)
        step[slot] = h
        above, below = apply(case, x + step, dy, noise)[0], apply(case, x - step, dy, noise)[0]
        worst = max(worst, np.abs(dx[slot] - (dy * (above - below)).sum(axis=0) / (2.0 * h)).max())
    return float(worst)


@each_case
def test_backward_is_the_derivative(case: Case) -> None:
    assert derivative_error(case) < 1e-7


def test_a_wrong_backward_is_noticed() -> None:
    def wrong(constants: Any, x: Any, dy: Any, noise: Any, y: Any, dx: Any) -> None:
        GLU.kernel({})(constants, x, dy, noise, y, dx)
        dx[1] *= 1.001

    assert derivative_error(Case(replace(GLU, kernel=lambda params: wrong))) > 1e-5


def test_conventions_at_kinks() -> None:
    dy = np.array([[2.0]])
    none = np.empty((0, 1))
    _, dx = apply(Case(MAXOUT, {"k": 3}), np.array([[1.0], [5.0], [5.0]]), dy, none)
    assert dx.ravel().tolist() == [0.0, 2.0, 0.0]  # the first of the largest
    _, dx = apply(Case(REGLU), np.array([[3.0], [0.0]]), dy, none)
    assert dx.ravel().tolist() == [0.0, 0.0]
    _, dx = apply(Case(RRELU), np.array([[0.0]]), dy, np.array([[0.5]]))
    assert dx[0, 0] == pytest.approx(2.0 * (1.0 / 8.0 + 1.0 / 3.0) / 2.0)
    y, _ = apply(Case(find("softmax")), np.full((8, 1), 1e300), np.zeros((8, 1)), none)
    assert y.ravel().tolist() == [0.125] * 8  # no overflow


@pytest.mark.parametrize(
    ("name", "given", "part"),
    [
        ("layer_norm", {"n": 3}, "from 4"),
        ("rms_norm", {"n": 2}, "from 3"),
        ("layer_norm", {"eps": -1e-5}, "at least 0"),
        ("softmax", {"n": 1}, "from 2"),
        ("multiply", {"k": 9}, "from 1 to 8"),
        ("maxout", {"k": True}, "whole number"),
        ("dropout2d", {"size": 0}, "whole number"),
        ("alpha_dropout", {"p": 1.0}, "[0, 1)"),
        ("rrelu", {"lower": 0.5, "upper": 0.25}, "lower ≤ upper"),
        ("geglu", {"approximate": "erf"}, "none"),
    ],
)
def test_impossible_parameters(name: str, given: dict[str, Any], part: str) -> None:
    with pytest.raises(UsageError, match=part.replace("[", r"\[").replace(")", r"\)")):
        _ = Case(find(name), given).shape


# Exact values. Sampling first: everything, under four sets of assumptions; then other integrals to many digits.

ASSUMPTIONS = {
    "normal": (Input(), Upstream()),
    "laplace": (Input("laplace", 0.3, 1.5), Upstream("laplace", 0.4)),
    "uniform": (Input("uniform", -0.5, 0.7), Upstream("normal", 1.0)),
    "logistic": (Input("logistic", 0.0, 0.8), Upstream("laplace", 0.5)),
    "shifted": (Input("normal", -1.0, 0.5), Upstream("normal", 0.25)),
}
HEAVY = {("multiply", 3)}  # products of long tails: no 10⁶ draws give them an honest error
DRAWS = 2**20


def sampled(x: Input, dy: Upstream) -> list[ResultRow]:
    cases = [Case(case.layer, case.given, x, dy) for case in CASES]
    light = [c for c in cases if x.distribution == "normal" or (c.layer.name, c.given.get("k")) not in HEAVY]
    return run(light, DRAWS, seed=20160328)


def scores(lines: Sequence[ResultRow]) -> list[tuple[str, float]]:
    """Every exact statistic of every row in standard errors; equality to rounding counts as 0."""
    found = []
    for line in lines:
        e, exact = line.estimates, line.exact
        if exact is None:
            continue
        values = {
            "mean": (e.mean, exact.mean, e.mean_se),
            "std": (e.std, math.sqrt(exact.var), e.std_se),
            "abs_mean": (e.abs_mean, exact.abs_mean, e.abs_mean_se),
            "mad": (e.mad, exact.mad, e.mad_se),
        }
        for statistic, (value, truth, error) in values.items():
            if truth is not None:
                size = e.std if exact.var else 1.0 / line.case.x.std  # of what cancels, where nothing is left
                same = abs(value - truth) <= 1e-12 * (abs(truth) + size)
                z = 0.0 if same else (value - truth) / error if error else math.inf
                found.append((f"{line.case.label} {line.row.direction} {line.row.cell} {statistic}", z))
    return found


@pytest.mark.parametrize("name", ASSUMPTIONS)
def test_sampling_agrees_with_the_referee(name: str) -> None:
    """False alarms: 10⁻⁶ over all the scores of one set of assumptions."""
    found = scores(sampled(*ASSUMPTIONS[name]))
    bound = z_bound(len(found))
    assert [entry for entry in found if not abs(entry[1]) <= bound] == []
    assert len(found) > 150


@pytest.mark.parametrize("layer", [GLU, ALPHA_DROPOUT, find("layer_norm")], ids=lambda layer: layer.name)
def test_a_wrong_referee_is_noticed(layer: Layer) -> None:
    def wrong(params: Any, row: Any, x: Input, dy: Upstream) -> Exact | None:
        exact = layer.referee(params, row, x, dy)
        return exact and replace(exact, var=exact.var * 1.02)

    assert disagreements(run([Case(replace(layer, referee=wrong))], DRAWS, seed=3))


def known(name: str, x: Input | None = None, dy: Upstream | None = None, **given: Any) -> dict[str, Any]:
    """The referee's rows: `forward`, `backward`, and cells by their names."""
    case = Case(find(name), given, x or Input(), dy or Upstream())
    rows = case.shape.rows
    return {row.direction if row.cell == "all" else row.cell: case.exact(row) for row in rows}


@pytest.mark.parametrize("layer", GATES, ids=lambda layer: layer.name)
def test_gates_by_double_integrals(layer: Layer) -> None:
    """Panels over the plane of (a, b), split at 0, against the referee's products of single integrals."""
    mean, std = 0.4, 1.3
    nodes, weights = special.roots_legendre(10)
    edges = np.r_[np.linspace(mean - 10.0 * std, 0.0, 13), np.linspace(0.0, mean + 10.0 * std, 13)[1:]]
    half = np.diff(edges)[:, None] / 2.0
    v = ((edges[1:] + edges[:-1])[:, None] / 2.0 + half * nodes).ravel()
    p = (half * weights).ravel() * stats.norm.pdf(v, mean, std)
    params = Case(layer).params
    values = [[NAIVE[layer.name](params, np.array([a, b]), np.empty(0)) for b in v] for a in v]
    forward = np.array([[y[0] for y, _ in line] for line in values])
    slope = np.array([[jacobian[0, 1] for _, jacobian in line] for line in values])
    rows = known(layer.name, Input("normal", mean, std))
    y, gate = rows[FORWARD], rows["gate"]
    assert y.mean == pytest.approx(p @ forward @ p, rel=1e-12)
    assert y.var == pytest.approx(p @ (forward - y.mean) ** 2 @ p, rel=1e-12)
    assert y.abs_mean == pytest.approx(p @ np.abs(forward) @ p, rel=1e-12)
    assert gate.var == pytest.approx(p @ slope**2 @ p, rel=1e-12)


@pytest.mark.parametrize("std", [0.05, 1.0, 3.0, 10.0])
def test_softmax_of_two_is_a_sigmoid(std: float) -> None:
    """y = σ(x₁ − x₂), the difference normal with variance 2σ²."""

    def mean_of(g: Callable[[float], float]) -> float:
        z = math.sqrt(2.0) * std
        points = [0.0, *(sign * at for sign in (-1, 1) for at in (0.1, 0.3, 1.0, 3.0))]
        return float(
            integrate.quad(lambda t: g(z * t) * stats.norm.pdf(t), -12, 12, epsabs=1e-14, limit=500, points=points)[0]
        )

    def sigmoid(v: float) -> float:
        return float(np.exp(-np.logaddexp(0.0, -v)))

    softmax, logs = known("softmax", Input("normal", 0.7, std), n=2), known("log_softmax", Input(std=std), n=2)
    square = mean_of(lambda v: sigmoid(v) ** 2)
    mean = mean_of(lambda v: -np.logaddexp(0.0, -v))
    assert softmax[FORWARD].mean == 0.5
    assert softmax[FORWARD].var == pytest.approx(square - 0.25, rel=1e-11)
    assert softmax[BACKWARD].var == pytest.approx(mean_of(lambda v: 2.0 * (sigmoid(v) * sigmoid(-v)) ** 2), rel=1e-12)
    assert logs[FORWARD].mean == pytest.approx(mean, rel=1e-12)
    assert logs[FORWARD].var == pytest.approx(mean_of(lambda v: (-np.logaddexp(0.0, -v) - mean) ** 2), rel=1e-11)
    assert logs[BACKWARD].var == pytest.approx(2.0 * square, rel=1e-12)


def test_norms_have_their_finite_n_backward() -> None:
    for n in (5, 16, 100, 10**6):
        layer, batch = known("layer_norm", Input(std=0.5), n=n), known("batch_norm", Input(std=0.5), n=n)
        rms = known("rms_norm", Input(std=0.5), n=n)
        assert batch == layer
        assert layer[BACKWARD].var == pytest.approx(4.0 * (n - 2) / (n - 3), rel=1e-14)
        assert rms[BACKWARD].var == pytest.approx(4.0 * (n - 1) / (n - 2), rel=1e-14)
    assert known("layer_norm", Input("laplace"))[BACKWARD] is None
    assert known("layer_norm", Input("laplace"), eps=1e-5) == {FORWARD: None, BACKWARD: None}
    assert known("rms_norm", Input("laplace", 0.1)) == {FORWARD: None, BACKWARD: None}


def test_equal_upstream_gradients_cancel() -> None:
    for name in ("softmax", "softmin", "layer_norm", "batch_norm"):
        dx = known(name, Input(std=2.0), Upstream(correlation=1.0))[BACKWARD]
        assert (dx.mean, dx.var, dx.abs_mean, dx.mad) == (0.0, 0.0, 0.0, 0.0)
        assert dx.enclosures["var"].is_zero


def test_inverse_sums_of_squares() -> None:
    """Laplace, n = 3: ∫ p(x)/|x|² in polar coordinates, the radial part done by hand: 8·∫ dΩ/(4‖u‖₁) over an octant."""

    def inverse(theta: float, phi: float) -> float:
        return math.sin(theta) / (math.sin(theta) * (math.cos(phi) + math.sin(phi)) + math.cos(theta))

    octant = integrate.dblquad(inverse, 0.0, math.pi / 2, 0.0, math.pi / 2, epsabs=1e-13, epsrel=1e-13)[0]
    dx = known("rms_norm", Input("laplace", std=2.0), n=3)[BACKWARD]
    assert dx.var == pytest.approx(2.0 * 2.0 * octant / 4.0, rel=1e-11)


def test_alpha_dropout_keeps_mean_and_variance() -> None:
    for p in (0.0, 0.1, 0.5):
        y = known("alpha_dropout", p=p)[FORWARD]
        assert (y.mean, y.var) == pytest.approx((0.0, 1.0), abs=1e-14)


def test_rrelu_of_a_normal() -> None:
    """E[y] = (1 − E[a])/√(2π), E[y²] = (1 + E[a²])/2 = E[(dx/dy)²]."""
    low, high = 1.0 / 8.0, 1.0 / 3.0
    square = (high**3 - low**3) / (3.0 * (high - low))
    rows = known("rrelu")
    y, dx = rows[FORWARD], rows[BACKWARD]
    mean = (1.0 - (low + high) / 2.0) / math.sqrt(2.0 * math.pi)
    assert y.mean == pytest.approx(mean, rel=1e-13)
    assert y.var == pytest.approx((1.0 + square) / 2.0 - mean**2, rel=1e-13)
    assert dx.var == pytest.approx((1.0 + square) / 2.0, rel=1e-13)


def test_residual_keeps_the_variance_where_normalized() -> None:
    for tau in (0.0, 0.3, 2.0):
        rows = known("residual", tau=tau)
        y, skip, branch, pooled = (rows[name] for name in (FORWARD, "skip", "residual", BACKWARD))
        assert y.var == pytest.approx(1.0, rel=1e-15)
        assert (skip.var, branch.var) == pytest.approx((1.0 / (1.0 + tau**2), tau**2 / (1.0 + tau**2)))
        assert pooled.var == pytest.approx(0.5)


@each_layer
def test_every_layer_has_an_exact_value_by_default(layer: Layer) -> None:
    case = Case(layer)
    assert all(case.exact(row) is not None for row in case.shape.rows)
    assert layer.referee_words != "none"
