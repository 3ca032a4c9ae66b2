"""The accumulators of one row of results: their names and their columns. Does not import numba."""

# Values: all slots of the row, over all draws. The mean is kept as its shift from the centre: rounded to the size of
# the mean itself, merges lose 10⁻¹¹ of the variance if mean/std = 10⁸ (NumAcc4).
# Per-draw totals over the row's slots, from `draws` on, for the error bars: T₁ = Σ(v − c), T₂ = Σ(v − c)², T_a = Σ|v|,
# T_d = Σ|v − c|, and their co-moments. For the tails: how often v = c; of the peaks (the largest |v − c| of 1024 draws)
# the number, Σ ln and Σ ln²; the largest T₂.
NAMES = (
    *("count", "centre", "shift", "m2", "m3", "m4"),
    *("abs", "deviation", "sign", "signed_square", "zeros", "min", "max"),
    *("draws", "t1", "t2", "ta", "td", "c11", "c12", "c22", "caa", "cdd", "c1d"),
    *("ties", "peaks", "log_peaks", "squared_log_peaks", "largest_t2"),
)
COUNT, CENTRE, SHIFT, M2, M3, M4 = range(6)
ABS, DEVIATION, SIGN, SIGNED_SQUARE, ZEROS, MIN, MAX = range(6, 13)
DRAWS, T1, T2, TA, TD, C11, C12, C22, CAA, CDD, C1D = range(13, 24)
TIES, PEAKS, LOG_PEAKS, SQUARED_LOG_PEAKS, LARGEST_T2 = range(24, 29)
WIDTH = len(NAMES)
