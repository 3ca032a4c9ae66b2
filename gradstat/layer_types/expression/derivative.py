"""The derivative of a tape by x, in forward mode: each step adds a few steps, so the length grows by a bounded factor.

Conventions where there is no derivative: sign(0) = 0 is the slope of |u| at 0; where, min and max take the slope of
the chosen argument, min(a, b) being where(a < b, a, b) and max(a, b) where(a > b, a, b); sign has slope 0.
"""

import copy
import math
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache

from gradstat.errors import within
from gradstat.layer_types.expression.functions import power
from gradstat.layer_types.expression.grammar import parse
from gradstat.layer_types.expression.tape import NUMBER, PARAMETER, Tape, X, quoted

LARGEST_PROGRAM = 5000  # not reached by a text within the limits


@dataclass(frozen=True)
class Program:
    """A tape with y and dy/dx, and the parameters whose values must be known before it is compiled."""

    tape: Tape
    value: int
    slope: int
    exponents: frozenset[str]


def program(text: str, names: Collection[str] = (), settled: Mapping[str, float] | None = None) -> Program:
    """Parse and differentiate an expression; UsageError for a mistake in it."""
    return _program(text, tuple(names), tuple((settled or {}).items()))


@lru_cache(maxsize=1024)
def _program(text: str, names: tuple[str, ...], settled: tuple[tuple[str, float], ...]) -> Program:
    parsed = parse(text, names, dict(settled))
    parsed.tape.limit = LARGEST_PROGRAM
    with within(f"expression {quoted(text)}", "its derivative"):
        slope = derivative(parsed.tape, parsed.value)
    return Program(parsed.tape, parsed.value, slope, parsed.exponents)


def with_falling_slopes(known: Program) -> Program:
    """The same program whose dy/dx does not cancel where tanh and sigmoid are flat: for bounds of a tail."""
    tape = copy.deepcopy(known.tape)
    return replace(known, tape=tape, slope=derivative(tape, known.value, chain=CHAIN | FALLING))


def derivative(tape: Tape, value: int, parameter: str = "", chain: "Mapping[str, Chain] | None" = None) -> int:
    """Add the steps of d(value)/dx, or of the derivative by a parameter."""
    algebra, chain = Algebra(tape), chain or CHAIN
    slopes: dict[int, int] = {}
    for index in tape.reached(value):
        step = tape.steps[index]
        tape.text = step.text
        inner = [slopes[i] for i in step.arguments if i in slopes]
        if step.operation in (X, NUMBER, PARAMETER):
            variable = (PARAMETER, parameter) if parameter else (X, "")
            slopes[index] = algebra.number(1.0 if (step.operation, step.payload) == variable else 0.0)
        elif index in tape.slopes and not parameter:  # by x only: its function may have parameters of its own
            u, slope = tape.slopes[index]
            slopes[index] = algebra.times(slope, slopes[u])
        elif step.operation in chain:
            slopes[index] = algebra.chained(chain[step.operation], step.arguments[0], index, inner[0])
        elif step.operation in RULES:
            slopes[index] = RULES[step.operation](algebra, index, step.arguments, inner)
    return slopes[value]


@dataclass
class Algebra:
    """Arithmetic on a tape that leaves out zeros and ones."""

    tape: Tape

    def number(self, value: float) -> int:
        return self.tape.number(value)

    def is_(self, index: int, value: float) -> bool:
        return self.tape.number_at(index) == value

    def of(self, operation: str, *arguments: int) -> int:
        return self.tape.step(operation, *arguments)

    def plus(self, a: int, b: int) -> int:
        if self.is_(a, 0.0):
            return b
        return a if self.is_(b, 0.0) else self.of("+", a, b)

    def minus(self, a: int, b: int) -> int:
        if self.is_(b, 0.0):
            return a
        return self.negative(b) if self.is_(a, 0.0) else self.of("-", a, b)

    def times(self, a: int, b: int) -> int:
        if self.is_(a, 0.0) or self.is_(b, 0.0):
            return self.number(0.0)
        if self.is_(a, 1.0):
            return b
        return a if self.is_(b, 1.0) else self.of("*", a, b)

    def over(self, a: int, b: int) -> int:
        return self.number(0.0) if self.is_(a, 0.0) else self.of("/", a, b)

    def negative(self, a: int) -> int:
        return self.of("negative", a)

    def square(self, a: int) -> int:
        return self.of("*", a, a)

    def chained(self, rule: "Chain", u: int, y: int, du: int) -> int:
        return du if self.is_(du, 0.0) else self.times(rule(self, u, y), du)

    def where(self, condition: int, a: int, b: int) -> int:
        return a if a == b else self.of("where", condition, a, b)


