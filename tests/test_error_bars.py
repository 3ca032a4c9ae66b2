"""Error bars that know what they do not know: MAD at atoms, degrees of freedom, tail indices, missing error bars."""

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from scipy import stats

from gradstat.assumptions import Input
from gradstat.errors import UsageError
from gradstat.estimation.error_bars import (
    FEWEST_EVENTS,
    HEAVY_TAILS,
    INFINITE_FOURTH_MOMENT,
    INFINITE_MEAN,
    INFINITE_VARIANCE,
    NAMES,
    RAREST,
    TOO_FEW_DRAWS,
    TOO_FEW_EVENTS,
    TOO_SMALL,
    UNSEEN_TAILS,
    with_error_bars,
)
from gradstat.estimation.estimates import Estimates, estimates
from gradstat.estimation.estimators import RQMC
from gradstat.estimation.run import run
from gradstat.estimation.significance import score, z_bound
from gradstat.estimation.student import critical_t, exceeded, normal_score
from gradstat.layer_types import registration
from gradstat.layer_types.case import Case
from gradstat.layer_types.exact.enclosure import Enclosure, enclosure
from gradstat.layer_types.record import Exact
from gradstat.layer_types.registry import LAYERS, find
from gradstat.numerics import elementary as el
from tests import kernels

SEED = 20160328

# MAD ------------------------------------------------------------------------------------------------------------------

# Atoms at 0, at an end, in the middle; means that are small but not 0. c = 0 unless another centre is given.
RNG = np.random.default_rng(15)
Z = RNG.standard_normal(20_000)
SAMPLES: dict[str, tuple[np.ndarray, float]] = {
    "atom at a snapped centre": (np.where(RNG.random(Z.size) < 0.5, 0.0, Z + 0.02), 0.0),
    "the same, below": (np.where(RNG.random(Z.size) < 0.5, 0.0, Z - 0.02), 0.0),
    "nearly all at the centre": (np.maximum(Z - 3.0, 0.0), 0.0),
    "an atom that the pilot took for the mean": (np.minimum(Z + 4.0, 1.0), 1.0),
    "an atom in the middle, at the centre": (np.where(np.abs(Z) < 1.0, 0.5, Z + 0.51), 0.5),
    "no atom": (Z + 0.003, 0.0),
}


@pytest.mark.parametrize("name", SAMPLES)
def test_mad_is_that_of_two_passes(name: str) -> None:
    """To second order in mean − centre; without the atom's term the first four are off by 1 % to 50 %."""
    values, centre = SAMPLES[name]
    accumulators = kernels.block(values, centre)[0]
    away = abs(values.mean() - centre)
    slack = 2.0 * away * np.mean((values - values.mean()) * (values - centre) < 0.0) + 1e-12
    expected = np.abs(values - values.mean()).mean()
    assert estimates(accumulators).mad == pytest.approx(expected, abs=float(slack))
    assert slack < 2e-3 * expected


def test_mad_without_the_atom_is_caught() -> None:
    """Negative control."""
    values, centre = SAMPLES["nearly all at the centre"]
    accumulators = kernels.block(values, centre)[0].copy()
    accumulators[24] = 0.0  # ties
    assert estimates(accumulators).mad < 0.6 * np.abs(values - values.mean()).mean()


def test_the_centre_of_values_of_one_sign_is_their_mean() -> None:
    """exp of σ = 4: the pilot's mean is 4.7 standard errors, and about the centre 0 the MAD would be 0."""
    (y, _) = run([Case(find("exp"), {}, Input(std=4.0))], 10**5, SEED)
    assert y.exact is not None
    assert y.estimates.mad == pytest.approx(y.exact.mad, rel=0.5)


@pytest.mark.parametrize("estimator", ["mc", "rqmc"])
@pytest.mark.parametrize(
    "case",
    [
        Case(find("dropout"), {}, Input(mean=0.005)),
        Case(find("dropout"), {"p": 0.99}, Input(mean=0.08)),
        Case(find("relu"), {}, Input(mean=-4.0)),
        Case(find("hardsigmoid"), {}, Input(mean=4.0)),
        Case(find("relu")),
    ],
    ids=lambda case: f"{case.label} at {case.x.mean}",
)
def test_mad_agrees_with_the_referee(case: Case, estimator: str) -> None:
    """At 2²² draws, where the missing term was 10 to 100 standard errors. 20 scores; a false alarm has chance 10⁻⁶."""
    for line in run([case], 2**22, 2, 2, estimator=RQMC) if estimator == "rqmc" else run([case], 2**22, 2, 2):
        z = score(line, "mad").z
        assert z is None or abs(z) < z_bound(20)


