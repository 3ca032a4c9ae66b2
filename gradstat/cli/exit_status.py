"""The exit code of a result, and the lines on stderr that explain it."""

from gradstat import Result
from gradstat.cli.app import say
from gradstat.errors import Exit


def exit_code_for(result: Result) -> int:
    """CHECK_FAILED if an estimate disagrees with its exact value, PRECISION_NOT_REACHED if a target was missed."""
    for failure in result.failures:
        say(f"check failed: {failure}")
    if result.failures:
        return Exit.CHECK_FAILED
    for shortfall in result.shortfalls:
        say(f"precision not reached: {shortfall}")
    return Exit.PRECISION_NOT_REACHED if result.shortfalls else Exit.DONE
