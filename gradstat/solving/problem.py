"""What is asked: unknowns with their brackets, equations, and the values of their two sides."""

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction

from gradstat import arithmetic
from gradstat.arithmetic import Arithmetic
from gradstat.arithmetic_values import FLOATS, Dual, Functions, names, value_of
from gradstat.errors import UsageError, quoted, unknown, within
from gradstat.layer_types.case import Case
from gradstat.layer_types.exact.enclosure import Enclosure, enclosure
from gradstat.layer_types.record import BACKWARD, FORWARD
from gradstat.layer_types.statistics import KNOWN, UNSAMPLED
from gradstat.solving.numbers import ENCLOSURES
from gradstat.solving.subject import MEAN, STD, Subject, Values

LONGEST = 400
SUPREMUM = "lipschitz"
OF_X = (STD, MEAN)
WIDE, POSITIVE = (Fraction(-10), Fraction(10)), (Fraction(1, 1000), Fraction(1000))  # brackets


@dataclass(frozen=True)
class Unknown:
    """A number that is looked for: between `low` and `high`, from `start` where there are several."""

    name: str
    low: Fraction
    high: Fraction
    start: Fraction
    is_given: bool = False  # the bracket was given


@dataclass(frozen=True)
class Side:
    """Arithmetic over statistics, unknowns and numbers."""

    text: str
    source: Arithmetic


