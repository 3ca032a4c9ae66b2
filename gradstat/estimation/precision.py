"""Precision targets, and the number of draws that reaches a target, estimated by a pilot run.

The pilot has a separate stream and chooses n once. The run then makes n draws: stopping when the error looks small
would stop too early when chance makes it look small. Errors are half the length of 68 % intervals (Student's t), so an
error that rests on few degrees of freedom counts as larger. A pilot without an error bar asks the exact moments.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from gradstat.config import RunConfig
from gradstat.estimation.error_bars import RAREST, draws_for_error_bar
from gradstat.estimation.estimates import Estimates
from gradstat.estimation.student import sigma
from gradstat.layer_types.statistics import unit_error

if TYPE_CHECKING:
    from gradstat.estimation.run import ResultRow

# Factor of n, for the error of the pilot's errors: 0.5 % for relu. With heavy tails (exp: 50 %) a run may miss its
# target, and reports it.
INFLATION = 1.2
MOST = 1e18  # draws; more are not told apart


@dataclass(frozen=True)
class Target:
    """Targets for the standard errors of mean and std of every row, and the limit on draws per case."""

    relative: float | None
    absolute: float | None
    max_samples: int

    @classmethod
    def of(cls, config: RunConfig) -> "Target | None":
        """The target of a configuration; None if it gives the number of draws."""
        return cls(config.rel_error, config.target_error, config.max_samples) if config.precise else None


class Distance(NamedTuple):
    """One standard error and its target."""

    statistic: str
    error: float
    target: float

    @property
    def ratio(self) -> float:
        """error/target; at most 1 if the target is reached."""
        return self.error / self.target


def distances(e: Estimates, target: Target) -> Iterator[Distance]:
    """Each error of a row with each target: its standard errors, times Student's t for a 68 % interval.

    relative: the error of std over std, and that of the mean over rms, rms² = mean² + var, because a mean may be 0. A
    row that is 0 in every draw has no error. absolute: the errors themselves.
    """
    scales = {
        "mean": (e.mean_se * sigma(e.mean_df), math.hypot(e.mean, e.std)),
        "std": (e.std_se * sigma(e.std_df), e.std),
    }
    for name, (error, scale) in scales.items():
        if target.relative is not None:
            relative = error if error == 0.0 or math.isinf(error) else error / scale
            yield Distance(name, relative, target.relative)
        if target.absolute is not None:
            yield Distance(name, error, target.absolute)


def relative_error(rows: Sequence[Estimates]) -> float:
    """The largest relative error of these rows: the error/target for a relative target of 1."""
    return max(d.error for e in rows for d in distances(e, Target(1.0, None, 0)))


def needed(e: Estimates, target: Target) -> float:
    """Draws that bring a row to its target: its draws × (worst error/target)² × 1.2; ∞ if it has no error bar."""
    ratio = worst([e], target).ratio
    if not math.isfinite(ratio):
        return math.inf
    return max(math.ceil(min(INFLATION * e.n * ratio * ratio, MOST)), 2)


def draws_needed(rows: "Sequence[ResultRow]", target: Target) -> float:
    """Draws that bring every row of a case to its target; ∞ if no number of draws is known to do so."""
    return max(_draws(row, target) for row in rows)


def _draws(row: "ResultRow", target: Target) -> float:
    draws = needed(row.estimates, target)
    return draws if math.isfinite(draws) else _by_moments(row, target)


def _by_moments(row: "ResultRow", target: Target) -> float:
    """The draws of a row without an error bar, from its exact moments; ∞ where they do not say."""
    e, exact = row.estimates, row.exact
    if exact is None or not row.independent or len(row.row.slots) > 1 or exact.var == 0.0:
        return math.inf
    bars = draws_for_error_bar(e, exact, row.symmetric)
    units = {name: unit_error(name, exact) for name in ("mean", "std")}
    scales = {"mean": math.hypot(exact.mean, math.sqrt(exact.var)), "std": math.sqrt(exact.var)}
    if max(bars.values()) * RAREST > 1.0:
        return math.inf
    draws = [0.0]
    for name, unit in units.items():
        if unit is None or name not in bars:
            return math.inf
        draws.append(bars[name])
        wanted = [target.absolute, None if target.relative is None else target.relative * scales[name]]
        draws += [INFLATION * (unit / error) ** 2 for error in wanted if error is not None]
    return math.ceil(min(max(draws), MOST))


def allowed(draws: float, target: Target, block_draws: int) -> int:
    """A number of draws, rounded up to whole blocks and capped at max_samples."""
    return min(-(-math.ceil(min(draws, MOST)) // block_draws) * block_draws, target.max_samples)


def seen(pilot: Sequence[Estimates], target: Target) -> bool:
    """True if the pilot's error is at most half the target, so that its number of draws is enough.

    The factor covers the uncertainty of the error. With the eight degrees of freedom of rqmc, another run's error is
    twice as large in one of thirty cases.
    """
    ratio = worst(pilot, target).ratio
    return not math.isfinite(ratio) or 2.0 * ratio <= 1.0


def worst(rows: Sequence[Estimates], target: Target) -> Distance:
    """The error with the largest ratio to its target."""
    return max((distance for e in rows for distance in distances(e, target)), key=lambda distance: distance.ratio)
