"""What scaling the backward pass alone does to the gradient of the weights."""

import math
from collections.abc import Sequence

from gradstat.networks.outcome import Combination, Outcome, everything
from gradstat.networks.prose import ROUNDING, listed, over_networks, paragraph, shown, table

HEADER = (
    *("network", "scheme", "scaled σ[dx] at the bottom", "smallest cosine of a layer"),
    *("scaled over true norm, lowest layer", "cosine of all weights together"),
)
SCALARS = (
    "A layer's backward scale multiplies everything below it by one number. Where layers stand in a row, the scaled "
    "gradient of a layer's weights is the true one times the product of the scales above it: same direction, another "
    "length. Mean subtraction and dropout do not enter that product. Where a path splits and joins again, as in a "
    "residual block, the branch is multiplied by its own scales and the skip path is not; the sum of two differently "
    "scaled vectors points elsewhere."
)
LENGTHS = (
    "The last column is the price where directions are kept: all layers together, the step is no longer the steepest "
    "one. It is gradient descent with a learning rate of its own for each layer, the ratio of the scales; an optimizer "
    "that divides each weight's gradient by its own size takes the same steps with and without it."
)


def turned(one: Combination) -> bool:
    """Whether the scaled gradient of some layer points elsewhere than the true one."""
    return one.worst_cosine() < 1.0 - ROUNDING


def price(outcomes: Sequence[Outcome]) -> list[str]:
    """Cosine and ratio of the scaled and the true gradient, for every scheme that has both."""
    scaled = [one for one in everything(outcomes) if not math.isnan(one.worst_cosine())]
    if not scaled:
        return []
    rows = [
        [
            one.network.name,
            one.scheme,
            over_networks(one.end(False)),
            f"{one.worst_cosine():.4f}" if turned(one) else "1",
            shown(*one.first("ratio")),
            shown(*one.whole),
        ]
        for one in scaled
    ]
    kept, bent = ([one.network.name for one in scaled if turned(one) is wanted] for wanted in (False, True))
    told = f"Direction of every layer kept, to rounding: {listed(kept)}. Turned: {listed(bent)}."
    return [paragraph(SCALARS), table(HEADER, rows), paragraph(told), paragraph(LENGTHS)]
