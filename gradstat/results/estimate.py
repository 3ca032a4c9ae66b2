"""Numbers with a standard error, and the statistics of a row by name. Does not import numba."""

import math
from collections.abc import Callable, Mapping
from typing import Any

from gradstat.errors import UsageError, unknown
from gradstat.layer_types.statistics import KNOWN, STATISTICS, UNSAMPLED
from gradstat.text.uncertain import INFINITE, OVERFLOW, SAMPLED, UNDEFINED, Uncertain


class Estimate(float):
    """A float with its standard error and, if known, the exact value.

    `error` is 0.0 if the number is exact, and None if its error is unknown. `exact` is None if no exact value is
    known. `z` is (number − exact)/error as a normal score, None if it was not computed. `kind` is "sampled", or what
    an exact number is worth: "proven", "numeric" (its error is estimated), "infinite", "undefined" or "overflow", and
    `reason` is why there is no finite number. `digits` are the certain digits of an exact number, as a text.
    """

    error: float | None
    exact: float | None
    z: float | None
    number: Uncertain  # the number as a cell of a table

    def __new__(
        cls,
        value: float,
        error: float | None = 0.0,
        exact: float | None = None,
        z: float | None = None,
        number: Uncertain | None = None,
    ) -> "Estimate":
        estimate = super().__new__(cls, value)
        estimate.error, estimate.exact, estimate.z = error, exact, z
        estimate.number = number or Uncertain(float(value), error, kind=SAMPLED if error else "")
        return estimate

    def __getnewargs__(self) -> tuple[Any, ...]:
        return float(self), self.error, self.exact, self.z, self.number

    def __repr__(self) -> str:
        """The certain digits: `0.21173 ± 0.00005`, or `1.700926243` for an exact number."""
        if self.error is None:
            return f"{float(self):.3g} ± unknown"
        return self.number.text

    __str__ = __repr__

    @property
    def kind(self) -> str:
        """What the number is worth."""
        return self.number.kind

    @property
    def reason(self) -> str:
        """Why there is no finite number; "" if there is one."""
        return self.number.reason

    @property
    def digits(self) -> str:
        """The certain digits of an exact number, as many as were asked for."""
        return "" if self.error or self.error is None else self.number.text


class Statistics:
    """The statistics of y or of dx as attributes: `mean`, `std`, `rms`, `gain_std`, …, each an `Estimate`."""

    def __init__(self, estimate: Callable[[str], Estimate]) -> None:
        self._estimate = estimate

    def __getattr__(self, name: str) -> Estimate:
        if name.startswith("_") or name not in KNOWN:
            raise AttributeError(unknown("statistic", name, KNOWN))
        return self._estimate(name)

    def __dir__(self) -> list[str]:
        return [*super().__dir__(), *KNOWN]


def sampled(name: str, row: Mapping[str, Any], errors: Mapping[str, float] | None = None) -> Estimate:
    """A statistic of a row of a result. `errors` gives the errors of base quantities that the row does not have."""
    if name in UNSAMPLED:
        raise UsageError(f"{name} is computed and never sampled, so a result does not have it; use gradstat.gain")
    statistic = STATISTICS[name]
    base = row[statistic.base]
    error = (errors or {}).get(statistic.base, base_error(statistic.base, row))
    error = None if error is None else abs(statistic.slope(base)) * error if error else 0.0  # not ∞ · 0
    z = row.get(f"z_{statistic.base}")
    value = statistic.f(base)
    kind, reason = (SAMPLED, "") if math.isfinite(value) else _not_finite(value, row)
    return Estimate(
        value,
        error,
        exact_of(name, row),
        None if z is None else math.copysign(z, z * statistic.slope(base)),
        Uncertain(value, math.inf if error is None else error, kind=kind, reason=reason),
    )


def exact_of(name: str, row: Mapping[str, Any]) -> float | None:
    """The exact value of a statistic of a row of a result; None if it is not known, or undefined."""
    mean, std = row.get("exact_mean"), row.get("exact_std")
    bases = {
        "mean": mean,
        "std": std,
        "mad": row.get("exact_mad"),
        "second_moment": None if mean is None or std is None else std * std + mean * mean,
    }
    base = bases.get(STATISTICS[name].base)
    return None if base is None else STATISTICS[name].f(base)


def _not_finite(value: float, row: Mapping[str, Any]) -> tuple[str, str]:
    """The kind of a sampled statistic that is not finite, and the reason."""
    if row["std"] == 0.0:
        return (INFINITE if math.isinf(value) else UNDEFINED), "divides by σ = 0"
    return OVERFLOW, "the sums of v² overflow float64"


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
