"""The contract of every record in the table: kinks, parameters, rows, messages."""

import json
import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from gradstat.assumptions import Input, Upstream
from gradstat.config import LayerConfig, RunConfig
from gradstat.errors import UsageError
from gradstat.layer_types.case import Case
from gradstat.layer_types.from_config import cases
from gradstat.layer_types.record import ALL, BACKWARD, FORWARD, Layer
from gradstat.layer_types.registry import LAYERS, case_of, find, resolve, spelling
from gradstat.results import overview
from tests.layer_cases import SMALL_CASES, name_of

CASES = pytest.mark.parametrize("case", SMALL_CASES, ids=name_of)
EVERY_LAYER = pytest.mark.parametrize("layer", LAYERS.values(), ids=LAYERS.keys())

IMPOSSIBLE: tuple[Any, ...] = (math.nan, math.inf, -math.inf, 10**400, -1, 0, "0.5", "", None, True, [], {}, [1, 2, 3])


@EVERY_LAYER
def test_there_are_no_kinks_but_the_declared_ones(layer: Layer) -> None:
    """Values and slopes on a fine grid jump nowhere else (the quadrature is split where they do)."""
    if not layer.elementwise:
        assert layer.kinks(layer.resolve({})) == ()
        return
    case, x = Case(layer), np.arange(-8.0, 8.0, 2.0**-10) + 2.0**-12
    edges = 0.5 * (x[1:] + x[:-1])
    declared = np.zeros(edges.shape, bool)
    for kink in layer.kinks(case.params):
        declared |= np.abs(edges - kink) <= 2.0**-10
    for values in layer.kernel(case.params)(x, *case.constants):
        jumps = np.abs(np.diff(values * np.ones_like(x)))
        smooth = 2.0**-9 * np.maximum(1.0, np.abs(x[1:])) * max(1.0, float(np.abs(values).max()))
        assert not np.any((jumps > 8.0 * smooth) & ~declared), edges[(jumps > 8.0 * smooth) & ~declared]


def test_an_undeclared_kink_is_caught() -> None:
    with pytest.raises(AssertionError):
        test_there_are_no_kinks_but_the_declared_ones(replace(LAYERS["relu"], kinks=lambda params: ()))


def test_names_are_unique_and_pytorchs() -> None:
    names = [name for layer in LAYERS.values() for name in (layer.name, *layer.aliases, *layer.presets)]
    spelled = {(spelling(name), layer) for name in names for layer in [find(name).name]}
    spelled |= {(spelling(layer.torch), layer.name) for layer in LAYERS.values() if layer.torch}
    assert len(names) == len(set(names))
    assert len(spelled) == len({name for name, _ in spelled})  # whatever the spelling, one layer has it
    assert all(name.isidentifier() and name == name.lower() for name in names)
    assert all(LAYERS[name].name == name for name in LAYERS)
    required = {"relu", "leaky_relu", "sigmoid", "tanh", "dropout", "avg_pool2d", "max_pool2d", "linear"}
    assert required <= set(LAYERS)


@EVERY_LAYER
def test_record_is_complete(layer: Layer) -> None:
    assert layer.formula.startswith("y = ")
    assert layer.backward.startswith("dx = ")
    assert layer.torch == "" or layer.torch.startswith(("torch.", "torchvision."))
    assert len({p.name for p in layer.parameters}) == len(layer.parameters)
    for parameter in layer.parameters:
        assert parameter.name.isidentifier()
        assert parameter.domain.description
        assert parameter.domain.contains(parameter.default), parameter.name
    assert layer.resolve({}) == {p.name: p.default for p in layer.parameters}
    case = Case(layer)
    exact = [case.exact(row) for row in case.shape.rows]
    assert any(exact) == (layer.referee_words != "none")


@CASES
def test_parameters_are_resolved(case: Case) -> None:
    assert list(case.params) == [p.name for p in case.layer.parameters]
    assert case.params == {p.name: p.default for p in case.layer.parameters} | dict(case.given)
    assert json.loads(case.params_json) == case.params
    assert list(json.loads(case.params_json)) == sorted(case.params)
    assert case.label.startswith(case.layer.name)
    assert all(isinstance(c, float) and math.isfinite(c) for c in case.constants)


