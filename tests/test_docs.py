"""README.md and docs/: the parts that are made are current, and every command, snippet and link is right."""

import fnmatch
import importlib.util
import re
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path

import click
import pytest

import gradstat
from gradstat.cli.app import app
from gradstat.config import load
from gradstat.errors import UsageError
from gradstat.layer_types.from_config import cases
from gradstat.layer_types.registry import LAYERS
from gradstat.networks import config as networks_config
from gradstat.networks import network as networks
from gradstat.verification import files as claims
from tests.docs import BLOCK, BLOCKS, FENCED, PAGES, ROOT, functions, generated, layers, options, rewritten

TEXTS = {page.relative_to(ROOT).as_posix(): page.read_text(encoding="utf-8") for page in PAGES}
EVERY_PAGE = pytest.mark.parametrize("page", TEXTS)
README = TEXTS["README.md"]
LONGEST_README = 6000  # bytes
WIDEST = 100  # columns of README.md, outside of links and pipe tables
ARGUMENTS = re.compile(r"""([^|>"'<]|"[^"]*"|'[^']*')*""")  # of a command, up to a pipe or a redirection
SITE = "https://github.com/gradstat/gradstat/blob/main/"


def snippets(text: str, *kinds: str) -> list[str]:
    """The bodies of the fenced blocks of these kinds."""
    return [match["body"] for match in FENCED.finditer(text) if match["kind"] in kinds]


def commands_in(text: str) -> set[str]:
    """Every command of gradstat that a page shows: in blocks, and in backticks with an argument."""
    lines = [line for body in snippets(text, "bash", "sh", "yaml", "console", "") for line in body.splitlines()]
    lines = [match[1] for line in lines if (match := re.search(r"(?:^|\$ |pipx run |\| )(gradstat [a-z-].*)", line))]
    prose = FENCED.sub("", BLOCK.sub("", text))
    lines += re.findall(r"(?<!`)`(gradstat [a-z]+ [^`]+)`", prose)
    commands = [match[0].strip() for line in lines if (match := ARGUMENTS.match(line))]
    return {command for command in commands if not re.search(r"…|<TAB|\$|\\$", command)}


SHOWN = sorted({(page, command) for page, text in TEXTS.items() for command in commands_in(text)})


def parse(line: str) -> click.Context:
    """The arguments as the command line understands them; nothing is run."""
    with app.make_context("gradstat", shlex.split(line, comments=True)[1:]) as group:
        name, command, rest = app.resolve_command(group, group._protected_args + group.args)
        assert command is not None
        context: click.Context = command.make_context(name, rest, parent=group)
        return context


# The parts that are made ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["configs/layers.toml", *TEXTS])
def test_page_is_current(name: str) -> None:
    """In a process of its own: no other test has registered layers there."""
    text = (ROOT / name).read_text(encoding="utf-8")
    if "import duckdb" in text and importlib.util.find_spec("duckdb") is None:
        pytest.skip("duckdb is not installed; gradstat does not need it")
    code = (
        f"import sys; from tests.docs import ROOT, current; sys.stdout.buffer.write(current(ROOT / {name!r}).encode())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, cwd=ROOT, timeout=300)
    assert done.returncode == 0, done.stderr.decode()
    assert done.stdout.decode() == text, f"{name} is not what the code makes of it; run make docs"


def test_every_part_is_somewhere() -> None:
    assert {match["name"] for text in TEXTS.values() for match in BLOCK.finditer(text)} == set(BLOCKS)


def test_an_old_part_is_made_again() -> None:
    old = "before\n<!-- generated: functions -->\nold\n<!-- end -->\nafter\n"
    assert generated(old) == f"before\n<!-- generated: functions -->\n{functions()}<!-- end -->\nafter\n"


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (
            "```console\n$ gradstat --version\nold\n```\n",
            r"```console\n\$ gradstat --version\ngradstat [0-9.]+\n```\n",
        ),
        ("```python\nprint(1 + 1)\n```\n\n```text\n3\n```\n", r"```python\nprint\(1 \+ 1\)\n```\n\n```text\n2\n```\n"),
        (
            "```toml\n# a.toml\nb = 1\n```\n```console\n$ cat a.toml | head -1\n```\n",
            r"(.*\n)+\$ cat a.*\n# a\.toml\n```\n",
        ),
    ],
)
def test_what_is_printed_is_made_again(old: str, new: str) -> None:
    assert re.fullmatch(new, rewritten(old))


