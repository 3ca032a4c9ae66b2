"""The tables of docs/networks.md, from the JSON of `gradstat propagate`.

gradstat propagate configs/depth.toml configs/vgg.toml configs/resnet.toml --format json > networks.json
python examples/depth_report.py networks.json                     # prints every table
python examples/depth_report.py networks.json docs/networks.md    # replaces the marked tables of that page
"""

import json
import math
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

FIRST_LEVELS = 10  # of a pass, where prediction and measurement are compared level by level
DEPTH_FREE = ("none", "he", "forward")  # schemes whose constants do not depend on the depth
BOUND = 5.9  # standard errors: 5 % of Student's t with 11 degrees of freedom, shared by all 516 comparisons
CLOSE = 1.5  # measured/predicted, or its inverse: agreement at the end of a pass
ROUNDING = 1e-9  # relative; smaller differences are rounding
NONE = "–"
Row = dict[str, Any]


@dataclass(frozen=True)
class Combination:
    """One network under one scheme, as the JSON holds it."""

    summary: Row
    rows: list[Row]

    @property
    def network(self) -> str:
        return str(self.summary["network"])

    @property
    def scheme(self) -> str:
        return str(self.summary["scheme"])

    @property
    def in_range(self) -> bool:
        """True if neither pass grows or shrinks by more than a factor of 10."""
        return bool(self.summary["forward"]["verdict"] == self.summary["backward"]["verdict"] == "stable")

    @property
    def changes_direction(self) -> bool:
        """True if the scaled gradient of some layer is not parallel to the true one."""
        return bool(self.summary["worst_cosine"] < 1.0 - ROUNDING)

    def levels(self, forward: bool) -> list[Row]:
        """One row per level in the order of the pass: the level's last block forward, its first block backward."""
        blocks = [row for row in self.rows if row["path"].count(".") == 1]  # without the insides of residual blocks
        if forward:
            return list({row["level"]: row for row in blocks}.values())
        return list({row["level"]: row for row in reversed(blocks)}.values())

    def end(self, forward: bool) -> tuple[float | None, float | None]:
        """σ and its standard error at the end of the pass."""
        name, row = name_of(forward), self.levels(forward)[-1]
        return row[name], row[f"{name}_se"]

    def measured_over_predicted(self, forward: bool) -> float:
        """The ratio of σ at the end of the pass; NaN without a prediction."""
        name, row = name_of(forward), self.levels(forward)[-1]
        return row[name] / row[f"predicted_{name}"] if row[name] and row[f"predicted_{name}"] else math.nan

    def statistic(self, name: str, last: bool) -> tuple[float | None, float | None]:
        """A statistic and its standard error, of the first or the last block that has it."""
        rows = [row for row in self.rows if row[name] is not None]
        return (rows[-last][name], rows[-last][f"{name}_se"]) if rows else (None, None)


def name_of(forward: bool) -> str:
    """The column of a pass: σ of the signal or of its gradient."""
    return "y_std" if forward else "dx_std"


def combinations(document: Row) -> list[Combination]:
    """Every network and scheme of every configuration."""
    keys = ("configuration", "network", "scheme")
    rows: dict[tuple[str, ...], list[Row]] = {}
    for row in document["rows"]:
        rows.setdefault(tuple(row[key] for key in keys), []).append(row)
    return [
        Combination(summary, rows[one["configuration"], summary["network"], summary["scheme"]])
        for one in document["configurations"]
        for summary in one["summary"]
    ]


def in_range(all_of_them: Sequence[Combination]) -> list[list[str]]:
    """The schemes, best first, with the networks that they keep in range in both directions."""
    counts = []
    for scheme in unique(one.scheme for one in all_of_them):
        of_scheme = [one for one in all_of_them if one.scheme == scheme]
        counts.append((scheme, [one.network for one in of_scheme if one.in_range], len(of_scheme)))
    counts.sort(key=lambda count: -len(count[1]))
    rows = [[scheme, f"{len(names)} of {total}", ", ".join(names)] for scheme, names, total in counts]
    return [["scheme", "both passes in range", "networks"], *rows]


def verdicts(all_of_them: Sequence[Combination]) -> list[list[str]]:
    """What becomes of signal and gradient, a row per network, a column per scheme."""
    schemes = unique(one.scheme for one in all_of_them)
    rows = []
    for network in unique(one.network for one in all_of_them):
        of_network = {one.scheme: one for one in all_of_them if one.network == network}
        rows.append([network, *(verdict(of_network.get(scheme)) for scheme in schemes)])
    return [["network", *schemes], *rows]


def verdict(one: Combination | None) -> str:
    if one is None or one.in_range:
        return "**both stable**" if one else ""
    return f"y {one.summary['forward']['verdict']}, dx {one.summary['backward']['verdict']}"


def gradient_distortion(all_of_them: Sequence[Combination]) -> list[list[str]]:
    """Direction and length of the scaled gradient against the true one, for schemes that scale it alone."""
    header = ["network", "σ[dx] at the input", "smallest cosine of a layer", "norm ratio, first layer", "total cosine"]
    rows = [
        [
            one.network,
            text(*one.end(False)),
            f"{one.summary['worst_cosine']:.4f}" if one.changes_direction else "1",
            text(*one.statistic("ratio", last=False)),
            text(one.summary["whole_cosine"], one.summary["whole_cosine_se"]),
        ]
        for one in all_of_them
        if one.summary["worst_cosine"] is not None
    ]
    return [header, *rows]


