"""Arithmetic of statistics, such as `forward.std / backward.std`.

Its terms, its value, and its derivatives for errors.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

from gradstat import arithmetic
from gradstat.arithmetic import Arithmetic
from gradstat.arithmetic_values import FLOATS, Dual, names, value_of
from gradstat.errors import UsageError, quoted, unknown, within
from gradstat.layer_types.record import BACKWARD, FORWARD
from gradstat.layer_types.statistics import KNOWN, UNSAMPLED

LONGEST = 200


@dataclass(frozen=True, order=True)
class Term:
    """One statistic of one direction."""

    direction: str
    statistic: str


Slopes = Mapping[Term, float]


@dataclass(frozen=True)
class Combination:
    """Arithmetic of terms; a plain statistic is a single term."""

    text: str
    source: Arithmetic
    direction: str
    names: tuple[str, ...]
    terms: tuple[Term, ...]

    @property
    def unsampled(self) -> tuple[Term, ...]:
        """The terms that are computed and never sampled."""
        return tuple(term for term in self.terms if term.statistic in UNSAMPLED)

    def at(self, values: Mapping[Term, float]) -> tuple[float, Slopes]:
        """The value for these values of the terms, and its derivative by each term; NaN if undefined."""
        terms = {name: _term(name, self.direction) for name in self.names}
        try:
            result = value_of(self.source, FLOATS, lambda name: Dual(values[terms[name]], {terms[name]: 1.0}))
        except (ArithmeticError, ValueError):
            return math.nan, dict.fromkeys(self.terms, math.nan)
        return result.value, result.slopes


@lru_cache(maxsize=1024)
def combination(text: str, direction: str = "") -> Combination:
    """The parsed arithmetic; a name without a direction has `direction`. UsageError for other text."""
    with within(f"statistic {quoted(text)}"):
        source = arithmetic.parse(text, LONGEST)
        used = tuple(dict.fromkeys(token.text for token in names(source, "statistics")))
        terms = tuple(sorted({_term(name, direction) for name in used}))
        if not terms:
            raise UsageError("the arithmetic contains no statistic of the layer")
    return Combination(text, source, direction, used, terms)


def _term(name: str, direction: str) -> Term:
    """`forward.std`, or `std` of a direction."""
    before, dot, after = name.partition(".")
    if dot and before not in (FORWARD, BACKWARD):
        raise UsageError(unknown("direction", before, (FORWARD, BACKWARD)))
    term = Term(before, after) if dot else Term(direction, name)
    if term.statistic not in KNOWN:
        raise UsageError(unknown("statistic", term.statistic, KNOWN))
    if not term.direction:
        raise UsageError(
            f"{name}: its direction is missing; write forward.{name} or backward.{name}, or give direction"
        )
    return term
