"""Destinations of a report: files, in the format of their suffix, and standard output."""

import os
import shutil
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from gradstat.cli.app import emit, say
from gradstat.errors import UsageError
from gradstat.text.formats import FORMATS, check, render, save
from gradstat.text.tables import Report, Terminal

STDOUT = Path("-")
Show = Literal["always", "without files", "never"]  # when a report is printed without `-o -`


@dataclass(frozen=True)
class Output:
    """The values of -o, --format and -q."""

    paths: Sequence[Path]
    format_name: str
    quiet: bool
    formats: Sequence[str]
    show: Show = "always"

    @property
    def files(self) -> list[Path]:
        """The files to write; `-` is not a file."""
        return [path for path in self.paths if path != STDOUT]

    @property
    def to_stdout(self) -> bool:
        """True if the report is printed to standard output; `-o -` does so even with -q."""
        is_shown = self.show == "always" or (self.show == "without files" and not self.files)
        return STDOUT in self.paths or (is_shown and not self.quiet)

    def check(self) -> None:
        """Raise UsageError for a destination that cannot be written, before any work."""
        check(self.files, self.formats)
        entry = FORMATS[self.format_name]
        if self.to_stdout and not entry.text and sys.stdout is not None and sys.stdout.isatty():
            raise UsageError(f"{entry.name} is not text; write it to a file: -o FILE{entry.suffix}")

    def deliver(self, report: Report, verbose: bool = False) -> None:
        """Write the files, then standard output. Raise UsageError for failed files after all others are written."""
        failures = []
        for path in self.files:
            try:
                save(report, path, self.formats)
            except UsageError as error:
                failures.append(error)
            else:
                if verbose:
                    say(f"wrote {path}: {path.stat().st_size:,} bytes")
        if self.to_stdout:
            emit(render(report, self.format_name, terminal()))
        for failure in failures[:-1]:
            say(str(failure))
        if failures:
            raise failures[-1]


def terminal() -> Terminal:
    """The width of the terminal, and whether it has colors (not if NO_COLOR is set). A pipe has neither."""
    if sys.stdout is None or not sys.stdout.isatty():
        return Terminal()
    plain = os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb"
    return Terminal(shutil.get_terminal_size().columns, not plain)
