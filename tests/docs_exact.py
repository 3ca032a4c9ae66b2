"""The exact values that are numeric or unknown: every layer, distribution of x and direction, grouped."""

from collections import defaultdict
from collections.abc import Iterable, Mapping

from gradstat.assumptions import Input
from gradstat.distributions import DISTRIBUTIONS
from gradstat.layer_types.case import Case
from gradstat.layer_types.record import ALL, FORWARD, Layer
from gradstat.layer_types.registry import LAYERS
from gradstat.layer_types.statistics import exact_number
from gradstat.text.uncertain import NUMERIC

LETTERS = {"mean": "E", "std": "σ", "mad": "MAD"}
UNKNOWN = "none"
SHIFTED = 2.0  # the mean of a uniform x of σ 1 that is never negative, for layers that take no other
Quantity = tuple[str, str]  # `σ[dx]`, and what its exact value is worth


def not_proven() -> list[tuple[str, str, str, str]]:
    """(exact value, quantities, distributions of x, layers): one row for each set of layers that have this alike."""
    members: dict[tuple[str, str, str], list[str]] = defaultdict(list)
    for layer in LAYERS.values():
        laws_of: dict[Quantity, list[str]] = defaultdict(list)
        for law in DISTRIBUTIONS:
            for quantity in quantities(layer, law):
                laws_of[quantity].append(law)
        for (worth, laws), letters in alike(laws_of).items():
            members[worth, ", ".join(letters), laws].append(layer.name)
    return [(*key, ", ".join(f"`{name}`" for name in names)) for key, names in sorted(members.items())]


def quantities(layer: Layer, law: str) -> Iterable[Quantity]:
    """The E, σ and MAD of y and dx of a layer that are numeric or unknown for x with σ = 1."""
    if layer.negative_input_error(Case(layer).params) and DISTRIBUTIONS[law].lowest == float("-inf"):
        return
    mean = SHIFTED if layer.negative_input_error(Case(layer).params) else 0.0
    case = Case(layer, {}, Input(distribution=law, mean=mean))
    for row in case.shape.rows:
        exact = case.moments(row) if row.cell == ALL else None
        for name, letter in LETTERS.items() if row.cell == ALL else ():
            number = None if exact is None else exact_number(name, exact)
            worth = UNKNOWN if number is None else number.kind
            if worth in (UNKNOWN, NUMERIC):
                yield f"{letter}[{'y' if row.direction == FORWARD else 'dx'}]", worth


def alike(laws_of: Mapping[Quantity, Iterable[str]]) -> dict[tuple[str, str], list[str]]:
    """The quantities of a layer by their worth and the distributions for which they have it."""
    groups: dict[tuple[str, str], list[str]] = defaultdict(list)
    for (letter, worth), laws in laws_of.items():
        names = list(laws)
        groups[worth, "all" if len(names) == len(DISTRIBUTIONS) else ", ".join(names)].append(letter)
    return groups
