"""The rule for agreement of a sample with an exact value, and the bounds of z-scores. Does not import numba.

`run`, `verify`, `merge`, `doctor`, HTML and plots all use this rule. A statistic of a row agrees, disagrees, or is not
judged, for one of these reasons: there is no exact value, the moments overflowed, there are fewer than 1,000 draws, or
too few draws dominate the estimate (rare events, heavy tails).
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import TYPE_CHECKING

from gradstat.estimation.student import normal_score
from gradstat.layer_types.statistics import exact_bases, unit_error

if TYPE_CHECKING:
    from gradstat.estimation.estimates import Estimates
    from gradstat.estimation.run import ResultRow
    from gradstat.layer_types.record import Exact

FAMILY_WISE = 1e-6  # probability of any false alarm among all z-scores of a run
ROUNDING = 1e-12  # relative to the scale of the value; so small an error needs 10²⁴ draws
RESOLUTION = 2.0**-50  # relative to |mean|: float64 rounding hides smaller deviations
FEWEST = 1000  # draws; with fewer, means are not normal enough and errors too uncertain for a z-score
FEWEST_EVENTS = 30.0  # effective draws in the variance, n/kurtosis; with fewer, the error is too uncertain
LARGEST_SHARE = 1.0 / 15.0  # of one draw in Σ(v − mean)⁴; above it, the sample's error is not usable
ATOM = 0.9  # with a larger fraction of equal draws, the other draws count as events
SOURCE_BOUND = 4.0  # standard errors of a source's simulation that chance explains
JUDGED = ("mean", "std")  # the statistics that have a z-score in a result

NO_EXACT_VALUE = "no exact value"
NO_ERROR_BAR = "no error bar"
OVERFLOW = "overflow"
TOO_FEW_DRAWS = f"fewer than {FEWEST:,} draws"
TOO_FEW_EVENTS = "too few events"
HEAVY_TAILS = "heavy tails"


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
    if exact is None or expected is None:
        return Score(statistic, None, NO_EXACT_VALUE)
    value, error = getattr(e, statistic), getattr(e, f"{statistic}_se", None)
    if error is None:
        return Score(statistic, None, NO_ERROR_BAR)
    if not (math.isfinite(value) and math.isfinite(error)):
        return Score(statistic, None, OVERFLOW)
    slots = len(row.row.slots)
    if reason := unjudged(e, exact):
        return Score(statistic, None, reason)
    if abs(value - expected) <= ROUNDING * (abs(expected) + e.std) + RESOLUTION * abs(e.mean):
        return Score(statistic, 0.0)
    unit = unit_error(statistic, exact) if slots == 1 else None
    scores = [z_score(value, expected, error, e.std, row.degrees)]
    if unit:
        scores.append((value - expected) / unit * math.sqrt(e.n))
    return Score(statistic, min(scores, key=abs))


def unjudged(e: "Estimates", exact: "Exact") -> str:
    """The reason why no statistic of a row is judged; empty if they are judged."""
    if e.n < FEWEST:
        return TOO_FEW_DRAWS
    if events(e, exact) >= FEWEST_EVENTS:
        return ""
    nearest = min(e.max - e.mean, e.mean - e.min)  # an atom is 0, or at an end of the values
    return TOO_FEW_EVENTS if e.zero_fraction > ATOM or nearest < (1.0 - ATOM) * e.std else HEAVY_TAILS


def events(e: "Estimates", exact: "Exact") -> float:
    """The effective number of draws in the variance: n/kurtosis, which is n·p for events of probability p.

    Without an exact kurtosis, the sample's is used, and the result is 0 if one draw dominates Σ(v − mean)⁴.
    If all draws are equal, n·MAD²/σ² (Cauchy and Schwarz: at most the draws expected to differ), or n.
    """
    if exact.kurtosis is not None:
        return e.n / max(exact.kurtosis, 1.0)
    farthest = max(e.max - e.mean, e.mean - e.min)
    if farthest <= RESOLUTION * abs(e.mean):
        return e.n * exact.mad * exact.mad / exact.var if exact.mad is not None and exact.var > 0.0 else e.n
    ratio = e.std / farthest
    share = 1.0 / (e.n * e.kurtosis * ratio * ratio * ratio * ratio)
    return e.n / e.kurtosis if share <= LARGEST_SHARE else 0.0


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
