"""Verdicts as text for people: one table for each source, as wide as the terminal allows."""

import textwrap
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from itertools import groupby

from gradstat.layer_types.record import ALL
from gradstat.results.formats import Terminal
from gradstat.text.tables import NARROWEST, grid
from gradstat.verification.claims import VERDICTS
from gradstat.verification.verdicts import Outcome

NOTHING = "–"
SHORT = 18  # characters of a printed value on a terminal; a file has it whole
LARGE = 10**9  # from where a number of draws is told by its power of ten

# Columns in their order; a narrow terminal loses the DISPENSABLE ones, the first of them first.
COLUMNS: Mapping[str, Callable[[Outcome], str]] = {
    "claim": lambda o: o.claim.id,
    "quantity": lambda o: quantity(o),
    "printed": lambda o: printed(o),
    "right": lambda o: right(o),
    "detects": lambda o: NOTHING if o.detectable is None else f"{o.detectable:.1e}",
    "source z": lambda o: NOTHING if o.source_z is None else f"{o.source_z:+.2f}",
    "draws needed": lambda o: NOTHING if o.draws_needed is None else draws(o.draws_needed),
    "verdict": lambda o: o.verdict,
    "expected": lambda o: "" if o.as_expected else o.claim.config.expect,
}
DISPENSABLE = ("draws needed", "detects", "source z", "quantity")
IDLE = {"source z": NOTHING, "draws needed": NOTHING, "detects": NOTHING, "expected": ""}  # cells that tell nothing
LEGEND = (
    "right: what should have been printed, to as many of the digits as gradstat warrants; "
    "detects: the smallest error of a printed number that would be seen; "
    "source z: printed − right in standard errors of the source's own simulation; "
    "draws needed: for two standard errors in half a unit of the last digit"
)


def as_table(outcomes: Sequence[Outcome], terminal: Terminal) -> str:
    """A table for each source, then the counts."""
    parts = []
    for source, members in by_source(outcomes):
        columns = table(members, terminal.width)
        rows = list(zip(*columns.values(), strict=True))
        heading = wrapped(source, terminal.width)
        parts.append(f"{heading}\n{grid(tuple(columns), rows, terminal.width, color=terminal.color)}")
    return "\n".join([*parts, f"{wrapped(LEGEND, terminal.width)}\n{wrapped(summary(outcomes), terminal.width)}\n"])


def as_markdown(outcomes: Sequence[Outcome], terminal: Terminal) -> str:
    """A section for each source, with every value whole."""
    parts = [summary(outcomes)]
    for source, members in by_source(outcomes):
        url = members[0].claim.config.url
        columns = table(members, None)
        lines = [f"### {escaped(source)}", "", *([f"<{url}>", ""] if url else [])]
        lines += ["| " + " | ".join(columns) + " |", "|" + " --- |" * len(columns)]
        lines += ["| " + " | ".join(map(escaped, row)) + " |" for row in zip(*columns.values(), strict=True)]
        parts.append("\n".join(lines))
    return "\n\n".join([*parts, LEGEND]) + "\n"


def by_source(outcomes: Sequence[Outcome]) -> list[tuple[str, list[Outcome]]]:
    """The outcomes of each source, in order of first appearance."""
    found = groupby(outcomes, key=lambda o: o.claim.config.source)
    return [(source, list(members)) for source, members in found]


def table(outcomes: Sequence[Outcome], width: int | None) -> dict[str, list[str]]:
    """Column → cells: without columns that tell nothing, and, where there is a width, what fits into it."""
    cells = {name: [cell(o) for o in outcomes] for name, cell in COLUMNS.items()}
    cells = {name: column for name, column in cells.items() if set(column) != {IDLE.get(name)}}
    if width is None:
        return cells
    for name in ("printed", "right"):
        cells[name] = [shortened(cell) for cell in cells[name]]
    for name in DISPENSABLE:
        if needed(cells) > width:
            cells.pop(name, None)
    return cells


def needed(cells: Mapping[str, Sequence[str]]) -> int:
    """Columns of a terminal that a table takes with its names wrapped."""
    widths = [max(len(name), *map(len, column)) + 2 for name, column in cells.items() if name != "claim"]
    return NARROWEST + sum(widths)


def quantity(outcome: Outcome) -> str:
    """`avg_pool2d backward std × 9`."""
    c = outcome.claim.config
    cell = "" if c.cell == ALL else f" {c.cell}"
    return f"{c.layer} {c.direction}{cell} {c.statistic}" + (f" × {c.scale}" if c.scale != 1.0 else "")


def printed(outcome: Outcome) -> str:
    """The printed value; a matrix by its size."""
    value = outcome.claim.config.value
    return matrix(value) if outcome.claim.is_matrix else value


def right(outcome: Outcome) -> str:
    """What should have been printed, or our value where the digits asked for are beyond us."""
    if outcome.claim.is_matrix:
        return "as printed" if not outcome.detail else outcome.detail
    if outcome.should_print is not None:
        return outcome.should_print
    return NOTHING if outcome.measured is None else f"{outcome.measured.value:.10g}"


def matrix(value: str) -> str:
    """`matrix 4×4`."""
    rows = value.split(";")
    return f"matrix {len(rows)}×{len(rows[0].split())}"


def shortened(text: str) -> str:
    """At most SHORT characters; `…` says that there are more."""
    return text if len(text) <= SHORT else text[: SHORT - 1] + "…"


def draws(n: int) -> str:
    """`1,089`, or `4e+16`."""
    return f"{n:,}" if n < LARGE else f"{n:.0e}"


def wrapped(text: str, width: int) -> str:
    """Lines of this width; ids are not torn at their hyphens."""
    return "\n".join(textwrap.wrap(text, max(width, NARROWEST), break_on_hyphens=False))


def summary(outcomes: Sequence[Outcome]) -> str:
    """`136 claims: 78 confirmed, 23 imprecise, 35 refuted; all as expected`."""
    counts = Counter(o.verdict for o in outcomes)
    told = ", ".join(f"{counts[name]} {name}" for name in VERDICTS if counts[name])
    wrong = [o.claim.id for o in outcomes if not o.as_expected]
    end = f"not as expected: {', '.join(wrong)}" if wrong else "all as expected"
    return f"{len(outcomes)} claim{'s' if len(outcomes) != 1 else ''}: {told}; {end}"


def escaped(text: str) -> str:
    """Nothing that Markdown would take for markup."""
    for sign in "\\|*<>`[]":
        text = text.replace(sign, f"\\{sign}")
    return " ".join(text.split())
