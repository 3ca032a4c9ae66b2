"""A check of this installation: versions, kernel cache, and one estimate against its exact value."""

from gradstat.estimation.run import available_cpus, run
from gradstat.layer_types.record import BACKWARD
from gradstat.layer_types.registry import case_of
from gradstat.numerics import jit
from gradstat.results.provenance import cpu, versions
from gradstat.runs.checks import failures
from gradstat.text.answer import Answer
from gradstat.text.tables import Column, Report, Table
from gradstat.text.uncertain import Uncertain

DRAWS = 2**20


class Diagnosis(Answer):
    """Facts about an installation; `failures` has one line per failed check."""

    def __init__(self, facts: dict[str, str], failures: tuple[str, ...]) -> None:
        self.facts, self.failures = facts, failures

    def report(self) -> Report:
        return Report([Table([Column("fact", ""), Column("value", "", wrap=30)], list(self.facts.items()))])


def examine() -> Diagnosis:
    """Collect facts, sample relu, and compare it with its exact values."""
    facts = versions() | {"cpu": f"{cpu()}, {available_cpus()} available"}
    state = "kernels are kept between runs" if jit.cache_folder() else "not used: kernels are compiled in every process"
    facts["kernel cache"] = f"{jit.cache_directory()}, {state}"
    rows = run([case_of("relu")], DRAWS, 0)
    for row in rows:
        if row.row.direction == BACKWARD and row.exact is not None:
            estimate = Uncertain(row.estimates.std, row.estimates.std_se)
            facts["relu σ[dx]"] = f"{estimate.text}, exactly {Uncertain(row.exact.var**0.5).text}"
    return Diagnosis(facts, failures(rows))
