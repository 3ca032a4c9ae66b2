"""The columns of a result file, in order, and their types. Does not import numba, so reading a result is fast."""

import pyarrow as pa

from gradstat.numerics.columns import NAMES

SCHEMA_VERSION = 4  # 3: degrees of freedom, tail indices, reasons for missing error bars; 4: kinds of exact values
OLDEST_VERSION = 2  # that is read

TEXTS = ["layer", "params", "direction", "cell", "input", "upstream", "estimator"]
ESTIMATES = [
    *("mean", "mean_se", "std", "std_se", "second_moment", "second_moment_se", "abs_mean", "abs_mean_se"),
    *("mad", "mad_se", "skewness", "kurtosis", "zero_fraction", "min", "max"),
]
REFEREE = ["exact_mean", "exact_std", "z_mean", "z_std"]
EXACT_MAD = "exact_mad"  # shown; MAD has no z-score
WINDOWS = "windows"  # number of windows that cover a cell of a strided map; its mean for `all`, otherwise null
# What the standard errors are worth: degrees of freedom, the tail index of v² (null for too few draws), and why
# statistics have no error bar, which is a standard error of infinity.
WORTH = ["mean_df", "std_df", "second_moment_df", "abs_mean_df", "mad_df", "tail_index", "tail_index_se"]
NO_ERROR_BAR = "no_error_bar"
# What each exact value is worth: proven, numeric, infinite, undefined or overflow; null if none is known. And why there
# is no finite value.
EXACT_MEAN, EXACT_STD = "exact_mean", "exact_std"
KINDS = {name: f"{name}_kind" for name in (EXACT_MEAN, EXACT_STD, EXACT_MAD)}
EXACT_REASON = "exact_reason"
TAILS = ("tail_index", "tail_index_se")
OPTIONAL = (*REFEREE, WINDOWS, EXACT_MAD, *TAILS, NO_ERROR_BAR, *KINDS.values(), EXACT_REASON)  # columns with nulls
ACCUMULATORS = [f"acc_{name}" for name in NAMES]  # raw sums, for merging files
ADDED_ACCUMULATORS = ACCUMULATORS[-5:]  # by version 3

SCHEMA = pa.schema(
    [(name, pa.string()) for name in TEXTS]
    + [("seed", pa.uint64()), ("n", pa.int64())]
    + [(name, pa.float64()) for name in (*ESTIMATES, *REFEREE, WINDOWS, EXACT_MAD, *WORTH)]
    + [(name, pa.string()) for name in (NO_ERROR_BAR, *KINDS.values(), EXACT_REASON)]
    + [(name, pa.float64()) for name in ACCUMULATORS]
)
COLUMNS = tuple(SCHEMA.names)
SHOWN = [name for name in COLUMNS if name not in ACCUMULATORS]
