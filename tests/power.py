"""How small an error of a layer `run` detects: the table of docs/precision.md, and what tests compare with it."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from statistics import NormalDist

from gradstat.estimation.error_bars import FEWEST_EVENTS
from gradstat.estimation.estimates import SYMMETRIC, degrees
from gradstat.estimation.significance import z_bound
from gradstat.estimation.student import critical_t
from gradstat.text.markup import markdown_table
from gradstat.text.tables import Column, Table

SCORES = 400  # z-scores of a run of all shipped layers
DETECTED = 0.999  # of all seeds
LARGER = 0.05  # of all samples have a larger value than the one that sets the degrees of freedom
DRAWS = tuple(10**k for k in range(3, 11))


@dataclass(frozen=True)
class Power:
    """A row whose σ is wrong: mean, variance, kurtosis, and its value at a normal number z."""

    mean: float
    var: float
    kurtosis: float
    largest: Callable[[float], float]

    def detected(self, draws: int, scores: int = SCORES) -> float | None:
        """The relative error of σ that 99.9 % of seeds detect; None without an error bar, or if it is above 1."""
        if draws < FEWEST_EVENTS * self.kurtosis:
            return None
        away = (self.largest(largest_z(draws)) - self.mean) ** 2 - self.var
        freedom = degrees(draws, away, (self.kurtosis - 1.0) * self.var**2)
        error = detected(math.sqrt(0.25 * (self.kurtosis - 1.0)), draws, freedom, scores)
        return error if error < 1.0 else None


ROWS = {
    "σ of a normal row": Power(0.0, 1.0, 3.0, lambda z: z),
    "σ[dx] of relu": Power(0.0, 0.5, 6.0, lambda z: z),
    "σ[y] of exp": Power(
        math.exp(0.5),
        math.exp(2.0) - math.exp(1.0),
        math.exp(4.0) + 2.0 * math.exp(3.0) + 3.0 * math.exp(2.0) - 3.0,
        math.exp,
    ),
}


def detected(unit: float, draws: int, freedom: float, scores: int = SCORES) -> float:
    """The error that 99.9 % of seeds detect; `unit` is the standard error of a single draw."""
    return (critical_t(z_bound(scores), freedom) + NormalDist().inv_cdf(DETECTED)) * unit / math.sqrt(draws)


def detected_mean(draws: int, scores: int = SCORES) -> float:
    """The error of a normal row's mean, in σ, that 99.9 % of seeds detect."""
    return detected(1.0, draws, degrees(draws, largest_z(draws), 1.0, SYMMETRIC), scores)


def largest_z(draws: int) -> float:
    """The normal number that a twentieth of all samples exceed."""
    return NormalDist().inv_cdf(1.0 - LARGER / draws)


def table() -> str:
    """One row per number of draws: the detected error of a mean in σ, and relative errors of standard deviations."""
    columns = [Column(name, align="decimal") for name in ("draws", "E of a normal row, in σ", *ROWS)]
    rows = [
        [
            f"10^{round(math.log10(draws))}",
            *map(_shown, (detected_mean(draws), *(p.detected(draws) for p in ROWS.values()))),
        ]
        for draws in DRAWS
    ]
    return f"{markdown_table(Table(columns, rows))}\n"


def _shown(error: float | None) -> str:
    return "–" if error is None else f"{error:.1e}"
