"""The faces of a verification: JSON, JUnit, GitHub annotations and Parquet; those for people are in `report_text`."""

import json
import math
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree

from gradstat.errors import UsageError, printable, unknown
from gradstat.results.formats import Terminal
from gradstat.text.files import replacing
from gradstat.verification.report_text import as_markdown, as_table, draws, summary
from gradstat.verification.verdicts import Outcome

if TYPE_CHECKING:
    import pandas as pd

MOST_ANNOTATIONS = 50  # GitHub shows ten of a kind per step and drops what comes later

Report = Callable[[Sequence[Outcome], Terminal], str]


def record(outcome: Outcome) -> dict[str, Any]:
    """One outcome as plain data: the columns of the Parquet table and the rows of the JSON report."""
    claim, c, m = outcome.claim, outcome.claim.config, outcome.measured
    return {
        "id": claim.id,
        "source": c.source,
        "url": c.url,
        "locator": c.locator,
        "definition": c.definition,
        "layer": c.layer,
        "params": json.dumps(c.params, sort_keys=True),
        "direction": c.direction,
        "cell": c.cell,
        "statistic": c.statistic,
        "scale": str(c.scale),
        "printed": c.value,
        "obtained": c.obtained.method,
        "source_samples": c.obtained.samples,
        "value": _finite(m.value) if m else None,
        "bound": _finite(m.bound) if m else None,
        "detectable": _finite(outcome.detectable),
        "referee": "none" if m is None else "exact" if m.exact else "sampling",
        "n": m.n if m else None,
        "source_z": outcome.source_z,
        "should_print": outcome.should_print,
        "draws_needed": None if outcome.draws_needed is None else float(outcome.draws_needed),  # may exceed an int64
        "verdict": outcome.verdict,
        "expect": c.expect,
        "detail": outcome.detail,
        "file": claim.path.name,
        "line": claim.line,
    }


def as_json(outcomes: Sequence[Outcome], terminal: Terminal) -> str:
    """A list of records, null where nothing is known."""
    return json.dumps([record(o) for o in outcomes], indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def as_junit(outcomes: Sequence[Outcome], terminal: Terminal) -> str:
    """One test case per claim; a failure where the verdict is not the expected one."""
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


def as_github(outcomes: Sequence[Outcome], terminal: Terminal) -> str:
    """`::error file=…,line=…` for each claim that is not as expected, at its own line, up to a limit."""
    wrong = [o for o in outcomes if not o.as_expected]
    lines = [
        f"::error file={_property(_relative(o.claim.path))},line={o.claim.line},title={_property(o.claim.id)}"
        f"::{_data(explanation(o))}"
        for o in wrong[:MOST_ANNOTATIONS]
    ]
    if len(wrong) > MOST_ANNOTATIONS:
        lines.append(f"::error::{len(wrong) - MOST_ANNOTATIONS} more claims are not as expected")
    return "".join(line + "\n" for line in [*lines, summary(outcomes)])


REPORTS: dict[str, Report] = {
    "table": as_table,
    "json": as_json,
    "md": as_markdown,
    "junit": as_junit,
    "github": as_github,
}
SUFFIXES = {".txt": "table", ".json": "json", ".md": "md", ".xml": "junit"}


def explanation(outcome: Outcome) -> str:
    """Why a verdict fell: printed value, ours, what is detected, the source's z, the draws it would have needed."""
    c, m = outcome.claim.config, outcome.measured
    parts = [f"{outcome.claim.id}: {outcome.verdict}, expected {c.expect}", f"printed {c.value}"]
    if m is not None:
        parts.append(f"true value {m.value:.12g} within {m.bound:.1e}")
    if outcome.should_print is not None:
        parts.append(f"should print {outcome.should_print}")
    if outcome.detectable is not None:
        parts.append(f"errors from {outcome.detectable:.1e} on are seen")
    if outcome.source_z is not None:
        parts.append(f"{outcome.source_z:+.2f} standard errors of the source's own simulation")
    if outcome.draws_needed is not None:
        parts.append(f"these digits need {draws(outcome.draws_needed)} draws")
    return "; ".join([*parts, *([outcome.detail] if outcome.detail else [])])


def kind_of(path: Path) -> str:
    """The report that a file's suffix stands for; UsageError for another suffix."""
    known = SUFFIXES | {".parquet": "parquet"}
    if path.suffix not in known:
        raise UsageError(f"{path}: {unknown('suffix', path.suffix, known)}")
    return known[path.suffix]


def save(outcomes: Sequence[Outcome], path: Path) -> None:
    """Write a report in the format of the file's suffix, whole or not at all."""
    kind = kind_of(path)
    with replacing(path) as temporary:
        if kind == "parquet":
            to_frame(outcomes).to_parquet(temporary, index=False)
        else:
            temporary.write_text(REPORTS[kind](outcomes, Terminal()), encoding="utf-8")


def to_frame(outcomes: Sequence[Outcome]) -> "pd.DataFrame":
    """The outcomes with one column per field of `record`."""
    import pandas as pd

    return pd.DataFrame([record(o) for o in outcomes])


def append_github_summary(outcomes: Sequence[Outcome], path: Path) -> None:
    """Add the Markdown report to the file that GitHub shows on the page of a job."""
    with path.open("a", encoding="utf-8") as handle:
        handle.write("## gradstat verify\n\n" + as_markdown(outcomes, Terminal()))


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None


def _relative(path: Path) -> str:
    """As GitHub wants it: from the root of the repository, where its jobs start."""
    with suppress(ValueError, OSError):
        return path.resolve().relative_to(Path.cwd()).as_posix()
    return str(path)


def _data(text: str) -> str:
    return printable(text).replace("%", "%25")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
