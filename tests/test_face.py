"""The public face: what `import gradstat` offers, typed, documented, and what its examples say."""

import ast
import doctest
import inspect
import json
import pickle
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import gradstat
from gradstat.constants import gain as gains
from gradstat.layer_types.statistics import STATISTICS

ROOT = Path(__file__).parents[1]
FUNCTIONS = {name: value for name in gradstat.__all__ if inspect.isfunction(value := getattr(gradstat, name))}
EVERY_FUNCTION = pytest.mark.parametrize("name", sorted(FUNCTIONS))
SMALL = 20_000  # draws


@pytest.fixture
def result() -> gradstat.Result:
    layers: list[Any] = [gradstat.layer("max_pool2d", kernel_size=size) for size in (2, 3)]
    return gradstat.run([*layers, "relu", {"name": "relu", "input": {"std": 2.0}}, "sigmoid"], samples=SMALL)


# Names and documentation ------------------------------------------------------------------------------------------


def test_public_names_are_there_and_sorted() -> None:
    assert sorted(gradstat.__all__, key=str.lower) == gradstat.__all__ or sorted(gradstat.__all__) == gradstat.__all__
    assert set(gradstat.__all__) <= set(dir(gradstat))
    assert all(getattr(gradstat, name) is not None for name in gradstat.__all__)
    with pytest.raises(AttributeError, match="module 'gradstat' has no attribute 'gian'"):
        _ = gradstat.gian


@EVERY_FUNCTION
def test_every_function_is_typed_and_documented(name: str) -> None:
    """Every argument is in the docstring or said to be another function's; there is an example."""
    function = FUNCTIONS[name]
    text = inspect.getdoc(function) or ""
    signature = inspect.signature(function)
    assert all(parameter.annotation is not inspect.Parameter.empty for parameter in signature.parameters.values())
    assert signature.return_annotation is not inspect.Signature.empty
    if name == "activation":  # its docstring has no sections
        return
    assert ">>> " in text
    assert text.splitlines()[0].endswith(".")
    if "Arguments and errors: as for `gain`." not in text and "Arguments:" in text:
        named = re.findall(r"^    (\w+): ", text, re.MULTILINE)
        assert set(named) == set(signature.parameters)


DEPTH = """
batch = 4
features = 4
[[network]]
activations = ["relu"]
[[network.stage]]
repeat = 2
blocks = [{ kind = "linear" }, { kind = "activation" }]
"""


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The files that the examples read."""
    monkeypatch.chdir(tmp_path)
    gradstat.run(["sigmoid"], samples=1e6).save("series.parquet")
    for name in ("today", "yesterday"):
        gradstat.run(["relu"], samples=SMALL).save(f"{name}.parquet")
    Path("depth.toml").write_text(DEPTH)
    for index, name in enumerate("ab", 1):
        gradstat.run(["relu"], samples=1e6, shard=(index, 2)).save(f"{name}.parquet")


@EVERY_FUNCTION
@pytest.mark.usefixtures("files")
def test_examples_of_docstrings(name: str) -> None:
    finder, runner = doctest.DocTestFinder(recurse=False), doctest.DocTestRunner(optionflags=doctest.ELLIPSIS)
    for test in finder.find(FUNCTIONS[name], name, module=False, globs={"gradstat": gradstat}):
        failed = runner.run(test).failed
        assert not failed


def imports_outside_the_face(code: str) -> list[str]:
    """Imports of gradstat's modules in an example: all but `import gradstat`."""
    names = []
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names if alias.name.startswith("gradstat.")]
        if isinstance(node, ast.ImportFrom) and str(node.module).split(".")[0] == "gradstat":
            names.append(str(node.module))
    return names


@pytest.mark.parametrize("path", [ROOT / "README.md", *sorted((ROOT / "docs").glob("**/*.md"))], ids=str)
def test_documents_use_nothing_but_the_face(path: Path) -> None:
    blocks = re.findall(r"^```python\n(.*?)^```$", path.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)
    assert [name for block in blocks for name in imports_outside_the_face(block)] == []
    used = {name for block in blocks for name in re.findall(r"\bgradstat\.(\w+)\(?", block)}
    assert used - {"toml"} <= {*gradstat.__all__, "parquet"}


