"""The command group, and the conversion of every exception into one line of text and an exit code."""

import importlib
import io
import os
import signal
import sys
import traceback
import warnings
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import click
from click.shell_completion import shell_complete

from gradstat import __version__
from gradstat.cli.resources import scarce
from gradstat.errors import Exit, GradstatError, Interrupted, UsageError, printable, unknown

COMPLETION = "_GRADSTAT_COMPLETE"  # the shell sets it; `_GRADSTAT_COMPLETE=bash_source gradstat` prints the script

MOST_MISTAKES = 10  # lines about one file
LONGEST_LINE = 2000  # characters: enough for the names of all layers

WRITERS = (["echo"], ["start"])  # functions that write to stdout without `emit`: click's, and the last flush

# Command → its one-line help; the module `gradstat.cli.<command>_command` is imported when the command is used.
COMMANDS = {
    "run": "Sample the layers of a configuration and print the statistics of signal and gradient.",
    "gain": "Print the mean, std and gains of one layer, exact if known.",
    "solve": "Find parameters for which statistics of one layer take wanted values.",
    "verify": "Check whether published constants are correct to their last printed digit.",
    "show": "Print a result file, or convert it to another format.",
    "tables": "Compute tables of constants, as Markdown, LaTeX, Python or C.",
    "diff": "Compare two result files row by row.",
    "merge": "Merge the shards of a run into the result of the whole run.",
    "plot": "Draw a picture: distributions, a variance map, errors, z-scores or the cells of a stride.",
    "propagate": "Measure signal and gradient in random networks under every scaling scheme.",
    "list": "List layers, statistics, distributions, schemes, estimators, engines, formats, tables, configs or plots.",
    "schema": "Print the JSON Schema of a configuration or of a claims file.",
    "doctor": "Check this installation: versions, kernel cache, and one known number.",
}


class Commands(click.Group):
    """Commands that are imported when they are called, so that --help imports only click."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        return importlib.import_module(f"gradstat.cli.{cmd_name}_command").command  # type: ignore[no-any-return]

    def resolve_command(self, ctx: click.Context, args: list[str]) -> Any:
        if args[0] not in COMMANDS and not ctx.resilient_parsing:
            raise UsageError(unknown("command", args[0], COMMANDS))
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


@click.command(cls=Commands, invoke_without_command=True, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, "-V", "--version", message="gradstat %(version)s")
@click.pass_context
def app(ctx: click.Context) -> int:
    """How neural-network layers scale the signal they pass forward and the gradient they pass backward.

    Exit codes: 0 success, 1 a check failed, 2 wrong usage or configuration, 3 precision not reached,
    4 unreadable file, 70 internal error, 130 interrupted.

    \b
    Examples:
      gradstat gain gelu
      gradstat run series
      gradstat verify
    """
    if ctx.invoked_subcommand is None:
        click.echo(ctx.get_help(), err=True)
    return Exit.USAGE


def start(arguments: Sequence[str]) -> int:
    """Run one command and return its exit code. Every error prints one line to stderr."""
    if not sys.warnoptions:
        warnings.showwarning = _show_warning
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # the terminal's encoding may lack σ and ±
    try:
        if instruction := os.environ.get(COMPLETION):
            return shell_complete(app, {}, "gradstat", COMPLETION, instruction)
        with app.make_context("gradstat", list(arguments)) as context:  # app.main would print its own messages
            code = app.invoke(context)
        if sys.stdout is not None:
            sys.stdout.flush()
        return int(code or Exit.DONE)
    except BaseException as error:
        if isinstance(error, OSError):
            _silence_stdout()
        if isinstance(error, KeyboardInterrupt | Interrupted):
            signal.signal(signal.SIGINT, signal.SIG_IGN)  # a second Ctrl-C must not interrupt the first
        if "--debug" in arguments and not isinstance(error, click.ClickException | click.exceptions.Exit):
            traceback.print_exc()
        return describe_error(error)


def describe_error(error: BaseException) -> int:
    """Print one line about the error to stderr and return the exit code."""
    match error:
        case GradstatError():
            say(str(error))
            for mistake in error.also[: MOST_MISTAKES - 1]:
                say(str(mistake))
            if len(error.also) >= MOST_MISTAKES:
                say(f"{len(error.also) + 1 - MOST_MISTAKES} more mistakes are not shown")
            return error.code
        case click.UsageError():
            message, path = error.format_message().rstrip("."), error.ctx.command_path if error.ctx else "gradstat"
            return say(message if message.endswith("?") else f"{message}; see {path} --help", Exit.USAGE)
        case click.ClickException():
            return say(error.format_message(), Exit.USAGE)
        case click.exceptions.Exit():
            return error.exit_code
        case KeyboardInterrupt():
            return say("interrupted", Exit.INTERRUPTED)
        case BrokenPipeError():
            return Exit.DONE
        case OSError() if [frame.name for frame in traceback.extract_tb(error.__traceback__)][-1:] in WRITERS:
            return describe_error(_unwritable(error))
        case _ if shortage := scarce(error):
            return say(shortage, Exit.USAGE)
        case OSError(filename=str(path), strerror=str(reason)):
            return say(f"{path}: {reason}", Exit.USAGE)
        case OSError():
            return say(f"{error.strerror or error}; --debug shows the traceback", Exit.INTERNAL)
        case ModuleNotFoundError(name=str(name)) if not name.startswith("gradstat"):
            return say(f"the Python package {name} is missing; install gradstat again with pip", Exit.INTERNAL)
    frame = traceback.extract_tb(error.__traceback__)[-1]
    where = f"{os.path.basename(frame.filename)}:{frame.lineno}"
    return say(
        f"internal error in {where}: {type(error).__name__}: {error}; --debug shows the traceback", Exit.INTERNAL
    )


def say(message: str, code: int = Exit.DONE) -> int:
    """Print one line to stderr and return `code`. Control characters and the middle of a very long line are removed."""
    if len(message) > LONGEST_LINE:
        message = f"{message[: LONGEST_LINE - 300]} ... {message[-300:]}"
    with suppress(OSError):
        click.echo(f"gradstat: {printable(message)}", err=True)
    return code


def emit(content: str | bytes) -> None:
    """Write text or bytes to stdout. A pipe closed by its reader, for example `head`, is not an error."""
    try:
        click.echo(content, nl=False, color=True)
    except BrokenPipeError:
        _silence_stdout()
    except OSError as error:
        _silence_stdout()
        raise _unwritable(error) from None


def _unwritable(error: OSError) -> UsageError:
    return UsageError(f"standard output cannot be written: {error.strerror or error}")


def _silence_stdout() -> None:
    """Discard buffered output, which would raise again at exit."""
    with suppress(OSError, AttributeError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _show_warning(message: Warning | str, category: type[Warning], *where: Any, **more: Any) -> None:
    """Print gradstat's warnings, one line each, and drop those of other libraries."""
    if category.__module__.partition(".")[0] == "gradstat":
        say(f"warning: {message}")
