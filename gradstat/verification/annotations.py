"""Annotations: comments in text files that claim the number before them, or the numbers of a table by their keys.

    GELU_GAIN = 1.5335304411955353    # gradstat: gelu forward gain_rms
    // gradstat: KEY forward gain_std
    {{"gelu", 1.7015f}, {"relu", 1.7128f}}

Files are read as bytes and never executed. Offsets are in bytes, so that `fixes` can replace digits.
"""

import bisect
import re
import tomllib
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gradstat.errors import MalformedClaim, Mistakes, UsageError, printable, quoted, within
from gradstat.limits import CLAIMS
from gradstat.verification.claims import Claim, Position, claim_of
from gradstat.verification.number_literals import LITERAL, Literal, last_number

KEY, SKIP = "KEY", "skip"
LONGEST = 1000  # characters of an annotation
LONGEST_TABLE = 2_000  # lines of the table below a KEY annotation
MARK = re.compile(rb"(?:#|//|%|<!--|--|;|/\*|\(\*|!)[ \t]*gradstat:[ \t]*")
_TABLE = re.compile(rb"KEY\b")
_NEWLINE = re.compile(rb"\r\n|\n|\r")
_CLOSING = re.compile(r"[ \t]*(?:-->|\*/|\*\)|#\}|%\})[ \t]*$")
_SUBJECT = re.compile(r"(`(?P<formula>[^`]+)`|(?P<layer>[A-Za-z_][\w.]*))[ \t]*")
_PLAIN = re.compile(r"(?P<direction>forward|backward)[ \t]+(?P<statistic>[a-z_]+)(?:[ \t]*\*[ \t]*(?P<scale>.+))?")
_DRAWS = re.compile(r"monte-carlo[ \t]+(?P<count>[0-9][0-9_]*(?:\.[0-9]+)?(?:e[0-9]{1,2})?)[ \t]+(?:draws|samples)")
_ENTRY = re.compile(
    r"""(?:(["'])(?P<quoted>[A-Za-z_]\w*)\1|(?<![\w"'])[.:]?(?P<bare>[A-Za-z_]\w*))[ \t]*(?:[)\]][ \t]*)?"""
    r"""(?:=>|->|:=|[:=,])[ \t]*(?:[\[({][ \t]*)?(?=[-+.0-9])"""
)
_COMMENT = re.compile(r"[ \t](?:#|//|--|%|;)[ \t].*$|^[ \t]*(?:#|//|--|%|;).*$")


@dataclass(frozen=True)
class Lines:
    """The content of a file, and the offsets of its lines."""

    content: bytes
    starts: list[int]

    @classmethod
    def of(cls, content: bytes) -> "Lines":
        return cls(content, [0, *(match.end() for match in _NEWLINE.finditer(content))])

    def number(self, offset: int) -> int:
        """The line of an offset, from 1."""
        return bisect.bisect_right(self.starts, offset)

    def bounds(self, number: int) -> tuple[int, int]:
        """The offsets of the first byte of a line and of its line break."""
        start = self.starts[number - 1]
        end = self.starts[number] if number < len(self.starts) else len(self.content)
        while end > start and self.content[end - 1] in b"\r\n":
            end -= 1
        return start, end

    def column(self, offset: int) -> int:
        """The column of an offset, from 1, in characters."""
        start = self.starts[self.number(offset) - 1]
        return len(decoded(self.content[start:offset].removeprefix(b"\xef\xbb\xbf"))) + 1


def decoded(content: bytes) -> str:
    """Text decoded from UTF-8, or from Latin-1 if it is not UTF-8."""
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError:
        return content.decode("latin-1")


