"""`gradstat verify`."""

import os
from collections.abc import Collection
from pathlib import Path

import click

import gradstat
from gradstat.cli.app import emit, say
from gradstat.cli.options import PATH, Count, Jobs, output_options, seed_option, timeout_option
from gradstat.cli.output import Output
from gradstat.cli.progress import progress
from gradstat.errors import Exit, Interrupted, MalformedClaim, UsageError
from gradstat.text.formats import TABLES, render_text
from gradstat.text.github import annotation


@click.command()
@click.argument("claims", type=PATH, nargs=-1)
@click.option("--only", metavar="PATTERN", help="Check only claims whose id matches, e.g. 'wang2016-ii-*'.")
@click.option("--fail-fast", is_flag=True, help="Stop after the first file with an unexpected verdict.")
@click.option("--quick", is_flag=True, help="Use exact values only; sample nothing.")
@click.option(
    "--max-samples", type=Count(), default="2**32", show_default=True, help="Limit on draws per undecided claim."
)
@seed_option(gradstat.DEFAULT_SEED)
@click.option("-j", "--jobs", type=Jobs(), help="Threads (default: all processors).")
@timeout_option("Claims that are open then stay undecided (exit code 3).")
@click.option("--fix", "fix", is_flag=True, help="Replace wrong digits by correct ones, in code and claims.")
@click.option("--diff", "show_diff", is_flag=True, help="Print the changes of --fix without writing them.")
@click.option(
    "--digits",
    type=int,
    metavar="N",
    help="Significant digits of the column right, of --fix and of --diff (default: those of the printed number).",
)
@output_options((*TABLES, "junit", "github", "concise"))
def command(
    claims: tuple[Path, ...],
    only: str | None,
    fail_fast: bool,
    quick: bool,
    max_samples: int,
    seed: int,
    jobs: int | None,
    timeout: float | None,
    fix: bool,
    show_diff: bool,
    digits: int | None,
    output: Output,
) -> int:
    """Check whether published constants are correct to their last printed digit.

    CLAIMS are TOML files, other text files in which a comment such as "# gradstat: gelu forward gain_rms" follows a
    number, folders of both, or - for standard input. The default is the paths of [tool.gradstat] in pyproject.toml,
    or else the claims that gradstat ships. With --quick, claims without an exact value stay undecided (exit code 3).

    \b
    Examples:
      gradstat verify
      gradstat verify claims.toml --quick
      gradstat verify src/ --format concise
      gradstat verify src/ --fix
      gradstat verify --only 'wang2016-ii-*' -o report.html
    """
    try:
        with progress(output.quiet) as terminal_progress:
            verification = gradstat.verify(
                *claims,
                only=only,
                quick=quick,
                max_samples=max_samples,
                seed=seed,
                jobs=jobs,
                fail_fast=fail_fast,
                digits=digits,
                timeout=timeout,
                progress=terminal_progress,
            )
    except MalformedClaim as error:
        if output.format_name == "github":
            for claim in (error, *error.also):
                if isinstance(claim, MalformedClaim):
                    emit(annotation(claim.path, claim.line, "malformed claim", claim.message) + "\n")
        raise
    except Interrupted as error:
        if error.answer is not None:
            output.deliver(error.answer.report())
        raise
    if show_diff:
        emit(verification.fixes(digits).diff())
        return exit_code(verification)
    fixed = mended(verification, digits) if fix else set[str]()
    output.deliver(verification.report())
    summary = os.environ.get("GITHUB_STEP_SUMMARY")
    if output.format_name == "github" and summary:
        text = f"## gradstat verify\n\n{render_text(verification.report(), 'md')}"
        try:
            with Path(summary).open("a", encoding="utf-8", errors="replace") as handle:
                handle.write(text)
        except OSError as error:
            raise UsageError(f"{summary}: GITHUB_STEP_SUMMARY cannot be written: {error.strerror or error}") from None
    return exit_code(verification, fixed)


def mended(verification: gradstat.Verification, digits: int | None) -> set[str]:
    """Write the fixes, and return the ids of the corrected claims."""
    fixes = verification.fixes(digits)
    fixes.write()
    for claim, reason in fixes.unfixed:
        say(f"{claim.place}: {claim.id}: not fixed: {reason}")
    files = len(fixes.contents)
    say(f"fixed {len(fixes.fixes)} number{'s' * (len(fixes.fixes) != 1)} in {files} file{'s' * (files != 1)}")
    return fixes.fixed_ids


def exit_code(verification: gradstat.Verification, fixed: Collection[str] = ()) -> int:
    """70 if sampling contradicts an exact value, 1 for an unexpected verdict, 3 if claims stay undecided, else 0."""
    contradictions = [outcome for outcome in verification if outcome.contradiction]
    for outcome in contradictions:
        say(f"{outcome.claim.id}: {outcome.detail}; this is a bug of gradstat; please report it")
    if contradictions:
        return Exit.INTERNAL
    wrong = [outcome for outcome in verification.unexpected if outcome.claim.id not in fixed]
    if any(outcome.verdict != "undecided" for outcome in wrong):
        return Exit.CHECK_FAILED
    return Exit.PRECISION_NOT_REACHED if wrong else Exit.DONE
