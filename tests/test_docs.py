"""README.md: its generated parts are current, and every command and snippet that it shows works."""

import fnmatch
import importlib.util
import json
import os
import re
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path

import click
import pytest

from gradstat.cli.app import app
from gradstat.config import load
from gradstat.errors import UsageError
from gradstat.layer_types.from_config import cases
from gradstat.networks import config as networks_config
from gradstat.networks import network as networks
from gradstat.verification import claims
from tests.readme import BLOCK, BLOCKS, README, commands, generated, layers

ROOT = README.parent
TEXT = README.read_text(encoding="utf-8")
SNIPPETS = re.findall(r"^```(\w*)\n(.*?)^```$", TEXT, re.DOTALL | re.MULTILINE)
INLINE = re.findall(r"(?<!`)`(gradstat [^`]+)`", TEXT)
# A command of the text, or of a snippet: alone on its line, behind a prompt, or the step of a workflow.
SHOWN = [line for kind, body in SNIPPETS for line in body.splitlines() if kind in ("", "yaml")]
LINES = [found[1] for line in SHOWN if (found := re.search(r"(?:^|\$ |\.venv/bin/| )(gradstat [a-z-].*)", line))]
NAMES = {f"gradstat {name}" for name in app.list_commands(click.Context(app))}  # in a sentence: no command to run
COMMANDS = sorted({*LINES, *INLINE} - (NAMES - set(LINES)))


def snippets(kind: str) -> list[str]:
    return [body for own, body in SNIPPETS if own == kind]


def parse(line: str) -> click.Context:
    """As the command line does, without doing it."""
    with app.make_context("gradstat", shlex.split(line, comments=True)[1:]) as group:
        name, command, rest = app.resolve_command(group, group._protected_args + group.args)
        assert command is not None
        context: click.Context = command.make_context(name, rest, parent=group)
        return context


# Generated parts ---------------------------------------------------------------------------------------------------


def test_generated_files_are_current() -> None:
    """In a process of its own: no other test has registered layers there."""
    code = "import json; from tests.readme import files; print(json.dumps({str(p): t for p, t in files().items()}))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, cwd=ROOT, check=True, timeout=120)
    for path, text in json.loads(done.stdout).items():
        assert text == Path(path).read_text(encoding="utf-8"), f"{path} is not what the code says; run make docs"


def test_every_part_is_there() -> None:
    assert [found["name"] for found in BLOCK.finditer(TEXT)] == list(BLOCKS)


def test_what_is_old_is_made_anew() -> None:
    old = "before\n<!-- generated: commands -->\nold\n<!-- end -->\nbehind\n"
    assert generated(old) == f"before\n<!-- generated: commands -->\n{commands()}<!-- end -->\nbehind\n"


def test_commands_and_layers_are_told_with_all_they_take() -> None:
    assert "| `gradstat gain` | Print the mean, std and gains" in commands()
    assert "| `-n, --samples COUNT` | Draws per layer: 1e8, 100M, 2**27. |" in commands()
    assert "None" not in commands()
    assert r"| `hardshrink` | `lambd=0.5` | y = x if \|x\| > lambd else 0 | `F.hardshrink` | quadrature |" in layers()


# Commands ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("line", COMMANDS)
def test_command_is_understood(line: str) -> None:
    context = parse(line)
    if only := context.params.get("only"):
        known = [claim.id for claim in claims.load([ROOT / "configs" / "claims"])]
        assert fnmatch.filter(known, only), f"no claim has an id like {only}"
    for value in context.params.values():
        for path in value if isinstance(value, tuple) else (value,):
            if isinstance(path, Path) and path.parts[:1] == ("configs",):
                assert (ROOT / path).exists()


def test_enough_commands_are_read() -> None:
    assert len(COMMANDS) >= 25
    assert {"gain", "tables", "diff", "plot", "show", "run", "verify", "doctor"} <= {c.split()[1] for c in COMMANDS}


@pytest.mark.parametrize("line", ["gradstat gain relu --foo", "gradstat tables nfnet", "gradstat paint"])
def test_a_command_that_is_wrong_is_noticed(line: str) -> None:
    with pytest.raises((click.UsageError, UsageError)):
        parse(line)