# Student's t ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("degrees", [1.0, 3.3, 30.0, 1e4])
@pytest.mark.parametrize("z", [0.5, 1.96, 6.0])
def test_critical_t_is_the_inverse_of_a_normal_score(degrees: float, z: float) -> None:
    t = critical_t(z, degrees)
    assert t == pytest.approx(stats.t.isf(stats.norm.sf(z), degrees), rel=1e-6)
    assert normal_score(t, degrees) == pytest.approx(z, rel=1e-6)


def test_few_degrees_of_freedom_and_many() -> None:
    assert exceeded(0.025, 2.0) == pytest.approx(4.302653, rel=1e-6)
    assert critical_t(3.0, math.inf) == 3.0


@pytest.mark.parametrize("draws", [3, 10, 1000, 100_000])
def test_degrees_of_freedom(draws: int) -> None:
    """At most n − 1, and no more than Satterthwaite's 2n/(κ − 1) with the sample's own κ."""
    values = np.random.default_rng(draws).standard_normal(draws)
    e = estimates(kernels.block(values, 0.0)[0])
    kappa = stats.kurtosis(values, fisher=False)
    squares = stats.kurtosis(np.square(values - values.mean()), fisher=False)
    assert 1.0 <= e.mean_df <= min(draws - 1.0, 2.0 * draws / max(kappa - 1.0, 1e-9)) * (1.0 + 1e-9)
    assert 1.0 <= e.std_df <= max(draws / max(squares - 1.0, 1e-9), 1.0) * 1.2
    assert e.mean_df > (0.01 * draws if draws > 10 else 0.5)


def test_one_giant_takes_all_degrees_of_freedom() -> None:
    values = np.append(np.random.default_rng(1).standard_normal(9999), 1e4)
    e = estimates(kernels.block(values, 0.0)[0])
    assert e.std_df < 1.1
    assert e.mean_df < 2.3


def test_draws_of_several_slots() -> None:
    """Equal slots are one draw: their degrees of freedom are those of one slot."""
    values = np.random.default_rng(3).standard_exponential(5000)
    one, nine = (estimates(kernels.block(np.tile(values, (slots, 1)), 1.0)[0]) for slots in (1, 9))
    for name in ("mean_df", "std_df", "abs_mean_df", "mad_df"):
        assert getattr(nine, name) == pytest.approx(getattr(one, name), rel=0.05), name


# Tail index -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("tail", [3.0, 4.0, 6.0, 10.0])
def test_tail_index_of_power_tails(tail: float) -> None:
    """P(|v| > x) = x^−tail: k of v² is 2/tail. 2²⁰ draws are 1,024 peaks: ± 3 %, five of them allowed."""
    values = np.random.default_rng(int(tail)).pareto(tail, 2**20) + 1.0
    e = estimates(kernels.block(values, 0.0)[0])
    assert e.tail_index == pytest.approx(2.0 / tail, rel=5.0 * 1.05 / 32.0)
    assert e.tail_index_se == pytest.approx(e.tail_index * 1.05 / 32.0)


def test_tail_index_of_light_tails() -> None:
    for values in (RNG.standard_normal(2**16), RNG.random(2**16), RNG.laplace(size=2**16)):
        assert estimates(kernels.block(values, 0.0)[0]).tail_index < 0.4
    assert math.isnan(estimates(kernels.block(RNG.standard_normal(20_000), 0.0)[0]).tail_index)


# No error bar ---------------------------------------------------------------------------------------------------------


def bars(values: Any, exact: Exact | None = None) -> tuple[Estimates, str]:
    return with_error_bars(estimates(kernels.block(values, float(np.mean(values)))[0]), exact)


def test_a_proven_infinite_fourth_moment() -> None:
    values = np.random.default_rng(2).standard_normal(10_000)
    e, reason = bars(values, Exact(0.0, 1.0, kurtosis=math.inf))
    assert reason == INFINITE_FOURTH_MOMENT
    assert (e.std_se, e.second_moment_se) == (math.inf, math.inf)
    assert all(math.isfinite(error) for error in (e.mean_se, e.abs_mean_se, e.mad_se))


