"""`gradstat verify`."""

import fnmatch
import os
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING

import click

from gradstat.cli.app import emit, say
from gradstat.cli.options import PATH, Count, Jobs, Seed, output_options
from gradstat.cli.output import Output
from gradstat.errors import Exit, UsageError
from gradstat.text.formats import TABLES

if TYPE_CHECKING:
    from gradstat.verification.claims import Claim
    from gradstat.verification.verdicts import Outcome


@click.command()
@click.argument("claims", type=PATH, nargs=-1)
@click.option("--only", metavar="PATTERN", help="Only claims whose id fits, for example 'wang2016-ii-*'.")
@click.option("--fail-fast", is_flag=True, help="Decide file by file; stop behind the first with a wrong one.")
@click.option("--quick", is_flag=True, help="Exact referee only: nothing is sampled, nothing compiled.")
@click.option("--max-samples", type=Count(), default="2**32", show_default=True, help="Most draws for an open claim.")
@click.option("--seed", type=Seed(), default="20160328", show_default=True, help="0 to 2**64 - 1, or random.")
@click.option("-j", "--jobs", type=Jobs(), help="Threads; all processors where it is left out.")
@output_options((*TABLES, "junit", "github"))
def command(
    claims: tuple[Path, ...],
    only: str | None,
    fail_fast: bool,
    quick: bool,
    max_samples: int,
    seed: int,
    jobs: int | None,
    output: Output,
) -> int:
    """Decide for published constants whether they are right to the digits they print.

    CLAIMS are TOML files, folders of them, or - for standard input; without any, the claims that gradstat ships.
    --quick leaves a claim undecided (exit code 3) where no exact value is known: only sampling decides it.
    """
    from gradstat import shipped
    from gradstat.estimation.significance import FAMILY_WISE
    from gradstat.verification.claims import MalformedClaim, load
    from gradstat.verification.reports import annotation, append_github_summary, report
    from gradstat.verification.verify import verify

    given = claims or (shipped.claims(),)
    try:
        loaded = load(given)
    except MalformedClaim as error:
        if output.format_name == "github":
            emit(annotation(error.path, error.line, "malformed claim", error.message) + "\n")
        raise
    chosen = [claim for claim in loaded if only is None or fnmatch.fnmatchcase(claim.id, only)]
    if not chosen:
        raise UsageError(f"no claim has an id like {only!r}")
    outcomes: list[Outcome] = []
    for batch in by_file(chosen) if fail_fast else [chosen]:
        share = FAMILY_WISE * len(batch) / len(chosen)
        outcomes += verify(batch, seed, jobs or 0, max_samples, quick, share)
        if not all(outcome.as_expected for outcome in outcomes):
            break
    output.deliver(report(outcomes))
    summary = os.environ.get("GITHUB_STEP_SUMMARY")
    if output.format_name == "github" and summary:
        append_github_summary(outcomes, Path(summary))
    return exit_code(outcomes)


def by_file(claims: "list[Claim]") -> "list[list[Claim]]":
    """The claims of each file."""
    return [list(members) for _, members in groupby(claims, key=lambda claim: claim.path)]


def exit_code(outcomes: "list[Outcome]") -> int:
    """70 where gradstat contradicts itself, 1 where a claim is not as expected, 3 where claims only stay undecided."""
    contradictions = [outcome for outcome in outcomes if outcome.contradiction]
    for outcome in contradictions:
        say(f"{outcome.claim.id}: {outcome.detail}; gradstat is wrong about this layer; please report it")
    if contradictions:
        return Exit.INTERNAL
    wrong = [outcome for outcome in outcomes if not outcome.as_expected]
    if any(outcome.verdict != "undecided" for outcome in wrong):
        return Exit.CHECK_FAILED
    return Exit.PRECISION_NOT_REACHED if wrong else Exit.DONE
