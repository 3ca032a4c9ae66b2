"""Verification of claims, by exact values that sampling must agree with, or by sampling if there are none."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from gradstat.estimation.significance import FAMILY_WISE
from gradstat.layer_types.exact.enclosure import DIGITS, Enclosure, to_digits
from gradstat.layer_types.record import Exact
from gradstat.layer_types.statistics import UNSAMPLED, enclosure_of, exact_bound, exact_value, unit_error
from gradstat.layer_types.unsampled import NOT_KNOWN
from gradstat.runs.progress import SILENT, Progress
from gradstat.time_limit import TimeLimitReached
from gradstat.verification.claims import Claim
from gradstat.verification.combinations import Term
from gradstat.verification.matrix_claims import judge_matrix
from gradstat.verification.sequential import (
    STOPPED,
    TIMED_OUT,
    Samples,
    check_agreement,
    first_look,
    judge_looks,
    measure,
    sample,
)
from gradstat.verification.solve_claims import solution_of
from gradstat.verification.verdicts import REFUTED, UNDECIDED, Measured, Outcome, judge

DEFAULT_MAX = 2**32
NOT_SAMPLED = "no exact value is known, and --quick does not sample"
TOO_LARGE = "no exact value is known, and a draw has too many weights to sample it"
SOURCE_UNKNOWN = "the error of the source's own draws is known to sampling only; leave --quick out"

SPARE_DIGITS = 4  # that an exact value has beyond those of a printed one
ROUNDING = Fraction(1, 10**55)  # relative: the error of a claim's scale


def verify(
    claims: Sequence[Claim],
    seed: int,
    jobs: int = 0,
    max_samples: int = DEFAULT_MAX,
    quick: bool = False,
    family_wise: float = FAMILY_WISE,
    progress: Progress = SILENT,
    digits: int | None = None,
) -> list[Outcome]:
    """The outcome of every claim, in order. With probability `family_wise` sampling noise makes any of them wrong.

    Exact values have at least these digits, and some more than the printed number.
    """
    referee = _referee(digits or 0)
    outcomes = {claim.id: judge_matrix(claim) for claim in claims if claim.is_matrix}
    outcomes |= {claim.id: _judge_solution(claim, digits or 0) for claim in claims if claim.config.solve}
    numbers = [claim for claim in claims if not (claim.is_matrix or claim.config.solve)]
    sampled = [claim for claim in numbers if not claim.combination.unsampled]
    small = [claim for claim in sampled if not claim.case.shape.is_large]
    samples: Samples = {}
    reason = NOT_SAMPLED
    if not quick:
        try:
            samples = sample(small, lambda case: min(first_look(case), max_samples), seed, jobs, progress)
        except KeyboardInterrupt as stop:  # exact values need no sample
            quick, reason = True, TIMED_OUT if isinstance(stop, TimeLimitReached) else STOPPED
    wrong = {} if quick else check_agreement(small, samples, family_wise)
    for claim in numbers:
        try:
            without = claim.case.shape.is_large or claim.combination.unsampled
            outcome = _judge_exact(claim, referee, {} if without else samples)
        except TimeLimitReached:
            return [outcomes.get(each.id) or Outcome(each, None, UNDECIDED, detail=TIMED_OUT) for each in claims]
        if claim.id in wrong:
            outcome = Outcome(claim, None, UNDECIDED, detail=str(wrong[claim.id]), contradiction=True)
        if outcome is None and claim.combination.unsampled:
            names = ", ".join(term.statistic for term in claim.combination.unsampled)
            outcome = Outcome(claim, None, UNDECIDED, detail=NOT_KNOWN.format(names))
        if outcome is None and claim.case.shape.is_large:
            outcome = Outcome(claim, None, UNDECIDED, detail=TOO_LARGE)
        if outcome is not None:
            outcomes[claim.id] = outcome
    rest = [claim for claim in numbers if claim.id not in outcomes]
    if quick:
        outcomes |= {claim.id: Outcome(claim, None, UNDECIDED, detail=reason) for claim in rest}
    else:
        outcomes |= judge_looks(rest, samples, seed, jobs, max_samples, family_wise, progress)
    return [outcomes[claim.id] for claim in claims]


@dataclass(frozen=True)
class Quantity:
    """A statistic of an exact row: the float nearest to it, how far that may be off, and its bounds if they are known.

    unit_error: the standard deviation of the estimate from one draw; None where it is not known.
    """

    value: float
    bound: float
    enclosure: Enclosure | None
    unit_error: float | None

    @classmethod
    def of(cls, name: str, exact: Exact) -> "Quantity | None":
        """None for a statistic without an exact value."""
        value = exact_value(name, exact)
        if value is None:
            return None
        bound = exact_bound(name, exact) if math.isfinite(value) else math.inf
        return cls(value, bound, enclosure_of(name, exact), unit_error(name, exact))

    @classmethod
    def within(cls, bounds: Enclosure) -> "Quantity":
        """A statistic that is computed and never sampled."""
        if not bounds.is_finite:
            return cls(float(bounds), math.inf, bounds, None)
        nearest = float(bounds)
        away = max(abs(end - Fraction(nearest)) for end in bounds.bounds) if math.isfinite(nearest) else math.inf
        return cls(nearest, float(away) * (1.0 + 2.0**-50), bounds, None)


Referee = Callable[[Claim, Term], Quantity | None]


def _judge_exact(claim: Claim, referee: Referee, samples: Samples) -> Outcome | None:
    """The outcome by the exact values; None if one is unknown. The σ of one draw comes from them or from the sample.

    The absolute errors of several terms are added, since terms of one layer depend on each other.
    """
    found: dict[Term, Quantity] = {}
    for term in claim.combination.terms:
        quantity = referee(claim, term)
        if quantity is None:
            return None
        proven = quantity.enclosure
        if proven is not None and not proven.is_finite:
            size = "infinite" if proven.sign else "undefined"
            detail = f"the {term.statistic} is {size}: {proven.reason}"
            own = proven.text(DIGITS) if claim.config.statistic == term.statistic else None
            return Outcome(claim, None, REFUTED, should_print=own, detail=detail)
        found[term] = quantity
    value, slopes = claim.combination.at({term: quantity.value for term, quantity in found.items()})
    unit: float | None = 0.0
    for term, slope in slopes.items():
        part = found[term].unit_error if len(claim.rows[term.direction].slots) == 1 else None
        unit = None if part is None or unit is None else unit + abs(claim.scale * slope) * part
    if unit is None and samples:
        unit = measure(claim, samples).unit_error
    if len(found) == 1 and value == found[term].value and slopes[term] == 1.0:
        measured = _measured(claim, found[term], unit)
    else:
        bound = sum(abs(slope) * found[term].bound for term, slope in slopes.items())
        measured = Measured(claim.scale * value, abs(claim.scale) * bound, unit_error=unit)
    outcome = judge(claim, measured)
    unclear = outcome.verdict == UNDECIDED and unit is None and claim.config.obtained.samples is not None
    return judge(claim, outcome.measured, SOURCE_UNKNOWN) if unclear and outcome.measured else outcome


def _judge_solution(claim: Claim, least: int) -> Outcome:
    """The outcome of a claim about the solution of equations: refuted if there certainly is none in the bracket."""
    bounds, reason, is_certain = solution_of(claim, max(DIGITS, least, claim.printed.digits + SPARE_DIGITS))
    if bounds is None:
        return Outcome(claim, None, REFUTED if is_certain else UNDECIDED, detail=reason)
    return judge(claim, _measured(claim, Quantity.within(bounds), None))


def _measured(claim: Claim, quantity: Quantity, unit: float | None) -> Measured:
    """An exact value times the scale of the claim, with its proven bounds if there are any."""
    proven, scale = quantity.enclosure, claim.exact_scale
    if proven is None or scale == 1:
        around = abs(claim.scale) * quantity.bound
        return Measured(claim.scale * quantity.value, around, unit_error=unit, enclosure=proven)
    scaled = proven * Enclosure(scale * (1 - ROUNDING), scale * (1 + ROUNDING))
    nearest = float(scaled)
    bound = math.inf
    if math.isfinite(nearest):
        bound = float(max(abs(end - Fraction(nearest)) for end in scaled.bounds))
    return Measured(nearest, bound, unit_error=unit, enclosure=scaled)


def _referee(least: int) -> Referee:
    """The exact quantities of claims, to `least` digits or more, each computed once for all claims about it."""
    rows: dict[Any, Exact | None] = {}
    known: dict[Any, Quantity | None] = {}

    def referee(claim: Claim, term: Term) -> Quantity | None:
        digits = max(DIGITS, least, claim.printed.digits + SPARE_DIGITS)
        row = (claim.keys[term.direction], digits)
        if (row, term.statistic) not in known and term.statistic in UNSAMPLED:
            with to_digits(digits):
                bounds = claim.case.unsampled(term.statistic)
            known[row, term.statistic] = None if bounds is None else Quantity.within(bounds)
        if (row, term.statistic) not in known:
            if row not in rows:
                with to_digits(digits):
                    rows[row] = claim.case.moments(claim.rows[term.direction])
            exact = rows[row]
            known[row, term.statistic] = None if exact is None else Quantity.of(term.statistic, exact)
        return known[row, term.statistic]

    return referee
