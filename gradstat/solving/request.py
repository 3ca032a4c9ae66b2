"""The unknowns of a request: names with a start, a bracket, or neither."""

from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import Any

from gradstat import arithmetic
from gradstat.errors import UsageError, quoted
from gradstat.layer_types.case import Case
from gradstat.layer_types.registry import is_name
from gradstat.solving.problem import number

LONGEST = 4000  # characters of a formula
Wanted = Mapping[str, Fraction | tuple[Fraction, Fraction] | None]  # a start, a bracket, or neither


def wanted_of(unknowns: str | Sequence[str] | Mapping[str, Any]) -> Wanted:
    """`"input.std=0.5..2"`, or a mapping such as {"input.std": (0.5, 2)}, or a list of names."""
    if isinstance(unknowns, Mapping):
        return {str(name): _range(value) for name, value in unknowns.items()}
    result: dict[str, Fraction | tuple[Fraction, Fraction] | None] = {}
    for text in [unknowns] if isinstance(unknowns, str) else unknowns:
        name, equals, value = (part.strip() for part in text.partition("="))
        if not all(part.isidentifier() for part in name.split(".")):
            raise UsageError(f"--for {text}: {quoted(name)} is no name; expected NAME, NAME=START or NAME=LOW..HIGH")
        if name in result:
            raise UsageError(f"--for {text}: {name} is given twice")
        low, dots, high = value.partition("..")
        result[name] = (number(low), number(high)) if dots else number(value) if equals else None
    return result


def _range(value: Any) -> Fraction | tuple[Fraction, Fraction] | None:
    if value is None:
        return None
    if isinstance(value, tuple | list):
        if len(value) != 2:
            raise UsageError(f"a bracket has two ends, not {len(value)}")
        return number(str(value[0])), number(str(value[1]))
    return number(str(value))


def placeholders(layer: str | Case | Any, wanted: Wanted, parameters: Mapping[str, Any]) -> dict[str, float]:
    """Values for the unknowns that a formula names, with which it is read."""
    for name in wanted:
        if name in parameters:
            raise UsageError(f"{name} is an unknown and has the value {parameters[name]}; give one of the two")
    if not isinstance(layer, str) or is_name(layer):
        return {}
    try:
        names = {token.text for token in arithmetic.parse(layer, LONGEST).tokens if token.kind == "name"}
    except UsageError:
        return {}  # the formula is refused where it is read
    return {name: _placeholder(value) for name, value in wanted.items() if name in names}


def _placeholder(value: Fraction | tuple[Fraction, Fraction] | None) -> float:
    if isinstance(value, tuple):
        return float((value[0] + value[1]) / 2)
    return 1.0 if value is None else float(value)
