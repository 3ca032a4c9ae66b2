"""Exact moments of linear layers and convolutions: against sums over every weight, against samples, at real sizes."""

import itertools
import math
import tracemalloc
from collections import Counter
from collections.abc import Sequence
from fractions import Fraction
from typing import Any

import mpmath
import numpy as np
import pytest

from gradstat.assumptions import Input, Upstream
from gradstat.estimation.sample_values import values
from gradstat.layer_types.case import Case
from gradstat.layer_types.exact import closed_forms
from gradstat.layer_types.exact.enclosure import Enclosure, enclosure
from gradstat.layer_types.linear import moments
from gradstat.layer_types.record import ALL, BACKWARD, FORWARD, Exact, Row
from gradstat.layer_types.registry import find
from tests.naive_layers import forward_of_convolution, matrix_of
from tests.window_cases import Array, case_of

# Every case is small enough for sums over all fourfold products of its terms.
SMALL: list[tuple[str, dict[str, Any]]] = [
    ("linear", {"in_features": 3, "out_features": 2}),
    ("linear", {"in_features": 1, "out_features": 3}),
    ("conv1d", {"kernel_size": 3, "stride": 2}),
    ("conv1d", {"kernel_size": 2, "in_channels": 4, "out_channels": 2, "groups": 2}),
    ("conv1d", {"kernel_size": 2, "size": 2, "padding": 1}),
    ("conv_transpose1d", {"kernel_size": 3, "stride": 2, "in_channels": 1}),
    ("conv2d", {"kernel_size": 2, "in_channels": 1, "out_channels": 2}),
]
NORMALIZE = ("fan_in", "fan_out", "none")
ASSUMED = [
    (Input(), Upstream()),
    (Input("laplace", 0.5, 2.0), Upstream("laplace", 0.25)),
    (Input("normal", 0.7, 1.3, 0.6), Upstream("normal", 0.5)),
]
KURTOSIS = {"normal": 3.0, "laplace": 6.0}
REAL: list[tuple[str, dict[str, Any]]] = [
    ("linear", {"in_features": 4096, "out_features": 11008}),
    ("linear", {"in_features": 4096, "out_features": 2}),
    ("linear", {"in_features": 100, "out_features": 100}),
    ("conv2d", {"in_channels": 512, "out_channels": 512, "kernel_size": 3}),
    ("conv2d", {"in_channels": 64, "out_channels": 64, "kernel_size": 3}),
]


def row_of(case: Case, direction: str) -> Row:
    return next(row for row in case.shape.rows if (row.direction, row.cell) == (direction, ALL))


def exact_of(case: Case, direction: str) -> Exact:
    found = case.exact(row_of(case, direction))
    assert found is not None
    return found


