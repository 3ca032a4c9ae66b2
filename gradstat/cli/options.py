"""Options that several commands share, and how their values are read."""

import os
import re
import secrets
import shutil
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, TypeVar

import click
from click.shell_completion import CompletionItem

from gradstat.errors import UsageError
from gradstat.layers.record import unknown
from gradstat.records.formats import FORMATS, Screen, suffixes

Command = TypeVar("Command", bound=Callable[..., Any])
MOST_JOBS = 1024
PATH = click.Path(path_type=Path)


class Count(click.ParamType[int]):
    """A number of draws: 1000, 1e8, 100M or 2**27."""

    name = "count"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        from gradstat.config import COUNTS, FEWEST, MOST, count

        number = count(value)
        if not isinstance(number, int) or not FEWEST <= number <= MOST:
            raise UsageError(f"--samples {value} is impossible; allowed: {COUNTS}")
        return number


class Jobs(click.ParamType[int]):
    """A number of threads."""

    name = "jobs"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        if not re.fullmatch("[0-9]{1,4}", str(value)) or not 1 <= int(value) <= MOST_JOBS:
            raise UsageError(f"--jobs {value} is impossible; allowed: a whole number from 1 to {MOST_JOBS}")
        return int(value)


class Seed(click.ParamType[int]):
    """A whole number below 2⁶⁴, or `random`."""

    name = "seed"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        if value == "random":
            return secrets.randbits(63)
        if not re.fullmatch("[0-9]{1,20}", str(value)) or int(value) >= 2**64:
            raise UsageError(f"--seed {value} is impossible; allowed: a whole number from 0 to 2**64 - 1, or random")
        return int(value)


class Name(click.ParamType[str]):
    """A name out of a table; the shell completes it."""

    name = "name"

    def __init__(self, what: str, names: Callable[[], Iterable[str]]) -> None:
        self.what, self.names = what, names

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        names = tuple(self.names())
        if value not in names:
            raise UsageError(unknown(self.what, value, names))
        return str(value)

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        return [CompletionItem(name) for name in self.names() if name.startswith(incomplete)]


def debug_option(command: Command) -> Command:
    """--debug, which `app.start` looks for."""
    words = "Show a traceback where an error ends the command."
    return click.option("--debug", is_flag=True, expose_value=False, help=words)(command)


def output_options(command: Command) -> Command:
    """-o, --format, -q and --debug."""
    output = click.option(
        "-o",
        "--output",
        type=PATH,
        multiple=True,
        metavar="FILE",
        help=f"Write the result to FILE ({', '.join(suffixes())}), too; repeatable. `-` is stdout, even with -q.",
    )
    format_name = click.option(
        "--format",
        "format_name",
        type=Name("format", lambda: FORMATS),
        default="table",
        show_default=True,
        metavar="NAME",
        help=f"Format on stdout: {', '.join(FORMATS)}.",
    )
    quiet = click.option("-q", "--quiet", is_flag=True, help="No result on stdout, no progress.")
    return output(format_name(quiet(debug_option(command))))


def screen() -> Screen:
    """Where stdout goes: the terminal's width, and colors unless NO_COLOR is set; a pipe has neither."""
    if sys.stdout is None or not sys.stdout.isatty():
        return Screen()
    plain = os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb"
    return Screen(shutil.get_terminal_size().columns, not plain)
