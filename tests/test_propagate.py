"""Random networks: gradients against finite differences and PyTorch, predictions, schemes and what they do."""

import json
import math
from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import pytest

from gradstat.estimation.student import quantile
from gradstat.layer_types.case import Case
from gradstat.layer_types.record import ALL, BACKWARD
from gradstat.layer_types.registry import find
from gradstat.networks import growth as g
from gradstat.networks import randomness
from gradstat.networks.blocks import KINDS
from gradstat.networks.config import PropagateConfig
from gradstat.networks.network import Leaf, Network, Residual, build, scalings
from gradstat.networks.operations import Linear
from gradstat.networks.passes import NetworkPass, dead, draw, measure, rank, unit
from gradstat.networks.plain_operations import Activation
from gradstat.networks.prediction import predict
from gradstat.networks.randomness import Array, normals, uniforms
from gradstat.networks.schemes import SCHEMES, Constants, Fans, Scheme
from gradstat.numerics import draws

SEED = 20160328
Tables = list[dict[str, Any]]
RELU = {"kind": "activation", "name": "relu"}
TANH = {"kind": "activation", "name": "tanh"}
GELU = {"kind": "activation", "name": "gelu"}
# Every kind of block, each behind a layer with weights so that its dx reaches some.
BLOCKS: dict[str, tuple[int | list[int], Tables]] = {
    "linear": (5, [{"kind": "linear", "width": 7}, {"kind": "linear", "width": 3}]),
    "activation": (5, [{"kind": "linear"}, TANH, {"kind": "linear", "width": 4}, RELU]),
    "expression": (5, [{"kind": "linear"}, {"kind": "activation", "expression": "x * sigmoid(b * x)", "b": 1.7}]),
    "conv2d": (
        [2, 4, 5],
        [{"kind": "conv2d", "channels": 3, "padding": 1}, GELU, {"kind": "conv2d", "kernel_size": 2}],
    ),
    "strided conv2d": ([2, 7, 6], [{"kind": "conv2d", "channels": 3, "stride": 2, "padding": 1}, TANH]),
    "max_pool2d": ([2, 4, 4], [{"kind": "conv2d", "padding": 1}, {"kind": "max_pool2d"}]),
    "overlap": ([2, 5, 5], [{"kind": "conv2d", "padding": 1}, {"kind": "max_pool2d", "kernel_size": 3, "stride": 2}]),
    "avg_pool2d": ([2, 6, 5], [{"kind": "conv2d"}, {"kind": "avg_pool2d", "kernel_size": 3, "stride": 2}]),
    "dropout": (6, [{"kind": "linear"}, {"kind": "dropout", "p": 0.4}, {"kind": "linear"}]),
    "residual": (6, [{"kind": "residual", "weight": 0.6, "branch": [GELU, {"kind": "linear"}]}, {"kind": "linear"}]),
    "nested": (
        4,
        [{"kind": "residual", "branch": [{"kind": "residual", "weight": -0.5, "branch": [{"kind": "linear"}]}, TANH]}],
    ),
    "flattened": ([2, 3, 3], [{"kind": "conv2d", "padding": 1}, RELU, {"kind": "linear", "width": 4}]),
}


def kinds_in(blocks: Tables) -> set[str]:
    return {kind for table in blocks for kind in (table["kind"], *kinds_in(table.get("branch", [])))}


EVERY_BLOCK = pytest.mark.parametrize("name", BLOCKS)
# Divides and subtracts, without normalizing the weights: a change of a drawn weight is then one of that weight alone.
PLAIN = Scheme("plain", "", SCHEMES["he"].weight_std, centred=True, divisor=lambda c: 0.5 * c.forward)
BATCH = 3


def network(features: int | list[int], blocks: Tables, repeat: int = 1, batch: int = BATCH) -> Network:
    stage = {"repeat": repeat, "blocks": blocks}
    document = {"features": features, "batch": batch, "network": [{"stage": [stage]}]}
    return build(PropagateConfig.model_validate(document), "test")[0]


def plain_pass(of: Network, changed: dict[str, Array] | None = None) -> NetworkPass:
    """A pass with the weights and masks of network 0 under PLAIN, some of them changed."""
    scales = scalings(of, PLAIN)
    return NetworkPass(of, scales, draw(of, scales, SEED, 0, BATCH) | (changed or {}), keep_gradients=True)


