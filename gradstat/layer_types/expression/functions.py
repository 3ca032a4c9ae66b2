"""The functions that an expression can call, and the computation of powers.

Most functions are made of the steps that kernels and referees compute already; `tape.slopes` holds the derivative where
it is better than that of the steps, and `tape.calls` the name by which `spelling` writes them.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial, reduce

import numpy as np

from gradstat.errors import UsageError
from gradstat.layer_types.expression.tape import NUMBER, UNARY, Call, Tape, quoted

LARGEST_WHOLE_EXPONENT = 64
RAISED = "**"  # the name of a call that is written base ** exponent
SQRT_HALF, DENSITY_AT_0 = math.sqrt(0.5), 1.0 / math.sqrt(2.0 * math.pi)


@dataclass(frozen=True)
class Function:
    """A function: its number of arguments, or the least number of them, and the steps that compute it."""

    arity: int
    build: Callable[..., int]
    or_more: bool = False

    def accepts(self, count: int) -> bool:
        """True where it can be called with this number of arguments."""
        return count == self.arity or (self.or_more and count > self.arity)

    @property
    def expected(self) -> str:
        """`1 argument`, `3 arguments`, `at least 2 arguments`."""
        return f"{'at least ' if self.or_more else ''}{self.arity} argument{'s' if self.arity > 1 else ''}"


def call(tape: Tape, name: str, *arguments: int) -> int:
    """The value of a function of the table on these steps, remembered under its name."""
    return named(tape, FUNCTIONS[name].build(tape, *arguments), Call(name, arguments))


def named(tape: Tape, value: int, how: Call) -> int:
    """`value`, remembered as the value of a call, unless it is a plain step, a number or one of the arguments."""
    if tape.steps[value].operation not in (NUMBER, how.name) and value not in how.arguments:
        tape.calls.setdefault(value, how)
    return value


def relu(tape: Tape, u: int) -> int:
    """max(u, 0): slope 0 at 0."""
    return tape.step("max", u, tape.number(0.0))


def softplus(tape: Tape, u: int) -> int:
    """ln(1 + eᵘ) = max(u, 0) + ln(1 + e^−|u|), whose slope is σ(u), without the kinks of the two terms."""
    decay = tape.step("exp", tape.step("negative", tape.step("abs", u)))
    value = tape.step("+", relu(tape, u), tape.step("log1p", decay))
    tape.slopes[value] = (u, tape.step("sigmoid", u))
    return value


def log_sigmoid(tape: Tape, u: int) -> int:
    """ln σ(u) = min(u, 0) − ln(1 + e^−|u|), whose slope is σ(−u)."""
    decay = tape.step("exp", tape.step("negative", tape.step("abs", u)))
    value = tape.step("-", tape.step("min", u, tape.number(0.0)), tape.step("log1p", decay))
    tape.slopes[value] = (u, tape.step("sigmoid", tape.step("negative", u)))
    return value


def sinh(tape: Tape, u: int) -> int:
    """½(eᵘ − 1) − ½(e^−u − 1): the halves have opposite signs, so nothing cancels near 0."""
    up, down = tape.step("expm1", u), tape.step("expm1", tape.step("negative", u))
    return tape.step("*", tape.number(0.5), tape.step("-", up, down))


def cosh(tape: Tape, u: int) -> int:
    """½eᵘ + ½e^−u, whose slope is sinh u."""
    up, down = tape.step("exp", u), tape.step("exp", tape.step("negative", u))
    value = tape.step("*", tape.number(0.5), tape.step("+", up, down))
    tape.slopes[value] = (u, sinh(tape, u))
    return value


def log2(tape: Tape, u: int) -> int:
    """ln u/ln 2."""
    return tape.step("*", tape.number(1.0 / math.log(2.0)), tape.step("log", u))


def exp2(tape: Tape, u: int) -> int:
    """2ᵘ."""
    return power(tape, tape.number(2.0), u)


def cbrt(tape: Tape, u: int) -> int:
    """sign(u)·|u|^⅓, whose slope is ⅓|u|^−⅔: infinite at 0."""
    size = tape.step("abs", u)
    value = tape.step("*", tape.step("sign", u), power(tape, size, tape.number(1.0 / 3.0)))
    if tape.number_at(value) is None:
        tape.slopes[value] = (u, tape.step("/", power(tape, size, tape.number(-2.0 / 3.0)), tape.number(3.0)))
    return value


def ceil(tape: Tape, u: int) -> int:
    """−⌊−u⌋."""
    return tape.step("negative", tape.step("floor", tape.step("negative", u)))


def rounded(tape: Tape, u: int) -> int:
    """The nearest integer, of two the even one, as Python, NumPy and PyTorch round."""
    half, one, low = tape.number(0.5), tape.number(1.0), tape.step("floor", u)
    above, rest = tape.step("+", low, one), tape.step("-", u, low)
    even = tape.step("*", tape.number(2.0), tape.step("floor", tape.step("*", half, above)))
    upper = tape.step("where", tape.step(">", rest, half), above, even)
    return tape.step("where", tape.step("<", rest, half), low, upper)


def clip(tape: Tape, u: int, low: int, high: int) -> int:
    """min(max(u, low), high)."""
    return tape.step("min", tape.step("max", u, low), high)


def normal_pdf(tape: Tape, u: int) -> int:
    """φ(u) = e^(−u²/2)/√(2π), whose slope is −u·φ(u)."""
    square = tape.step("*", tape.number(-0.5), tape.step("*", u, u))
    value = tape.step("*", tape.number(DENSITY_AT_0), tape.step("exp", square))
    tape.slopes[value] = (u, tape.step("negative", tape.step("*", u, value)))
    return value


def normal_cdf(tape: Tape, u: int) -> int:
    """Φ(u) = ½ erfc(−u/√2), whose slope is φ(u)."""
    value = tape.step("*", tape.number(0.5), tape.step("erfc", tape.step("*", tape.number(-SQRT_HALF), u)))
    tape.slopes[value] = (u, normal_pdf(tape, u))
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
        if p > 2.0:
            named(tape, positive, Call(RAISED, (base, exponent)))
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


def _folded(operation: str) -> Callable[..., int]:
    """The operation on the first two, on that and the third, and so on."""
    return lambda tape, *arguments: reduce(partial(tape.step, operation), arguments)


FUNCTIONS: dict[str, Function] = {
    **{name: Function(1, _step(name)) for name in (*UNARY, "abs")},
    "relu": Function(1, relu),
    "softplus": Function(1, softplus),
    "log_sigmoid": Function(1, log_sigmoid),
    "sinh": Function(1, sinh),
    "cosh": Function(1, cosh),
    "log2": Function(1, log2),
    "exp2": Function(1, exp2),
    "cbrt": Function(1, cbrt),
    "ceil": Function(1, ceil),
    "round": Function(1, rounded),
    "normal_pdf": Function(1, normal_pdf),
    "normal_cdf": Function(1, normal_cdf),
    "clip": Function(3, clip),
    "min": Function(2, _folded("min"), or_more=True),
    "max": Function(2, _folded("max"), or_more=True),
    "where": Function(3, _step("where")),  # its first argument is a comparison
}
