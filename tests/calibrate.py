"""`make calibrate`: do 95 % intervals cover, and is there a false alarm? Over every shipped layer and awkward ones.

Four questions, each asked of many seeds:

* coverage: every case is sampled and compared with its exact values. How often has an estimate an error bar, how often
  does its 95 % interval (Student's t) hold the exact value, and how long is it against the one that would just do?
* run: how many runs of all shipped layers report a disagreement?
* diff: how many pairs of runs with different seeds are too far apart?
* verify: how often is a true claim refuted whose layer has heavy tails and no exact value?

All seeds of a process share one pilot, one set of kernels and one call of the referee, which cost more than a small
run. The rules of `run` and `diff` are asked only if a raw difference exceeds 4 standard errors: no score is larger than
the raw one, and no bound is below 4.8.

The counts go to results/calibration.parquet and results/calibration.json, after each step; the page to
docs/calibration.md with its picture. Arguments: `shipped` (ten minutes on two processors; the default), `full` (the
sizes that the project promises), `page` (makes the page again), then the number of processes.
"""

import functools
import json
import math
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy.special import stdtr, stdtrit

from gradstat.assumptions import Input
from gradstat.estimation.blocks import Block
from gradstat.estimation.engines import threads
from gradstat.estimation.estimates import estimates
from gradstat.estimation.groups import groups
from gradstat.estimation.merge_tree import Accumulators
from gradstat.estimation.run import ResultRow, centres, result_row, sample
from gradstat.estimation.significance import FAMILY_WISE, beyond, disagreements, z_bound
from gradstat.estimation.tasks import Done, Task
from gradstat.layer_types.case import Case
from gradstat.layer_types.record import Exact, Row
from gradstat.layer_types.registry import LAYERS, find
from gradstat.layer_types.statistics import exact_bases
from gradstat.numerics.draws import PILOT
from gradstat.results import diff
from gradstat.verification.claims import Claim, claim_of, key_of
from gradstat.verification.sequential import first_look, judge_looks
from tests import calibration_page
from tests.calibration_page import COVERAGE, STATISTICS

ROOT = Path(__file__).parents[1]
TABLE, COUNTS = ROOT / "results/calibration.parquet", ROOT / "results/calibration.json"
CHUNK = 50  # seeds at once
ROUNDING = 1e-12  # of a row's scale, which no standard error covers
RAW = 4.0  # standard errors that no bound is below
CLAIM = {  # at the edge of its interval, which a sample that sees no large value leaves
    "id": "layer-norm",
    "source": "a true claim",
    "layer": "layer_norm",
    "params": {"n": 4, "eps": 1e-6},
    "direction": "backward",
    "statistic": "std",
    "scale": 0.9876438420667385,
    "value": "1.40",
}


@dataclass(frozen=True)
class Sizes:
    """Seeds by the number of draws, pairs of runs by the number of draws, and claims."""

    coverage: dict[int, int]
    run: dict[int, int]
    diff: dict[int, int]
    verify: int


SIZES = {
    "shipped": Sizes(
        {2_000: 2_000, 20_000: 2_000, 200_000: 500},
        {1_000: 5_000, 10_000: 2_000},
        {2: 500, 10: 500, 1_000: 500},
        1_000,
    ),
    "full": Sizes(
        {2_000: 2_000, 20_000: 2_000, 200_000: 2_000},
        {1_000: 20_000, 10_000: 20_000},
        {2: 5_000, 10: 5_000, 1_000: 5_000},
        20_000,
    ),
    "tiny": Sizes({2_000: 4}, {1_000: 4}, {10: 2}, 1),
}

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


@functools.cache
def all_cases() -> dict[str, Case]:
    """Every shipped layer with its defaults, then the awkward ones."""
    return {name: Case(layer) for name, layer in LAYERS.items()} | AWKWARD


def one_by_one(task: Task, blocks: Iterable[Block], jobs: int, done: Done) -> None:
    """An engine without threads, which small runs would spend their time to start."""
    for block in blocks:
        done(block.node, task.block(block), block.draws)


Sampled = tuple[Case, Row, Accumulators, Exact | None]


