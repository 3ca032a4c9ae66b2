"""Where a result goes: files by their suffix, text to stdout."""

from collections.abc import Sequence
from pathlib import Path

from gradstat.cli.app import emit, say
from gradstat.cli.options import terminal
from gradstat.errors import UsageError
from gradstat.results.formats import FORMATS, check_suffix, save
from gradstat.results.store import Result
from gradstat.text.files import check_writable

STDOUT = Path("-")


def check(outputs: Sequence[Path]) -> None:
    """UsageError for a file that could not be written, before any work."""
    for path in outputs:
        if path != STDOUT:
            check_suffix(path)
            check_writable(path)


def deliver(result: Result, outputs: Sequence[Path], format_name: str, quiet: bool, verbose: bool = False) -> None:
    """Files first, then the text: a closed pipe loses nothing, nor does a disk that is full by now."""
    failures = []
    for path in outputs:
        if path != STDOUT:
            try:
                save(result, path)
            except UsageError as error:
                failures.append(error)
            else:
                if verbose:
                    say(f"wrote {path}: {result.table.num_rows} rows, {path.stat().st_size:,} bytes")
    if not quiet or STDOUT in outputs:
        emit(FORMATS[format_name].render(result, terminal()))
    for failure in failures[:-1]:
        say(str(failure))
    if failures:
        raise failures[-1]
