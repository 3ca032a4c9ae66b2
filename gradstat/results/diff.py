"""Comparison of two results: rows of equal draws to the byte, rows of independent draws by z-scores."""

import math
import struct
import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any

from gradstat.estimation.significance import ROUNDING, beyond, z_bound, z_score
from gradstat.results.overview import label
from gradstat.results.result import Result
from gradstat.results.schema import ACCUMULATORS, ESTIMATES, EXACT_MAD, REFEREE, WINDOWS
from gradstat.text.answer import Answer
from gradstat.text.tables import NARROWEST, Column, Report, Table, finite
from gradstat.text.uncertain import signed

KEY = ("layer", "params", "direction", "cell", "input", "upstream")
DRAWS = ("seed", "n", "estimator")  # rows with equal values here have equal draws
SAMPLED = ("n", *ESTIMATES, WINDOWS, *ACCUMULATORS)  # equal to the byte for equal draws
EXACT = tuple(
    name for name in (*REFEREE, EXACT_MAD) if name.startswith("exact_")
)  # computed with libm: the last digit depends on the machine
TESTED = ("mean", "std")

Row = Mapping[str, Any]
Key = tuple[Any, ...]


@dataclass(frozen=True)
class Difference:
    """One statistic of a row in both results, and the difference in standard errors if draws are independent."""

    row: str
    statistic: str
    first: float | None
    second: float | None
    z: float | None = None


@dataclass(frozen=True, repr=False)
class Comparison(Answer):
    """The comparison of two results; `bytewise` and `scored` are numbers of rows."""

    alone: tuple[list[str], list[str]]  # rows of the first result only, of the second only
    unequal: list[Difference]  # values that must be equal and differ
    bytewise: int
    scored: int
    scores: list[Difference]
    identical: bool  # True if every number of every row is equal
    names: tuple[str, str] = ("first", "second")  # of the two results

    def report(self) -> Report:
        """One row per difference, and notes on the rows that were compared."""
        return report(self, self.names)

    @property
    def bound(self) -> float:
        """The bound on the largest |z| that chance explains."""
        return z_bound(len(self.scores))

    @property
    def largest(self) -> float:
        """The largest |z|; 0 if no row has one."""
        return max((abs(score.z or 0.0) for score in self.scores), default=0.0)

    @property
    def beyond(self) -> list[Difference]:
        """The scores that chance does not explain, NaN included."""
        return [score for score in self.scores if score.z is not None and beyond(score.z, self.bound)]

    @property
    def agree(self) -> bool:
        """True if chance explains all differences."""
        return not (any(self.alone) or self.unequal or self.beyond)


def compare(first: Result, second: Result) -> Comparison:
    """Compare the rows with equal keys. Equal seeds, draws and stream versions must give equal bytes."""
    rows = _by_key(first), _by_key(second)
    alone = tuple([_name(row) for key, row in these.items() if key not in other] for these, other in (rows, rows[::-1]))
    same_stream = first.provenance.get("stream_version") == second.provenance.get("stream_version")
    pairs = [(row, rows[1][key]) for key, row in rows[0].items() if key in rows[1]]
    unequal: list[Difference] = []
    scores: list[Difference] = []
    bytewise = 0
    for a, b in pairs:
        if same_stream and all(a[name] == b[name] for name in DRAWS):
            bytewise += 1
            unequal += [_difference(a, b, name) for name in SAMPLED if _bits(a[name]) != _bits(b[name])][:1]
        else:
            scores += list(_scores(a, b))
        unequal += [_difference(a, b, name) for name in EXACT if not _close(a[name], b[name], a["std"])]
    equal = all(_bits(a[name]) == _bits(b[name]) for a, b in pairs for name in (*SAMPLED, *REFEREE, EXACT_MAD))
    identical = equal and bytewise == len(pairs) == len(rows[0]) == len(rows[1]) > 0
    return Comparison((alone[0], alone[1]), unequal, bytewise, len(pairs) - bytewise, scores, identical)


COLUMNS = (
    Column("row", wrap=NARROWEST),
    Column("statistic"),
    Column("first", align="decimal"),
    Column("second", align="decimal"),
    Column("z", align="decimal", show=signed, idle=(None,)),
    Column("difference"),
)


