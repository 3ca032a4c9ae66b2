"""Every statistic and standard error of a row against two-pass NumPy over the draws themselves. Nothing random:
the samples are fixed, and both sides see the same ones."""

import math

import numpy as np
import pytest

from gradstat.estimation.estimates import estimates
from gradstat.numerics import columns
from tests import kernels, naive

DRAWS = 3000


def samples(slots: int) -> dict[str, np.ndarray]:
    """values[slot, draw]: symmetric, skew, with an atom at 0, dependent slots, far from 0, with outliers."""
    rng = np.random.default_rng(slots)
    normal = rng.standard_normal((slots, DRAWS))
    common = rng.standard_normal(DRAWS)
    winner = np.argmax(rng.standard_normal((slots, DRAWS)), axis=0)
    return {
        "normal": normal,
        "skew": np.exp(0.7 * normal),
        "atom": np.maximum(normal, 0.0),
        "dependent": 0.2 * normal + common,
        "one of them": np.where(np.arange(slots)[:, None] == winner, common, 0.0),
        "far": 1000.0 + normal,
        "heavy": rng.standard_t(5.0, (slots, DRAWS)),
    }


CASES = [
    pytest.param(values, centre, id=f"{name}, {slots} slots, centre {where}")
    for slots in (1, 2, 9)
    for name, values in samples(slots).items()
    for where, centre in {"mean": values.mean(), "near": values.mean() + 0.01 * values.std(), "0": 0.0}.items()
    if abs(values.mean() - centre) < 10.0 * values.std()  # the pilot run sees to that
]


def near(values: np.ndarray, centre: float) -> float | None:
    """How much E|v − mean| can change by being computed about the centre; None where that is not close to the mean.

    Only values between the two count, an atom at the centre included.
    """
    mean = values.mean()
    share = np.mean((values - mean) * (values - centre) <= 0.0)
    close = abs(mean - centre) < 0.02 * values.std() and share < 0.05
    return float(2.0 * abs(mean - centre) * share / np.abs(values - mean).mean()) + 1e-11 if close else None


@pytest.mark.parametrize(("values", "centre"), CASES)
def test_every_statistic(values: np.ndarray, centre: float) -> None:
    found = estimates(kernels.block(values, centre)[0])
    for name, expected in naive.statistics(values).items():
        tolerance = near(values, centre) if name == "mad" else 1e-11
        if tolerance is not None:
            assert getattr(found, name) == pytest.approx(expected, rel=tolerance, abs=1e-12), name


@pytest.mark.parametrize(("values", "centre"), CASES)
def test_every_standard_error(values: np.ndarray, centre: float) -> None:
    """To rounding; |v| is summed about 0, and its squares cancel where the mean is far from there."""
    found = estimates(kernels.block(values, centre)[0])
    rounding = 1e-12 * values.shape[0]
    tolerances = {
        "mean": rounding,
        "std": 2e-3,  # to first order in 1/n
        "second_moment": 100.0 * rounding,
        "abs_mean": rounding * (1.0 + values.mean() ** 2 / values.var()),
        "mad": 0.05 if near(values, centre) else None,  # of first order in (mean − centre)/std
    }
    for name, expected in naive.standard_errors(values).items():
        if tolerances[name] is not None:
            assert getattr(found, f"{name}_se") == pytest.approx(expected, rel=tolerances[name]), name


@pytest.mark.parametrize("slots", [1, 2, 9])
def test_blocks_merged_are_one_block(slots: int) -> None:
    values = samples(slots)["dependent"]
    centre = float(values.mean())
    whole = estimates(kernels.block(values, centre)[0])
    first, second = (kernels.block(part, centre) for part in np.split(values, [1100], axis=1))
    merged = estimates(kernels.merged(first, second)[0])
    for name, value in vars(whole).items():
        if name.startswith("tail_index"):  # from whole batches, of which the parts have fewer
            continue
        assert getattr(merged, name) == pytest.approx(value, rel=1e-11, abs=1e-12), name


def test_one_slot_twice_has_the_errors_of_one() -> None:
    """Two equal slots tell no more than one: same statistics, same errors."""
    (values,) = samples(1)["skew"]
    once = estimates(kernels.block(values, 1.2)[0])
    twice = estimates(kernels.block(np.array([values, values]), 1.2)[0])
    for name in ("mean_se", "std_se", "second_moment_se", "abs_mean_se", "mad_se", "std", "mad", "kurtosis"):
        assert getattr(twice, name) == pytest.approx(getattr(once, name), rel=1e-9), name


def normalized(rng: np.random.Generator, runs: int, draws: int) -> np.ndarray:
    """values[run, slot, draw] with Σv² = 3 in every draw, as rms_norm gives them."""
    values = rng.standard_normal((runs, 3, draws))
    return np.asarray(values / np.sqrt((values**2).mean(axis=1, keepdims=True)))


def test_the_error_of_std_where_the_sum_of_squares_is_constant() -> None:
    """The true one is of second order. The one claimed is never shorter; with what the delta method makes of the
    sample's own mean it is √3 times as long in the root mean square: variances 2·se⁴ and (4 + 2)·se⁴.

    Over 4000 runs, and 400 claims: tolerances are six times what the scatter of squares (kurtosis 15) leaves open.
    """
    runs = normalized(np.random.default_rng(5), 4000, 400)
    stds = np.sqrt(runs.var(axis=(1, 2)) + (runs.mean(axis=1).var(axis=1, ddof=1) / 400))
    found = [estimates(kernels.block(run, 0.0)[0]) for run in runs[:400]]
    assert [e.std for e in found] == pytest.approx(stds[:400], rel=1e-12)
    claimed = np.array([e.std_se for e in found])
    of_scatter, of_claims = 6.0 * math.sqrt(14.0 / 4.0 / 4000.0), 6.0 * math.sqrt(32.0 / 36.0 / 4.0 / 400.0)
    assert claimed.min() > stds.std() * (1.0 - of_scatter)
    assert math.sqrt((claimed**2).mean()) == pytest.approx(math.sqrt(3.0) * stds.std(), rel=of_scatter + of_claims)
    expected = [naive.standard_errors(run)["std"] for run in runs[:20]]
    assert claimed[:20] == pytest.approx(expected, rel=2e-3)


def test_counting_slots_as_draws_is_caught() -> None:
    """Negative control: the same values as 18,000 draws of one slot claim a third of the error."""
    values = samples(9)["dependent"]
    honest = estimates(kernels.block(values, 0.0)[0])
    naive_errors = estimates(kernels.block(values.reshape(1, -1), 0.0)[0])
    assert naive_errors.mean_se < 0.4 * honest.mean_se
    assert naive_errors.std_se < 0.5 * honest.std_se


def test_a_constant_row() -> None:
    found = estimates(kernels.block(np.full(100, 0.3), 0.3)[0])
    assert (found.mean, found.std, found.mean_se, found.std_se, found.mad) == (0.3, 0.0, 0.0, 0.0, 0.0)
    assert math.isnan(found.skewness)
    assert math.isnan(found.kurtosis)


def test_zero_fraction_counts_both_zeros() -> None:
    assert estimates(kernels.block([0.0, -0.0, 1.0, 5e-324], 0.0)[0]).zero_fraction == 0.5


def test_names_and_columns_agree() -> None:
    assert len(columns.NAMES) == columns.WIDTH == columns.LARGEST_T2 + 1
    assert [columns.NAMES[column] for column in (columns.SHIFT, columns.MAX, columns.DRAWS, columns.C1D)] == [
        "shift",
        "max",
        "draws",
        "c1d",
    ]
