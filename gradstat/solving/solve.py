"""`gradstat.solve`: from a request to all solutions in a bracket, or to the one near a start."""

import math
from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction

from gradstat.assumptions import Input
from gradstat.errors import UsageError
from gradstat.layer_types.case import Case, assumptions_label, label_of
from gradstat.layer_types.exact.enclosure import MOST_DIGITS, Enclosure, enclosure
from gradstat.solving import roots, systems
from gradstat.solving.answer import EXISTS, NOT_PROVEN, UNIQUE, Solution, Solutions
from gradstat.solving.extrema import extremum
from gradstat.solving.problem import Problem, Unknown, bracket_of, check_names, equation, short, side
from gradstat.solving.request import Wanted
from gradstat.solving.subject import MEAN, STD, Subject

DIGITS = 10


def problem_of(case: Case, wanted: Wanted, such_that: Sequence[str], target: str = "") -> Problem:
    """The checked problem; UsageError for a layer, a name or an equation that cannot be used."""
    if not case.layer.elementwise:
        raise UsageError(
            f"{case.layer.name}: solve knows elementwise layers and formulas of x only", "gradstat list layers"
        )
    equations = tuple(map(equation, such_that))
    goal = side(target) if target else None
    check_names([one for pair in equations for one in pair] + ([goal] if goal else []), case, tuple(wanted))
    parameters = {p.name for p in case.layer.parameters if not isinstance(case.params[p.name], str)}
    subject = Subject(case, tuple(name for name in wanted if name in (*parameters, STD, MEAN)))
    unknowns = tuple(_unknown(name, value, case) for name, value in wanted.items())
    counts = f"{_count(len(unknowns), 'unknown')} and {_count(len(equations), 'equation')}"
    if goal and (len(unknowns) != 1 or equations):
        raise UsageError(f"{counts}: a largest or smallest value is looked for in one unknown, without equations")
    if not unknowns or (not goal and len(unknowns) != len(equations)):
        raise UsageError(f"{counts}: as many of each are needed", "--for NAME --such-that 'forward.rms = 1'")
    return Problem(subject, unknowns, equations, goal)


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"


def _unknown(name: str, value: Fraction | tuple[Fraction, Fraction] | None, case: Case) -> Unknown:
    if isinstance(value, tuple):
        low, high = value
        if not low < high:
            raise UsageError(f"--for {name}={short(low)}..{short(high)}: the lower end must be below the upper one")
        if name == STD and low <= 0:
            raise UsageError(f"--for {name}={short(low)}..{short(high)}: a std is above 0")
        return Unknown(name, low, high, (low + high) / 2, True)
    low, high = bracket_of(name, case)
    if value is None:
        return Unknown(name, low, high, Fraction(1))
    if low > 0:
        return Unknown(name, value / 1000, value * 1000, value) if value > 0 else Unknown(name, low, high, Fraction(1))
    return Unknown(name, min(low, value - 10), max(high, value + 10), value)


def solve(
    case: Case,
    wanted: Wanted,
    such_that: Sequence[str],
    maximize: str = "",
    minimize: str = "",
    digits: int = DIGITS,
) -> Solutions:
    """All solutions of one equation in a bracket, the one of several near a start, or a largest or smallest value."""
    if not 1 <= digits <= MOST_DIGITS:
        raise UsageError(f"digits = {digits} is not allowed; expected a whole number from 1 to {MOST_DIGITS}")
    if maximize and minimize:
        raise UsageError("--maximize and --minimize are two questions; give one of the two")
    target = maximize or minimize
    problem = problem_of(case, wanted, such_that, target)
    if target:
        found, notes, certain = extremum(problem, 1 if maximize else -1, digits)
        title = f"{_label(problem)}, {'largest' if maximize else 'smallest'} {target.strip()}"
    else:
        found, notes, certain = _one(problem, digits) if len(problem.unknowns) == 1 else _several(problem, digits)
        title = f"{_label(problem)}, such that {', '.join(text.strip() for text in such_that)}"
    return Solutions(title, case.layer.name, found, notes, digits, certain)


def _label(problem: Problem) -> str:
    """The layer and the assumptions, without the unknowns."""
    case = problem.subject.case
    params = {name: value for name, value in case.params.items() if name not in problem.names}
    usual = Input()
    x = replace(
        case.x,
        mean=usual.mean if MEAN in problem.names else case.x.mean,
        std=usual.std if STD in problem.names else case.x.std,
    )
    return label_of(case.layer.name, params, case.layer.parameters) + assumptions_label(x.label(), case.dy.label())


# One unknown


