"""Multiple testing: the probability of any wrong verdict in a run is at most 10⁻⁶.

The comparison of sampling with exact values gets half of the 10⁻⁶, wrong `refuted` (or `imprecise`) verdicts a quarter,
wrong `confirmed` verdicts a quarter. The last two are separate families of hypotheses, "the value lies in its interval"
and "it does not", tested by Holm's step-down procedure. It does not need independence: claims share draws.

Look k of several, each with more draws, gets the fraction 2⁻⁽ᵏ⁺¹⁾ of its family's alpha. A hypothesis leaves its family
only when it is rejected: a confirmed claim still counts among those that could be wrongly refuted. So before the first
wrong rejection a family contains all its true hypotheses, and their union bound is the level.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist

from gradstat.estimation.significance import FAMILY_WISE

AGREEMENT, REFUTING, CONFIRMING = 0.5, 0.25, 0.25  # shares of FAMILY_WISE


@dataclass(frozen=True)
class HolmDecision:
    """Whether a hypothesis is rejected, and its critical value in standard errors."""

    rejected: bool
    critical_z: float


def level(share: float, look: int, family_wise: float = FAMILY_WISE) -> float:
    """The alpha of one look."""
    return family_wise * share / 2.0 ** (look + 1)


def quantile(probability: float) -> float:
    """The two-sided critical value, in standard errors: a normal |z| exceeds it with this probability."""
    return -NormalDist().inv_cdf(probability / 2.0)


def holm(scores: Sequence[float], alpha: float, family: int) -> list[HolmDecision]:
    """Holm's step-down test of scores in standard errors, two-sided.

    family: the number of hypotheses not rejected so far, at least the number of scores. The largest score is tested at
    alpha/family, the next at alpha/(family − 1), and so on. The first score below its critical value ends the test; its
    critical value is that of all smaller scores.
    """
    tests: dict[int, HolmDecision] = {}
    rejected = 0
    for index in sorted(range(len(scores)), key=lambda i: -scores[i]):
        critical_z = quantile(alpha / (family - rejected))
        passed = rejected == len(tests) and scores[index] > critical_z
        tests[index] = HolmDecision(passed, critical_z)
        rejected += passed
    return [tests[index] for index in range(len(scores))]
