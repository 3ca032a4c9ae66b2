"""Workflow commands of GitHub Actions. A job prints them, and GitHub shows them next to a line of a file."""

from contextlib import suppress
from pathlib import Path

from gradstat.errors import printable


def annotation(path: Path, line: int, title: str, message: str, column: int | None = None) -> str:
    """The workflow command for an error at a line of a file, and at a column of it."""
    place = f"file={_property(_relative(path))},line={line}" + (f",col={column}" if column else "")
    return f"::error {place},title={_property(title)}::{_data(message)}"


def _relative(path: Path) -> str:
    """The path relative to the root of the repository, in which jobs start."""
    with suppress(ValueError, OSError):
        return path.resolve().relative_to(Path.cwd()).as_posix()
    return str(path)


def _data(text: str) -> str:
    return printable(text).replace("%", "%25")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
