"""The answer of `gradstat solve`."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from gradstat.errors import Exit
from gradstat.layer_types.exact.enclosure import Enclosure
from gradstat.text.answer import Answer
from gradstat.text.tables import Column, Report, Table

UNIQUE = "proven, and the only one nearby"
EXISTS = "proven; that it is the only one nearby is not"
EXTREMUM = "proven; that it is the largest or smallest of all is not"
NOT_PROVEN = "not proven"
REACHED = "value reached"


@dataclass(frozen=True)
class Solution:
    """Values of the unknowns within proven bounds, or, where `proof` says so, within bounds that are not proven."""

    values: Mapping[str, Enclosure]
    proof: str
    reached: Enclosure | None = None  # the largest or smallest value, if one was looked for
    residuals: Sequence[Enclosure] = ()  # left less right sides, where nothing is proven

    @property
    def is_proven(self) -> bool:
        """True if a solution lies within the bounds."""
        return self.proof != NOT_PROVEN


class Solutions(Answer):
    """All solutions that were found, sorted: `solutions[0]["input.std"]` is a float; `notes` say what was tried."""

    def __init__(
        self, title: str, name: str, solutions: Sequence[Solution], notes: Sequence[str], digits: int, certain: bool
    ) -> None:
        self.title, self.name, self.digits = title, name, digits
        self.found, self.notes = tuple(solutions), tuple(notes)
        self.is_certain = certain and all(one.is_proven for one in solutions)

    @property
    def solutions(self) -> list[dict[str, float]]:
        """The values of the unknowns, one dictionary for each solution."""
        return [{name: float(value) for name, value in one.values.items()} for one in self.found]

    @property
    def texts(self) -> list[dict[str, str]]:
        """The same with all certain digits, at most those that were asked for."""
        return [{name: value.text(self.digits) for name, value in _rows(one).items()} for one in self.found]

    @property
    def code(self) -> int:
        """The exit code: 0, 1 without a solution, 3 if something is not certain."""
        if not self.is_certain:
            return Exit.PRECISION_NOT_REACHED
        return Exit.DONE if self.found else Exit.CHECK_FAILED

    def report(self) -> Report:
        """One row for each unknown of each solution."""
        columns = [
            Column("solution", align="right", idle=(1,) if len(self.found) == 1 else ()),
            Column("unknown"),
            Column("value", align="decimal", wrap=20),
            Column("proof", wrap=20),
            Column("low", people=False),
            Column("high", people=False),
        ]
        rows = [
            (number, name, text, one.proof, *(float(end) for end in _rows(one)[name].bounds))
            for number, (one, texts) in enumerate(zip(self.found, self.texts, strict=True), 1)
            for name, text in texts.items()
        ]
        return Report([Table(columns, rows, self.title, self.name, self.notes)])


def _rows(one: Solution) -> dict[str, Enclosure]:
    """The unknowns, and what is reached there."""
    return {**one.values, **({REACHED: one.reached} if one.reached is not None else {})}