def signals(of: Network) -> tuple[Array, Array]:
    """x, and dy of the shape of y."""
    x = normals(SEED, 0, 0, randomness.SIGNAL, (BATCH, *of.features))
    return x, normals(SEED, 0, 0, randomness.UPSTREAM, plain_pass(of).forward(of.nodes, x).shape)


def bumped(array: Array, place: int, step: float) -> Array:
    copy = array.copy()
    copy.ravel()[place] += step
    return copy


def wrong_gradients(of: Network) -> list[str]:
    """The names of gradients that differ from central differences of Σ y·dy by more than their rounding."""
    x, dy = signals(of)
    analytic = plain_pass(of)
    analytic.forward(of.nodes, x)
    (dx,) = analytic.backward(of.nodes, [dy])
    step = 1e-5

    def loss(at: Array, changed: dict[str, Array]) -> float:
        return float(np.sum(plain_pass(of, changed).forward(of.nodes, at) * dy))

    def differs(ends: list[float], gradient: float) -> bool:
        return abs((ends[0] - ends[1]) / (2.0 * step) - gradient) > 1e-7 * (1.0 + abs(gradient))

    wrong = [
        f"x {place}"
        for place in range(x.size)
        if differs([loss(bumped(x, place, sign * step), {}) for sign in (1.0, -1.0)], dx.ravel()[place])
    ]
    for path, gradients in analytic.gradients.items():
        for place, gradient in enumerate(gradients[0].ravel() if gradients else []):
            weights = analytic.drawn[path]
            ends = [loss(x, {path: bumped(weights, place, sign * step)}) for sign in (1.0, -1.0)]
            if differs(ends, gradient):
                wrong.append(f"W of {path} {place}")
    return wrong


def test_every_kind_of_block_is_differentiated() -> None:
    assert set().union(*(kinds_in(blocks) for _, blocks in BLOCKS.values())) == set(KINDS)


@EVERY_BLOCK
def test_gradients_are_those_of_finite_differences(name: str) -> None:
    assert wrong_gradients(network(*BLOCKS[name])) == []


def test_a_wrong_gradient_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Activation, "backward", lambda self, dy, drawn, memory: (dy * memory**2, None))
    found = wrong_gradients(network(*BLOCKS["activation"]))
    assert any(name.startswith("x ") for name in found)
    assert any(name.startswith("W of 1.1") for name in found)  # below tanh, whose slope is squared here
    assert not any(name.startswith("W of 1.3") for name in found)  # below relu only: its slopes are 0 and 1


def in_torch(of: Network, reference: NetworkPass, x: Any, torch: Any) -> tuple[Any, dict[str, Any]]:
    """y of the same network in PyTorch, and its weights as leaves that ask for gradients."""
    functional = torch.nn.functional
    lookup = {"relu": functional.relu, "tanh": torch.tanh, "gelu": functional.gelu}
    leaves: dict[str, Any] = {}

    def walk(nodes: Sequence[Any], x: Any) -> Any:
        for node in nodes:
            scaling = reference.scalings[node.path]
            if isinstance(node, Residual):
                y = x + node.weight * walk(node.branch, x)
            else:
                operation = node.operation
                kind = type(operation).__name__
                if operation.fans is not None:
                    weight = leaves[node.path] = torch.tensor(reference.drawn[node.path], requires_grad=True)
                if kind == "Linear":
                    y = functional.linear(x.flatten(1), weight)
                elif kind == "Conv2d":
                    shaped = weight.reshape(operation.channels, -1, operation.kernel, operation.kernel)
                    y = functional.conv2d(x, shaped, stride=operation.stride, padding=operation.padding)
                elif kind == "Activation" and operation.case.layer.name in lookup:
                    y = lookup[operation.case.layer.name](x)
                elif kind == "Activation":
                    y = x * torch.sigmoid(operation.case.params["b"] * x)
                elif kind == "Dropout":
                    y = x * torch.tensor(reference.memory[node.path])
                else:
                    pool = functional.max_pool2d if kind == "MaxPool2d" else functional.avg_pool2d
                    y = pool(x, operation.kernel, operation.stride)
            x = (y - scaling.shift) / scaling.divisor
        return x

    return walk(of.nodes, x), leaves


