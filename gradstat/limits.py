"""The limits of what gradstat reads and does, with their units. Each is checked before the cost that it bounds arises.

No option raises them: they are far above what configurations, claims and results of people have.
"""

from typing import NamedTuple

from gradstat.errors import UsageError


class Limit(NamedTuple):
    """The largest number that is allowed, what it counts, and what to do about more."""

    most: int
    counts: str
    hint: str = ""

    def check(self, count: int) -> None:
        """Raise UsageError for a larger number."""
        if count > self.most:
            raise UsageError(self.message(f"{count:,}"), self.hint)

    def message(self, found: str) -> str:
        """`20,000 claims; at most 10,000 are allowed`, where `found` is the number."""
        return f"{found} {self.counts}; at most {self.most:,} are allowed"


# Files ---------------------------------------------------------------------------------------------------------------
TEXT = Limit(2**24, "bytes of a TOML or text file")
RESULT = Limit(2**30, "bytes of a Parquet file")
PART = Limit(2**30, "bytes of a part that a run keeps")

# TOML ----------------------------------------------------------------------------------------------------------------
KEY_DEPTH = Limit(32, "parts of a dotted key")
KEYS = Limit(400_000, "keys, tables and lists in a TOML file")
TABLE_KEYS = Limit(1_000, "keys in a table")
LIST_ITEMS = Limit(20_000, "items in a list")
MISTAKES = Limit(1_000, "mistakes that are described")

# Parquet -------------------------------------------------------------------------------------------------------------
ROWS = Limit(100_000, "rows of a Parquet file")
COLUMNS = Limit(1_000, "columns of a Parquet file")
FREE_CELLS = Limit(2_000_000, "cells of a Parquet file, and two more for each of its bytes")
DECODED = Limit(2**28, "bytes of decoded columns")

# Work ----------------------------------------------------------------------------------------------------------------
CASES = Limit(10_000, "cases of a run", "divide the configuration")
KERNELS = Limit(1_000, "formulas to compile in a call", "divide the file")
CLAIMS = Limit(10_000, "claims in a call", "verify fewer files at a time")
SHARDS = Limit(10_000, "shards of a run")

# That the documentation lists.
LIMITS = (
    *(TEXT, RESULT, PART, KEY_DEPTH, KEYS, TABLE_KEYS, LIST_ITEMS),
    *(ROWS, COLUMNS, FREE_CELLS, DECODED, CASES, KERNELS, CLAIMS, SHARDS),
)
