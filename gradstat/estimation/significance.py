"""The rule for agreement of a sample with an exact value, and the bounds of z-scores. Does not import numba.

`run`, `verify`, `merge`, `doctor`, HTML and plots all use this rule. A statistic of a row agrees, disagrees, or is not
judged: if there is no exact value, if its moments overflowed, or if it has no error bar (`error_bars`).
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import TYPE_CHECKING

from gradstat.estimation.student import normal_score
from gradstat.layer_types.record import Exact
from gradstat.layer_types.statistics import exact_bases, unit_error

if TYPE_CHECKING:
    from gradstat.estimation.run import ResultRow

FAMILY_WISE = 1e-6  # probability of any false alarm among all z-scores of a run
ROUNDING = 1e-12  # relative to the scale of the value; so small an error needs 10²⁴ draws
RESOLUTION = 2.0**-50  # relative to |mean|: float64 rounding hides smaller deviations
SOURCE_BOUND = 4.0  # standard errors of a source's simulation that chance explains
JUDGED = ("mean", "std")  # the statistics that have a z-score in a result

NO_EXACT_VALUE = "no exact value"
NO_ERROR_BAR = "no error bar"
OVERFLOW = "overflow"


@dataclass(frozen=True)
class Score:
    """The comparison of one statistic of a row with its exact value: a z-score, or the reason why there is none."""

    statistic: str
    z: float | None
    reason: str = ""


@dataclass(frozen=True)
class Disagreement:
    """A statistic of a row whose distance from its exact value chance does not explain."""

    row: "ResultRow"
    statistic: str
    z: float
    bound: float

    def __str__(self) -> str:
        where = f"{self.row.case.label} {self.row.row.direction} {self.statistic}"
        return f"{where} is {self.z:+.1f} standard errors from its exact value; bound: {self.bound:.1f}"


def disagreements(rows: "Sequence[ResultRow]") -> list[Disagreement]:
    """The means and stds of a run that disagree with their exact values."""
    return contradictions([(row, statistic) for row in rows for statistic in JUDGED])


def contradictions(quantities: "Sequence[tuple[ResultRow, str]]", alpha: float | None = None) -> list[Disagreement]:
    """The pairs (row, statistic) that disagree with their exact values.

    All estimates of correct values agree with probability 1 − alpha.
    """
    scores = [(row, score(row, statistic)) for row, statistic in quantities]
    bound = z_bound(sum(s.z is not None for _, s in scores), alpha)
    return [Disagreement(row, s.statistic, s.z, bound) for row, s in scores if s.z is not None and beyond(s.z, bound)]


def score(row: "ResultRow", statistic: str) -> Score:
    """(estimate − exact) in standard errors, as a normal score; or the reason why there is none.

    The error is the sampled one or the one from the exact moments, whichever makes the score smaller: a sample without
    the rare large values underestimates its error, and one with too many of them does not.
    """
    e, exact = row.estimates, row.exact
    expected = None if exact is None else exact_bases(exact)[statistic]
    if exact is None or expected is None or not math.isfinite(expected):
        return Score(statistic, None, NO_EXACT_VALUE)
    value, error = getattr(e, statistic), getattr(e, f"{statistic}_se", math.inf)
    if not math.isfinite(value) or math.isnan(error):
        return Score(statistic, None, OVERFLOW)
    if math.isinf(error):
        return Score(statistic, None, row.no_error_bar or NO_ERROR_BAR)
    if abs(value - expected) <= ROUNDING * (abs(expected) + _size(row, exact)) + RESOLUTION * abs(e.mean):
        return Score(statistic, 0.0)
    scores = [z_score(value, expected, error, e.std, getattr(e, f"{statistic}_df"))]
    unit = unit_error(statistic, exact) if len(row.row.slots) == 1 and row.independent else None
    if unit:
        scores.append((value - expected) / unit * math.sqrt(e.n))
    return Score(statistic, min(scores, key=abs))


def _size(row: "ResultRow", exact: Exact) -> float:
    """What rounding is relative to: the spread, or, where all draws are equal, terms in dy and dy/σ[x] that cancel."""
    x = row.case.x
    return row.estimates.std if exact.var > 0.0 else 1.0 + (1.0 + abs(x.mean)) / x.std


def z_score(value: float, expected: float, error: float, std: float, degrees: float = math.inf) -> float:
    """(value − expected)/error as a normal score; `degrees` are the degrees of freedom of the error.

    0 if they differ only by rounding, which no standard error includes.
    """
    difference = value - expected
    if abs(difference) <= ROUNDING * (abs(expected) + std):
        return 0.0
    return normal_score(difference / error, degrees) if error > 0.0 else math.copysign(math.inf, difference)


def z_bound(tests: int, alpha: float | None = None) -> float:
    """The |z| that one of `tests` true values exceeds with probability `alpha`, 10⁻⁶ (Bonferroni, two-sided)."""
    return -NormalDist().inv_cdf((FAMILY_WISE if alpha is None else alpha) / (2.0 * max(tests, 1)))


def beyond(z: float, bound: float) -> bool:
    """True if chance does not explain a score; NaN is beyond every bound."""
    return not abs(z) <= bound


def bound_of(scores: Iterable[float | None]) -> float:
    """The bound for z-scores that are judged together. Scores of None do not count."""
    return z_bound(sum(z is not None for z in scores))
