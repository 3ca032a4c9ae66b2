"""`gradstat doctor`."""

import click

import gradstat
from gradstat.cli.app import say
from gradstat.cli.interrupts import exit_on_interrupt
from gradstat.cli.options import output_options
from gradstat.cli.output import Output
from gradstat.errors import Exit


@click.command()
@output_options()
def command(output: Output) -> int:
    """Check this installation: versions, kernel cache, and one known number.

    \b
    Examples:
      gradstat doctor
      gradstat doctor --format json
    """
    with exit_on_interrupt():
        diagnosis = gradstat.doctor()
    output.deliver(diagnosis.report())
    for failure in diagnosis.failures:
        say(f"check failed: {failure}")
    return Exit.CHECK_FAILED if diagnosis.failures else Exit.DONE
