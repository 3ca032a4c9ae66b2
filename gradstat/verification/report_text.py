"""Tables of verdicts for people, one per source."""

import math
from collections import Counter
from collections.abc import Callable, Sequence
from itertools import groupby
from typing import Any

from gradstat.layer_types.record import ALL
from gradstat.text.tables import NARROWEST, Column, Table
from gradstat.text.uncertain import APPROXIMATELY, NUMERIC, Uncertain
from gradstat.verification.claims import VERDICTS
from gradstat.verification.verdicts import Outcome

LARGE = 10**9  # larger numbers of draws are written in powers of ten
PRINTED = 18  # characters: enough for numbers of 17 digits; expressions are wrapped

LEGEND = (
    "right: what should have been printed, to as many of the digits as gradstat warrants; "
    "detects: the smallest error of a printed number that would be seen; "
    "source z: printed − right in standard errors of the source's own simulation; "
    "draws needed: for two standard errors in half a unit of the last digit"
)


def by_source(outcomes: Sequence[Outcome]) -> list[tuple[str, list[Outcome]]]:
    """The outcomes of each source, in order of first appearance."""
    found = groupby(outcomes, key=lambda o: o.claim.config.source)
    return [(source, list(members)) for source, members in found]


def columns(digits: int | None = None) -> list[tuple[Column, Callable[[Outcome], Any]]]:
    """The columns in their order, each with the function that returns its cell for an outcome."""
    return [
        (Column("claim", wrap=NARROWEST), lambda o: o.claim.id),
        (Column("quantity", priority=1), quantity),
        (Column("printed", wrap=PRINTED), printed),
        (Column("right", wrap=PRINTED), lambda o: right(o, digits)),
        (Column("detects", show="{:.1e}".format, idle=(None,), priority=3), lambda o: o.detectable),
        (Column("source z", show="{:+.2f}".format, idle=(None,), priority=2), lambda o: o.source_z),
        (Column("draws needed", show=draws, idle=(None,), priority=4), lambda o: o.draws_needed),
        (Column("verdict"), lambda o: o.verdict),
        (Column("expected", idle=(None,)), lambda o: None if o.as_expected else o.claim.config.expect),
    ]


def table_of(source: str, outcomes: Sequence[Outcome], digits: int | None = None) -> Table:
    """The table of the outcomes of one source."""
    shown = columns(digits)
    rows = [[cell(outcome) for _, cell in shown] for outcome in outcomes]
    wrong = frozenset((i, "verdict") for i, outcome in enumerate(outcomes) if not outcome.as_expected)
    return Table([column for column, _ in shown], rows, source, link=outcomes[0].claim.config.url, wrong=wrong)


def quantity(outcome: Outcome) -> str:
    """The claimed quantity, `avg_pool2d backward std × 9`."""
    c = outcome.claim.config
    factor = f" × {c.scale}" if c.scale != 1.0 else ""
    if c.solve:
        return f"{outcome.claim.subject}: {c.solve.name}, such that {', '.join(c.solve.such_that)}{factor}"
    cell = "" if c.cell == ALL else f" {c.cell}"
    direction = f" {c.direction}" if c.direction and "." not in c.statistic else ""
    return f"{outcome.claim.subject}{direction}{cell} {c.statistic}{factor}"


def printed(outcome: Outcome) -> str:
    """The printed value; a matrix by its size."""
    value = outcome.claim.config.value
    return matrix(value) if outcome.claim.is_matrix else value


def right(outcome: Outcome, digits: int | None = None) -> str | Uncertain | None:
    """Our value, rounded like the printed one if our error allows it; an exact value with `digits` if they are given.

    None if nothing is known of the value.
    """
    if outcome.claim.is_matrix:
        return "as printed" if not outcome.detail else outcome.detail
    measured = outcome.measured
    mark = APPROXIMATELY if measured is not None and measured.kind == NUMERIC else ""
    if digits is not None and measured is not None and measured.enclosure is not None:
        return mark + measured.enclosure.text(digits)
    if outcome.should_print is not None:
        return mark + outcome.should_print
    if measured is None or not math.isfinite(measured.value) or not math.isfinite(measured.error):
        return None
    return Uncertain(measured.value, measured.error, kind=measured.kind)


def matrix(value: str) -> str:
    """The size of a matrix, `matrix 4×4`."""
    rows = value.split(";")
    return f"matrix {len(rows)}×{len(rows[0].split())}"


def draws(n: int) -> str:
    """A number of draws, `1,089` or `4e+16`."""
    return f"{n:,}" if n < LARGE else f"{n:.0e}"


def summary(outcomes: Sequence[Outcome]) -> str:
    """The counts of verdicts, `136 claims: 78 confirmed, 23 imprecise, 35 refuted; all as expected`."""
    counts = Counter(o.verdict for o in outcomes)
    told = ", ".join(f"{counts[name]} {name}" for name in VERDICTS if counts[name])
    wrong = [o.claim.id for o in outcomes if not o.as_expected]
    end = f"not as expected: {', '.join(wrong)}" if wrong else "all as expected"
    return f"{len(outcomes)} claim{'s' if len(outcomes) != 1 else ''}: {told}; {end}"
