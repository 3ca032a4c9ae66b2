"""Claims that are sampled: their rows, which must agree with exact values, and look after look where there are none."""

import math
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from gradstat.estimation.multiple_testing import AGREEMENT, CONFIRMING, REFUTING, HolmDecision, holm, level
from gradstat.estimation.significance import SOURCE_BOUND, Disagreement, contradictions
from gradstat.layer_types.case import Case
from gradstat.layer_types.statistics import STATISTICS
from gradstat.runs.progress import SILENT, Progress
from gradstat.verification.claims import Claim, key_of
from gradstat.verification.verdicts import CONFIRMED, UNDECIDED, Measured, Outcome, judge, source_error

if TYPE_CHECKING:
    from gradstat.estimation.run import ResultRow

LOOK_NUMBERS, FEWEST, MOST = 2**22, 2**16, 2**20  # of the first look: numbers drawn, and the draws they may make
GROWTH = 4  # from look to look
TAILS = 1e-3  # kurtosis/n beyond which a mean of n squares is not normal enough to be judged by its standard error
HOEFFDING = 0.56  # √(ln(2/p)/2n) for p ≤ 10⁻⁶, in multiples of the normal quantile/√n
FUTILITY_MARGIN = 5.0  # standard errors by which an estimate may yet move

Samples = Mapping[Any, "ResultRow"]  # key of a row → the row


def first_look(case: Case) -> int:
    """Draws: fewer where a draw has many numbers."""
    numbers = case.shape.n_in + case.shape.n_out + case.shape.noise
    return min(max(LOOK_NUMBERS // numbers, FEWEST), MOST)


def sample(
    claims: Sequence[Claim], draws: Callable[[Case], int], seed: int, jobs: int, progress: Progress = SILENT
) -> Samples:
    """Every row of the cases that claims are about. Each number of draws is a run of its own to the progress."""
    from gradstat.estimation.run import run
    from gradstat.runs.status import Status

    sizes: dict[int, dict[Any, Case]] = defaultdict(dict)
    for claim in claims:
        sizes[draws(claim.case)].setdefault(claim.key[:-2], claim.case)
    lines = [
        line
        for n, cases in sizes.items()
        for line in run(list(cases.values()), n, seed, jobs, listener=Status(progress))
    ]
    return {key_of(line.case, line.row): line for line in lines}


def check_agreement(claims: Sequence[Claim], samples: Samples, family_wise: float) -> dict[str, Disagreement]:
    """The claims, by id, about a number whose exact value a sample contradicts: gradstat itself is wrong there."""
    quantities = {claim.id: (claim.key, STATISTICS[claim.config.statistic].base) for claim in claims}
    sampled = [(samples[key], base) for key, base in set(quantities.values())]
    found = contradictions(sampled, family_wise * AGREEMENT)
    wrong = {(key_of(d.row.case, d.row.row), d.statistic): d for d in found}
    return {name: wrong[quantity] for name, quantity in quantities.items() if quantity in wrong}


def measure(claim: Claim, samples: Samples) -> Measured:
    """The claimed number as sampled, with its standard error: nan where it has none, infinite where it has none yet."""
    e, statistic = samples[claim.key].estimates, STATISTICS[claim.config.statistic]
    base, error = getattr(e, statistic.base), getattr(e, f"{statistic.base}_se", math.nan)
    if statistic.base == "zero_fraction":
        error = HOEFFDING / math.sqrt(e.n)  # holds for every share of every set of slots
    elif error == 0.0:
        error = math.nan  # all draws alike: no error to go by
    elif e.kurtosis > TAILS * e.n:
        error = math.inf  # a few draws make the sum; more will tell
    factor = abs(claim.scale * statistic.slope(base))
    unit = factor * error * math.sqrt(e.n) if math.isfinite(error) else None
    return Measured(claim.scale * statistic.f(base), math.inf, factor * error, e.n, unit, exact=False)


def judge_looks(
    claims: Sequence[Claim],
    samples: Samples,
    seed: int,
    jobs: int,
    max_samples: int,
    family_wise: float,
    progress: Progress = SILENT,
) -> dict[str, Outcome]:
    """Draw more for the claims that are open, look by look, until all are decided or more draws cannot help."""
    outcomes: dict[str, Outcome] = {}
    look, still_open = 0, list(claims)
    while still_open:
        values = [measure(claim, samples) for claim in still_open]
        settled = [o for o in outcomes.values() if o.verdict != UNDECIDED]
        confirmed = sum(o.verdict == CONFIRMED for o in settled)
        families = (len(claims) - confirmed, len(claims) - (len(settled) - confirmed))
        tests = test_look(still_open, values, look, families, family_wise)
        for claim, value, test in zip(still_open, values, tests, strict=True):
            outcome = judge(claim, replace(value, bound=test.critical_z * value.error))
            if outcome.verdict != UNDECIDED:
                outcomes[claim.id] = outcome
            elif value.n >= max_samples or futile(claim, value, test.critical_z, max_samples):
                outcomes[claim.id] = replace(outcome, detail=f"{max_samples:,} draws cannot decide it")
        still_open = [claim for claim in still_open if claim.id not in outcomes]
        look += 1
        if still_open:
            grown = GROWTH**look
            progress.note(
                f"look {look + 1}: {len(still_open)} of {len(claims)} claims without exact value are undecided"
            )
            samples = sample(
                still_open,
                lambda case: min(first_look(case) * grown, max_samples),  # noqa: B023
                seed,
                jobs,
                progress,
            )
    return outcomes


def test_look(
    claims: Sequence[Claim], values: Sequence[Measured], look: int, families: tuple[int, int], family_wise: float
) -> list[HolmDecision]:
    """Holm's test in each of two families: values inside their interval may confirm, values outside may refute."""
    found = [score(claim, value) for claim, value in zip(claims, values, strict=True)]
    confirming = holm([max(s, 0.0) for s in found], level(CONFIRMING, look, family_wise), families[0])
    refuting = holm([max(-s, 0.0) for s in found], level(REFUTING, look, family_wise), families[1])
    return [c if s > 0.0 else r for s, c, r in zip(found, confirming, refuting, strict=True)]


def score(claim: Claim, value: Measured) -> float:
    """Standard errors by which a value speaks for (positive) or against (negative) the printed number.

    For: the distance to the nearest end of the interval, and at most a quarter of the interval, so that what is
    confirmed could have been refuted. Against: the distance to the interval, and to 4 standard errors of a source.
    """
    printed = claim.printed
    if not (math.isfinite(value.error) and math.isfinite(value.value)):
        return 0.0
    low, high = value.value - float(printed.low), float(printed.high) - value.value
    if min(low, high) >= 0.0:
        return min(low, high, 0.5 * printed.half_width) / value.error
    distances = [max(-low, -high)]
    if own := source_error(claim, value):
        distances.append(abs(abs(printed.value - value.value) - SOURCE_BOUND * own))
    return -min(distances) / value.error


def futile(claim: Claim, value: Measured, critical_z: float, max_samples: int) -> bool:
    """True where no more than `max_samples` draws will bring the bound below what the printed digits ask for."""
    if not math.isfinite(value.error):
        return math.isnan(value.error)
    last = critical_z * value.error * math.sqrt(value.n / max_samples)
    away = abs(value.value - claim.printed.value) + FUTILITY_MARGIN * value.error
    return 0.5 * claim.printed.half_width < last and away < last + claim.printed.half_width
