"""Times in turn in one process, and their ratios pair by pair, so that a noisy machine disturbs both sides alike."""

import statistics
import time
from collections.abc import Callable, Mapping

Work = tuple[Callable[[], object], float]  # what to call, and how many draws that is


def nanoseconds(work: Work) -> float:
    """Per draw, of one call."""
    call, draws = work
    start = time.perf_counter()
    call()
    return (time.perf_counter() - start) / draws * 1e9


def in_turn(works: Mapping[str, Work], rounds: int) -> dict[str, list[float]]:
    """ns per draw of each, round by round; the first round warms up and does not count."""
    times = [{name: nanoseconds(work) for name, work in works.items()} for _ in range(rounds + 1)]
    return {name: [one[name] for one in times[1:]] for name in works}


def median_ratio(base: list[float], other: list[float]) -> float:
    """The median over rounds of base/other."""
    return statistics.median(a / b for a, b in zip(base, other, strict=True))
