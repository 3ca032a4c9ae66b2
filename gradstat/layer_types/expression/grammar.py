"""Text → tape: the steps of the syntax tree of an expression. Only this grammar is accepted:

sum        numbers, x, parameters, pi, e; + - * / ** and parentheses, as in Python; function(sum, ...), and activations
           by name, with their parameters: elu(sum, 0.7), gelu(sum, approximate="tanh"); (t := sum), and t after it
condition  sum < sum <= sum, with < <= > >= == and !=; and, or, not; only as where(condition, sum, sum)
"""

import ast
import math
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import reduce

from gradstat import arithmetic
from gradstat.arithmetic import DEEPEST, OPERATOR, Arithmetic, Token, at
from gradstat.errors import UsageError, advice, within
from gradstat.layer_types.expression import records
from gradstat.layer_types.expression.functions import FUNCTIONS, call, power
from gradstat.layer_types.expression.tape import PARAMETER, Tape, quoted
from gradstat.layer_types.expression.trace import inverted

LONGEST = 4000
CONSTANTS = {"pi": math.pi, "e": math.e}
RESERVED = frozenset(("x", "and", "or", "not", *CONSTANTS, *FUNCTIONS))
SIGNS = {ast.Add: "+", ast.Sub: "-", ast.Mult: "*", ast.Div: "/"}
ONLY_IN_WHERE = "a comparison may stand in the condition of where(condition, a, b) only"
NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


@dataclass(frozen=True)
class Parsed:
    """The tape of a text, the step with its value, and the parameters that occur in exponents."""

    tape: Tape
    value: int
    exponents: frozenset[str]


def parse(text: str, names: Collection[str] = (), settled: Mapping[str, float] | None = None) -> Parsed:
    """The tape of `text` with the parameters `names`, where those in `settled` are numbers; UsageError for mistakes."""
    with within(f"expression {quoted(text)}"):
        check_names(names)
        if not text.strip(" \t\r\n"):
            raise UsageError('the expression is empty; expected a formula, e.g. "x * sigmoid(1.702 * x)"')
        return _Builder(arithmetic.parse(text, LONGEST), names, settled or {}).parsed()


def check_names(names: Collection[str]) -> None:
    """Raise UsageError for a parameter that cannot be named in an expression."""
    for name in names:
        if NAME.fullmatch(name) is None:
            raise UsageError(f"a parameter cannot be named {quoted(name)}; letters, digits and _ are allowed")
        if name in RESERVED:
            raise UsageError(f"a parameter cannot be named {name!r}, which already has a meaning in expressions")