@CASES
def test_rows_cover_the_slots(case: Case) -> None:
    """Cells are slots of their direction, none twice; `all` pools every output, and inputs of every cell."""
    shape = case.shape
    assert shape.noise_kind in ("uniform", "normal")
    assert min(shape.n_in, shape.n_out) >= 1
    assert shape.noise >= 0
    for direction, slots in ((FORWARD, shape.n_out), (BACKWARD, shape.n_in)):
        rows = [row for row in shape.rows if row.direction == direction]
        assert len({row.cell for row in rows}) == len(rows)
        assert all(len(set(row.slots)) == len(row.slots) > 0 for row in rows)
        assert all(0 <= slot < slots for row in rows for slot in row.slots)
        pooled = [row for row in rows if row.cell == ALL]
        assert len(pooled) == 1
        covered = {slot for row in rows for slot in row.slots}
        assert covered == set(pooled[0].slots)
        if shape.rows[0].windows is None and all(row.windows is None for row in rows):
            assert covered == set(range(slots))
    assert len(shape.rows) == sum(row.direction in (FORWARD, BACKWARD) for row in shape.rows)


@EVERY_LAYER
def test_impossible_parameters_are_one_clear_line(layer: Layer) -> None:
    for parameter in layer.parameters:
        for value in IMPOSSIBLE:
            try:
                case = Case(layer, {parameter.name: value})
                finite = all(math.isfinite(c) for c in case.constants)
                assert finite
                assert case.shape
                assert parameter.domain.contains(value)
            except UsageError as error:
                message = str(error)
                assert layer.name in message or parameter.name in message
                assert "\n" not in message
                assert len(message) < 400
                if not parameter.domain.contains(value):
                    assert f"{layer.name}: {parameter.name} = " in message
                    assert f"expected {parameter.domain.description}" in message


@EVERY_LAYER
def test_unknown_parameters_get_the_closest_name(layer: Layer) -> None:
    for parameter in layer.parameters:
        wrong = parameter.name + "x"
        with pytest.raises(UsageError) as raised:
            layer.resolve({wrong: 1})
        assert str(raised.value).startswith(f"unknown parameter of {layer.name} {wrong!r}; did you mean ")
    with pytest.raises(UsageError, match="known: ") as raised:
        layer.resolve({"qqqq": 1})
    assert str(raised.value).endswith(", ".join(p.name for p in layer.parameters) or "none")


# As PyTorch, Hugging Face's ACT2FN and timm spell them.
@pytest.mark.parametrize(
    ("names", "title"),
    [
        ("GELU torch.nn.GELU nn.GELU F.gelu torch.nn.functional.gelu gelu_python", "gelu"),
        ("gelu_tanh gelu_new gelu_fast gelu_pytorch_tanh gelu_python_tanh GELU_tanh", "gelu(approximate=tanh)"),
        ("quick_gelu QuickGELU", "gelu(approximate=quick)"),
        ("swish SiLU nn.functional.silu torch.nn.SiLU", "silu"),
        ("hard_swish HardSwish torch.nn.Hardswish", "hardswish"),
        ("LeakyReLU nn.LeakyReLU F.leaky_relu leaky-relu", "leaky_relu"),
        ("relu2 relu_squared squared_relu", "relu_squared"),
        ("MaxPool2d torch.nn.MaxPool2d F.max_pool2d", "max_pool2d(kernel_size=2)"),
        ("mul torch.mul", "multiply"),
    ],
)
def test_layers_are_found_by_the_names_that_people_use(names: str, title: str) -> None:
    assert {case_of(name).label for name in names.split()} == {title}


def test_parameters_win_over_those_that_a_name_implies() -> None:
    assert case_of("gelu_tanh", {"approximate": "none"}).params == {"approximate": "none"}


@pytest.mark.parametrize("name", ["tf.nn.relu", "nn.Sigmiod", "", "torch.nn.", "ＲＥＬＵ", "nn.nn.relu"])
def test_other_names_are_unknown(name: str) -> None:
    with pytest.raises(UsageError, match="unknown layer"):
        resolve(name)


