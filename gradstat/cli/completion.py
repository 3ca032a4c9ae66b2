"""Parameter types of click whose values the shell completes from gradstat's tables."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import click
from click.shell_completion import CompletionItem

import gradstat
from gradstat.cli.options import Name, ParamType
from gradstat.errors import UsageError


class Suggested(Name):
    """A name that the shell completes. Any text is accepted, because it may be an alias or include an address."""

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
        shipped = gradstat.listing("configs").rows
        names = [name for name, command, _ in shipped if command.startswith(f"gradstat {self.command} ")]
        shipped_names = [CompletionItem(name) for name in names if name.startswith(incomplete)]
        return shipped_names + super().shell_complete(ctx, param, incomplete)


class Parameter(ParamType[str]):
    """`negative_slope=0.2`; the shell completes the parameters of the preceding layer, each with its default."""

    name = "parameter"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        return str(value)

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        try:
            layer = gradstat.layer(str(ctx.params.get("layer"))).layer
        except UsageError:
            return []
        pairs = [f"{p.name}={'' if p.default is None else _typed(p.default)}" for p in layer.parameters]
        return [CompletionItem(pair) for pair in pairs if pair.startswith(incomplete)]


def _typed(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value).replace(" ", "")


def layer_names() -> Iterable[str]:
    """The names of all layers."""
    return gradstat.layers()


def engine_names() -> Iterable[str]:
    """The names of all engines."""
    return gradstat.listing("engines").names


def estimator_names() -> Iterable[str]:
    """The names of all estimators."""
    return gradstat.listing("estimators").names
