"""Arithmetic of statistics, such as `forward.std / backward.std`: its terms, its value, and how errors pass through."""

import ast
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

from gradstat.errors import UsageError, quoted, unknown
from gradstat.layer_types.record import BACKWARD, FORWARD
from gradstat.layer_types.statistics import STATISTICS

LONGEST = 200
TOKENS = re.compile(
    r"(?:(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d{1,3})?|[a-z_]+\.[a-z_]+|[a-z_]+|\*\*|[-+*/()]|[ ])+", re.ASCII
)
CONSTANTS = {"pi": math.pi, "e": math.e}


@dataclass(frozen=True, order=True)
class Term:
    """One statistic of one direction."""

    direction: str
    statistic: str


Slopes = Mapping[Term, float]


@dataclass(frozen=True)
class Combination:
    """Arithmetic over terms; a plain statistic is the one term alone."""

    text: str
    tree: ast.expr
    direction: str
    terms: tuple[Term, ...]

    @property
    def is_plain(self) -> bool:
        """True for one statistic and nothing else."""
        return isinstance(self.tree, ast.Name | ast.Attribute) and bool(self.terms)

    def at(self, values: Mapping[Term, float]) -> tuple[float, Slopes]:
        """The value where the terms have these values, and its derivative by each; NaN where there is none."""
        try:
            return _evaluated(self.tree, self.direction, values)
        except (ArithmeticError, ValueError):
            return math.nan, dict.fromkeys(self.terms, math.nan)


@lru_cache(maxsize=1024)
def combination(text: str, direction: str = "") -> Combination:
    """The parsed arithmetic; a name without a direction is of `direction`. UsageError where it is not arithmetic."""
    if len(text) > LONGEST or not TOKENS.fullmatch(text):
        raise UsageError(
            f"statistic {quoted(text)}: expected a name, or arithmetic of at most {LONGEST} characters, "
            'such as "forward.std / backward.std"'
        )
    try:
        tree = ast.parse(text.strip(), mode="eval").body
        terms = tuple(sorted(set(_terms(tree, direction))))
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        raise UsageError(
            f"statistic {quoted(text)}: neither a name nor arithmetic of statistics with + - * / ** sqrt pi e"
        ) from None
    if not terms:
        raise UsageError(f"statistic {quoted(text)}: no statistic of the layer occurs in it")
    return Combination(text, tree, direction, terms)


def _terms(node: ast.expr, direction: str) -> list[Term]:
    """The terms of a tree, checked; ValueError for anything that is not arithmetic."""
    match node:
        case ast.Constant(value=int() | float()) | ast.Name(id="pi" | "e"):
            return []
        case ast.Name() | ast.Attribute(value=ast.Name()):
            return [_term(node, direction)]
        case ast.UnaryOp(op=ast.USub(), operand=inner) | ast.Call(func=ast.Name(id="sqrt"), args=[inner], keywords=[]):
            return _terms(inner, direction)
        case ast.BinOp(op=ast.Add() | ast.Sub() | ast.Mult() | ast.Div() | ast.Pow(), left=left, right=right):
            return _terms(left, direction) + _terms(right, direction)
    raise ValueError("not arithmetic")


def _term(node: ast.expr, direction: str) -> Term:
    if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
        if node.value.id not in (FORWARD, BACKWARD):
            raise UsageError(unknown("direction", node.value.id, (FORWARD, BACKWARD)))
        term = Term(node.value.id, node.attr)
    else:
        term = Term(direction, node.id if isinstance(node, ast.Name) else "")
    if term.statistic not in STATISTICS:
        raise UsageError(unknown("statistic", term.statistic, STATISTICS))
    if not term.direction:
        raise UsageError(f"{term.statistic}: of which direction? Write forward.{term.statistic}, or give direction")
    return term


def _evaluated(node: ast.expr, direction: str, values: Mapping[Term, float]) -> tuple[float, Slopes]:
    """(value, derivatives by the terms), by the rules of sum, product, quotient and power."""
    match node:
        case ast.Constant(value=int() | float() as number):
            return float(number), {}
        case ast.Name(id=name) if name in CONSTANTS:
            return CONSTANTS[name], {}
        case ast.UnaryOp(operand=inner):
            value, slopes = _evaluated(inner, direction, values)
            return -value, _scaled(slopes, -1.0)
        case ast.Call(args=[inner]):
            value, slopes = _evaluated(inner, direction, values)
            return math.sqrt(value), _scaled(slopes, 0.5 / math.sqrt(value))
        case ast.BinOp(op=op, left=left, right=right):
            (a, by_a), (b, by_b) = _evaluated(left, direction, values), _evaluated(right, direction, values)
            value, to_a, to_b = _operated(op, a, b)
            by_right = _scaled(by_b, to_b) if by_b else {}
            return value, _added(_scaled(by_a, to_a) if by_a else {}, by_right)
    term = _term(node, direction)
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