@EVERY_BLOCK
def test_gradients_are_those_of_pytorch(name: str) -> None:
    torch = pytest.importorskip("torch", reason="PyTorch is not installed: pip install 'gradstat[bench]'")
    of = network(*BLOCKS[name])
    x, dy = signals(of)
    reference = plain_pass(of)
    expected = reference.forward(of.nodes, x)
    (dx,) = reference.backward(of.nodes, [dy])
    input_leaf = torch.tensor(x, requires_grad=True)
    y, leaves = in_torch(of, reference, input_leaf, torch)
    np.testing.assert_allclose(y.detach().numpy(), expected, rtol=1e-12, atol=1e-12)
    y.backward(torch.tensor(dy))
    np.testing.assert_allclose(dx, input_leaf.grad.numpy(), rtol=1e-11, atol=1e-12)
    for path, weight in leaves.items():
        np.testing.assert_allclose(reference.gradients[path][0], weight.grad.numpy(), rtol=1e-11, atol=1e-12)


# What separate scaling does to the gradient -------------------------------------------------------------------------

STACK: Tables = [{"kind": "linear", "width": 24}, GELU, {"kind": "dropout", "p": 0.3}]
BRANCH: Tables = [{"kind": "residual", "branch": [RELU, {"kind": "linear"}]}]


def test_a_scale_per_layer_leaves_every_direction_alone() -> None:
    """Mean subtraction (gelu's mean is not 0) and dropout included: the ratio is the product of the scales above."""
    of = network(24, STACK, repeat=6)
    scheme = SCHEMES["separate"]
    measured = measure(of, scheme, SEED, 0, 8)
    gradient_scales = {path: scaling.gradient_scale for path, scaling in scalings(of, scheme).items()}
    leaves = [node for node in of.rows() if isinstance(node, Leaf)]
    for place, node in enumerate(leaves):
        if node.operation.fans is not None:
            above = math.prod(gradient_scales[other.path] for other in leaves[place + 1 :])
            assert measured.figures[node.path]["cosine"] == pytest.approx(1.0, abs=1e-12)
            assert measured.figures[node.path]["ratio"] == pytest.approx(above, rel=1e-12)
    assert above != 1.0 or len(leaves) == 1
    assert measured.whole_cosine < 0.9999  # the layers' lengths change, and with them the direction of all together


def test_where_paths_join_the_direction_turns() -> None:
    of = network(32, BRANCH, repeat=6)
    figures = measure(of, SCHEMES["separate"], SEED, 0, 8).figures
    top, lowest = figures["6.1.2"]["cosine"], figures["1.1.2"]["cosine"]
    assert top == pytest.approx(1.0, abs=1e-12)  # nothing joins above it
    assert lowest < 0.99


def test_a_scale_per_unit_turns_the_direction_too() -> None:
    """Why it must be a number: unit columns of W in the backward pass alone would scale each input by its own."""
    x, dy = normals(SEED, 0, 0, 0, (8, 16)), normals(SEED, 0, 1, 0, (8, 16))
    true, scaled = dy.T @ x, (dy * (1.0 + np.arange(16))).T @ x
    assert np.sum(true * scaled) / math.sqrt(np.sum(true**2) * np.sum(scaled**2)) < 0.97


def test_other_schemes_have_no_second_gradient() -> None:
    figures = measure(network(16, STACK), SCHEMES["forward"], SEED, 0, 8).figures
    assert all(math.isnan(row["cosine"]) for row in figures.values())


# Prediction ---------------------------------------------------------------------------------------------------------

DEPTH, NARROW = 10, 512
LEVELS = range(1, DEPTH + 1)
NAMES = [f"{what} of level {level}" for what in ("y", "dx") for level in LEVELS]
NETWORKS = 24
FALSE_ALARM = 1e-9  # of one comparison; there are eighty-four below, of the 10⁻⁶ that the suite may have
BOUND = quantile(1.0 - FALSE_ALARM / 2.0, NETWORKS - 1)  # ten standard errors


def stack(width: int) -> Network:
    return network(width, [{"kind": "linear"}, RELU], DEPTH)


