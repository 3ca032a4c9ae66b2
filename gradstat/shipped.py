"""The configurations and claims that gradstat ships, in a wheel, a source distribution or a checkout."""

import difflib
import os
import tomllib
from functools import cache
from pathlib import Path
from typing import NamedTuple

from gradstat.errors import LONGEST_NAME, UsageError
from gradstat.input_files import is_stdin

SUFFIX = ".toml"
MOST_FILES = 5  # files of the current folder that a message lists
_PACKAGE = Path(__file__).resolve().parent


class Shipped(NamedTuple):
    """A shipped configuration: its file, the command that takes it, and the first sentence of its comment."""

    path: Path
    command: str
    description: str


def folder() -> Path:
    """The folder of shipped configurations: in the installed package, or beside the package in a checkout."""
    checkout = _PACKAGE.parent
    return checkout / "configs" if (checkout / "pyproject.toml").is_file() else _PACKAGE / "configs"


def claims() -> Path:
    """The folder of shipped claims; a relative path if it is below the current folder."""
    return _seen_from_here(folder() / "claims")


@cache
def paths() -> dict[str, Path]:
    """The path of every shipped configuration, by its name without the suffix."""
    return {path.stem: path for path in sorted(folder().glob(f"*{SUFFIX}"))}


def configurations() -> dict[str, Shipped]:
    """Every shipped configuration, by its name."""
    return {name: _read(path) for name, path in paths().items()}


def resolve(given: Path, command: str) -> Path:
    """The configuration that `given` names: a file of this path, else the shipped configuration of this name.

    UsageError if neither exists, or if the shipped configuration is for another command (`run` or `propagate`).
    """
    name = str(given)
    path = paths().get(name)
    if is_stdin(given) or (os.path.exists(given) and not (path and os.path.isdir(given))):
        return given
    if path is not None:
        if (other := _read(path).command) != command:
            raise UsageError(f"{name}: is a shipped configuration for another command", f"gradstat {other} {name}")
        return _seen_from_here(path)
    if len(given.parts) == 1 and given.suffix != SUFFIX:
        raise UsageError(f"{name}: there is no such file or shipped configuration", _advice(name))
    return given  # opening it raises an error that names the closest file


def _read(path: Path) -> Shipped:
    text = path.read_text(encoding="utf-8")
    comment = []
    for line in text.splitlines():
        if not line.startswith("#"):
            break
        comment.append(line.removeprefix("#").strip())
    sentence = " ".join(comment).partition(". ")[0].rstrip(".")
    return Shipped(path, "propagate" if "network" in tomllib.loads(text) else "run", sentence)


def _advice(name: str) -> str:
    """The closest name, otherwise the shipped names and the .toml files of the current folder."""
    files = sorted(path.name for path in Path().glob(f"*{SUFFIX}"))
    offered = {name: name for name in paths()} | {file.removesuffix(SUFFIX): file for file in files}
    matches = difflib.get_close_matches(name, offered, n=1) if len(name) <= LONGEST_NAME else []
    if matches:
        return f"did you mean {offered[matches[0]]}?"
    here = ", ".join([*files[:MOST_FILES], *(["…"] if len(files) > MOST_FILES else [])])
    return f"shipped: {', '.join(paths())}; in this folder: {here or f'no {SUFFIX} file'}"


def _seen_from_here(path: Path) -> Path:
    try:
        return path.relative_to(Path.cwd())
    except (ValueError, OSError):
        return path