def _one(problem: Problem, digits: int) -> tuple[list[Solution], list[str], bool]:
    """All roots in the bracket, what else was found there, and whether everything is certain."""
    unknown = problem.unknowns[0]

    def floats(x: float) -> float:
        return problem.residuals({unknown.name: x})[0]

    def enclosed(x: Fraction, wanted: int) -> Enclosure:
        return problem.enclosed({unknown.name: x}, wanted)[0]

    places = roots.grid(float(unknown.low), float(unknown.high))
    scan = roots.scan(floats, places)
    searched = f"searched {unknown.name} from {short(unknown.low)} to {short(unknown.high)}"
    notes: list[str] = [f"{searched}: every change of sign between {len(places)} points is a solution or is named here"]
    if scan.undefined == len(places):
        return [], [f"{searched}: the two sides have no value at any point"], False
    solutions, certain = [], True
    for low, high in scan.crossings:
        near = roots.bisected(floats, low, high)
        root = roots.refined(enclosed, near, max(abs(low), abs(high)), digits)
        if root.bounds is not None:
            solutions.append(_proof(problem, root.bounds, digits))
        elif root.jump is not None:
            before, after = (f"{float(value):.4g}" for value in root.jump)
            notes.append(
                f"no solution at {unknown.name} = {near:.10g}: left less right side jumps from {before} to {after}"
            )
        else:
            notes.append(f"{unknown.name} = {near:.10g} may be a solution: {root.reason}")
            certain = False
    for place in scan.touches:
        value = enclosed(Fraction(place), digits)
        shown = f"{float(value):.2g}" if value.is_finite else "unknown"
        notes.append(
            f"{unknown.name} = {place:.7g} may be a double solution: left less right side is {shown} there and "
            "does not change its sign"
        )
        certain = False
    for low, high in scan.flat:
        notes.append(
            f"the equation holds within rounding for every {unknown.name} from {low:.4g} to {high:.4g}: it does not "
            "determine the unknown there"
        )
        certain = False
    if not solutions and certain:
        place, least = scan.smallest
        notes = [
            f"no solution: {searched} at {len(places)} points; the two sides come closest at {unknown.name} = "
            f"{place:.4g}, where they differ by {least:.4g}",
            *notes[1:],
        ]
    return solutions, notes, certain


def _proof(problem: Problem, bounds: Enclosure, digits: int) -> Solution:
    """A sign change with what is proven about it."""
    name = problem.unknowns[0].name
    if _is_only_one(problem, bounds, digits):
        return Solution({name: bounds}, UNIQUE)
    if problem.is_continuous(name):
        return Solution({name: bounds}, EXISTS)
    return Solution({name: bounds}, NOT_PROVEN)


def _is_only_one(problem: Problem, bounds: Enclosure, digits: int) -> bool:
    """True if the derivative by the unknown has one sign on an interval around the bounds."""
    name = problem.unknowns[0].name
    around = systems.NEARBY * abs(bounds.middle) + bounds.radius
    box = Enclosure(bounds.middle - around, bounds.middle + around)
    duals = problem.duals({name: box}, systems.DERIVATIVE_DIGITS) if problem.is_differentiable else None
    if duals is None:
        return False
    slope = duals[0].slopes.get(name, enclosure(0))
    return duals[0].value.is_finite and slope.is_finite and not slope.contains_zero


# Several unknowns


def _several(problem: Problem, digits: int) -> tuple[list[Solution], list[str], bool]:
    """The solution near the start."""
    names = problem.names

    def floats(point: systems.Point) -> Sequence[float]:
        return problem.residuals(dict(zip(names, point, strict=True)))

    def enclosed(point: Sequence[Fraction], wanted: int) -> Sequence[Enclosure]:
        return problem.enclosed(dict(zip(names, point, strict=True)), wanted)

    start = tuple(float(unknown.start) for unknown in problem.unknowns)
    begun = "began at " + ", ".join(f"{u.name} = {short(u.start)}" for u in problem.unknowns)
    point, residual = systems.newton(floats, start)
    reached = ", ".join(f"{name} = {x:.6g}" for name, x in zip(names, point, strict=True))
    if not residual <= systems.CLOSE:
        largest = "no value" if math.isinf(residual) else f"a difference of {residual:.3g}"
        return [], [f"no solution found: {begun}, ended at {reached} with {largest}; give other starts"], True
    matrix = systems.jacobian(floats, point)
    backwards = systems.inverse(matrix)
    if backwards is None:
        return (
            [],
            [f"no isolated solution: {begun}, and at {reached} the equations do not determine all unknowns"],
            False,
        )
    place = systems.refined(enclosed, point, backwards, digits)
    notes = [f"{begun}; there may be other solutions elsewhere"]
    bounds = _by_krawczyk(problem, place, backwards, digits)
    if bounds is not None:
        return [Solution(dict(zip(names, bounds, strict=True)), UNIQUE)], notes, True
    residuals = enclosed(place, digits)
    around = [abs(x) / Fraction(10) ** digits for x in place]
    values = {n: Enclosure(x - r, x + r) for n, x, r in zip(names, place, around, strict=True)}
    shown = ", ".join(
        f"{float(value.radius + abs(value.middle)):.2g}" if value.is_finite else "unknown" for value in residuals
    )
    notes.append(f"not proven: the two sides of the equations differ by at most {shown} there")
    return [Solution(values, NOT_PROVEN, residuals=tuple(residuals))], notes, False


def _by_krawczyk(
    problem: Problem, place: Sequence[Fraction], backwards: systems.Matrix, digits: int
) -> list[Enclosure] | None:
    """The bounds of a solution that is the only one in a box of relative size 10⁻¹²."""
    names = problem.names
    if not problem.is_differentiable:
        return None

    def test(radius: Fraction) -> list[Enclosure] | None:
        return systems.krawczyk(
            lambda point, wanted: problem.enclosed(dict(zip(names, point, strict=True)), wanted),
            lambda box, wanted: problem.duals(dict(zip(names, box, strict=True)), wanted),
            names,
            place,
            backwards,
            digits,
            radius,
        )

    wide = test(systems.NEARBY)
    return None if wide is None else test(Fraction(1, 10 ** (digits + 2)))
