"""Text → tape: a Pratt parser for a whitelisted grammar. Anything else is one clear error.

    sum        numbers, x, parameters, pi, e; + - * / ** and parentheses, as in Python; function(sum, ...)
    where      where(sum < sum, sum, sum), with < <= > >= == or !=

Text is split by a regular expression over ASCII; length, nesting and number of operations are limited.
"""

import math
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import NoReturn

from gradstat.errors import UsageError, unknown, within
from gradstat.layer_types.expression.functions import FUNCTIONS, power
from gradstat.layer_types.expression.tape import COMPARISONS, PARAMETER, Tape, quoted

LONGEST, DEEPEST = 1000, 50
CONSTANTS = {"pi": math.pi, "e": math.e}
RESERVED = frozenset(("x", *CONSTANTS, *FUNCTIONS))
BINDING = {"+": 10, "-": 10, "*": 20, "/": 20, "**": 40}
SIGN_BINDING = 30  # −x**2 is −(x²)
NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")

_TOKEN = re.compile(
    r"(?P<number>([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?)"
    r"|(?P<name>[A-Za-z_][A-Za-z0-9_]*)"
    r"|(?P<sign>\*\*|[<>=!]=|[-+*/(),<>])"
)
_BLANK = re.compile(r"[ \t\r\n]*")


@dataclass(frozen=True)
class Token:
    """A number, name or sign, and where it stands."""

    kind: str
    text: str
    start: int
    end: int


@dataclass(frozen=True)
class Parsed:
    """The tape of a text, the step that is its value, and the parameters that stand in exponents."""

    tape: Tape
    value: int
    exponents: frozenset[str]


def parse(text: str, names: Collection[str] = (), settled: Mapping[str, float] | None = None) -> Parsed:
    """The tape of `text` with the parameters `names`, of which the settled ones are numbers; UsageError otherwise."""
    with within(f"expression {quoted(text)}"):
        if len(text) > LONGEST:
            raise UsageError(f"{len(text)} characters; at most {LONGEST} are allowed")
        check_names(names)
        return _Parser(text, names, settled or {}).parsed()


def check_names(names: Collection[str]) -> None:
    """UsageError for a parameter that cannot be written in an expression."""
    for name in names:
        if NAME.fullmatch(name) is None:
            raise UsageError(f"a parameter cannot be named {quoted(name)}; letters, digits and _ are allowed")
        if name in RESERVED:
            raise UsageError(f"a parameter cannot be named {name!r}, which has a meaning of its own")


def tokens(text: str) -> list[Token]:
    """The tokens of a text, and an empty one behind them."""
    found = []
    position = _after_blanks(text, 0)
    while position < len(text):
        match = _TOKEN.match(text, position)
        if match is None:
            wrong = text[position]
            raise _at(position, f"unexpected character {wrong!a}{_ADVICE.get(wrong, '')}")
        found.append(Token(str(match.lastgroup), match.group(), position, match.end()))
        position = _after_blanks(text, match.end())
    return [*found, Token("end", "", len(text), len(text))]


_ADVICE = {"^": " (a power is written **)", "=": " (a comparison is written ==)"}


def _after_blanks(text: str, position: int) -> int:
    match = _BLANK.match(text, position)
    return match.end() if match else position


def _at(position: int, message: str) -> UsageError:
    return UsageError(f"{message} at character {position + 1}")


