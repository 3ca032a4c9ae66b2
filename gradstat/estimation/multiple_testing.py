"""How the chance of a wrong verdict is shared out: a whole run has one wrong verdict with probability 10⁻⁶ at most.

Half of the 10⁻⁶ goes to the comparison of sampling with the exact referee, a quarter to wrong `refuted` (or
`imprecise`), a quarter to wrong `confirmed`. Each of the latter is a family of hypotheses of its own, "the value lies
in its interval" and "it does not", tested by Holm's step-down procedure. It needs no independence: claims share draws.

Look k of several, each at more draws, has the 2⁻⁽ᵏ⁺¹⁾th part of a family's share. A hypothesis leaves its family when
it is rejected and never otherwise: a claim that was confirmed still counts among those that could be wrongly refuted.
So before the first wrong rejection a family holds at least all its true hypotheses, and their union bound is the level.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist

from gradstat.estimation.significance import FAMILY_WISE

AGREEMENT, REFUTING, CONFIRMING = 0.5, 0.25, 0.25  # shares of FAMILY_WISE


@dataclass(frozen=True)
class HolmDecision:
    """Whether a hypothesis is rejected, and the number of standard errors that it was held against."""

    rejected: bool
    critical_z: float


def level(share: float, look: int, family_wise: float = FAMILY_WISE) -> float:
    """What one look may alpha."""
    return family_wise * share / 2.0 ** (look + 1)


def quantile(probability: float) -> float:
    """Standard errors that a normal value exceeds, on both sides together, with this probability."""
    return -NormalDist().inv_cdf(probability / 2.0)


def holm(scores: Sequence[float], alpha: float, family: int) -> list[HolmDecision]:
    """Holm's step-down test of scores in standard errors, two-sided.

    family: hypotheses not rejected so far, at least as many as there are scores. The largest score is held against
    alpha/family, the next against alpha/(family − 1), and so on until the first that does not critical_z its bound; the
    bound of that one is the bound of all below it.
    """
    tests: dict[int, HolmDecision] = {}
    rejected = 0
    for index in sorted(range(len(scores)), key=lambda i: -scores[i]):
        critical_z = quantile(alpha / (family - rejected))
        passed = rejected == len(tests) and scores[index] > critical_z
        tests[index] = HolmDecision(passed, critical_z)
        rejected += passed
    return [tests[index] for index in range(len(scores))]
