"""Configuration: what is read, and the one line for everything that is wrong."""

from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gradstat.config import RunConfig, load
from gradstat.distributions import DISTRIBUTIONS, OF_UPSTREAM
from gradstat.errors import GradstatError, UnreadableFile, UsageError
from gradstat.layer_types.from_config import cases
from gradstat.toml_file import Override, count, parse_override, toml

RELU = '[[layer]]\nname = "relu"\n'
LEAKY = '[[layer]]\nname = "leaky_relu"\n'
SERIES = Path(__file__).parents[1] / "configs" / "series.toml"


def write(folder: Path, text: str) -> Path:
    path = folder / "run.toml"
    path.write_text(text, encoding="utf-8")
    return path


def complaint(path: Path, *overrides: Override) -> str:
    """The message of the mistake in a configuration."""
    with pytest.raises(UsageError) as caught:
        cases(load(path, overrides), str(path))
    return str(caught.value)


# text, and the parts that its message must have; {file} stands for the path.
MISTAKES = {
    "top key": ("sampels = 5\n" + RELU, "{file}: unknown key 'sampels'; did you mean 'samples'?"),
    "no close key": (
        "qqq = 5\n" + RELU,
        "{file}: unknown key 'qqq'; known: seed, samples, rel_error, target_error, max_samples",
    ),
    "nested key": ("[input]\nstdd = 2\n" + RELU, "unknown key 'input.stdd'; did you mean 'input.std'?"),
    "key of a table at the top": ("std = 2\n" + RELU, "unknown key 'std'; did you mean 'input.std'?"),
    "key in a layer": (RELU + "input = { sdt = 2 }", "layer 1: unknown key 'input.sdt'; did you mean 'input.std'?"),
    "second layer": (RELU + LEAKY + "negativ_slope = 1", "layer 2: leaky_relu: unknown key 'negativ_slope'; did you"),
    "layer key": (LEAKY + "sweeep = {}", "layer 1: leaky_relu: unknown key 'sweeep'; did you mean 'sweep'?"),
    "no close parameter": (LEAKY + "qq = 1", "unknown key 'qq'; parameters: negative_slope; of every layer: name, exp"),
    "layer name": ('[[layer]]\nname = "sigmiod"', "layer 1: unknown layer 'sigmiod'; did you mean 'sigmoid'?"),
    "layers": ('[[layers]]\nname = "relu"', "unknown key 'layers'; did you mean 'layer'?"),
    "word for a count": (
        'samples = "lots"\n' + RELU,
        'samples = "lots" is not allowed; expected a whole number from 2',
    ),
    "one sample": ("samples = 1\n" + RELU, "samples = 1 is not allowed; expected a whole number from 2 to 1e15"),
    "half a sample": ("samples = 1.5\n" + RELU, "samples = 1.5 is not allowed; expected a whole number"),
    "too many samples": ("samples = 1e20\n" + RELU, "samples = 1e+20 is not allowed; expected a whole number"),
    "endless samples": ("samples = inf\n" + RELU, "samples = inf is not allowed; expected a whole number"),
    "negative seed": ("seed = -1\n" + RELU, "seed = -1 is not allowed; expected a whole number from 0 to 2**64 - 1"),
    "large seed": (f"seed = {2**64}\n" + RELU, f"seed = {2**64} is not allowed; expected a whole number from 0"),
    "seed in words": ('seed = "random"\n' + RELU, 'seed = "random" is not allowed; expected a whole number'),
    "true seed": ("seed = true\n" + RELU, "seed = true is not allowed; expected a whole number"),
    "negative std": ("[input]\nstd = -1\n" + RELU, "input.std = -1 is not allowed; expected a number above 0"),
    "zero std": ("[input]\nstd = 0\n" + RELU, "input.std = 0 is not allowed; expected a number above 0"),
    "nan": ("[input]\nstd = nan\n" + RELU, "input.std = nan is not allowed; expected a number above 0"),
    "infinity": ("[input]\nmean = -inf\n" + RELU, "input.mean = -inf is not allowed; expected a number from -1e30"),
    "quoted number": ('[input]\nstd = "2"\n' + RELU, 'input.std = "2" is not allowed; expected a number above 0'),
    "overflow": ("[input]\nstd = 1e300\n" + RELU, "input.std = 1e+300 is not allowed; expected a number above 0"),
    "distribution": (
        '[input]\ndistribution = "norml"\n' + RELU,
        'input.distribution = "norml" is not allowed; expected one of "normal", "laplace", "uniform"',
    ),
    "estimator": ('estimator = "mcc"\n' + RELU, 'estimator = "mcc" is not allowed; expected one of "mc", "rqmc"'),
    "text for a table": ('input = "normal"\n' + RELU, 'input = "normal" is not allowed; expected a table: [input]'),
    "upstream key": ("[upstream]\nstd = 2\n" + RELU, "unknown key 'upstream.std'; known: upstream.distribution"),
    "single brackets": ('[layer]\nname = "relu"', "in double brackets: [[layer]]"),
    "layer as text": ('layer = ["relu"]', 'layer 1: "relu" is not a table with a name; write [[layer]]'),
    "no layers": ("layer = []", "layer = [] is not allowed; expected one table or more"),
    "empty file": ("", "there is no [[layer]]; add one table with a name for each layer to sample"),
    "no name": ("[[layer]]\np = 1", 'layer 1: name is missing; add one, e.g. name = "relu"'),
    "misspelt name": ('[[layer]]\nnmae = "relu"', "layer 1: name is missing; is 'nmae' a misspelling of it?"),
    "number for a name": ("[[layer]]\nname = 1", "layer 1: name = 1 is not allowed; expected the name of a layer"),
    "impossible parameter": (
        '[[layer]]\nname = "dropout"\np = 1.5',
        "dropout: p = 1.5 is not allowed; expected a number",
    ),
    "unknown sweep": (
        LEAKY + "sweep = { negative_slop = [1] }",
        "unknown parameter 'negative_slop'; did you mean 'neg",
    ),
    "empty sweep": (
        LEAKY + "sweep = { negative_slope = [] }",
        "sweep.negative_slope = [] is not allowed; expected a li",
    ),
    "scalar sweep": (
        LEAKY + "sweep = { negative_slope = 1 }",
        "sweep.negative_slope = 1 is not allowed; expected a lis",
    ),
    "swept twice": (
        LEAKY + "negative_slope = 1\nsweep = { negative_slope = [1] }",
        "stands alone and in sweep; keep on",
    ),
    "bad swept value": (
        LEAKY + 'sweep = { negative_slope = [1, "a"] }',
        "negative_slope = 'a' is not allowed; expected",
    ),
    "sweep and printed": (
        LEAKY + 'sweep = { negative_slope = [1] }\nprinted = { forward_std = "1" }',
        "printed numbers belong to one case; leave sweep out",
    ),
    "printed quantity": (
        RELU + 'printed = { forward_men = "1" }',
        "unknown key 'printed.forward_men'; known: forward_",
    ),
    "printed number": (
        RELU + "printed = { forward_std = 1 }",
        "printed.forward_std = 1 is not allowed; expected published",
    ),
    "syntax": ("samples =\n" + RELU, ".toml:1:10: not valid TOML: invalid value"),
    "key twice": ("seed = 1\nseed = 2\n" + RELU, ".toml:2:9: not valid TOML: cannot overwrite a value"),
    "endless digits": (f"seed = {'9' * 5000}\n" + RELU, "not valid TOML: "),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_mistake_is_named(name: str, tmp_path: Path) -> None:
    text, expected = MISTAKES[name]
    path = write(tmp_path, text)
    message = complaint(path)
    assert message.startswith(f"{path}:")
    assert expected.format(file=path) in message if "{file}" in expected else expected in message
    assert "\n" not in message
    assert "pydantic" not in message


def test_series_has_no_mistakes() -> None:
    assert len(cases(load(SERIES))) >= 10


def test_missing_file_names_the_closest(tmp_path: Path) -> None:
    write(tmp_path, RELU)
    assert complaint(tmp_path / "rum.toml").endswith(f"there is no such file; did you mean {tmp_path / 'run.toml'}?")
    assert complaint(tmp_path / "qqqq").endswith(f"there is no such file; configurations in {tmp_path}: run.toml")
    assert complaint(tmp_path / "no" / "run.toml").endswith(f"nor is there a directory {tmp_path / 'no'}")


def test_not_a_text_file(tmp_path: Path) -> None:
    (tmp_path / "a.toml").write_bytes(b"\xff\xfe\x00")
    (tmp_path / "b.toml").write_bytes(b"PAR1....PAR1")
    assert "is not UTF-8 text" in complaint(tmp_path / "a.toml")
    assert complaint(tmp_path / "b.toml").endswith(f"is a result, not a configuration; gradstat show {tmp_path}/b.toml")
    assert "is a directory" in complaint(tmp_path)


def test_unreadable_file(tmp_path: Path) -> None:
    with pytest.raises(UnreadableFile, match="cannot be read"):
        load(write(tmp_path, RELU) / "below a file")
    with pytest.raises(UnreadableFile, match="cannot be read"):
        load(Path("a\0b"))


def test_byte_order_mark_and_carriage_returns(tmp_path: Path) -> None:
    (tmp_path / "a.toml").write_bytes(b'\xef\xbb\xbfseed = 3\r\n[[layer]]\r\nname = "relu"\r\n')
    assert load(tmp_path / "a.toml").seed == 3


# Overrides --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "key", "value"),
    [
        ("input.std=2", "input.std", 2),
        ("input.std = 2.5", "input.std", 2.5),
        ("input.distribution=laplace", "input.distribution", "laplace"),
        ('input={ std = 3, distribution = "laplace" }', "input", {"std": 3, "distribution": "laplace"}),
        ("samples=2**20", "samples", "2**20"),
        ("seed=3\nsamples=4", "seed", "3\nsamples=4"),
    ],
)
def test_override(text: str, key: str, value: object) -> None:
    assert parse_override(text) == Override(key, value, f"--set {text}")


