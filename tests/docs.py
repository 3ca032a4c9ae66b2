"""`make docs`: writes what is made from the code: parts of README.md and of docs/, and configs/layers.toml.

tests/test_docs.py checks that all of it is current. Three parts of a page are made:

* what is between `<!-- generated: NAME -->` and `<!-- end -->`, by the function BLOCKS[NAME];
* in a block that begins with ```console, what each command after `$ ` prints on a terminal of 100 columns;
* a block ```text after a ```python block: what the Python prints.

The commands and the Python of a page run in one temporary folder, in their order. A ```toml or ```py block whose first
line is `# FILE` is a file of that folder.
"""

import inspect
import os
import pty
import re
import shlex
import subprocess
import sys
import tempfile
import termios
import textwrap
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import FunctionType
from typing import Any

import click
from pydantic import BaseModel
from pydantic.fields import FieldInfo

import gradstat
from gradstat.cli.app import COMMANDS, app
from gradstat.config import InputConfig, LayerConfig, RunConfig, UpstreamConfig
from gradstat.constants.catalogue import chosen, compute
from gradstat.constants.literals import report
from gradstat.estimators import DEFAULT_SEED
from gradstat.layer_types.expression.functions import FUNCTIONS
from gradstat.layer_types.record import Layer
from gradstat.layer_types.registry import LAYERS
from gradstat.limits import LIMITS
from gradstat.listings import LISTINGS, defaults, short
from gradstat.networks.blocks import KINDS
from gradstat.networks.schemes import SCHEMES
from gradstat.results.schema import ACCUMULATORS, SCHEMA
from gradstat.text.formats import render_text
from gradstat.text.markup import escaped, markdown_table
from gradstat.text.tables import NOTHING, shown
from gradstat.toml_file import toml
from gradstat.verification.claims import ClaimConfig
from gradstat.verification.report_text import by_source, printed, quantity, right
from tests import power
from tests.docs_exact import not_proven
from tests.docs_words import COLUMNS, PLAIN_FUNCTIONS

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
EVERY_LAYER = ROOT / "configs" / "layers.toml"
BLOCK = re.compile(r"(<!-- generated: (?P<name>[a-z-]+) -->\n).*?(<!-- end -->)", re.DOTALL)
FENCED = re.compile(r"^```(?P<kind>\w*)\n(?P<body>.*?)^```$", re.DOTALL | re.MULTILINE)
FILE = re.compile(r"# ([\w-]+\.(toml|py))\b")
WIDTH = 100  # columns of the terminal that the pages show


def current(path: Path) -> str:
    """What a page, or the configuration of all layers, should be."""
    return every_layer() if path == EVERY_LAYER else rewritten(path.read_text(encoding="utf-8"))


def every_layer() -> str:
    """The configuration of all layers."""
    head = "# Every layer that gradstat has, once, with its defaults: x, dy ~ N(0, 1). `make docs` writes this file.\n"
    return f"{head}seed = {DEFAULT_SEED}\nsamples = 1_000_000\n" + "".join(
        f'\n[[layer]]\nname = "{name}"\n' for name in LAYERS
    )


def generated(text: str) -> str:
    """The text with what is between its marks made again."""
    return BLOCK.sub(lambda match: f"{match[1]}{BLOCKS[match['name']]()}{match[3]}", text)


def rewritten(text: str) -> str:
    """The text with all of its made parts made again."""
    result, end, output = "", 0, None
    text = generated(text)
    with tempfile.TemporaryDirectory() as folder:
        for match in FENCED.finditer(text):
            kind, body = match["kind"], match["body"]
            if kind in ("toml", "py") and (name := FILE.match(body)):
                (Path(folder) / name[1]).write_text(body, encoding="utf-8")
            elif kind == "console":
                body = "".join(f"$ {line}\n{printed_by(line, Path(folder))}" for line in commands_of(body))
            elif kind == "python":
                output = None
                if re.match(r"\n*```text$", text[match.end() :], re.MULTILINE):
                    output = run([sys.executable, "-c", body], Path(folder), [0])
            elif kind == "text" and output is not None:
                body, output = output, None
            result += f"{text[end : match.start()]}```{kind}\n{body}```"
            end = match.end()
    return result + text[end:]


