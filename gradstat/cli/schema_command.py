"""`gradstat schema`."""

import json

import click

import gradstat
from gradstat.cli.app import emit
from gradstat.cli.options import Name, debug_option

NAMES = ("run", "claims")


@click.command()
@click.argument("what", type=Name("schema", lambda: NAMES), metavar=f"{{{'|'.join(NAMES)}}}")
@debug_option
def command(what: str) -> None:
    """Print the JSON Schema of a configuration of `gradstat run`, or of a claims file.

    Editors use it to complete and check TOML files. The first line of the TOML file names it:
    #:schema ./run.schema.json

    \b
    Examples:
      gradstat schema run > run.schema.json
      gradstat schema claims > claims.schema.json
    """
    emit(json.dumps(gradstat.schema(what), indent=2, ensure_ascii=False) + "\n")
