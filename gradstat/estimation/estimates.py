"""Accumulators of a row → its statistics, their standard errors, and the degrees of freedom of those errors.

Every error counts independent draws. For a statistic that is a smooth function of means, the delta method gives its
error from the variance, over draws, of the draw's influence on it. Totals of a draw over its slots include the
dependence between slots. Only products and square roots are used: the last digit of libm's pow depends on the CPU.

Degrees of freedom: a variance that is estimated from n draws of kurtosis κ is known as well as one that is estimated
from 1 + 2n/(κ − 1) normal draws (Satterthwaite). Here κ is replaced by (largest deviation)²/variance, which is never
smaller than the sample's. v² and |v| are skew, which Student's t does not include: their degrees of freedom are halved.
"""

import math
from dataclasses import dataclass
from typing import Any

from gradstat.numerics import columns

FEWEST_PEAKS = 30  # of 1024 draws each, that a tail index is worth something: its own error is then a fifth of it
SYMMETRIC = 1.0  # share of the degrees of freedom that the mean of draws keeps, which are not skew as squares are
GUMBEL = math.sqrt(6.0) / math.pi  # σ of ln(peak) times this is the tail index of |v|


@dataclass(frozen=True)
class Estimates:
    """The statistics of one row, each with its standard error and the error's degrees of freedom where it has them.

    A standard error of infinity says that the statistic has no error bar.
    """

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
    mean_df: float = math.inf
    std_df: float = math.inf
    second_moment_df: float = math.inf
    abs_mean_df: float = math.inf
    mad_df: float = math.inf
    tail_index: float = math.nan  # of v²: above ½ its variance is infinite; NaN for too few draws
    tail_index_se: float = math.nan


@dataclass(frozen=True)
class Totals:
    """Per draw: the number of slots, the (co)variances over draws of T₁, T₂, T_a, T_d, and the largest T₂."""

    draws: float
    slots: float
    v11: float
    v12: float
    v22: float
    vaa: float
    vdd: float
    v1d: float
    largest: float


def estimates(acc: Any) -> Estimates:
    """Statistics of one row of accumulators.

    var = M2/N + se(mean)² is unbiased whether the slots of a draw are independent or not; with one slot it is
    M2/(n − 1). E|v − mean| is summed about the centre c and corrected to first order: values above c come nearer by
    the shift, values below go away by it, and values at c, an atom, go away by its size on either side.
    """
    count = acc[columns.COUNT]
    t = totals(acc)
    c, shift = acc[columns.CENTRE], acc[columns.SHIFT]
    mean = c + shift
    mean_se = _se(t, t.v11)
    var = acc[columns.M2] / count + mean_se * mean_se
    std = math.sqrt(var)
    v_var = t.v22 - 4.0 * shift * t.v12 + 4.0 * shift * shift * t.v11
    second_order = math.sqrt(2.0) * mean_se * mean_se  # all there is where Σv² is equal in all draws (rms_norm)
    var_se = math.hypot(_se(t, v_var), second_order)
    v_square = t.v22 + 4.0 * c * t.v12 + 4.0 * c * c * t.v11
    sign = (acc[columns.SIGN] - math.copysign(acc[columns.TIES], shift)) / count
    v_mad = t.vdd - 2.0 * sign * t.v1d + sign * sign * t.v11
    m2, m3, m4 = acc[columns.M2] / count, acc[columns.M3] / count, acc[columns.M4] / count
    # The largest deviations of a draw's totals from their means: at most these, by Cauchy and Schwarz.
    farthest = math.sqrt(t.slots * t.largest) + t.slots * abs(shift)
    from_mean = t.largest + 2.0 * abs(shift) * farthest
    return Estimates(
        n=round(t.draws),
        mean=mean,
        mean_se=mean_se,
        std=std,
        std_se=var_se / (2.0 * std) if std > 0.0 else 0.0,
        second_moment=m2 + mean * mean,
        second_moment_se=_se(t, v_square),
        abs_mean=acc[columns.ABS] / count,
        abs_mean_se=_se(t, t.vaa),
        mad=acc[columns.DEVIATION] / count - shift * sign,
        mad_se=_se(t, v_mad),
        skewness=m3 / (m2 * math.sqrt(m2)) if m2 > 0.0 else math.nan,
        kurtosis=m4 / (m2 * m2) if m2 > 0.0 else math.nan,
        zero_fraction=acc[columns.ZEROS] / count,
        min=acc[columns.MIN],
        max=acc[columns.MAX],
        mean_df=degrees(t.draws, farthest, t.v11, SYMMETRIC),
        std_df=degrees(t.draws, from_mean - t.slots * m2, v_var + t.draws * (t.slots * second_order) ** 2),
        second_moment_df=degrees(t.draws, from_mean + 2.0 * abs(mean) * farthest - t.slots * m2, v_square),
        abs_mean_df=degrees(t.draws, farthest, t.vaa),
        mad_df=degrees(t.draws, farthest, v_mad),
        tail_index=tail_index(acc),
        tail_index_se=tail_index(acc)
        * 1.05
        / math.sqrt(max(acc[columns.PEAKS], 1.0)),  # a Gumbel variable has kurtosis 5.4
    )


def totals(acc: Any) -> Totals:
    """Variances of the totals of a draw: accumulated if a draw has several slots, otherwise from the moments."""
    n = acc[columns.COUNT]
    one_sign = acc[columns.MIN] >= 0.0 or acc[columns.MAX] <= 0.0
    if acc[columns.DRAWS] > 0.0:
        n = acc[columns.DRAWS]
        sums = [acc[c] for c in (columns.C11, columns.C12, columns.C22, columns.CAA, columns.CDD, columns.C1D)]
        largest = acc[columns.LARGEST_T2]
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
        farthest = max(acc[columns.MAX] - acc[columns.CENTRE], acc[columns.CENTRE] - acc[columns.MIN])
        largest = farthest * farthest
    if one_sign:  # then Var|v| = Var v, and E[v²] − (E|v|)² would cancel
        sums[3] = sums[0]
    degrees = max(n - 1.0, 1.0)
    return Totals(n, acc[columns.COUNT] / n, *(total / degrees for total in sums), *[largest])


def tail_index(acc: Any) -> float:
    """k̂ of v², from the peaks: ln of the largest of many |v − c| with tails x^(−1/k) has the variance π²k²/6."""
    peaks = acc[columns.PEAKS]
    if peaks < FEWEST_PEAKS:
        return math.nan
    mean = acc[columns.LOG_PEAKS] / peaks
    variance = max(acc[columns.SQUARED_LOG_PEAKS] / peaks - mean * mean, 0.0)
    return 2.0 * GUMBEL * math.sqrt(variance)


def _se(t: Totals, variance: float) -> float:
    """Standard error of (total of a draw)/slots, averaged over draws."""
    return math.sqrt(max(variance, 0.0) / t.draws) / t.slots


def degrees(draws: float, farthest: float, variance: float, share: float = 0.5) -> float:
    """2·share·(n − 1)/(κ − 1), κ = farthest²/variance, between 1 and n − 1."""
    most = max(draws - 1.0, 1.0)
    excess = farthest * farthest - variance
    return min(max(2.0 * share * most * variance / excess, 1.0), most) if excess > variance / most else most