def test_tails_that_may_have_no_fourth_moment() -> None:
    e, reason = bars(np.random.default_rng(2).standard_t(3.0, 2**16))
    assert reason.startswith("heavy tails: the fourth moment may be infinite, tail index 0.")
    assert math.isinf(e.std_se)
    assert math.isfinite(e.mean_se)


@pytest.mark.parametrize(
    ("bounds", "reason"),
    [
        ({"mean": Enclosure.infinite(1, "diverges")}, INFINITE_MEAN),
        ({"mean": enclosure(0), "var": Enclosure.infinite(1, "diverges")}, INFINITE_VARIANCE),
    ],
)
def test_moments_that_do_not_exist(bounds: dict[str, Enclosure], reason: str) -> None:
    values = np.random.default_rng(2).standard_normal(10_000)
    e, found = bars(values, Exact(math.nan, math.inf, enclosures=bounds))
    assert found == reason
    assert {getattr(e, f"{name}_se") for name in NAMES} == {math.inf}


def test_moments_too_large_for_a_float_leave_it_to_the_sample() -> None:
    values = np.random.default_rng(2).standard_normal(10_000)
    huge = Exact(0.0, math.inf, enclosures={"mean": enclosure(0), "var": enclosure(10**400)})
    assert bars(values, huge)[1] == ""


def test_values_whose_fourth_power_is_no_float() -> None:
    """residual with τ = 1e308: dx of the skip branch is 1e-308, and its sampled error 0."""
    values = 1e-80 * np.random.default_rng(2).standard_normal(10_000)
    e, reason = bars(values, Exact(0.0, 1e-160))
    assert reason == TOO_SMALL
    assert math.isinf(e.mean_se)
    assert bars(1e-70 * values / 1e-80, Exact(0.0, 1e-140))[1] == ""


@pytest.mark.parametrize("std", [3.0, 4.0])
def test_tails_that_no_draw_has(std: float) -> None:
    """σ of exp loses 0.2 % and 13 % beyond the largest normal draw, 8.57: no number of draws gives it an error bar."""
    for row in run([Case(find("exp"), {}, Input(std=std))], 2**18, SEED):
        assert row.no_error_bar == UNSEEN_TAILS
        assert math.isinf(row.estimates.std_se)
        assert row.z_std is None
        assert row.exact is not None
        assert FEWEST_EVENTS * (row.exact.kurtosis or 0.0) > 1.0 / RAREST
    (milder, _) = run([Case(find("exp"), {}, Input(std=2.0))], 2**18, SEED)
    assert milder.no_error_bar == HEAVY_TAILS


def test_the_largest_normal_draw_is_as_rare_as_the_rule_says() -> None:
    """The sample's bias is at most √(n·P) standard errors by Cauchy and Schwarz, P = P(|x| > 8.57): 0.03 at 10¹⁴."""
    assert 2.0 * stats.norm.sf(8.57) == pytest.approx(RAREST, rel=0.1)


def test_the_mean_of_dx_has_an_error_bar_from_thirty_draws() -> None:
    """It is symmetric about 0, so that its t-statistic has thin tails, whatever the kurtosis of dx is."""
    for draws, shown in ((29, False), (31, True)):
        (y, dx) = run([Case(find("relu"))], draws, SEED)
        assert math.isfinite(dx.estimates.mean_se) == shown
        assert math.isinf(dx.estimates.std_se)
        assert math.isinf(y.estimates.std_se)


def test_squares_of_a_lucky_sample_have_no_error_bar() -> None:
    """Below 30 batches there is no tail index: 15 degrees of freedom are few then."""
    e = replace(bars(np.random.default_rng(1).standard_normal(4000))[0], std_df=15.0, second_moment_df=15.0)
    assert math.isinf(with_error_bars(e, None)[0].std_se)
    assert math.isfinite(with_error_bars(replace(e, tail_index=0.1, tail_index_se=0.02), None)[0].std_se)


