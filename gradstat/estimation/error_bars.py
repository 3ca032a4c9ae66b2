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

INFINITE_FOURTH_MOMENT = "infinite fourth moment"
PERHAPS_INFINITE = "heavy tails: the fourth moment may be infinite"
TOO_FEW_EVENTS = "too few events"
HEAVY_TAILS = "heavy tails"
TOO_FEW_DRAWS = "too few draws"

SQUARES = ("std", "second_moment")
NAMES = ("mean", *SQUARES, "abs_mean", "mad")


def with_error_bars(e: "Estimates", exact: Exact | None) -> "tuple[Estimates, str]":
    """The estimates with infinite standard errors where none means anything, and the reason; "" where all do."""
    if not math.isfinite(e.std) or not math.isfinite(e.mean_se):
        return e, ""  # an overflow, which is reported as such
    if exact is not None and exact.var > 0.0 and e.min == e.max:
        return _nothing_seen(e, exact)
    if exact is not None and _is_proven_infinite(exact):
        return _without(e, SQUARES), INFINITE_FOURTH_MOMENT
    if exact is not None and exact.kurtosis is not None:
        few = [name for name, events in _expected_events(e, exact, exact.kurtosis) if events < FEWEST_EVENTS]
        return _without(e, few), _reason(e) if few else ""
    if e.n * (1.0 - e.zero_fraction) < FEWEST_EVENTS and e.max > e.min:
        return _without(e, NAMES), _reason(e)
    uncertain = [name for name in NAMES if getattr(e, f"{name}_se") > ROUNDING * (abs(getattr(e, name)) + e.std)]
    few = [name for name in uncertain if getattr(e, f"{name}_df") < FEWEST_DEGREES]
    if is_infinite(e) and "std" in uncertain:
        return _without(e, {*few, *SQUARES}), f"{PERHAPS_INFINITE}, tail index {e.tail_index:.1f}"
    return _without(e, few), _reason(e) if few else ""


def is_infinite(e: "Estimates") -> bool:
    """True if the tail index says, by more than its standard error, that the variance of v² is infinite.

    Then the largest draw makes up a share of Σ(v − mean)⁴ that does not fall with n. A tail index alone would take rare
    events for a heavy tail.
    """
    return e.tail_index - e.tail_index_se > INFINITE and e.std_df < MANY_DEGREES


def _is_proven_infinite(exact: Exact) -> bool:
    proof = exact.enclosures.get("kurtosis")
    return (proof is not None and not proof.is_finite) or exact.kurtosis == math.inf


def _expected_events(e: "Estimates", exact: Exact, kurtosis: float) -> Iterable[tuple[str, float]]:
    """Draws that make up each statistic, in effect: n·p for rare events of probability p, and less than n for tails.

    n/κ for squares, n/γ² for means (κ the kurtosis, γ the skewness), n·(E|v|)²/E[v²] for sizes.
    """
    squares = e.n / max(kurtosis, 1.0)
    means = squares if exact.skewness is None else e.n / max(exact.skewness * exact.skewness, 1.0)
    yield from (("mean", means), ("std", squares), ("second_moment", squares))
    one_sign = e.min >= 0.0 or e.max <= 0.0
    if exact.abs_mean is not None:
        share = exact.abs_mean * exact.abs_mean / (exact.var + exact.mean * exact.mean) if exact.var > 0.0 else 1.0
        yield "abs_mean", means if one_sign else e.n * share
    if exact.mad is not None:
        yield "mad", e.n * (0.25 * exact.mad * exact.mad / exact.var if exact.var > 0.0 else 1.0)


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


def _reason(e: "Estimates") -> str:
    nearest = min(e.max - e.mean, e.mean - e.min)  # an atom is 0, or at an end of the values
    if e.zero_fraction > ATOM or nearest < (1.0 - ATOM) * e.std:
        return TOO_FEW_EVENTS
    return TOO_FEW_DRAWS if e.n < 10.0 * FEWEST_EVENTS else HEAVY_TAILS
