"""How far the prediction from single layers holds: within the first levels, and where a pass ends."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from gradstat.estimation.student import quantile
from gradstat.networks.network import Leaf
from gradstat.networks.operations import Conv2d
from gradstat.networks.outcome import Combination, Outcome, everything
from gradstat.networks.plain_operations import MaxPool2d
from gradstat.networks.prose import NOTHING, paragraph, table

CLOSE = 1.5  # measured over predicted, or its inverse: what counts as agreement where a network ends
FIRST = 10  # levels that a pass goes through first
SHOWN = ("none", "he", "forward")
CHANCE = 0.05  # that any cell of the table of first levels is marked without reason


@dataclass(frozen=True)
class Departure:
    """The level of a pass where measured and predicted σ differ by the most standard errors."""

    relative: float  # measured/predicted − 1
    errors: float  # the same in standard errors


def departure(one: Combination, forward: bool, levels: int = FIRST) -> Departure | None:
    """Within the first levels of a pass; None where nothing is predicted or networks do not differ."""
    sigmas, predicted = one.curve(forward)
    if not forward:
        sigmas, predicted = sigmas[:, ::-1], predicted[::-1]
    sigmas, predicted = sigmas[:, :levels], predicted[:levels]
    with np.errstate(all="ignore"):
        away = sigmas.mean(axis=0) - predicted
        errors = np.abs(away) / (sigmas.std(axis=0, ddof=1) / math.sqrt(one.networks))
        relative = away / predicted
    known = np.isfinite(errors) & np.isfinite(relative)
    if not known.any():
        return None
    place = int(np.argmax(np.where(known, errors, -1.0)))
    return Departure(float(relative[place]), float(errors[place]))


def parting(outcomes: Sequence[Outcome]) -> list[str]:
    """Both tables."""
    intro = (
        "The rings in the pictures follow from the constants of single layers alone: units taken as normal and "
        "independent, infinitely many of them."
    )
    return [paragraph(intro), *_first_levels(outcomes), *_ends(outcomes)]


def _first_levels(outcomes: Sequence[Outcome]) -> list[str]:
    """Every architecture under the schemes whose constants need no depth."""
    schemes = [scheme for scheme in SHOWN if any(one.scheme == scheme for one in everything(outcomes))]
    if not schemes:
        return []
    compared = [one for one in everything(outcomes) if one.scheme in schemes]
    count = sum(2 * min(FIRST, one.network.depth) for one in compared)
    bounds = {n: quantile(1.0 - 0.5 * CHANCE / count, n - 1) for n in {one.networks for one in compared}}
    rows = []
    for outcome in outcomes:
        for name in outcome.names():
            own = {scheme: outcome.find(name, scheme) for scheme in schemes}
            rows.append([outcome.title, name, *(_cell(one, bounds) if one else "" for one in own.values())])
    limits = ", ".join(f"{bound:.1f}" for bound in bounds.values())
    text = (
        f"Through its first {FIRST} levels (or all, where there are fewer) a pass departs from the prediction by so "
        "much at the level where it departs most, counted in standard errors (in brackets). **Bold**: beyond "
        f"{limits}, which chance alone would reach in {100.0 * CHANCE:g} % of such "
        "tables. The first levels of a gradient are the top ones, where the signal may have departed already."
    )
    return [paragraph(text), table(["", "network", *schemes], rows)]


def _cell(one: Combination, bounds: dict[int, float]) -> str:
    found = {"y": departure(one, True), "dx": departure(one, False)}
    return ", ".join(f"{name} {_departed(own, bounds[one.networks])}" for name, own in found.items())


def _departed(own: Departure | None, bound: float) -> str:
    if own is None:
        return NOTHING
    text = f"{100.0 * own.relative:+.1f} % ({own.errors:.1f})".replace("-", "−")
    return f"**{text}**" if own.errors > bound else text


def _ends(outcomes: Sequence[Outcome]) -> list[str]:
    """Measured over predicted σ where the pass ends, of every combination that is off."""
    found = everything(outcomes)
    off = [one for one in found if not _is_close(one)]
    close = f"{len(found) - len(off)} of {len(found)} combinations of network and scheme"
    text = f"Where the pass ends, measured and predicted σ are within a factor of {CLOSE:g} for {close}"
    if not off:
        return [paragraph(f"{text}. {_reasons(found)}")]
    header = ["network", "scheme", "σ[y] at the top, measured/predicted", "σ[dx] at the bottom, measured/predicted"]
    rows = [[one.network.name, one.scheme, f"{one.parted(True):.3g}", f"{one.parted(False):.3g}"] for one in off]
    return [paragraph(f"{text}. The others:"), table(header, rows), paragraph(_reasons(found))]


def _reasons(found: Sequence[Combination]) -> str:
    """What the prediction leaves out of networks like these."""
    text = (
        "A network of finite width fluctuates; the fluctuations add up with depth, and the mean over networks is then "
        "ruled by the largest."
    )
    operations = [node.operation for one in found for node in one.network.rows() if isinstance(node, Leaf)]
    if any(isinstance(one, MaxPool2d) for one in operations):
        text += " Behind max pooling, units are neither normal nor independent of their neighbours."
    if any(isinstance(one, Conv2d) and one.padding > 0 for one in operations):
        text += " Zeros around a map give its border another σ than its middle."
    return text


def _is_close(one: Combination) -> bool:
    ratios = (one.parted(True), one.parted(False))
    return all(0.0 < ratio < math.inf and abs(math.log(ratio)) < math.log(CLOSE) for ratio in ratios)
