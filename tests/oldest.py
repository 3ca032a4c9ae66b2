"""`python -m tests.oldest` prints constraints for pip: each dependency at the lowest version that is declared."""

import re
import tomllib
from pathlib import Path
from typing import Any

PYPROJECT = Path(__file__).parents[1] / "pyproject.toml"
EXTRAS = ("plot", "dask")  # those that add commands or options; bench, docs and dev are for developers


def constraints(project: dict[str, Any]) -> list[str]:
    """`numpy==2.0` for `numpy>=2.0`; ValueError for a requirement of another form, which would not be tested."""
    extras = project["optional-dependencies"]
    requirements = [*project["dependencies"], *(line for name in EXTRAS for line in extras[name])]
    lowest = []
    for requirement in requirements:
        match = re.fullmatch(r"([A-Za-z0-9_-]+)>=([0-9.]+)(,<[0-9.]+)?", requirement)
        if match is None:
            raise ValueError(f"{requirement!r} declares no lowest version; expected name>=version")
        lowest.append(f"{match[1]}=={match[2]}")
    return lowest


if __name__ == "__main__":
    print("\n".join(constraints(tomllib.loads(PYPROJECT.read_text(encoding="utf-8"))["project"])))
