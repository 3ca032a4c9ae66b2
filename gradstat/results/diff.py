"""Two results compared row by row: to the byte where they must agree, by z-scores where they are independent."""

import math
import struct
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from gradstat.errors import printable
from gradstat.estimation.significance import ROUNDING, z_bound, z_score
from gradstat.estimation.student import DEGREES
from gradstat.results.overview import title
from gradstat.results.schema import ACCUMULATORS, ESTIMATES, REFEREE, WINDOWS
from gradstat.results.store import Result

KEY = ("layer", "params", "direction", "cell", "input", "upstream")
DRAWS = ("seed", "n", "estimator")  # rows that agree in them are of the same draws
SAMPLED = ("n", *ESTIMATES, WINDOWS, *ACCUMULATORS)  # promised to the byte for one seed
EXACT = tuple(name for name in REFEREE if name.startswith("exact_"))  # by libm: the last digit depends on the machine
TESTED = ("mean", "std")

Row = Mapping[str, Any]
Key = tuple[Any, ...]


@dataclass(frozen=True)
class Score:
    """One statistic of one row that both results have: their difference in standard errors."""

    where: str
    first: float
    second: float
    z: float

    def __str__(self) -> str:
        return f"{self.where}: {self.first:.10g} and {self.second:.10g} are {self.z:+.1f} standard errors apart"


@dataclass(frozen=True)
class Comparison:
    """What two results agree and disagree on; `bytewise` and `scored` count rows."""

    alone: tuple[list[str], list[str]]  # rows of the first result only, of the second only
    unequal: list[str]  # sentences about what had to be equal and is not
    bytewise: int
    scored: int
    scores: list[Score]

    @property
    def bound(self) -> float:
        """What chance allows the largest |z| to be."""
        return z_bound(len(self.scores))

    @property
    def beyond(self) -> list[Score]:
        """The scores that chance does not explain; NaN is one."""
        return [score for score in self.scores if not abs(score.z) <= self.bound]

    @property
    def agree(self) -> bool:
        """True where there is nothing to tell."""
        return not (any(self.alone) or self.unequal or self.beyond)


def compare(first: Result, second: Result) -> Comparison:
    """Rows of the same question are compared; equal seeds, draws and stream versions must give equal bytes."""
    rows = _by_key(first), _by_key(second)
    alone = tuple([_name(row) for key, row in own.items() if key not in other] for own, other in (rows, rows[::-1]))
    same_stream = first.provenance.get("stream_version") == second.provenance.get("stream_version")
    pairs = [(row, rows[1][key]) for key, row in rows[0].items() if key in rows[1]]
    unequal, scores, bytewise = [], [], 0
    for a, b in pairs:
        if same_stream and all(a[name] == b[name] for name in DRAWS):
            bytewise += 1
            unequal += [_sentence(a, b, name) for name in SAMPLED if _bits(a[name]) != _bits(b[name])][:1]
        else:
            scores += list(_scores(a, b))
        unequal += [_sentence(a, b, name) for name in EXACT if not _close(a[name], b[name], a["std"])]
    return Comparison((alone[0], alone[1]), unequal, bytewise, len(pairs) - bytewise, scores)


def report(comparison: Comparison, names: tuple[str, str]) -> str:
    """What differs, a line each, and a line on what was compared."""
    lines = [
        f"only in {printable(name)}: {row}"
        for name, alone in zip(names, comparison.alone, strict=True)
        for row in alone
    ]
    lines += comparison.unequal + [str(score) for score in comparison.beyond]
    if comparison.bytewise:
        lines.append(f"{_rows(comparison.bytewise)} of the same seed and draws, compared to the byte")
    if comparison.scored:
        largest = max((abs(score.z) for score in comparison.scores), default=0.0)
        lines.append(
            f"{_rows(comparison.scored)} of other seeds or draws: largest |z| of {len(comparison.scores)} is "
            f"{largest:.1f}, bound {comparison.bound:.1f}"
        )
    if not comparison.bytewise + comparison.scored:
        lines.append("no row is in both")
    return "".join(f"{line}\n" for line in lines)


def _by_key(result: Result) -> dict[Key, Row]:
    """Rows by their question; a question asked twice in one file is numbered."""
    seen: Counter[Key] = Counter()
    found: dict[Key, Row] = {}
    for row in result.rows():
        key = tuple(row[name] for name in KEY)
        found[*key, seen[key]] = row
        seen[key] += 1
    return found


def _scores(a: Row, b: Row) -> Iterator[Score]:
    """Difference over the root of the sum of both variances: too careful where the draws are shared, never too bold.

    Its degrees of freedom are the fewer of the two, which is on the safe side as well (Mickey and Brown, 1966).
    """
    degrees = min(DEGREES[row["estimator"]](row["acc_draws"]) for row in (a, b))
    for name in TESTED:
        error = math.hypot(a[f"{name}_se"], b[f"{name}_se"])
        z = z_score(a[name], b[name], error, b["std"], degrees)
        yield Score(f"{_name(a)} {name}", a[name], b[name], z)


def _bits(value: Any) -> bytes:
    return b"" if value is None else struct.pack("<d", float(value))


def _close(a: float | None, b: float | None, scale: float) -> bool:
    if a is None or b is None:
        return a is b
    return abs(a - b) <= ROUNDING * (abs(b) + scale)


def _sentence(a: Row, b: Row, name: str) -> str:
    return f"{_name(a)}: {name} is {a[name]!r} and {b[name]!r}, and ought to be equal"


def _name(row: Row) -> str:
    cell = "" if row["cell"] == "all" else f" {row['cell']}"
    return f"{title(row)} {row['direction']}{cell}"


def _rows(count: int) -> str:
    return f"{count} row" if count == 1 else f"{count} rows"
