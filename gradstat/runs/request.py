"""The request of a run: a configuration file or a list of layers, and options that override it."""

import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from gradstat.config import RunConfig, load, of_document
from gradstat.errors import UsageError
from gradstat.layer_types.case import Case
from gradstat.layer_types.from_config import cases
from gradstat.toml_file import Override, parse_override

Layers = Sequence[Mapping[str, Any]]


def request(
    configuration: str | os.PathLike[str] | Layers, options: Mapping[str, Any], settings: Iterable[str]
) -> tuple[RunConfig, list[Case]]:
    """The configuration with settings and options applied, and its cases; UsageError for mistakes in it.

    An option of None does not change the configuration.
    """
    overrides = [parse_override(text) for text in settings]
    overrides += [Override(key, value, "") for key, value in options.items() if value is not None]
    if isinstance(configuration, str | os.PathLike):
        path = Path(configuration)
        config = load(path, overrides)
        return config, cases(config, str(path))
    if not configuration:
        raise UsageError("the list of layers is empty; name at least one")
    config = of_document({"layer": [dict(table) for table in configuration]}, overrides, "layers")
    return config, cases(config, "layers")