def test_layers_are_found_by_name_and_alias() -> None:
    for layer in LAYERS.values():
        assert all(find(name) is layer for name in (layer.name, *layer.aliases, *layer.presets))
    with pytest.raises(UsageError, match="unknown layer 'sigmiod'; did you mean 'sigmoid'"):
        find("sigmiod")
    with pytest.raises(UsageError, match=r"unknown layer 'qqqq'; known: .*relu.*sigmoid"):
        find("qqqq")


@pytest.mark.parametrize(
    ("name", "given", "words"),
    [
        ("max_pool2d", {"kernel_size": 3, "stride": 0}, "stride = 0"),
        ("avg_pool2d", {"kernel_size": [2, 3], "stride": [2, 2, 2]}, "stride = [2, 2, 2]"),
        ("max_pool2d", {"kernel_size": 65}, "kernel_size = 65"),
        ("max_pool2d", {"kernel_size": 0}, "kernel_size = 0"),
        ("max_pool2d", {"kernel_size": 2.0}, "kernel_size = 2.0"),
        ("max_pool2d", {"kernel_size": [2, True]}, "kernel_size = "),
        ("dropout", {"p": 1.1}, "p = 1.1"),
        ("dropout", {"p": -0.1}, "p = -0.1"),
        ("dropout", {"inverted": 1}, "inverted = 1"),
        ("linear", {"in_features": 0}, "in_features = 0"),
        ("linear", {"in_features": 2**18 + 1}, "in_features = 262145"),
        ("linear", {"normalize": "rows"}, "normalize = 'rows'"),
        ("leaky_relu", {"negative_slope": 10**400}, "negative_slope = "),
    ],
)
def test_what_cannot_be_simulated_says_so(name: str, given: dict[str, Any], words: str) -> None:
    with pytest.raises(UsageError) as raised:
        _ = Case(find(name), given).shape
    assert words in str(raised.value)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("norm_type", [3, 2.5, 0.5, 1, 2, 4.0])
@pytest.mark.parametrize(("mean", "std"), [(1.7, 1.0), (3.0, 1.0), (0.0, 1.0), (-9.0, 1.0), (math.sqrt(3.0), 1.0)])
def test_lp_pooling_refuses_what_would_be_nan(norm_type: float, mean: float, std: float) -> None:
    """Roots of negative sums and odd or broken powers of negative numbers; never where no x is negative."""
    layer = LayerConfig(name="lp_pool2d", norm_type=norm_type)  # type: ignore[call-arg]
    inputs = {"distribution": "uniform", "mean": mean, "std": std}
    safe = norm_type in (1, 2, 4) or mean >= math.sqrt(3.0) * std
    for given, allowed in ((inputs, safe), ({"mean": 9.0}, norm_type in (1, 2, 4))):
        config = RunConfig.model_validate({"layer": [layer.model_dump(exclude_defaults=True)], "input": given})
        if allowed:
            (case,) = cases(config)
            assert case.params["norm_type"] == norm_type
        else:
            with pytest.raises(UsageError, match=r"lp_pool2d: norm_type = .* negative x.*; expected 1 or an even .*$"):
                cases(config)


def test_strides_that_leave_no_gaps_are_taken() -> None:
    for stride in (3, [3, 3], None):
        assert Case(find("max_pool2d"), {"kernel_size": 3, "stride": stride}).shape.n_in == 9
    assert Case(find("avg_pool2d"), {"kernel_size": [2, 3], "stride": [2, 3]}).shape.n_in == 6


@pytest.mark.parametrize(
    ("case", "label"),
    [
        (Case(find("relu")), "relu"),
        (Case(find("max_pool2d")), "max_pool2d(kernel_size=2)"),
        (Case(find("leaky_relu"), {"negative_slope": 0.01}), "leaky_relu"),
        (Case(find("leaky_relu"), {"negative_slope": 0.2}), "leaky_relu(negative_slope=0.2)"),
        (Case(find("gelu"), {"approximate": "tanh"}), "gelu(approximate=tanh)"),
        (Case(find("relu"), x=Input(std=2.0), dy=Upstream("laplace")), "relu, x ~ normal(0, 2), dy ~ laplace(0, 1)"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_label(case: Case, label: str) -> None:
    assert case.label == label
    x, dy = case.x.label(), case.dy.label()
    row = {"layer": case.layer.name, "params": case.params_json, "input": x, "upstream": dy}
    assert overview.label(row) == label
    assert overview.label(row, (x, dy)) == case.layer_label
