"""The table of statistics: each is a function of one base quantity, with the slope that propagates its error."""

import math
from collections.abc import Callable
from dataclasses import dataclass

from gradstat.layer_types.record import Exact

Function = Callable[[float], float]

REFEREE = 1e-13  # relative error of quadrature; closed forms are more accurate


@dataclass(frozen=True)
class Statistic:
    """f(base); base is a quantity that is sampled with a standard error."""

    description: str
    base: str
    f: Function = lambda v: v
    slope: Function = lambda v: 1.0


def _inverse(v: float) -> float:
    return 1.0 / v if v else math.inf


STATISTICS = {
    "mean": Statistic("E[v]", "mean"),
    "std": Statistic("σ[v]", "std"),
    "var": Statistic("σ²[v]", "std", lambda s: s * s, lambda s: 2.0 * s),
    "second_moment": Statistic("E[v²]", "second_moment"),
    "rms": Statistic("√E[v²]", "second_moment", math.sqrt, lambda m: _inverse(2.0 * math.sqrt(m))),
    "abs_mean": Statistic("E|v|", "abs_mean"),
    "mad": Statistic("E|v − E[v]|, the mean absolute deviation", "mad"),
    "skewness": Statistic("E[(v − E[v])³]/σ³", "skewness"),
    "kurtosis": Statistic("E[(v − E[v])⁴]/σ⁴, 3 for a normal v", "kurtosis"),
    "zero_fraction": Statistic("P(v = 0)", "zero_fraction"),
    "gain_std": Statistic("1/σ[v]", "std", _inverse, lambda s: -_inverse(s * s)),
    "gain_rms": Statistic(
        "1/√E[v²]", "second_moment", lambda m: _inverse(math.sqrt(m)), lambda m: -_inverse(2.0 * m * math.sqrt(m))
    ),
    "gain_second_moment": Statistic("1/E[v²]", "second_moment", _inverse, lambda m: -_inverse(m * m)),
}


def exact_value(name: str, exact: Exact) -> float | None:
    """The statistic of an exact row; None if its base is not known exactly."""
    base = exact_bases(exact)[STATISTICS[name].base]
    return None if base is None else STATISTICS[name].f(base)


def exact_bases(exact: Exact) -> dict[str, float | None]:
    """Every base quantity of an exact row; None if it is not known."""
    return {
        "mean": exact.mean,
        "std": math.sqrt(exact.var),
        "second_moment": exact.var + exact.mean**2,
        "abs_mean": exact.abs_mean,
        "mad": exact.mad,
        "skewness": exact.skewness,
        "kurtosis": exact.kurtosis,
        "zero_fraction": None,
    }


def exact_bound(name: str, exact: Exact) -> float:
    """The error bound of a statistic of an exact row: |slope| · 10⁻¹³ · (|mean| + std)."""
    statistic, size = STATISTICS[name], abs(exact.mean) + math.sqrt(exact.var)
    base = exact_bases(exact)[statistic.base] or 0.0
    own = {"second_moment": 2.0 * size * size, "skewness": 10.0 * (1.0 + abs(base)), "kurtosis": 10.0 * base}
    return REFEREE * (own.get(statistic.base, size) * abs(statistic.slope(base)) + abs(statistic.f(base)))


def unit_error(name: str, exact: Exact) -> float | None:
    """Standard deviation of the estimate from a single draw of one slot, by the delta method; None if unknown."""
    statistic, mean, std = STATISTICS[name], exact.mean, math.sqrt(exact.var)
    variances = {"mean": exact.var}
    if exact.abs_mean is not None:
        variances["abs_mean"] = exact.var + mean**2 - exact.abs_mean**2
    if exact.kurtosis is not None:
        variances["std"] = 0.25 * exact.var * (exact.kurtosis - 1.0)
        if mean == 0.0 or exact.skewness is not None:
            third = mean * (exact.skewness or 0.0) * std * exact.var
            variances["second_moment"] = (exact.kurtosis - 1.0) * exact.var**2 + 4.0 * (third + mean**2 * exact.var)
    if statistic.base not in variances:
        return None
    base = exact_bases(exact)[statistic.base] or 0.0
    return abs(statistic.slope(base)) * math.sqrt(max(variances[statistic.base], 0.0))