def weight_matrices(case: Case) -> tuple[list[Array], list[Any]]:
    """Of every weight: what it adds to ∂y/∂x where it is 1 (without normalization), and what its norm belongs to."""
    p = case.params
    if case.layer.name == "linear":
        n_in, n_out = p["in_features"], p["out_features"]
        shape = (n_out, n_in)
        units = [unit.reshape(shape) for unit in np.eye(n_in * n_out)]
        return units, [out if p["normalize"] == "fan_in" else in_ for out, in_ in np.ndindex(shape)]
    transposed = "transpose" in case.layer.name
    dims = len(case.shape.grid)
    kernel = (p["kernel_size"],) * dims
    sides = (p["in_channels"], p["out_channels"] // p["groups"])
    shape = (*(sides if transposed else (p["out_channels"], p["in_channels"] // p["groups"])), *kernel)
    matrices, owners = [], []
    for place in np.ndindex(shape):
        unit = np.zeros(shape)
        unit[place] = 1.0
        matrices.append(matrix_of(forward_of_convolution(case, unit), case.shape.n_in))
        first, second = place[:2]
        second += first // (shape[0] // p["groups"]) * shape[1]
        out, in_ = (second, first) if transposed else (first, second)
        owners.append(out if p["normalize"] == "fan_in" else in_)
    return matrices, owners


def weight_moment(case: Case, owners: Sequence[Any], weights: Sequence[int]) -> float:
    """E[w₁w₂w₃w₄] of one weight of each index."""
    p, counts = case.params, Counter(weights)
    if any(count % 2 for count in counts.values()):
        return 0.0
    if p["normalize"] == "none":
        if p["weight"] == "gaussian":
            return float(math.prod({2: 1.0, 4: 3.0}[count] for count in counts.values()))
        fan_in = p["in_features"] if case.layer.name == "linear" else fan_in_of(case)
        return float(math.prod({2: 1 / (3 * fan_in), 4: 1 / (5 * fan_in**2)}[count] for count in counts.values()))
    found = 1.0
    for owner in {owners[w] for w in counts}:
        own, size = [counts[w] for w in counts if owners[w] == owner], owners.count(owner)
        found *= {(2,): 1 / size, (4,): 3 / (size * (size + 2)), (2, 2): 1 / (size * (size + 2))}[tuple(own)]
    return found


def fan_in_of(case: Case) -> int:
    p = case.params
    channels = p["out_channels"] if "transpose" in case.layer.name else p["in_channels"]
    return int(channels // p["groups"] * p["kernel_size"] ** len(case.shape.grid))


def signal_moment(case: Case, direction: str, slots: Sequence[int]) -> float:
    """E[u₁u₂u₃u₄] of the inputs, or of dy, in these slots."""
    if direction == BACKWARD:
        return upstream_moment(case.dy, slots)
    x, grid = case.x, case.shape.grid
    room = math.prod(grid)

    def covariance(i: int, j: int) -> float:
        if i == j:
            return x.std**2
        if i // room != j // room:
            return 0.0
        apart = np.abs(np.subtract(np.unravel_index(i % room, grid), np.unravel_index(j % room, grid))).sum()
        return float(x.std**2 * x.correlation**apart)

    if x.distribution == "normal":  # Isserlis
        a, b, c_, d = slots
        pairs = [((a, b), (c_, d)), ((a, c_), (b, d)), ((a, d), (b, c_))]
        m = x.mean
        return m**4 + sum(
            covariance(*one) * covariance(*two) + m * m * (covariance(*one) + covariance(*two)) for one, two in pairs
        )
    powers: dict[int, float] = {1: x.mean, 2: x.mean**2 + x.std**2, 3: x.mean**3 + 3 * x.mean * x.std**2}
    powers[4] = KURTOSIS[x.distribution] * x.std**4 + 6 * x.mean**2 * x.std**2 + x.mean**4
    return float(math.prod(powers[n] for n in Counter(slots).values()))


def upstream_moment(dy: Upstream, slots: Sequence[int]) -> float:
    """dy = √c·shared + √(1 − c)·own: the sum over the factors that are the shared number."""
    c, even = dy.correlation, {0: 1.0, 1: 0.0, 2: 1.0, 3: 0.0, 4: KURTOSIS[dy.distribution]}
    found = 0.0
    for shared in itertools.product((False, True), repeat=4):
        own = Counter(slot for slot, is_shared in zip(slots, shared, strict=True) if not is_shared)
        size = math.prod(math.sqrt(c if is_shared else 1.0 - c) for is_shared in shared)
        found += size * even[sum(shared)] * math.prod(even[count] for count in own.values())
    return found


def brute_force(case: Case, direction: str) -> tuple[float, float]:
    """Variance and kurtosis of a row, by sums over all products of four terms."""
    matrices, owners = weight_matrices(case)
    square = fourth = 0.0
    slots = row_of(case, direction).slots
    for slot in slots:
        terms = []
        for weight, matrix in enumerate(matrices):
            line = matrix[slot] if direction == FORWARD else matrix[:, slot]
            terms += [(weight, int(other), line[other]) for other in np.flatnonzero(line)]
        for four in itertools.product(terms, repeat=4):
            of_weights = weight_moment(case, owners, [weight for weight, _, _ in four])
            if of_weights:
                fourth += of_weights * signal_moment(case, direction, [other for _, other, _ in four])
        square += sum(weight_two(case, owners, weight) * signal_two(case, direction) for weight, _, _ in terms)
    var = square / len(slots)
    return var, fourth / len(slots) / var**2


def weight_two(case: Case, owners: Sequence[Any], weight: int) -> float:
    """E[w²]."""
    if case.params["normalize"] != "none":
        return 1 / owners.count(owners[weight])
    fan_in = case.params["in_features"] if case.layer.name == "linear" else fan_in_of(case)
    return 1.0 if case.params["weight"] == "gaussian" else 1 / (3 * fan_in)


def signal_two(case: Case, direction: str) -> float:
    return case.x.mean**2 + case.x.std**2 if direction == FORWARD else 1.0


@pytest.mark.parametrize("assumed", ASSUMED, ids=lambda pair: pair[0].label())
@pytest.mark.parametrize("normalize", NORMALIZE)
@pytest.mark.parametrize(("name", "given"), SMALL)
def test_variance_and_kurtosis_are_sums_over_all_products_of_terms(
    name: str, given: dict[str, Any], normalize: str, assumed: tuple[Input, Upstream]
) -> None:
    for weight in ("gaussian", "uniform") if normalize == "none" else ("gaussian",):
        case = Case(find(name), given | {"normalize": normalize, "weight": weight}, *assumed)
        for direction in (FORWARD, BACKWARD):
            exact = exact_of(case, direction)
            assert exact.mean == 0.0
            assert (exact.var, exact.kurtosis) == pytest.approx(brute_force(case, direction), rel=1e-12)
            assert exact.skewness == 0.0
            assert set(exact.enclosures) >= {"mean", "var", "kurtosis"}


SAMPLED = [
    *(Case(find("linear"), {"weight": "orthogonal", "in_features": i, "out_features": o}) for i, o in ((3, 2), (2, 4))),
    Case(find("linear"), {"weight": "orthogonal", "in_features": 3}, Input("laplace", 1.0), Upstream("laplace")),
    Case(find("linear"), {"weight": "uniform", "normalize": "none"}, Input("uniform"), Upstream("normal", 0.5)),
    Case(find("linear"), {"weight": "uniform"}),
    Case(find("linear"), {"weight": "flat"}, Input("laplace", 0.5), Upstream("laplace", 0.5)),
    Case(find("linear"), {"weight": "flat"}, Input("normal", 0.5, 1.0, 0.5), Upstream("laplace")),
    Case(find("linear"), {"normalize": "none", "in_features": 2}),
    case_of("conv", "1d", {"kernel_size": 3, "stride": 2}, per_tap="root"),
    case_of("conv", "1d", {"kernel_size": 3, "stride": 2}, per_tap=True, normalize="fan_in"),
    case_of("conv", "1d", {"kernel_size": 2, "size": 3, "padding": 1}, weight="uniform", normalize="none"),
    Case(find("conv1d"), {"weight": "flat", "kernel_size": 2, "size": 3, "padding": 1}, Input("laplace", 1.0)),
    case_of("conv_transpose", "1d", {"kernel_size": 3, "stride": 2}, normalize="fan_in"),
]
DRAWS = 2**16


def z_scores(case: Case, row: Row, exact: Exact) -> dict[str, float]:
    """Differences of sampled moments from exact ones, in standard errors over draws."""
    v = values(case, row, DRAWS, seed=20160328) - exact.mean
    found = {"mean": v, "var": v**2 - exact.var}
    if exact.kurtosis is not None:
        found["kurtosis"] = v**4 - exact.kurtosis * exact.var**2
    if exact.skewness is not None:
        found["skewness"] = v**3 - exact.skewness * exact.var**1.5
    if exact.abs_mean is not None:
        found["abs_mean"] = np.abs(v + exact.mean) - exact.abs_mean
    if exact.mad is not None:
        found["mad"] = np.abs(v) - exact.mad
    draws = {name: value.mean(axis=0) for name, value in found.items()}
    return {name: float(d.mean() / (d.std(ddof=1) / math.sqrt(d.size))) for name, d in draws.items()}


@pytest.mark.parametrize("case", SAMPLED, ids=lambda case: case.label)
def test_samples_have_the_exact_moments(case: Case) -> None:
    """Together 10⁻⁵ false alarms: |z| < 6 in about 150 comparisons, whose squares and fourth powers have long tails."""
    for row in case.shape.rows:
        exact = case.exact(row)
        if exact is not None:
            scores = z_scores(case, row, exact)
            assert all(abs(z) < 6.0 for z in scores.values()), (row, scores)


def test_a_kurtosis_of_three_would_be_caught() -> None:
    """Negative control: y of two normal inputs and drawn weights is not normal."""
    case = SAMPLED[7]
    row = row_of(case, FORWARD)
    exact = exact_of(case, FORWARD)
    assert exact.kurtosis == pytest.approx(3.0 * (3 * 2 + 2) / 4)
    wrong = Exact(0.0, exact.var, kurtosis=3.0)
    assert abs(z_scores(case, row, wrong)["kurtosis"]) > 6.0


@pytest.mark.parametrize(("name", "given"), REAL)
@pytest.mark.parametrize("normalize", NORMALIZE)
def test_layers_of_real_size_have_proven_values(name: str, given: dict[str, Any], normalize: str) -> None:
    """fan_in: rows of norm 1, so σ[y] is that of x; fan_out: the same for columns and dx; none: the number of terms."""
    case = Case(find(name), given | {"normalize": normalize})
    taps = 9 if name == "conv2d" else 1
    n_in, n_out = (taps * n for n in list(given.values())[:2])
    squares = {"fan_in": Fraction(1, n_in), "fan_out": Fraction(1, n_out), "none": Fraction(1)}
    for direction, terms in ((FORWARD, n_in), (BACKWARD, n_out)):
        exact = exact_of(case, direction)
        assert exact.enclosures["mean"].is_zero
        assert exact.enclosures["var"].bounds == (terms * squares[normalize],) * 2
        if name == "linear":
            size = n_in if normalize == "fan_in" else n_out  # the weights that share a norm
            own = normalize == ("fan_in" if direction == FORWARD else "fan_out")
            apart = (
                3 * (terms + 2) / terms if normalize == "none" else (9 * size / (size + 2) + 3 * (terms - 1)) / terms
            )
            assert exact.kurtosis == pytest.approx(3.0 if own else apart, rel=1e-14)


def test_the_default_of_torch_nn_linear_has_a_third_of_the_variance() -> None:
    for given in ({}, {"in_features": 4096, "out_features": 11008}):
        case = Case(find("linear"), given | {"weight": "uniform", "normalize": "none"})
        assert exact_of(case, FORWARD).enclosures["var"].bounds == (Fraction(1, 3),) * 2
    p = case.params
    assert exact_of(case, BACKWARD).enclosures["var"].middle == Fraction(p["out_features"], 3 * p["in_features"])


def test_correlated_inputs_of_linear_lie_on_a_line() -> None:
    """Σ 2^−|i − j| over eight inputs is 20 + 1/64; flat weights of fan_out 4 are 1/2."""
    case = Case(find("linear"), {"weight": "flat"}, Input(correlation=0.5))
    exact = exact_of(case, FORWARD)
    assert exact.enclosures["var"].contains_zero is False
    assert exact.enclosures["var"].middle == pytest.approx(Fraction(1281, 256))
    assert math.sqrt(exact.var) == pytest.approx(2.237, abs=5e-4)
    line = sum(Fraction(1, 2 ** abs(i - j)) for i in range(8) for j in range(8)) / 4
    assert within(moments.geometric(8, enclosure(Fraction(1, 2))) / 4, line)


def test_memory_does_not_grow_with_the_matrix() -> None:
    """Constants and exact values of 45 million weights take less than the numbers of all features would."""
    case = Case(find("linear"), {"in_features": 4096, "out_features": 11008})
    tracemalloc.start()
    assert len(case.constants) < 100
    for row in case.shape.rows:
        assert case.exact(row) is not None
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 8_000_000


def within(found: Enclosure, value: Any) -> bool:
    low, high = found.bounds
    return bool(low <= value <= high)


def fraction(value: Any) -> Fraction:
    return Fraction(*mpmath.mpf(value).as_integer_ratio())


@pytest.mark.parametrize("n", [1, 2, 9, 4096, 45_000])
def test_mean_length_encloses_mpmaths(n: int) -> None:
    with mpmath.workdps(400):
        wanted = mpmath.sqrt(2) * mpmath.gammaprod([mpmath.mpf(n + 1) / 2], [mpmath.mpf(n) / 2])
        assert within(closed_forms.mean_length(n), fraction(wanted))
    assert closed_forms.mean_length(n).certain_digits() == 100


@pytest.mark.parametrize(("mean", "var"), [(0.0, 2.0), (0.3, 0.5), (-7.0, 1.0), (40.0, 2.0), (1e-9, 1.0), (2.0, 0.0)])
def test_mean_size_of_a_normal_encloses_mpmaths(mean: float, var: float) -> None:
    found = closed_forms.distance(enclosure(mean), enclosure(var), enclosure(0))
    with mpmath.workdps(400):
        m, v = mpmath.mpf(mean), mpmath.mpf(var)
        wanted = abs(m)
        if var:
            wanted = mpmath.sqrt(2 * v / mpmath.pi) * mpmath.exp(-m * m / (2 * v)) + m * mpmath.erf(
                m / mpmath.sqrt(2 * v)
            )
        assert within(found, fraction(wanted))
    assert found.certain_digits(60) == 60


@pytest.mark.parametrize("n", [1, 2, 7, 40])
@pytest.mark.parametrize("r", [Fraction(0), Fraction(1, 2), Fraction(-9, 10), Fraction(99, 100)])
def test_sum_of_correlations_on_a_line(n: int, r: Fraction) -> None:
    wanted = sum((r ** abs(i - j) for i in range(n) for j in range(n)), Fraction(0))
    assert within(moments.geometric(n, enclosure(r)), wanted)
