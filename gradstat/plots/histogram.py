"""Histograms of y and dx, with the normal distribution of equal mean and σ."""

import math
from typing import Any

import numpy as np

from gradstat.estimation.sample_values import values
from gradstat.layer_types.case import Case
from gradstat.layer_types.record import ALL, BACKWARD, FORWARD
from gradstat.plots.kinds import Request
from gradstat.plots.style import BLACK, BLUE, GREEN, PAPER, VERMILLION, figure
from gradstat.text.uncertain import Uncertain

ROUNDING = 1e-14  # of σ: a smaller standard error is that of floats
BINS = 120
REACH = 4.5  # standard deviations
ATOM = 0.005  # a value with at least this fraction of the draws is an atom, drawn as a stem
MOST_ATOMS = 4
MOST_VALUES = 2**23  # values per panel: 64 MB
PANELS = ((FORWARD, "y", BLUE), (BACKWARD, "dx", GREEN))


def draw(request: Request) -> Any:
    """Two panels per layer: y and dx."""
    picture = figure(9.0, 0.5 + 2.9 * len(request.cases))
    axes = picture.subplots(len(request.cases), 2, squeeze=False)
    for line, case in zip(axes, request.cases, strict=True):
        for panel, (direction, letter, color) in zip(line, PANELS, strict=True):
            _panel(panel, case, direction, letter, color, request)
    handles, labels = axes[0][0].get_legend_handles_labels()
    picture.legend(handles[:1], labels[:1], loc="outside lower center")
    return picture


def _panel(panel: Any, case: Case, direction: str, letter: str, color: str, request: Request) -> None:
    row = next(row for row in case.shape.rows if row.direction == direction and row.cell == ALL)
    draws = min(request.samples, max(MOST_VALUES // max(case.shape.n_in, case.shape.n_out), 1))
    table = values(case, row, draws, request.seed)
    moments = summary(table)
    sample = table.ravel() + 0.0  # turns −0 into 0
    mean, std = float(sample.mean()), float(sample.std())
    atoms = atoms_of(sample)
    low, high = window(sample, mean, std)
    panel.set_xlim(low, high)
    rest = sample[~np.isin(sample, [value for value, _ in atoms])]
    counts, edges = np.histogram(rest, edges_of(sample, low, high))
    density = counts / (sample.size * np.diff(edges))
    panel.stairs(density, edges, fill=True, color=color, alpha=0.45)
    panel.stairs(density, edges, color=color, linewidth=1.0)
    if std > 0.0:
        grid = np.linspace(low, high, 400)
        normal = np.exp(-0.5 * ((grid - mean) / std) ** 2) / (math.sqrt(2.0 * math.pi) * std)
        panel.plot(grid, normal, color=BLACK, linestyle=(0, (5, 2)), linewidth=1.4, label="normal, same mean and σ")
        panel.set_ylim(0.0, 1.3 * max(float(normal.max()), float(density.max())))
    _stems(panel, atoms, (low, high))
    panel.set_title(f"{case.label}: {letter}")
    panel.set_xlabel(f"{letter}      {moments}")
    panel.set_ylabel("probability density")


def atoms_of(sample: Any) -> list[tuple[float, float]]:
    """The values that many draws have, each with its fraction of the draws: the zeros of relu, the ends of hardtanh."""
    distinct, counts = np.unique(sample, return_counts=True)
    order = np.argsort(-counts, kind="stable")[:MOST_ATOMS]
    fractions = [(float(distinct[i]), float(counts[i]) / sample.size) for i in order]
    return [(value, fraction) for value, fraction in fractions if fraction >= ATOM]


def window(sample: Any, mean: float, std: float) -> tuple[float, float]:
    """The limits of the panel: 4.5 σ from the mean, but no wider than the sample and the bulk of the normal."""
    if std == 0.0:
        return mean - 1.0, mean + 1.0
    low = max(float(sample.min()), mean - REACH * std)
    high = min(float(sample.max()), mean + REACH * std)
    return min(low, mean - 2.8 * std), max(high, mean + 2.8 * std)


def edges_of(sample: Any, low: float, high: float) -> Any:
    """The edges of the bars. One edge is at the smallest or largest value if it is visible, otherwise at 0."""
    least, most = float(sample.min()), float(sample.max())
    if low < least < most < high:
        return np.linspace(least, most, max(20, round(BINS * (most - least) / (high - low))) + 1)
    width = (high - low) / BINS
    anchor = least if least > low else most if most < high else 0.0
    return anchor + width * np.arange(math.floor((low - anchor) / width), math.ceil((high - anchor) / width) + 1)


def summary(table: Any) -> str:
    """`E = 0.3985 ± 0.0006, σ = 0.5838 ± 0.0005` of values[slot, draw]; errors count draws, not slots."""
    mean, std = float(table.mean()), float(table.std())
    if std == 0.0:
        return f"E = {mean:g}, σ = 0"
    root = math.sqrt(table.shape[1])
    mean_se = float(table.mean(axis=0).std()) / root
    std_se = float(((table - mean) ** 2).mean(axis=0).std()) / (2.0 * std * root)
    if mean_se <= ROUNDING * std:  # the slots of every draw have the same sum, e.g. 0
        mean, mean_se = (0.0 if abs(mean) <= ROUNDING * std else mean), 0.0
    return f"E = {Uncertain(mean, mean_se).text},  σ = {Uncertain(std, std_se).text}".replace("-", "−")


def _stems(panel: Any, atoms: list[tuple[float, float]], ends: tuple[float, float]) -> None:
    """Draw each atom, which has no density, as an arrow with its fraction of the draws."""
    top = panel.get_ylim()[1]
    for number, (value, fraction) in enumerate(sorted(atoms)):
        left = value - ends[0] < 0.75 * (ends[1] - ends[0])
        height = top * (0.95 - 0.11 * number)
        panel.plot([value, value], [0.0, height], color=VERMILLION, linewidth=1.8, solid_capstyle="butt")
        panel.plot([value], [height], color=VERMILLION, marker="^", markersize=5, clip_on=False)
        panel.annotate(
            f"{100.0 * fraction:.1f} % are {value:.4g}".replace("-", "−"),
            (value, height),
            xytext=(7 if left else -7, 0),
            textcoords="offset points",
            ha="left" if left else "right",
            va="center",
            fontsize=9,
            color="#8A3C00",
            bbox=PAPER,
        )
