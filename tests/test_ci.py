"""What other repositories and CI run: the action, the hooks, the workflows, and the lowest declared versions."""

import os
import re
import shutil
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

import gradstat
from gradstat.cli.app import start
from tests.oldest import constraints

ROOT = Path(__file__).parents[1]
VERIFY = ROOT / ".ci" / "verify"
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))

in_a_checkout = pytest.mark.skipif(not VERIFY.exists(), reason="the source distribution has no CI")


# The step of the action that verifies ------------------------------------------------------------------------------


@pytest.fixture
def verify(tmp_path: Path) -> Any:
    """Runs the step in a folder with a command that prints its arguments, one on each line."""
    command = tmp_path / "print arguments"
    command.write_text('#!/bin/sh\nprintf "%s\\n" "$@"\n')
    command.chmod(0o755)
    folder = tmp_path / "checkout"
    (folder / "some claims" / "deep").mkdir(parents=True)
    for name in ("a.toml", "b c.toml", "some claims/d.toml", "some claims/deep/e.toml", "odd[1].toml", "-o.toml"):
        (folder / name).touch()

    def step(claims: str, options: str = "") -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [VERIFY, command],
            cwd=folder,
            env=os.environ | {"CLAIMS": claims, "OPTIONS": options},
            capture_output=True,
            text=True,
            timeout=60,
        )

    return step


@in_a_checkout
@pytest.mark.parametrize(
    ("claims", "paths"),
    [
        ("a.toml", ["a.toml"]),
        ("some claims\n", ["some claims"]),
        ("a.toml\r\n  b c.toml  \n\n", ["a.toml", "b c.toml"]),
        ("some claims/*.toml", ["some claims/d.toml"]),
        ("some claims/**/*.toml", ["some claims/d.toml", "some claims/deep/e.toml"]),
        ("b ?.toml", ["b c.toml"]),
        ("odd[1].toml", ["odd[1].toml"]),
        ("-o.toml", ["-o.toml"]),
    ],
)
def test_action_passes_paths_and_patterns(verify: Any, claims: str, paths: list[str]) -> None:
    done = verify(claims, "--quick --max-samples 1e9")
    options = ["verify", "--format", "github", "--quick", "--max-samples", "1e9", "--"]
    assert (done.returncode, done.stdout.splitlines()) == (0, options + paths)


@in_a_checkout
@pytest.mark.parametrize("claims", ["nowhere.toml", "*.json", "nowhere/*.toml", "", "  \n", "a.toml\nnowhere"])
def test_action_refuses_what_matches_nothing(verify: Any, claims: str) -> None:
    done = verify(claims)
    assert done.returncode == 2
    assert done.stdout.startswith("::error::claims: ")
    assert len(done.stdout.splitlines()) == 1


@in_a_checkout
def test_action_runs_nothing_that_a_caller_writes(verify: Any, tmp_path: Path) -> None:
    for text in ("$(touch ran)", "`touch ran`", "a.toml; touch ran", "$(touch ran)*"):
        assert verify(text).returncode == 2
        assert verify("a.toml", text).returncode == 0
    assert not (tmp_path / "checkout" / "ran").exists()


@in_a_checkout
def test_python_of_the_action_ignores_the_callers_folder() -> None:
    """`-I` leaves the folder and the environment out: without it, `python -m pip` would run pip/ of the checkout."""
    steps = yaml.safe_load((ROOT / "action.yml").read_text(encoding="utf-8"))["runs"]["steps"]
    scripts = [step["run"] for step in steps if "run" in step]
    calls = [call for script in scripts for call in re.findall(r'(?:"\$PYTHON"|/bin/python")[^\n;&|]*', script)]
    assert len(calls) == 3
    assert all(re.search(r'" -I -m ', call) for call in calls)
    assert not any(re.search(r"(?<!-m )\b(python3?|pip3?) ", script) for script in scripts)
    assert not any("${{ inputs" in script for script in scripts)
    assert steps[-1]["env"]["PYTHONSAFEPATH"] == "1"


# Malformed claims --------------------------------------------------------------------------------------------------

