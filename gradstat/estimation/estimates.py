"""From the accumulators of a row to its statistics and standard errors.

Every error counts independent draws. For a statistic that is a smooth function of means, the delta method gives its
error from the variance, over draws, of the draw's influence on it; the totals of a draw over its slots carry the
dependence between slots. Products and square roots only, no powers: the last digit of libm's pow depends on the CPU.
"""

import math
from dataclasses import dataclass
from typing import Any

from gradstat.numerics import columns


@dataclass(frozen=True)
class Estimates:
    """The statistics of one row, each with its standard error where it has one."""

    n: int
    mean: float
    mean_se: float
    std: float
    std_se: float
    second_moment: float
    second_moment_se: float
    abs_mean: float
    abs_mean_se: float
    mad: float
    mad_se: float
    skewness: float
    kurtosis: float
    zero_fraction: float
    min: float
    max: float


@dataclass(frozen=True)
class Totals:
    """Per draw: the number of slots, and the (co)variances over draws of T₁, T₂, T_a, T_d (see `moments`)."""

    draws: float
    slots: float
    v11: float
    v12: float
    v22: float
    vaa: float
    vdd: float
    v1d: float


def estimates(acc: Any) -> Estimates:
    """Statistics of one row of accumulators.

    var = M2/N + se(mean)² is unbiased whether the slots of a draw are independent or not; with one slot it is
    M2/(n − 1).
    """
    count = acc[columns.COUNT]
    t = totals(acc)
    c, shift = acc[columns.CENTRE], acc[columns.SHIFT]
    mean = c + shift
    mean_se = _se(t, t.v11)
    var = acc[columns.M2] / count + mean_se * mean_se
    std = math.sqrt(var)
    var_se = math.hypot(
        _se(t, t.v22 - 4.0 * shift * t.v12 + 4.0 * shift * shift * t.v11),
        math.sqrt(2.0) * mean_se * mean_se,  # second order: all there is where Σv² is equal in all draws (rms_norm)
    )
    square_se = _se(t, t.v22 + 4.0 * c * t.v12 + 4.0 * c * c * t.v11)
    sign = acc[columns.SIGN] / count
    mad_se = _se(t, t.vdd - 2.0 * sign * t.v1d + sign * sign * t.v11)
    m2, m3, m4 = acc[columns.M2] / count, acc[columns.M3] / count, acc[columns.M4] / count
    return Estimates(
        n=round(t.draws),
        mean=mean,
        mean_se=mean_se,
        std=std,
        std_se=var_se / (2.0 * std) if std > 0.0 else 0.0,
        second_moment=m2 + mean * mean,
        second_moment_se=square_se,
        abs_mean=acc[columns.ABS] / count,
        abs_mean_se=_se(t, t.vaa),
        mad=acc[columns.DEVIATION] / count - shift * sign,
        mad_se=mad_se,
        skewness=m3 / (m2 * math.sqrt(m2)) if m2 > 0.0 else math.nan,
        kurtosis=m4 / (m2 * m2) if m2 > 0.0 else math.nan,
        zero_fraction=acc[columns.ZEROS] / count,
        min=acc[columns.MIN],
        max=acc[columns.MAX],
    )


def totals(acc: Any) -> Totals:
    """Variances of the totals of a draw: accumulated where a draw has several slots, else from the moments."""
    n = acc[columns.COUNT]
    if acc[columns.DRAWS] > 0.0:
        n = acc[columns.DRAWS]
        sums = [acc[c] for c in (columns.C11, columns.C12, columns.C22, columns.CAA, columns.CDD, columns.C1D)]
    else:
        shift, mean = acc[columns.SHIFT], acc[columns.CENTRE] + acc[columns.SHIFT]
        m2, m3, m4 = acc[columns.M2], acc[columns.M3], acc[columns.M4]
        square = m2 + n * shift * shift  # Σ(v − c)²
        sums = [
            m2,
            m3 + 2.0 * shift * m2,
            m4 + 4.0 * shift * m3 + 4.0 * shift * shift * m2 - m2 * m2 / n,
            m2 + n * mean * mean - acc[columns.ABS] * acc[columns.ABS] / n,
            square - acc[columns.DEVIATION] * acc[columns.DEVIATION] / n,
            acc[columns.SIGNED_SQUARE] - shift * acc[columns.DEVIATION],
        ]
    degrees = max(n - 1.0, 1.0)
    return Totals(n, acc[columns.COUNT] / n, *(total / degrees for total in sums))


def _se(t: Totals, variance: float) -> float:
    """Standard error of the mean over draws of a total per slot."""
    return math.sqrt(max(variance, 0.0) / t.draws) / t.slots
