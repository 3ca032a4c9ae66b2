"""Distances in standard errors, and how large one may be before it is called wrong. Needs no compiler."""

import math
from statistics import NormalDist

ROUNDING = 1e-12  # of a value's own scale; 10²⁴ draws would be needed for an error that small
FAMILY_WISE = 1e-6  # chance of a false alarm over all z-scores that are judged together


def z_score(value: float, expected: float, error: float, std: float) -> float:
    """(value − expected)/error; 0 where they differ by no more than rounding, which no standard error covers."""
    difference = value - expected
    if abs(difference) <= ROUNDING * (abs(expected) + std):
        return 0.0
    return difference / error if error > 0.0 else math.copysign(math.inf, difference)


def z_bound(tests: int) -> float:
    """The |z| that one of so many true values exceeds with probability 10⁻⁶ (Bonferroni, two-sided)."""
    return -NormalDist().inv_cdf(FAMILY_WISE / (2.0 * max(tests, 1)))
