"""The provenance of a result: configuration, versions, machine, time."""

import platform
import subprocess
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from gradstat import __version__
from gradstat.config import RunConfig
from gradstat.numerics.draws import STREAM_VERSION
from gradstat.results.schema import SCHEMA_VERSION

PACKAGES = ("numpy", "numba", "llvmlite", "pandas", "pyarrow")


def provenance(config: RunConfig, threads: int, seconds: float) -> dict[str, Any]:
    """The JSON document in the metadata of a result file."""
    return {
        "schema_version": SCHEMA_VERSION,
        "stream_version": STREAM_VERSION,
        "configuration": config.described(),
        "versions": versions(),
        "cpu": cpu(),
        "threads": threads,
        "git_revision": git_revision(),
        "wall_seconds": round(seconds, 3),
        "utc": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def versions() -> dict[str, str]:
    """The versions of gradstat, Python, and the packages that could affect digits."""
    python_and_gradstat = {"gradstat": __version__, "python": platform.python_version()}
    return python_and_gradstat | {name: version(name) for name in PACKAGES}


def cpu() -> str:
    """LLVM's name of the processor, for example znver3."""
    import llvmlite.binding as llvm

    return str(llvm.get_host_cpu_name())


def git_revision() -> str | None:
    """The commit of the checkout that gradstat runs from; None for an installed package."""
    here = Path(__file__).resolve().parents[2]
    if not (here / ".git").exists():
        return None
    command = ["git", "-C", str(here), "describe", "--always", "--dirty", "--abbrev=12"]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=10).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return None
