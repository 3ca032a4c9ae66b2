"""Numbers with a standard error, and the statistics of a row by name. Does not import numba."""

import math
from collections.abc import Callable, Mapping
from typing import Any

from gradstat.errors import unknown
from gradstat.layer_types.record import Exact
from gradstat.layer_types.statistics import STATISTICS, exact_value
from gradstat.text.uncertain import Uncertain


class Estimate(float):
    """A float with its standard error and, if known, the exact value.

    `error` is 0.0 if the number is exact, and None if its error is unknown. `exact` is None if no exact value is
    known. `z` is (number − exact)/error as a normal score, None if it was not computed.
    """

    error: float | None
    exact: float | None
    z: float | None
    scale: float  # size of the variable: a much smaller exact number is a rounding error
    reason: str  # why the number is infinite or undefined

    def __new__(
        cls,
        value: float,
        error: float | None = 0.0,
        exact: float | None = None,
        z: float | None = None,
        scale: float = 0.0,
        reason: str = "",
    ) -> "Estimate":
        number = super().__new__(cls, value)
        number.error, number.exact, number.z, number.scale, number.reason = error, exact, z, scale, reason
        return number

    def __getnewargs__(self) -> tuple[Any, ...]:
        return float(self), self.error, self.exact, self.z, self.scale, self.reason

    def __repr__(self) -> str:
        """The certain digits: `0.21173 ± 0.00005`, or `1.700926243` for an exact number."""
        if self.error is None:
            return f"{float(self):.3g} ± unknown"
        return self.number.text

    __str__ = __repr__

    @property
    def number(self) -> Uncertain:
        """The number as a cell of a table."""
        return Uncertain(float(self), self.error, self.scale)


class Statistics:
    """The statistics of y or of dx as attributes: `mean`, `std`, `rms`, `gain_std`, …, each an `Estimate`."""

    def __init__(self, estimate: Callable[[str], Estimate]) -> None:
        self._estimate = estimate

    def __getattr__(self, name: str) -> Estimate:
        if name.startswith("_") or name not in STATISTICS:
            raise AttributeError(unknown("statistic", name, tuple(STATISTICS)))
        return self._estimate(name)

    def __dir__(self) -> list[str]:
        return [*super().__dir__(), *STATISTICS]


def sampled(name: str, row: Mapping[str, Any], errors: Mapping[str, float] | None = None) -> Estimate:
    """A statistic of a row of a result. `errors` gives the errors of base quantities that the row does not have."""
    statistic = STATISTICS[name]
    base = row[statistic.base]
    error = (errors or {}).get(statistic.base, base_error(statistic.base, row))
    exact = None
    if row["exact_mean"] is not None:
        exact = exact_value(name, Exact(row["exact_mean"], row["exact_std"] ** 2, mad=row.get("exact_mad")))
    slope, z = statistic.slope(base), row.get(f"z_{statistic.base}")
    return Estimate(
        statistic.f(base),
        None if error is None else abs(slope) * error if error else 0.0,  # not ∞ · 0, where all draws are equal
        exact,
        None if z is None else math.copysign(z, z * slope),
    )


def base_error(base: str, row: Mapping[str, Any]) -> float | None:
    """The standard error of a base quantity of a row; None if the accumulators do not give it.

    The error of P(v = 0) is an upper bound: the zeros of one draw may depend on each other. √((p(1 − p) + 1/n)/n) is
    positive even if the draws have no zeros, or only zeros.
    """
    if base == "zero_fraction":
        p, n = row["zero_fraction"], row["n"]
        return math.sqrt((p * (1.0 - p) + 1.0 / n) / n)
    error = row.get(f"{base}_se")
    return None if error is None or math.isinf(error) else float(error)