def commands_of(body: str) -> list[str]:
    """The commands of a ```console block."""
    return [line.removeprefix("$ ") for line in body.splitlines() if line.startswith("$ ")]


def printed_by(line: str, folder: Path) -> str:
    """What a command of gradstat, or a line of a shell, prints on standard output."""
    if re.search(r"[|>*;&]", re.sub(r"'[^']*'|\"[^\"]*\"", "", line)):
        script = f'gradstat() {{ "{sys.executable}" -m gradstat "$@"; }}; {line}'
        return run(["bash", "-c", script], folder)
    words = shlex.split(line, comments=True)
    if words[0] != "gradstat":
        raise ValueError(f"a console block shows commands of gradstat, not {words[0]!r}")
    return run([sys.executable, "-m", *words], folder)


def run(command: Sequence[str], folder: Path, codes: Sequence[int] = (0, 1)) -> str:
    """The standard output of a process on a terminal without colors. Exit code 1 is that of a check that failed."""
    environment = os.environ | {"PYTHONPATH": str(ROOT), "NO_COLOR": "1", "TERM": "dumb", "COLUMNS": str(WIDTH)}
    ours, theirs = pty.openpty()
    termios.tcsetwinsize(theirs, (50, WIDTH))
    with subprocess.Popen(command, cwd=folder, env=environment, stdout=theirs, stderr=subprocess.PIPE) as process:
        os.close(theirs)
        text = b"".join(_chunks(ours)).decode()
        assert process.stderr is not None
        errors = process.stderr.read().decode()
    os.close(ours)
    if process.returncode not in codes:
        raise RuntimeError(f"{command}: exit code {process.returncode}: {text}{errors}")
    return text.replace("\r\n", "\n")


def _chunks(handle: int) -> Iterator[bytes]:
    """What comes out of a terminal until its last process has closed it."""
    while True:
        try:
            chunk = os.read(handle, 65536)
        except OSError:  # Linux: EIO at the end
            return
        if not chunk:
            return
        yield chunk


# The parts ----------------------------------------------------------------------------------------------------------


def commands() -> str:
    """Every command with its line of help."""
    rows = [(f"[`gradstat {name}`](#gradstat-{name})", words) for name, words in COMMANDS.items()]
    return table(("command", "what it does"), rows)


def options() -> str:
    """A section for each command: its usage, help and options."""
    context = click.Context(app, info_name="gradstat")
    parts = []
    for name in COMMANDS:
        command = app.get_command(context, name)
        assert command is not None
        usage = " ".join(" ".join(("gradstat", name, *command.collect_usage_pieces(context))).split())
        help_text = inspect.cleandoc((command.help or "").replace("\b\n", ""))
        rows = [option(parameter) for parameter in command.params if isinstance(parameter, click.Option)]
        parts.append(f"### gradstat {name}\n\n```text\n{usage}\n```\n\n{markup(help_text)}\n")
        parts.append(table(("option", "meaning"), rows))
    return "\n".join(parts)


def option(parameter: click.Option) -> tuple[str, str]:
    """Its spellings with what they take, and its help with the default."""
    taken = "" if parameter.is_flag else f" {parameter.metavar or parameter.type.name.upper()}"
    default = f" Default: {parameter.default}." if parameter.show_default else ""
    return f"`{', '.join(parameter.opts)}{taken}`", f"{markup(parameter.help or '')}{default}"


def layers() -> str:
    """Every layer with its parameters and their defaults, formula, PyTorch's name and where exact values come from."""
    head = ("layer", "parameters", "formula", "PyTorch", "exact values")
    rows = [
        (f"`{x.name}`", parameters_of(x), markup(x.formula), code(short(x.torch) or NOTHING), x.referee_words)
        for x in LAYERS.values()
    ]
    return table(head, rows)


def parameters_of(layer: Layer) -> str:
    """The parameters of a layer with their defaults, each in backticks."""
    return ", ".join(code(f"{name}={shown(default)}") for name, default in defaults(layer).items()) or NOTHING


def functions() -> str:
    """What a formula can call."""
    rows = []
    for name, function in sorted(FUNCTIONS.items()):
        documented = isinstance(function.build, FunctionType) and function.build.__doc__
        meaning = documented or PLAIN_FUNCTIONS.get(name, f"`numpy.{name}`")
        rows.append(
            (
                f"`{name}`",
                f"{function.arity}{' or more' if function.or_more else ''}",
                markup(meaning.splitlines()[0].rstrip(".")),
            )
        )
    return table(("function", "arguments", "value"), rows)


