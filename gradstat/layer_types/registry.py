"""The table of all layers, by name."""

from gradstat.errors import UsageError, unknown
from gradstat.layer_types import activations  # noqa: F401  (fills ACTIVATIONS)
from gradstat.layer_types.branches import BRANCHES
from gradstat.layer_types.elementwise import ACTIVATIONS
from gradstat.layer_types.gates import GATES
from gradstat.layer_types.linear.convolution import CONVOLUTIONS
from gradstat.layer_types.linear.dense import LINEAR
from gradstat.layer_types.normalization import VECTORS
from gradstat.layer_types.record import Layer
from gradstat.layer_types.stochastic import STOCHASTIC
from gradstat.layer_types.windows.pooling import POOLING

LAYERS: dict[str, Layer] = ACTIVATIONS | {
    layer.name: layer for layer in (*POOLING, *GATES, *VECTORS, *BRANCHES, *STOCHASTIC, LINEAR, *CONVOLUTIONS)
}


def find(name: str) -> Layer:
    """The layer of this name or alias; UsageError with the closest name otherwise."""
    names = {alias: layer for layer in LAYERS.values() for alias in layer.aliases} | LAYERS
    if name not in names:
        raise UsageError(unknown("layer", name, names))
    return names[name]
