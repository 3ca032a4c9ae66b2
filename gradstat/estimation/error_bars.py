"""Which error bars of a row mean something, and why the others do not. Needs no compiler.

A standard error is worth something only where enough draws make up the estimate. How many do follows from exact
moments where they are known, and from the sample where not. A statistic that has no error bar gets an infinite
standard error: it is shown without digits that nothing supports, it is never judged, and no target is reached by it.
"""

import math
from collections.abc import Iterable
from dataclasses import replace
from typing import TYPE_CHECKING

from gradstat.layer_types.record import Exact

if TYPE_CHECKING:
    from gradstat.estimation.estimates import Estimates

FEWEST_EVENTS = 30.0  # draws that make up an estimate, in effect
FEWEST_DEGREES = 5.0  # of freedom, where only the sample is known
MANY_DEGREES = 20.0  # of freedom, which a sum with infinite variance hardly ever has
INFINITE = 0.5  # the tail index of v² from which its variance is infinite
ROUNDING = 1e-12  # of a row's scale: an error below is none of sampling
ATOM = 0.9  # share of equal draws from which the other draws are called events
LOPSIDED = 3.0  # κ/(γ² + 1) above which values are not events of about equal size
SMALLEST = 1e-75  # of |v − mean|: its fourth power is a normal float
RAREST = 1e-17  # the probability of an x that no draw has: the largest normal one is 8.57

INFINITE_MEAN = "infinite or undefined mean"
INFINITE_VARIANCE = "infinite variance"
INFINITE_FOURTH_MOMENT = "infinite fourth moment"
PERHAPS_INFINITE = "heavy tails: the fourth moment may be infinite"
TOO_FEW_EVENTS = "too few events"
HEAVY_TAILS = "heavy tails"
UNSEEN_TAILS = "heavy tails: values count that are rarer than 10^-17, which no draw has"
TOO_FEW_DRAWS = "too few draws"
TOO_SMALL = "values too small for a float's fourth power"
NO_NUMBER = (INFINITE_MEAN, INFINITE_VARIANCE, INFINITE_FOURTH_MOMENT, UNSEEN_TAILS, TOO_SMALL)  # of draws is enough

SQUARES = ("std", "second_moment")
NAMES = ("mean", *SQUARES, "abs_mean", "mad")


def with_error_bars(e: "Estimates", moments: Exact | None, symmetric: bool = False) -> "tuple[Estimates, str]":
    """The estimates with infinite standard errors where none means anything, and the reason; "" where all do.

    `symmetric`: the law of a draw is symmetric about 0.
    """
    if not math.isfinite(e.std) or not math.isfinite(e.mean_se):
        return e, ""  # an overflow, which is reported as such
    if 0.0 < max(e.max - e.mean, e.mean - e.min) < SMALLEST:
        return _without(e, NAMES), TOO_SMALL
    if moments is None:
        return _by_sample(e, symmetric)
    if _is_infinite(moments, "mean"):
        return _without(e, NAMES), INFINITE_MEAN
    if _is_infinite(moments, "var"):
        return _without(e, NAMES), INFINITE_VARIANCE
    if not moments.is_finite:  # too large for a float
        return _by_sample(e, symmetric)
    if moments.var > 0.0 and e.min == e.max:
        return _nothing_seen(e, moments)
    if _is_infinite(moments, "kurtosis"):
        return _without(e, SQUARES), INFINITE_FOURTH_MOMENT
    if moments.kurtosis is None and "kurtosis" in moments.enclosures:  # too large for a float
        return _without(e, NAMES), UNSEEN_TAILS
    if moments.kurtosis is None:
        return _by_sample(e, symmetric)
    bars = draws_for_error_bar(e, moments, symmetric)
    few = [name for name, draws in bars.items() if e.n < draws]
    return _without(e, few), _reason(e, moments) if few else ""


def _by_sample(e: "Estimates", symmetric: bool) -> "tuple[Estimates, str]":
    if e.n * (1.0 - e.zero_fraction) < FEWEST_EVENTS and e.max > e.min:
        return _without(e, NAMES), _reason(e)
    uncertain = [name for name in NAMES if getattr(e, f"{name}_se") > ROUNDING * (abs(getattr(e, name)) + e.std)]
    if symmetric:
        uncertain = [name for name in uncertain if name != "mean"]
    squares = MANY_DEGREES if math.isnan(e.tail_index) else FEWEST_DEGREES  # a lucky sample of heavy tails has 5 to 15
    fewest = {name: squares if name in SQUARES else FEWEST_DEGREES for name in uncertain}
    few = [name for name in uncertain if getattr(e, f"{name}_df") < fewest[name]]
    if is_infinite(e) and "std" in uncertain:
        return _without(e, {*few, *SQUARES}), f"{PERHAPS_INFINITE}, tail index {e.tail_index:.1f}"
    if few and min(getattr(e, f"{name}_df") for name in few) >= FEWEST_DEGREES:
        return _without(e, few), TOO_FEW_DRAWS
    return _without(e, few), _reason(e) if few else ""


