"""Activations in expressions: the formula and the derivative of a record, traced onto the tape."""

from collections.abc import Mapping, Sequence
from functools import cache

from gradstat.errors import UsageError, unknown
from gradstat.layer_types import activations  # noqa: F401  (fills ACTIVATIONS)
from gradstat.layer_types.elementwise import ACTIVATIONS
from gradstat.layer_types.expression.functions import FUNCTIONS, named
from gradstat.layer_types.expression.tape import Call, Tape, X
from gradstat.layer_types.record import Layer


@cache
def by_name() -> Mapping[str, Layer]:
    """Name or alias → activation."""
    aliases = {alias: layer for layer in ACTIVATIONS.values() for alias in layer.aliases}
    return aliases | ACTIVATIONS


@cache
def by_torch_name() -> Mapping[str, str]:
    """The last part of PyTorch's name → the name of the record."""
    return {layer.torch.rpartition(".")[2]: layer.name for layer in ACTIVATIONS.values() if layer.torch}


def activation_steps(
    tape: Tape, name: str, u: int, values: Sequence[int] = (), options: Mapping[str, int | str] | None = None
) -> int:
    """The step of activation(u), its parameters by position or by name; each is a step, or a word."""
    from gradstat.layer_types.expression.trace import Tracer

    layer = by_name()[name]
    given = _given(layer, values, options or {})
    params = layer.resolve({key: _settled(tape, layer, key, value) for key, value in given.items()})
    constants = [
        Tracer(tape, value) if isinstance(value := given.get(p.name), int) else params[p.name]
        for p in layer.parameters
        if not isinstance(params[p.name], str)
    ]
    y, slope = layer.kernel(params)(Tracer(tape, u), *constants)
    x = Tracer(tape, u)
    value, derivative = x.of(y), x.of(slope)
    if value != u:
        tape.slopes.setdefault(value, (u, derivative))
    return named(tape, value, Call(layer.name, (u,), _written(tape, layer, given)))


def _given(layer: Layer, values: Sequence[int], options: Mapping[str, int | str]) -> dict[str, int | str]:
    names = [parameter.name for parameter in layer.parameters]
    if len(values) > len(names):
        raise UsageError(f"{layer.name} takes {1 + len(names)} arguments at most, not {1 + len(values)}")
    given: dict[str, int | str] = dict(zip(names, values, strict=False))
    for key, value in options.items():
        if key not in names:
            raise UsageError(unknown(f"parameter of {layer.name}", key, names))
        if key in given:
            raise UsageError(f"{layer.name}: {key} is given twice")
        given[key] = value
    return given


def _written(tape: Tape, layer: Layer, given: Mapping[str, int | str]) -> tuple[tuple[str, int | str], ...]:
    """The parameters to write: those that differ from the default, or all if FUNCTIONS also has the name."""
    default = {parameter.name: parameter.default for parameter in layer.parameters}
    return tuple(
        (key, value)
        for key, value in given.items()
        if layer.name in FUNCTIONS or default[key] != (value if isinstance(value, str) else tape.number_at(value))
    )


def _settled(tape: Tape, layer: Layer, key: str, value: int | str) -> float | str:
    """The number of a parameter, for checks; its default if it is a parameter of the expression."""
    if isinstance(value, str):
        return value
    if any(tape.steps[index].operation == X for index in tape.reached(value)):
        raise UsageError(f"{layer.name}: {key} depends on x; a number is expected")
    number = tape.number_at(value)
    if number is not None:
        return number
    return float(next(p.default for p in layer.parameters if p.name == key))
