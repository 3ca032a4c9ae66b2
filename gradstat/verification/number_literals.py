"""Number literals of programming languages: finding the last one of a line, reading it and rewriting it."""

import re
from dataclasses import dataclass
from decimal import Decimal

from gradstat.errors import UsageError
from gradstat.verification.rounding_interval import WIDE, evaluate

FARTHEST = 400  # the number is searched in this number of characters before a comment

_DIGITS = r"[0-9](?:[0-9_']*[0-9])?"
LITERAL = re.compile(
    r"(?<![A-Za-z0-9_.])(?:"
    r"0[xX][0-9a-fA-F_]+(?:\.[0-9a-fA-F_]*)?[pP][+-]?[0-9]+"
    rf"|(?P<mantissa>{_DIGITS}(?:\.(?:{_DIGITS})?)?|\.{_DIGITS})(?P<exponent>(?:[eEdD]|f(?!16|32|64|128))[+-]?[0-9]{{1,4}})?"
    r")(?:_?[fFlLdDmM](?:16|32|64|128)?|_[a-z]\w{0,9})?(?!\.?[A-Za-z0-9_])"
)
_OPENING = re.compile(r"=>|->|[=:({\[,]|\breturn\b")
_NAMESPACES = re.compile(r"\b(?:(?:math|np|numpy|jnp|torch|cmath|Math|Base|std|f64|consts)(?:\.|::))+")
_SUFFIX = re.compile(r"(?<=[0-9.])(?:_?f(?:32|64)?|_?F|L|l)\b")
_ROOT = re.compile(r"\bsqrt\w?\(")
_WHOLE = r"(?:[-+*/() ]|[0-9]+(?:\.0*)?(?![.0-9]))*"
_WHOLE_RATIO = re.compile(f"{_WHOLE}/{_WHOLE}")


@dataclass(frozen=True)
class Literal:
    """A number in a line: its characters, and the text of the claimed value."""

    start: int
    end: int
    text: str
    value: str
    fixable: bool

    @classmethod
    def at(cls, line: str, match: re.Match[str], sign: int) -> "Literal":
        text = line[match.start() - sign : match.end()]
        hexadecimal = match["mantissa"] is None
        return cls(match.start() - sign, match.end(), text, decimal(text, match, hexadecimal), not hexadecimal)


def decimal(text: str, match: re.Match[str], hexadecimal: bool) -> str:
    """The number in the notation of claims: without separators and suffix, with e before an exponent."""
    sign = "-" if text.startswith("-") else ""
    if hexadecimal:
        return sign + re.sub(r"_|(?<=[0-9])[fFlL]$", "", match[0])
    mantissa = re.sub("[_']", "", match["mantissa"])
    exponent = match["exponent"]
    return sign + mantissa + (f"e{int(exponent[1:])}" if exponent else "")


def last_number(line: str) -> Literal | None:
    """The number that ends a line of code: an expression such as math.sqrt(2) or 5 / 3, else the last literal."""
    offset = max(0, len(line) - FARTHEST)
    code = line[offset:]
    literal = _expression(code)
    if literal is None:
        matches = list(LITERAL.finditer(code))
        if not matches:
            return None
        literal = Literal.at(code, matches[-1], _sign(code, matches[-1].start()))
    return Literal(literal.start + offset, literal.end + offset, literal.text, literal.value, literal.fixable)


def _sign(code: str, start: int) -> int:
    """1 if a minus before the literal is its sign and not a subtraction, otherwise 0."""
    before = code[: start - 1].rstrip() if start and code[start - 1] == "-" else None
    return int(before is not None and not re.search(r"[\w.)\]]$", before))


def _expression(code: str) -> Literal | None:
    """Arithmetic with a root, or a ratio of whole numbers, from one of the last opening brackets to the end."""
    end = len(code.rstrip(" \t;,"))
    while end and code[end - 1] in ")]}\"'" and not _balanced(code[:end]):
        end = len(code[: end - 1].rstrip(" \t;,"))
    for start in [0, *(match.end() for match in _OPENING.finditer(code[:end]))]:
        text = code[start:end].strip()
        value = normalized(text)
        if not (_ROOT.search(value) or _WHOLE_RATIO.fullmatch(value)):
            continue
        try:
            evaluate(value)
        except UsageError:
            continue
        begin = start + len(code[start:end]) - len(code[start:end].lstrip())
        return Literal(begin, begin + len(text), text, value, fixable=False)
    return None


def _balanced(code: str) -> bool:
    """True if the last bracket closes a bracket that is opened in this text."""
    pairs = {")": "(", "]": "[", "}": "{"}
    closing = code[-1]
    return closing in pairs and code.count(pairs[closing]) >= code.count(closing)


def normalized(text: str) -> str:
    """An expression without module names and suffixes: `std::sqrt(2.0f)` → `sqrt(2.0)`."""
    text = _SUFFIX.sub("", _NAMESPACES.sub("", text))
    text = re.sub(r"\bsqrt[fl]\(", "sqrt(", text)
    return re.sub(r"\b(?:M_PI|PI)\b|π", "pi", text)


def rewritten(literal: str, number: str) -> str:
    """The literal with the digits of `number`, in its notation: sign, point, separators, exponent and suffix stay.

    `number` has the digits after the point that the claim needs; the exponent is included.
    """
    match = LITERAL.search(literal)
    if match is None or match["mantissa"] is None:
        raise ValueError(f"{literal!r} is not a decimal literal")
    exponent = int(match["exponent"][1:]) if match["exponent"] else 0
    wanted = Decimal(number).scaleb(-exponent, WIDE)
    digits = format(wanted.copy_abs(), "f")
    mantissa = match["mantissa"]
    if mantissa.startswith(".") and digits.startswith("0."):
        digits = digits[1:]
    if mantissa.endswith(".") and "." not in digits:
        digits += "."
    sign = "-" if wanted < 0 else ""
    return sign + _separated(digits, mantissa) + literal[match.end("mantissa") :]


def _separated(digits: str, template: str) -> str:
    """The digits with the separators of the template, if both have equally many digits before and after the point."""
    plain = re.sub("[_']", "", template)
    if len(plain) != len(digits) or plain.find(".") != digits.find("."):
        return digits
    source = iter(digits)
    return "".join(sign if sign in "_'" else next(source) for sign in template)