def test_few_events_expected() -> None:
    """Events of probability p: n·p of them make up the variance, and 30 are asked for."""
    for draws, shown in ((29_000, False), (31_000, True)):
        values = np.zeros(draws)
        values[:: draws // 29] = 1.0
        e, reason = bars(values, Exact(1e-3, 1e-3, 1e-3, 2e-3, kurtosis=1000.0, skewness=31.6))
        assert math.isfinite(e.std_se) == shown
        assert reason == ("" if shown else TOO_FEW_EVENTS)


def test_few_events_seen() -> None:
    values = np.zeros(10_000)
    values[: int(FEWEST_EVENTS) - 1] = 2.0
    assert bars(values)[1] == TOO_FEW_EVENTS
    values[::50] = 2.0
    assert bars(values)[1] == ""


def test_rare_events_are_no_heavy_tail() -> None:
    """Two events in 1,000 draws: a peak has some or none, so that its logarithm varies as that of heavy tails does."""
    rng = np.random.default_rng(9)
    values = np.where(rng.random(2**20) < 2e-3, rng.standard_normal(2**20), 0.0)
    e, reason = with_error_bars(estimates(kernels.block(values, 1e-5)[0]), None)
    assert e.tail_index > 0.6
    assert (reason, math.isfinite(e.std_se)) == ("", True)


def test_few_draws_and_heavy_tails() -> None:
    assert bars(np.random.default_rng(1).standard_normal(12))[1] == TOO_FEW_DRAWS
    assert bars(np.append(np.random.default_rng(1).standard_normal(999), 500.0))[1] == HEAVY_TAILS
    assert bars(np.random.default_rng(1).standard_normal(1000))[1] == TOO_FEW_DRAWS  # to know that there is no tail
    assert bars(np.random.default_rng(1).standard_normal(4000))[1] == ""


def test_nothing_seen_is_said() -> None:
    (y, dx) = run([Case(find("relu"), {}, Input(mean=-6.0))], 10**4, SEED)
    assert y.no_error_bar == "no draw differed from 0; P is about 10^-9"
    assert dx.no_error_bar.startswith("no draw differed from 0; P is about 10^-")
    assert math.isinf(y.estimates.mean_se)


def test_a_constant_row_has_its_error_bar_of_0() -> None:
    e, reason = bars(np.full(100, 0.3), Exact(0.3, 0.0, 0.3, 0.0))
    assert (e.std_se, reason) == (0.0, "")


def test_overflow_is_left_alone() -> None:
    e = replace(bars(np.arange(10.0))[0], std=math.inf, mean_se=math.inf)
    assert with_error_bars(e, None) == (e, "")


# E|v| far from 0 ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("offset", [0.0, 1e3, 3e7, 1e9, -1e12])
@pytest.mark.parametrize("slots", [1, 4])
def test_the_error_of_abs_mean_does_not_cancel(offset: float, slots: int) -> None:
    values = offset + np.random.default_rng(4).standard_normal((slots, 4000))
    e = estimates(kernels.block(values, offset)[0])
    deviations = np.abs(values) - abs(offset) if offset else np.abs(values)  # exact: both are of one size
    expected = deviations.mean(axis=0).std(ddof=1) / math.sqrt(4000.0)
    assert e.abs_mean_se == pytest.approx(expected, rel=1e-3)


# A slope that is not the derivative -----------------------------------------------------------------------------------


def steep(x: Any) -> Any:
    return el.where(x > 0.0, x, 0.0), el.where(x > 0.0, 1.01, 0.0)


def slightly_steep(x: Any) -> Any:
    return el.where(x > 0.0, x, 0.0), el.where(x > 0.0, 1.0001, 0.0)


def kinked(x: Any) -> Any:
    return el.where(x > 0.3, x, 0.1 * x), el.where(x > 0.3, 1.0, 0.1)


def straight_through(x: Any) -> Any:
    return el.where(x > 0.0, 1.0, -1.0), 1.0 + 0.0 * x


@pytest.fixture
def table(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registration, "LAYERS", dict(LAYERS))


@pytest.mark.usefixtures("table")
def test_a_registered_slope_is_compared_with_the_value() -> None:
    with pytest.raises(UsageError, match=r"steep: dy/dx is 1\.01 at x = 0\.\d+, but the slope of y is 1"):
        registration.activation(steep)
    with pytest.raises(UsageError, match=r"slightly_steep: dy/dx is 1\.0001 at x"):
        registration.activation(slightly_steep)
    with pytest.raises(UsageError, match="other_backward=True"):
        registration.activation(straight_through)
    registration.activation(straight_through, other_backward=True)
    registration.activation(kinked, kinks=(0.3,))


@pytest.mark.parametrize("name", [name for name, layer in LAYERS.items() if layer.elementwise])
def test_the_slope_of_every_shipped_layer_passes(name: str) -> None:
    case = Case(find(name))
    if not case.layer.negative_input_error(case.params):
        registration._check_slope(name, lambda x: case.layer.kernel(case.params)(x, *case.constants))
