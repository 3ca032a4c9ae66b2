"""Verification of claims, by exact values that sampling must agree with, or by sampling if there are none."""

import math
from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import Any

from gradstat.estimation.significance import FAMILY_WISE
from gradstat.layer_types.exact.enclosure import DIGITS, Enclosure, to_digits
from gradstat.layer_types.record import Exact
from gradstat.layer_types.statistics import enclosure_of, exact_bound, exact_value, unit_error
from gradstat.runs.progress import SILENT, Progress
from gradstat.time_limit import TimeLimitReached
from gradstat.verification.claims import Claim
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
from gradstat.verification.verdicts import REFUTED, UNDECIDED, Measured, Outcome, judge

DEFAULT_MAX = 2**32
NOT_SAMPLED = "no exact value is known, and --quick does not sample"
TOO_LARGE = "no exact value is known, and a draw has too many weights to sample it"
SOURCE_UNKNOWN = "the error of the source's own draws is known to sampling only; leave --quick out"

SPARE_DIGITS = 4  # that an exact value has beyond those of a printed one
ROUNDING = Fraction(1, 10**55)  # relative: the error of a claim's scale
Referee = Callable[[Claim, str], Exact | None]


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
    numbers = [claim for claim in claims if not claim.is_matrix]
    small = [claim for claim in numbers if not claim.case.shape.is_large]
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
            outcome = _judge_exact(claim, referee, {} if claim.case.shape.is_large else samples)
        except TimeLimitReached:
            return [outcomes.get(each.id) or Outcome(each, None, UNDECIDED, detail=TIMED_OUT) for each in claims]
        if claim.id in wrong:
            outcome = Outcome(claim, None, UNDECIDED, detail=str(wrong[claim.id]), contradiction=True)
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


def _judge_exact(claim: Claim, referee: Referee, samples: Samples) -> Outcome | None:
    """The outcome by the exact values; None if one is unknown. The σ of one draw comes from them or from the sample.

    The absolute errors of several terms are added, since terms of one layer depend on each other.
    """
    values, bounds, units = {}, {}, {}
    for term in claim.combination.terms:
        exact = referee(claim, term.direction)
        value = None if exact is None else exact_value(term.statistic, exact)
        if exact is None or value is None:
            return None
        enclosure = enclosure_of(term.statistic, exact)
        if enclosure is not None and not enclosure.is_finite:
            size = "infinite" if enclosure.sign else "undefined"
            detail = f"the {term.statistic} is {size}: {enclosure.reason}"
            own = enclosure.text(DIGITS) if claim.config.statistic == term.statistic else None
            return Outcome(claim, None, REFUTED, should_print=own, detail=detail)
        values[term], bounds[term] = value, exact_bound(term.statistic, exact)
        units[term] = unit_error(term.statistic, exact) if len(claim.rows[term.direction].slots) == 1 else None
    value, slopes = claim.combination.at(values)
    unit: float | None = 0.0
    for term, slope in slopes.items():
        part = units[term]
        unit = None if part is None or unit is None else unit + abs(claim.scale * slope) * part
    if unit is None and samples:
        unit = measure(claim, samples).unit_error
    if len(values) == 1 and exact is not None and value == values[term] and slopes[term] == 1.0:
        measured = _measured(claim, term.statistic, exact, value, unit)
    else:
        bound = sum(abs(slope) * bounds[term] for term, slope in slopes.items())
        measured = Measured(claim.scale * value, abs(claim.scale) * bound, unit_error=unit)
    outcome = judge(claim, measured)
    unclear = outcome.verdict == UNDECIDED and unit is None and claim.config.obtained.samples is not None
    return judge(claim, outcome.measured, SOURCE_UNKNOWN) if unclear and outcome.measured else outcome


def _measured(claim: Claim, name: str, exact: Exact, value: float, unit: float | None) -> Measured:
    """An exact value times the scale of the claim, with its proven bounds if there are any."""
    proven = enclosure_of(name, exact)
    if proven is None:
        return Measured(claim.scale * value, abs(claim.scale) * exact_bound(name, exact), unit_error=unit)
    scale = claim.exact_scale
    scaled = proven * Enclosure(scale * (1 - ROUNDING), scale * (1 + ROUNDING)) if scale != 1 else proven
    nearest = float(scaled)
    bound = math.inf
    if math.isfinite(nearest):
        bound = float(max(abs(end - Fraction(nearest)) for end in scaled.bounds))
    return Measured(nearest, bound, unit_error=unit, enclosure=scaled)


def _referee(least: int) -> Referee:
    """The exact values of a claim's row, to `least` digits or more, computed once for all claims about it."""
    known: dict[Any, Exact | None] = {}

    def referee(claim: Claim, direction: str) -> Exact | None:
        digits = max(DIGITS, least, claim.printed.digits + SPARE_DIGITS)
        key = (claim.keys[direction], digits)
        if key not in known:
            with to_digits(digits):
                known[key] = claim.case.moments(claim.rows[direction])
        return known[key]

    return referee
