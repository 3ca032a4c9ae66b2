"""One line per architecture and scheme, for people, and what its columns mean."""

import math

import numpy as np

from gradstat.networks.growth import RANGE, Growth
from gradstat.networks.outcome import Combination, Outcome
from gradstat.networks.prose import NOTHING, listed, over_networks, shown

HEADER = (
    *("network", "scheme", "σ[y] at the top", "per level", "forward", "σ[dx] at the bottom", "per level"),
    *("backward", "rank", "dead", "cosine", "ratio"),
)


def cells(combination: Combination) -> list[str]:
    """One line of the summary."""
    forward, backward = combination.growth(True), combination.growth(False)
    return [
        combination.network.name,
        combination.scheme,
        over_networks(combination.end(True)),
        _rate(forward),
        forward.verdict,
        over_networks(combination.end(False)),
        _rate(backward),
        backward.verdict,
        shown(*combination.last("rank")),
        shown(*combination.last("dead")),
        _plain(combination.worst_cosine()),
        _plain(combination.first("ratio")[0]),
    ]


def notes(outcome: Outcome) -> list[str]:
    """What the columns mean."""
    one = outcome.combinations[0]
    shape = "×".join(map(str, one.network.features))
    found = [
        f"{outcome.title}: {one.networks} networks each, batch {one.batch}, x of {shape} features, "
        f"seed {outcome.provenance['configuration']['seed']}; ± is one standard error over networks",
        f"per level: slope of ln σ as a factor, with its 95 % interval; stable: within {RANGE:g}× over the whole depth",
        f"rank: of the batch's y at the top, (Σλ)²/Σλ² over the eigenvalues of yyᵀ: up to {one.batch} where samples "
        "differ, 1 where all are alike or one outweighs the rest; dead: units of the last activation without slope",
        "cosine: the smallest between scaled and true gradient of a layer's weights; ratio: of their norms, lowest",
    ]
    twins = [pair for pair in _pairs(outcome.schemes()) if all(_same(outcome, name, *pair) for name in outcome.names())]
    return found + [f"{listed(pair)} are the same here, since every layer is square" for pair in twins]


def _pairs(schemes: list[str]) -> list[tuple[str, str]]:
    return [(a, b) for place, a in enumerate(schemes) for b in schemes[place + 1 :]]


def _same(outcome: Outcome, name: str, one: str, other: str) -> bool:
    a, b = outcome.find(name, one), outcome.find(name, other)
    return a is not None and b is not None and all(np.array_equal(a.curve(d)[0], b.curve(d)[0]) for d in (True, False))


def _rate(found: Growth) -> str:
    if math.isnan(found.rate):
        return NOTHING
    return f"{found.rate:.4f} [{found.low:.4f}, {found.high:.4f}]"


def _plain(value: float) -> str:
    return NOTHING if math.isnan(value) else f"{value:.4g}"