@pytest.mark.parametrize("text", ["input.std", "=3", "a..b=3", "input.std=", ".=1", "a b=1"])
def test_override_that_is_none(text: str) -> None:
    with pytest.raises(UsageError, match=r"expected key=value, for example --set input\.std=2"):
        parse_override(text)


@pytest.mark.parametrize("text", ["layer.0.name=tanh", "layer.name=tanh", "layer=3"])
def test_layers_cannot_be_overridden(text: str) -> None:
    with pytest.raises(UsageError, match=f"--set {text}: layers cannot be overridden"):
        parse_override(text)


def test_last_override_wins(tmp_path: Path) -> None:
    path = write(tmp_path, "seed = 1\n" + RELU)
    config = load(path, [parse_override("seed=2"), parse_override("input.std=2"), Override("seed", 3, "--seed 3")])
    assert (config.seed, config.input.std) == (3, 2.0)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("input.std=-2", "--set input.std=-2: input.std = -2 is not allowed"),
        ("inptu.std=2", "--set inptu.std=2: unknown key 'inptu'; did you mean 'input'?"),
        ("input={ std = -3 }", "--set input={ std = -3 }: input.std = -3 is not allowed"),
        ("seed.a=2", "--set seed.a=2: seed is a value, not a table"),
    ],
)
def test_override_is_blamed_not_the_file(text: str, message: str, tmp_path: Path) -> None:
    assert complaint(write(tmp_path, "seed = 1\n" + RELU), parse_override(text)).startswith(message)


