"""TOML → the configuration of `propagate`. Blocks are checked in `networks.blocks`, where they are built."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, ValidationError

from gradstat.config import LARGEST_SEED, Strict, describe_error
from gradstat.errors import UsageError, within
from gradstat.estimators import DEFAULT_SEED
from gradstat.input_files import input_name
from gradstat.networks.randomness import MOST_NETWORKS
from gradstat.networks.schemes import SCHEMES, find
from gradstat.toml_file import Override, apply_override, check_purpose, read_toml

LARGEST = 2**16  # features along one dimension
MOST_REPEATS = 10_000
FEATURES = "a whole number from 1 to 65536, or [channels, rows, columns]"
MOST_CHARACTERS = 100
NAME = r"^[\p{L}\p{N}][\p{L}\p{N} _.,:+/()√×·=-]*$"
NAMES = f"a letter or digit, then letters, digits, blanks or _.,:+/()√×·=-, at most {MOST_CHARACTERS} characters"
NO_NETWORK = "[[network]] is missing; add one with a [[network.stage]] of blocks"
NO_STAGE = "[[network.stage]] is missing; add one with its blocks"


def _features(value: Any) -> Any:
    """A tuple: 512 means the same as [512]."""
    return (value,) if isinstance(value, int) and not isinstance(value, bool) else _tuple(value)


def _tuple(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


Size = Annotated[int, Field(ge=1, le=LARGEST)]
Table = dict[str, Any]


class StageConfig(Strict):
    """A sequence of blocks, repeated."""

    repeat: int = Field(default=1, ge=1, le=MOST_REPEATS, description="a whole number from 1 to 10000")
    blocks: list[Table] = Field(min_length=1, description='a list of tables, e.g. [{ kind = "linear" }]')


class NetworkConfig(Strict):
    """One architecture, or one per activation."""

    name: str | None = Field(default=None, pattern=NAME, max_length=MOST_CHARACTERS, description=NAMES)
    activations: list[str] = Field(default_factory=list, description='names of layers, e.g. ["relu", "tanh"]')
    stage: list[Table] = Field(default_factory=list, description="tables in double brackets: [[network.stage]]")


class PropagateConfig(Strict):
    """A whole experiment."""

    seed: int = Field(default=DEFAULT_SEED, ge=0, le=LARGEST_SEED, description="a whole number from 0 to 2**64 - 1")
    networks: int = Field(
        default=8, ge=2, le=MOST_NETWORKS, description="a whole number from 2 to 65536, of independent networks"
    )
    batch: int = Field(default=64, ge=1, le=LARGEST, description="a whole number from 1 to 65536, of samples")
    features: Annotated[tuple[Size] | tuple[Size, Size, Size], BeforeValidator(_features), Field(description=FEATURES)]
    schemes: Annotated[tuple[str, ...], BeforeValidator(_tuple), Field(min_length=1)] = Field(
        default=tuple(SCHEMES), description=f"a list of {', '.join(SCHEMES)}"
    )
    network: list[Table] = Field(default_factory=list, description="tables in double brackets: [[network]]")


def load(path: Path, overrides: Sequence[Override] = ()) -> PropagateConfig:
    """The configuration in `path`, with overrides; UsageError in one line for the first mistake."""
    return of_document(read_toml(path), overrides, input_name(path))


def of_document(document: Table, overrides: Sequence[Override], source: str) -> PropagateConfig:
    """The configuration in a table, with overrides; `source` is the name that messages begin with."""
    check_purpose(document, "propagate", source)
    for override in overrides:
        apply_override(document, override)
    try:
        config = PropagateConfig.model_validate(document)
    except ValidationError as error:
        key, message, _ = describe_error(error, PropagateConfig)
        blame = [o.typed for o in overrides if key.partition(".")[0] == o.key.partition(".")[0]]
        raise UsageError(f"{blame[-1] if blame else source}: {message}") from None
    for name in config.schemes:
        with within(source, "schemes"):
            find(name)
    if twice := [name for name in config.schemes if config.schemes.count(name) > 1]:
        raise UsageError(f"{source}: schemes: {twice[0]!r} is listed twice; keep one")
    if not config.network:
        raise UsageError(f"{source}: {NO_NETWORK}")
    return config


def networks_of(config: PropagateConfig) -> list[NetworkConfig]:
    """The architectures of a configuration; UsageError names the network with a mistake."""
    networks = []
    for number, table in enumerate(config.network, 1):
        try:
            network = NetworkConfig.model_validate(table)
        except ValidationError as error:
            raise describe_error(error, NetworkConfig).error(f"network {number}") from None
        if not network.stage:
            raise UsageError(f"network {number}: {NO_STAGE}")
        networks.append(network)
    return networks


def stages_of(network: NetworkConfig) -> list[StageConfig]:
    """The stages of an architecture; UsageError names the stage with a mistake."""
    stages = []
    for number, table in enumerate(network.stage, 1):
        try:
            stages.append(StageConfig.model_validate(table))
        except ValidationError as error:
            raise describe_error(error, StageConfig).error(f"stage {number}") from None
    return stages
