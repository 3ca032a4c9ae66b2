"""`make calibrate`: do 95 % intervals cover, and is there a false alarm? Over every shipped layer and awkward ones.

Every case is sampled at 2·10³, 2·10⁴ and 2·10⁵ draws by 2,000 seeds and compared with its exact values: how often an
estimate has an error bar, how often its 95 % interval (Student's t) holds the exact value, how long the interval is
against the one that would just do, and how many of the seeds' runs raise an alarm. The counts go to
results/calibration.parquet, the page to docs/calibration.md with its picture. Another number of seeds: an argument.
"""

import math
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy.special import stdtr, stdtrit
from scipy.stats import binom

from gradstat.assumptions import Input
from gradstat.estimation.engines import threads
from gradstat.estimation.groups import Group, groups
from gradstat.estimation.run import ResultRow, centres, result_row, sample
from gradstat.estimation.significance import disagreements
from gradstat.layer_types.case import Case
from gradstat.layer_types.record import Exact
from gradstat.layer_types.registry import LAYERS, find
from gradstat.layer_types.statistics import exact_bases
from gradstat.numerics.draws import PILOT

ROOT = Path(__file__).parents[1]
TABLE, PAGE, PICTURE = ROOT / "results/calibration.parquet", ROOT / "docs/calibration.md", ROOT / "docs/calibration.png"
SIZES, SEEDS = (2_000, 20_000, 200_000), 2_000
STATISTICS = ("mean", "std", "second_moment", "abs_mean", "mad")
COVERAGE = 0.95
CHANCE = 1e-4  # with which a count of covering intervals falls below its bound
CHUNK = 50  # seeds at once
ROUNDING = 1e-12  # of a row's scale, which no standard error covers

AWKWARD = {
    "exp std 1.5": Case(find("exp"), {}, Input(std=1.5)),
    "multiply k 8": Case(find("multiply"), {"k": 8}),
    "layer_norm n 4": Case(find("layer_norm"), {"n": 4, "eps": 0.0}),
    "batch_norm n 4": Case(find("batch_norm"), {"n": 4, "eps": 0.0}),
    "rms_norm n 3": Case(find("rms_norm"), {"n": 3, "eps": 0.0}),
    "relu mean -3": Case(find("relu"), {}, Input(mean=-3.0)),
    "relu mean -4": Case(find("relu"), {}, Input(mean=-4.0)),
    "dropout p 0.999": Case(find("dropout"), {"p": 0.999}),
    "dropout mean 0.005": Case(find("dropout"), {}, Input(mean=0.005)),
    "dropout mean 0.08": Case(find("dropout"), {"p": 0.99}, Input(mean=0.08)),
    "hardshrink 3": Case(find("hardshrink"), {"lambd": 3.0}),
    "hardsigmoid mean 4": Case(find("hardsigmoid"), {}, Input(mean=4.0)),
    "identity mean 1e9": Case(find("identity"), {}, Input(mean=1e9)),
}


def all_cases() -> dict[str, Case]:
    """Every shipped layer with its defaults, then the awkward ones."""
    return {name: Case(layer) for name, layer in LAYERS.items()} | AWKWARD


class Sampler:
    """Runs of some cases by one pilot and one call of the referee: many small ones are cheap."""

    def __init__(self, cases: Sequence[Case]) -> None:
        self.groups = groups(cases)
        for group in self.groups:
            group.centres[:] = centres(sample(group, group.pilot_draws, 10**6, PILOT, 1, threads).total())
        self.exact = {id(group): [case.exact(row) for case, row in group.rows] for group in self.groups}

    def run(self, draws: int, seed: int) -> list[ResultRow]:
        """All rows of all cases."""
        return [line for group in self.groups for line in self._rows(group, draws, seed)]

    def _rows(self, group: Group, draws: int, seed: int) -> list[ResultRow]:
        accumulators = sample(group, draws, seed, 0, 1, threads).total()
        exact = self.exact[id(group)]
        return [result_row(*row, own, e) for row, own, e in zip(group.rows, accumulators, exact, strict=True)]


def known(exact: Exact | None) -> dict[str, float]:
    """The exact value of every statistic that has one."""
    bases = {} if exact is None else exact_bases(exact)
    return {name: value for name in STATISTICS if (value := bases.get(name)) is not None}


_samplers: list[Sampler] = []  # of this process


