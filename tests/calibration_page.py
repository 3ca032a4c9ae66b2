"""docs/calibration.md and its picture, from the counts of tests/calibrate.py."""

import math
import textwrap
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import beta, binom

from gradstat.layer_types.registry import LAYERS
from gradstat.plots.style import BLUE, GREEN, ORANGE, VERMILLION, figure

DOCS = Path(__file__).parents[1] / "docs"
STATISTICS = ("mean", "std", "second_moment", "abs_mean", "mad")
COVERAGE = 0.95
CHANCE = 1e-4  # with which a count of covering intervals falls below its bound
ROUNDED = 1e-13  # an error below is one of rounding: the mean of a softmax is a constant
WIDTH = 120  # of the text
LONG = 1.25  # times the length that would just do
LISTED = 15  # rows of a table
COLORS = dict(zip(STATISTICS, (BLUE, VERMILLION, ORANGE, GREEN, "black"), strict=True))


def write(counts: pd.DataFrame, measured: dict[str, Any], awkward: Sequence[str]) -> None:
    """Write the page and the picture."""
    table = judged(counts)
    draw(table, awkward)
    (DOCS / "calibration.md").write_text(page(table, measured, awkward), encoding="utf-8")


def judged(counts: pd.DataFrame) -> pd.DataFrame:
    """Coverage among the error bars that are shown, its lowest acceptable value, and the lengths in use."""
    table = counts.copy()
    shown = table["shown"].where(table["shown"] > 0)
    table["coverage"] = table["covered"] / shown
    table["lowest"] = binom.ppf(CHANCE, table["shown"], COVERAGE) / shown
    just = 1.959964 * (table["squared_error"] / table["seeds"]) ** 0.5
    table["length_ratio"] = table["length"] / shown / just.where(just > 0.0)
    table["share"] = table["shown"] / table["seeds"]
    table["misses_of_all"] = (table["shown"] - table["covered"]) / table["seeds"]
    return table


def page(table: pd.DataFrame, measured: dict[str, Any], awkward: Sequence[str]) -> str:
    """The page: what holds, and where it does not."""
    sizes = sorted(table["draws"].unique())
    return f"""# Calibration

gradstat promises that 95 % of its 95 % intervals contain the exact value, and that a correct program raises a false
alarm in at most one of a million runs. This page measures both. `make calibrate` writes it; the counts of this one took
{measured["seconds"]:,} s.

{textwrap.fill(which(awkward), WIDTH)}

## False alarms

A run with a new seed is a new experiment. An alarm of these commands is false, since every layer and the claim are
correct. The last column is an upper bound for the probability of a false alarm, at a confidence of 95 %.

{chr(10).join(alarm_lines(measured["alarms"]))}

`run` samples all shipped layers and compares them with their exact values. `diff` compares two such runs with different
seeds. `verify` judges, by sampling alone, a claim about σ[dx] of layer_norm with n = 4 and eps = 1e-6, whose fourth
moment is nearly infinite; the claim is true, at the very edge of its interval. The command itself decides this claim by
the exact value, which is known. With such tails and no exact value, a sample does not keep the promise above.

## Coverage of 95 % intervals

An interval is the estimate ± t·(standard error), with t of Student's distribution for the degrees of freedom of the
row (columns `mean_df`, `std_df`, … of a result file). The grey band in the picture contains 99.98 % of the counts if
the coverage is exactly 95 %. Points above it belong to intervals that are longer than necessary.

![Coverage of 95 % intervals in percent, layer by layer, at {len(sizes)} sizes](calibration.png)

{chr(10).join(coverage_lines(table))}

{low_coverage(table)}

## Intervals that are longer than necessary

The length of an interval is compared with that of ± 1.96·(root mean square error), which a normal estimate needs.
{long_intervals(table)}

## Statistics without an error bar

An estimate that rests on a few draws is shown without an error bar, and is never judged. More draws give it one, unless
its moment does not exist. The table lists the share of seeds in which a statistic of a row has an error bar, to 5 %,
where it is not in every seed. If the exact moments of a row are not known, its sample decides, so that seeds differ.

{chr(10).join(hidden_lines(table))}
"""


def which(awkward: Sequence[str]) -> str:
    """What is sampled."""
    names = ", ".join(awkward)
    return f"Every shipped layer is sampled with its default parameters, and {len(awkward)} awkward cases: {names}."


def alarm_lines(alarms: Sequence[dict[str, Any]]) -> Iterator[str]:
    """One line per command and number of draws."""
    yield "| command | draws | runs | false alarms | probability at most |"
    yield "| --- | ---: | ---: | ---: | ---: |"
    for a in alarms:
        most = beta.ppf(0.95, a["alarms"] + 1, a["runs"] - a["alarms"])
        yield f"| `{a['command']}` | {a['draws']:,} | {a['runs']:,} | {a['alarms']} | {most:.1g} |"


def coverage_lines(table: pd.DataFrame) -> Iterator[str]:
    """One line per number of draws."""
    yield "| draws | seeds | statistics | with an error bar in every seed | their coverage: lowest | median | highest |"
    yield "| ---: | ---: | ---: | ---: | ---: | ---: | ---: |"
    for draws, part in table.groupby("draws"):
        always = part[part["share"] == 1.0]["coverage"]
        numbers = " | ".join(f"{100 * value:.1f} %" for value in (always.min(), always.median(), always.max()))
        yield f"| {draws:,} | {part['seeds'].max():,} | {len(part):,} | {len(always):,} | {numbers} |"


