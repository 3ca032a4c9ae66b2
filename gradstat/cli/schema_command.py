"""`gradstat schema`."""

import json
from collections.abc import Callable
from typing import TYPE_CHECKING

import click

from gradstat.cli.app import emit
from gradstat.cli.options import Name, debug_option

if TYPE_CHECKING:
    from pydantic import BaseModel

DIALECT = "https://json-schema.org/draft/2020-12/schema"


def _run() -> "type[BaseModel]":
    from gradstat.config import RunConfig

    return RunConfig


def _claims() -> "type[BaseModel]":
    from gradstat.verification.claims import ClaimsFile

    return ClaimsFile


MODELS: "dict[str, Callable[[], type[BaseModel]]]" = {"run": _run, "claims": _claims}


@click.command()
@click.argument("what", type=Name("schema", lambda: MODELS), metavar=f"{{{'|'.join(MODELS)}}}")
@debug_option
def command(what: str) -> None:
    """Print the JSON Schema of a configuration of `gradstat run`, or of a file of claims.

    Editors complete and check TOML files with it:
    gradstat schema run > run.schema.json, and `#:schema ./run.schema.json` in the first line of the file.
    """
    from gradstat.layer_types.registry import LAYERS

    schema = {"$schema": DIALECT} | MODELS[what]().model_json_schema()
    for name, key in (("LayerConfig", "name"), ("ClaimConfig", "layer")):
        if definition := schema["$defs"].get(name):
            definition["properties"][key]["examples"] = list(LAYERS)  # a suggestion: aliases are allowed as well
    emit(json.dumps(schema, indent=2, ensure_ascii=False) + "\n")
