"""`gradstat doctor`."""

import click

from gradstat.cli.app import say
from gradstat.cli.interrupts import exit_on_interrupt
from gradstat.cli.options import output_options
from gradstat.cli.output import Output
from gradstat.errors import Exit

DRAWS = 2**20


@click.command()
@output_options()
def command(output: Output) -> int:
    """Check this installation: versions, kernel cache, and one known number."""
    with exit_on_interrupt():
        return examine(output)


def examine(output: Output) -> int:
    """The facts, and whether relu comes out right."""
    from gradstat.estimation.run import available_cpus, run
    from gradstat.estimation.significance import disagreements
    from gradstat.layer_types.case import Case
    from gradstat.layer_types.registry import find
    from gradstat.numerics import jit
    from gradstat.results.provenance import cpu, versions
    from gradstat.text.tables import Column, Report, Table
    from gradstat.text.uncertain import Uncertain

    facts = versions() | {"cpu": f"{cpu()}, {available_cpus()} available"}
    state = "kept from run to run" if jit.caching() else "cannot be written: kernels are compiled in every process"
    facts["kernel cache"] = f"{jit.cache_directory()}, {state}"
    lines = run([Case(find("relu"))], DRAWS, 0)
    for line in lines:
        found, known = line.estimates, line.exact
        if line.row.direction == "backward" and known is not None:
            facts["relu σ[dx]"] = f"{Uncertain(found.std, found.std_se).text}, exactly {Uncertain(known.var**0.5).text}"
    output.deliver(Report([Table([Column("fact", ""), Column("value", "", wrap=30)], list(facts.items()))]))
    if disagreements(lines):
        return say("check failed: sampling and exact values disagree on relu", Exit.CHECK_FAILED)
    return Exit.DONE
