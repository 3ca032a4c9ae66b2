"""Exceptions. Each class has an exit code, and each message is one line, with the closest known name."""

import re
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from enum import IntEnum
from pathlib import Path
from typing import Any

LONGEST_NAME = 60  # characters of a user's text that a message repeats


class Exit(IntEnum):
    """Exit codes of the command line. No other module contains these numbers."""

    DONE = 0
    CHECK_FAILED = 1
    USAGE = 2
    PRECISION_NOT_REACHED = 3
    UNREADABLE = 4
    INTERNAL = 70
    INTERRUPTED = 130


class GradstatError(Exception):
    """Base class of the exceptions that gradstat raises; `hint` suggests the next step.

    `place` is the location, from the file inwards: ("depth.toml", "network 'a'", "stage 1"). `also` contains further
    mistakes in the same file.
    """

    code = Exit.INTERNAL
    also: "tuple[GradstatError, ...]" = ()

    def __init__(self, message: str, hint: str = "", place: tuple[str, ...] = ()) -> None:
        super().__init__(message)
        self.hint, self.place = hint, place

    def __str__(self) -> str:
        message = ": ".join((*self.place, super().__str__()))
        return f"{message}; {self.hint}" if self.hint else message


class CheckFailed(GradstatError):
    """A requested comparison failed."""

    code = Exit.CHECK_FAILED


class UsageError(GradstatError):
    """A mistake in the request: configuration, parameters, or paths of output files."""

    code = Exit.USAGE


class MalformedClaim(UsageError):
    """A mistake in a claims file; the text begins with `file:line: `."""

    def __init__(self, path: Path, line: int, message: str) -> None:
        super().__init__(message, place=(f"{path}:{line}",))
        self.path, self.line, self.message = path, line, message


class Interrupted(GradstatError):
    """Ctrl-C stopped the call; the message names the next step."""

    code = Exit.INTERRUPTED
    answer: Any = None  # the finished part of the answer, if there is one


class NotDecided(GradstatError):
    """The time or the precision that was asked for was not enough."""

    code = Exit.PRECISION_NOT_REACHED


class UnreadableFile(GradstatError):
    """A file that is missing, truncated, in another format or of another version."""

    code = Exit.UNREADABLE


@contextmanager
def within(*place: object) -> Iterator[None]:
    """Prepend a place to every error raised in the block: `unknown layer …` becomes `stage 1: unknown layer …`."""
    try:
        yield
    except GradstatError as error:
        for mistake in (error, *error.also):
            mistake.place = (*map(str, place), *mistake.place)
        raise


class Mistakes:
    """Collects the mistakes of a file, so that the user sees all of them and not only the first."""

    def __init__(self) -> None:
        self._errors: list[UsageError] = []

    def add(self, error: UsageError) -> None:
        """Note a mistake, with the further mistakes that it carries."""
        self._errors.append(error)

    @contextmanager
    def collected(self) -> Iterator[None]:
        """Note a UsageError that is raised inside, and continue after the block."""
        try:
            yield
        except UsageError as error:
            self.add(error)

    def check(self) -> None:
        """Raise the first mistake, which carries the others; return if there is none."""
        if self._errors:
            first, *others = self._errors
            first.also = (*first.also, *(mistake for error in others for mistake in (error, *error.also)))
            raise first


def closest(name: str, known: Iterable[str]) -> str | None:
    """The closest known name, ignoring case; None if no name is close."""
    import difflib

    if len(name) > LONGEST_NAME:  # difflib takes quadratic time
        return None
    folded = {other.casefold(): other for other in known}
    close = difflib.get_close_matches(name.casefold(), folded, n=1)
    return folded[close[0]] if close else None


def printable(text: str) -> str:
    """The text as one line that no terminal and no job of GitHub takes for a command.

    A control character becomes a blank.
    """
    return without_commands("".join(c if c.isprintable() else " " for c in text))


def without_commands(lines: str) -> str:
    """The lines with a blank inside `##[`, and inside `::` at the start of a line: a job reads these as commands.

    It reads `##[` anywhere, and `::` after blanks, too.
    """
    return re.sub(r"(?m)^(\s*):(?=:)", r"\1: ", lines.replace("##[", "## ["))


def quoted(name: str) -> str:
    """A name in Python's quotes, cut to a readable length."""
    return repr(name if len(name) <= LONGEST_NAME else f"{name[: LONGEST_NAME - 3]}...")


def unknown(what: str, name: str, known: Collection[str]) -> str:
    """`unknown layer 'sigmiod'; did you mean 'sigmoid'?`, or the list of names if none is close."""
    return f"unknown {what} {quoted(name)}; {advice(name, known)}"


def advice(name: str, known: Collection[str], otherwise: str = "") -> str:
    """`did you mean 'sigmoid'?`; if no name is close, `otherwise` or all names."""
    close = closest(name, known)
    return f"did you mean {close!r}?" if close else otherwise or f"known: {', '.join(known) or 'none'}"