class Sampler:
    """Runs of some cases by one pilot and one call of the referee: many small ones are cheap."""

    def __init__(self, cases: Sequence[Case]) -> None:
        self.groups = groups(cases)
        for group in self.groups:
            group.centres[:] = centres(sample(group, group.pilot_draws, 10**6, PILOT, 1, threads).total())
        self.moments = {id(group): [case.moments(row) for case, row in group.rows] for group in self.groups}

    def run(self, draws: int, seed: int) -> list[ResultRow]:
        """All rows of all cases."""
        return [result_row(*sampled) for sampled in self.sample(draws, seed)]

    def sample(self, draws: int, seed: int) -> Iterator[Sampled]:
        """The arguments of `result_row` for all rows of all cases."""
        for group in self.groups:
            accumulators = sample(group, draws, seed, 0, 1, one_by_one).total()
            for (case, row), own, exact in zip(group.rows, accumulators, self.moments[id(group)], strict=True):
                yield case, row, own, exact


def known(exact: Exact | None) -> dict[str, float]:
    """The exact value of every statistic that has one."""
    bases = {} if exact is None else exact_bases(exact)
    return {name: value for name in STATISTICS if (value := bases.get(name)) is not None}


_samplers: dict[str, Sampler] = {}  # of this process
SHIPPED = set(LAYERS)


def sampler(name: str, cases: Callable[[], Sequence[Case]]) -> Sampler:
    """The sampler of this process, made when it is first needed."""
    if name not in _samplers:
        _samplers[name] = Sampler(cases())
    return _samplers[name]


def everything() -> Sampler:
    """The sampler of every case."""
    return sampler("all", lambda: list(all_cases().values()))


def shipped(draws: int, seed: int) -> list[Sampled]:
    """A run of all shipped layers."""
    return [sampled for sampled in everything().sample(draws, seed) if label(sampled[0]) in SHIPPED]


def is_suspicious(sampled: Sampled) -> bool:
    """True if mean or std are more than 4 raw standard errors from the exact value."""
    e, exact = estimates(sampled[2]), sampled[3]
    if exact is None or not exact.is_finite:
        return False
    return is_far(e.mean - exact.mean, e.mean_se) or is_far(e.std - math.sqrt(exact.var), e.std_se)


def is_far(difference: float, error: float) -> bool:
    """True if the rules of `run` and `diff` have to be asked."""
    return not abs(difference) <= RAW * error


def differ(first: Sampled, second: Sampled) -> bool:
    """True if mean or std of two rows are more than 4 raw standard errors apart, or have no error."""
    a, b = estimates(first[2]), estimates(second[2])
    means = is_far(a.mean - b.mean, math.hypot(a.mean_se, b.mean_se))
    return means or is_far(a.std - b.std, math.hypot(a.std_se, b.std_se))


def coverage(draws: int, seeds: range, own: Sampler | None = None) -> list[dict[str, Any]]:
    """The numbers of every (row, statistic) over some seeds, of every case or of those of a sampler."""
    found: dict[tuple[str, str, str], list[tuple[float, float, float]]] = {}
    scales: dict[tuple[str, str, str], float] = {}
    for seed in seeds:
        for line in (own or everything()).run(draws, seed):
            e = asdict(line.estimates)
            for name, value in known(line.exact).items():
                key = (label(line.case), f"{line.row.direction} {line.row.cell}", name)
                scales[key] = abs(value) + e["std"]
                found.setdefault(key, []).append((e[name] - value, e[f"{name}_se"], e[f"{name}_df"]))
    return [counted(draws, key, scales[key], np.array(numbers).T) for key, numbers in found.items()]


def run_alarms(draws: int, seeds: range) -> int:
    """How many runs of all shipped layers report a disagreement."""
    runs = (shipped(draws, seed) for seed in seeds)
    return sum(bool(disagreements([result_row(*s) for s in run])) for run in runs if any(map(is_suspicious, run)))