def keys(model: type[BaseModel], missing: Sequence[str] = ()) -> str:
    """The keys of a table of a TOML file, their defaults, and what is allowed."""
    rows = [
        (f"`{name}`", default_of(field), markup(allowed(field)))
        for name, field in model.model_fields.items()
        if name not in missing
    ]
    return table(("key", "default", "allowed"), rows)


def default_of(field: FieldInfo) -> str:
    """The default of a key as TOML spells it."""
    if field.is_required():
        return "required"
    default = field.get_default(call_default_factory=True, validated_data={})
    if default in (None, "", {}) or isinstance(default, BaseModel):
        return NOTHING
    return f"`{toml(default)}`"


def allowed(field: FieldInfo) -> str:
    """What a key may be."""
    tables = [getattr(each, "table", None) for each in field.metadata]
    names = next((list(each) for each in tables if each), None) or list(getattr(field.annotation, "__args__", ()))
    if field.description or not names or not all(isinstance(name, str) for name in names):
        return field.description or "a table"
    return ", ".join(toml(name) for name in names)


def columns() -> str:
    """The columns of a result file; a new column needs a description in tests/docs_words.py."""
    rows = [(f"`{field.name}`", str(field.type), COLUMNS[field.name]) for field in SCHEMA if not is_raw(field.name)]
    raw = f"`{ACCUMULATORS[0]}` … `{ACCUMULATORS[-1]}`"
    rows.append((raw, "double", f"{len(ACCUMULATORS)} raw accumulators, from which merging makes all of the above"))
    return table(("column", "type", "content"), rows)


def is_raw(name: str) -> bool:
    return name in ACCUMULATORS


def registry() -> str:
    """Every claim that gradstat ships: what is printed, what is right, the verdict, the source."""
    outcomes = list(gradstat.verify())
    parts = []
    for source, members in by_source(outcomes):
        url = members[0].claim.config.url
        rows = [
            (f"`{o.claim.id}`", escaped(quantity(o)), escaped(printed(o)), escaped(shown(right(o))), o.verdict)
            for o in members
        ]
        head = ("claim", "quantity", "printed", "right", "verdict")
        parts.append(f"## {escaped(source)}\n\n" + (f"<{url}>\n\n" if url else "") + table(head, rows))
    return "\n".join(parts)


def counts() -> str:
    """How many claims have which verdict."""
    verdicts = Counter(outcome.claim.config.expect for outcome in gradstat.verify(quick=True))
    total = sum(verdicts.values())
    return f"{total} claims: {', '.join(f'{count} {verdict}' for verdict, count in sorted(verdicts.items()))}.\n"


def exact_values() -> str:
    """The exact values that are numeric or unknown."""
    return table(("exact value", "of", "x", "layers"), not_proven())


def nfnets() -> str:
    """The table of NFNets beside what is right."""
    return render_text(report([compute(chosen(["nfnets"])[0])]), "md").partition("\n\n")[2]


def kinds() -> str:
    """Blocks that networks are built of, with their keys and defaults."""
    rows = []
    for kind in KINDS.values():
        names = [key.name if key.default is None else f"{key.name}={toml(key.default)}" for key in kind.parameters]
        more = ", and the layer's own or `expression`" if kind.others else ""
        rows.append((f"`{kind.name}`", ", ".join(code(name) for name in names) + more, kind.description))
    return table(("kind of block", "keys", "what it computes"), rows)


def schemes() -> str:
    """Schemes of scaling."""
    return table(("scheme", "what it does"), [(f"`{scheme.name}`", scheme.description) for scheme in SCHEMES.values()])


def face() -> str:
    """A section for each function of `import gradstat`, from its signature and docstring."""
    parts = []
    for name in gradstat.__all__:
        member = getattr(gradstat, name)
        if not isinstance(member, FunctionType):
            continue
        parts.append(f"### gradstat.{name}\n\n```text\n{call_of(name, member)}\n```\n\n{docstring(member)}")
    return "\n".join(parts)