@pytest.mark.parametrize(
    "text", ["```python\nraise KeyError\n```\n\n```text\n```\n", "```console\n$ gradstat gian\n```\n"]
)
def test_a_failing_snippet_is_no_page(text: str) -> None:
    with pytest.raises(RuntimeError, match="exit code"):
        rewritten(text)


def test_options_and_layers_are_complete() -> None:
    assert "| `-n, --samples COUNT` | Draws per layer" in options()
    assert "None" not in options()
    assert r"| `hardshrink` | `lambd=0.5` | y = x if \|x\| \> lambd else 0 | `F.hardshrink` |" in layers()


# README.md -----------------------------------------------------------------------------------------------------------


def test_readme_is_short() -> None:
    assert len(README.encode()) <= LONGEST_README


def test_readme_counts_layers() -> None:
    assert f" {len(LAYERS)} layers," in README


def test_output_in_readme_is_not_wide() -> None:
    assert [
        line for body in snippets(README, "console", "text") for line in body.splitlines() if len(line) > WIDEST
    ] == []


def test_readme_answers_on_its_first_screen() -> None:
    assert README[: README.index("## Is a published")].count("1.533530441") == 2


# Commands ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("page", "line"), SHOWN)
def test_command_is_understood(page: str, line: str) -> None:
    context = parse(line)
    if only := context.params.get("only"):
        ids = [claim.id for claim in claims.load([ROOT / "configs" / "claims"])]
        assert fnmatch.filter(ids, only), f"no claim has an id like {only}"
    for value in context.params.values():
        for path in value if isinstance(value, tuple) else (value,):
            if isinstance(path, Path) and path.parts[:1] == ("configs",):
                assert (ROOT / path).exists()


def test_enough_commands_are_read() -> None:
    assert len(SHOWN) >= 50
    assert {line.split()[1] for _, line in SHOWN} >= {
        "gain",
        "tables",
        "diff",
        "plot",
        "show",
        "run",
        "verify",
        "merge",
    }


@pytest.mark.parametrize("line", ["gradstat gain relu --foo", "gradstat tables nfnet", "gradstat paint"])
def test_a_command_that_is_wrong_is_noticed(line: str) -> None:
    assert commands_in(f"```bash\n{line}\n```\n") == commands_in(f"see `{line}`") | {line}
    with pytest.raises((click.UsageError, UsageError)):
        parse(line)


def test_targets_of_make_are_there() -> None:
    targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    shown = {name for text in TEXTS.values() for name in re.findall(r"(?:^|`)make ([a-z-]+)", text, re.MULTILINE)}
    assert {"run", "test", "bench"} <= shown <= set(targets)


# Numbers in code -----------------------------------------------------------------------------------------------------


def test_numbers_in_code_are_right() -> None:
    """The page claims its numbers with comments that `gradstat verify` reads."""
    verification = gradstat.verify(ROOT / "docs" / "which-gain.md", quick=True)
    assert len(verification) >= 6
    assert verification.ok, str(verification)


def test_a_wrong_number_is_noticed(tmp_path: Path) -> None:
    wrong = TEXTS["docs/which-gain.md"].replace("gain = 1.481114413", "gain = 1.481114414")
    (tmp_path / "page.md").write_text(wrong, encoding="utf-8")
    assert len(gradstat.verify(tmp_path / "page.md", quick=True).unexpected) == 1


def test_table_of_gains_is_what_gain_prints() -> None:
    """The numbers of README.md and docs/which-gain.md for GELU."""
    answer = gradstat.gain("gelu")
    rows = {
        (row[2], row[1]): row[3]
        for row in re.findall(r"^\| (He|weight|unit).*`(\w+)` of (y|dx) \| ([\d.]+) \|$", README, re.MULTILINE)
    }
    assert len(rows) == 3
    for (variable, statistic), number in rows.items():
        direction = answer.forward if variable == "y" else answer.backward
        assert number == str(getattr(direction, statistic))


