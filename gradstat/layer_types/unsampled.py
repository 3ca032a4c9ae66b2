"""The statistics of y = f(x) that are computed and never sampled: their value, or one line that says why there is none."""

from gradstat.errors import UsageError
from gradstat.layer_types.case import MORE_DIGITS, Case
from gradstat.layer_types.exact.enclosure import DIGITS, to_digits
from gradstat.layer_types.record import FORWARD
from gradstat.layer_types.statistics import ExactNumber, number_of


def unsampled_number(case: Case, direction: str, name: str, digits: int = 0) -> ExactNumber:
    """A statistic of `statistics.UNSAMPLED`; UsageError where it is not defined, or not known."""
    if direction != FORWARD:
        raise UsageError(f"{name} is a statistic of y; write {FORWARD}.{name}")
    if not case.layer.elementwise:
        raise UsageError(f"{case.label}: {name} is a statistic of elementwise layers and of formulas of x")
    for more in (0, MORE_DIGITS):
        with to_digits(max(DIGITS, digits) + more):
            bounds = case.unsampled(name)
        if bounds is None:
            raise UsageError(f"{case.label}: no exact value of {name} is known, and it is not sampled")
        if bounds.numeric or bounds.is_certain:
            break
    return number_of(bounds)
