"""Numbers that know their error, and the statistics of a row by name. Needs no compiler."""

import math
from collections.abc import Callable, Mapping
from typing import Any

from gradstat.errors import unknown
from gradstat.layer_types.record import Exact
from gradstat.layer_types.statistics import STATISTICS, exact_value
from gradstat.text.uncertain import Uncertain


class Estimate(float):
    """A float that carries its standard error and, where it is known, the exact value.

    `error` is 0.0 where the number itself is exact, and None where its error is not known. `exact` is None where no
    exact value is known. `z` is (number − exact)/error as a normal score, None where it is not judged.
    """

    error: float | None
    exact: float | None
    z: float | None
    scale: float  # of the variable: an exact number far below it is rounding
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
        """The certain digits: `0.21173 ± 0.00005`, or `1.700926243`."""
        if self.error is None:
            return f"{float(self):.3g} ± unknown"
        return self.number.text

    __str__ = __repr__

    @property
    def number(self) -> Uncertain:
        """The number as tables hold it."""
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
    """A statistic of a row of a result; `errors` are those of base quantities that the row has no error of."""
    statistic = STATISTICS[name]
    base = row[statistic.base]
    error = (errors or {}).get(statistic.base, base_error(statistic.base, row))
    known = None
    if row["exact_mean"] is not None:
        known = exact_value(name, Exact(row["exact_mean"], row["exact_std"] ** 2))
    slope, z = statistic.slope(base), row.get(f"z_{statistic.base}")
    return Estimate(
        statistic.f(base),
        None if error is None else abs(slope) * error,
        known,
        None if z is None else math.copysign(z, z * slope),
    )


def base_error(base: str, row: Mapping[str, Any]) -> float | None:
    """The standard error of a base quantity of a row; None where accumulators do not give it.

    That of P(v = 0) is an upper bound: the zeros of one draw may depend on each other. √((p(1 − p) + 1/n)/n) is not 0
    where no zero, or nothing else, was drawn.
    """
    if base == "zero_fraction":
        p, n = row["zero_fraction"], row["n"]
        return math.sqrt((p * (1.0 - p) + 1.0 / n) / n)
    return row.get(f"{base}_se")
