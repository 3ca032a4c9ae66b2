"""The kinks of a program, and a check that it is finite for every x that can be drawn."""

from collections.abc import Mapping

import numpy as np

from gradstat.arithmetic import COMPARISONS
from gradstat.assumptions import Input
from gradstat.errors import UsageError
from gradstat.layer_types.exact.distributions import Array
from gradstat.layer_types.expression.derivative import Program
from gradstat.layer_types.expression.tape import NUMBER, PARAMETER, X, quoted

SWITCHES = ("abs", "sign", "min", "max", *COMPARISONS)
LARGEST_JUMP = 1.0  # of floor from one point of the grid to the next; where it is larger, kinks would be missed
BISECTIONS = 100


def check_finite(program: Program, parameters: Mapping[str, float], x: Input) -> None:
    """Raise UsageError, with the part and x, if y or dy/dx is not finite for an x that can be drawn."""
    points = points_of(x, x.law.drawn)
    values = [np.broadcast_to(value, points.shape) for value in program.tape.values(points, parameters)]
    for root, what in ((program.value, ""), (program.slope, "the derivative of ")):
        bad = ~np.isfinite(values[root])
        if bad.any():
            at = _nearest(points, bad, x)
            index = _culprit(program, values, root, at)
            part = program.tape.steps[index].text
            raise UsageError(f"{what}{quoted(part)} is {values[index][at]:g} {_place(points[at], x)}")
    for index in program.tape.reached(program.value, program.slope):
        step = program.tape.steps[index]
        if step.operation == "floor":
            jumps = np.abs(np.diff(values[index], append=values[index][-1])) > LARGEST_JUMP
            if jumps.any():
                at = int(np.argmax(jumps))
                limit = f"floor, ceil and round may jump once between {points[at]:.6g} and {points[at + 1]:.6g}"
                raise UsageError(f"{limit}; {quoted(step.text)} jumps more often")


def kinks(
    program: Program, parameters: Mapping[str, float], x: Input, bisections: int = BISECTIONS
) -> tuple[float, ...]:
    """The x at which a comparison, |u|, sign, min or max changes sides, or floor jumps, by bisection."""
    tape = program.tape
    live = [tape.steps[index] for index in tape.reached(program.value, program.slope)]
    switches = sorted({step.arguments for step in live if step.operation in SWITCHES})
    floors = sorted({step.arguments[0] for step in live if step.operation == "floor"})
    if not switches and not floors:
        return ()

    def sides(points: Array) -> Array:
        values = [np.broadcast_to(value, points.shape) for value in tape.values(points, parameters)]
        with np.errstate(all="ignore"):
            levels = [np.sign(values[s[0]] - (values[s[1]] if len(s) > 1 else 0.0)) for s in switches]
            levels += [np.floor(values[index]) for index in floors]
        return np.asarray(np.nan_to_num(np.array(levels), nan=2.0**60))

    points = points_of(x, x.law.reach)
    found = sides(points)
    row, column = np.nonzero(found[:, 1:] != found[:, :-1])
    low, high, side = points[column], points[column + 1], found[row, column]
    each = np.arange(len(row))
    for _ in range(bisections):
        middle = 0.5 * (low + high)
        same = sides(middle)[row, each] == side
        low, high = np.where(same, middle, low), np.where(same, high, middle)
    roots = np.where(np.abs(high) < 1e-20, 0.0, high)
    roots = np.unique(roots)
    apart = np.diff(roots, prepend=-np.inf) > 1e-13 * np.maximum(1.0, np.abs(roots))
    return tuple(roots[apart].tolist())


def points_of(x: Input, reach: float) -> Array:
    """Points within the reach of x: dense around its mean and around 0, and increasingly fine towards both."""
    steps = np.linspace(-min(reach, 12.0), min(reach, 12.0), 4801)
    far = np.geomspace(min(reach, 12.0), reach, 100)
    fine = np.geomspace(1e-9, 1e3, 400)
    around = np.r_[x.mean + x.std * np.r_[steps, far, -far, fine, -fine], np.linspace(-20.0, 20.0, 2003), fine, -fine]
    return np.unique(around[(around != 0.0) & (np.abs(around - x.mean) <= reach * x.std)])


def _nearest(points: Array, chosen: Array, x: Input) -> int:
    """The chosen point nearest to the mean of x, but not within a tenth of a standard deviation if there is another."""
    distance = np.abs(points - x.mean) / x.std
    distance = np.where(distance < 0.1, 1e6 - distance, distance)
    return int(np.argmin(np.where(chosen, distance, np.inf)))


def _place(at: float, x: Input) -> str:
    return f"at x = {at:.3g}, and x is {x.label()}"


def _culprit(program: Program, values: list[Array], root: int, at: int) -> int:
    """The first step of `root` that is not finite although its arguments are."""
    steps = program.tape.steps
    while True:
        step = steps[root]
        inner = step.arguments
        if step.operation == "where":
            inner = (inner[1],) if values[inner[0]][at] else (inner[2],)
        broken = [
            i for i in inner if steps[i].operation not in (X, NUMBER, PARAMETER) and not np.isfinite(values[i][at])
        ]
        if not broken:
            return root
        root = broken[0]
