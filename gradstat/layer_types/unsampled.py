"""The statistics of y = f(x) that are computed and never sampled: a value, or one line that says why there is none."""

from gradstat.errors import UsageError
from gradstat.layer_types.case import MORE_DIGITS, Case
from gradstat.layer_types.exact.enclosure import DIGITS, Enclosure, to_digits
from gradstat.layer_types.record import FORWARD
from gradstat.layer_types.statistics import ExactNumber, number_of

NOT_KNOWN = "no exact value of {} is known, and it is not sampled"


def unsampled_number(case: Case, direction: str, name: str, digits: int = 0) -> ExactNumber:
    """A statistic of `statistics.UNSAMPLED`; UsageError where it is not defined, or not known."""
    check_unsampled(case, direction, name)
    wanted = max(DIGITS, digits)
    bounds = _to(wanted, case, name)
    if not (bounds.numeric or bounds.is_certain):
        bounds = _to(wanted + MORE_DIGITS, case, name)
    return number_of(bounds)


def _to(digits: int, case: Case, name: str) -> Enclosure:
    with to_digits(digits):
        bounds = case.unsampled(name)
    if bounds is None:
        raise UsageError(f"{case.label}: {NOT_KNOWN.format(name)}")
    return bounds


def steepest_place(case: Case) -> str:
    """`at x = 1.414214`: where |f′(x)| is largest; "" where that is not known."""
    bounds = case.unsampled("lipschitz")
    return bounds.reason if bounds is not None and bounds.is_finite else ""


def check_unsampled(case: Case, direction: str, name: str) -> None:
    """UsageError where this statistic is not defined."""
    if direction != FORWARD:
        raise UsageError(f"{name} is a statistic of y; write {FORWARD}.{name}")
    if not case.layer.elementwise:
        raise UsageError(f"{case.label}: {name} is a statistic of elementwise layers and of formulas of x")
