"""Correlated draws: x on its map and dy between outputs, as a block samples them.

False alarms: the seed is fixed, so none. With a fresh one 10⁻⁶ for the whole module, shared by its checks.
"""

import math
from typing import Any

import numpy as np
import pytest
from scipy import stats

from gradstat.assumptions import Input, Upstream
from gradstat.errors import UsageError
from gradstat.estimation.groups import EQUALLY
from gradstat.layer_types.case import Case
from gradstat.layer_types.exact.distributions import abs_mean_of_upstream
from gradstat.layer_types.record import Shape
from gradstat.layer_types.registry import find
from tests import kernels

SEED, BATCHES = 20160328, range(98)  # 100,352 draws
CHECKS = 1000  # more than there are: pairs of slots, marginals, means
ALPHA = 1e-6 / CHECKS
BOUND = -stats.norm.ppf(ALPHA / 2.0)
RHO = 0.6
MAPS = [(6, (6,)), (8, (4,)), (6, (2, 3)), (8, (2, 2, 2))]  # slots, sizes: the second map has two channels
MARGINALS: dict[str, Any] = {
    "laplace": stats.laplace(scale=math.sqrt(0.5)),
    "uniform": stats.uniform(-math.sqrt(3.0), 2.0 * math.sqrt(3.0)),
    "logistic": stats.logistic(scale=math.sqrt(3.0) / math.pi),
}


def expected(slots: int, grid: tuple[int, ...], rho: float) -> np.ndarray:
    """ρ^|distance| per dimension within a channel, 0 between channels."""
    places = [divmod(slot, math.prod(grid)) for slot in range(slots)]
    at = [(channel, np.array(np.unravel_index(place, grid))) for channel, place in places]
    return np.array([[rho ** abs(p - q).sum() if a == b else 0.0 for b, q in at] for a, p in at])


def far(values: np.ndarray, wanted: np.ndarray) -> list[tuple[int, int, float]]:
    """The pairs of rows whose mean product is beyond the bound, with its distance in standard errors."""
    found = []
    for i, j in zip(*np.triu_indices(len(values)), strict=True):
        products = values[i] * values[j]
        z = (products.mean() - wanted[i, j]) / (products.std() / math.sqrt(products.size))
        if not abs(z) <= BOUND:
            found.append((int(i), int(j), float(z)))
    return found


def x_of(distribution: str, slots: int, grid: tuple[int, ...], rho: float) -> np.ndarray:
    x, _ = kernels.signal(SEED, BATCHES, n_in=slots, x=distribution, correlations=(rho, 0.0), grid=grid)
    return np.asarray(x)


def dy_of(distribution: str, correlation: float) -> np.ndarray:
    _, dy = kernels.signal(SEED, BATCHES, n_out=3, dy=distribution, correlations=(0.0, correlation))
    return np.asarray(dy)


def has_marginal(values: np.ndarray, distribution: Any) -> bool:
    """Kolmogorov and Smirnov's test at the module's level."""
    return bool(stats.kstest(values, distribution.cdf).pvalue > ALPHA)


@pytest.mark.parametrize(("slots", "grid"), MAPS)
@pytest.mark.parametrize("rho", [0.3, RHO, 0.9])
def test_normal_x(slots: int, grid: tuple[int, ...], rho: float) -> None:
    x = x_of("normal", slots, grid, rho)
    assert far(x, expected(slots, grid, rho)) == []
    assert all(has_marginal(own, stats.norm) for own in (x[0], x[-1]))


@pytest.mark.parametrize("distribution", MARGINALS)
def test_gaussian_copula(distribution: str) -> None:
    """The marginals are right, and the normal scores have the correlation."""
    marginal = MARGINALS[distribution]
    x = x_of(distribution, 6, (2, 3), RHO)
    assert all(has_marginal(own, marginal) for own in x)
    upper = x > 0.0  # the smaller tail keeps the digits
    tail = np.where(upper, marginal.sf(x), marginal.cdf(x))
    scores = np.where(upper, stats.norm.isf(tail), stats.norm.ppf(tail))
    assert far(scores, expected(6, (2, 3), RHO)) == []


def test_without_a_map_x_is_independent() -> None:
    assert far(x_of("normal", 4, (), RHO), np.eye(4)) == []


@pytest.mark.parametrize("distribution", ["normal", "laplace"])
@pytest.mark.parametrize("correlation", [0.0, 0.25, 0.7])
def test_dy_between_outputs(distribution: str, correlation: float) -> None:
    dy = dy_of(distribution, correlation)
    assert far(dy, correlation + (1.0 - correlation) * np.eye(3)) == []
    size = abs(dy[0])
    exact = abs_mean_of_upstream(Upstream(distribution, correlation))
    assert abs(size.mean() - exact) <= BOUND * size.std() / math.sqrt(size.size)


@pytest.mark.parametrize("distribution", ["normal", "laplace"])
def test_one_dy_for_all_outputs(distribution: str) -> None:
    dy = dy_of(distribution, 1.0)
    assert np.array_equal(dy[0], dy[1])
    assert np.array_equal(dy[0], dy[2])
    assert has_marginal(dy[0], MARGINALS.get(distribution, stats.norm))


def test_laplace_dy_stays_laplace_at_the_ends_only() -> None:
    """In between it is a sum of two (see `Upstream`)."""
    assert has_marginal(dy_of("laplace", 0.0)[0], MARGINALS["laplace"])
    assert not has_marginal(dy_of("laplace", 0.5)[0], MARGINALS["laplace"])


@pytest.mark.parametrize("slots", [2, 3, 5])
@pytest.mark.parametrize("rho", [-0.2, 0.3, 0.9])
def test_without_a_map_all_pairs_are_correlated_equally(slots: int, rho: float) -> None:
    x = x_of("normal", slots, EQUALLY, rho)
    assert far(x, rho + (1.0 - rho) * np.eye(slots)) == []
    assert all(has_marginal(own, stats.norm) for own in (x[0], x[-1]))


def test_a_correlation_that_inputs_cannot_have_is_refused() -> None:
    with pytest.raises(UsageError) as error:
        Case(find("add"), {"k": 3}, Input(correlation=-0.5)).check()
    reason = "3 inputs cannot all have it in pairs; expected more than -1/2"
    assert str(error.value) == f"add: input correlation = -0.5 is not allowed: {reason}"
    assert Shape(n_in=3).correlation_error(0.5) == "its inputs are independent; expected 0"


def test_a_layer_of_one_input_or_with_a_map_takes_every_correlation() -> None:
    for name in ("relu", "dropout", "dropout2d", "max_pool2d", "add", "glu", "residual"):
        Case(find(name), {}, Input(correlation=-0.9)).check()


def test_a_wrong_correlation_is_caught() -> None:
    """Negative controls: another ρ; |distance| summed over channels; a marginal of the wrong distribution."""
    assert far(x_of("normal", 6, (6,), RHO), expected(6, (6,), RHO + 0.04))
    assert far(x_of("normal", 8, (4,), RHO), expected(8, (8,), RHO))
    assert far(x_of("normal", 3, EQUALLY, RHO), expected(3, (3,), RHO))
    assert far(dy_of("normal", 0.25), 0.29 + 0.71 * np.eye(3))
    assert not has_marginal(x_of("logistic", 2, (2,), RHO)[0], MARGINALS["laplace"])
