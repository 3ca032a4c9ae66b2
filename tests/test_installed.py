"""The installed command, as a user has it: from an empty folder, as its own process, with whatever versions there are.

Nothing here imports gradstat: the tests hold for a wheel, and `make test-oldest` runs them with the lowest versions.
"""

import csv
import importlib.util
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

COMMAND = Path(sys.executable).with_name("gradstat")
# Names that gradstat, its dependencies and the processes that it starts import.
IMPORTED = ("struct", "numpy", "click", "numba", "pandas", "pyarrow", "pydantic", "rich", "distributed", "gradstat")
PLANTED = "import os\nopen(os.environ['MARK'], 'a').write(__name__ + ' ')\n"
NETWORK = """features = 8
networks = 2
batch = 2
schemes = ["he"]
[[network]]
activations = ["relu"]
[[network.stage]]
blocks = [{ kind = "linear" }, { kind = "activation" }]
"""

Run = Callable[..., "subprocess.CompletedProcess[str]"]

pytestmark = pytest.mark.skipif(not COMMAND.exists(), reason=f"gradstat is not installed as {COMMAND}")


@pytest.fixture
def run(tmp_path: Path) -> Run:
    def command(*arguments: str, code: int = 0, **environment: str) -> "subprocess.CompletedProcess[str]":
        """A process of gradstat in an empty folder, which has to end with this exit code."""
        done = subprocess.run(
            [COMMAND, *arguments],
            cwd=tmp_path,
            env=os.environ | environment,
            capture_output=True,
            text=True,
            timeout=300,
        )
        assert done.returncode == code, done.stderr
        return done

    return command


def test_gain_prints_known_digits(run: Run) -> None:
    """SELU keeps mean 0 and variance 1, and ReLU halves the second moment."""
    for layer, expected in (("selu", 1.0), ("relu", 2.0**-0.5)):
        rms = next(line for line in run("gain", layer).stdout.splitlines() if line.startswith("rms"))
        assert float(rms.split()[1]) == pytest.approx(expected, abs=1e-9)


def test_a_shipped_configuration_runs_and_is_read_back(run: Run, tmp_path: Path) -> None:
    sampled = run("run", "series", "-n", "2000", "-o", "a.parquet", "-o", "a.csv", "-o", "a.json", "-o", "a.html")
    assert sampled.stderr == ""
    assert "sigmoid" in sampled.stdout
    assert run("show", "a.parquet").stdout == sampled.stdout
    run("diff", "a.parquet", "a.parquet")
    rows = list(csv.DictReader((tmp_path / "a.csv").read_text(encoding="utf-8").splitlines()))
    assert {row["direction"] for row in rows} == {"forward", "backward"}
    assert len(rows) == 20
    assert (tmp_path / "a.html").read_text(encoding="utf-8").lower().startswith("<!doctype html>")


def test_shipped_claims_are_decided(run: Run) -> None:
    assert run("verify", "--quick", "--only", "wang2016-*").stdout.splitlines()[-1].endswith("all as expected")
    decided = run("verify", "--quick", "--only", "wang2016-*", "--format", "csv").stdout
    assert {row["verdict"] for row in csv.DictReader(decided.splitlines())} == {"confirmed", "imprecise", "refuted"}


def test_a_wrong_claim_is_refuted(run: Run, tmp_path: Path) -> None:
    claim = (
        '[[claim]]\nid = "a"\nsource = "s"\nlayer = "relu"\ndirection = "forward"\nstatistic = "rms"\nvalue = "{}"\n'
    )
    path = tmp_path / "a.toml"
    path.write_text(claim.format("0.7071"))
    run("verify", "--quick", "a.toml")
    path.write_text(claim.format("0.7072"))
    assert "refuted" in run("verify", "--quick", "a.toml", code=1).stdout


def test_tables_networks_and_pictures_are_made(run: Run, tmp_path: Path) -> None:
    assert "| relu | 1.71285855" in run("tables", "nfnets").stdout
    (tmp_path / "n.toml").write_text(NETWORK)
    assert "he" in run("propagate", "n.toml", "-j", "1", "-o", "n.parquet").stdout
    if importlib.util.find_spec("matplotlib"):
        run("plot", "variance-map", "gelu", "-o", "a.svg")
        assert "<svg" in (tmp_path / "a.svg").read_text(encoding="utf-8")
    else:
        assert "gradstat[plot]" in run("plot", "variance-map", "gelu", "-o", "a.svg", code=2).stderr


def test_lists_schema_and_completion(run: Run) -> None:
    assert {line.split()[0] for line in run("list", "configs").stdout.splitlines()} >= {"series", "layers", "depth"}
    assert json.loads(run("schema", "run").stdout)["required"] == ["layer"]
    asked = {"_GRADSTAT_COMPLETE": "bash_complete", "COMP_WORDS": "gradstat gain leak", "COMP_CWORD": "2"}
    assert run(**asked).stdout.split() == ["plain,leaky_relu"]


@pytest.mark.parametrize(
    ("arguments", "text", "message"),
    [
        (("run", "a.toml"), "sample = 1000\n[[layer]]\nname = 'relu'\n", "did you mean 'samples'?"),
        (("run", "a.toml"), "[[layer]]\nname = 'rellu'\n", "did you mean 'relu'?"),
        (("run", "a.toml"), "[[layer]]\nname = 'elu'\nalpha = 'a'\n", "alpha"),
        (("run", "a.toml"), "[input]\nstd = -1\n[[layer]]\nname = 'relu'\n", "std"),
        (("run", "serie"), "", "did you mean series?"),
        (("gain", "gelu", "--nosuch"), "", "gradstat gain --help"),
        (("gain",), "", "gradstat gain"),
        (("verify", "--max-samples", "0"), "", "--max-samples 0"),
        (("schema", "rum"), "", "did you mean 'run'?"),
        (("nosuch",), "", "unknown command 'nosuch'"),
    ],
)
def test_a_mistake_is_one_line(run: Run, tmp_path: Path, arguments: tuple[str, ...], text: str, message: str) -> None:
    (tmp_path / "a.toml").write_text(text)
    stderr = run(*arguments, code=2).stderr
    assert len(stderr.splitlines()) == 1
    assert message in stderr


def test_no_code_of_the_current_folder_runs(run: Run, tmp_path: Path) -> None:
    """Neither by the command, nor by the processes that it starts for networks and for Dask."""
    for name in IMPORTED:
        (tmp_path / f"{name}.py").write_text(PLANTED)
    (tmp_path / "multiprocessing").mkdir()
    (tmp_path / "multiprocessing" / "__init__.py").write_text(PLANTED)
    (tmp_path / "n.toml").write_text(NETWORK)
    mark = tmp_path / "mark"
    run("gain", "relu", MARK=str(mark))
    run("run", "stride", "-n", "2000", "-q", MARK=str(mark))
    run("propagate", "n.toml", "-j", "1", "-q", MARK=str(mark))
    if importlib.util.find_spec("distributed"):
        run("run", "stride", "-n", "2000", "-q", "-j", "1", "--engine", "dask", MARK=str(mark))
    assert not mark.exists(), mark.read_text()
    subprocess.run(
        [sys.executable, "-c", "import click"], cwd=tmp_path, env=os.environ | {"MARK": str(mark)}, check=True
    )
    assert mark.read_text() == "click "