@dataclass(frozen=True)
class Problem:
    """Functions of the unknowns that shall be 0, and the layer."""

    subject: Subject
    unknowns: tuple[Unknown, ...]
    equations: tuple[tuple[Side, Side], ...]
    target: Side | None = None  # to maximize

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the unknowns."""
        return tuple(unknown.name for unknown in self.unknowns)

    def is_continuous(self, name: str) -> bool:
        """True if both sides of all equations are continuous in an unknown wherever they are finite."""
        sides = [one for pair in self.equations for one in pair] + ([self.target] if self.target else [])
        used = {token.text for one in sides for token in names(one.source, "statistics")}
        with_slope = any(text.startswith(BACKWARD) or text.partition(".")[2] in UNSAMPLED for text in used)
        if name not in self.subject.unknowns:
            return True
        if f"{FORWARD}.{SUPREMUM}" in used and name not in OF_X:
            return False  # a supremum over the whole line can jump
        return self.subject.is_continuous(name, with_slope)

    @property
    def is_differentiable(self) -> bool:
        """True if the derivatives by all unknowns can be enclosed."""
        return all(map(self.subject.is_differentiable, self.subject.unknowns))

    def residuals(self, point: Mapping[str, float]) -> list[float]:
        """Left less right side of each equation, in floats; NaN where there is no value."""
        known = self.subject.floats(point)
        return [self._float(a, point, known) - self._float(b, point, known) for a, b in self.equations]

    def target_at(self, point: Mapping[str, float]) -> float:
        """What is to be maximized, in floats."""
        assert self.target is not None
        return self._float(self.target, point, self.subject.floats(point))

    def enclosed(self, point: Values, digits: int) -> list[Enclosure]:
        """Left less right side of each equation."""
        return [self.value(a, point, digits).value - self.value(b, point, digits).value for a, b in self.equations]

    def duals(self, point: Values, digits: int) -> list[Dual] | None:
        """The same with derivatives, for enclosures of the unknowns; None where a derivative is not known."""
        try:
            return [self.value(a, point, digits, True) - self.value(b, point, digits, True) for a, b in self.equations]
        except NotImplementedError:
            return None

    def value(self, side: Side, point: Values, digits: int, slopes: bool = False) -> Dual:
        """A side at values of the unknowns, with its derivatives if asked for (NotImplementedError without one)."""

        def name(text: str) -> Dual:
            if text in point:
                return Dual(enclosure(point[text]), {text: enclosure(1)})
            direction, statistic = self._statistic(text)
            if not direction:
                return Dual(self._constant(text), {})
            if not slopes:
                return Dual(self.subject.proven(direction, statistic, point, digits), {})
            dual = self.subject.dual(direction, statistic, point, digits)
            if dual is None:
                raise NotImplementedError(text)
            return dual

        return _evaluated(side, ENCLOSURES, name)

    def _float(self, side: Side, point: Mapping[str, float], known: Callable[[str, str], float] | None) -> float:
        def name(text: str) -> Dual:
            if text in point:
                return Dual(point[text], {})
            direction, statistic = self._statistic(text)
            if not direction:
                return Dual(float(self._constant(text)), {})
            return Dual(known(direction, statistic) if known else math.nan, {})

        try:
            return float(_evaluated(side, FLOATS, name).value)
        except (ArithmeticError, ValueError):
            return math.nan

    def _statistic(self, text: str) -> tuple[str, str]:
        """(direction, statistic), or ("", name)."""
        before, dot, after = text.partition(".")
        return (before, after) if dot and before in (FORWARD, BACKWARD) else ("", text)

    def _constant(self, text: str) -> Enclosure:
        x = self.subject.case.x
        value = {STD: x.std, MEAN: x.mean}.get(text, self.subject.case.params.get(text))
        return enclosure(Fraction(repr(float(str(value)))))


def _evaluated(side: Side, functions: Functions, name: Callable[[str], Dual]) -> Dual:
    return value_of(side.source, functions, name)


# From text


def equation(text: str) -> tuple[Side, Side]:
    """`forward.rms = 1`: both sides."""
    sides = re.split(r"==?", text)
    if len(sides) != 2:
        raise UsageError(f"equation {quoted(text)}: expected one =, found {len(sides) - 1}, e.g. 'forward.rms = 1'")
    return side(sides[0]), side(sides[1])


def side(text: str) -> Side:
    """One side of an equation, or what is to be maximized."""
    with within(f"equation {quoted(text.strip())}"):
        return Side(text.strip(), arithmetic.parse(text, LONGEST))


def check_names(sides: Sequence[Side], case: Case, unknowns: Sequence[str]) -> None:
    """UsageError for a name that is no statistic, unknown or parameter, and for an unknown that occurs nowhere."""
    parameters = [p.name for p in case.layer.parameters if not isinstance(case.params[p.name], str)]
    used = set()
    for one in sides:
        with within(f"equation {quoted(one.text)}"):
            for token in names(one.source, "statistics and unknowns"):
                used.add(token.text)
                before, dot, after = token.text.partition(".")
                if token.text in (*unknowns, *OF_X, *parameters):
                    continue
                if not dot:
                    close = (*unknowns, *parameters, *(f"{FORWARD}.{name}" for name in KNOWN))
                    raise UsageError(unknown("name", token.text, close))
                if before not in (FORWARD, BACKWARD):
                    raise UsageError(unknown("name", token.text, (*unknowns, *OF_X, f"{FORWARD}.{after}")))
                if after not in KNOWN:
                    raise UsageError(unknown("statistic", after, KNOWN))
                if before == BACKWARD and after in UNSAMPLED:
                    raise UsageError(f"{token.text}: {after} is a statistic of y; write {FORWARD}.{after}")
    for name in unknowns:
        if name not in used and name not in (*OF_X, *parameters):
            raise UsageError(f"--for {name}: {name} occurs neither in the layer nor in an equation")


def bracket_of(name: str, case: Case) -> tuple[Fraction, Fraction]:
    """Where an unknown is looked for without a bracket: 0.001 to 1000 if it must be positive, else −10 to 10."""
    domain = next((p.domain for p in case.layer.parameters if p.name == name), None)
    is_positive = name == STD or (domain is not None and not domain.contains(0.0) and not domain.contains(-1.0))
    return POSITIVE if is_positive else WIDE


def number(text: str) -> Fraction:
    """A finite decimal number, or a fraction such as 1/3."""
    try:
        return Fraction(text.strip())
    except (ValueError, ZeroDivisionError):
        raise UsageError(f"{quoted(text)} is not a number; expected e.g. 0.5, 1e-3 or 1/3") from None


def short(value: Fraction) -> str:
    """A number in messages."""
    return f"{float(value):g}"