def chunk(draws: int, first: int, seeds: int) -> tuple[list[dict[str, Any]], int]:
    """The numbers of every (row, statistic) over some seeds, and how many of the shipped layers' runs had an alarm."""
    if not _samplers:
        _samplers.append(Sampler(list(all_cases().values())))
    found: dict[tuple[str, str, str], list[tuple[float, float, float]]] = {}
    scales: dict[tuple[str, str, str], float] = {}
    alarms = 0
    shipped = set(LAYERS)
    for seed in range(first, first + seeds):
        lines = _samplers[0].run(draws, seed)
        alarms += bool(disagreements([line for line in lines if label(line.case) in shipped]))
        for line in lines:
            e = asdict(line.estimates)
            for name, value in known(line.exact).items():
                key = (label(line.case), f"{line.row.direction} {line.row.cell}", name)
                scales[key] = abs(value) + e["std"]
                found.setdefault(key, []).append((e[name] - value, e[f"{name}_se"], e[f"{name}_df"]))
    return [counted(draws, key, scales[key], np.array(numbers).T) for key, numbers in found.items()], alarms


def label(case: Case) -> str:
    """The name under which a case is counted: the layer's, or that of an awkward case."""
    same = [name for name, own in AWKWARD.items() if (own.layer, own.given, own.x) == (case.layer, case.given, case.x)]
    return same[0] if same else case.layer.name


def counted(draws: int, key: tuple[str, str, str], scale: float, numbers: Any) -> dict[str, Any]:
    """Counts of one statistic of one row; sums, so that chunks add."""
    away, error, degrees = numbers
    shown = np.isfinite(error)
    close = np.abs(away) <= ROUNDING * scale
    with np.errstate(invalid="ignore", divide="ignore"):
        probability = 1.0 - 2.0 * stdtr(degrees, -np.abs(away) / error)
        length = stdtrit(degrees, 0.5 + COVERAGE / 2.0) * error
    covered = shown & (close | (probability <= COVERAGE))
    case, row, statistic = key
    return {
        "case": case,
        "row": row,
        "statistic": statistic,
        "draws": draws,
        "seeds": len(away),
        "shown": int(shown.sum()),
        "covered": int(covered.sum()),
        "missed_below": int((shown & ~covered & (away < 0.0)).sum()),
        "length": float(length[shown].sum()),
        "squared_error": float(np.square(away).sum()),
    }


def measure(seeds: int) -> tuple[pd.DataFrame, dict[int, tuple[int, int]]]:
    """All counts, and (alarms, runs) of all shipped layers at each number of draws."""
    rows: list[dict[str, Any]] = []
    alarms = {}
    with ProcessPoolExecutor(2) as pool:
        for draws in SIZES:
            jobs = [pool.submit(chunk, draws, first, min(CHUNK, seeds - first)) for first in range(0, seeds, CHUNK)]
            done = [job.result() for job in jobs]
            rows += [row for part, _ in done for row in part]
            alarms[draws] = (sum(count for _, count in done), seeds)
            print(f"{draws:,} draws: {alarms[draws][0]} alarms in {seeds:,} runs", flush=True)
    keys = ["case", "row", "statistic", "draws"]
    return pd.DataFrame(rows).groupby(keys, sort=False, as_index=False).sum(), alarms


def judged(table: pd.DataFrame) -> pd.DataFrame:
    """Coverage among the error bars that are shown, its lowest acceptable value, and the lengths in use."""
    table = table.copy()
    table["coverage"] = table["covered"] / table["shown"].where(table["shown"] > 0)
    table["lowest"] = binom.ppf(CHANCE, table["shown"], COVERAGE) / table["shown"].where(table["shown"] > 0)
    just = 1.959964 * np.sqrt(table["squared_error"] / table["seeds"])
    table["length_ratio"] = table["length"] / table["shown"].where(table["shown"] > 0) / just
    table["misses_of_all"] = (table["shown"] - table["covered"]) / table["seeds"]
    return table


def lines_of(table: pd.DataFrame) -> Iterator[str]:
    """The rows of a Markdown table of these counts."""
    yield "| case | row | statistic | draws | error bars | coverage | misses of all seeds | length |"
    yield "| --- | --- | --- | ---: | ---: | ---: | ---: | ---: |"
    for r in table.to_dict("records"):
        shown = f"{r['shown']:,} of {r['seeds']:,}"
        coverage = "–" if math.isnan(r["coverage"]) else f"{100 * r['coverage']:.1f} %"
        length = "–" if math.isnan(r["length_ratio"]) else f"{r['length_ratio']:.2f}"
        yield (
            f"| {r['case']} | {r['row']} | {r['statistic']} | {r['draws']:,} | {shown} | {coverage} | "
            f"{100 * r['misses_of_all']:.1f} % | {length} |"
        )


