"""The columns of a result file, in order, and their types. Needs no compiler: reading a result costs none."""

import pyarrow as pa

from gradstat.numerics.columns import NAMES

SCHEMA_VERSION = 2

TEXTS = ["layer", "params", "direction", "cell", "input", "upstream", "estimator"]
ESTIMATES = [
    *("mean", "mean_se", "std", "std_se", "second_moment", "second_moment_se", "abs_mean", "abs_mean_se"),
    *("mad", "mad_se", "skewness", "kurtosis", "zero_fraction", "min", "max"),
]
REFEREE = ["exact_mean", "exact_std", "z_mean", "z_std"]
WINDOWS = "windows"  # that cover the cell of a strided map, their mean for `all`; null elsewhere
OPTIONAL = (*REFEREE, WINDOWS)  # columns with nulls
ACCUMULATORS = [f"acc_{name}" for name in NAMES]  # raw, as merging two files needs them

SCHEMA = pa.schema(
    [(name, pa.string()) for name in TEXTS]
    + [("seed", pa.uint64()), ("n", pa.int64())]
    + [(name, pa.float64()) for name in (*ESTIMATES, *REFEREE, WINDOWS, *ACCUMULATORS)]
)
COLUMNS = tuple(SCHEMA.names)
SHOWN = [name for name in COLUMNS if name not in ACCUMULATORS]