def claims_in(path: Path, content: bytes) -> Iterator[Claim]:
    """The claims in a text file's annotations; MalformedClaim with the line for a mistake."""
    if b"gradstat:" not in content:
        return
    lines = Lines.of(content)
    annotated: dict[int, re.Match[bytes]] = {}
    for mark in MARK.finditer(content):
        annotated.setdefault(lines.number(mark.start()), mark)
        with within(path):
            CLAIMS.check(len(annotated))
    mistakes = Mistakes()
    for number, mark in annotated.items():
        try:
            yield from _claims(path, lines, number, mark, annotated)
        except MalformedClaim as error:
            mistakes.add(error)
        except UsageError as error:
            mistakes.add(MalformedClaim(path, number, f"annotation: {error}"))
    mistakes.check()


def _claims(
    path: Path, lines: Lines, number: int, mark: re.Match[bytes], annotated: Mapping[int, Any]
) -> Iterator[Claim]:
    start, end = lines.bounds(number)
    if end - mark.end() > LONGEST:
        raise UsageError(f"{end - mark.end()} characters; at most {LONGEST} are allowed")
    text = _CLOSING.sub("", decoded(lines.content[mark.end() : end])).strip()
    if text == SKIP:
        return
    table = table_of(text)
    if table.pop("table", False):
        if lines.content[start : mark.start()].strip(b" \t"):
            raise UsageError(f"{KEY} claims the numbers of the lines below; put it on a separate line")
        entries = list(_entries(lines, number, annotated))
        if not entries:
            raise UsageError("there are no numbers with keys below it")
        for key, line, entry in entries:
            yield _claim(path, lines, line, entry, {**table, "layer": key}, key)
        return
    code = lines.content[max(start, mark.start() - LONGEST) : mark.start()].decode("latin-1")
    literal = last_number(code)
    if literal is None:
        raise UsageError("there is no number before it on its line")
    offset = mark.start() - len(code)
    yield _claim(path, lines, number, _moved(literal, offset), table, "")


def _claim(path: Path, lines: Lines, number: int, literal: Literal, table: dict[str, Any], key: str) -> Claim:
    """The claim of one number."""
    place = Position(lines.column(literal.start), literal.start, literal.text, lines.content, literal.fixable)
    name = re.sub(r"[^A-Za-z0-9._-]+", "_", str(path))[-70:].strip("._-") or "file"
    table = {"id": f"{name}-{number}-{place.column}", "source": printable(str(path)), "value": literal.value} | table
    try:
        return claim_of(table, path, number, place)
    except MalformedClaim as error:
        where = f"{key}: " if key else ""
        raise MalformedClaim(path, number, f"annotation: {where}{error.message.partition(': ')[2]}") from None


def _moved(literal: Literal, offset: int) -> Literal:
    return Literal(literal.start + offset, literal.end + offset, literal.text, literal.value, literal.fixable)


def _entries(lines: Lines, number: int, annotated: Mapping[int, Any]) -> Iterator[tuple[str, int, Literal]]:
    """(key, line, number) of the table below a line: up to its closing bracket, or to the end of the indentation."""
    depth, opened, indent = 0, False, -1
    for line in range(number + 1, min(number + LONGEST_TABLE, len(lines.starts)) + 1):
        start, end = lines.bounds(line)
        code = _COMMENT.sub("", lines.content[start:end].decode("latin-1"))
        if line in annotated and _TABLE.match(lines.content, annotated[line].end()):
            return  # the table of another annotation begins
        if not code.strip():
            continue
        here = len(code) - len(code.lstrip())
        if not opened and indent >= 0 and here <= indent and not _ENTRY.search(code):
            return
        indent = here if indent < 0 else indent
        if line not in annotated:
            for match in _ENTRY.finditer(code):
                literal = _literal_at(code, match.end())
                if literal is not None:
                    yield match["quoted"] or match["bare"], line, _moved(literal, start)
        depth += sum(code.count(sign) for sign in "([{") - sum(code.count(sign) for sign in ")]}")
        opened = opened or any(sign in code for sign in "([{")
        if opened and depth <= 0:
            return


