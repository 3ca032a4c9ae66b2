"""The largest or smallest value in one unknown: golden sections in floats, then the sign of the derivative."""

import math
from fractions import Fraction

from gradstat.layer_types.exact.enclosure import Enclosure
from gradstat.solving import roots
from gradstat.solving.answer import EXTREMUM, Solution
from gradstat.solving.problem import Problem, short

FLOAT_DIGITS = 7  # of the place of an extremum, that floats can find


def extremum(problem: Problem, sign: int, digits: int) -> tuple[list[Solution], list[str], bool]:
    """The largest (sign 1) or smallest (−1) value on the bracket, notes, and whether everything is certain."""
    unknown, word = problem.unknowns[0], "largest" if sign > 0 else "smallest"

    def below(x: float) -> float:
        value = -sign * problem.target_at({unknown.name: x})
        return value if math.isfinite(value) else math.inf

    places = roots.grid(float(unknown.low), float(unknown.high))
    values = [below(x) for x in places]
    searched = f"searched {unknown.name} from {short(unknown.low)} to {short(unknown.high)} at {len(places)} points"
    best = min(range(len(places)), key=values.__getitem__)
    if not math.isfinite(values[best]):
        return [], [f"{searched}: there is no value at any point"], False
    worst = max(value for value in values if math.isfinite(value))
    if worst - values[best] <= roots.NOISE * max(abs(worst), abs(values[best])):
        return [], [f"{searched}: the value is the same everywhere, within rounding"], False
    if best in (0, len(places) - 1):
        return [], [f"{searched}: the {word} value is at an end, {unknown.name} = {places[best]:g}"], True
    place, _ = roots.smallest(below, places[best - 1], places[best + 1])
    scale = max(abs(places[best - 1]), abs(places[best + 1]))
    bounds = _by_derivative(problem, place, scale, sign, digits) or _by_values(problem, place, scale, sign, digits)
    if bounds is None:
        return (
            [],
            [f"{searched}: the {word} value is near {unknown.name} = {place:.7g}; this could not be proven"],
            False,
        )
    reached = _reached(problem, bounds, sign, digits)
    notes = [f"{searched}: a value within the bounds is {'at least' if sign > 0 else 'at most'} those on both sides"]
    return [Solution({unknown.name: bounds}, EXTREMUM, reached)], notes, True


def _by_derivative(problem: Problem, place: float, scale: float, sign: int, digits: int) -> Enclosure | None:
    """Bounds at which the derivative has the two signs of an extremum; None where it is not known."""
    target, name = problem.target, problem.unknowns[0].name
    assert target is not None
    if not problem.is_differentiable:
        return None

    def slope(x: Fraction, wanted: int) -> Enclosure:
        dual = problem.value(target, {name: x}, wanted, slopes=True)
        known: Enclosure | None = dual.slopes.get(name)
        return known or Enclosure.undefined("it does not depend on the unknown")

    try:
        bounds = roots.refined(slope, place, scale, digits).bounds
    except NotImplementedError:
        return None
    if bounds is None:
        return None
    before = slope(bounds.bounds[0], digits + roots.GUARD)
    return bounds if before.is_finite and sign * before.middle > 0 else None


def _by_values(problem: Problem, place: float, scale: float, sign: int, digits: int) -> Enclosure | None:
    """Bounds between which the middle value is certainly above (or below) those at both ends."""
    target, name, middle = problem.target, problem.unknowns[0].name, Fraction(place)
    assert target is not None
    if not problem.is_continuous(name):
        return None
    size = max(abs(middle), Fraction(roots.SMALL * scale))
    for certain in range(min(digits, FLOAT_DIGITS), 0, -1):
        width = size / Fraction(10) ** certain
        points = (middle - width, middle, middle + width)
        low, centre, high = (problem.value(target, {name: x}, 2 * certain + roots.GUARD).value * sign for x in points)
        if all(v.is_finite for v in (low, centre, high)) and centre.bounds[0] > max(low.bounds[1], high.bounds[1]):
            return Enclosure(points[0], points[2])
    return None


def _reached(problem: Problem, bounds: Enclosure, sign: int, digits: int) -> Enclosure | None:
    """The value there."""
    assert problem.target is not None
    value = problem.value(problem.target, {problem.unknowns[0].name: bounds}, digits + roots.GUARD).value
    return value if value.is_finite else None
