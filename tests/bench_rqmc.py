"""`make bench-rqmc`: rqmc against mc at equal time, measured against exact values; writes results/rqmc.md.

Time is user time of one thread, which other programs on the machine do not lengthen.
"""

import math
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from gradstat.estimation.estimators import MC, RQMC, Estimator
from gradstat.estimation.run import ResultRow, run
from gradstat.estimation.significance import z_score
from gradstat.layer_types.case import Case
from gradstat.layer_types.record import BACKWARD, FORWARD, no_referee
from gradstat.layer_types.registry import find

DRAWS, SEEDS = 2**24, range(50)
NUMPY_DRAWS = 2**19
TIMED_DRAWS = 2**22
ROUNDS = 5
PRECISION = 1e-6
FEWEST = 2**18
WITHIN = statistics.NormalDist().inv_cdf(0.975)
SMOOTH, KINKED = 100.0, 20.0
TARGETS = {"relu": KINKED, "hardtanh": KINKED, "max_pool2d 2x2": KINKED, "max_pool2d 3x3": 2.0}
RESULT = Path(__file__).parents[1] / "results" / "rqmc.md"

CASES = {name: Case(find(name)) for name in ("relu", "sigmoid", "tanh", "gelu", "silu", "softplus", "hardtanh")} | {
    f"max_pool2d {k}x{k}": Case(find("max_pool2d"), {"kernel_size": k}) for k in (2, 3)
}


@dataclass(frozen=True)
class Spread:
    """Of 50 seeds: the root mean square of (estimate − exact)/exact, and the share of 95 % intervals that cover."""

    rms: float
    coverage: float


def blind(case: Case) -> Case:
    """Without its referee, which would integrate anew in every run."""
    return replace(case, layer=replace(case.layer, referee=no_referee))


def spreads(estimator: Estimator) -> dict[tuple[str, str], Spread]:
    """Of std, for every layer and direction, over all seeds."""
    exact = {
        (name, row.direction): math.sqrt(found.var)
        for name, case in CASES.items()
        for row in case.shape.rows
        if (found := case.exact(row)) is not None
    }
    lines: dict[tuple[str, str], list[ResultRow]] = {key: [] for key in exact}
    cases = [blind(case) for case in CASES.values()]
    names = {id(case): name for case, name in zip(cases, CASES, strict=True)}
    for seed in SEEDS:
        for line in run(cases, DRAWS, seed, estimator=estimator):
            lines[names[id(line.case)], line.row.direction].append(line)
    return {key: spread(own, exact[key]) for key, own in lines.items()}


def spread(lines: Sequence[ResultRow], exact: float) -> Spread:
    """Errors relative to the exact value; an interval covers where the normal score of its error is below 1.96."""
    errors = [line.estimates.std / exact - 1.0 for line in lines]
    rows = [line.estimates for line in lines]
    covered = [abs(z_score(e.std, exact, e.std_se, exact, e.std_df)) <= WITHIN for e in rows]
    return Spread(math.sqrt(statistics.fmean(e * e for e in errors)), statistics.fmean(covered))


def user_time(work: Callable[[], Any]) -> float:
    """Seconds of processor time, the fewest of several calls."""
    times = []
    for _ in range(ROUNDS):
        start = time.process_time()
        work()
        times.append(time.process_time() - start)
    return min(times)


def per_draw(case: Case, estimator: Estimator) -> float:
    """Seconds per draw, without the pilot: the difference between two runs."""
    run([case], 2, 0, 1, estimator=estimator)
    short, long = (
        user_time(partial(run, [case], n, 0, 1, estimator=estimator)) for n in (TIMED_DRAWS, 2 * TIMED_DRAWS)
    )
    return (long - short) / TIMED_DRAWS


def numpy_per_draw(case: Case) -> float:
    """Seconds per draw of the plain spelling: standard_normal, the formula, mean and std of y and of dx."""
    rng = np.random.default_rng(1)
    n_in = case.shape.n_in

    def work() -> None:
        x, dy = rng.standard_normal((n_in, NUMPY_DRAWS)), rng.standard_normal(NUMPY_DRAWS)
        if case.layer.elementwise:
            y, slope = case.layer.kernel(case.params)(x[0], *case.constants)
            dx = slope * dy
        else:
            y = x.max(axis=0)
            dx = np.where(x == y, dy, 0.0)
        y.mean(), y.std(), dx.mean(), dx.std()

    return user_time(work) / NUMPY_DRAWS


def precise(case: Case) -> tuple[int, float]:
    """The draws after which σ[dx] has a relative standard error of 10⁻⁶, and the user time of that run."""
    n, own = FEWEST, blind(case)
    while True:
        start = time.process_time()
        (line,) = (line for line in run([own], n, 0, 1, estimator=RQMC) if line.row.direction == BACKWARD)
        seconds = time.process_time() - start
        if line.estimates.std_se <= PRECISION * line.estimates.std:
            return line.estimates.n, seconds
        n *= 2


def span(seconds: float) -> str:
    """`170 ms`, `5.2 h`."""
    for unit, size in (("d", 86400.0), ("h", 3600.0), ("min", 60.0), ("s", 1.0)):
        if seconds >= size:
            return f"{seconds / size:.3g} {unit}"
    return f"{1000.0 * seconds:.0f} ms"


def tables() -> list[str]:
    """Both tables, line by line."""
    plain, better = spreads(MC), spreads(RQMC)
    seconds = {name: (per_draw(case, MC), per_draw(case, RQMC), numpy_per_draw(case)) for name, case in CASES.items()}
    lines = [
        f"# rqmc against mc, {DRAWS:,} draws, {len(SEEDS)} seeds, one thread",
        "",
        "Relative root mean square error of σ against the exact value; `smaller` is the ratio at equal time;",
        "`covers` is the share of the 95 % intervals of rqmc that contain the exact value.",
        "",
        "| layer | σ of | mc | rqmc | ns per draw, mc / rqmc | smaller | target | covers |",
        "|---|---|---:|---:|---:|---:|---:|---:|",
    ]
    for (name, direction), own in better.items():
        mc, (slow, fast, _) = plain[name, direction], seconds[name]
        ratio, target = mc.rms / own.rms * math.sqrt(slow / fast), TARGETS.get(name, SMOOTH)
        what = "y" if direction == FORWARD else "dx"
        times = f"{1e9 * slow:.1f} / {1e9 * fast:.1f}"
        errors, share = f"{mc.rms:.1e} | {own.rms:.1e}", f"{own.coverage:.0%}"
        lines.append(f"| {name} | {what} | {errors} | {times} | {ratio:,.0f}× | ≥ {target:.0f}× | {share} |")
    lines += [
        "",
        f"Time to a relative standard error of {PRECISION:g} on σ[dx]: rqmc measured; mc and NumPy from their measured",
        "rates and from mc's error above.",
        "",
        "| layer | rqmc draws | rqmc | mc draws | mc | NumPy |",
        "|---|---:|---:|---:|---:|---:|",
    ]
    for name, case in CASES.items():
        n, own_time = precise(case)
        needed = DRAWS * (plain[name, BACKWARD].rms / PRECISION) ** 2
        slow, _, numpy = seconds[name]
        lines.append(
            f"| {name} | {n:,} | {span(own_time)} | {needed:.1e} | {span(needed * slow)} | {span(needed * numpy)} |"
        )
    return lines


def main() -> None:
    """Print the tables and keep them."""
    text = "\n".join(tables()) + "\n"
    print(text, end="")
    RESULT.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