class _Parser:
    """One pass over the tokens. A step remembers the text from its first token to its last."""

    def __init__(self, text: str, names: Collection[str], settled: Mapping[str, float]) -> None:
        self.text, self.names, self.settled = text, names, settled
        self.tokens, self.place, self.depth = tokens(text), 0, 0
        self.tape = Tape()
        self.exponents: set[str] = set()
        self.used: set[str] = set()

    def parsed(self) -> Parsed:
        if self.token.kind == "end":
            raise UsageError('it is empty; for example "x * sigmoid(1.702 * x)"')
        value = self.sum()
        if self.token.kind != "end":
            self.refuse("an operator")
        for name in self.names:
            if name not in self.used:
                raise UsageError(f"the parameter {name!r} does not occur in it")
        return Parsed(self.tape, value, frozenset(self.exponents))

    @property
    def token(self) -> Token:
        return self.tokens[self.place]

    def take(self) -> Token:
        self.place += 1
        return self.tokens[self.place - 1]

    def expect(self, sign: str) -> None:
        if self.token.text != sign:
            self.refuse(repr(sign))
        self.take()

    def refuse(self, wanted: str) -> NoReturn:
        token = self.token
        if token.kind == "end":
            raise UsageError(f"it ends where {wanted} was expected")
        if token.text in COMPARISONS:
            raise _at(
                token.start,
                f"one comparison may stand in the condition of where(condition, a, b); found {token.text!r}",
            )
        raise _at(token.start, f"found {quoted(token.text)} where {wanted} was expected")

    def sum(self, binding: int = 0) -> int:
        """Everything from here on that binds more tightly than `binding`."""
        start = self.token.start
        deeper = int(binding not in (BINDING["+"], BINDING["*"]))  # those nest no further than two
        self.depth += deeper
        if self.depth > DEEPEST:
            raise _at(start, f"nested deeper than {DEEPEST}")
        left = self.operand()
        while BINDING.get(self.token.text, 0) > binding:
            sign = self.take().text
            right = self.sum(SIGN_BINDING - 1 if sign == "**" else BINDING[sign])
            self.mark(start)
            left = self.raised(left, right) if sign == "**" else self.tape.step(sign, left, right)
        self.depth -= deeper
        return left

    def raised(self, base: int, exponent: int) -> int:
        steps = (self.tape.steps[index] for index in self.tape.reached(exponent))
        self.exponents.update(str(step.payload) for step in steps if step.operation == PARAMETER)
        return power(self.tape, base, exponent)

    def operand(self) -> int:
        token = self.token
        if token.text in ("+", "-"):
            self.take()
            inner = self.sum(SIGN_BINDING)
            self.mark(token.start)
            return inner if token.text == "+" else self.tape.step("negative", inner)
        if token.text == "(":
            self.take()
            inner = self.sum()
            self.expect(")")
            return inner
        if token.kind == "number":
            self.take()
            self.mark(token.start)
            return self.tape.number(float(token.text))
        return self.name()

    def name(self) -> int:
        token = self.token
        if token.kind != "name":
            self.refuse("a number, a name or '('")
        self.take()
        self.mark(token.start)
        if token.text in FUNCTIONS:
            return self.call(token)
        if token.text == "x":
            return self.tape.x()
        if token.text in CONSTANTS:
            return self.tape.number(CONSTANTS[token.text])
        if token.text in self.names:
            self.used.add(token.text)
            known = self.settled.get(token.text)
            return self.tape.parameter(token.text) if known is None else self.tape.number(known)
        raise self.unknown_name(token)

    def call(self, token: Token) -> int:
        function = FUNCTIONS[token.text]
        self.expect("(")
        arguments = [] if self.token.text == ")" else [self.argument(token.text, 0)]
        while self.token.text == ",":
            self.take()
            arguments.append(self.argument(token.text, len(arguments)))
        self.expect(")")
        if len(arguments) != function.arity:
            expected = f"{function.arity} argument{'s' if function.arity > 1 else ''}"
            raise _at(token.start, f"{token.text} takes {expected}, not {len(arguments)},")
        self.mark(token.start)
        return function.build(self.tape, *arguments)

    def argument(self, function: str, number: int) -> int:
        start = self.token.start
        left = self.sum()
        if function != "where" or number > 0:
            return left
        if self.token.text not in COMPARISONS:
            raise _at(start, "where(condition, a, b) needs a comparison as its condition, such as x > 0,")
        sign = self.take().text
        right = self.sum()
        self.mark(start)
        return self.tape.step(sign, left, right)

    def mark(self, start: int) -> None:
        """What is added to the tape from now on comes from `start` to the last token taken."""
        self.tape.text = self.text[start : self.tokens[self.place - 1].end]

    def unknown_name(self, token: Token) -> UsageError:
        name = token.text if len(token.text) <= 40 else token.text[:37] + "..."
        message = unknown("name", name, (*sorted(RESERVED), *self.names)).replace(
            ";", f" at character {token.start + 1};", 1
        )
        if "did you mean" in message:
            return UsageError(message)
        return UsageError(f"{message}; a parameter needs a value beside the expression, such as {name} = 1.0")