CLAIM = '[[claim]]\nid = "a"\nsource = "s"\nlayer = "relu"\ndirection = "forward"\nstatistic = "mean"\nvalue = "0.4"\n'


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        (CLAIM + CLAIM.replace('"a"', '"b"').replace("relu", "rellu"), 8, "claim 'b': unknown layer 'rellu'"),
        (CLAIM + "\nvalue = 3\n", 9, "not valid TOML"),
        (CLAIM + CLAIM, 8, "id 'a' is already used at "),
        ("claims = 3\n", 1, "expected [[claim]] tables"),
    ],
)
def test_malformed_claims_are_annotated(
    text: str,
    line: int,
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("a b.toml").write_text(text)
    assert start(["verify", "--quick", "--format", "github", "a b.toml"]) == 2
    out, err = capsys.readouterr()
    assert out.startswith(f"::error file=a b.toml,line={line},title=malformed claim::{message}")
    assert len(out.splitlines()) == 1
    assert err.startswith(f"gradstat: a b.toml:{line}: {message}")
    assert start(["verify", "--quick", "a b.toml"]) == 2
    assert capsys.readouterr().out == ""


# Hooks and workflows -----------------------------------------------------------------------------------------------


@in_a_checkout
def test_hooks_end_their_options() -> None:
    """A file called -o… is a file: what pre-commit appends comes after `--`."""
    for path in (".pre-commit-hooks.yaml", ".pre-commit-config.yaml"):
        document = yaml.safe_load((ROOT / path).read_text(encoding="utf-8"))
        hooks = document if isinstance(document, list) else document["repos"][0]["hooks"]
        assert all(hook["entry"].endswith(" --") for hook in hooks if hook.get("pass_filenames", True))


@in_a_checkout
@pytest.mark.parametrize("path", [*WORKFLOWS, ROOT / "action.yml"], ids=lambda path: path.name)
def test_actions_are_pinned_by_commit(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert yaml.safe_load(text)
    for used in re.findall(r"uses: (\S+)", text):
        assert used.startswith("./") or re.fullmatch(r"[\w./-]+@[0-9a-f]{40}", used), used


@in_a_checkout
@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_workflows_run_targets_of_make_and_may_read_only(path: Path) -> None:
    document = yaml.safe_load(path.read_text(encoding="utf-8"))
    assert document["permissions"] == {"contents": "read"}
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    for job in document["jobs"].values():
        assert job["timeout-minutes"] <= 60
        for step in job["steps"]:
            for words in re.findall(r"^make ([a-z][a-z -]*)", step.get("run", ""), re.MULTILINE):
                assert set(words.split()) <= targets


def test_the_version_is_written_once_and_cited() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert project["dynamic"] == ["version"]
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert citation["version"] == gradstat.__version__


# make --------------------------------------------------------------------------------------------------------------


@pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed")
def test_running_installs_no_development_tools() -> None:
    def recipe(target: str) -> str:
        command = ["make", "--dry-run", "--always-make", "-C", str(ROOT), target]
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout

    for target in ("run", "verify"):
        assert "-e ." in recipe(target)
        assert "[dev]" not in recipe(target)
    assert "[dev]" in recipe("test")


@pytest.mark.skipif(not (ROOT / ".git").exists(), reason="not a checkout")
@pytest.mark.parametrize("name", ["series.parquet", "verification.parquet", "a-run/b.part"])
def test_what_running_writes_is_not_versioned(name: str) -> None:
    ignored = ["git", "-C", str(ROOT), "check-ignore", "-q", f"results/{name}"]
    tracked = ["git", "-C", str(ROOT), "ls-files", f"results/{name}"]
    assert subprocess.run(ignored, check=False, timeout=60).returncode == 0
    assert subprocess.run(tracked, check=True, timeout=60, capture_output=True, text=True).stdout == ""


# The lowest versions -----------------------------------------------------------------------------------------------


def test_every_dependency_has_a_lowest_version() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    lowest = constraints(project)
    assert len(lowest) == len(project["dependencies"]) + 2
    assert "numpy==2.0" in lowest
    with pytest.raises(ValueError, match="declares no lowest version"):
        constraints(project | {"dependencies": ["numpy"]})
