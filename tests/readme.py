"""What is made from the code: parts of README.md, and configs/layers.toml. `make docs` writes them.

A part of README.md is between `<!-- generated: NAME -->` and `<!-- end -->`.
"""

import re
from collections.abc import Callable, Sequence
from pathlib import Path

import click

from gradstat.cli.app import COMMANDS, app
from gradstat.constants.catalogue import chosen, compute
from gradstat.constants.literals import report
from gradstat.estimators import DEFAULT_SEED
from gradstat.layer_types.registry import LAYERS
from gradstat.listings import defaults, short
from gradstat.networks.blocks import KINDS
from gradstat.networks.schemes import SCHEMES
from gradstat.text.formats import render_text
from gradstat.text.tables import NOTHING, shown
from gradstat.toml_file import toml

ROOT = Path(__file__).parents[1]
README = ROOT / "README.md"
BLOCK = re.compile(r"(<!-- generated: (?P<name>[a-z]+) -->\n).*?(<!-- end -->)", re.DOTALL)


def commands() -> str:
    """Every command with its line of help, and its options behind a click."""
    context = click.Context(app, info_name="gradstat")
    parts = [table(("command", "what it does"), [(f"`gradstat {name}`", words) for name, words in COMMANDS.items()])]
    for name in COMMANDS:
        command = app.get_command(context, name)
        assert command is not None
        usage = " ".join(("gradstat", name, *command.collect_usage_pieces(context)))
        options = [option(parameter) for parameter in command.params if isinstance(parameter, click.Option)]
        parts.append(folded(f"<code>{escaped(usage)}</code>", table(("option", "meaning"), options)))
    return "\n".join(parts)


def option(parameter: click.Option) -> tuple[str, str]:
    """Its spellings with what they take, and its help with the default."""
    taken = "" if parameter.is_flag else f" {parameter.metavar or parameter.type.name.upper()}"
    default = f" Default: {parameter.default}." if parameter.show_default else ""
    return f"`{', '.join(parameter.opts)}{taken}`", f"{parameter.help}{default}"


def layers() -> str:
    """Every layer with its parameters and their defaults, formula, PyTorch's name and referee, behind a click."""
    head = ("layer", "parameters", "formula", "PyTorch", "exact values")
    rows = [
        (f"`{x.name}`", code(shown(defaults(x))), x.formula, code(short(x.torch) or NOTHING), x.referee_words)
        for x in LAYERS.values()
    ]
    return folded(f"The {len(LAYERS)} layers", table(head, rows))


def nfnets() -> str:
    """The table of NFNets beside what is right."""
    return render_text(report([compute(chosen(["nfnets"])[0])]), "md").partition("\n\n")[2]


def kinds() -> str:
    """Blocks that networks are built of, with their keys and defaults."""
    rows = []
    for kind in KINDS.values():
        keys = [key.name if key.default is None else f"{key.name}={toml(key.default)}" for key in kind.parameters]
        more = ", and the layer's own or `expression`" if kind.others else ""
        rows.append((f"`{kind.name}`", ", ".join(code(key) for key in keys) + more, kind.description))
    return table(("kind of block", "keys", "what it computes"), rows)


def schemes() -> str:
    """Schemes of scaling."""
    return table(("scheme", "what it does"), [(f"`{scheme.name}`", scheme.description) for scheme in SCHEMES.values()])


def tables_of(name: str) -> list[str]:
    """The tables of a file in results/, as the bench that wrote it has left them."""
    text = (README.parent / "results" / name).read_text(encoding="utf-8")
    return [f"{block.strip()}\n" for block in text.split("\n\n") if block.lstrip().startswith("|")]


BLOCKS: dict[str, Callable[[], str]] = {
    "commands": commands,
    "layers": layers,
    "rqmc": lambda: tables_of("rqmc.md")[0],
    "precise": lambda: tables_of("rqmc.md")[1],
    "nfnets": nfnets,
    "kinds": kinds,
    "schemes": schemes,
    "bench": lambda: tables_of("bench.md")[0],
    "growth": lambda: tables_of("bench.md")[-1],
}


def generated(text: str) -> str:
    """The text with its generated parts made anew."""
    return BLOCK.sub(lambda found: f"{found[1]}{BLOCKS[found['name']]()}{found[3]}", text)


def every_layer() -> str:
    """The configuration of all layers."""
    head = "# Every layer that gradstat has, once, with its defaults: x, dy ~ N(0, 1). `make docs` writes this file.\n"
    return f"{head}seed = {DEFAULT_SEED}\nsamples = 1_000_000\n" + "".join(
        f'\n[[layer]]\nname = "{name}"\n' for name in LAYERS
    )


def files() -> dict[Path, str]:
    """Every file with something generated in it, and what its text should be."""
    return {README: generated(README.read_text(encoding="utf-8")), ROOT / "configs" / "layers.toml": every_layer()}


def table(head: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    """A pipe table."""
    lines = [head, tuple("---" for _ in head), *rows]
    return "".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |\n" for line in lines)


def folded(title: str, body: str) -> str:
    """What GitHub opens at a click."""
    return f"<details><summary>{title}</summary>\n\n{body}\n</details>\n"


def code(text: str) -> str:
    """In backticks, unless there is nothing."""
    return f"`{text}`" if text and text != NOTHING else NOTHING


def escaped(text: str) -> str:
    """As HTML, one blank between words."""
    return " ".join(text.split()).replace("<", "&lt;").replace(">", "&gt;")


if __name__ == "__main__":
    for path, text in files().items():
        path.write_text(text, encoding="utf-8")