def test_an_import_outside_the_face_is_caught() -> None:
    assert imports_outside_the_face("from gradstat.layer_types.registry import find") == [
        "gradstat.layer_types.registry"
    ]
    assert imports_outside_the_face("import gradstat.numerics") == ["gradstat.numerics"]
    assert imports_outside_the_face("import gradstat\nimport numpy") == []


SCRIPT = """
import gradstat

answer: gradstat.Gain = gradstat.gain("leaky_relu", negative_slope=0.2, input={"std": 1.3}, statistics=["std"])
number: float = answer.forward.std
error: float | None = answer.backward.gain_rms.error
case: gradstat.Case = gradstat.layer("max_pool2d", kernel_size=3)
result: gradstat.Result = gradstat.run([case, "relu", {"name": "tanh"}], samples=1e6, shard=(1, 2))
estimate: gradstat.Estimate = result["relu"].backward.std
titles: list[str] = [layer.label for layer in result.layers]
agree: bool = gradstat.diff("a.parquet", result).agree
verified: bool = gradstat.verify("claims", quick=True).ok
formulas: list[str] = [layer.formula for layer in gradstat.layers().values()]


class Percent(gradstat.Progress):
    def update(self, status: gradstat.Status) -> None:
        print(status.percent, status.error)


merged: gradstat.Result = gradstat.merge("a.parquet", "b.parquet")
failures: tuple[str, ...] = gradstat.run("series", progress=Percent()).failures


@gradstat.activation
def softcap(x: float, cap: float = 2.0) -> tuple[float, float]:
    return x * cap, cap
"""
MISTAKES = ("gradstat.gain(3)", "gradstat.run([], samples=None, speed=1)", "x: int = gradstat.gain('relu').forward.std")


def test_types_are_those_of_the_documentation(tmp_path: Path) -> None:
    """mypy, strict, on a script that uses the face; and negative controls."""
    (tmp_path / "right.py").write_text(SCRIPT)
    (tmp_path / "wrong.py").write_text("\n".join(["import gradstat", *MISTAKES]))
    command = [sys.executable, "-m", "mypy", "--strict", "--follow-imports=silent", "right.py", "wrong.py"]
    done = subprocess.run(
        [*command, "--cache-dir", str(tmp_path / "cache")],
        capture_output=True, text=True, cwd=tmp_path, timeout=300, env={"MYPYPATH": str(ROOT), "PATH": ""},
    )  # fmt: skip
    lines = [int(line.split(":")[1]) for line in done.stdout.splitlines() if line.startswith("wrong.py")]
    assert "right.py" not in done.stdout, done.stdout
    assert sorted(set(lines)) == [2, 3, 4], done.stdout + done.stderr


# gain -------------------------------------------------------------------------------------------------------------


def test_gain_is_exact_where_that_is_known() -> None:
    answer = gradstat.gain("gelu")
    assert str(answer.forward.std) == "0.5879149692"
    assert answer.forward.std.error == 0.0
    assert answer.forward.std.exact == answer.forward.std == 1.0 / answer.forward.gain_std
    assert str(answer) == repr(answer)
    assert str(answer).splitlines()[0] == "gelu, x ~ normal(0, 1), dy ~ normal(0, 1)"
    assert "<table" in answer._repr_html_()
    assert list(answer.to_pandas()["direction"]) == ["forward", "backward"]