def draw(table: pd.DataFrame) -> None:
    """Coverage of every statistic that has an error bar in all seeds, with the binomial band."""
    from gradstat.plots.style import BLUE, GREEN, ORANGE, VERMILLION, figure

    picture = figure(9.0, 4.2 * len(SIZES) / 2.0)
    panels = picture.subplots(len(SIZES), 1, sharex=True)
    colors = dict(zip(STATISTICS, (BLUE, VERMILLION, ORANGE, GREEN, "black"), strict=True))
    for panel, draws in zip(panels, SIZES, strict=True):
        part = table[(table["draws"] == draws) & (table["shown"] == table["seeds"])]
        order = {case: i for i, case in enumerate(dict.fromkeys(table["case"]))}
        for name, color in colors.items():
            own = part[part["statistic"] == name]
            panel.plot([order[case] for case in own["case"]], 100 * own["coverage"], ".", color=color, label=name, ms=4)
        seeds = int(table["seeds"].max())
        low, high = (100 * binom.ppf(p, seeds, COVERAGE) / seeds for p in (CHANCE, 1.0 - CHANCE))
        panel.axhspan(low, high, color="0.9", zorder=0)
        panel.set_ylim(89.0, 100.4)
        panel.set_ylabel("coverage, %")
        panel.set_title(f"{draws:,} draws")
    panels[-1].set_xlabel("layers, in the order of the table of layers, then the awkward cases")
    picture.legend(*panels[0].get_legend_handles_labels(), loc="outside lower center", ncols=5, fontsize=9)
    picture.savefig(PICTURE)


def page(table: pd.DataFrame, alarms: dict[int, tuple[int, int]], seeds: int, seconds: float) -> str:
    """The page: what holds, what does not, and where there is no error bar."""
    shown = table[table["shown"] > 0]
    always = shown[shown["shown"] == shown["seeds"]]
    low = shown[shown["coverage"] < shown["lowest"]]
    hidden = table[table["shown"] < table["seeds"]].sort_values(["draws", "case"])
    wide = always[always["length_ratio"] > 1.25].sort_values("length_ratio", ascending=False)
    counts = "\n".join(f"* {n:,} draws: {count} of {runs:,} runs" for n, (count, runs) in alarms.items())
    parts = [
        f"""# Calibration

Written by `make calibrate` ({seeds:,} seeds, {seconds:.0f} s). Every shipped layer with its defaults and
{len(AWKWARD)} awkward cases are sampled at {", ".join(f"{n:,}" for n in SIZES)} draws and compared with their exact
values. An interval is the estimate ± t·(standard error), with t of Student's distribution for the degrees of freedom
that the row carries. Its length is given against that of the interval ± 1.96·(root mean square error), which would
just do for a normal estimate.

![Coverage of 95 % intervals, layer by layer, with the band in which 99.98 % of right counts lie](calibration.png)

## False alarms of a run of all shipped layers

{counts}

## Coverage

{len(always):,} of {len(table):,} pairs of a row's statistic and a number of draws have an error bar in every seed.
Their coverage is {100 * always["coverage"].min():.1f} % to {100 * always["coverage"].max():.1f} %, with a median of
{100 * always["coverage"].median():.1f} %. Below the binomial bound (10⁻⁴ each) among the error bars shown:
""",
        "\n".join(lines_of(low)) if len(low) else "none.",
        """
## Intervals that are longer than needed

By a quarter or more: an error bar of few draws or of heavy tails knows little of itself, and says so.
""",
        "\n".join(lines_of(wide)) if len(wide) else "none.",
        """
## No error bar

Statistics without an error bar in some seeds: heavy tails and rare events, of which too few draws make up the
estimate. A sample that happens to see no large value may show an error bar where others do not, so that coverage
among the shown ones is below 95 %; what counts for the reader is the share of misses among all seeds.
""",
        "\n".join(lines_of(hidden)) if len(hidden) else "none.",
    ]
    return "\n".join(parts) + "\n"


def main() -> None:
    """Measure, write the table, the page and the picture."""
    start = time.perf_counter()
    seeds = int(sys.argv[1]) if len(sys.argv) > 1 else SEEDS
    counts, alarms = measure(seeds)
    table = judged(counts)
    for path in (TABLE, PAGE):
        path.parent.mkdir(exist_ok=True)
    table.to_parquet(TABLE, index=False)
    draw(table)
    PAGE.write_text(page(table, alarms, seeds, time.perf_counter() - start), encoding="utf-8")


if __name__ == "__main__":
    main()
