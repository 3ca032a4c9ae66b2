"""The table of an experiment for people: a row per architecture and scheme, and notes on what its columns mean."""

import math

import numpy as np

from gradstat.networks.growth import RANGE, Growth, mean_and_error
from gradstat.networks.outcome import Combination, Outcome
from gradstat.text.uncertain import Uncertain

NOTHING = "–"
ROUNDING = 1e-9  # relative; a smaller error is only the rounding of numbers that are equal in every network

HEADER = (
    *("network", "scheme", "σ[y] at the output", "per level", "forward", "σ[dx] at the input", "per level"),
    *("backward", "rank", "dead", "cosine", "ratio"),
)


def cells(combination: Combination) -> list[str]:
    """One line of the summary."""
    forward, backward = combination.growth(True), combination.growth(False)
    return [
        combination.network.name,
        combination.scheme,
        value_text(*mean_and_error(combination.end(True))),
        _rate(forward),
        forward.verdict,
        value_text(*mean_and_error(combination.end(False))),
        _rate(backward),
        backward.verdict,
        value_text(*combination.last("rank")),
        value_text(*combination.last("dead")),
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
        f"rank: effective rank of the batch at the output, (Σλ)²/Σλ² from the eigenvalues of yyᵀ, 1 to {one.batch}",
        "dead: fraction of the units of the last activation with slope 0 for every sample",
        "cosine: smallest cosine of a layer's scaled and true weight gradient; ratio: of their norms, first layer",
    ]
    twins = [pair for pair in _pairs(outcome.schemes()) if all(_same(outcome, name, *pair) for name in outcome.names())]
    return found + [f"{' and '.join(pair)} are the same here, since every layer is square" for pair in twins]


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


def value_text(value: float, error: float) -> str:
    """`2.36 ± 0.03`; the value alone if it is the same in every network; ∞ after an overflow; – without a value."""
    if math.isnan(value):
        return NOTHING
    if math.isinf(value):
        return "∞"
    return f"{value:.4g}" if error <= ROUNDING * abs(value) else Uncertain(value, error).text
