"""The return value of `gradstat.verify`: the outcome of every claim."""

import fnmatch
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

from gradstat.errors import Interrupted, UsageError
from gradstat.estimation.significance import FAMILY_WISE
from gradstat.layer_types.statistics import check_digits
from gradstat.runs.progress import Progress
from gradstat.text.answer import Answer
from gradstat.text.tables import Report
from gradstat.time_limit import time_limit
from gradstat.verification import reports
from gradstat.verification.claims import Claim
from gradstat.verification.files import load
from gradstat.verification.fixes import Fixes, fixes_of
from gradstat.verification.sequential import STOPPED, TIMED_OUT
from gradstat.verification.verdicts import Outcome
from gradstat.verification.verify import verify


@dataclass(frozen=True, repr=False)
class Verification(Answer):
    """The outcomes of claims, in order. `ok` is True if every verdict is the expected one."""

    outcomes: Sequence[Outcome]
    digits: int | None = None  # of exact values in the column `right`; None: those of the printed number

    @property
    def ok(self) -> bool:
        """True if every verdict is the expected one."""
        return not self.unexpected

    @property
    def unexpected(self) -> list[Outcome]:
        """The outcomes whose verdict is not the expected one."""
        return [outcome for outcome in self.outcomes if not outcome.as_expected]

    def __iter__(self) -> Iterator[Outcome]:
        return iter(self.outcomes)

    def __len__(self) -> int:
        return len(self.outcomes)

    def fixes(self, digits: int | None = None) -> Fixes:
        """The corrections of claims with unexpected verdicts: `.diff()` returns them, `.write()` applies them."""
        return fixes_of(self.outcomes, digits)

    def report(self) -> Report:
        """One table per source, with one row per claim."""
        return reports.report(self.outcomes, self.digits)


def verify_files(
    paths: Sequence[Path],
    only: str | None,
    quick: bool,
    max_samples: int,
    seed: int,
    jobs: int,
    fail_fast: bool,
    progress: Progress,
    digits: int | None = None,
    timeout: float | None = None,
) -> Verification:
    """Verify all claims of some files whose ids match the pattern; UsageError if no id matches.

    After Ctrl-C, Interrupted has the verdicts so far as its `answer`.
    """
    check_digits(digits)
    chosen = [claim for claim in load(paths) if only is None or fnmatch.fnmatchcase(claim.id, only)]
    if not chosen:
        raise UsageError(f"no claim has an id that matches {only!r}")
    outcomes: list[Outcome] = []
    with time_limit(timeout):
        for batch in by_file(chosen) if fail_fast else [chosen]:
            alpha = FAMILY_WISE * len(batch) / len(chosen)
            outcomes += verify(batch, seed, jobs, max_samples, quick, alpha, progress, digits)
            interrupted = any(outcome.detail in (STOPPED, TIMED_OUT) for outcome in outcomes)
            if interrupted or (fail_fast and not all(outcome.as_expected for outcome in outcomes)):
                break
    verification = Verification(outcomes, digits)
    if undecided := sum(outcome.detail == STOPPED for outcome in outcomes):
        error = Interrupted(f"interrupted; {undecided} of {len(chosen)} claims were not decided")
        error.answer = verification
        raise error
    return verification


def by_file(claims: Sequence[Claim]) -> list[list[Claim]]:
    """The claims of each file."""
    return [list(members) for _, members in groupby(claims, key=lambda claim: claim.path)]
