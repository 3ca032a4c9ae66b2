"""Runs the parts and writes the table: on the terminal, and into results/bench.md."""

import json
import os
import platform
import subprocess
import sys
import time
from collections.abc import Iterable, Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
from llvmlite.binding import get_host_cpu_features, get_host_cpu_name

ROOT = Path(__file__).parents[2]
TARGET = ROOT / "results" / "bench.md"
RATIOS = ["one_thread", "two_threads", "all_activations"]
LIBRARIES = ["gradstat", "numpy", "numba", "llvmlite", "scipy", "jax", "torch", "mkl_random"]

Row = Mapping[str, Any]


def wide() -> list[str]:
    """What NumPy calls the processor's features beyond AVX2."""
    core: Any = np._core._multiarray_umath  # type: ignore[attr-defined]
    features, dispatched = core.__cpu_features__, core.__cpu_dispatch__
    return [name for name in dispatched if features.get(name) and ("AVX512" in name or name == "X86_V4")]


def held_to_avx2() -> dict[str, str]:
    """The environment in which every library keeps to AVX2 and FMA."""
    features = get_host_cpu_features()
    features.update({name: False for name in features if name.startswith(("avx512", "evex512", "avx10"))})
    return {
        "NUMBA_CPU_NAME": get_host_cpu_name(),
        "NUMBA_CPU_FEATURES": features.flatten(),
        "NPY_DISABLE_CPU_FEATURES": " ".join(wide()),
        "XLA_FLAGS": "--xla_cpu_max_isa=AVX2",
        "ATEN_CPU_CAPABILITY": "avx2",
        "MKL_ENABLE_INSTRUCTIONS": "AVX2",
    }


def measured(names: list[str], environment: Mapping[str, str]) -> dict[str, list[Row]]:
    """The rows of these parts, each from a process of its own."""
    found: dict[str, list[Row]] = {}
    for name in names:
        command = [sys.executable, "-m", "tests.bench.parts", name]
        done = subprocess.run(command, env=os.environ | environment, cwd=ROOT, stdout=subprocess.PIPE, check=True)
        found |= json.loads(done.stdout)
    return found


def verdict(row: Row) -> str:
    """What the ratio was to be, and whether it is."""
    if row["target"] is None or "ratio" not in row:
        return "" if row["target"] is None else f"≥ {row['target']:g}, not measured"
    return f"≥ {row['target']:g}, {'met' if row['ratio'] >= row['target'] else 'NOT met'}"


def table(head: list[str], lines: Iterable[list[str]]) -> str:
    """Markdown; the first column is text, the others are numbers."""
    cells = [head, ["---", *["---:"] * (len(head) - 1)], *lines]
    return "\n".join("| " + " | ".join(line) + " |" for line in cells) + "\n"


def ratios(found: Mapping[str, list[Row]]) -> str:
    """The table of ratios."""
    lines = [
        [row["what"], f"{row['base']:.2f}", f"{row['ours']:.2f}", f"{row['ratio']:.2f}", verdict(row)]
        if "ratio" in row
        else [row["what"], "", "", "", verdict(row)]
        for name in RATIOS
        for row in found[name]
    ]
    return table(["ns per draw", "other", "gradstat", "ratio", "target"], lines)


def growth(rows: list[Row]) -> str:
    """The table of growth."""
    lines = [[r["what"], f"{r['seconds']:.3f}", f"{r['ns']:.2f}", f"{r['megabytes']:.0f}"] for r in rows]
    return table(["two threads", "seconds", "ns per draw and layer", "peak MB so far"], lines)


def exact_values(rows: list[Row]) -> str:
    """The table of exact values."""
    lines = [[r["what"], f"{1e3 * r['base']:.1f}", f"{1e3 * r['ours']:.1f}", f"{r['ratio']:.2f}"] for r in rows]
    return table(["ms per layer, 17 digits", "mpmath.quad, 3 integrals", "gradstat, 9 with proof", "ratio"], lines)


def machine() -> str:
    """Processor, system, versions."""
    lines = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []
    model = next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), platform.processor())
    versions = ", ".join(f"{name} {version(name)}" for name in LIBRARIES)
    return f"{model}, {os.cpu_count()} processors, {platform.system()}; Python {platform.python_version()}, {versions}"


def version(name: str) -> str:
    """Of an installed distribution."""
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return "not installed"


def main() -> None:
    """Measure, print, write."""
    start = time.perf_counter()
    text = f"""# Speed

Written by `make bench` on {time.strftime("%Y-%m-%d", time.gmtime())}. {machine()}.
Load average at the start: {os.getloadavg()[0]:.1f}; what else runs takes most from the rows of two threads.

Medians of rounds in turn within one run. NumPy, JAX and PyTorch: two normals per draw, the layer both ways, mean and
std of y and dx. gradstat: a whole run, pilot included, with four moments, absolute deviations, zeros and extremes of y
and dx. One thread on one processor unless two are named. "On draws it has": the formula both ways with mean and std,
arrays of 2 MB, no normals. Where the time of a draw goes, and why a target is missed: [limits.md](limits.md).
"""
    if wide():
        text += f"\n## Held to AVX2 and FMA ({' '.join(wide())} switched off for all)\n\n"
        text += ratios(measured(RATIOS, held_to_avx2()))
        print(text, flush=True)
        head = "\n## With all the processor has\n\n"
    else:
        head = "\n## Ratios\n\n"
    rest = head + ratios(measured(RATIOS, {}))
    print(rest, flush=True)
    rest += "\n## Exact values\n\n" + exact_values(measured(["exact_values"], {})["exact_values"])
    rest += "\n## Growth of cost\n\n" + growth(measured(["growth"], {})["growth"])
    rest += f"\nAll of this took {time.perf_counter() - start:.0f} s.\n"
    print(rest[rest.index("\n## Exact") :], flush=True)
    TARGET.write_text(text + rest)


if __name__ == "__main__":
    main()