def second_moments(figures: dict[str, dict[str, float]]) -> list[float]:
    """E[y²] and E[dx²] of every level."""
    up = [figures[f"{level}.2"]["y_std"] ** 2 + figures[f"{level}.2"]["y_mean"] ** 2 for level in LEVELS]
    return [*up, *(figures[f"{level}.1"]["dx_std"] ** 2 for level in LEVELS)]


@cache
def measured(width: int, name: str) -> Array:
    """The second moments of every network of a stack of `DEPTH` layers with relu."""
    of = stack(width)
    return np.array([second_moments(measure(of, SCHEMES[name], SEED, r, 8).figures) for r in range(NETWORKS)])


def departures(name: str, scheme: Scheme, width: int, extrapolated: bool = False) -> list[str]:
    """Where the measured scheme of this name and the prediction of `scheme` differ by more than the bound.

    Extrapolated, what is compared is 2·m(2n) − m(n): a bias of order 1/n is then gone.
    """
    found = measured(width, name)
    if extrapolated:
        found = 2.0 * measured(2 * width, name) - found  # the draws of the two widths go together
    error = found.std(axis=0, ddof=1) / math.sqrt(NETWORKS)
    z = (found.mean(axis=0) - np.array(second_moments(predict(stack(width), scheme, 8)))) / error
    return [what for what, value in zip(NAMES, z, strict=True) if abs(value) > BOUND]


@pytest.mark.parametrize("name", ["none", "he"])
def test_prediction_and_measurement_agree(name: str) -> None:
    """relu is homogeneous: E[y²] and E[dx²] over networks are the prediction at any width, without a bias."""
    assert departures(name, SCHEMES[name], NARROW) == []


def test_prediction_and_measurement_agree_where_a_constant_is_subtracted() -> None:
    """E[y²] of `forward` has a bias of order 1/width (its variance map is convex): widths 512 and 1024 extrapolate."""
    assert departures("forward", SCHEMES["forward"], NARROW, extrapolated=True) == []


def test_a_wrong_prediction_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    """χ upside down, the divisor of the other pass, and a recursion that forgets the mean of y."""
    upside = replace(SCHEMES["separate"], gradient_scale=lambda c: c.backward / c.forward)
    assert departures("separate", upside, 128) == [f"dx of level {level}" for level in LEVELS]
    other = replace(SCHEMES["forward"], divisor=lambda c: c.backward)
    assert departures("forward", other, NARROW, extrapolated=True) == NAMES
    right = Linear.moments
    monkeypatch.setattr(Linear, "moments", lambda self, mean, std, weight_std: right(self, 0.0, std, weight_std))
    for name in ("none", "he"):  # the first y is right still, and so is every dx: the slopes of relu have no scale
        assert departures(name, SCHEMES[name], NARROW) == NAMES[1:DEPTH]


SINGLE: dict[str, tuple[int | list[int], Tables]] = {
    "linear": (5, [{"kind": "linear", "width": 7}]),
    "activation": (5, [GELU]),
    "conv2d": ([2, 4, 5], [{"kind": "conv2d", "channels": 3, "padding": 1}]),
    "strided": ([2, 7, 6], [{"kind": "conv2d", "channels": 3, "stride": 2, "padding": 1}]),
    "max_pool2d": ([2, 4, 6], [{"kind": "max_pool2d"}]),
    "avg_pool2d": ([2, 4, 6], [{"kind": "avg_pool2d"}]),
    "dropout": (6, [{"kind": "dropout", "p": 0.4}]),
    "residual": (6, [{"kind": "residual", "weight": 0.6, "branch": [RELU, {"kind": "linear"}]}]),
}
SINGLE_NETWORKS = 400


def weights(of: Network) -> tuple[int, ...]:
    node = of.nodes[0]
    return node.operation.draws if isinstance(node, Leaf) and node.operation.fans is not None else (2,)


