"""How far a z-score may be off before it is called wrong; what `estimation.run` judges by, without its compiler."""

from statistics import NormalDist

FAMILY_WISE = 1e-6  # chance of a false alarm over all z-scores of a result


def z_bound(tests: int) -> float:
    """The |z| that one of so many true values exceeds with probability 10⁻⁶ (Bonferroni, two-sided)."""
    return -NormalDist().inv_cdf(FAMILY_WISE / (2.0 * max(tests, 1)))
