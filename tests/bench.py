"""`make bench`: speed as ratios against the plain NumPy spelling, measured in turn in one run; memory beside it."""

import resource
import statistics
import time
from collections.abc import Callable

import numpy as np

from gradstat.estimation.run import available_cpus, run
from gradstat.layers.table import Case, find

NUMPY_DRAWS = 2**20
DRAWS = 2**25
LONG = 2**27  # for the two threads: the pilot is one block, and one thread's
ROUNDS = 7


def numpy_relu(x: np.ndarray, dy: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """y and dx as one writes them."""
    return np.maximum(x, 0.0), dy * (x > 0.0)


def numpy_sigmoid(x: np.ndarray, dy: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """y and dx as one writes them."""
    y = 1.0 / (1.0 + np.exp(-x))
    return y, dy * y * (1.0 - y)


def numpy_spelling(layer: Callable[..., tuple[np.ndarray, np.ndarray]]) -> Callable[[], None]:
    """Two standard_normal, the formula, mean and std of both directions."""
    rng = np.random.default_rng(1)

    def work() -> None:
        y, dx = layer(rng.standard_normal(NUMPY_DRAWS), rng.standard_normal(NUMPY_DRAWS))
        y.mean(), y.std(), dx.mean(), dx.std()

    return work


def sampled(names: list[str], jobs: int, draws: int = DRAWS) -> Callable[[], None]:
    """A whole run, pilot included; kernels are compiled before."""
    cases = [Case(find(name)) for name in names]
    run(cases, 2, 1, jobs)
    return lambda: run(cases, draws, 1, jobs) and None


def nanoseconds(work: Callable[[], None], draws: int) -> float:
    """Per draw, of one call."""
    start = time.perf_counter()
    work()
    return (time.perf_counter() - start) / draws * 1e9


def ratio(base: Callable[[], None], base_draws: int, other: Callable[[], None], other_draws: int) -> tuple[float, ...]:
    """Medians over rounds in turn: time of base, time of other, and their ratio pair by pair."""
    pairs = [(nanoseconds(base, base_draws), nanoseconds(other, other_draws)) for _ in range(ROUNDS)]
    return (
        statistics.median(a for a, _ in pairs),
        statistics.median(b for _, b in pairs),
        statistics.median(a / b for a, b in pairs),
    )


def line(what: str, times: tuple[float, ...], target: str) -> None:
    """One row of the table."""
    print(f"{what:58} {times[0]:8.2f} {times[1]:8.2f} {times[2]:7.2f}x  {target}", flush=True)


def main() -> None:
    """Print the table."""
    print(f"{'ns per draw (median of ' + str(ROUNDS) + ' rounds)':58} {'base':>8} {'gradstat':>8} {'ratio':>8}  target")
    for name, spelling in (("relu", numpy_relu), ("sigmoid", numpy_sigmoid)):
        times = ratio(numpy_spelling(spelling), NUMPY_DRAWS, sampled([name], 1), DRAWS)
        line(f"{name}: NumPy / one thread, four moments both ways", times, ">= 4")
    if available_cpus() >= 2:
        times = ratio(sampled(["sigmoid"], 1, LONG), LONG, sampled(["sigmoid"], 2, LONG), LONG)
        line("sigmoid: one thread / two threads", times, ">= 1.9")
    eight = ["relu", "leaky_relu", "sigmoid", "tanh"] * 2
    times = ratio(sampled(["sigmoid"], 1), DRAWS, sampled(eight, 1), DRAWS * len(eight))
    line("one layer alone / each of eight in one run", times, ">= 2")
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    sampled(["relu"], 2, 2**30)()
    after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(f"peak memory: {before / 1024:.0f} MB before, {after / 1024:.0f} MB after 2**30 draws of relu")


if __name__ == "__main__":
    main()
