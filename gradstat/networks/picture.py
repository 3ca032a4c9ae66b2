"""A picture of σ against depth: signal left, gradient right, one row per architecture, one line per scheme."""

import math
from typing import Any

import numpy as np
from matplotlib.artist import Artist
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import LogLocator, MaxNLocator, NullLocator

from gradstat.networks.growth import RANGE
from gradstat.networks.outcome import Combination, Outcome
from gradstat.plots.style import GREY, figure, line_styles

FLOOR, CEILING = 1e-6, 1e6  # a line beyond them leaves the panel; the table has its end
BAND = "#F1F1F1"  # the range of "stable", drawn below the lines
MARKS = 9  # at most, predictions shown along a line


def draw(outcome: Outcome) -> Any:
    """A figure with measured σ as lines, and the prediction from single layers as rings."""
    names, schemes = outcome.names(), outcome.schemes()
    picture = figure(8.6, 0.9 + 1.75 * len(names))
    panels = picture.subplots(len(names), 2, sharex=True, sharey="row", squeeze=False)
    styles = dict(zip(schemes, line_styles(len(schemes)), strict=True))
    for name, pair in zip(names, panels, strict=True):
        combinations = [c for c in outcome.combinations if c.network.name == name]
        for panel, forward in zip(pair, (True, False), strict=True):
            for combination in combinations:
                _line(panel, combination, forward, styles[combination.scheme])
            panel.axhspan(1.0 / RANGE, RANGE, color=BAND, zorder=0)
            panel.set_yscale("log")
            panel.xaxis.set_major_locator(MaxNLocator(integer=True))
        pair[0].set_ylim(*_limits(combinations))
        for panel in pair:
            panel.yaxis.set_major_locator(LogLocator(numticks=6))
            panel.yaxis.set_minor_locator(NullLocator())
        pair[0].set_ylabel(name)
    panels[0][0].set_title("signal σ[y], input → output")
    panels[0][1].set_title("gradient σ[dx], input ← output")
    for panel in panels[-1]:
        panel.set_xlabel("level")
    handles: list[Artist] = [Line2D([], [], label=scheme, **style) for scheme, style in styles.items()]
    handles.append(Line2D([], [], color=GREY, linestyle="", marker="o", markerfacecolor="none", label="predicted"))
    handles.append(Patch(facecolor=BAND, label=f"in range: within {RANGE:g}×"))
    picture.legend(handles=handles, loc="outside upper center", ncols=5, fontsize=9)
    return picture


def _line(panel: Any, combination: Combination, forward: bool, style: dict[str, Any]) -> None:
    """One scheme: the mean over networks, and rings for the prediction."""
    sigmas, predicted = combination.curve(forward)
    levels = np.arange(1, sigmas.shape[1] + 1)
    with np.errstate(all="ignore"):
        panel.plot(levels, sigmas.mean(axis=0), linewidth=1.5, **style)
    step = max(1, math.ceil(len(levels) / MARKS))
    offset = step // 2
    rings = {"color": style["color"], "markerfacecolor": "none", "markersize": 4.5, "markeredgewidth": 0.9}
    panel.plot(levels[offset::step], predicted[offset::step], "o", **rings)


def _limits(combinations: list[Combination]) -> tuple[float, float]:
    """The limits of σ that both panels of a row share."""
    with np.errstate(all="ignore"):
        seen = np.concatenate([c.curve(forward)[0].mean(axis=0) for c in combinations for forward in (True, False)])
    positive = seen[np.isfinite(seen) & (seen > 0.0)]
    low, high = (float(positive.min()), float(positive.max())) if len(positive) else (1.0, 1.0)
    return max(FLOOR, min(low / 1.6, 0.5 / RANGE)), min(CEILING, max(high * 1.6, 2.0 * RANGE))