def single_departures(name: str, truth: Network) -> list[str]:
    """Which second moments of one block, over networks, are not what is predicted of `truth`."""
    of = network(*SINGLE[name])
    rows = [measure(of, SCHEMES["he"], SEED, number, BATCH).figures["1.1"] for number in range(SINGLE_NETWORKS)]
    theory = predict(truth, SCHEMES["he"], BATCH)["1.1"]
    entries = {"dx": BATCH * math.prod(of.features), "dw": math.prod(weights(of))}
    values = {
        "y": ([row["y_std"] ** 2 + row["y_mean"] ** 2 for row in rows], theory["y_std"] ** 2 + theory["y_mean"] ** 2),
    }
    for what, n in entries.items():  # uncorrelated: σ about their own mean is short of σ² by a share of 1/n
        own = [row[f"{what}_std"] ** 2 / (1.0 - 1.0 / n) for row in rows]
        values[what] = own, theory[f"{what}_std"] ** 2
    bound = quantile(1.0 - FALSE_ALARM / 2.0, SINGLE_NETWORKS - 1)
    wrong = []
    for what, (found, expected) in values.items():
        mean, error = g.mean_and_error(found)
        wrong += [what] * (abs(mean - expected) > bound * error)  # never where there is no number
    return wrong


@pytest.mark.parametrize("name", SINGLE)
def test_single_blocks_are_predicted(name: str) -> None:
    """Mean and σ of y, dx and dW, the border of a map included."""
    assert single_departures(name, network(*SINGLE[name])) == []


def test_a_wrong_border_is_caught() -> None:
    truth = network([2, 6, 7], [{"kind": "conv2d", "channels": 3}])  # as if the zeros around the map were inputs
    assert {"y", "dw"} <= set(single_departures("conv2d", truth))


def test_what_is_unknown_is_not_predicted() -> None:
    of = network(4, [{"kind": "linear"}, {"kind": "activation", "expression": "exp(x * x)"}])
    assert math.isnan(predict(of, SCHEMES["none"], 2)["1.2"]["y_std"])


# Schemes and their constants ----------------------------------------------------------------------------------------


def test_unit_rows_and_columns() -> None:
    raw = normals(SEED, 0, 0, randomness.WEIGHTS, (6, 4 * 9))
    rows, columns = unit(raw, "rows", 9), unit(raw, "columns", 9)
    np.testing.assert_allclose(np.mean(rows**2, axis=1), 1.0)
    np.testing.assert_allclose(np.mean(columns.reshape(6, 4, 9) ** 2, axis=(0, 2)), 1.0)
    both = unit(raw, "both", 9)
    np.testing.assert_allclose(both, np.sign(raw) * np.sqrt(np.abs(rows * columns)))
    assert unit(raw, "") is raw


@pytest.mark.parametrize(("n_in", "n_out"), [(8, 4), (3, 7)])
def test_constants_of_weights_are_the_referees(n_in: int, n_out: int) -> None:
    """σ[dx] of unit rows, which `separate` divides by, and of unit columns, which `backward` makes 1."""
    of = network(n_in, [{"kind": "linear", "width": n_out}])
    sizes = {"in_features": n_in, "out_features": n_out}
    found = {}
    for normalize in ("fan_in", "fan_out"):
        case = Case(find("linear"), sizes | {"normalize": normalize})
        exact = case.exact(next(row for row in case.shape.rows if (row.direction, row.cell) == (BACKWARD, ALL)))
        assert exact is not None
        found[normalize] = math.sqrt(exact.var)
    assert scalings(of, SCHEMES["separate"])["1.1"].gradient_scale == pytest.approx(1.0 / found["fan_in"])
    weight_std = scalings(of, SCHEMES["backward"])["1.1"].weight_std
    assert weight_std * math.sqrt(n_out) * found["fan_out"] == pytest.approx(1.0)


def test_a_stride_enters_the_backward_constants() -> None:
    """Post III: with stride 2 an input meets a quarter of the windows, and σ[dx] of unit columns is 1/2."""
    of = network([2, 8, 8], [{"kind": "conv2d", "channels": 3, "stride": 2}])
    node = of.nodes[0]
    assert isinstance(node, Leaf)
    assert node.operation.fans == Fans(18, 27, 0.5, 9)


def test_schemes_divide_by_what_their_names_say() -> None:
    c = Constants(0.3, 0.5, 0.8)
    divisors = {"none": 1.0, "xavier": 1.0, "he": 1.0, "forward": 0.5, "separate": 0.5, "backward": 0.8}
    divisors["geometric"] = math.sqrt(0.4)
    assert {name: SCHEMES[name].divisor(c) for name in divisors} == pytest.approx(divisors)
    assert SCHEMES["separate"].gradient_scale(c) == 0.5 / 0.8


# Statistics and draws -----------------------------------------------------------------------------------------------


