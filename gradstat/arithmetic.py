"""Parser for arithmetic: it checks the order of the tokens and returns Python's syntax tree. Nothing is executed.

    sum        numbers, names; + - * / ** and parentheses, as in Python; name(sum, ..., name=sum); (name := sum)
    condition  sum < sum, <= > >= == !=, chains of them; and, or, not

A regular expression over ASCII splits the text; its length and nesting are limited. Python parses one token per line,
with names and numbers replaced by `a` and `1`. So no keyword has a meaning, and the lines of a node give its tokens.
"""

import ast
import re
from dataclasses import dataclass
from typing import NoReturn

from gradstat.errors import UsageError

DEEPEST = 50
COMPARISONS = ("<", "<=", ">", ">=", "==", "!=")
BINARY = ("+", "-", "*", "/", "**", *COMPARISONS, "and", "or")

_TOKEN = re.compile(
    r"(?P<number>([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?)"
    r"|(?P<word>(?:and|or|not)(?![A-Za-z0-9_]))"
    r"|(?P<name>[A-Za-z_][A-Za-z0-9_]*(?:\.[A-Za-z_][A-Za-z0-9_]*)?)"
    r"|(?P<string>\"[a-z_]{1,30}\"|'[a-z_]{1,30}')"
    r"|(?P<sign>\*\*|[<>=!:]=|[-+*/(),<>=])"
)
_BLANK = re.compile(r"[ \t\r\n]*")
_FOR_PYTHON = {"number": "1", "name": "a", "string": "'a'"}
_ADVICE = {"^": " (a power is written **)"}
OPERAND, OPERATOR = "a number, a name or '('", "an operator"


@dataclass(frozen=True)
class Token:
    """A number, name, sign, word or quoted string, and its position in the text."""

    kind: str
    text: str
    start: int
    end: int


@dataclass(frozen=True)
class Arithmetic:
    """A text, its tokens with an empty one at the end, and its syntax tree."""

    text: str
    tokens: tuple[Token, ...]
    tree: ast.expr

    def token(self, node: ast.expr) -> Token:
        """The first token of a node."""
        return self.tokens[node.lineno - 1]

    def source(self, node: ast.expr) -> str:
        """The text of a node."""
        return self.text[self.token(node).start : self.tokens[(node.end_lineno or node.lineno) - 1].end]

    def after(self, node: ast.expr) -> int:
        """The index of the first token after a node and its parentheses."""
        index = node.end_lineno or node.lineno
        while self.tokens[index].text == ")":
            index += 1
        return index

    def refuse(self, index: int, wanted: str) -> NoReturn:
        """Raise UsageError: `wanted` was expected instead of this token."""
        refuse(self.tokens[index], wanted)


def parse(text: str, longest: int) -> Arithmetic:
    """Return the syntax tree of a text. UsageError names the mistake and its character."""
    if len(text) > longest:
        raise UsageError(f"{len(text)} characters; at most {longest} are allowed")
    tokens = _tokens(text)
    _check(tokens)
    lines = "\n".join(_FOR_PYTHON.get(token.kind, token.text) for token in tokens)
    try:
        tree = ast.parse(f"({lines})", mode="eval").body
    except (RecursionError, MemoryError):
        raise UsageError(f"nested deeper than {DEEPEST}") from None
    except SyntaxError as error:  # a name given twice, or = and := where they have no meaning
        refuse(tokens[min((error.lineno or 1) - 1, len(tokens) - 1)], "another spelling")
    return Arithmetic(text, tokens, tree)


def at(token: Token, message: str) -> UsageError:
    """A UsageError with the position of the token."""
    return UsageError(f"{message} at character {token.start + 1}")


def refuse(token: Token, wanted: str) -> NoReturn:
    """Raise UsageError: `wanted` was expected instead of this token."""
    if token.kind == "end":
        raise UsageError(f"it ends where {wanted} was expected")
    shown = token.text if len(token.text) <= 60 else f"{token.text[:57]}..."
    raise at(token, f"found {shown!r} where {wanted} was expected")


def _tokens(text: str) -> tuple[Token, ...]:
    """The tokens of a text, followed by an empty token."""
    tokens: list[Token] = []
    position = _after_blanks(text, 0)
    while position < len(text):
        match = _TOKEN.match(text, position)
        if match is None:
            wrong = text[position]
            message = f"unexpected character {wrong!a}{_ADVICE.get(wrong, '')}"
            raise UsageError(f"{message} at character {position + 1}")
        tokens.append(Token(str(match.lastgroup), match.group(), position, match.end()))
        position = _after_blanks(text, match.end())
    return (*tokens, Token("end", "", len(text), len(text)))


def _after_blanks(text: str, position: int) -> int:
    match = _BLANK.match(text, position)
    return match.end() if match else position


def _inside(is_call: bool, previous: Token) -> tuple[str, ...]:
    """Signs that may follow an operand in parentheses: a comma in a call, = or := after a name."""
    if is_call:
        return (",", "=", ":=") if previous.kind == "name" else (",",)
    return (":=",) if previous.kind == "name" else ()


def _check(tokens: tuple[Token, ...]) -> None:
    """Raise UsageError if the order of the tokens is not arithmetic, or parentheses nest too deeply."""
    calls: list[bool] = []  # for each open parenthesis: True if it encloses arguments of a function
    previous, ready = Token("sign", "", 0, 0), False  # ready: the tokens so far end with an operand
    for token in tokens[:-1]:
        if len(calls) >= DEEPEST:
            raise at(token, f"nested deeper than {DEEPEST}")
        if token.kind in _FOR_PYTHON and not ready:
            ready = True
        elif token.text == "(" and (not ready or previous.kind == "name"):
            calls.append(ready)
            ready = False
        elif token.text == ")" and calls and (ready or (calls[-1] and previous.text == "(")):
            calls.pop()
            ready = True
        elif ready and (token.text in BINARY or (calls and token.text in _inside(calls[-1], previous))):
            ready = False
        elif ready or token.text not in ("+", "-", "not"):
            refuse(token, OPERATOR if ready else OPERAND)
        previous = token
    if calls or not ready:
        refuse(tokens[-1], "')'" if ready else OPERAND)
