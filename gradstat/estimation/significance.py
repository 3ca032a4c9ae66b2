"""The one rule by which a sample agrees with an exact value, and what a z-score may be. Needs no compiler.

`run`, `verify`, `merge`, `doctor`, HTML and plots ask this module and have no rule of their own. A statistic of a row
agrees, disagrees, or is not judged, for one of these reasons: there is no exact value, the moments overflowed, there
are fewer than 1,000 draws, too few draws make up the estimate (rare events, heavy tails).
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

FAMILY_WISE = 1e-6  # chance of a false alarm over all z-scores that are judged together
ROUNDING = 1e-12  # of a value's own scale; 10²⁴ draws would be needed for an error that small
RESOLUTION = 2.0**-50  # of |mean|: deviations from it that are smaller are lost when values are rounded to float64
FEWEST = 1000  # draws; of fewer, means are not normal and errors are not known well enough to judge by
FEWEST_EVENTS = 30.0  # draws that make up the variance, in effect: n/kurtosis; of fewer, an error means too little
LARGEST_SHARE = 1.0 / 15.0  # of one draw in Σ(v − mean)⁴, from which on a sample does not know its error
ATOM = 0.9  # share of equal draws from which the other draws are called events
SOURCE_BOUND = 4.0  # standard errors of a source's own simulation that chance explains
JUDGED = ("mean", "std")  # the statistics that a result carries a z-score of

NO_EXACT_VALUE = "no exact value"
NO_ERROR_BAR = "no error bar"
OVERFLOW = "overflow"
TOO_FEW_DRAWS = f"fewer than {FEWEST:,} draws"
TOO_FEW_EVENTS = "too few events"
HEAVY_TAILS = "heavy tails"


@dataclass(frozen=True)
class Score:
    """One statistic of one row beside its exact value: a z-score, or the reason why it is not judged."""

    statistic: str
    z: float | None
    reason: str = ""


@dataclass(frozen=True)
class Disagreement:
    """A statistic of a row that is farther from its exact value than chance allows."""

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
    """Those of (row, statistic) that disagree with their exact values; right ones all agree with probability 1 − alpha.

    The default of alpha is FAMILY_WISE.
    """
    scores = [(row, score(row, statistic)) for row, statistic in quantities]
    bound = z_bound(sum(s.z is not None for _, s in scores), alpha)
    return [Disagreement(row, s.statistic, s.z, bound) for row, s in scores if s.z is not None and beyond(s.z, bound)]


def score(row: "ResultRow", statistic: str) -> Score:
    """(estimate − exact) in standard errors, as a normal score; or why there is none.

    The error is the sampled one or the one that the exact moments give, whichever makes the score smaller: a sample
    that missed the rare large values does not know its error, and one that has too many of them does.
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
    """Why no statistic of a row is judged; empty where all are."""
    if e.n < FEWEST:
        return TOO_FEW_DRAWS
    if events(e, exact) >= FEWEST_EVENTS:
        return ""
    nearest = min(e.max - e.mean, e.mean - e.min)  # an atom is 0, or at an end of the values
    return TOO_FEW_EVENTS if e.zero_fraction > ATOM or nearest < (1.0 - ATOM) * e.std else HEAVY_TAILS


def events(e: "Estimates", exact: "Exact") -> float:
    """Draws that make up the variance, in effect: n/kurtosis, which is n·p for events of probability p.

    Where the exact kurtosis is not known, the sample's, and 0 where one draw is too large a share of Σ(v − mean)⁴.
    Where all draws are equal, n·MAD²/σ² (Cauchy and Schwarz: at most the draws expected to differ), or n.
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
    """(value − expected)/error as a normal score, where the error has this number of degrees of freedom.

    0 where they differ by no more than rounding, which no standard error covers.
    """
    difference = value - expected
    if abs(difference) <= ROUNDING * (abs(expected) + std):
        return 0.0
    return normal_score(difference / error, degrees) if error > 0.0 else math.copysign(math.inf, difference)


def z_bound(tests: int, alpha: float | None = None) -> float:
    """The |z| that one of `tests` true values exceeds with probability `alpha`, 10⁻⁶ (Bonferroni, two-sided)."""
    return -NormalDist().inv_cdf((FAMILY_WISE if alpha is None else alpha) / (2.0 * max(tests, 1)))


def beyond(z: float, bound: float) -> bool:
    """True where chance does not explain a score; NaN is beyond every bound."""
    return not abs(z) <= bound


def bound_of(scores: Iterable[float | None]) -> float:
    """The bound for the z-scores that are judged together; None where one is not judged."""
    return z_bound(sum(z is not None for z in scores))