# Snippets ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", [body for text in TEXTS.values() for body in snippets(text, "toml")])
def test_configuration_is_valid(text: str, tmp_path: Path) -> None:
    path = tmp_path / "snippet.toml"
    path.write_text(text, encoding="utf-8")
    document = tomllib.loads(text)
    if "tool" in document:
        assert document["tool"]["gradstat"]["paths"]
    elif "claim" in document:
        assert claims.load([path])
    elif "network" in document:
        assert networks.build(networks_config.load(path), "a page")
    else:
        assert cases(load(path))


@EVERY_PAGE
def test_python_is_run_or_needs_a_cluster(page: str) -> None:
    """A ```python block is run where its page is made again: for its ```text, or by test_python_without_output."""
    for body in snippets(TEXTS[page], "python"):
        compile(body, page, "exec")
        assert "print(" not in body or f"{body}```\n\n```text\n" in TEXTS[page] or "Progress" in body


@pytest.mark.parametrize(
    "body",
    [body for text in TEXTS.values() for body in snippets(text, "python") if f"{body}```\n\n```text" not in text],
)
def test_python_without_output(body: str, tmp_path: Path) -> None:
    if "SLURMCluster" in body:
        pytest.skip("needs SLURM; tests/test_dask.py samples on clusters")
    done = subprocess.run([sys.executable, "-c", body], cwd=tmp_path, env={"PYTHONPATH": str(ROOT)}, timeout=120)
    assert done.returncode == 0


def test_hooks_and_inputs_are_those_that_are_offered() -> None:
    hooks = (ROOT / ".pre-commit-hooks.yaml").read_text(encoding="utf-8")
    action = (ROOT / "action.yml").read_text(encoding="utf-8")
    text = "\n".join(snippets(TEXTS["docs/ci.md"], "yaml"))
    shown = set(re.findall(r"\bid: ([a-z-]+)", text))
    assert {"gradstat-verify", "gradstat-tables"} <= shown <= set(re.findall(r"\bid: ([a-z-]+)", hooks))
    (inputs,) = re.findall(r"with:\n((?: {6,}.+\n)+)", text)
    names = re.findall(r"^ {6}(\w+):", inputs, re.MULTILINE)
    assert names
    assert all(f"\n  {name}:\n" in action for name in names)


# Links ---------------------------------------------------------------------------------------------------------------


def anchors(text: str) -> set[str]:
    """The anchors of the headings of a page, as GitHub and mkdocs make them."""
    heads = re.findall(r"^#+ (.+)$", FENCED.sub("", text), re.MULTILINE)
    return {re.sub(r" ", "-", re.sub(r"[^\w -]", "", head.strip().lower())) for head in heads}


def broken(page: Path, text: str) -> list[str]:
    """The links of a page that lead nowhere: to no file, or to no heading of a page."""
    wrong = []
    for target in re.findall(r"(?<!`)\]\(([^)\s]+)\)", FENCED.sub("", text)):
        if target.startswith(SITE):
            name, path, anchor = target, ROOT / target.removeprefix(SITE), ""
        elif target.startswith(("http://", "https://")):
            continue
        else:
            name, _, anchor = target.partition("#")
            path = (page.parent / name) if name else page
        leads = path.exists() if name else True
        if not leads or (anchor and anchor not in anchors(path.read_text(encoding="utf-8") if name else text)):
            wrong.append(target)
    return wrong


@EVERY_PAGE
def test_links_lead_somewhere(page: str) -> None:
    assert broken(ROOT / page, TEXTS[page]) == []


def test_a_broken_link_is_noticed() -> None:
    text = "# A head\n[a](commands.md) [b](#a-head) [c](#nowhere) [d](nowhere.md) [e](commands.md#nowhere)\n"
    assert broken(ROOT / "docs" / "x.md", text) == ["#nowhere", "nowhere.md", "commands.md#nowhere"]


def test_every_page_is_in_the_site_and_linked_from_readme() -> None:
    site = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    pages = [name.removeprefix("docs/") for name in TEXTS if name.startswith("docs/")]
    assert [name for name in pages if f": {name}\n" not in site] == []
    assert [name for name in pages if f"](docs/{name})" not in README and name != "index.md"] == []
