"""`gradstat doctor`."""

import click

from gradstat.cli.app import emit, say
from gradstat.cli.interrupts import exit_on_interrupt
from gradstat.cli.options import debug_option
from gradstat.errors import Exit

DRAWS = 2**20


@click.command()
@debug_option
def command() -> int:
    """Check this installation: versions, kernel cache, and one known number."""
    with exit_on_interrupt():
        return examine()


def examine() -> int:
    """The facts, and whether relu comes out right."""
    from gradstat.estimation.run import available_cpus, disagreements, run
    from gradstat.layer_types.case import Case
    from gradstat.layer_types.registry import find
    from gradstat.numerics import jit
    from gradstat.results.provenance import cpu, versions
    from gradstat.text.uncertain import exact, with_error

    facts = versions() | {"cpu": f"{cpu()}, {available_cpus()} available"}
    state = "kept from run to run" if jit.caching() else "cannot be written: kernels are compiled in every process"
    facts["kernel cache"] = f"{jit.cache_directory()}, {state}"
    lines = run([Case(find("relu"))], DRAWS, 0)
    for line in lines:
        found, known = line.estimates, line.exact
        if line.row.direction == "backward" and known is not None:
            facts["relu σ[dx]"] = f"{with_error(found.std, found.std_se)}, exactly {exact(known.var**0.5)}"
    emit("".join(f"{name:13} {value}\n" for name, value in facts.items()))
    if disagreements(lines):
        return say("check failed: sampling and exact values disagree on relu", Exit.CHECK_FAILED)
    return Exit.DONE
