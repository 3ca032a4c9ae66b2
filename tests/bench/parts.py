"""The parts of the benchmark; each runs in a process of its own and prints JSON: {what: rows}."""

import json
import os
import resource
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import mpmath

from gradstat.estimation.run import available_cpus, run
from gradstat.layer_types.case import Case
from gradstat.layer_types.elementwise import ACTIVATIONS
from gradstat.layer_types.exact import moments
from gradstat.layer_types.registry import find
from tests.bench import rivals
from tests.bench.spelled import Array, Layer
from tests.bench.timing import Work, in_turn, median_ratio, nanoseconds
from tests.enclosure_reference import FORMULAS

ROUNDS = 9
GROWTH = [10**power for power in range(5, 11)]
LAYERS = [1, 2, 5, 10, 20, 41]
EXACT = ("relu", "sigmoid", "tanh", "elu", "silu", "gelu")
EDGES = [-10, -5, -2, 0, 2, 5, 10]  # x where mpmath splits its integrals; the density beyond is below 10⁻²²


def sampled(cases: Sequence[Case], jobs: int, draws: int) -> Work:
    """A whole run, pilot included; kernels are compiled before."""
    run(cases, 2, 1, jobs)
    return lambda: run(cases, draws, 1, jobs), draws


def alone(name: str, jobs: int = 1, draws: int = 2**26, **params: Any) -> Work:
    """A whole run of one layer."""
    return sampled([Case(find(name), params)], jobs, draws)


def row(what: str, base: list[float], ours: list[float], target: float | None) -> dict[str, Any]:
    """One line of the table of ratios."""
    times = statistics.median(base), statistics.median(ours)
    return {"what": what, "base": times[0], "ours": times[1], "ratio": median_ratio(base, ours), "target": target}


def absent(what: str, library: str, target: float | None) -> dict[str, Any]:
    """A line for a library that is not here."""
    return {"what": f"{what}: {library} is not installed (`make rivals`)", "target": target}


def one_thread() -> list[dict[str, Any]]:
    """One processor for everybody, hence one thread for those who take what they see."""
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    rows = []
    for name in ("relu", "sigmoid"):
        works = {"ours": alone(name), "numpy": rivals.numpy_spelling(name)}
        for kind in ("float64", "float32"):
            if rivals.installed("jax"):
                works[f"jax {kind}"] = rivals.jax_jit(name, kind)
            if rivals.installed("torch"):
                works[f"torch {kind}"] = rivals.torch_autograd(name, kind)
        if name == "relu" and rivals.installed("mkl_random"):
            works["mkl"] = rivals.mkl_normals()
        times = in_turn(works, ROUNDS)
        rows.append(row(f"{name}: NumPy", times["numpy"], times["ours"], 6.0))
        for library, title in (("jax", "JAX jit"), ("torch", "PyTorch autograd")):
            for kind in ("float64", "float32"):
                target = 5.0 if (library, kind) == ("jax", "float64") else None
                what = f"{name}: {title}, {kind}"
                known = f"{library} {kind}" in times
                rows.append(
                    row(what, times[f"{library} {kind}"], times["ours"], target)
                    if known
                    else absent(what, library, target)
                )
        if name == "relu":
            what = "relu: MKL's two normals alone"
            rows.append(
                row(what, times["mkl"], times["ours"], 1.0) if "mkl" in times else absent(what, "mkl_random", 1.0)
            )
    times = in_turn({"numpy": rivals.numpy_max_pool(), "ours": alone("max_pool2d", draws=2**23, kernel_size=3)}, 5)
    return [*rows, row("max_pool2d 3×3: NumPy", times["numpy"], times["ours"], 5.0)]


def two_threads() -> list[dict[str, Any]]:
    """One thread against two, over draws enough that the referee and the pilot, 9 ms of one thread, do not count."""
    if available_cpus() < 2:
        return [{"what": "one thread of gradstat / two: this machine has one processor", "target": 1.95}]
    rows = []
    for name in ("relu", "sigmoid"):
        times = in_turn({"one": alone(name, 1, 2**28), "two": alone(name, 2, 2**28)}, 5)
        rows.append(row(f"{name}: one thread of gradstat / two", times["one"], times["two"], 1.95))
    return rows


def on_arrays(case: Case) -> Layer:
    """The layer's own formula, which is NumPy where it is given arrays."""
    formula, constants = case.layer.kernel(case.params), case.constants

    def layer(x: Array, dy: Array) -> tuple[Array, Array]:
        y, slope = formula(x, *constants)
        return y, slope * dy

    return layer


def all_activations() -> list[dict[str, Any]]:
    """The mean over all activations: their formulas on arrays of draws, and a run of all of them on two threads."""
    cases = [Case(find(name)) for name in ACTIVATIONS]
    numpy = in_turn({case.label: rivals.numpy_on_draws(on_arrays(case)) for case in cases}, 5)
    call, draws = sampled(cases, 2, 10**8)
    ours = [nanoseconds((call, draws * len(cases))) for _ in range(2)]
    base = [statistics.fmean(times) for times in zip(*numpy.values(), strict=True)]
    return [
        row(
            f"all {len(cases)} activations, per layer, two threads: NumPy on draws it has",
            base[: len(ours)],
            ours,
            12.0,
        )
    ]


def exact_values() -> list[dict[str, Any]]:
    """Seconds for the exact values of a layer to 17 digits, against three of its nine integrals by mpmath's quad."""
    works: dict[str, Work] = {}
    for name in EXACT:
        works[f"{name} mpmath"] = (partial(quad_of, name), 1e9)
        works[name] = (partial(exact_of, name), 1e9)
    times = in_turn(works, 5)
    return [row(name, times[f"{name} mpmath"], times[name], None) for name in EXACT]


def exact_of(name: str) -> None:
    """All moments of y and dx, computed anew."""
    case = Case(find(name))
    moments._known.cache_clear()
    for each in case.shape.rows:
        case.moments(each)


def quad_of(name: str) -> list[Any]:
    """E[y], E[y²] and E[(dy/dx)²] of x ~ N(0, 1)."""
    with mpmath.workdps(19):
        formula, density = FORMULAS[name], mpmath.npdf
        integrands: list[Callable[[Any], Any]] = [
            lambda v: formula(v)[0] * density(v),
            lambda v: formula(v)[0] ** 2 * density(v),
            lambda v: formula(v)[1] ** 2 * density(v),
        ]
        return [mpmath.quad(integrand, EDGES) for integrand in integrands]


def growth() -> list[dict[str, Any]]:
    """Time and memory over draws of relu, then over layers at 10⁷ draws; two threads."""
    rows = []
    for draws in GROWTH:
        call, _ = alone("relu", 2, draws)
        rows.append(grown(f"relu, 10^{len(str(draws)) - 1} draws", call, draws))
    for count in LAYERS:
        cases = [Case(find(name)) for name in list(ACTIVATIONS)[:count]]
        call, draws = sampled(cases, 2, 10**7)
        rows.append(grown(f"{count} activations, 10^7 draws", call, draws * count))
    return rows


def grown(what: str, call: Any, draws: float) -> dict[str, Any]:
    """One line of the table of growth."""
    start = time.perf_counter()
    call()
    seconds = time.perf_counter() - start
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {"what": what, "seconds": seconds, "ns": seconds / draws * 1e9, "megabytes": memory}


PARTS = {part.__name__: part for part in (one_thread, two_threads, all_activations, exact_values, growth)}

if __name__ == "__main__":
    print(json.dumps({name: PARTS[name]() for name in sys.argv[1:]}))