def _literal_at(code: str, start: int) -> Literal | None:
    sign = int(code[start : start + 1] == "-")
    match = LITERAL.match(code, start + sign)
    return None if match is None else Literal.at(code, match, sign)


# The text of an annotation


def table_of(text: str) -> dict[str, Any]:
    """`gelu forward gain_rms * 2, monte-carlo 1e6 draws, expect imprecise` as the table of a claim."""
    subject = _SUBJECT.match(text)
    if subject is None:
        raise UsageError(f"{quoted(text)}: expected a layer, a formula in backquotes or {KEY}")
    table: dict[str, Any] = {}
    rest = text[subject.end() :]
    if rest.startswith("("):
        inner, rest = _parenthesized(rest)
        table["params"] = _assignments(inner)
    if subject["formula"] is not None:
        table["expression"] = subject["formula"]
    elif subject["layer"] == KEY:
        table["table"] = True
    else:
        table["layer"] = subject["layer"]
    statistic, *options = _parts(rest)
    table |= _statistic(statistic)
    for option in options:
        table |= _option(option)
    return table


def _statistic(text: str) -> dict[str, Any]:
    match = _PLAIN.fullmatch(text)
    if match is None and "." not in text:
        raise UsageError(f"{quoted(text)}: expected a direction and a statistic, as in: gelu forward gain_rms")
    if match is None:
        return {"statistic": text}
    scale = {} if match["scale"] is None else {"scale": match["scale"].strip()}
    return {"direction": match["direction"], "statistic": match["statistic"], **scale}


def _option(text: str) -> dict[str, Any]:
    """Read an option after a comma: assumptions, the method of the source, the expected verdict, or an id."""
    for name in ("input", "upstream"):
        if text.startswith(f"{name}(") and text.endswith(")"):
            return {name: _assignments(text[len(name) + 1 : -1])}
    if match := _DRAWS.fullmatch(text):
        return {"obtained": {"method": "monte-carlo", "samples": int(float(match["count"].replace("_", "")))}}
    if text in ("closed-form", "quadrature"):
        return {"obtained": {"method": text}}
    word, _, value = text.partition(" ")
    if word in ("expect", "id", "cell", "source") and value.strip():
        return {word: value.strip().strip("\"'")}
    raise UsageError(
        f"{quoted(text)}: expected input(…), upstream(…), monte-carlo N draws, closed-form, quadrature, "
        "expect VERDICT, id NAME, cell (I, J) or source NAME"
    )


def _assignments(text: str) -> dict[str, Any]:
    """`std=2, distribution=laplace` as a table; values are TOML, words or arithmetic."""
    table: dict[str, Any] = {}
    for part in _parts(text):
        key, equals, value = (piece.strip() for piece in part.partition("="))
        if not equals or not key or not value:
            raise UsageError(f"{quoted(part)}: expected name=value")
        if key in table:
            raise UsageError(f"{key} is given twice")
        table[key] = _value(value)
    return table


def _value(text: str) -> Any:
    with suppress(ValueError):
        return tomllib.loads(f"value = {text}")["value"]
    return text


def _parenthesized(text: str) -> tuple[str, str]:
    """The content of the parentheses at the beginning of a text, and the rest of the text."""
    depth = 0
    for position, sign in enumerate(text):
        depth += (sign == "(") - (sign == ")")
        if depth == 0:
            return text[1:position], text[position + 1 :].strip()
    raise UsageError("'(' is never closed")


def _parts(text: str) -> list[str]:
    """The text split at its commas, except inside brackets, quotes and backquotes."""
    parts, depth, quote = [""], 0, ""
    for sign in text:
        quote = "" if sign == quote else (sign if not quote and sign in "`\"'" else quote)
        if not quote:
            depth += (sign in "([{") - (sign in ")]}")
        if sign == "," and depth == 0 and not quote:
            parts.append("")
        else:
            parts[-1] += sign
    return [part.strip() for part in parts]
