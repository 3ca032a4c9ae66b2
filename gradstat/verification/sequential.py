"""Sequential tests of claims without an exact value: each look has four times the draws of the one before."""

import math
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from gradstat.estimation.error_bars import NO_NUMBER, is_infinite
from gradstat.estimation.multiple_testing import AGREEMENT, CONFIRMING, REFUTING, HolmDecision, holm, level
from gradstat.estimation.significance import SOURCE_BOUND, Disagreement, contradictions
from gradstat.estimation.student import critical_t, normal_score
from gradstat.layer_types.case import Case
from gradstat.layer_types.statistics import STATISTICS
from gradstat.runs.progress import SILENT, Progress
from gradstat.time_limit import TimeLimitReached
from gradstat.verification.claims import Claim, key_of
from gradstat.verification.combinations import Term
from gradstat.verification.verdicts import CONFIRMED, UNDECIDED, Measured, Outcome, judge, source_error

if TYPE_CHECKING:
    from gradstat.estimation.run import ResultRow

LOOK_NUMBERS, FEWEST, MOST = (
    2**22,
    2**16,
    2**20,
)  # first look: total of drawn numbers, and the bounds of its number of draws
GROWTH = 4  # ratio of the draws of consecutive looks
HOEFFDING = 0.56  # √(ln(2/p)/2n) for p ≤ 10⁻⁶, in multiples of the normal quantile/√n
FUTILITY_MARGIN = 5.0  # give up if even a change of 5 standard errors could not decide the claim

STOPPED = "interrupted before it was decided"
TIMED_OUT = "the time limit was reached before it was decided"
LONG = 10.0  # seconds of sampling that are announced
Samples = Mapping[Any, "ResultRow"]  # key of a row → the row


