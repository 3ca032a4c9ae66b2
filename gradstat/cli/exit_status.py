"""What a result is worth: numbers that disagree with their exact value, targets that were not reached."""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from gradstat.cli.app import say
from gradstat.errors import Exit

if TYPE_CHECKING:
    from gradstat.estimation.precision import Target
    from gradstat.estimation.run import ResultRow


def exit_code_for(lines: "Sequence[ResultRow]", target: "Target | None") -> int:
    """A line on stderr for every number that is none, too far from its exact value, or not precise enough; the code."""
    return agreement(lines) or (precision(lines, target) if target else Exit.DONE)


def agreement(lines: "Sequence[ResultRow]") -> int:
    """CHECK_FAILED where an estimate is lost to overflow, or contradicts the referee."""
    from gradstat.estimation.significance import disagreements

    lost = [line for line in lines if not _is_finite(line)]
    for line in lost:
        say(f"check failed: {line.case.title} {line.row.direction}: its moments are too large or too small for a float")
    wrong = disagreements(lines)
    for disagreement in wrong:
        say(f"check failed: {disagreement}")
    return Exit.CHECK_FAILED if wrong or lost else Exit.DONE


def precision(lines: "Sequence[ResultRow]", target: "Target") -> int:
    """PRECISION_NOT_REACHED where an error is above its target, with the draws that it would take."""
    from gradstat.estimation.precision import needed, worst

    cases: dict[int, list[ResultRow]] = {}
    for line in lines:
        cases.setdefault(id(line.case), []).append(line)
    code = Exit.DONE
    for own in cases.values():
        rows = [line.estimates for line in own]
        found = worst(rows, target)
        if found.ratio <= 1.0:
            continue
        draws, more = rows[0].n, needed(rows, target)
        code = Exit.PRECISION_NOT_REACHED
        how = f"--max-samples {more:.2g}" if draws >= target.max_samples else f"-n {more:.2g}"
        kind = "relative error" if found.target == target.relative else "error"
        say(
            f"precision not reached: {own[0].case.title} {found.statistic}: {kind} {found.error:.2g}, target "
            f"{found.target:g}, after {draws:,} draws; about {more:.1e} would do: {how}"
        )
    return code


def _is_finite(line: "ResultRow") -> bool:
    return math.isfinite(line.estimates.mean_se) and math.isfinite(line.estimates.std)
