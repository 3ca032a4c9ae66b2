"""Growth of σ with depth: slope of ln σ per level, its interval over networks, and the verdict."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from gradstat.estimation.student import quantile
from gradstat.networks.randomness import Array

CONFIDENCE = 0.95  # level of the interval
RANGE = 10.0  # factor over the whole depth: above RANGE is exploding, below 1/RANGE vanishing
VANISHING, STABLE, EXPLODING, UNDECIDED = "vanishing", "stable", "exploding", "undecided"
LIMIT = math.log(RANGE)


@dataclass(frozen=True)
class Growth:
    """The factor per level with its 95 % interval, and the verdict on the whole depth."""

    rate: float
    low: float
    high: float
    verdict: str


def growth(sigmas: Array) -> Growth:
    """Growth from σ[network, level]: the least-squares slope of ln σ of each network, and a t-interval over networks.

    If a float64 cannot hold a σ, the slope is NaN, and overflow or underflow decides the verdict.
    """
    networks, depth = sigmas.shape
    if depth < 2 or not np.all(np.isfinite(sigmas) & (sigmas > 0.0)):
        return Growth(math.nan, math.nan, math.nan, _beyond_floats(sigmas))
    levels = np.arange(depth) - 0.5 * (depth - 1)
    slopes = np.log(sigmas) @ levels / np.sum(levels**2)
    centre = float(slopes.mean())
    reach = float(slopes.std(ddof=1)) / math.sqrt(networks) * quantile(0.5 + CONFIDENCE / 2.0, networks - 1)
    low, high = centre - reach, centre + reach
    with np.errstate(over="ignore"):
        rate, least, most = (float(np.exp(value)) for value in (centre, low, high))
    return Growth(rate, least, most, verdict(low * depth, high * depth))


def _beyond_floats(sigmas: Array) -> str:
    """Exploding (vanishing) if the first σ that is not a positive number is infinite (0) in every network."""
    lost = ~(np.isfinite(sigmas) & (sigmas > 0.0))
    firsts = {float(row[is_lost.argmax()]) for row, is_lost in zip(sigmas, lost, strict=True) if is_lost.any()}
    return EXPLODING if firsts == {math.inf} else VANISHING if firsts == {0.0} else UNDECIDED


def verdict(low: float, high: float) -> str:
    """The verdict from the interval of ln(factor over the whole depth)."""
    if low > LIMIT:
        return EXPLODING
    if high < -LIMIT:
        return VANISHING
    return STABLE if low >= -LIMIT and high <= LIMIT else UNDECIDED


def mean_and_error(values: Sequence[float] | Array) -> tuple[float, float]:
    """The mean over networks and its standard error."""
    array = np.asarray(values, np.float64)
    with np.errstate(all="ignore"):
        return float(array.mean()), float(array.std(ddof=1) / math.sqrt(len(array)))
