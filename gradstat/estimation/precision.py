"""Precision targets, and the number of draws that reaches a target, estimated by a pilot run.

The pilot has a separate stream and chooses n once. The run then makes n draws: stopping when the error looks small
would stop too early when chance makes it look small.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from gradstat.config import RunConfig
from gradstat.estimation.estimates import Estimates

# Factor of n, for the error of the pilot's errors: 0.5 % for relu. With heavy tails (exp: 50 %) a run may miss its
# target, and reports it.
INFLATION = 1.2


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
    """Each standard error of a row with each target.

    relative: se(std)/std, and se(mean)/rms with rms² = mean² + var, because a mean may be 0. A row that is 0 in
    every draw has no error. absolute: the standard errors themselves.
    """
    scales = {"mean": (e.mean_se, math.hypot(e.mean, e.std)), "std": (e.std_se, e.std)}
    for name, (error, scale) in scales.items():
        if target.relative is not None:
            yield Distance(name, error / scale if error else 0.0, target.relative)
        if target.absolute is not None:
            yield Distance(name, error, target.absolute)


def relative_error(rows: Sequence[Estimates]) -> float:
    """The largest relative error of these rows: the error/target for a relative target of 1."""
    return max(d.error for e in rows for d in distances(e, Target(1.0, None, 0)))


def needed(pilot: Sequence[Estimates], target: Target) -> int:
    """Draws that bring every row of a case to its target: pilot's draws × (worst error/target)² × 1.2."""
    ratio = worst(pilot, target).ratio
    if not math.isfinite(ratio):
        return pilot[0].n  # no number of draws makes it finite; the run reports it
    return max(math.ceil(min(INFLATION * pilot[0].n * ratio * ratio, 1e18)), 2)


def allowed(pilot: Sequence[Estimates], target: Target, block_draws: int) -> int:
    """The draws needed, rounded up to whole blocks and capped at max_samples."""
    return min(-(-needed(pilot, target) // block_draws) * block_draws, target.max_samples)


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
