"""The report of a verification: tables for people, records for programs, JUnit test cases, GitHub annotations."""

from collections import Counter
from collections.abc import Sequence
from typing import Any
from xml.etree import ElementTree

from gradstat.errors import printable
from gradstat.text.github import annotation
from gradstat.text.tables import Column, Report, Table
from gradstat.text.uncertain import LEGEND as NUMERIC_LEGEND
from gradstat.text.uncertain import NUMERIC, PROVEN, SAMPLED
from gradstat.verification.claims import VERDICTS
from gradstat.verification.report_text import LEGEND, by_source, draws, summary, table_of
from gradstat.verification.verdicts import Outcome

MOST_ANNOTATIONS = 50  # GitHub shows the first ten of each kind per step

TRUE = {PROVEN: "true value", NUMERIC: "value by quadrature, not proven,", SAMPLED: "true value"}
FORMATS = ("junit", "github", "concise")  # formats of verifications only


def report(outcomes: Sequence[Outcome], digits: int | None = None) -> Report:
    """One table per source and the counts; one record per claim; test cases and annotations.

    digits: of exact values in the column `right`; by default those of the printed number.
    """
    rows = [record(outcome) for outcome in outcomes]
    names = list(rows[0]) if rows else []
    data = Table([Column(name) for name in names], [list(row.values()) for row in rows])
    counts = Counter(outcome.verdict for outcome in outcomes)
    facts = {
        "verdicts": {name: counts[name] for name in VERDICTS},
        "not_as_expected": [outcome.claim.id for outcome in outcomes if not outcome.as_expected],
    }
    own = {
        "junit": lambda: as_junit(outcomes),
        "github": lambda: as_github(outcomes),
        "concise": lambda: as_concise(outcomes),
    }
    tables = [table_of(source, members, digits) for source, members in by_source(outcomes)]
    numeric = any(o.measured is not None and o.measured.kind == NUMERIC for o in outcomes)
    notes = [LEGEND, *([NUMERIC_LEGEND] if numeric else [])]
    title = "Verification of published constants"
    return Report(tables, data, title, summary(outcomes), notes, facts, own)


def record(outcome: Outcome) -> dict[str, Any]:
    """One outcome as plain data, for programs."""
    claim, c, m = outcome.claim, outcome.claim.config, outcome.measured
    return {
        "id": claim.id,
        "source": c.source,
        "url": c.url,
        "locator": c.locator,
        "definition": c.definition,
        "layer": c.layer or None,
        "expression": c.expression,
        "params": dict(c.params),
        "direction": c.direction,
        "cell": c.cell,
        "statistic": c.statistic,
        "scale": claim.scale,
        "printed": c.value,
        "obtained": c.obtained.method,
        "source_samples": c.obtained.samples,
        "value": m.value if m else None,
        "bound": m.bound if m else None,
        "detectable": outcome.detectable,
        "referee": "none" if m is None else "exact" if m.exact else "sampling",
        "exact_kind": m.kind if m and m.exact else None,
        "n": m.n if m else None,
        "source_z": outcome.source_z,
        "should_print": outcome.should_print,
        "draws_needed": None if outcome.draws_needed is None else float(outcome.draws_needed),  # may exceed an int64
        "verdict": outcome.verdict,
        "expect": c.expect,
        "detail": outcome.detail,
        "file": claim.path.name,
        "line": claim.line,
        "column": claim.column,
    }


def as_junit(outcomes: Sequence[Outcome]) -> str:
    """One test case per claim; a failure if the verdict is unexpected."""
    failures = sum(not o.as_expected for o in outcomes)
    suite = ElementTree.Element("testsuite", name="gradstat verify", tests=str(len(outcomes)), failures=str(failures))
    for outcome in outcomes:
        claim = outcome.claim
        place = {"file": printable(str(claim.path)), "line": str(claim.line)}
        case = ElementTree.SubElement(suite, "testcase", place, classname=printable(claim.config.source), name=claim.id)
        if not outcome.as_expected:
            failure = ElementTree.SubElement(case, "failure", message=printable(explanation(outcome)))
            failure.text = printable(explanation(outcome))
    root = ElementTree.Element("testsuites")
    root.append(suite)
    ElementTree.indent(root)
    return '<?xml version="1.0" encoding="utf-8"?>\n' + ElementTree.tostring(root, encoding="unicode") + "\n"


def as_github(outcomes: Sequence[Outcome]) -> str:
    """`::error file=…,line=…` for each claim with an unexpected verdict, up to MOST_ANNOTATIONS."""
    wrong = [o for o in outcomes if not o.as_expected]
    lines = [
        annotation(o.claim.path, o.claim.line, o.claim.id, explanation(o), o.claim.column)
        for o in wrong[:MOST_ANNOTATIONS]
    ]
    if len(wrong) > MOST_ANNOTATIONS:
        lines.append(f"::error::{len(wrong) - MOST_ANNOTATIONS} more claims are not as expected")
    return "".join(line + "\n" for line in [*lines, summary(outcomes)])


def as_concise(outcomes: Sequence[Outcome]) -> str:
    """`file:line:column: id: verdict, …` for each claim that is not as expected, and the counts."""
    wrong = [o for o in outcomes if not o.as_expected]
    lines = [f"{o.claim.path}:{o.claim.line}:{o.claim.column or 1}: {explanation(o)}" for o in wrong]
    return "".join(printable(line) + "\n" for line in [*lines, summary(outcomes)])


def explanation(outcome: Outcome) -> str:
    """The numbers behind a verdict: printed value, ours, detectable error, z of the source, draws that it needed."""
    c, m = outcome.claim.config, outcome.measured
    parts = [f"{outcome.claim.id}: {outcome.verdict}, expected {c.expect}", f"printed {c.value}"]
    if m is not None:
        parts.append(f"{TRUE[m.kind]} {m.value:.12g} within {m.bound:.1e}")
    if outcome.should_print is not None:
        parts.append(f"should print {outcome.should_print}")
    if outcome.detectable is not None:
        parts.append(f"errors from {outcome.detectable:.1e} on are seen")
    if outcome.source_z is not None:
        parts.append(f"{outcome.source_z:+.2f} standard errors of the source's own simulation")
    if outcome.draws_needed is not None:
        parts.append(f"these digits need {draws(outcome.draws_needed)} draws")
    return "; ".join([*parts, *([outcome.detail] if outcome.detail else [])])
