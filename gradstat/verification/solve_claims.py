"""Claims about the number that solves equations of statistics: `solve = { for = "input.std", such_that = […] }`."""

from dataclasses import replace
from fractions import Fraction

from gradstat.layer_types.exact.enclosure import MOST_DIGITS, Enclosure
from gradstat.solving.answer import Solution, Solutions
from gradstat.solving.request import wanted_of
from gradstat.solving.solve import solve
from gradstat.verification.claims import Claim, SolveConfig


def solution_of(claim: Claim, digits: int) -> tuple[Enclosure | None, str, bool]:
    """The first unknown, of all solutions the one closest to the printed number; why there is none; if that is sure."""
    request = _request(claim)
    found = solve(claim.case, wanted_of(request.unknowns), request.such_that, digits=min(digits, MOST_DIGITS))
    if not found.found:
        return None, found.notes[0], found.is_certain
    return _closest(found, request.name, Fraction(claim.printed.value)), "", True


def _closest(found: Solutions, name: str, printed: Fraction) -> Enclosure:
    def away(one: Solution) -> Fraction:
        return abs(one.values[name].middle - printed)

    best = min(found.found, key=away)
    return replace(best.values[name], numeric=not best.is_proven)


def _request(claim: Claim) -> SolveConfig:
    request = claim.config.solve
    assert request is not None
    return request
