"""What is shipped is found by name from any folder; its schema accepts it; the shell completes names."""

import json
import os
import tomllib
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from gradstat import shipped
from gradstat.cli.app import start
from gradstat.errors import UsageError
from gradstat.layer_types.registry import LAYERS

ROOT = Path(__file__).parents[1]
RUNS = ("laplace", "layers", "series", "stride")
NETWORKS = ("depth", "resnet", "vgg")


@pytest.fixture
def empty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


# Names ------------------------------------------------------------------------------------------------------------


def test_every_configuration_names_its_command_and_what_it_is() -> None:
    assert {name: c.command for name, c in shipped.configurations().items()} == dict.fromkeys(
        RUNS, "run"
    ) | dict.fromkeys(NETWORKS, "propagate")
    for configuration in shipped.configurations().values():
        assert 20 < len(configuration.description) <= 100
        assert configuration.path.is_file()


def test_names_are_found_from_any_folder(empty: Path) -> None:
    assert shipped.resolve(Path("series"), "run") == ROOT / "configs" / "series.toml"
    assert shipped.claims() == ROOT / "configs" / "claims"


def test_paths_below_the_current_folder_are_relative(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    assert shipped.resolve(Path("series"), "run") == Path("configs/series.toml")
    assert shipped.claims() == Path("configs/claims")


def test_a_file_wins_over_a_shipped_name_and_a_folder_does_not(empty: Path) -> None:
    (empty / "series").write_text("")
    (empty / "layers").mkdir()
    assert shipped.resolve(Path("series"), "run") == Path("series")
    assert shipped.resolve(Path("layers"), "run") == ROOT / "configs" / "layers.toml"


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("serie", "serie: there is no such file or shipped configuration; did you mean series?"),
        ("mines", "mines: there is no such file or shipped configuration; did you mean mine.toml?"),
        (
            "zzz",
            "zzz: there is no such file or shipped configuration; shipped: depth, laplace, layers, resnet, series, "
            "stride, vgg; in this folder: mine.toml",
        ),
        ("depth", "depth: is a shipped configuration for another command; gradstat propagate depth"),
    ],
)
def test_a_name_that_is_neither_is_explained(empty: Path, name: str, message: str) -> None:
    (empty / "mine.toml").write_text("")
    with pytest.raises(UsageError) as refused:
        shipped.resolve(Path(name), "run")
    assert str(refused.value) == message


def test_an_installed_package_has_its_own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Beside an installed package lies what other packages put there, and it is not gradstat's."""
    (tmp_path / "gradstat" / "configs").mkdir(parents=True)
    (tmp_path / "configs").mkdir()
    monkeypatch.setattr(shipped, "_PACKAGE", tmp_path / "gradstat")
    assert shipped.folder() == tmp_path / "gradstat" / "configs"
    (tmp_path / "pyproject.toml").touch()
    assert shipped.folder() == tmp_path / "configs"