Chain = Callable[[Algebra, int, int], int]
Rule = Callable[[Algebra, int, tuple[int, ...], list[int]], int]


def _log1p(t: Algebra, u: int, y: int) -> int:
    return t.over(t.number(1.0), t.plus(t.number(1.0), u))


def _erf(t: Algebra, u: int, y: int) -> int:
    return t.times(t.number(2.0 / math.sqrt(math.pi)), t.of("exp", t.negative(t.square(u))))


def _erfc(t: Algebra, u: int, y: int) -> int:
    return t.times(t.number(-2.0 / math.sqrt(math.pi)), t.of("exp", t.negative(t.square(u))))


def _asinh(t: Algebra, u: int, y: int) -> int:
    return t.over(t.number(1.0), t.of("sqrt", t.plus(t.number(1.0), t.square(u))))


# f′(u) for y = f(u)
CHAIN: dict[str, Chain] = {
    "exp": lambda t, u, y: y,
    "expm1": lambda t, u, y: t.of("exp", u),
    "log": lambda t, u, y: t.over(t.number(1.0), u),
    "log1p": _log1p,
    "sqrt": lambda t, u, y: t.over(t.number(0.5), y),
    "tanh": lambda t, u, y: t.minus(t.number(1.0), t.square(y)),
    "sigmoid": lambda t, u, y: t.times(y, t.minus(t.number(1.0), y)),
    "erf": _erf,
    "erfc": _erfc,
    "sin": lambda t, u, y: t.of("cos", u),
    "cos": lambda t, u, y: t.negative(t.of("sin", u)),
    "atan": lambda t, u, y: t.over(t.number(1.0), t.plus(t.number(1.0), t.square(u))),
    "asinh": _asinh,
    "abs": lambda t, u, y: t.of("sign", u),
    "sign": lambda t, u, y: t.number(0.0),
    "floor": lambda t, u, y: t.number(0.0),
    "negative": lambda t, u, y: t.number(-1.0),
}


def _falling(t: Algebra, u: int) -> int:
    """σ(u)·σ(−u)."""
    return t.times(t.of("sigmoid", u), t.of("sigmoid", t.negative(u)))


FALLING: dict[str, Chain] = {
    "sigmoid": lambda t, u, y: _falling(t, u),
    "tanh": lambda t, u, y: t.times(t.number(4.0), _falling(t, t.times(t.number(2.0), u))),
}  # the slopes of CHAIN that are a difference from 1


def _times(t: Algebra, y: int, a: tuple[int, ...], d: list[int]) -> int:
    if a[0] == a[1]:
        return t.times(t.times(t.number(2.0), a[0]), d[0])
    return t.plus(t.times(d[0], a[1]), t.times(a[0], d[1]))


def _over(t: Algebra, y: int, a: tuple[int, ...], d: list[int]) -> int:
    """(a′ − y·b′)/b."""
    return t.over(t.minus(d[0], t.times(y, d[1])), a[1])


def _power(t: Algebra, y: int, a: tuple[int, ...], d: list[int]) -> int:
    """p·b^(p − 1)·b′ + y·ln(b)·p′."""
    base, exponent = a
    by_base = by_exponent = t.number(0.0)
    if not t.is_(d[0], 0.0):
        lower = power(t.tape, base, t.minus(exponent, t.number(1.0)))
        by_base = t.times(t.times(exponent, lower), d[0])
    if not t.is_(d[1], 0.0):
        by_exponent = t.times(t.times(y, t.of("log", base)), d[1])
    return t.plus(by_base, by_exponent)


def _selected(sign: str) -> Rule:
    return lambda t, y, a, d: d[0] if d[0] == d[1] else t.where(t.of(sign, a[0], a[1]), d[0], d[1])


RULES: dict[str, Rule] = {
    "+": lambda t, y, a, d: t.plus(d[0], d[1]),
    "-": lambda t, y, a, d: t.minus(d[0], d[1]),
    "*": _times,
    "/": _over,
    "power": _power,
    "min": _selected("<"),
    "max": _selected(">"),
    "where": lambda t, y, a, d: t.where(a[0], d[-2], d[-1]),  # the condition has no slope
}
