"""The interval of values that round to a printed number, in exact decimal arithmetic."""

import ast
import math
import re
from dataclasses import dataclass
from decimal import Context, Decimal, DivisionByZero, InvalidOperation, Overflow, Underflow
from fractions import Fraction

from gradstat import arithmetic
from gradstat.arithmetic import Arithmetic, at
from gradstat.errors import UsageError, quoted

DECIMAL = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d{1,4})?", re.ASCII)
HEXADECIMAL = re.compile(r"([+-]?)0[xX]([0-9a-fA-F]+)(?:\.([0-9a-fA-F]*))?[pP]([+-]?\d{1,4})", re.ASCII)
TOLERANCE = Fraction(1, 10**12)  # relative to the value of an expression; absolute if the value is 0
LONGEST = 200
LARGEST = 300  # the largest exponent of ten, positive or negative: the range of float64

# Sixty digits, so that rounding errors of an expression are far below TOLERANCE.
CONTEXT = Context(prec=60, Emax=9999, Emin=-9999, traps=[InvalidOperation, DivisionByZero, Overflow, Underflow])
WIDE = Context(prec=2 * LARGEST + LONGEST)
NAMES = {
    "pi": Decimal("3.14159265358979323846264338327950288419716939937510582097494459"),
    "e": Decimal("2.71828182845904523536028747135266249775724709369995957496696763"),
}
OPERATORS = {
    ast.Add: CONTEXT.add,
    ast.Sub: CONTEXT.subtract,
    ast.Mult: CONTEXT.multiply,
    ast.Div: CONTEXT.divide,
    ast.Pow: CONTEXT.power,
}


@dataclass(frozen=True)
class RoundingInterval:
    """A printed value and the closed interval of values that round to it: both roundings of a tie are correct."""

    text: str
    value: float
    low: Fraction
    high: Fraction
    decimals: int | None = None  # digits after the point, negative for powers of ten; None for an expression

    @property
    def digits(self) -> int:
        """The significant digits that were printed; 12 for an expression, which is judged to 10⁻¹²."""
        if self.decimals is None:
            return 12
        return len(str(math.floor(abs(self.low + self.high) / 2 * Fraction(10) ** self.decimals)))

    @property
    def half_width(self) -> float:
        """Half the length of the interval: half a unit of the last digit."""
        return float((self.high - self.low) / 2)


def parse(text: str) -> RoundingInterval:
    """`0.2123` → [0.21225, 0.21235]; `0x1.8p0` likewise; `sqrt(1/2)` → its value to 10⁻¹² relative. Else UsageError."""
    stripped = text.strip()
    if DECIMAL.fullmatch(stripped) and len(stripped) <= LONGEST:
        number = Decimal(stripped)
        decimals = -int(number.as_tuple().exponent)
        if abs(decimals) > LARGEST or number.adjusted() > LARGEST:
            raise UsageError(f"value {stripped} is beyond 10**±{LARGEST}")
        middle, half = Fraction(number), Fraction(10) ** -decimals / 2
        return RoundingInterval(stripped, float(number) + 0.0, middle - half, middle + half, decimals)
    if (match := HEXADECIMAL.fullmatch(stripped)) and len(stripped) <= LONGEST:
        return _hexadecimal(stripped, match)
    middle = Fraction(_exactly(stripped))
    slack = (abs(middle) or 1) * TOLERANCE
    return RoundingInterval(stripped, float(middle), middle - slack, middle + slack)


def _hexadecimal(text: str, match: re.Match[str]) -> RoundingInterval:
    """`0x1.8p0`: half a unit of the last hexadecimal digit to either side."""
    sign, whole, rest, exponent = match[1], match[2], match[3] or "", int(match[4])
    if abs(exponent) > 1000:
        raise UsageError(f"value {text} is beyond 10**±{LARGEST}")
    unit = Fraction(2) ** (exponent - 4 * len(rest))
    middle = int(whole + rest, 16) * unit * (-1 if sign == "-" else 1)
    return RoundingInterval(text, float(middle), middle - unit / 2, middle + unit / 2)


def evaluate(text: str) -> float:
    """Arithmetic over numbers, pi, e and sqrt(…)."""
    return float(_exactly(text.strip()))


def evaluate_exactly(text: str) -> Fraction:
    """The same to 60 digits."""
    return Fraction(_exactly(text.strip()))


def _exactly(text: str) -> Decimal:
    """The exact value of parsed arithmetic."""
    shown = f"value {quoted(text)}"
    try:
        source = arithmetic.parse(text, LONGEST)
        value = _value(source.tree, source)
    except (UsageError, ValueError, ArithmeticError) as error:
        reason = f": {error}" if isinstance(error, UsageError) else ""
        raise UsageError(f"{shown} is neither a decimal number nor arithmetic with sqrt, pi and e{reason}") from None
    if value and not (value.is_finite() and -LARGEST <= value.adjusted() <= LARGEST):
        raise UsageError(f"{shown} is beyond 10**±{LARGEST}")
    return value


def _value(node: ast.expr, source: Arithmetic) -> Decimal:
    match node:
        case ast.Constant():
            return CONTEXT.create_decimal(source.token(node).text)
        case ast.Name() if source.token(node).text in NAMES:
            return NAMES[source.token(node).text]
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            return CONTEXT.minus(_value(operand, source))
        case ast.BinOp(left=left, op=op, right=right) if type(op) in OPERATORS:
            return OPERATORS[type(op)](_value(left, source), _value(right, source))
        case ast.Call(args=[argument], keywords=[]) if source.token(node).text == "sqrt":
            return CONTEXT.sqrt(_value(argument, source))
    raise at(source.token(node), f"{quoted(source.source(node))} is not allowed")


def rounded(value: float | Fraction, decimals: int) -> str:
    """`value` as it should have been printed with that many digits behind the point, as `2e3` where it is negative."""
    fraction = Fraction(value)
    exact = WIDE.divide(Decimal(fraction.numerator), Decimal(fraction.denominator))
    number = exact.quantize(Decimal(1).scaleb(-decimals), context=WIDE)
    if not number:
        number = abs(number)  # avoids -0.00
    return format(number, "f") if decimals >= 0 else f"{int(number.scaleb(decimals))}e{-decimals}"
