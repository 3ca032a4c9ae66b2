"""Precision targets: what an error is compared with, and how many draws a pilot says it takes.

The pilot has a stream of its own and decides n once. The run then has that n whatever it finds: stopping when the error
looks small enough would stop more often where chance made it look small.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from gradstat.config import RunConfig
from gradstat.estimation.estimates import Estimates

# Of n, for the pilot's own error: 0.5 % for relu. Where tails are so heavy that it is more (exp: 50 %), a run that
# misses its target says so.
INFLATION = 1.2


@dataclass(frozen=True)
class Target:
    """What the standard errors of mean and std of every row are to reach, and the most draws a case may take."""

    relative: float | None
    absolute: float | None
    max_samples: int

    @classmethod
    def of(cls, config: RunConfig) -> "Target | None":
        """The target of a configuration; None where it gives the number of draws."""
        return cls(config.rel_error, config.target_error, config.max_samples) if config.precise else None


class Distance(NamedTuple):
    """How far one standard error is from its target."""

    statistic: str
    error: float
    target: float

    @property
    def ratio(self) -> float:
        """error/target; at most 1 where the target is reached."""
        return self.error / self.target


def distances(e: Estimates, target: Target) -> Iterator[Distance]:
    """Each error of a row beside each target.

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
    """The largest relative error of these rows, as a target of 1 sees it."""
    return max(d.error for e in rows for d in distances(e, Target(1.0, None, 0)))


def needed(pilot: Sequence[Estimates], target: Target) -> int:
    """Draws that bring every row of a case to its target: the pilot's, times the square of its worst ratio, and 1.2."""
    ratio = worst(pilot, target).ratio
    if not math.isfinite(ratio):
        return pilot[0].n  # no number of draws makes it finite; the run will say so
    return max(math.ceil(min(INFLATION * pilot[0].n * ratio * ratio, 1e18)), 2)


def allowed(pilot: Sequence[Estimates], target: Target, block_draws: int) -> int:
    """What is needed, in whole blocks, which cost nothing to share with other layers; at most the limit."""
    return min(-(-needed(pilot, target) // block_draws) * block_draws, target.max_samples)


def seen(pilot: Sequence[Estimates], target: Target) -> bool:
    """Whether as many draws as the pilot's will do: half the target leaves room for the error of an error.

    With its eight degrees of freedom for rqmc, another run's error is twice as large in one of thirty cases.
    """
    ratio = worst(pilot, target).ratio
    return not math.isfinite(ratio) or 2.0 * ratio <= 1.0


def worst(rows: Sequence[Estimates], target: Target) -> Distance:
    """Of all errors the one that is farthest from its target."""
    return max((distance for e in rows for distance in distances(e, target)), key=lambda distance: distance.ratio)