def report(comparison: Comparison, names: tuple[str, str]) -> Report:
    """One row per difference, and notes on the rows that were compared."""
    lines: list[tuple[Any, ...]] = []
    for name, alone in zip(names, comparison.alone, strict=True):
        lines += [(row, None, None, None, None, f"only in {name}") for row in alone]
    lines += [(d.row, d.statistic, d.first, d.second, None, "not equal") for d in comparison.unequal]
    lines += [(d.row, d.statistic, d.first, d.second, d.z, "too far apart") for d in comparison.beyond]
    notes = []
    if comparison.identical:
        notes.append(f"identical: {_rows(comparison.bytewise)} of the same seed and draws, equal in every number")
    elif comparison.bytewise:
        notes.append(f"{_rows(comparison.bytewise)} of the same seed and draws, compared to the byte")
    if comparison.scored:
        notes.append(
            f"{_rows(comparison.scored)} of other seeds or draws: largest |z| of {len(comparison.scores)} is "
            f"{comparison.largest:.1f}, bound {comparison.bound:.1f}"
        )
    if not comparison.bytewise + comparison.scored:
        notes.append("the results have no row in common")
    facts = {
        "first": names[0],
        "second": names[1],
        "identical": comparison.identical,
        "agree": comparison.agree,
        "rows_compared_to_the_byte": comparison.bytewise,
        "rows_compared_by_z": comparison.scored,
        "largest_z": finite(comparison.largest),
        "bound": finite(comparison.bound),
    }
    return Report([Table(COLUMNS, lines)], None, "Comparison of two results", "; ".join(notes), facts=facts)


def _by_key(result: Result) -> dict[Key, Row]:
    """The rows by their key; repeated keys in one file are numbered."""
    seen: Counter[Key] = Counter()
    rows: dict[Key, Row] = {}
    for row in result.rows():
        key = tuple(row[name] for name in KEY)
        rows[*key, seen[key]] = row
        seen[key] += 1
    return rows


def _scores(a: Row, b: Row) -> Iterator[Difference]:
    for name in TESTED:
        z = score(a, b, name)
        if z is not None:
            yield Difference(_name(a), name, a[name], b[name], z)


def score(a: Row, b: Row, name: str) -> float | None:
    """Difference / √(sum of both variances) as a normal score; None if one of them has no error bar.

    It is conservative if the results share draws. The degrees of freedom are the smaller of the two, which is
    conservative as well (Mickey and Brown, 1966).
    """
    error = math.hypot(a[f"{name}_se"], b[f"{name}_se"])
    if math.isinf(error):
        return None
    degrees = min(row[f"{name}_df"] for row in (a, b))
    return z_score(a[name], b[name], error, b["std"], degrees) if error else _constants(a, b, name)


def _constants(a: Row, b: Row, name: str) -> float:
    """The normal score of two rows whose draws are all equal, to one value in a and to another in b.

    If a draw is the one value with probability p, that has the probability pⁿ(1 − p)ᵐ, at most that for p = n/(n + m).
    """
    if a[name] == b[name]:
        return 0.0
    n, m = a["n"], b["n"]
    log_probability = n * math.log(n / (n + m)) + m * math.log(m / (n + m))
    tail = max(math.exp(log_probability), sys.float_info.min)
    return math.copysign(-NormalDist().inv_cdf(0.5 * tail), a[name] - b[name])


def _bits(value: Any) -> bytes:
    return b"" if value is None else struct.pack("<d", float(value))


def _close(a: float | None, b: float | None, scale: float) -> bool:
    if a is None or b is None:
        return a is b
    return a == b or abs(a - b) <= ROUNDING * (abs(b) + scale)


def _difference(a: Row, b: Row, name: str) -> Difference:
    return Difference(_name(a), name, a[name], b[name])


def _name(row: Row) -> str:
    cell = "" if row["cell"] == "all" else f" {row['cell']}"
    return f"{label(row)} {row['direction']}{cell}"


def _rows(count: int) -> str:
    return f"{count} row" if count == 1 else f"{count} rows"
