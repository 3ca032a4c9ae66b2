"""Weights that are drawn two at a time and not kept: the same numbers as weights that are kept, and what is refused."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gradstat.assumptions import Input, Upstream
from gradstat.cli.app import start
from gradstat.constants.gain import Gain
from gradstat.errors import UsageError
from gradstat.estimation.blocks import Block
from gradstat.estimation.engines import Engine, threads
from gradstat.estimation.estimators import RQMC
from gradstat.estimation.groups import groups
from gradstat.estimation.run import ResultRow, run
from gradstat.estimation.sample_values import values
from gradstat.estimation.significance import disagreements
from gradstat.estimation.tasks import Done, Task
from gradstat.layer_types.case import Case
from gradstat.layer_types.linear import convolution, dense, streams
from gradstat.layer_types.registry import find
from tests.naive_layers import NAIVE
from tests.window_cases import CONVS, Array

LANES = 3
LINEAR: list[tuple[str, dict[str, Any]]] = [
    ("linear", {"in_features": 5, "out_features": 3}),
    ("linear", {"in_features": 4, "out_features": 11}),
]
WEIGHTS = [
    (weight, normalize) for weight in ("gaussian", "uniform", "flat") for normalize in ("fan_in", "fan_out", "none")
]


@pytest.fixture
def streamed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Layers of every size draw their weights without keeping them."""
    monkeypatch.setattr(dense, "MOST_KEPT", 0)
    monkeypatch.setattr(convolution, "MOST_KEPT", 0)


def plain(case: Case, x: Array, dy: Array, noise: Array) -> tuple[Array, Array]:
    """The kernel called for every pair of weights, in plain Python. The slots of a pair hold garbage beforehand."""
    stream, kernel, constants = case.shape.stream, case.layer.kernel(case.params), np.array(case.constants)
    assert stream is not None
    y, dx = np.zeros(dy.shape), np.zeros(x.shape)
    weights = noise.reshape(stream.rows, stream.length, x.shape[1])
    for first in range(0, stream.rows, stream.span):
        rows = range(first, min(first + stream.span, stream.rows))
        room = np.full((2 + stream.kept, x.shape[1]), np.nan)
        room[2:] = 0.0
        for phase in (streams.SQUARES, streams.PRODUCTS) if stream.kept else (streams.PRODUCTS,):
            for row in rows:
                for pair in range((stream.length + 1) // 2):
                    own = weights[row, 2 * pair : 2 * pair + 2]
                    room[:2] = np.nan
                    room[: len(own)] = own
                    kernel((phase, row, pair), constants, x, dy, room, y, dx)
            if phase == streams.SQUARES:
                kernel((streams.ROOTS, 0, 0), constants, x, dy, room, y, dx)
    return y, dx


@pytest.mark.parametrize(("weight", "normalize"), WEIGHTS)
@pytest.mark.parametrize(
    ("name", "given"),
    [*LINEAR, *((f"{kind}{name}", given) for kind in ("conv", "conv_transpose") for name, given in CONVS)],
)
@pytest.mark.usefixtures("streamed")
def test_kernel_is_the_textbook(name: str, given: dict[str, Any], weight: str, normalize: str) -> None:
    ways: tuple[Any, ...] = (False,) if name == "linear" else (False, True)
    for per_tap in ways:
        more = {} if name == "linear" else {"per_tap": per_tap}
        case = Case(find(name), given | more | {"weight": weight, "normalize": normalize})
        rng = np.random.default_rng(20160328)
        x, dy = rng.standard_normal((case.shape.n_in, LANES)), rng.standard_normal((case.shape.n_out, LANES))
        stream = case.shape.stream
        assert stream is not None
        noise = (rng.random if weight == "uniform" else rng.standard_normal)((stream.weights, LANES))
        y, dx = plain(case, x, dy, noise)
        for lane in range(LANES):
            wanted, matrix = NAIVE[name](case, x[:, lane], noise[:, lane])
            np.testing.assert_allclose(y[:, lane], wanted, rtol=1e-12, atol=1e-13)
            np.testing.assert_allclose(dx[:, lane], matrix.T @ dy[:, lane], rtol=1e-12, atol=1e-13)


# Rows of even length: a pair of weights is then a pair of slots of noise that is kept.
SAME: list[tuple[str, dict[str, Any]]] = [
    *(("linear", {"in_features": 6, "out_features": 19, "normalize": how}) for how in ("fan_in", "fan_out", "none")),
    *(("linear", {"in_features": 5, "normalize": how, "weight": "uniform"}) for how in ("fan_in", "none")),
    ("linear", {"in_features": 5, "weight": "flat"}),
    *(("conv2d", {"kernel_size": 3, "stride": 2, "normalize": how, "per_tap": True}) for how in ("fan_in", "fan_out")),
    ("conv1d", {"in_channels": 4, "out_channels": 6, "groups": 2, "size": 5, "padding": 1, "kernel_size": 3}),
    ("conv_transpose1d", {"kernel_size": 3, "stride": 2, "normalize": "fan_in"}),
    ("conv_transpose1d", {"kernel_size": 3, "stride": 2, "normalize": "fan_out", "weight": "uniform"}),
]
DRAWS = 3 * 1024 + 100
X, DY = Input("laplace", 0.5, 2.0), Upstream("normal", 0.25)


def cases_of(table: list[tuple[str, dict[str, Any]]]) -> list[Case]:
    return [Case(find(name), given, X, DY) for name, given in table]


def test_draws_are_those_of_weights_that_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    kept = run(cases_of(SAME), DRAWS, seed=7, jobs=1)
    monkeypatch.setattr(dense, "MOST_KEPT", 0)
    monkeypatch.setattr(convolution, "MOST_KEPT", 0)
    streamed = run(cases_of(SAME), DRAWS, seed=7, jobs=1)
    assert all(line.case.shape.stream is not None for line in streamed)
    for one, two in zip(kept, streamed, strict=True):
        for name in ("mean", "std", "abs_mean", "min", "max", "std_se"):
            values_ = getattr(one.estimates, name), getattr(two.estimates, name)
            assert values_[1] == pytest.approx(values_[0], rel=1e-10, abs=1e-12), (one.case.label, name)


LARGE = [
    Case(find("linear"), {"in_features": 97, "out_features": 64}),
    Case(find("linear"), {"in_features": 97, "out_features": 64, "normalize": "fan_in"}, Input("laplace", 1.0)),
    Case(find("linear"), {"in_features": 64, "out_features": 97, "normalize": "none", "weight": "uniform"}),
    Case(find("linear"), {"in_features": 70, "out_features": 64, "weight": "flat"}, Input(mean=1.0, correlation=0.5)),
    Case(find("conv1d"), {"in_channels": 48, "out_channels": 45, "kernel_size": 3, "stride": 2, "per_tap": "root"}),
]


def elsewhere(task: Task, blocks: Iterator[Block], jobs: int, done: Done) -> None:
    """An engine that does the last block first, after a journey through pickle."""
    rebuild, arguments = task.__reduce__()
    there = rebuild(*arguments)
    for block in reversed(list(blocks)):
        done(block.node, there.block(block), block.draws)


@pytest.fixture(scope="module")
def large() -> list[ResultRow]:
    return run(LARGE, DRAWS, seed=3, jobs=1)


@pytest.mark.parametrize(("engine", "jobs"), [(threads, 2), (elsewhere, 1)])
def test_same_bytes_from_every_engine(large: list[ResultRow], engine: Engine, jobs: int) -> None:
    mixed = {(id(line.case), line.row): line for line in run(LARGE[::-1], DRAWS, 3, jobs, engine)}
    assert all(mixed[id(line.case), line.row].accumulators.tobytes() == line.accumulators.tobytes() for line in large)


def test_large_layers_agree_with_their_exact_values(large: list[ResultRow]) -> None:
    assert all(line.exact is not None for line in large)
    assert disagreements(large) == []


def test_a_wrong_norm_of_a_large_layer_would_be_caught(large: list[ResultRow]) -> None:
    """Negative control: the exact values of weights that are divided by other norms."""
    first = large[0]
    other = replace(first.case, given=dict(first.case.given) | {"normalize": "fan_in"})
    assert disagreements([replace(first, exact=other.exact(first.row))])


def test_a_run_knows_beforehand_how_long_a_large_layer_takes() -> None:
    """45 million weights, drawn twice because of their norms, for the two batches of 2000 draws, at 2 ns each."""
    (group,) = groups([Case(find("linear"), {"in_features": 4096, "out_features": 11008})])
    assert group.seconds(2000) == pytest.approx(4096 * 11008 * 2 * 2048 * 2e-9)
    (small,) = groups([Case(find("linear"))])
    assert small.seconds(2000) == 0.0


REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"in_features": 4096, "out_features": 65536}, "a draw has 268435456 weights; at most 67108864 can be sampled"),
    ({"in_features": 100, "out_features": 100, "weight": "orthogonal"}, "a draw has 10000 weights that depend on each"),
    ({"in_features": 30000, "out_features": 10}, "a draw has 60010 inputs, outputs and norms; at most 32768"),
]


