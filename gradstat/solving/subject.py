"""An elementwise layer as a function of its unknowns: its statistics in floats, and as enclosures with derivatives."""

import copy
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from fractions import Fraction
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from gradstat.arithmetic import COMPARISONS
from gradstat.arithmetic_values import Dual
from gradstat.assumptions import Input
from gradstat.errors import UsageError
from gradstat.layer_types.case import EXPRESSION, Case
from gradstat.layer_types.elementwise import of_moments
from gradstat.layer_types.exact.enclosure import Enclosure, enclosure
from gradstat.layer_types.expression.derivative import Program, derivative, program, with_falling_slopes
from gradstat.layer_types.expression.domain import kinks
from gradstat.layer_types.expression.emit import function_of
from gradstat.layer_types.expression.tape import PARAMETER, Tape, X
from gradstat.layer_types.expression.trace import Tracer
from gradstat.layer_types.record import FORWARD
from gradstat.layer_types.statistics import enclosure_of
from gradstat.solving import floats
from gradstat.solving.numbers import ENCLOSURES

if TYPE_CHECKING:
    from gradstat.layer_types.exact.moments import Moments

STD, MEAN = "input.std", "input.mean"
BISECTIONS = 25  # for kinks that move: good to about 10⁻⁹, enough for floats and as hints
CONTINUOUS = ("abs", "min", "max")  # branches without a jump
BRANCHES = (*CONTINUOUS, "sign", "floor", *COMPARISONS)
Value = Fraction | Enclosure
Values = Mapping[str, Value]
Rule = Callable[..., Any]


@dataclass(frozen=True)
class Base:
    """E[h(x)]: h of y, s = dy/dx and c = x − E[x]; its derivative by a parameter p also of a = dy/dp and b = ds/dp."""

    value: Callable[[Any, Any, Any], Any]
    slope: Callable[[Any, Any, Any, Any, Any], Any]
    by_centre: Callable[[Any, Any], Any] = lambda y, s: 0.0  # dh/dc


BASES = {
    "mean": Base(lambda y, s, c: y, lambda y, s, c, a, b: a),
    "second_moment": Base(lambda y, s, c: y * y, lambda y, s, c, a, b: 2.0 * y * a),
    "slope_mean": Base(lambda y, s, c: s, lambda y, s, c, a, b: b),
    "slope_second": Base(lambda y, s, c: s * s, lambda y, s, c, a, b: 2.0 * s * b),
    "cov_xy": Base(lambda y, s, c: c * y, lambda y, s, c, a, b: c * a, lambda y, s: y),
    "radial": Base(lambda y, s, c: c * y * s, lambda y, s, c, a, b: c * (a * s + y * b), lambda y, s: y * s),
}


def _rules(base: Base) -> dict[str, Rule]:
    """The integrands of one base: its value, and its derivatives by a parameter, and by mean and std of a normal x."""
    return {
        "": lambda z, std, y, s: (base.value(y, s, std * z), 0.0),
        PARAMETER: lambda z, std, y, s, a, b: (base.slope(y, s, std * z, a, b), 0.0),
        STD: lambda z, std, y, s: (base.value(y, s, std * z) * (z * z - 1.0), 0.0),
        MEAN: lambda z, std, y, s: (base.value(y, s, std * z) * z - std * base.by_centre(y, s), 0.0),
    }


RULES = {name: _rules(base) for name, base in BASES.items()}


def _plain(z: Any, std: Any, y: Any, s: Any) -> tuple[Any, Any]:
    return y, s


