"""Options that several commands share, and the types of their values."""

import functools
import re
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, cast

import click
from click.shell_completion import CompletionItem

from gradstat.cli.output import Output, Show
from gradstat.errors import UsageError, unknown
from gradstat.text.formats import FORMATS, TABLES

if TYPE_CHECKING:
    from click import ParamType as ParamType

else:

    class ParamType(click.ParamType):
        """click.ParamType that accepts a type in brackets, which click does from version 8.4."""

        def __class_getitem__(cls, converted: Any) -> type:
            return cls


Command = TypeVar("Command", bound=Callable[..., Any])
MOST_JOBS = 1024
PATH = click.Path(path_type=Path)


class Count(ParamType[int]):
    """A number of draws, e.g. 1000, 1e8, 100M or 2**27."""

    name = "count"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        from gradstat.toml_file import COUNTS, FEWEST, MOST, count

        number = count(value)
        if not isinstance(number, int) or not FEWEST <= number <= MOST:
            name = max(param.opts, key=len) if param else "--samples"
            raise UsageError(f"{name} {value} is not allowed; expected {COUNTS}")
        return number


class Positive(ParamType[float]):
    """A positive number, e.g. 1e-4."""

    name = "number"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        try:
            number = float(value)
        except ValueError:
            number = 0.0
        if not 0.0 < number < float("inf"):
            name = max(param.opts, key=len) if param else "number"
            raise UsageError(f"{name} {value} is not allowed; expected a number above 0, e.g. 1e-4")
        return number


class Shard(ParamType[tuple[int, int]]):
    """One of K shards, e.g. 3/7."""

    name = "shard"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[int, int]:
        match = re.fullmatch("([0-9]{1,5})/([0-9]{1,5})", str(value))
        index, of = map(int, match.groups()) if match else (0, 0)
        if not 1 <= index <= of:
            raise UsageError(f"--shard {value} is not allowed; expected I/K, e.g. 3/7, with I from 1 to K")
        return index, of


class Jobs(ParamType[int]):
    """A number of threads."""

    name = "jobs"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        if not re.fullmatch("[0-9]{1,4}", str(value)) or not 1 <= int(value) <= MOST_JOBS:
            raise UsageError(f"--jobs {value} is not allowed; expected a whole number from 1 to {MOST_JOBS}")
        return int(value)


class Seed(ParamType[int]):
    """A whole number below 2⁶⁴, or `random`."""

    name = "seed"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        if value == "random":
            import secrets

            return secrets.randbits(63)
        if not re.fullmatch("[0-9]{1,20}", str(value)) or int(value) >= 2**64:
            raise UsageError(f"--seed {value} is not allowed; expected a whole number from 0 to 2**64 - 1, or random")
        return int(value)


class Name(ParamType[str]):
    """A name from a table; the shell completes it."""

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


class ListedCommand(click.Command):
    """A command whose help ends with a table of names. The table is read when the help is printed."""

    def __init__(
        self, *arguments: Any, title: str, names: Callable[[], Iterable[tuple[str, str]]], **more: Any
    ) -> None:
        super().__init__(*arguments, **more)
        self.title, self.names = title, names

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section(self.title):
            formatter.write_dl(list(self.names()))


def seed_option(default: int | None = None) -> Callable[[Command], Command]:
    """--seed; without a default, the configuration gives the seed."""
    text = "Random seed: 0 to 2**64 - 1, or random."
    return click.option("--seed", type=Seed(), default=default, show_default=default is not None, help=text)


def digits_option(command: Command) -> Command:
    """--digits."""
    text = "Significant digits of exact values, 1 to 100 (default: 10 in tables, 17 in formats for programs)."
    return click.option("--digits", type=int, metavar="N", help=text)(command)


def timeout_option(consequence: str) -> Callable[[Command], Command]:
    """--timeout, with what happens at its end."""
    return click.option("--timeout", type=Positive(), metavar="SECONDS", help=f"Limit on time. {consequence}")


def debug_option(command: Command) -> Command:
    """--debug, which `app.start` reads."""
    return click.option("--debug", is_flag=True, expose_value=False, help="Show a traceback on errors.")(command)


def output_options(
    formats: Sequence[str] = TABLES,
    default: str = "table",
    show: Show = "always",
    quiet: str = "Quiet: print no result and no progress.",
) -> Callable[[Command], Command]:
    """-o, --format, -q (with this help, unless `show` is "never") and --debug; the command takes a checked `Output`."""
    suffixes = ", ".join(FORMATS[name].suffix for name in formats)
    also = "Also write" if show == "always" else "Write"
    options = [
        click.option(
            "-o",
            "--output",
            type=PATH,
            multiple=True,
            metavar="FILE",
            help=f"{also} FILE ({suffixes}), or - for stdout{', even with -q' * (show != 'never')}. Repeatable.",
        ),
        click.option(
            "--format",
            "format_name",
            type=Name("format", lambda: formats),
            default=default,
            show_default=True,
            metavar="NAME",
            help=f"Format on stdout: {', '.join(formats)}.",
        ),
        *([click.option("-q", "--quiet", is_flag=True, help=quiet)] if show != "never" else []),
        debug_option,
    ]

    def decorate(command: Command) -> Command:
        @functools.wraps(command)
        def checked(*arguments: Any, output: Any, format_name: str, quiet: bool = False, **more: Any) -> Any:
            destination = Output(output, format_name, quiet, formats, show)
            destination.check()
            return command(*arguments, output=destination, **more)

        for option in reversed(options):
            checked = option(checked)
        return cast(Command, checked)

    return decorate


def assumption_options(command: Command) -> Command:
    """--input and --upstream, for `assumed`."""
    x = click.option(
        "--input",
        "x",
        metavar="KEY=VALUE,...",
        help="Assumptions about the input x, e.g. distribution=laplace,std=1.3.",
    )
    dy = click.option(
        "--upstream",
        "dy",
        metavar="KEY=VALUE,...",
        help="Assumptions about the gradient dy, e.g. distribution=laplace,correlation=1.",
    )
    return x(dy(command))


def assumed(text: str | None, option: str) -> dict[str, Any] | None:
    """The table of assumptions given by --input or --upstream; None if the option is missing."""
    return parse_pairs(text.split(","), f"--{option} ") if text else None


def parse_pairs(pairs: Sequence[str], option: str = "") -> dict[str, Any]:
    """`["beta=2", …]` → {"beta": 2, …}; a value that is not TOML is text."""
    from gradstat.toml_file import parse_override

    table = {}
    for pair in pairs:
        key, equals, _ = pair.partition("=")
        if not equals or not key.strip().isidentifier():
            example = "std=2" if option else "beta=2"
            raise UsageError(f"{option}{pair}: expected key=value, for example {option}{example}")
        table[key.strip()] = parse_override(pair).value
    return table
