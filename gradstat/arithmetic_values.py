"""The value of arithmetic, in any type of number, and its derivatives by named terms."""

import ast
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from gradstat.arithmetic import Arithmetic, Token, at
from gradstat.errors import quoted

Number = Any  # a float or an enclosure
CONSTANTS = ("pi", "e")


@dataclass(frozen=True)
class Functions:
    """The functions of a type of number that are not written with a sign."""

    number: Callable[[str], Number]  # the text of a number, pi or e → the number
    sqrt: Callable[[Number], Number]
    power: Callable[[Number, Number], Number]
    log: Callable[[Number], Number]


FLOATS = Functions(
    lambda text: {"pi": math.pi, "e": math.e}.get(text) or float(text),
    math.sqrt,
    math.pow,
    lambda a: math.log(a) if a > 0.0 else 0.0,
)


@dataclass(frozen=True)
class Dual:
    """A value and its derivatives by terms; a term that is missing has the derivative 0."""

    value: Number
    slopes: Mapping[Any, Number]

    def __add__(self, other: "Dual") -> "Dual":
        return Dual(self.value + other.value, _added(self.slopes, other.slopes))

    def __sub__(self, other: "Dual") -> "Dual":
        return Dual(self.value - other.value, _added(self.slopes, _scaled(other.slopes, -1)))

    def __neg__(self) -> "Dual":
        return Dual(-self.value, _scaled(self.slopes, -1))

    def __mul__(self, other: "Dual") -> "Dual":
        slopes = _added(_scaled(self.slopes, other.value), _scaled(other.slopes, self.value))
        return Dual(self.value * other.value, slopes)

    def __truediv__(self, other: "Dual") -> "Dual":
        by_left = _scaled(self.slopes, 1 / other.value)
        by_right = _scaled(other.slopes, -self.value / (other.value * other.value)) if other.slopes else {}
        return Dual(self.value / other.value, _added(by_left, by_right))

    def sqrt(self, functions: Functions) -> "Dual":
        """√u and u′/(2√u)."""
        root = functions.sqrt(self.value)
        return Dual(root, _scaled(self.slopes, 0.5 / root) if self.slopes else {})

    def power(self, other: "Dual", functions: Functions) -> "Dual":
        """uᵖ, p·uᵖ⁻¹·u′ + uᵖ·ln u·p′."""
        a, b = self.value, other.value
        value = functions.power(a, b)
        by_base = _scaled(self.slopes, b * functions.power(a, b - 1)) if self.slopes and b else {}
        by_exponent = _scaled(other.slopes, value * functions.log(a)) if other.slopes else {}
        return Dual(value, _added(by_base, by_exponent))


def _scaled(slopes: Mapping[Any, Number], factor: Number) -> Mapping[Any, Number]:
    return {term: factor * slope for term, slope in slopes.items()}


def _added(one: Mapping[Any, Number], other: Mapping[Any, Number]) -> Mapping[Any, Number]:
    both = dict(one)
    for term, slope in other.items():
        both[term] = both[term] + slope if term in both else slope
    return both


def names(source: Arithmetic, what: str) -> list[Token]:
    """The names in a text, without pi and e; UsageError for what is no arithmetic of `what`."""

    def inside(node: ast.expr) -> list[Token]:
        token = source.token(node)
        match node:
            case ast.Constant() if token.kind == "number":
                return []
            case ast.Name():
                return [] if token.text in CONSTANTS else [token]
            case ast.UnaryOp(op=ast.USub() | ast.UAdd(), operand=inner):
                return inside(inner)
            case ast.Call(args=[inner], keywords=[]) if token.text == "sqrt":
                return inside(inner)
            case ast.BinOp(left=left, right=right):
                return inside(left) + inside(right)
        raise at(token, f"{quoted(source.source(node))} is not arithmetic of {what} with + - * / ** sqrt pi e,")

    return inside(source.tree)


def value_of(source: Arithmetic, functions: Functions, name: Callable[[str], Dual]) -> Dual:
    """The value of checked arithmetic and its derivatives, where `name` gives those of a name."""

    def of(node: ast.expr) -> Dual:
        match node:
            case ast.UnaryOp(op=sign, operand=inner):
                return -of(inner) if isinstance(sign, ast.USub) else of(inner)
            case ast.Call(args=[inner]):
                return of(inner).sqrt(functions)
            case ast.BinOp(op=op, left=left, right=right):
                return _operated(op, of(left), of(right), functions)
        text = source.token(node).text
        if isinstance(node, ast.Constant) or text in CONSTANTS:
            return Dual(functions.number(text), {})
        return name(text)

    return of(source.tree)


def _operated(op: ast.operator, a: Dual, b: Dual, functions: Functions) -> Dual:
    match op:
        case ast.Add():
            return a + b
        case ast.Sub():
            return a - b
        case ast.Mult():
            return a * b
        case ast.Div():
            return a / b
    return a.power(b, functions)