@dataclass(frozen=True)
class Subject:
    """A case, some of whose parameters, input.std or input.mean are unknown."""

    case: Case
    unknowns: tuple[str, ...]  # of the layer, or of x
    _formulas: dict[str, Callable[..., Any]] = field(default_factory=dict, compare=False)

    @cached_property
    def names(self) -> tuple[str, ...]:
        """The parameters that are numbers, in the order of the formula's arguments."""
        params = self.case.params
        return tuple(p.name for p in self.case.layer.parameters if not isinstance(params[p.name], str))

    @cached_property
    def program(self) -> Program:
        """The formula as steps, with its parameters as names."""
        params = self.case.params
        if EXPRESSION in params:
            text = str(params[EXPRESSION])
            settled = {n: float(params[n]) for n in program(text, self.names).exponents if n not in self.unknowns}
            known = program(text, self.names, settled)
            return replace(known, tape=copy.deepcopy(known.tape))
        tape = Tape(limit=5000)
        x = Tracer(tape, tape.x())
        arguments = [Tracer(tape, tape.parameter(name)) for name in self.names]
        y, slope = self.case.layer.kernel(params)(x, *arguments)
        return Program(tape, x.of(y), x.of(slope), frozenset())

    @cached_property
    def formula(self) -> Callable[..., Any]:
        """x, parameters ↦ y, dy/dx."""
        if EXPRESSION in self.case.params:
            return function_of(self.program, self.names)
        return self.case.layer.kernel(self.case.params)

    def by_parameter(self, name: str) -> Callable[..., Any]:
        """x, parameters ↦ y, dy/dx, and the derivatives of both by a parameter."""
        if name not in self._formulas:
            steps = self.program
            more = [derivative(steps.tape, step, name) for step in (steps.value, steps.slope)]
            self._formulas[name] = function_of(steps, self.names, more)
        return self._formulas[name]

    def branches(self, name: str, with_x: bool = False, with_slope: bool = True) -> set[str]:
        """The operations that choose by the sign of something that depends on this parameter (and on x).

        Those of y, and of dy/dx unless `with_slope` is False.
        """
        tape, result = self.program.tape, set()
        roots = (self.program.value, self.program.slope) if with_slope else (self.program.value,)
        for index in tape.reached(*roots):
            if tape.steps[index].operation in BRANCHES:
                inside = [tape.steps[i] for i in tape.reached(index)]
                if any((step.operation, step.payload) == (PARAMETER, name) for step in inside) and (
                    not with_x or any(step.operation == X for step in inside)
                ):
                    result.add(tape.steps[index].operation)
        return result

    def is_continuous(self, name: str, with_slope: bool) -> bool:
        """True if every statistic of y, and of dy/dx, is continuous in this unknown wherever it is finite."""
        return name in (STD, MEAN) or self.branches(name, with_slope=with_slope) <= set(CONTINUOUS)

    def is_differentiable(self, name: str) -> bool:
        """True if integrals may be differentiated by this unknown."""
        return self.case.x.is_normal if name in (STD, MEAN) else not self.branches(name)

    # Values

    @cached_property
    def _kinks_move(self) -> bool:
        """True if the kinks depend on the unknowns, or are computed faster than compared."""
        return EXPRESSION not in self.case.params or any(
            self.branches(name, with_x=True) for name in self.unknowns if name in self.names
        )

    @cached_property
    def _kinks(self) -> tuple[float, ...]:
        return self.case.layer.kinks(self.case.params)

    def kinks(self, values: Mapping[str, float]) -> tuple[float, ...]:
        """Where the formula has kinks; those of an expression once only if they do not depend on the unknowns."""
        params = self.case.params | {n: float(values[n]) for n in self.names if n in values}
        if self._kinks_move and EXPRESSION in params:
            return kinks(self.program, {name: float(params[name]) for name in self.names}, Input(), BISECTIONS)
        return self.case.layer.kinks(params) if self._kinks_move else self._kinks

    def floats(self, values: Mapping[str, float]) -> Callable[[str, str], float] | None:
        """(direction, statistic) ↦ float; None where the parameters are not allowed."""
        own = {name: float(values[name]) for name in self.names if name in values}
        x = replace(self.case.x, mean=values.get(MEAN, self.case.x.mean), std=values.get(STD, self.case.x.std))
        try:
            params = self.case.layer.resolve(self.case.params | own)
        except UsageError:
            return None
        if not (x.std > 0.0 and math.isfinite(x.std) and math.isfinite(x.mean)):
            return None
        constants = [np.float64(params[name]) for name in self.names]  # 1/0 is no error
        return floats.statistics(self.formula, constants, self.kinks(own), x, self.case.dy)

    def proven(self, direction: str, name: str, values: Values, digits: int) -> Enclosure:
        """A statistic at values of the unknowns."""
        if name == "lipschitz":
            return self._lipschitz(values, digits)
        if name in PLAIN:
            return self.base(name, "", values, digits)
        if name == "chi":
            return self.base("radial", "", values, digits) / self.base("second_moment", "", values, digits)
        if name in RAW:
            square = self.base("second_moment" if direction == FORWARD else "slope_second", "", values, digits)
            return enclosure(DUALS[name](Dual(ZERO, {}), Dual(square, {})).value)
        if name == "mean":
            return self.base(name, "", values, digits) if direction == FORWARD else ZERO
        known = self._moments(values, digits)
        exact = None if known is None else of_moments(known, direction, self.case.dy)
        return (None if exact is None else enclosure_of(name, exact)) or _UNKNOWN

    def dual(self, direction: str, name: str, values: Values, digits: int) -> Dual | None:
        """A statistic and its derivatives by the unknowns, for enclosures of these; None where there is none."""

        def of(base: str) -> Dual:
            slopes = {u: self.base(base, u, values, digits) for u in self.unknowns}
            return Dual(self.base(base, "", values, digits), slopes)

        if name in PLAIN:
            return of(name)
        if name == "chi":
            return of("radial") / of("second_moment")
        if name not in DUALS:
            return None
        if direction == FORWARD:
            return DUALS[name](of("mean"), of("second_moment"))
        return DUALS[name](Dual(ZERO, {}), of("slope_second"))

    def base(self, base: str, by: str, values: Values, digits: int) -> Enclosure:
        """E[h(x)], or its derivative by an unknown."""
        if by in (STD, MEAN):
            scale: Value = self._standard(values)[1]
            return self._mean(self.formula, RULES[base][by], values, digits) / scale
        if by:
            return self._mean(self.by_parameter(by), RULES[base][PARAMETER], values, digits)
        return self._mean(self.formula, RULES[base][""], values, digits)

    def _standard(self, values: Values) -> tuple[Any, Any]:
        x = self.case.x
        return values.get(MEAN, Fraction(repr(x.mean))), values.get(STD, Fraction(repr(x.std)))

    def _mean(self, formula: Callable[..., Any], rule: Rule, values: Values, digits: int) -> Enclosure:
        from gradstat.layer_types.exact.means import mean_of  # loads flint

        return mean_of(*self._standardized(formula, rule, values), digits) or _UNKNOWN

    def _lipschitz(self, values: Values, digits: int) -> Enclosure:
        from gradstat.layer_types.exact.steepest import steepest  # loads flint

        constants = tuple(values.get(name, self.case.params[name]) for name in self.names)
        own = {name: float(_middle(values[name])) for name in self.names if name in values}
        formula = self.formula
        if EXPRESSION in self.case.params:
            formula = function_of(with_falling_slopes(self.program), self.names)
        found = steepest(formula, constants, self.kinks(own), self.case.x, digits)
        return found.bounds if found else _UNKNOWN

    def _moments(self, values: Values, digits: int) -> "Moments | None":
        from gradstat.layer_types.exact.moments import moments  # loads flint

        return moments(*self._standardized(self.formula, _plain, values), digits)

    def _standardized(self, formula: Callable[..., Any], rule: Rule, values: Values) -> tuple[Any, Any, Any, Input]:
        """The formula of a standardized z, its constants, its kinks, and the distribution of z."""
        from gradstat.layer_types.exact.integrand import Standardized  # loads flint

        mean, std = self._standard(values)
        constants = (mean, std, *(values.get(name, self.case.params[name]) for name in self.names))
        centre, scale = _middle(mean), _middle(std)
        own = {name: float(_middle(values[name])) for name in self.names if name in values}
        kinks = tuple((Fraction(repr(k)) - centre) / scale for k in (0.0, *self.kinks(own)))
        return Standardized(formula, rule), constants, kinks, Input(self.case.x.distribution)


def _middle(value: Value) -> Fraction:
    return value.middle if isinstance(value, Enclosure) else value


def _std(m: Dual, q: Dual) -> Dual:
    return (q - m * m).sqrt(ENCLOSURES)


ZERO, ONE = enclosure(0), Dual(enclosure(1), {})
PLAIN = ("slope_mean", "cov_xy")  # bases that are statistics themselves
RAW = ("second_moment", "rms", "gain_rms", "gain_second_moment")  # functions of E[v²] alone
DUALS: dict[str, Callable[[Dual, Dual], Dual]] = {
    "mean": lambda m, q: m,
    "second_moment": lambda m, q: q,
    "rms": lambda m, q: q.sqrt(ENCLOSURES),
    "var": lambda m, q: q - m * m,
    "std": _std,
    "gain_std": lambda m, q: ONE / _std(m, q),
    "gain_rms": lambda m, q: ONE / q.sqrt(ENCLOSURES),
    "gain_second_moment": lambda m, q: ONE / q,
}  # of E[v] and E[v²]
_UNKNOWN = Enclosure.undefined("it could not be bounded")