def call_of(name: str, function: FunctionType) -> str:
    """`gradstat.run(configuration, *, samples=None, …)`, wrapped."""
    marks: dict[Any, str] = {inspect.Parameter.VAR_POSITIONAL: "*", inspect.Parameter.VAR_KEYWORD: "**"}
    words, starred = [], False
    for parameter in inspect.signature(function).parameters.values():
        if parameter.kind is parameter.KEYWORD_ONLY and not starred:
            words.append("*")
        starred |= parameter.kind in (parameter.KEYWORD_ONLY, parameter.VAR_POSITIONAL)
        default = "" if parameter.default is parameter.empty else f"={parameter.default!r}"
        words.append(f"{marks.get(parameter.kind, '')}{parameter.name}{default}")
    return "\n".join(textwrap.wrap(f"gradstat.{name}({', '.join(words)})", 96, subsequent_indent="    "))


def docstring(function: Callable[..., Any]) -> str:
    """A docstring as Markdown: arguments as a list, examples as a block."""
    lines: list[str] = []
    for paragraph in inspect.cleandoc(function.__doc__ or "").split("\n\n"):
        if paragraph.startswith(">>>"):
            lines.append(f"```pycon\n{paragraph}\n```")
        elif paragraph.startswith("Arguments:\n"):
            body = re.sub(r"\n        +", " ", paragraph.removeprefix("Arguments:\n"))
            items = [re.sub(r"^    ([\w, ]+): ", r"`\1`: ", line) for line in body.splitlines()]
            lines.append("\n".join(f"* {markup(item)}" for item in items))
        else:
            lines.append(markup(" ".join(paragraph.split())))
    return "\n\n".join(lines) + "\n"


def tables_of(name: str) -> list[str]:
    """The tables of a file in results/, as the bench that wrote it has left them."""
    text = (ROOT / "results" / name).read_text(encoding="utf-8")
    return [f"{block.strip()}\n" for block in text.split("\n\n") if block.lstrip().startswith("|")]


def listed(name: str) -> Callable[[], str]:
    """The table of `gradstat list NAME`."""
    return lambda: f"{markdown_table(LISTINGS[name][1]())}\n"


def limits() -> str:
    """What gradstat reads and does at most."""
    return table(("at most", "of"), [(f"{limit.most:,}", limit.counts) for limit in LIMITS])


BLOCKS: dict[str, Callable[[], str]] = {
    "commands": commands,
    "options": options,
    "layers": layers,
    "functions": functions,
    "run-keys": lambda: keys(RunConfig, ["input", "upstream", "layer"]),
    "input-keys": lambda: keys(InputConfig),
    "upstream-keys": lambda: keys(UpstreamConfig),
    "layer-keys": lambda: keys(LayerConfig),
    "claim-keys": lambda: keys(ClaimConfig),
    "distributions": listed("distributions"),
    "statistics": listed("statistics"),
    "configs": listed("configs"),
    "formats": listed("formats"),
    "tables": listed("tables"),
    "plots": listed("plots"),
    "columns": columns,
    "limits": limits,
    "registry": registry,
    "counts": counts,
    "exact-values": exact_values,
    "face": face,
    "rqmc": lambda: tables_of("rqmc.md")[0],
    "precise": lambda: tables_of("rqmc.md")[1],
    "nfnets": nfnets,
    "kinds": kinds,
    "schemes": schemes,
    "bench": lambda: tables_of("bench.md")[0],
    "power": power.table,
    "growth": lambda: tables_of("bench.md")[-1],
}


def table(head: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    """A pipe table; cells are Markdown already, but for their bars."""
    lines = [head, tuple("---" for _ in head), *rows]
    return "".join("| " + " | ".join(re.sub(r"(?<!\\)\|", r"\\|", cell) for cell in line) + " |\n" for line in lines)


def code(text: str) -> str:
    """In backticks, unless there is nothing."""
    return f"`{text}`" if text and text != NOTHING else NOTHING


def markup(text: str) -> str:
    """Plain text as Markdown: no star, angle bracket or underscore is taken for markup; backticks stay."""
    parts = text.split("`")
    return "`".join(part if i % 2 else re.sub(r"([*_<>\[\]])", r"\\\1", part) for i, part in enumerate(parts))


if __name__ == "__main__":
    for page in [Path(name).resolve() for name in sys.argv[1:]] or [EVERY_LAYER, *PAGES]:
        page.write_text(current(page), encoding="utf-8")