def test_file_is_blamed_not_an_override(tmp_path: Path) -> None:
    path = write(tmp_path, "sede = 1\n" + RELU)
    assert complaint(path, parse_override("input.std=2")).startswith(f"{path}: ")


# Numbers ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "number"),
    [
        *((100, 100), (1e8, 10**8), ("100", 100), ("1e8", 10**8), ("1E+8", 10**8), ("2.5e3", 2500)),
        *(("100M", 10**8), ("1.1k", 1100), ("2K", 2000), ("3G", 3 * 10**9), ("2**27", 2**27), ("10_000", 10_000)),
    ],
)
def test_count(text: object, number: int) -> None:
    assert count(text) == number
    assert isinstance(count(text), int)


@pytest.mark.parametrize(
    "text", ["", "lots", "-5", "1.5", "1e-3", "1e8.5", "0x10", "5m", "²", "2**", "1e9999", "9" * 99]
)
def test_not_a_count(text: str) -> None:
    assert count(text) == text


@given(st.text())
def test_count_takes_any_text(text: str) -> None:
    assert count(text) == text or isinstance(count(text), int)


def test_names_of_distributions_are_those_of_the_table() -> None:
    schema = RunConfig.model_json_schema()["$defs"]
    assert schema["InputConfig"]["properties"]["distribution"]["enum"] == list(DISTRIBUTIONS)
    assert schema["UpstreamConfig"]["properties"]["distribution"]["enum"] == list(OF_UPSTREAM)


def test_schema_can_be_printed() -> None:
    assert "a number above 0" in str(RunConfig.model_json_schema())


@given(st.recursive(st.integers() | st.floats() | st.text() | st.booleans(), st.lists, max_leaves=9))
def test_values_are_spelt_shortly(value: object) -> None:
    assert len(toml(value)) <= 60


# Cases ------------------------------------------------------------------------------------------------------------


def test_sweep_makes_cases_in_order(tmp_path: Path) -> None:
    text = '[[layer]]\nname = "linear"\nsweep = { in_features = [2, 3], out_features = [4, 5] }\n' + RELU
    found = [(c.params.get("in_features"), c.params.get("out_features")) for c in cases(load(write(tmp_path, text)))]
    assert found == [(2, 4), (2, 5), (3, 4), (3, 5), (None, None)]


def test_assumptions_of_a_layer_replace_those_of_the_run(tmp_path: Path) -> None:
    text = '[input]\nstd = 2\n[upstream]\ndistribution = "laplace"\n' + RELU + RELU + "input = { mean = 1 }\n"
    first, second = cases(load(write(tmp_path, text)))
    assert (first.x.label(), first.dy.label()) == ("normal(0, 2)", "laplace(0, 1)")
    assert (second.x.label(), second.dy.label()) == ("normal(1, 1)", "laplace(0, 1)")


@given(
    st.dictionaries(st.sampled_from(["seed", "samples", "input", "layer", "x"]), st.none() | st.integers() | st.text())
)
def test_whatever_stands_in_the_file_is_a_run_or_one_of_our_errors(
    tmp_path_factory: pytest.TempPathFactory, document: dict[str, object]
) -> None:
    text = "".join(f"{key} = {toml(value)}\n" for key, value in document.items() if value is not None)
    file = write(tmp_path_factory.getbasetemp(), text)
    with suppress(GradstatError):
        load(file)