class _Builder:
    """Adds the steps of a syntax tree to a tape. A step remembers the text of its node."""

    def __init__(self, source: Arithmetic, names: Collection[str], settled: Mapping[str, float]) -> None:
        self.source, self.names, self.settled = source, names, settled
        self.tape = Tape()
        self.exponents: set[str] = set()
        self.used: set[str] = set()
        self.bound: dict[str, int] = {}  # what (t := sum) has named

    def parsed(self) -> Parsed:
        value = self.value(self.source.tree)
        for name in self.names:
            if name not in self.used:
                raise UsageError(f"the parameter {name!r} does not occur in the expression")
        return Parsed(self.tape, value, frozenset(self.exponents))

    def value(self, node: ast.expr, depth: int = 1) -> int:
        """The step that computes a node."""
        if depth > DEEPEST:
            raise at(self.source.token(node), f"nested deeper than {DEEPEST}")
        match node:
            case ast.BinOp():
                return self.binary(node, depth)
            case ast.UnaryOp(op=ast.Not()):
                raise at(self.source.token(node), f"{ONLY_IN_WHERE}, not")
            case ast.UnaryOp(op=sign, operand=operand):
                inner = self.value(operand, depth + 1)
                self.mark(node)
                return self.tape.step("negative", inner) if isinstance(sign, ast.USub) else inner
            case ast.Call():
                return self.call(node, depth)
            case ast.NamedExpr(value=inner_node):
                return self.bind(self.source.token(node), inner_node, depth)
            case ast.Compare() | ast.BoolOp():
                raise at(self.source.token(node), f"{ONLY_IN_WHERE}, not")
        self.mark(node)
        token = self.source.token(node)
        if token.kind == "string":
            raise at(token, f"found {token.text}, which may be a parameter of an activation,")
        return self.tape.number(float(token.text)) if token.kind == "number" else self.name(token, node)

    def binary(self, node: ast.expr, depth: int) -> int:
        """Left-associative operations, in a loop: a sum of hundreds of terms is nested hundreds of levels deep."""
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
        if token.text in self.bound:
            return self.bound[token.text]
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

    def bind(self, token: Token, inner: ast.expr, depth: int) -> int:
        """Give a name to a step, for what comes after it."""
        if token.text in RESERVED or token.text in self.names or token.text in self.bound or "." in token.text:
            raise at(token, f"{token.text!r} has a meaning already, or is no name,")
        step = self.value(inner, depth + 1)
        self.bound[token.text] = step
        return step

    def call(self, node: ast.Call, depth: int) -> int:
        token = self.source.token(node)
        function, activation = FUNCTIONS.get(token.text), records.by_name().get(token.text)
        if function is None and activation is None:
            _ = self.name(token, node)  # raises UsageError for an unknown name
            self.source.refuse(node.lineno, OPERATOR)
        condition, values = (node.args[:1], node.args[1:]) if token.text == "where" else ([], node.args)
        steps = [self.condition(argument, depth + 1) for argument in condition]
        steps += [self.value(argument, depth) for argument in values]
        options = {
            self.source.tokens[option.lineno - 1].text: self.option(option.value, depth) for option in node.keywords
        }
        self.mark(node)
        if function is not None and function.accepts(len(steps)) and not options:
            return call(self.tape, token.text, *steps)
        if activation is not None and steps and (function is None or activation.parameters):
            return records.activation_steps(self.tape, token.text, steps[0], steps[1:], options)
        expected = "at least 1 argument" if function is None else function.expected
        raise at(token, f"{token.text} takes {expected}, not {len(steps) + len(options)},")

    def option(self, node: ast.expr, depth: int) -> int | str:
        """A named parameter of an activation: a word in quotes, or a number."""
        token = self.source.token(node)
        return (
            token.text[1:-1] if token.kind == "string" and isinstance(node, ast.Constant) else self.value(node, depth)
        )

    def condition(self, node: ast.expr, depth: int) -> int:
        """The step of a condition."""
        if depth > DEEPEST:
            raise at(self.source.token(node), f"nested deeper than {DEEPEST}")
        match node:
            case ast.Compare(left=left, comparators=others):
                nodes = [left, *others]
                values = [self.value(part, depth) for part in nodes]
                self.mark(node)
                signs = [self.source.tokens[self.source.after(part)].text for part in nodes[:-1]]
                links = [self.tape.step(signs[i], values[i], values[i + 1]) for i in range(len(signs))]
                return self.joined("and", links)
            case ast.BoolOp(op=op, values=parts):
                links = [self.condition(part, depth + 1) for part in parts]
                self.mark(node)
                return self.joined("and" if isinstance(op, ast.And) else "or", links)
            case ast.UnaryOp(op=ast.Not(), operand=operand):
                return inverted(self.tape, self.condition(operand, depth + 1))
        words = "where(condition, a, b) needs a comparison as its condition, such as x > 0,"
        raise at(self.source.token(node), words)

    def joined(self, word: str, links: list[int]) -> int:
        """`and` or `or` of conditions, each of which counts once."""
        return reduce(lambda one, other: one if one == other else self.tape.step(word, one, other), links)

    def mark(self, node: ast.expr) -> None:
        """Attribute the steps added from now on to this node."""
        self.tape.text = self.source.source(node)

    def unknown_name(self, token: Token) -> UsageError:
        name = token.text if len(token.text) <= 40 else token.text[:37] + "..."
        names = (*sorted(RESERVED), *self.names)
        needed = f"known: {', '.join(names)}; a parameter needs a value beside the expression, such as {name} = 1.0"
        close = advice(name, (*names, *records.by_name()), needed)
        return UsageError(f"unknown name {name!r} at character {token.start + 1}; {close}")