def test_commands_take_shipped_names(empty: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert start(["run", "stride", "-n", "2", "-q"]) == 0
    assert start(["run", "vgg"]) == 2
    assert "gradstat propagate vgg" in capsys.readouterr().err
    assert start(["verify", "--quick", "--only", "lecun-*"]) == 0
    assert capsys.readouterr().out.splitlines()[-1].startswith("2 claims")
    assert start(["propagate", "dept"]) == 2
    assert capsys.readouterr().err.endswith("did you mean depth?\n")
    assert os.listdir(empty) == []


# Schemas ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def schema(capsys: pytest.CaptureFixture[str]) -> Any:
    def printed(what: str) -> Any:
        assert start(["schema", what]) == 0
        return json.loads(capsys.readouterr().out)

    return printed


def test_schemas_accept_what_is_shipped(schema: Any) -> None:
    run, claims = schema("run"), schema("claims")
    jsonschema.Draft202012Validator.check_schema(run)
    jsonschema.Draft202012Validator.check_schema(claims)
    for name in RUNS:
        jsonschema.validate(tomllib.loads(shipped.paths()[name].read_text("utf-8")), run)
    files = sorted(shipped.claims().glob("*.toml"))
    assert len(files) >= 10
    for path in files:
        jsonschema.validate(tomllib.loads(path.read_text("utf-8")), claims)


LAYER = {"layer": [{"name": "relu"}]}


@pytest.mark.parametrize("value", [2, 1e8, 10**15, "100M", "2**27", "10_000", "1e8"])
def test_schema_takes_numbers_of_draws_as_gradstat_does(schema: Any, value: Any) -> None:
    jsonschema.validate(LAYER | {"samples": value}, schema("run"))


@pytest.mark.parametrize(
    "document",
    [
        {},
        {"layer": []},
        {"layer": [{}]},
        {"layer": [{"name": 3}]},
        LAYER | {"sample": 1000},
        LAYER | {"samples": 1},
        LAYER | {"samples": 2.5},
        LAYER | {"samples": "many"},
        LAYER | {"samples": 1000, "rel_error": 1e-3},
        LAYER | {"input": {"std": 0.0}},
        LAYER | {"estimator": "qmc"},
        LAYER | {"upstream": {"distribution": "uniform"}},
    ],
)
def test_schema_refuses_what_gradstat_refuses(
    schema: Any, document: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(document, schema("run"))
    path = tmp_path / "a.toml"
    tables = "".join(f"[[layer]]\n{_lines(table)}" for table in document.get("layer", []))
    path.write_text(_lines({key: value for key, value in document.items() if key != "layer"}) + tables)
    assert start(["run", str(path), "-q"]) == 2


def _lines(table: dict[str, Any]) -> str:
    return "".join(f"{key} = {_toml(value)}\n" for key, value in table.items())


def _toml(value: Any) -> str:
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{key} = {_toml(inner)}" for key, inner in value.items()) + " }"
    return json.dumps(value)


@pytest.mark.parametrize(
    "change", [{"value": 0.5}, {"statistic": None}, {"expect": "right"}, {"layers": "relu"}, {"id": "two words"}]
)
def test_schema_of_claims_refuses(schema: Any, change: dict[str, Any]) -> None:
    claim = {"id": "a", "source": "s", "layer": "relu", "direction": "forward", "statistic": "std", "value": "0.5"}
    jsonschema.validate({"claim": [claim]}, schema("claims"))
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({"claim": [claim | change]}, schema("claims"))


def test_schema_suggests_layers_and_allows_others(schema: Any) -> None:
    assert schema("run")["$defs"]["LayerConfig"]["properties"]["name"]["examples"] == list(LAYERS)
    assert "silu" in schema("claims")["$defs"]["ClaimConfig"]["properties"]["layer"]["examples"]
    jsonschema.validate({"layer": [{"name": "swish"}]}, schema("run"))


# Completion -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "completed"),
    [
        ("sche", ["plain,schema"]),
        ("gain leak", ["plain,leaky_relu"]),
        ("gain leaky_relu neg", ["plain,negative_slope=0.01"]),
        ("gain max_pool2d k", ["plain,kernel_size=2"]),
        ("gain nosuch k", []),
        ("gain --statistic gain_r", ["plain,gain_rms"]),
        ("run --engine d", ["plain,dask"]),
        ("run --estimator r", ["plain,rqmc"]),
        ("run ser", ["plain,series", "file,ser"]),
        ("propagate ser", ["file,ser"]),
        ("propagate de", ["plain,depth", "file,de"]),
        ("plot histogram gelu gl", ["plain,glu", "file,gl"]),
        ("list con", ["plain,configs"]),
        ("list layers gel", ["plain,gelu"]),
        ("list tables gel", []),
        ("schema c", ["plain,claims"]),
    ],
)
def test_shell_completes(
    words: str, completed: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("_GRADSTAT_COMPLETE", "bash_complete")
    monkeypatch.setenv("COMP_WORDS", f"gradstat {words}")
    monkeypatch.setenv("COMP_CWORD", str(len(words.split())))
    start([])
    assert capsys.readouterr().out.split() == completed


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_every_shell_has_a_script(
    shell: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("_GRADSTAT_COMPLETE", f"{shell}_source")
    start([])
    assert f"_GRADSTAT_COMPLETE={shell}_complete" in capsys.readouterr().out