def is_infinite(e: "Estimates") -> bool:
    """True if the tail index says, by more than its standard error, that the variance of v² is infinite.

    Then the largest draw makes up a share of Σ(v − mean)⁴ that does not fall with n. A tail index alone would take rare
    events for a heavy tail.
    """
    return e.tail_index - e.tail_index_se > INFINITE and e.std_df < MANY_DEGREES


def _is_infinite(moments: Exact, name: str) -> bool:
    proof = moments.enclosures.get(name)
    return getattr(moments, name) == math.inf if proof is None else not proof.is_finite


def draws_for_error_bar(e: "Estimates", exact: Exact, symmetric: bool) -> dict[str, float]:
    """The draws from which a statistic has an error bar, by its name, where the exact kurtosis is known.

    Thirty draws have to make up an estimate, in effect. Of n draws do so n/κ for squares, n/γ² for means (κ the
    kurtosis, γ the skewness), n·(E|v|)²/E[v²] for sizes: n·p for rare events of probability p, less than n for tails.
    All n make up the mean of a symmetric law: its t-statistic has thinner tails than Student's, whatever the draws are
    (Efron, 1969).
    """
    kurtosis = max(exact.kurtosis or 1.0, 1.0)
    means = kurtosis if exact.skewness is None else max(exact.skewness * exact.skewness, 1.0)
    draws = {"mean": 1.0 if symmetric else means, "std": kurtosis, "second_moment": kurtosis}
    one_sign = e.min >= 0.0 or e.max <= 0.0
    if exact.abs_mean is not None:
        square = exact.var + exact.mean * exact.mean
        draws["abs_mean"] = means if one_sign else square / exact.abs_mean**2 if exact.abs_mean else 1.0
    if exact.mad is not None:
        draws["mad"] = 4.0 * exact.var / exact.mad**2 if exact.mad else 1.0
    return {name: FEWEST_EVENTS * per_event for name, per_event in draws.items()}


def _nothing_seen(e: "Estimates", exact: Exact) -> "tuple[Estimates, str]":
    """All draws are equal: P(v ≠ c) ≥ (E|v − c|)²/E[(v − c)²] says whether that is to be expected."""
    away = exact.mean - e.mean
    size = max(abs(away), 0.5 * (exact.mad or 0.0))  # E|v − c| is at least that
    if exact.mad is None and exact.kurtosis is not None:
        size = math.sqrt(exact.var / exact.kurtosis)
    probability = size * size / (exact.var + away * away)
    if probability == 0.0 or e.n * probability >= FEWEST_EVENTS:
        return e, ""
    return _without(e, NAMES), f"no draw differed from {e.mean:g}; P is about 10^{round(math.log10(probability))}"


def _without(e: "Estimates", names: Iterable[str]) -> "Estimates":
    """No error bars for these."""
    return replace(e, **dict.fromkeys((f"{name}_se" for name in names), math.inf))  # type: ignore[arg-type]


def _reason(e: "Estimates", exact: Exact | None = None) -> str:
    if exact is not None and FEWEST_EVENTS * (exact.kurtosis or 0.0) * RAREST > 1.0:
        return UNSEEN_TAILS
    nearest = min(e.max - e.mean, e.mean - e.min)  # an atom is 0, or at an end of the values
    if e.zero_fraction > ATOM or (nearest < (1.0 - ATOM) * e.std and not (exact and _has_tails(exact))):
        return TOO_FEW_EVENTS
    return TOO_FEW_DRAWS if e.n < 10.0 * FEWEST_EVENTS else HEAVY_TAILS


def _has_tails(exact: Exact) -> bool:
    """Rare events of about equal size have κ ≈ γ² + 1, the smallest possible kurtosis; tails have more."""
    return exact.skewness is not None and (exact.kurtosis or 0.0) > LOPSIDED * (exact.skewness**2 + 1.0)
