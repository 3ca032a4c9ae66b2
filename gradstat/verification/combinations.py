"""Arithmetic of statistics, such as `forward.std / backward.std`.

Its terms, its value, and its derivatives for errors.
"""

import ast
import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

from gradstat import arithmetic
from gradstat.arithmetic import Arithmetic, at
from gradstat.errors import UsageError, quoted, unknown, within
from gradstat.layer_types.record import BACKWARD, FORWARD
from gradstat.layer_types.statistics import STATISTICS

LONGEST = 200
CONSTANTS = {"pi": math.pi, "e": math.e}


@dataclass(frozen=True, order=True)
class Term:
    """One statistic of one direction."""

    direction: str
    statistic: str


Slopes = Mapping[Term, float]


@dataclass(frozen=True)
class Combination:
    """Arithmetic of terms; a plain statistic is a single term."""

    text: str
    source: Arithmetic
    direction: str
    terms: tuple[Term, ...]

    def at(self, values: Mapping[Term, float]) -> tuple[float, Slopes]:
        """The value for these values of the terms, and its derivative by each term; NaN if undefined."""
        try:
            return _evaluated(self.source.tree, self.source, self.direction, values)
        except (ArithmeticError, ValueError):
            return math.nan, dict.fromkeys(self.terms, math.nan)


@lru_cache(maxsize=1024)
def combination(text: str, direction: str = "") -> Combination:
    """The parsed arithmetic; a name without a direction has `direction`. UsageError for other text."""
    with within(f"statistic {quoted(text)}"):
        source = arithmetic.parse(text, LONGEST)
        terms = tuple(sorted(set(_terms(source.tree, source, direction))))
        if not terms:
            raise UsageError("the arithmetic contains no statistic of the layer")
    return Combination(text, source, direction, terms)


def _terms(node: ast.expr, source: Arithmetic, direction: str) -> list[Term]:
    """The terms of a tree; UsageError for anything that is not arithmetic of statistics."""
    token = source.token(node)
    match node:
        case ast.Constant() if token.kind == "number":
            return []
        case ast.Name():
            return [] if token.text in CONSTANTS else [_term(token.text, direction)]
        case ast.UnaryOp(op=ast.USub(), operand=inner):
            return _terms(inner, source, direction)
        case ast.Call(args=[inner], keywords=[]) if token.text == "sqrt":
            return _terms(inner, source, direction)
        case ast.BinOp(left=left, right=right):
            return _terms(left, source, direction) + _terms(right, source, direction)
    raise at(token, f"{quoted(source.source(node))} is not arithmetic of statistics with + - * / ** sqrt pi e,")


def _term(name: str, direction: str) -> Term:
    """`forward.std`, or `std` of a direction."""
    before, dot, after = name.partition(".")
    if dot and before not in (FORWARD, BACKWARD):
        raise UsageError(unknown("direction", before, (FORWARD, BACKWARD)))
    term = Term(before, after) if dot else Term(direction, name)
    if term.statistic not in STATISTICS:
        raise UsageError(unknown("statistic", term.statistic, STATISTICS))
    if not term.direction:
        raise UsageError(
            f"{name}: its direction is missing; write forward.{name} or backward.{name}, or give direction"
        )
    return term


def _evaluated(
    node: ast.expr, source: Arithmetic, direction: str, values: Mapping[Term, float]
) -> tuple[float, Slopes]:
    """(value, derivatives by the terms), by the rules of sum, product, quotient and power."""
    token = source.token(node)
    match node:
        case ast.Constant():
            return float(token.text), {}
        case ast.UnaryOp(operand=inner):
            value, slopes = _evaluated(inner, source, direction, values)
            return -value, _scaled(slopes, -1.0)
        case ast.Call(args=[inner]):
            value, slopes = _evaluated(inner, source, direction, values)
            return math.sqrt(value), _scaled(slopes, 0.5 / math.sqrt(value))
        case ast.BinOp(op=op, left=left, right=right):
            (a, by_a), (b, by_b) = (_evaluated(side, source, direction, values) for side in (left, right))
            value, to_a, to_b = _operated(op, a, b)
            by_right = _scaled(by_b, to_b) if by_b else {}
            return value, _added(_scaled(by_a, to_a) if by_a else {}, by_right)
    if token.text in CONSTANTS:
        return CONSTANTS[token.text], {}
    term = _term(token.text, direction)
    return values[term], {term: 1.0}


def _operated(op: ast.operator, a: float, b: float) -> tuple[float, float, float]:
    """The value of an operation, and its derivatives by both sides."""
    match op:
        case ast.Add():
            return a + b, 1.0, 1.0
        case ast.Sub():
            return a - b, 1.0, -1.0
        case ast.Mult():
            return a * b, b, a
        case ast.Div():
            return a / b, 1.0 / b, -a / (b * b)
    value = math.pow(a, b)
    return value, b * math.pow(a, b - 1.0) if b else 0.0, value * math.log(a) if a > 0.0 else 0.0


def _scaled(slopes: Slopes, factor: float) -> Slopes:
    return {term: factor * slope for term, slope in slopes.items()}


def _added(one: Slopes, other: Slopes) -> Slopes:
    return {term: one.get(term, 0.0) + other.get(term, 0.0) for term in {**one, **other}}