@pytest.mark.parametrize(
    ("layer", "parameters", "std"),
    [
        ("leaky_relu", {"negative_slope": 0.2, "input": {"std": 1.3}}, 1.3 * 0.5**0.5 * (1.04 - 0.64 / np.pi) ** 0.5),
        ("leaky_relu", {"negative_slope": np.float32(0.25)}, (0.5 * (1.0625 - 0.75**2 / np.pi)) ** 0.5),
        ("max(x, a*x)", {"a": 0.2}, 0.5**0.5 * (1.04 - 0.64 / np.pi) ** 0.5),
        ("x", {"input": {"distribution": "laplace", "std": 3}}, 3.0),
        ("torch.nn.ReLU", {}, (0.5 - 0.5 / np.pi) ** 0.5),
    ],
)
def test_gain_takes_layers_formulas_and_assumptions(layer: str, parameters: dict[str, Any], std: float) -> None:
    """Textbook values: E[y] of max(x, a·x) is (1 − a)/√(2π), E[y²] is (1 + a²)/2."""
    assert gradstat.gain(layer, **parameters).forward.std == pytest.approx(std, rel=1e-12)
    case = gradstat.layer(layer, **parameters)
    assert gradstat.gain(case).forward.std == gradstat.gain(layer, **parameters).forward.std


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: gradstat.gain("sigmiod"), "unknown layer 'sigmiod'; did you mean 'sigmoid'?"),
        (lambda: gradstat.gain("torch.nn.Sigmiod"), "unknown layer 'Sigmiod'; did you mean 'sigmoid'?"),
        (lambda: gradstat.gain("silu", beat=2), "unknown parameter of silu 'beat'; did you mean 'beta'?"),
        (lambda: gradstat.gain("relu", statistics=["sdt"]), "unknown statistic 'sdt'; did you mean 'std'?"),
        (
            lambda: gradstat.gain("relu", input={"std": -1.0}),
            "input.std = -1.0 is not allowed; expected a number above 0",
        ),
        (lambda: gradstat.gain("x +"), "expression 'x +'"),
        (lambda: gradstat.gain(gradstat.layer("relu"), beta=2), "a case already has parameters"),
        (
            lambda: gradstat.run(["relu"], samples=1),
            "samples = 1 is not allowed; expected a whole number from 2 to 1e15",
        ),
        (lambda: gradstat.run(["relu", "sigmiod"]), "layers: layer 2: unknown layer 'sigmiod'"),
        (lambda: gradstat.run([]), "the list of layers is empty"),
        (lambda: gradstat.run(["relu"], samples=10, rel_error=0.1), "samples and rel_error exclude each other"),
        (lambda: gradstat.run("no.toml"), "no.toml: there is no such file"),
        (lambda: gradstat.tables("nfnet"), "unknown table 'nfnet'; did you mean 'nfnets'?"),
        (lambda: gradstat.listing("layer"), "unknown listing 'layer'; did you mean 'layers'?"),
        (lambda: gradstat.plot("histogram"), "histogram is drawn from layers, and there is none"),
        (lambda: gradstat.plot("histogram", "gelu", gain=2.0), "gain does not apply to 'histogram' plots"),
    ],
)
def test_mistakes_are_one_clear_line(call: Callable[[], object], message: str) -> None:
    with pytest.raises(gradstat.errors.UsageError) as caught:
        call()
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", STATISTICS)
def test_gain_answers_every_statistic(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of relu: P(y = 0) = ½; what is sampled is within six of its errors (false alarm: 1 in 10⁸ for each)."""
    monkeypatch.setattr(gains, "SAMPLES", 2**21)
    y = gradstat.gain("relu", statistics=[name]).forward
    value = getattr(y, name)
    expected = {"zero_fraction": 0.5}.get(name, value.exact)
    assert value.error is not None
    assert abs(value - expected) <= 6.0 * value.error
    assert (value.error > 0.0) == (value.exact is None)


def test_errors_of_kurtosis_and_skewness_are_the_spread_of_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    """max_pool2d has no exact kurtosis with correlated inputs. Four times the draws, half the error (± 40 %)."""
    errors = []
    for samples in (2**21, 2**23):
        monkeypatch.setattr(gains, "SAMPLES", samples)
        forward = gradstat.gain("max_pool2d", input={"correlation": 0.5}, statistics=["kurtosis"]).forward
        errors.append((forward.kurtosis.error, forward.skewness.error))
        assert forward.kurtosis == pytest.approx(3.0, abs=0.3)
    for few, many in zip(*errors, strict=True):
        assert few is not None
        assert many is not None
        assert 1.2 < few / many < 3.4


def test_an_estimate_is_a_float_with_an_error() -> None:
    estimate = gradstat.Estimate(0.211734, 5.3e-5, exact=0.21172, z=0.3)
    assert (repr(estimate), f"{estimate:.3f}", estimate + 1.0) == ("0.21173 ± 0.00005", "0.212", 1.211734)
    assert json.loads(json.dumps([estimate])) == [0.211734]
    copy = pickle.loads(pickle.dumps(estimate))
    assert (copy, copy.error, copy.exact, copy.z) == (estimate, 5.3e-5, 0.21172, 0.3)
    assert repr(gradstat.Estimate(3.0123, None)) == "3.01 ± unknown"


# run and Result ---------------------------------------------------------------------------------------------------


def test_a_result_is_found_by_layer(result: gradstat.Result) -> None:
    sigmoid = result["torch.nn.Sigmoid"]
    (row,) = (row for row in result if row["layer"] == "sigmoid" and row["direction"] == "backward")
    assert (sigmoid.backward.std, sigmoid.backward.std.error) == (row["std"], row["std_se"])
    assert (sigmoid.backward.std.exact, sigmoid.backward.std.z) == (row["exact_std"], row["z_std"])
    assert sigmoid.backward.gain_std.error == pytest.approx(row["std_se"] / row["std"] ** 2)
    assert sigmoid.backward.gain_std.z == -row["z_std"]
    assert sigmoid.backward.n == SMALL
    assert result.layer("max_pool2d", kernel_size=3).backward.std == pytest.approx(1 / 3, abs=0.05)
    wide = gradstat.layer("relu", input={"std": 2.0})
    assert result[wide].forward.mean == pytest.approx(2.0 / (2.0 * np.pi) ** 0.5, abs=0.05)
    assert [layer.label for layer in result.layers][2:4] == ["relu", "relu, x ~ normal(0, 2)"]


@pytest.mark.parametrize(
    ("find", "message"),
    [
        (
            lambda r: r["relu"],
            "relu is ambiguous: it names 2 layers of this result: relu; relu, x ~ normal(0, 2); name the",
        ),
        (lambda r: r["max_pool2d"], "max_pool2d(kernel_size=2); max_pool2d(kernel_size=3)"),
        (lambda r: r["sigmod"], "unknown layer of this result 'sigmod'; did you mean 'sigmoid'?"),
        (lambda r: r.layer("max_pool2d", kernel_size=4), "unknown layer of this result"),
        (lambda r: r["sigmoid"].backward.sdt, "unknown statistic 'sdt'; did you mean 'std'?"),
        (lambda r: r["sigmoid"].cell("(0, 1)"), "unknown cell of sigmoid backward '(0, 1)'"),
    ],
)
def test_what_is_not_in_a_result(result: gradstat.Result, find: Callable[[Any], object], message: str) -> None:
    with pytest.raises((gradstat.errors.UsageError, AttributeError)) as caught:
        find(result)
    assert message in str(caught.value)


def test_a_result_is_saved_read_and_shown(result: gradstat.Result, tmp_path: Path) -> None:
    result.save(tmp_path / "a.parquet")
    again = gradstat.read(tmp_path / "a.parquet")
    assert again == result
    assert gradstat.diff(again, result).agree
    assert gradstat.diff(again, tmp_path / "a.parquet").report().facts["identical"]
    frame = again.to_pandas()
    assert (len(frame), str(frame["std"].dtype)) == (len(result), "float64")
    assert not [name for name in frame.columns if name.startswith("acc_")]
    assert repr(again).splitlines()[0].split()[:3] == ["layer", "quantity", "estimate"]
    assert "<table" in again._repr_html_()
    with pytest.raises(gradstat.errors.UsageError, match=r"unknown suffix '\.pqt'"):
        again.save(tmp_path / "a.pqt")


def test_a_list_and_a_file_of_the_same_layers_give_the_same_digits(tmp_path: Path) -> None:
    (tmp_path / "c.toml").write_text('seed = 7\nsamples = 30_000\n[[layer]]\nname = "tanh"\n')
    listed = gradstat.run(["tanh"], samples="30k", seed=7)
    assert listed.table.equals(gradstat.run(tmp_path / "c.toml").table)
    assert not listed.table.equals(gradstat.run(tmp_path / "c.toml", seed=8).table)
    assert listed.provenance["configuration"]["seed"] == 7


def test_settings_are_put_over_the_configuration() -> None:
    wide = gradstat.run(["identity"], samples=SMALL, settings=["input.std = 3"])
    assert wide["identity"].forward.std == pytest.approx(3.0, rel=0.05)


def test_shards_are_merged_to_the_bytes_of_the_whole(tmp_path: Path) -> None:
    paths = [tmp_path / f"{index}.parquet" for index in (1, 2)]
    for index, path in enumerate(paths, 1):
        gradstat.run(["relu"], samples=1e6, shard=(index, 2)).save(path)
    merged = gradstat.merge(*reversed(paths), paths[0])
    assert merged.table.equals(gradstat.run(["relu"], samples=1e6).table)
    assert len(merged.notes) == 1
    assert "it counts once" in merged.notes[0]


def test_a_target_that_is_not_reached_is_said() -> None:
    result = gradstat.run(["relu"], rel_error=1e-4, max_samples=SMALL)
    (line,) = result.shortfalls
    assert line.startswith("relu ")
    assert result.failures == ()
    assert gradstat.run(["relu"], rel_error=1e-2).shortfalls == ()


class Recorder(gradstat.Progress):
    verbose = True

    def __init__(self, stop_at: float = 2.0) -> None:
        self.fractions: list[float] = []
        self.lines: list[str] = []
        self.stop_at = stop_at

    def update(self, status: gradstat.Status) -> None:
        self.fractions.append(status.fraction)
        if status.fraction >= self.stop_at:
            raise KeyboardInterrupt

    def note(self, text: str) -> None:
        self.lines.append(text)

    message = warn = note


def test_progress_is_told_everything() -> None:
    recorder = Recorder()
    gradstat.run(["relu", "max_pool2d"], samples=1e6, jobs=1, progress=recorder)
    assert recorder.fractions == sorted(recorder.fractions)
    assert recorder.fractions[-1] == pytest.approx(1.0)
    assert any("relu: 1,000,000 draws, relative error" in line for line in recorder.lines)


def test_an_interrupted_call_continues_to_the_same_digits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(gradstat.errors.Interrupted, match=r"interrupted; finished draws \(5\d\.\d %\) are saved in"):
        gradstat.run(["relu"], samples=4e6, jobs=1, progress=Recorder(stop_at=0.5))
    assert list(tmp_path.glob("results/*/*.part"))
    recorder = Recorder()
    result = gradstat.run(["relu"], samples=4e6, jobs=1, progress=recorder)
    assert recorder.fractions[0] > 0.5
    assert any("resuming from results/" in line for line in recorder.lines)
    assert result.table.equals(gradstat.run(["relu"], samples=4e6, checkpoints=False).table)
    assert not list(tmp_path.glob("results/*"))


def test_without_checkpoints_an_interrupt_is_an_interrupt(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(KeyboardInterrupt):
        gradstat.run(["relu"], samples=4e6, checkpoints=False, progress=Recorder(stop_at=0.0))
    assert list(tmp_path.iterdir()) == []


def test_a_result_that_cannot_be_delivered_is_not_lost(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("gradstat.runs.checkpoints.FIRST", 0.0)

    def full(result: gradstat.Result) -> None:
        raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space left"), pytest.warns(UserWarning, match=r"\(100.0 %\) are saved in"):
        gradstat.run(["relu"], samples=SMALL, deliver=full)
    assert list(tmp_path.glob("results/*/*.part"))


# verify, tables, lists --------------------------------------------------------------------------------------------

CLAIM = """
[[claim]]
id = "{id}"
source = "nobody"
layer = "relu"
direction = "backward"
statistic = "gain_rms"
value = "{value}"
"""


def test_a_verification_says_what_is_wrong(tmp_path: Path) -> None:
    (tmp_path / "claims.toml").write_text(
        CLAIM.format(id="right", value="1.4142") + CLAIM.format(id="off", value="1.4143")
    )
    verification = gradstat.verify(tmp_path / "claims.toml", quick=True)
    assert [outcome.verdict for outcome in verification] == ["confirmed", "refuted"]
    assert not verification.ok
    assert [outcome.claim.id for outcome in verification.unexpected] == ["off"]
    assert list(verification.to_pandas()["verdict"]) == ["confirmed", "refuted"]
    assert "not as expected: off" in str(verification)
    assert gradstat.verify(tmp_path, only="right", quick=True).ok


def test_progress_of_a_verification(tmp_path: Path) -> None:
    (tmp_path / "claims.toml").write_text(CLAIM.format(id="right", value="1.4142"))
    recorder = Recorder()
    assert gradstat.verify(tmp_path, progress=recorder).ok
    assert recorder.fractions[-1] == pytest.approx(1.0)


def test_tables_and_lists() -> None:
    tables = gradstat.tables("selu")
    assert list(tables.to_pandas()["name"].unique()) == ["elu(alpha01)", "selu"]
    assert gradstat.listing("estimators").names == ["mc", "rqmc"]
    assert gradstat.listing("layers").names == list(gradstat.layers())
    assert gradstat.layers()["softsign"].torch == "torch.nn.functional.softsign"