def test_targets_of_make_are_there() -> None:
    targets = re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    shown = re.findall(r"(?:^|`)make ([a-z]+)", TEXT, re.MULTILINE)
    assert shown
    assert set(shown) <= set(targets)


# Snippets ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", snippets("toml"))
def test_configuration_is_valid(text: str, tmp_path: Path) -> None:
    path = tmp_path / "snippet.toml"
    path.write_text(text, encoding="utf-8")
    document = tomllib.loads(text)
    if "claim" in document:
        assert claims.load([path])
    elif "network" in document:
        assert networks.build(networks_config.load(path), "README.md")
    else:
        assert cases(load(path))


@pytest.fixture(scope="module")
def after_make_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the results that `make run` and `make verify` write."""
    folder = tmp_path_factory.mktemp("checkout")
    (folder / "results").mkdir()
    commands = {"series": ["run", "configs/series.toml"], "verification": ["verify"]}
    for name, arguments in commands.items():
        command = [
            sys.executable,
            "-m",
            "gradstat",
            *arguments,
            "-q",
            "-o",
            str(folder / "results" / f"{name}.parquet"),
        ]
        subprocess.run(command, cwd=ROOT, check=True, timeout=300)
    return folder


@pytest.mark.parametrize("text", snippets("python"))
def test_python_runs_and_prints_what_is_shown(text: str, after_make_run: Path) -> None:
    if "duckdb" in text and importlib.util.find_spec("duckdb") is None:
        pytest.skip("duckdb is not installed; gradstat does not need it")
    if "SLURMCluster" in text:
        compile(text, "README.md", "exec")
        pytest.skip("needs SLURM; tests/test_dask.py samples on clusters")
    done = subprocess.run(
        [sys.executable, "-c", text],
        cwd=after_make_run,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert (done.returncode, done.stderr) == (0, "")
    shown = re.match(r"(?:.*\n)*?```\n\n```\n((?:.+\n|\n)*?)```\n", TEXT[TEXT.index(text) + len(text) :])
    if "print(" in text:
        assert shown is not None
        assert done.stdout.rstrip() == shown[1].rstrip()


def test_gain_prints_what_is_shown() -> None:
    (shown,) = (body for body in snippets("") if body.startswith("$ gradstat gain relu\n"))
    done = subprocess.run(
        [sys.executable, "-m", "gradstat", "gain", "relu"], capture_output=True, text=True, timeout=60
    )
    assert shown.partition("\n")[2] == done.stdout


def test_rqmc_prints_what_is_shown() -> None:
    (shown,) = (body for body in snippets("") if body.startswith("sigmoid "))
    command = [sys.executable, "-m", "gradstat", "run", "configs/series.toml", "--estimator", "rqmc", "-n", "2**24"]
    assert "`gradstat run configs/series.toml --estimator rqmc -n 2**24`" in " ".join(TEXT.split())
    text = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, timeout=120, check=True).stdout
    of_sigmoid = text[text.index("\nsigmoid") :].splitlines()[1 : 1 + shown.count("\n")]
    assert [line.split() for line in of_sigmoid] == [line.split() for line in shown.splitlines()]


def test_run_prints_what_is_shown() -> None:
    """The command of `make run`, of which README.md shows the whole table."""
    (shown,) = (body for body in snippets("") if body.startswith("layer "))
    command = [sys.executable, "-m", "gradstat", "run", "configs/series.toml"]
    assert shown == subprocess.run(command, capture_output=True, text=True, cwd=ROOT, timeout=300, check=True).stdout


def test_hooks_and_inputs_are_those_that_are_offered() -> None:
    hooks = (ROOT / ".pre-commit-hooks.yaml").read_text(encoding="utf-8")
    action = (ROOT / "action.yml").read_text(encoding="utf-8")
    text = "\n".join(snippets("yaml"))
    assert re.findall(r"\bid: ([a-z-]+)", text)
    assert set(re.findall(r"\bid: ([a-z-]+)", text)) == set(re.findall(r"\bid: ([a-z-]+)", hooks))
    (inputs,) = re.findall(r"with:\n((?: {6}.+\n)+)", text)
    assert all(f"\n  {line.partition(':')[0].strip()}:\n" in action for line in inputs.splitlines())