def test_streams_are_the_networks_own() -> None:
    own = (randomness.SIGNAL, randomness.UPSTREAM, randomness.WEIGHTS, randomness.MASK)
    single = [draws.SIGNAL, draws.X_UNIFORM, draws.NOISE, draws.DY_UNIFORM, draws.DY_SHARED]
    assert len({*own, *single, *(stream + draws.PILOT for stream in single)}) == 14


def test_draws_are_addressed() -> None:
    """More of the same site begin with the same numbers; every other address has others."""
    long = normals(SEED, 3, 5, randomness.WEIGHTS, (5000,))
    np.testing.assert_array_equal(long[:100], normals(SEED, 3, 5, randomness.WEIGHTS, (10, 10)).ravel())
    others = [(SEED + 1, 3, 5, 258), (SEED, 4, 5, 258), (SEED, 3, 6, 258), (SEED, 3, 5, 259)]
    for address in others:
        assert not np.any(normals(*address, (100,)) == long[:100])
    many = normals(SEED, 0, 0, 258, (10**6,))
    assert abs(many.mean()) < 5e-3
    assert abs(many.var() - 1.0) < 7.1e-3
    mask = uniforms(SEED, 0, 0, 259, (10**5,))
    assert 0.0 < mask.min() < mask.max() < 1.0
    assert abs(mask.mean() - 0.5) < 5.0 * math.sqrt(1.0 / 12.0 / 10**5)


def test_rank_counts_directions() -> None:
    assert rank(np.eye(6)) == pytest.approx(6.0)
    assert rank(np.ones((6, 9))) == pytest.approx(1.0)
    assert rank(1e-200 * np.eye(3)) == pytest.approx(3.0)
    assert math.isnan(rank(np.zeros((3, 3))))


def test_dead_units_have_no_slope_anywhere() -> None:
    slope = np.array([[0.0, 1.0, 0.0], [0.0, 0.0, 0.0]])
    assert dead(slope) == pytest.approx(2.0 / 3.0)
    maps = np.zeros((2, 4, 3, 3))
    maps[1, 2, 0, 0] = 1.0
    assert dead(maps) == 0.75


def test_t_quantiles() -> None:
    """Student's table: 12.706, 2.262 and 1.984 for 1, 9 and 99 degrees of freedom."""
    for freedom, value in ((1, 12.7062047), (9, 2.26215716), (99, 1.98421695)):
        assert quantile(0.975, freedom) == pytest.approx(value, rel=1e-7)


def test_growth_and_its_verdict() -> None:
    noise = 1.0 + 0.01 * normals(SEED, 0, 0, 0, (6, 20))
    levels = np.arange(20.0)
    found = {rate: g.growth(noise * rate**levels) for rate in (0.8, 1.0, 1.3)}
    assert [one.verdict for one in found.values()] == [g.VANISHING, g.STABLE, g.EXPLODING]
    assert all(one.low < rate < one.high for rate, one in found.items())
    at_odds = np.array([[1.0], [1.25]] * 3)
    assert g.growth(at_odds**levels).verdict == g.UNDECIDED
    assert g.growth(np.where(levels < 9, noise, 0.0)).verdict == g.VANISHING
    assert g.growth(np.where(levels < 9, noise, np.inf)).verdict == g.EXPLODING
    assert g.growth(np.where(levels < 9, noise, np.where(levels < 12, np.inf, np.nan))).verdict == g.EXPLODING
    assert g.growth(np.where(levels < 9, noise, np.nan)).verdict == g.UNDECIDED
    assert g.growth(np.array([[1.0, 0.0], [1.0, np.inf]])).verdict == g.UNDECIDED
    assert g.growth(np.array([[1e-300, 1e300], [1e300, 1e-300]])).verdict == g.UNDECIDED
    assert g.growth(noise[:, :1]).verdict == g.UNDECIDED


def test_a_scale_that_no_float_holds_is_a_verdict() -> None:
    of = network(8, [{"kind": "linear"}, {"kind": "activation", "name": "square"}], repeat=14)
    figures = measure(of, SCHEMES["he"], SEED, 0, 4).figures
    assert not math.isfinite(figures["14.2"]["y_std"]) or figures["14.2"]["y_std"] == 0.0
    json.dumps(figures)
