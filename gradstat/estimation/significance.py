"""Distances in standard errors, and how large one may be before it is called wrong. Needs no compiler."""

import math
from statistics import NormalDist

from gradstat.estimation.student import normal_score

ROUNDING = 1e-12  # of a value's own scale; 10²⁴ draws would be needed for an error that small
FEWEST = 1000  # draws; of fewer, means are not normal and errors are not known well enough to judge by
SOURCE_BOUND = 4.0  # standard errors of a source's own simulation that chance explains
FAMILY_WISE = 1e-6  # chance of a false alarm over all z-scores that are judged together


def z_score(value: float, expected: float, error: float, std: float, degrees: float = math.inf) -> float:
    """(value − expected)/error as a normal score, where the error has so many degrees of freedom.

    0 where they differ by no more than rounding, which no standard error covers.
    """
    difference = value - expected
    if abs(difference) <= ROUNDING * (abs(expected) + std):
        return 0.0
    return normal_score(difference / error, degrees) if error > 0.0 else math.copysign(math.inf, difference)


def z_bound(tests: int) -> float:
    """The |z| that one of so many true values exceeds with probability 10⁻⁶ (Bonferroni, two-sided)."""
    return -NormalDist().inv_cdf(FAMILY_WISE / (2.0 * max(tests, 1)))