def low_coverage(table: pd.DataFrame) -> str:
    """The rows whose coverage is below the binomial bound."""
    low = table[(table["shown"] > 0) & (table["coverage"] < table["lowest"])]
    count = int((table["shown"] > 0).sum())
    if low.empty:
        return f"None of the {count:,} counts is below its exact binomial bound (probability 10⁻⁴ each)."
    rows = "\n".join(lines_of(low))
    return f"{len(low)} of the {count:,} counts are below their exact binomial bound (probability 10⁻⁴ each):\n\n{rows}"


def long_intervals(table: pd.DataFrame) -> str:
    """How many intervals are long, and the longest ones."""
    table = table[(table["shown"] > 0) & (table["squared_error"] > ROUNDED**2 * table["seeds"])]
    parts = [
        f"{int((part['length_ratio'] > LONG).sum())} of {len(part)} at {draws:,} draws"
        for draws, part in table.groupby("draws")
    ]
    medians = [f"{part['length_ratio'].median():.3f}" for _, part in table.groupby("draws")]
    longest = table[table["length_ratio"] > LONG].sort_values("length_ratio", ascending=False).head(LISTED)
    return (
        f"The median ratio is {', '.join(medians)}. Ratios above {LONG}: {', '.join(parts)}. An error bar of few\n"
        f"draws or heavy tails is uncertain itself, and Student's t makes up for it. The {LISTED} largest ratios:\n\n"
        + "\n".join(lines_of(longest))
    )


def lines_of(table: pd.DataFrame) -> Iterator[str]:
    """The rows of a Markdown table of these counts."""
    yield "| case | row | statistic | draws | seeds with error bar | coverage among them | misses of all | length |"
    yield "| --- | --- | --- | ---: | ---: | ---: | ---: | ---: |"
    for r in table.to_dict("records"):
        shown = f"{r['shown']:,} of {r['seeds']:,}"
        coverage = "–" if math.isnan(r["coverage"]) else f"{100 * r['coverage']:.1f} %"
        length = "–" if math.isnan(r["length_ratio"]) else f"{r['length_ratio']:.2f}"
        yield (
            f"| {r['case']} | {r['row']} | {r['statistic']} | {r['draws']:,} | {shown} | {coverage} | "
            f"{100 * r['misses_of_all']:.1f} % | {length} |"
        )


def hidden_lines(table: pd.DataFrame) -> Iterator[str]:
    """One line per set of cases and statistics that have error bars equally often."""
    sizes = sorted(table["draws"].unique())
    shares: dict[tuple[str, str, tuple[str, ...]], list[str]] = {}
    cases: dict[tuple[str, tuple[str, ...], tuple[str, ...]], list[str]] = {}
    for key, part in table.groupby(["case", "row", "statistic"], sort=False):
        case, row, statistic = map(str, key)
        by_draws = dict(zip(part["draws"], part["share"], strict=True))
        if min(by_draws.values()) < 1.0:
            words = tuple(in_words(by_draws[n]) if n in by_draws else "–" for n in sizes)
            shares.setdefault((case, row, words), []).append(statistic)
    for (case, row, words), statistics in shares.items():
        cases.setdefault((row.removesuffix(" all"), tuple(statistics), words), []).append(case)
    yield f"| row | statistics | {' | '.join(f'{n:,} draws' for n in sizes)} | cases |"
    yield f"| --- | --- |{' ---: |' * len(sizes)} --- |"
    for (row, statistics_of_row, words), members in sorted(cases.items()):
        yield f"| {row} | {', '.join(statistics_of_row)} | {' | '.join(words)} | {', '.join(members)} |"


def in_words(share: float) -> str:
    """A share of seeds to 5 %; all and none are exactly that."""
    return f"{100 * share:.0f} %" if share in (0.0, 1.0) else f"{min(max(5 * round(20 * share), 1), 99)} %"


def draw(table: pd.DataFrame, awkward: Sequence[str]) -> None:
    """Coverage of every statistic that has an error bar in all seeds, with the binomial band."""
    sizes = sorted(table["draws"].unique())
    picture = figure(10.0, 2.6 * len(sizes) + 0.6)
    panels = np.atleast_1d(picture.subplots(len(sizes), 1, sharex=True))
    order = {case: number for number, case in enumerate([*LAYERS, *awkward], 1)}
    for panel, draws in zip(panels, sizes, strict=True):
        part = table[(table["draws"] == draws) & (table["share"] == 1.0)]
        for name, color in COLORS.items():
            own = part[part["statistic"] == name]
            label = name.replace("_", " ")
            panel.plot(
                [order[case] for case in own["case"]], 100 * own["coverage"], ".", color=color, label=label, ms=4
            )
        seeds = int(table[table["draws"] == draws]["seeds"].max())
        low, high = (100 * binom.ppf(p, seeds, COVERAGE) / seeds for p in (CHANCE, 1.0 - CHANCE))
        panel.axhspan(low, high, color="0.88", zorder=0)
        panel.axvline(len(LAYERS) + 0.5, color="0.5", linewidth=0.8)
        panel.set_ylim(89.0, 100.4)
        panel.set_xlim(0.0, len(order) + 1.0)
        panel.set_ylabel("coverage, %")
        panel.set_title(f"{draws:,} draws, {seeds:,} seeds", fontsize=10)
    panels[-1].set_xlabel(
        "number of the layer in `gradstat list layers`; right of the line: the awkward cases, in the order of the text"
    )
    picture.legend(*panels[0].get_legend_handles_labels(), loc="outside lower center", ncols=5, fontsize=9)
    picture.savefig(DOCS / "calibration.png")
