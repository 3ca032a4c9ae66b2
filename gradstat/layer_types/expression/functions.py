"""The functions that an expression can call, and the computation of powers."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from gradstat.errors import UsageError
from gradstat.layer_types.expression.tape import UNARY, Tape, quoted

LARGEST_WHOLE_EXPONENT = 64


@dataclass(frozen=True)
class Function:
    """A function: its number of arguments, and the steps that compute it."""

    arity: int
    build: Callable[..., int]


def relu(tape: Tape, u: int) -> int:
    """max(u, 0): slope 0 at 0."""
    return tape.step("max", u, tape.number(0.0))


def softplus(tape: Tape, u: int) -> int:
    """ln(1 + eᵘ) = max(u, 0) + ln(1 + e^−|u|), whose slope is σ(u), without the kinks of the two terms."""
    decay = tape.step("exp", tape.step("negative", tape.step("abs", u)))
    value = tape.step("+", relu(tape, u), tape.step("log1p", decay))
    tape.slopes[value] = (u, tape.step("sigmoid", u))
    return value


def power(tape: Tape, base: int, exponent: int) -> int:
    """base^exponent: products for a whole exponent, √ for ±½, and x^p for a base of at least 0 otherwise."""
    b, p = tape.number_at(base), tape.number_at(exponent)
    if p is None:
        return tape.step("power", base, exponent)
    if b is not None:
        with np.errstate(all="ignore"):
            return tape.number(float(np.power(b, p)))
    if not p.is_integer():
        positive = tape.step("sqrt", base) if abs(p) == 0.5 else tape.step("power", base, tape.number(abs(p)))
    elif abs(p) <= LARGEST_WHOLE_EXPONENT:
        positive = _product(tape, base, int(abs(p)))
    else:
        limit = LARGEST_WHOLE_EXPONENT
        raise UsageError(f"{quoted(tape.text)}: the exponent is {p:g}; whole exponents go from -{limit} to {limit}")
    return positive if p >= 0 else tape.step("/", tape.number(1.0), positive)


def _product(tape: Tape, base: int, n: int) -> int:
    """baseⁿ by squaring."""
    result, square = tape.number(1.0), base
    while n:
        if n % 2:
            result = square if tape.number_at(result) == 1.0 else tape.step("*", result, square)
        n //= 2
        square = tape.step("*", square, square) if n else square
    return result


def _step(operation: str) -> Callable[..., int]:
    return lambda tape, *arguments: tape.step(operation, *arguments)


FUNCTIONS: dict[str, Function] = {
    **{name: Function(1, _step(name)) for name in (*UNARY, "abs")},
    "relu": Function(1, relu),
    "softplus": Function(1, softplus),
    "min": Function(2, _step("min")),
    "max": Function(2, _step("max")),
    "where": Function(3, _step("where")),  # its first argument is a comparison
}