def diff_alarms(draws: int, seeds: range) -> int:
    """How many pairs of such runs are too far apart."""
    alarms = 0
    for seed in seeds:
        runs = [shipped(draws, 2 * seed + i) for i in (0, 1)]
        if not any(map(differ, *runs)):
            continue
        pair = [[asdict(result_row(*sampled).estimates) for sampled in run] for run in runs]
        scores = [diff.score(a, b, name) for a, b in zip(*pair, strict=True) for name in diff.TESTED]
        bound = z_bound(sum(z is not None for z in scores))
        alarms += any(z is not None and beyond(z, bound) for z in scores)
    return alarms


def refutations(draws: int, seeds: Sequence[int]) -> int:
    """How often the claim is refuted by its first look."""
    claim = true_claim()
    own = sampler("claim", lambda: [claim.case])
    wrong = 0
    for seed in seeds:
        samples = {key_of(line.case, line.row): line for line in own.run(draws, seed)}
        (outcome,) = judge_looks([claim], samples, seed, 1, draws, FAMILY_WISE).values()
        wrong += outcome.verdict not in ("confirmed", "undecided")
    return wrong


def true_claim() -> Claim:
    """σ[dx] of layer_norm with n = 4 and eps = 1e-6, scaled to the edge of what rounds to 1.40."""
    return claim_of(CLAIM, Path("claims.toml"), 1)


def label(case: Case) -> str:
    """The name under which a case of `everything` is counted: the layer's, or that of an awkward case."""
    return _names()[id(case)]


@functools.cache
def _names() -> dict[int, str]:
    return {id(case): name for name, case in all_cases().items()}


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


class Measurement:
    """The counts so far, written after each step."""

    def __init__(self, processes: int) -> None:
        self.pool = ProcessPoolExecutor(processes)
        self.table: list[dict[str, Any]] = []
        self.alarms: list[dict[str, Any]] = []
        self.start = time.perf_counter()

    def chunks(self, task: Callable[[int, range], Any], draws: int, seeds: int) -> list[Any]:
        """The results of a task for all seeds, chunk by chunk."""
        ranges = [range(first, min(first + CHUNK, seeds)) for first in range(0, seeds, CHUNK)]
        return [job.result() for job in [self.pool.submit(task, draws, part) for part in ranges]]

    def count(self, command: str, task: Callable[[int, range], int], draws: int, seeds: int) -> None:
        """Count the false alarms of a command."""
        alarms = sum(self.chunks(task, draws, seeds))
        self.alarms.append({"command": command, "draws": draws, "runs": seeds, "alarms": alarms})
        self.save(f"{command} at {draws:,} draws: {alarms} alarms in {seeds:,}")

    def cover(self, draws: int, seeds: int) -> None:
        """Count the intervals that hold the exact value."""
        self.table += [row for part in self.chunks(coverage, draws, seeds) for row in part]
        self.save(f"coverage at {draws:,} draws: {seeds:,} seeds")

    def save(self, step: str) -> None:
        """Write all counts."""
        seconds = time.perf_counter() - self.start
        print(f"{step}, after {seconds:.0f} s", flush=True)
        TABLE.parent.mkdir(exist_ok=True)
        keys = ["case", "row", "statistic", "draws"]
        if self.table:
            pd.DataFrame(self.table).groupby(keys, sort=False, as_index=False).sum().to_parquet(TABLE, index=False)
        COUNTS.write_text(json.dumps({"seconds": round(seconds), "alarms": self.alarms}))


def main(size: str = "shipped", processes: str = "2") -> None:
    """Measure, then write the page and the picture."""
    if size != "page":
        sizes, all_counts = SIZES[size], Measurement(int(processes))
        for draws, seeds in sizes.run.items():
            all_counts.count("run", run_alarms, draws, seeds)
        all_counts.count("verify", refutations, first_look(true_claim().case), sizes.verify)
        for draws, pairs in sizes.diff.items():
            all_counts.count("diff", diff_alarms, draws, pairs)
        for draws, seeds in sizes.coverage.items():
            all_counts.cover(draws, seeds)
    calibration_page.write(pd.read_parquet(TABLE), json.loads(COUNTS.read_text()), list(AWKWARD))


if __name__ == "__main__":
    main(*sys.argv[1:])
