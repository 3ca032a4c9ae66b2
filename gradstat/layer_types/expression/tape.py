"""The tape: an expression as a list of steps that use earlier steps. Equal steps are merged, constants are folded."""

import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from gradstat.arithmetic import COMPARISONS
from gradstat.errors import UsageError
from gradstat.numerics import elementary as el

X, NUMBER, PARAMETER = "x", "number", "parameter"
CONDITIONS = (*COMPARISONS, "and", "or")  # steps that are true or false
LARGEST_STEPS = 200


@dataclass(frozen=True)
class Operation:
    """An operation: its code in a kernel, and its function for NumPy."""

    source: str
    value: Callable[..., Any]


def _infix(sign: str, value: Callable[..., Any]) -> Operation:
    return Operation("{} " + sign + " {}", value)


def _called(name: str, arity: int = 1) -> Operation:
    return Operation(f"el.{name}({', '.join(['{}'] * arity)})", getattr(el, name))


def _power(x: Any, p: Any) -> Any:
    """x^p as in kernels: NaN for x < 0, also for whole exponents, unlike NumPy."""
    return np.power(np.where(np.less(x, 0.0), np.nan, x), p)[()]


_COMPARED = (operator.lt, operator.le, operator.gt, operator.ge, operator.eq, operator.ne)
UNARY = (
    "exp",
    "expm1",
    "log",
    "log1p",
    "sqrt",
    "tanh",
    "sigmoid",
    "erf",
    "erfc",
    "sin",
    "cos",
    "atan",
    "asinh",
    "sign",
    "floor",
)

OPERATIONS: dict[str, Operation] = {
    "+": _infix("+", operator.add),
    "-": _infix("-", operator.sub),
    "*": _infix("*", operator.mul),
    "/": _infix("/", operator.truediv),
    "negative": Operation("-{}", operator.neg),
    "abs": _called("absolute"),
    "min": _called("minimum", 2),
    "max": _called("maximum", 2),
    "where": _called("where", 3),
    "power": Operation("el.power({}, {})", _power),
    **{name: _called(name) for name in UNARY},
    "and": _infix("&", operator.and_),
    "or": _infix("|", operator.or_),
    **{sign: _infix(sign, value) for sign, value in zip(COMPARISONS, _COMPARED, strict=True)},
}


@dataclass(frozen=True)
class Step:
    """One value: x, a number, a parameter, or an operation on earlier steps; with the text that it comes from."""

    operation: str
    arguments: tuple[int, ...] = ()
    payload: float | str = ""
    text: str = ""


@dataclass(frozen=True)
class Call:
    """The function whose steps compute a value, as it is spelled: its arguments are steps, or words by name."""

    name: str
    arguments: tuple[int, ...]
    options: tuple[tuple[str, int | str], ...] = ()


@dataclass
class Tape:
    """Steps in the order of computation."""

    text: str = ""  # the text that new steps come from
    limit: int = LARGEST_STEPS
    steps: list[Step] = field(default_factory=list)
    slopes: dict[int, tuple[int, int]] = field(default_factory=dict)  # step → (u, s) if its derivative is s·u′
    calls: dict[int, Call] = field(default_factory=dict)  # step → the function whose value it is
    _known: dict[tuple[Any, ...], int] = field(default_factory=dict)

    def step(self, operation: str, *arguments: int) -> int:
        """The index of this operation on these steps."""
        numbers = [self.number_at(argument) for argument in arguments]
        known = [number for number in numbers if number is not None]
        if operation in COMPARISONS or len(known) < len(numbers):
            return self._index(operation, arguments)
        with np.errstate(all="ignore"):
            return self.number(float(OPERATIONS[operation].value(*map(np.float64, known))))

    def number(self, value: float) -> int:
        """The index of a number; UsageError if it is not finite."""
        if not np.isfinite(value):
            raise UsageError(f"{quoted(self.text)} is {value}, not a finite number")
        return self._index(NUMBER, payload=float(value))

    def x(self) -> int:
        """The index of x."""
        return self._index(X)

    def parameter(self, name: str) -> int:
        """The index of a parameter."""
        return self._index(PARAMETER, payload=name)

    def number_at(self, index: int) -> float | None:
        """The number at this index; None if the step is not a number."""
        step = self.steps[index]
        return float(step.payload) if step.operation == NUMBER else None

    def reached(self, *roots: int) -> list[int]:
        """The steps that these steps depend on, including themselves, in order."""
        live = set(roots)
        for index in range(max(roots), -1, -1):
            if index in live:
                live.update(self.steps[index].arguments)
        return sorted(live)

    def values(self, x: Any, parameters: Mapping[str, float]) -> list[Any]:
        """The values of all steps at these x."""
        found: list[Any] = []
        with np.errstate(all="ignore"):
            for step in self.steps:
                if step.operation == X:
                    found.append(x)
                elif step.operation == NUMBER:
                    found.append(np.float64(step.payload))
                elif step.operation == PARAMETER:
                    found.append(np.float64(parameters[str(step.payload)]))
                else:
                    found.append(OPERATIONS[step.operation].value(*(found[i] for i in step.arguments)))
        return found

    def _index(self, operation: str, arguments: tuple[int, ...] = (), payload: float | str = "") -> int:
        key = (operation, arguments, repr(payload))  # repr: 0.0 and −0.0 are equal
        if key not in self._known:
            if len(self.steps) >= self.limit:
                raise UsageError(f"more than {self.limit} operations")
            self._known[key] = len(self.steps)
            self.steps.append(Step(operation, arguments, payload, self.text))
        return self._known[key]


def quoted(text: str, longest: int = 60) -> str:
    """The text in quotes: one line, in ASCII, shortened."""
    return ascii(text if len(text) <= longest else text[: longest - 3] + "...")
