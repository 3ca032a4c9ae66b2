"""The table of kinds of blocks. A kind makes the operation that a table of the configuration describes."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from gradstat.errors import UsageError, unknown, within
from gradstat.layer_types.case import Case
from gradstat.layer_types.from_config import one_case
from gradstat.layer_types.record import FLAG, PROBABILITY, REAL, Domain, Parameter, whole
from gradstat.networks.operations import Conv2d, Features, Linear, Operation
from gradstat.networks.plain_operations import Activation, AvgPool2d, Dropout, MaxPool2d
from gradstat.toml_file import toml

LARGEST = 2**16
OPTIONAL = Domain(
    f"a whole number from 1 to {LARGEST}, or left out", lambda v: v is None or whole(1, LARGEST).contains(v)
)
WINDOW = whole(1, 64)
STRIDE = Domain("a whole number from 1 to 64, or left out", lambda v: v is None or WINDOW.contains(v))
TABLES = Domain(
    'a list of blocks, e.g. [{ kind = "linear" }]',
    lambda v: isinstance(v, list) and bool(v) and all(isinstance(table, dict) for table in v),
)
NAME = Domain("the name of a layer, in quotes", lambda v: v is None or isinstance(v, str))
Params = Mapping[str, Any]


@dataclass(frozen=True)
class BlockKind:
    """One kind of block: its formula, its parameters, and the operation it becomes for features of some shape.

    `build` is None for `residual`, which contains blocks. With `others`, further keys are parameters of the layer.
    """

    name: str
    description: str
    parameters: tuple[Parameter, ...] = ()
    build: Callable[[Params, Features], Operation] | None = None
    others: bool = field(default=False)

    def resolve(self, given: Params) -> dict[str, Any]:
        """Every parameter with its value; UsageError for an unknown name or a value that is not allowed."""
        names = [parameter.name for parameter in self.parameters]
        for name in given:
            if name not in names and not self.others:
                raise UsageError(unknown(f"key of {self.name}", name, names))
        for parameter in self.parameters:
            value = given.get(parameter.name, parameter.default)
            if not parameter.domain.contains(value):
                given_value = f"= {toml(value)} is not allowed" if parameter.name in given else "is missing"
                raise UsageError(
                    f"{self.name}: {parameter.name} {given_value}; expected {parameter.domain.description}"
                )
        return {parameter.name: parameter.default for parameter in self.parameters} | dict(given)


def _activation(params: Params, source: Features) -> Operation:
    """The elementwise layer with the given name or expression."""
    if params["name"] is None and "expression" not in params:
        raise UsageError('activation: name is missing; add one, e.g. name = "relu", or activations = [...] above it')
    table = {key: value for key, value in params.items() if key != "name" or value is not None}
    with within("activation"):
        case = one_case(table, None, None)
    if not case.layer.elementwise:
        raise UsageError(f"activation: {case.layer.name} is not elementwise; see gradstat list layers")
    return Activation(source, Case(case.layer, case.given))


def _max_pool(params: Params, source: Features) -> Operation:
    return MaxPool2d(source, params["kernel_size"], params["stride"] or params["kernel_size"])


def _avg_pool(params: Params, source: Features) -> Operation:
    return AvgPool2d(source, params["kernel_size"], params["stride"] or params["kernel_size"])


def _conv(params: Params, source: Features) -> Operation:
    channels = params["channels"] or source[0]
    return Conv2d(source, channels, params["kernel_size"], params["stride"], params["padding"])


POOLING = (Parameter("kernel_size", 2, WINDOW), Parameter("stride", None, STRIDE))
KINDS: dict[str, BlockKind] = {
    kind.name: kind
    for kind in (
        BlockKind(
            "linear",
            "y = Wx; the default width is that of its input",
            (Parameter("width", None, OPTIONAL),),
            lambda params, source: Linear(source, params["width"] or math.prod(source)),
        ),
        BlockKind(
            "conv2d",
            "y = Σ w·x over windows, zeros around the map; by default as many channels as its input",
            (
                Parameter("channels", None, OPTIONAL),
                Parameter("kernel_size", 3, WINDOW),
                Parameter("stride", 1, WINDOW),
                Parameter("padding", 0, whole(0, 32)),
            ),
            _conv,
        ),
        BlockKind("activation", "y = f(x), any elementwise layer", (Parameter("name", None, NAME),), _activation, True),
        BlockKind("max_pool2d", "y = the maximum of each window", POOLING, _max_pool),
        BlockKind("avg_pool2d", "y = the mean of each window", POOLING, _avg_pool),
        BlockKind(
            "dropout",
            "y = r·x, r = 0 with probability p",
            (Parameter("p", 0.5, PROBABILITY), Parameter("inverted", True, FLAG)),
            lambda params, source: Dropout(source, float(params["p"]), params["inverted"]),
        ),
        BlockKind(
            "residual",
            "y = x + weight·branch(x)",
            (Parameter("weight", 1.0, REAL), Parameter("branch", None, TABLES)),
        ),
    )
}


def kind_of(table: Params) -> BlockKind:
    """The kind that a table names; UsageError with the closest name if there is none."""
    if "kind" not in table:
        raise UsageError(f"kind is missing; expected one of {', '.join(KINDS)}")
    name = table["kind"]
    if not isinstance(name, str) or name not in KINDS:
        raise UsageError(unknown("kind of block", str(name), KINDS))
    return KINDS[name]
