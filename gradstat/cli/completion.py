"""Types of arguments whose values the shell completes from gradstat's tables."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import click
from click.shell_completion import CompletionItem

from gradstat.cli.options import Name, ParamType
from gradstat.errors import UsageError


class Suggested(Name):
    """A name that the shell completes and the command looks up: it may be an alias, or carry an address."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        return str(value)


class LayerOrFile(Suggested):
    """A layer or a file; the shell completes both."""

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        return [*super().shell_complete(ctx, param, incomplete), CompletionItem(incomplete, type="file")]


class Config(click.Path):
    """A configuration: a file, or the name of one that gradstat ships for this command; the shell completes both."""

    def __init__(self, command: str) -> None:
        super().__init__(path_type=Path)
        self.command = command

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        from gradstat.shipped import configurations

        names = [name for name, shipped in configurations().items() if shipped.command == self.command]
        shipped_names = [CompletionItem(name) for name in names if name.startswith(incomplete)]
        return shipped_names + super().shell_complete(ctx, param, incomplete)


class Parameter(ParamType[str]):
    """`negative_slope=0.2`; the shell completes the parameters of the layer before it, each with its default."""

    name = "parameter"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        return str(value)

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        from gradstat.layer_types.registry import find

        try:
            layer = find(str(ctx.params.get("layer")))
        except UsageError:
            return []
        pairs = [f"{p.name}={'' if p.default is None else _typed(p.default)}" for p in layer.parameters]
        return [CompletionItem(pair) for pair in pairs if pair.startswith(incomplete)]


def _typed(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value).replace(" ", "")


def layer_names() -> Iterable[str]:
    """Names of all layers, for the shell."""
    from gradstat.layer_types.registry import LAYERS

    return LAYERS


def engine_names() -> Iterable[str]:
    """Names of all engines, for the shell."""
    from gradstat.estimation.engines import ENGINES

    return ENGINES


def estimator_names() -> Iterable[str]:
    """Names of all estimators, for the shell."""
    from gradstat.estimation.estimators import ESTIMATORS

    return ESTIMATORS
