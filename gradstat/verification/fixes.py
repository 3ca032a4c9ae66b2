"""Replaces wrong digits by correct ones, in code and in claims files. Nothing else in a file changes."""

import difflib
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from gradstat.errors import UsageError, printable
from gradstat.input_files import is_stdin
from gradstat.layer_types.statistics import check_digits
from gradstat.text.files import write_whole
from gradstat.verification.annotations import decoded
from gradstat.verification.claims import Claim
from gradstat.verification.files import content_of
from gradstat.verification.number_literals import rewritten
from gradstat.verification.verdicts import UNDECIDED, Outcome, should_print

_HEADER = re.compile(rb"^[ \t]*\[\[\s*claim\s*\]\]", re.MULTILINE)
_VALUE = re.compile(rb"""^[ \t]*value[ \t]*=[ \t]*(["'])([^"'\r\n]*)\1""", re.MULTILINE)


@dataclass(frozen=True)
class Fix:
    """A replacement: `old` at offset `start` of a file becomes `new`."""

    claim: Claim
    start: int
    old: bytes
    new: bytes


@dataclass(frozen=True)
class Fixes:
    """The fixes of some files, the content of each file when it was read, and the claims without a fix."""

    fixes: Sequence[Fix]
    contents: Mapping[Path, bytes]
    unfixed: Sequence[tuple[Claim, str]]

    @property
    def fixed_ids(self) -> set[str]:
        """The ids of the claims whose numbers are corrected."""
        return {fix.claim.id for fix in self.fixes}

    def content(self, path: Path) -> bytes:
        """The content of a file after its fixes."""
        content = self.contents[path]
        for fix in sorted(self.of(path), key=lambda fix: -fix.start):
            if content[fix.start : fix.start + len(fix.old)] != fix.old:
                raise UsageError(f"{fix.claim.place}: {fix.claim.id}: the number is no longer at its position")
            content = content[: fix.start] + fix.new + content[fix.start + len(fix.old) :]
        return content

    def of(self, path: Path) -> list[Fix]:
        """The fixes of one file."""
        return [fix for fix in self.fixes if fix.claim.path == path]

    def diff(self) -> str:
        """The changes as a unified diff."""
        parts = []
        for path in self.contents:
            old, new = (decoded(content).splitlines() for content in (self.contents[path], self.content(path)))
            lines = difflib.unified_diff(old, new, f"a/{path}", f"b/{path}", lineterm="", n=2)
            parts += [printable(line) + "\n" for line in lines]
        return "".join(parts)

    def write(self) -> None:
        """Write every file atomically. If one has changed since it was read, none is written."""
        for path, content in self.contents.items():
            if content_of(path) != content:
                raise UsageError(f"{path}: has changed since it was read; nothing was written", "run the command again")
        for path in self.contents:
            write_whole(path, self.content(path))


def fixes_of(outcomes: Sequence[Outcome], digits: int | None = None) -> Fixes:
    """The fixes of claims with unexpected verdicts, with as many digits as printed, or `digits` significant ones."""
    check_digits(digits)
    fixes, contents, unfixed = [], dict[Path, bytes](), list[tuple[Claim, str]]()
    for outcome in outcomes:
        if outcome.as_expected:
            continue
        try:
            fix, content = _fix(outcome, digits, contents)
        except UsageError as error:
            unfixed.append((outcome.claim, str(error)))
            continue
        contents[outcome.claim.path] = content
        fixes.append(fix)
    return Fixes(fixes, contents, unfixed)


def _fix(outcome: Outcome, digits: int | None, contents: Mapping[Path, bytes]) -> tuple[Fix, bytes]:
    """The fix of one claim and the content of its file; UsageError with the reason if there is none."""
    claim = outcome.claim
    if outcome.verdict == UNDECIDED:
        raise UsageError("the claim is undecided")
    if claim.position is not None and not claim.position.fixable:
        raise UsageError(f"{claim.position.literal} is not a decimal number; only decimal numbers are rewritten")
    number = right_digits(outcome, digits)
    if claim.position is not None:
        old, start, content = claim.position.literal, claim.position.start, claim.position.content
    else:
        content = contents.get(claim.path) or (b"" if is_stdin(claim.path) else content_of(claim.path))
        start, old = _value_in_toml(content, claim)
    return Fix(claim, start, old.encode("latin-1"), rewritten(old, number).encode("latin-1")), content


def right_digits(outcome: Outcome, digits: int | None) -> str:
    """The value with the printed decimals, or with `digits` significant digits; UsageError if they are not certain."""
    printed, measured = outcome.claim.printed, outcome.measured
    if measured is None or printed.decimals is None:
        raise UsageError("the value is not a decimal number")
    decimals = printed.decimals
    if digits is not None and measured.value and math.isfinite(measured.value):
        decimals = digits - 1 - math.floor(math.log10(abs(measured.value)))
    number = should_print(replace(printed, decimals=decimals), measured)
    certain = None if number is None else -int(number.partition("e")[2] or -len(number.partition(".")[2]))
    if number is None or certain != decimals:
        raise UsageError(f"only {number} is certain, and {decimals} digits after the point are asked for")
    return number


def _value_in_toml(content: bytes, claim: Claim) -> tuple[int, str]:
    """The offset of the value of a claim in its file, and its text."""
    headers = [match.start() for match in _HEADER.finditer(content)]
    for start, end in zip(headers, [*headers[1:], len(content)], strict=True):
        line = content.count(b"\n", 0, start) + 1
        match = _VALUE.search(content, start, end)
        if line == claim.line and match is not None and match[2].decode("latin-1") == claim.config.value:
            return match.start(2), claim.config.value
    raise UsageError('its value is not on a line of the form: value = "…"')
