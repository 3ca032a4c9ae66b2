"""The table of all layers, and the names that people use for them."""

import re
from collections.abc import Mapping

from gradstat.assumptions import Input, Upstream
from gradstat.errors import UsageError, unknown
from gradstat.layer_types import activations  # noqa: F401  (fills ACTIVATIONS)
from gradstat.layer_types.branches import BRANCHES
from gradstat.layer_types.case import Case
from gradstat.layer_types.elementwise import ACTIVATIONS
from gradstat.layer_types.gates import GATES
from gradstat.layer_types.linear.convolution import CONVOLUTIONS
from gradstat.layer_types.linear.dense import LINEAR
from gradstat.layer_types.normalization import VECTORS
from gradstat.layer_types.record import Layer, Params
from gradstat.layer_types.stochastic import STOCHASTIC
from gradstat.layer_types.windows.pooling import POOLING

LAYERS: dict[str, Layer] = ACTIVATIONS | {
    layer.name: layer for layer in (*POOLING, *GATES, *VECTORS, *BRANCHES, *STOCHASTIC, LINEAR, *CONVOLUTIONS)
}
NO_PARAMETERS: Params = {}
_MODULE = re.compile(r"^(torch\.)?(nn\.)?(functional\.|F\.)?")  # of PyTorch, as people import it


def names() -> dict[str, tuple[Layer, Params]]:
    """Every name, alias and preset, with its layer and the parameters that it stands for."""
    known = {alias: (layer, NO_PARAMETERS) for layer in LAYERS.values() for alias in layer.aliases}
    known |= {name: (layer, params) for layer in LAYERS.values() for name, params in layer.presets.items()}
    return known | {name: (layer, NO_PARAMETERS) for name, layer in LAYERS.items()}


def resolve(name: str) -> tuple[Layer, Params]:
    """The layer of a name and the parameters that the name implies; UsageError with the closest name otherwise.

    `gelu`, `GELU`, `torch.nn.GELU` and `F.gelu` are one layer, `gelu_tanh` the same with `approximate = "tanh"`.
    """
    known = names()
    entry = _entry(name, known)
    if entry is None:
        raise UsageError(unknown("layer", _MODULE.sub("", name), known))
    return entry


def spelling(name: str) -> str:
    """A name without PyTorch's module, case, underscores and hyphens: `torch.nn.LeakyReLU` → `leakyrelu`."""
    return re.sub("[_-]", "", _MODULE.sub("", name).casefold())


def is_name(name: str) -> bool:
    """True for every name of a layer, as `resolve` knows them."""
    return _entry(name, names()) is not None


def _entry(name: str, known: Mapping[str, tuple[Layer, Params]]) -> tuple[Layer, Params] | None:
    if name in known:
        return known[name]
    spelled = {spelling(other): entry for other, entry in known.items()}
    torch = {spelling(layer.torch): (layer, NO_PARAMETERS) for layer in LAYERS.values() if layer.torch}
    return (torch | spelled).get(spelling(name))


def find(name: str) -> Layer:
    """The layer of a name, without the parameters that the name may imply; UsageError as `resolve`."""
    return resolve(name)[0]


def case_of(name: str, given: Params = NO_PARAMETERS, x: Input | None = None, dy: Upstream | None = None) -> Case:
    """The case of a name and its parameters; UsageError for an unknown name."""
    layer, implied = resolve(name)
    return Case(layer, {**implied, **given}, x or Input(), dy or Upstream())