def prediction_error(all_of_them: Sequence[Combination]) -> list[list[str]]:
    """Measured against predicted σ, at the level of the first ten where they differ by the most standard errors."""
    schemes = [scheme for scheme in DEPTH_FREE if any(one.scheme == scheme for one in all_of_them)]
    rows = []
    for network in unique(one.network for one in all_of_them):
        of_network = {one.scheme: one for one in all_of_them if one.network == network}
        cells = [
            ", ".join(f"{name} {largest_error(of_network[scheme], name == 'y')}" for name in ("y", "dx"))
            for scheme in schemes
        ]
        rows.append([network, *cells])
    return [["network", *schemes], *rows]


def largest_error(one: Combination, forward: bool) -> str:
    """`+6.0 % (2.0)`: relative, and in standard errors; bold where it is more than chance."""
    name = name_of(forward)
    errors = [
        (abs(row[name] - row[f"predicted_{name}"]) / row[f"{name}_se"], row[name] / row[f"predicted_{name}"] - 1.0)
        for row in one.levels(forward)[:FIRST_LEVELS]
        if row[name] is not None and row[f"predicted_{name}"] and row[f"{name}_se"]
    ]
    if not errors:
        return NONE
    z, relative = max(errors)
    cell = f"{100.0 * relative:+.1f} % ({z:.1f})".replace("-", "−")
    return f"**{cell}**" if z > BOUND else cell


def prediction_at_the_end(all_of_them: Sequence[Combination]) -> list[list[str]]:
    """Measured over predicted σ at the end of both passes, where one of them is off by more than a factor of 1.5."""
    rows = []
    for one in all_of_them:
        ratios = [one.measured_over_predicted(forward) for forward in (True, False)]
        if not all(1.0 / CLOSE < ratio < CLOSE for ratio in ratios):
            rows.append([one.network, one.scheme, *(f"{ratio:.3g}" for ratio in ratios)])
    return [["network", "scheme", "σ[y] at the output", "σ[dx] at the input"], *rows]


def everything(all_of_them: Sequence[Combination]) -> list[list[str]]:
    """Every network and scheme."""
    header = ["network", "scheme", "σ[y] at the output", "per level", "forward", "σ[dx] at the input", "per level"]
    rows = [
        [
            *(one.network, one.scheme, text(*one.end(True)), *growth(one.summary["forward"])),
            *(text(*one.end(False)), *growth(one.summary["backward"])),
            *(text(*one.statistic(name, last=True)) for name in ("rank", "dead")),
        ]
        for one in all_of_them
    ]
    return [[*header, "backward", "rank", "dead"], *rows]


def growth(numbers: Row) -> tuple[str, str]:
    """The factor per level with its 95 % interval, and the verdict."""
    rate = f"{numbers['rate']:.4f} [{numbers['low']:.4f}, {numbers['high']:.4f}]" if numbers["rate"] else NONE
    return rate, numbers["verdict"]


def text(value: float | None, error: float | None) -> str:
    """`2.36 ± 0.03`: the error to its first digit, or two where that is a 1; – without a value."""
    if value is None:
        return NONE
    if error is None or error <= ROUNDING * abs(value):
        return f"{value:.4g}"
    place = math.floor(math.log10(error))
    place -= error < 1.95 * 10.0**place
    size = math.floor(math.log10(abs(value)))
    if size > -5 and place <= 0:
        return f"{value:.{-place}f} ± {error:.{-place}f}"
    digits = max(size - place, 0)
    return f"({value / 10.0**size:.{digits}f} ± {error / 10.0**size:.{digits}f})·10^{size}"


def unique(names: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(names))


def markdown(table: Sequence[Sequence[str]]) -> str:
    header, *rows = table
    return "".join(f"| {' | '.join(line)} |\n" for line in (header, ["---"] * len(header), *rows))


def tables(document: Row) -> Iterator[tuple[str, str]]:
    """(name, Markdown) of every table."""
    all_of_them = combinations(document)
    for make in (in_range, verdicts, gradient_distortion, prediction_error, prediction_at_the_end, everything):
        yield make.__name__, markdown(make(all_of_them))


def replace_tables(page: str, document: Row) -> str:
    """The page with the lines between `<!-- table: NAME -->` and `<!-- end -->` made again."""
    for name, table in tables(document):
        before, begin, after = page.partition(f"<!-- table: {name} -->\n")
        if begin:
            page = before + begin + table + after[after.index("<!-- end -->") :]
    return page


def main() -> None:
    """Print the tables of a JSON file, or replace those of a page."""
    if len(sys.argv) not in (2, 3):
        sys.exit(__doc__)
    document = json.loads(sys.stdin.read() if sys.argv[1] == "-" else Path(sys.argv[1]).read_text(encoding="utf-8"))
    if len(sys.argv) == 2:
        print(*(f"{name}\n\n{table}" for name, table in tables(document)), sep="\n", end="")
        return
    page = Path(sys.argv[2])
    page.write_text(replace_tables(page.read_text(encoding="utf-8"), document), encoding="utf-8")


if __name__ == "__main__":
    main()
