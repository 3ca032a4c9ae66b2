"""The table of statistics: each is a function of one base quantity, with the slope that propagates its error."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fractions import Fraction

from gradstat.errors import UsageError
from gradstat.layer_types.exact.enclosure import DIGITS, MOST_DIGITS, Enclosure
from gradstat.layer_types.record import Exact
from gradstat.text.uncertain import EXACT_DIGITS, INFINITE, NUMERIC, OVERFLOW, PROVEN, UNDEFINED, Uncertain

Function = Callable[[float], float]

REFEREE = 1e-13  # what a value without a proof is good to


@dataclass(frozen=True)
class Statistic:
    """f(base); base is a quantity that is sampled with a standard error."""

    description: str
    base: str
    f: Function = lambda v: v
    slope: Function = lambda v: 1.0
    enclosed: Callable[[Enclosure], Enclosure] = lambda v: v  # f with proven bounds


def _inverse(v: float) -> float:
    return 1.0 / v if v else math.inf


def _one_over(value: Enclosure) -> Enclosure:
    return Enclosure.infinite(1, "divides by 0") if value.is_zero else 1 / value


STATISTICS = {
    "mean": Statistic("E[v]", "mean"),
    "std": Statistic("σ[v]", "std"),
    "var": Statistic("σ²[v]", "std", lambda s: s * s, lambda s: 2.0 * s, Enclosure.squared),
    "second_moment": Statistic("E[v²]", "second_moment"),
    "rms": Statistic("√E[v²]", "second_moment", math.sqrt, lambda m: _inverse(2.0 * math.sqrt(m)), Enclosure.root),
    "abs_mean": Statistic("E|v|", "abs_mean"),
    "mad": Statistic("E|v − E[v]|, the mean absolute deviation", "mad"),
    "skewness": Statistic("E[(v − E[v])³]/σ³", "skewness"),
    "kurtosis": Statistic("E[(v − E[v])⁴]/σ⁴, 3 for a normal v", "kurtosis"),
    "zero_fraction": Statistic("P(v = 0)", "zero_fraction"),
    "gain_std": Statistic("1/σ[v]", "std", _inverse, lambda s: -_inverse(s * s), _one_over),
    "gain_rms": Statistic(
        "1/√E[v²]",
        "second_moment",
        lambda m: _inverse(math.sqrt(m)),
        lambda m: -_inverse(2.0 * m * math.sqrt(m)),
        lambda m: _one_over(m.root()),
    ),
    "gain_second_moment": Statistic("1/E[v²]", "second_moment", _inverse, lambda m: -_inverse(m * m), _one_over),
}


UNSAMPLED = {
    "slope_mean": "E[f′(x)]",
    "chi": "d ln E[f(x)²]/d ln Var[x] = E[(x − E[x])·f(x)·f′(x)]/E[f(x)²]",
    "cov_xy": "E[x·y] − E[x]·E[y]",
    "lipschitz": "sup |f′(x)| over the x of its distribution, infinite where f jumps",
}  # of y = f(x), elementwise layers and formulas only: they are computed and never sampled
KNOWN = (*STATISTICS, *UNSAMPLED)
DESCRIPTIONS = {**{name: statistic.description for name, statistic in STATISTICS.items()}, **UNSAMPLED}


def exact_value(name: str, exact: Exact) -> float | None:
    """The statistic of an exact row, the float nearest to it; None where its base is not known exactly."""
    proven = enclosure_of(name, exact)
    if proven is not None:
        return float(proven)
    base = exact_bases(exact)[STATISTICS[name].base]
    return None if base is None else STATISTICS[name].f(base)


def enclosure_of(name: str, exact: Exact) -> Enclosure | None:
    """The proven bounds of a statistic of an exact row, or why it is infinite or undefined; None without a proof."""
    known = exact.enclosures
    base = STATISTICS[name].base
    if name == "var":
        return known.get(name)
    if base == "std":
        value = known["var"].root() if "var" in known else None
    elif base == "second_moment":
        value = known["var"] + known["mean"].squared() if {"mean", "var"} <= set(known) else None
    elif base == "mean":
        value = _mean(known)
    else:
        value = known.get(base) or _without_moment(base, known)
    return None if value is None else STATISTICS[name].enclosed(value)


def _mean(known: Mapping[str, Enclosure]) -> Enclosure | None:
    """E[v]; undefined where E|v| is infinite and E[v] is not, as of a product with an independent dy of mean 0."""
    mean, size = known.get("mean"), known.get("abs_mean")
    if mean is not None and mean.is_finite and size is not None and not size.is_finite:
        return Enclosure.undefined(f"needs E|v|, which {size.reason}")
    return mean


def _without_moment(base: str, known: Mapping[str, Enclosure]) -> Enclosure | None:
    """Statistics about the mean are undefined without a mean, those in units of σ without a σ; E|v| ≥ |E[v]|."""
    mean, var = _mean(known), known.get("var")
    if mean is not None and mean.low is None:
        return (
            abs(mean) if base == "abs_mean" and mean.sign else Enclosure.undefined(f"needs E[v], which {mean.reason}")
        )
    if base in ("skewness", "kurtosis") and var is not None and var.low is None:
        return Enclosure.undefined(f"needs σ[v], which {var.reason}")
    return None


@dataclass(frozen=True)
class ExactNumber:
    """A statistic of an exact row: the float64 nearest to it, its bounds, and what they are worth."""

    value: float
    kind: str  # of text/uncertain.py
    reason: str
    enclosure: Enclosure | None  # None: an overflow of a float quadrature

    @property
    def explanation(self) -> str:
        """`is ∞: diverges at +∞`, or `overflows float64: 4.5e+347`."""
        finite = self.enclosure is None or self.enclosure.is_finite
        return self.reason if finite else f"is {self.number().text}: {self.reason}"

    def number(self, digits: int | None = None) -> Uncertain:
        """The number as a cell of a table, with so many certain digits: by default ten for people, 17 for programs."""
        bounds = self.enclosure
        if bounds is None or not bounds.is_finite:
            return Uncertain(self.value, None, kind=self.kind, reason=self.reason)
        precise: float | str | None = None
        if digits is not None and digits != DIGITS:
            text = bounds.text(digits)
            precise = text if digits > DIGITS else float(text)
        certain = bounds.text(EXACT_DIGITS if digits is None else digits)
        return Uncertain(self.value, None, kind=self.kind, reason=self.reason, certain=certain, precise=precise)


def exact_number(name: str, exact: Exact) -> ExactNumber | None:
    """A statistic of an exact row, with what it is worth; None where its base is not known."""
    value, bounds = exact_value(name, exact), enclosure_of(name, exact)
    if value is None:
        return None
    if bounds is None:
        around = exact_bound(name, exact)
        if not (math.isfinite(value) and math.isfinite(around)):
            return ExactNumber(math.nan, OVERFLOW, "overflows float64 in its quadrature", None)
        bounds = Enclosure.about(value, around)
    return number_of(bounds)


def number_of(bounds: Enclosure) -> ExactNumber:
    """The float64 nearest to bounds, and what it is worth."""
    value = float(bounds)
    if bounds.low is None:
        return ExactNumber(value, INFINITE if bounds.sign else UNDEFINED, bounds.reason, bounds)
    kind = NUMERIC if bounds.numeric else PROVEN
    if math.isinf(value):
        return ExactNumber(value, OVERFLOW, f"overflows float64: {bounds.text(DIGITS)}", bounds)
    if value == 0.0 and not bounds.contains_zero:
        return ExactNumber(value, kind, f"underflows float64: {bounds.text(DIGITS)}", bounds)
    return ExactNumber(value, kind, "", bounds)


def is_certain(name: str, exact: Exact) -> bool:
    """False if the proven bounds of a statistic leave two float64 that may be the nearest one."""
    bounds = enclosure_of(name, exact)
    return bounds is None or bounds.numeric or bounds.is_certain


def check_digits(digits: int | None) -> None:
    """Raise UsageError for a number of digits that cannot be asked for."""
    if digits is not None and not 1 <= digits <= MOST_DIGITS:
        raise UsageError(f"digits = {digits} is not allowed; expected a whole number from 1 to {MOST_DIGITS}")


def exact_bases(exact: Exact) -> dict[str, float | None]:
    """Every base quantity of an exact row; None if it is not known."""
    return {
        "mean": exact.mean,
        "std": math.sqrt(exact.var),
        "second_moment": exact.var + exact.mean * exact.mean,
        "abs_mean": exact.abs_mean,
        "mad": exact.mad,
        "skewness": exact.skewness,
        "kurtosis": exact.kurtosis,
        "zero_fraction": None,
    }


def exact_bound(name: str, exact: Exact) -> float:
    """How far the float of an exact row's statistic may be off.

    Without a proof that is 10⁻¹³ of |mean| + std, passed on by the slope.
    """
    proven = enclosure_of(name, exact)
    if proven is not None and proven.is_finite and math.isfinite(float(proven)):
        low, high = proven.bounds
        nearest = Fraction(float(proven))
        return float(max(high - nearest, nearest - low)) * (1.0 + 2.0**-50)
    statistic, size = STATISTICS[name], abs(exact.mean) + math.sqrt(exact.var)
    base = exact_bases(exact)[statistic.base] or 0.0
    own = {"second_moment": 2.0 * size * size, "skewness": 10.0 * (1.0 + abs(base)), "kurtosis": 10.0 * base}
    return REFEREE * (own.get(statistic.base, size) * abs(statistic.slope(base)) + abs(statistic.f(base)))


def unit_error(name: str, exact: Exact) -> float | None:
    """Standard deviation of the estimate from a single draw of one slot, by the delta method; None where not known."""
    if not exact.is_finite:
        return None
    statistic, mean, std = STATISTICS[name], exact.mean, math.sqrt(exact.var)
    variances = {"mean": exact.var}
    if exact.abs_mean is not None:
        variances["abs_mean"] = exact.var + mean * mean - exact.abs_mean * exact.abs_mean
    if exact.kurtosis is not None:
        variances["std"] = 0.25 * exact.var * (exact.kurtosis - 1.0)
        if mean == 0.0 or exact.skewness is not None:
            third = mean * (exact.skewness or 0.0) * std * exact.var
            variances["second_moment"] = (exact.kurtosis - 1.0) * exact.var * exact.var + 4.0 * (
                third + mean * mean * exact.var
            )
    if statistic.base not in variances:
        return None
    base = exact_bases(exact)[statistic.base] or 0.0
    return abs(statistic.slope(base)) * math.sqrt(max(variances[statistic.base], 0.0))
