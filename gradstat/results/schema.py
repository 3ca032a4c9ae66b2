"""The columns of a result file, in order, and their types. Does not import numba, so reading a result is fast."""

import pyarrow as pa

from gradstat.numerics.columns import NAMES

SCHEMA_VERSION = 2

TEXTS = ["layer", "params", "direction", "cell", "input", "upstream", "estimator"]
ESTIMATES = [
    *("mean", "mean_se", "std", "std_se", "second_moment", "second_moment_se", "abs_mean", "abs_mean_se"),
    *("mad", "mad_se", "skewness", "kurtosis", "zero_fraction", "min", "max"),
]
REFEREE = ["exact_mean", "exact_std", "z_mean", "z_std"]
WINDOWS = "windows"  # number of windows that cover a cell of a strided map; its mean for `all`, otherwise null
OPTIONAL = (*REFEREE, WINDOWS)  # columns with nulls
ACCUMULATORS = [f"acc_{name}" for name in NAMES]  # raw sums, for merging files

SCHEMA = pa.schema(
    [(name, pa.string()) for name in TEXTS]
    + [("seed", pa.uint64()), ("n", pa.int64())]
    + [(name, pa.float64()) for name in (*ESTIMATES, *REFEREE, WINDOWS, *ACCUMULATORS)]
)
COLUMNS = tuple(SCHEMA.names)
SHOWN = [name for name in COLUMNS if name not in ACCUMULATORS]
