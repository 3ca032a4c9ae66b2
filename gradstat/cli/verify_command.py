"""`gradstat verify`."""

import os
from pathlib import Path

import click

import gradstat
from gradstat.cli.app import emit, say
from gradstat.cli.options import PATH, Count, Jobs, output_options, seed_option
from gradstat.cli.output import Output
from gradstat.cli.progress import progress
from gradstat.errors import Exit, MalformedClaim
from gradstat.text.formats import TABLES, render_text
from gradstat.text.github import annotation


@click.command()
@click.argument("claims", type=PATH, nargs=-1)
@click.option("--only", metavar="PATTERN", help="Only claims whose id fits, for example 'wang2016-ii-*'.")
@click.option("--fail-fast", is_flag=True, help="Decide file by file; stop behind the first with a wrong one.")
@click.option("--quick", is_flag=True, help="Exact referee only: nothing is sampled, nothing compiled.")
@click.option("--max-samples", type=Count(), default="2**32", show_default=True, help="Most draws for an open claim.")
@seed_option(gradstat.DEFAULT_SEED)
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
    try:
        with progress(output.quiet) as shown:
            verification = gradstat.verify(
                *claims,
                only=only,
                quick=quick,
                max_samples=max_samples,
                seed=seed,
                jobs=jobs,
                fail_fast=fail_fast,
                progress=shown,
            )
    except MalformedClaim as error:
        if output.format_name == "github":
            for claim in (error, *error.also):
                if isinstance(claim, MalformedClaim):
                    emit(annotation(claim.path, claim.line, "malformed claim", claim.message) + "\n")
        raise
    output.deliver(verification.report())
    summary = os.environ.get("GITHUB_STEP_SUMMARY")
    if output.format_name == "github" and summary:
        with Path(summary).open("a", encoding="utf-8") as handle:
            handle.write(f"## gradstat verify\n\n{render_text(verification.report(), 'md')}")
    return exit_code(verification)


def exit_code(verification: gradstat.Verification) -> int:
    """70 where gradstat contradicts itself, 1 where a claim is not as expected, 3 where claims only stay undecided."""
    contradictions = [outcome for outcome in verification if outcome.contradiction]
    for outcome in contradictions:
        say(f"{outcome.claim.id}: {outcome.detail}; gradstat is wrong about this layer; please report it")
    if contradictions:
        return Exit.INTERNAL
    if any(outcome.verdict != "undecided" for outcome in verification.unexpected):
        return Exit.CHECK_FAILED
    return Exit.DONE if verification.ok else Exit.PRECISION_NOT_REACHED
