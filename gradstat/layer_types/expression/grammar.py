"""Text → tape: the syntax tree of an expression, of which only what is listed here has a meaning.

sum        numbers, x, parameters, pi, e; + - * / ** and parentheses, as in Python; function(sum, ...)
where      where(sum < sum, sum, sum), with < <= > >= == or !=
"""

import ast
import math
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import NoReturn

from gradstat import arithmetic
from gradstat.arithmetic import DEEPEST, OPERATOR, Arithmetic, Token, at
from gradstat.errors import UsageError, advice, within
from gradstat.layer_types.expression.functions import FUNCTIONS, power
from gradstat.layer_types.expression.tape import PARAMETER, Tape, quoted

LONGEST = 1000
CONSTANTS = {"pi": math.pi, "e": math.e}
RESERVED = frozenset(("x", *CONSTANTS, *FUNCTIONS))
SIGNS = {ast.Add: "+", ast.Sub: "-", ast.Mult: "*", ast.Div: "/"}
NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


@dataclass(frozen=True)
class Parsed:
    """The tape of a text, the step that is its value, and the parameters that stand in exponents."""

    tape: Tape
    value: int
    exponents: frozenset[str]


def parse(text: str, names: Collection[str] = (), settled: Mapping[str, float] | None = None) -> Parsed:
    """The tape of `text` with the parameters `names`, of which the settled ones are numbers; UsageError otherwise."""
    with within(f"expression {quoted(text)}"):
        check_names(names)
        if not text.strip(" \t\r\n"):
            raise UsageError('it is empty; for example "x * sigmoid(1.702 * x)"')
        return _Builder(arithmetic.parse(text, LONGEST), names, settled or {}).parsed()


def check_names(names: Collection[str]) -> None:
    """UsageError for a parameter that cannot be written in an expression."""
    for name in names:
        if NAME.fullmatch(name) is None:
            raise UsageError(f"a parameter cannot be named {quoted(name)}; letters, digits and _ are allowed")
        if name in RESERVED:
            raise UsageError(f"a parameter cannot be named {name!r}, which has a meaning of its own")


class _Builder:
    """Adds the steps of a syntax tree to a tape. A step remembers the text of its node."""

    def __init__(self, source: Arithmetic, names: Collection[str], settled: Mapping[str, float]) -> None:
        self.source, self.names, self.settled = source, names, settled
        self.tape = Tape()
        self.exponents: set[str] = set()
        self.used: set[str] = set()

    def parsed(self) -> Parsed:
        value = self.value(self.source.tree)
        for name in self.names:
            if name not in self.used:
                raise UsageError(f"the parameter {name!r} does not occur in it")
        return Parsed(self.tape, value, frozenset(self.exponents))

    def value(self, node: ast.expr, depth: int = 1) -> int:
        """The step that computes a node."""
        if depth > DEEPEST:
            raise at(self.source.token(node), f"nested deeper than {DEEPEST}")
        match node:
            case ast.BinOp():
                return self.binary(node, depth)
            case ast.UnaryOp(op=sign, operand=operand):
                inner = self.value(operand, depth + 1)
                self.mark(node)
                return self.tape.step("negative", inner) if isinstance(sign, ast.USub) else inner
            case ast.Call():
                return self.call(node, depth)
            case ast.Compare():
                self.refuse_comparison(node, node.left)
        self.mark(node)
        token = self.source.token(node)
        return self.tape.number(float(token.text)) if token.kind == "number" else self.name(token, node)

    def binary(self, node: ast.expr, depth: int) -> int:
        """Operations on what is to their left, in a loop: a sum of hundreds of terms nests as deeply."""
        chain: list[ast.BinOp] = []
        while isinstance(node, ast.BinOp):
            chain.append(node)
            node = node.left
        left = self.value(node, depth)
        for operation in reversed(chain):
            is_power = isinstance(operation.op, ast.Pow)
            right = self.value(operation.right, depth + is_power)
            self.mark(operation)
            left = self.raised(left, right) if is_power else self.tape.step(SIGNS[type(operation.op)], left, right)
        return left

    def raised(self, base: int, exponent: int) -> int:
        steps = (self.tape.steps[index] for index in self.tape.reached(exponent))
        self.exponents.update(str(step.payload) for step in steps if step.operation == PARAMETER)
        return power(self.tape, base, exponent)

    def name(self, token: Token, node: ast.expr) -> int:
        if token.text in FUNCTIONS:
            self.source.refuse(node.lineno, "'('")
        if token.text == "x":
            return self.tape.x()
        if token.text in CONSTANTS:
            return self.tape.number(CONSTANTS[token.text])
        if token.text in self.names:
            self.used.add(token.text)
            known = self.settled.get(token.text)
            return self.tape.parameter(token.text) if known is None else self.tape.number(known)
        raise self.unknown_name(token)

    def call(self, node: ast.Call, depth: int) -> int:
        token = self.source.token(node)
        if token.text not in FUNCTIONS:
            _ = self.name(token, node)  # an unknown name is told as such
            self.source.refuse(node.lineno, OPERATOR)
        function, count = FUNCTIONS[token.text], len(node.args)
        if count != function.arity:
            expected = f"{function.arity} argument{'s' if function.arity > 1 else ''}"
            raise at(token, f"{token.text} takes {expected}, not {count},")
        first, *others = node.args
        steps = [self.condition(first, depth) if token.text == "where" else self.value(first, depth)]
        steps += [self.value(argument, depth) for argument in others]
        self.mark(node)
        return function.build(self.tape, *steps)

    def condition(self, node: ast.expr, depth: int) -> int:
        """The comparison of two values."""
        if not isinstance(node, ast.Compare):
            words = "where(condition, a, b) needs a comparison as its condition, such as x > 0,"
            raise at(self.source.token(node), words)
        if len(node.ops) > 1:
            self.refuse_comparison(node, node.comparators[0])
        left, right = self.value(node.left, depth), self.value(node.comparators[0], depth)
        self.mark(node)
        return self.tape.step(self.source.tokens[self.source.after(node.left)].text, left, right)

    def refuse_comparison(self, node: ast.Compare, left: ast.expr) -> NoReturn:
        sign = self.source.tokens[self.source.after(left)]
        words = "one comparison may stand in the condition of where(condition, a, b)"
        raise at(sign, f"{words}; found {sign.text!r}")

    def mark(self, node: ast.expr) -> None:
        """What is added to the tape from now on comes from this node."""
        self.tape.text = self.source.source(node)

    def unknown_name(self, token: Token) -> UsageError:
        name = token.text if len(token.text) <= 40 else token.text[:37] + "..."
        names = (*sorted(RESERVED), *self.names)
        needed = f"known: {', '.join(names)}; a parameter needs a value beside the expression, such as {name} = 1.0"
        return UsageError(f"unknown name {name!r} at character {token.start + 1}; {advice(name, names, needed)}")