def first_look(case: Case) -> int:
    """The draws of the first look: fewer if a draw has many numbers."""
    return min(max(LOOK_NUMBERS // case.shape.numbers, FEWEST), MOST)


def sample(
    claims: Sequence[Claim],
    draws: Callable[[Case], int],
    seed: int,
    jobs: int,
    progress: Progress = SILENT,
) -> Samples:
    """Every row of the cases that claims are about. The progress shows one run per number of draws."""
    from gradstat.estimation.blocks import pilot_draws
    from gradstat.estimation.run import available_cpus, run
    from gradstat.runs.duration import PER_NUMBER
    from gradstat.runs.status import Status

    sizes: dict[int, dict[Any, Case]] = defaultdict(dict)
    for claim in claims:
        sizes[draws(claim.case)].setdefault(next(iter(claim.keys.values()))[:-2], claim.case)
    numbers = sum((n + pilot_draws(case)) * case.shape.numbers for n, cases in sizes.items() for case in cases.values())
    if (seconds := numbers * PER_NUMBER / (jobs or available_cpus())) > LONG:
        several = f"{len(claims)} claim{'s' * (len(claims) != 1)}"
        progress.message(f"sampling {several} takes about {seconds:.2g} s; --timeout limits it, --quick leaves it out")
    lines = [
        line
        for n, cases in sizes.items()
        for line in run(list(cases.values()), n, seed, jobs, listener=Status(progress))
    ]
    return {key_of(line.case, line.row): line for line in lines}


def check_agreement(claims: Sequence[Claim], samples: Samples, family_wise: float) -> dict[str, Disagreement]:
    """The claims, by id, whose exact value a sample contradicts. Each contradiction is an error of gradstat."""
    quantities = {
        claim.id: {(claim.keys[term.direction], STATISTICS[term.statistic].base) for term in claim.combination.terms}
        for claim in claims
    }
    sampled = [(samples[key], base) for key, base in set().union(*quantities.values())]
    disagreements = contradictions(sampled, family_wise * AGREEMENT)
    wrong = {(key_of(d.row.case, d.row.row), d.statistic): d for d in disagreements}
    return {name: wrong[q] for name, several in quantities.items() for q in several if q in wrong}


def measure(claim: Claim, samples: Samples) -> Measured:
    """The claimed number as sampled, with its standard error: NaN if undefined, infinite if more draws are needed.

    The absolute errors of several terms are added, since terms of one layer depend on each other.
    """
    rows = {term: samples[claim.keys[term.direction]] for term in claim.combination.terms}
    bases = {term: getattr(row.estimates, STATISTICS[term.statistic].base) for term, row in rows.items()}
    value, slopes = claim.combination.at({term: STATISTICS[term.statistic].f(base) for term, base in bases.items()})
    error = sum(
        abs(slope * STATISTICS[term.statistic].slope(bases[term])) * base_error(term, rows[term])
        for term, slope in slopes.items()
    )
    degrees = min(
        getattr(row.estimates, f"{STATISTICS[term.statistic].base}_df", math.inf) for term, row in rows.items()
    )
    error, n = abs(claim.scale) * error, min(row.estimates.n for row in rows.values())
    unit = error * math.sqrt(n) if math.isfinite(error) else None
    reasons = [row.no_error_bar for row in rows.values() if row.no_error_bar]
    reason = reasons[0] if reasons and not math.isfinite(error) else ""
    return Measured(claim.scale * value, math.inf, error, n, unit, exact=False, degrees=degrees, no_error_bar=reason)


def base_error(term: Term, row: "ResultRow") -> float:
    """Standard error of the base quantity of a statistic."""
    base, e = STATISTICS[term.statistic].base, row.estimates
    error: float = getattr(e, f"{base}_se", math.nan)
    if base == "zero_fraction":
        return HOEFFDING / math.sqrt(e.n)  # holds for every fraction of every set of slots
    if error == 0.0 or (math.isinf(error) and (row.no_error_bar in NO_NUMBER or is_infinite(e))):
        return math.nan  # all draws are equal, or more draws do not give it an error
    return error


def judge_looks(
    claims: Sequence[Claim],
    samples: Samples,
    seed: int,
    jobs: int,
    max_samples: int,
    family_wise: float,
    progress: Progress = SILENT,
) -> dict[str, Outcome]:
    """Sample undecided claims, look by look, until all are decided or more draws cannot decide them."""
    outcomes: dict[str, Outcome] = {}
    look, still_open = 0, list(claims)
    while still_open:
        values = [measure(claim, samples) for claim in still_open]
        settled = [o for o in outcomes.values() if o.verdict != UNDECIDED]
        confirmed = sum(o.verdict == CONFIRMED for o in settled)
        families = (len(claims) - confirmed, len(claims) - (len(settled) - confirmed))
        tests = test_look(still_open, values, look, families, family_wise)
        for claim, value, test in zip(still_open, values, tests, strict=True):
            outcome = judge(claim, replace(value, bound=bound_of(value, test.critical_z)))
            if outcome.verdict != UNDECIDED:
                outcomes[claim.id] = outcome
            elif value.n >= max_samples or futile(claim, value, test.critical_z, max_samples):
                reason = f"no error bar: {value.no_error_bar}" if value.no_error_bar else ""
                outcomes[claim.id] = replace(outcome, detail=reason or f"{max_samples:,} draws cannot decide it")
        still_open = [claim for claim in still_open if claim.id not in outcomes]
        look += 1
        if still_open:
            grown = GROWTH**look
            progress.note(
                f"look {look + 1}: {len(still_open)} of {len(claims)} claims without exact value are undecided"
            )
            try:
                samples = sample(
                    still_open,
                    lambda case: min(first_look(case) * grown, max_samples),  # noqa: B023
                    seed,
                    jobs,
                    progress,
                )
            except KeyboardInterrupt as stop:  # the verdicts so far stay
                return outcomes | {claim.id: stopped(claim, stop) for claim in still_open}
    return outcomes


def stopped(claim: Claim, stop: KeyboardInterrupt) -> Outcome:
    """The outcome of a claim that Ctrl-C or the time limit left undecided."""
    return Outcome(claim, None, UNDECIDED, detail=TIMED_OUT if isinstance(stop, TimeLimitReached) else STOPPED)


def test_look(
    claims: Sequence[Claim], values: Sequence[Measured], look: int, families: tuple[int, int], family_wise: float
) -> list[HolmDecision]:
    """Holm's test in two families: values inside their interval can confirm a claim, values outside can refute it."""
    found = [score(claim, value) for claim, value in zip(claims, values, strict=True)]
    confirming = holm([max(s, 0.0) for s in found], level(CONFIRMING, look, family_wise), families[0])
    refuting = holm([max(-s, 0.0) for s in found], level(REFUTING, look, family_wise), families[1])
    return [c if s > 0.0 else r for s, c, r in zip(found, confirming, refuting, strict=True)]


def score(claim: Claim, value: Measured) -> float:
    """The normal score of a value: positive for the printed number, negative against it.

    For: the distance to the nearest end of the interval, at most a quarter of the interval, so that every confirmed
    claim could have been refuted. Against: the distance to the interval, beyond 4 standard errors of the source.
    """
    printed = claim.printed
    if not (math.isfinite(value.error) and math.isfinite(value.value)):
        return 0.0
    low, high = value.value - float(printed.low), float(printed.high) - value.value
    if min(low, high) >= 0.0:
        return normal_score(min(low, high, 0.5 * printed.half_width) / value.error, value.degrees)
    distances = [max(-low, -high)]
    if own := source_error(claim, value):
        distances.append(abs(abs(printed.value - value.value) - SOURCE_BOUND * own))
    return -normal_score(min(distances) / value.error, value.degrees)


def bound_of(value: Measured, critical_z: float) -> float:
    """How far a sampled value may be off: the standard errors that are exceeded as rarely as the normal score."""
    return critical_t(critical_z, value.degrees) * value.error if math.isfinite(value.error) else value.error


def futile(claim: Claim, value: Measured, critical_z: float, max_samples: int) -> bool:
    """True if `max_samples` draws cannot make the bound smaller than the printed digits require."""
    if not math.isfinite(value.error):
        return math.isnan(value.error)
    last = critical_z * value.error * math.sqrt(value.n / max_samples)
    away = abs(value.value - claim.printed.value) + FUTILITY_MARGIN * value.error
    return 0.5 * claim.printed.half_width < last and away < last + claim.printed.half_width