@pytest.mark.parametrize(("given", "words"), REFUSED)
def test_what_is_too_large_to_sample_says_that_its_exact_value_needs_no_draw(given: dict[str, Any], words: str) -> None:
    case = Case(find("linear"), given)
    with pytest.raises(UsageError) as raised:
        groups([case])
    assert words in str(raised.value)
    assert str(raised.value).endswith("gradstat gain shows the exact values, which need no draw")
    assert float(Gain(case).backward.std) == 1.0


def test_rqmc_single_values_and_rare_statistics_refuse_streams() -> None:
    case = LARGE[0]
    with pytest.raises(UsageError, match="with the estimator mc only; found rqmc"):
        groups([case], RQMC.nested)
    with pytest.raises(UsageError, match="6208 weights of a draw; at most 4096"):
        values(case, case.shape.rows[0], 10, 1)
    huge = Case(find("linear"), {"in_features": 4096, "out_features": 4096})
    with pytest.raises(UsageError, match="a draw has 16777216 weights; choose other statistics"):
        _ = Gain(huge).forward.mad


def test_claims_about_large_layers_need_no_sample(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The default of torch.nn.Linear, one right and one wrong digit; and a statistic that nobody knows."""
    params = 'params = { in_features = 4096, out_features = 11008, normalize = "none", weight = "uniform" }'
    about = 'source = "x"\nlayer = "linear"\ndirection = "forward"'
    claim = f'[[claim]]\nid = "{{}}"\n{about}\n{{}}\nstatistic = "{{}}"\nvalue = "{{}}"\n'
    (tmp_path / "c.toml").write_text(
        claim.format("right", params, "std", "0.57735026918962576")
        + claim.format("wrong", params, "std", "0.57735026918962577")
        + claim.format("open", params, "mad", "0.46")
    )
    start(["verify", str(tmp_path / "c.toml"), "--format", "csv"])
    out = capsys.readouterr().out
    lines = {name: line for name in ("right", "wrong", "open") for line in out.splitlines() if line.startswith(name)}
    assert "confirmed" in lines["right"]
    assert "refuted" in lines["wrong"]
    assert "undecided" in lines["open"]
