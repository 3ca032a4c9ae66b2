"""Moments against NIST's reference sets and exact fractions, and merges that do not depend on who merged what.

Nothing is sampled, but for the last test, whose false-alarm rate with fresh seeds would be 10⁻⁶.
"""

import itertools
import json
import math
from fractions import Fraction
from pathlib import Path
from typing import Any

import mpmath
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gradstat.estimation.estimates import estimates
from gradstat.estimation.merge_tree import Accumulators, MergeTree
from gradstat.estimation.significance import z_bound
from gradstat.numerics import columns, sums
from gradstat.numerics import moments as m
from gradstat.numerics.draws import LANES
from tests import kernels, naive

NIST = Path(__file__).parent / "data" / "nist_strd"
CERTIFIED = json.loads((NIST / "certified.json").read_text())
SETS = sorted(path.stem for path in NIST.glob("*.dat"))
TOLERANCE = 1e-14
Array = np.ndarray[Any, np.dtype[np.float64]]


def observations(name: str) -> list[float]:
    _, column = (NIST / f"{name}.dat").read_text().split("Data: Y")
    return [float(word) for word in column.split()[1:]]


def in_blocks(values: list[float], size: int) -> list[Accumulators]:
    """One set of accumulators for each `size` values, centred at the first of them."""
    return [kernels.block(values[i : i + size], values[i]) for i in range(0, len(values), size)]


def one_after_another(blocks: list[Accumulators]) -> Accumulators:
    total = blocks[0]
    for block in blocks[1:]:
        total = kernels.merged(total, block)
    return total


def as_a_tree(blocks: list[Accumulators]) -> Accumulators:
    tree = MergeTree()
    for number, block in enumerate(blocks):
        tree.add((0, number), block.copy())
    return tree.total()


# NIST StRD, univariate.


def test_all_nine_sets_are_here() -> None:
    assert sorted(set(CERTIFIED) - {"Meixner"}) == SETS
    assert all(len(observations(name)) == CERTIFIED[name]["n"] for name in SETS)


def assert_certified(name: str, accumulators: Accumulators) -> None:
    """Mean, sd and kurtosis of the float64 inputs, exactly known, to a relative 10⁻¹⁴."""
    known, row = CERTIFIED[name], accumulators[0]
    with mpmath.workdps(40):
        exact = sum(map(Fraction, observations(name))) / known["n"]
        mean = mpmath.mpf(exact.numerator) / exact.denominator
        sd = mpmath.mpf(known["float64_input_sd"])
        kurtosis = mpmath.mpf(known["float64_input_kurtosis"])
        found = estimates(row)
        assert found.n == known["n"]
        assert abs(found.mean / mean - 1) < TOLERANCE
        assert abs(math.sqrt(row[columns.M2] / (known["n"] - 1)) / sd - 1) < TOLERANCE
        assert abs(found.std / sd - 1) < TOLERANCE
        assert abs(found.kurtosis / kurtosis - 1) < TOLERANCE


@pytest.mark.parametrize("name", SETS)
def test_nist_in_one_block(name: str) -> None:
    values = observations(name)
    assert_certified(name, kernels.block(values, values[0]))


@pytest.mark.parametrize("name", SETS)
@pytest.mark.parametrize("size", [1, 7, 64])
def test_nist_in_blocks(name: str, size: int) -> None:
    blocks = in_blocks(observations(name), size)
    assert_certified(name, one_after_another(blocks))
    assert_certified(name, as_a_tree(blocks))


@pytest.mark.parametrize("name", SETS)
def test_nist_skewness(name: str) -> None:
    """Of the decimal data; where rounding them to float64 moved it, by as much as it moved the standard deviation."""
    known = CERTIFIED[name]
    moved = abs(float(known["float64_input_sd"]) / float(known["exact_sd"]) - 1.0)
    skewness = float(known["exact_skewness_population"])
    for blocks in (in_blocks(observations(name), size) for size in (1, 7, 64)):
        assert estimates(as_a_tree(blocks)[0]).skewness == pytest.approx(skewness, abs=TOLERANCE + 10.0 * moved)


def test_float64_inputs_are_what_certified_says() -> None:
    """The reference file itself, in fractions: the sd to all its digits."""
    for name in SETS:
        exact = naive.accumulators(observations(name), 0.0)
        with mpmath.workdps(40):
            square = exact["m2"] / (CERTIFIED[name]["n"] - 1)
            sd = mpmath.sqrt(mpmath.mpf(square.numerator) / square.denominator)
            assert mpmath.almosteq(sd, mpmath.mpf(CERTIFIED[name]["float64_input_sd"]), rel_eps=1e-20)


def test_raw_power_sums_would_fail() -> None:
    """Negative control: Σv² − n·mean² of NumAcc4."""
    values = np.array(observations("NumAcc4"))
    variance = (np.sum(values**2) - values.size * values.mean() ** 2) / (values.size - 1)
    assert abs(math.sqrt(abs(variance)) / float(CERTIFIED["NumAcc4"]["float64_input_sd"]) - 1.0) > 1e-3


def test_merging_rounded_means_would_fail() -> None:
    """Negative control: the mean kept to its own last digit, and not as a shift from the centre."""

    def rounded(block: Accumulators) -> Accumulators:
        block[0, columns.SHIFT] = (block[0, columns.CENTRE] + block[0, columns.SHIFT]) - block[0, columns.CENTRE]
        return block

    total, *blocks = in_blocks(observations("NumAcc4"), 7)
    for block in blocks:
        total = rounded(kernels.merged(total, block))
    with pytest.raises(AssertionError):
        assert_certified("NumAcc4", total)


# Against exact fractions.

VALUE = st.one_of(st.floats(-8.0, 8.0), st.sampled_from([0.0, -0.0, 1.0, 5e-324]))
VALUES = st.lists(VALUE, min_size=1, max_size=200)
CENTRE = st.sampled_from([0.0, 0.25, -1.0])


def assert_close(found: Accumulators, values: list[float], centre: float) -> None:
    """Each sum to 10⁻¹³ of the sum of the sizes of its terms."""
    exact = naive.accumulators(values, centre)
    for column, name in enumerate(columns.NAMES[: columns.DRAWS]):
        power = {"shift": 1, "deviation": 1, "m2": 2, "signed_square": 2, "m3": 3, "m4": 4}.get(name, 0)
        scale = sum(abs(v - centre) ** power for v in values)
        scale = {"shift": scale / len(values), "abs": sum(map(abs, values))}.get(name, scale)
        assert abs(float(found[0, column] - exact[name])) <= 1e-13 * scale + 1e-300, name


@given(VALUES, CENTRE)
def test_a_block_is_exact_to_rounding(values: list[float], centre: float) -> None:
    assert_close(kernels.block(values, centre), values, centre)


@given(VALUES, VALUES, CENTRE)
def test_a_merge_is_one_pass(first: list[float], second: list[float], centre: float) -> None:
    merged = kernels.merged(kernels.block(first, centre), kernels.block(second, centre))
    assert_close(merged, first + second, centre)


@pytest.mark.parametrize("draws", [1, 63, 64, 65, 1023, 1024, 1025, 2500])
@pytest.mark.parametrize("slots", [1, 2, 5])
def test_whole_and_partial_batches(draws: int, slots: int) -> None:
    values = np.random.default_rng(draws).normal(0.3, 1.0, (slots, draws))
    values[values < -1.0] = 0.0
    found = kernels.block(values, 0.25)
    assert_close(found, values.ravel().tolist(), 0.25)
    expected = naive.totals(values, 0.25) if slots > 1 else dict.fromkeys(columns.NAMES[columns.DRAWS :], 0.0)
    expected |= naive.tails(values, 0.25)
    for column, name in enumerate(columns.NAMES[columns.DRAWS :], columns.DRAWS):
        assert found[0, column] == pytest.approx(expected[name], rel=1e-11, abs=1e-11 * draws * slots), name


@given(st.integers(2, 400), st.integers(1, 399), st.integers(0, 10**6))
def test_totals_merge_as_one_pass(draws: int, cut: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    values = rng.exponential(1.0, (3, draws)) + rng.normal(size=draws)
    cut = min(cut, draws - 1)
    merged = kernels.merged(kernels.block(values[:, :cut], 0.5), kernels.block(values[:, cut:], 0.5))
    expected = naive.totals(values, 0.5) | naive.tails(values[:, :0], 0.5)  # no whole batch, no tie
    for column, name in enumerate(columns.NAMES[columns.DRAWS :], columns.DRAWS):
        assert merged[0, column] == pytest.approx(expected[name], rel=1e-10, abs=1e-9 * draws), name


def fma(a: float, b: float, c: float) -> float:
    return float(Fraction(a) * Fraction(b) + Fraction(c))


def plain_column(values: Array, centre: float, group: int) -> tuple[list[float], list[float]]:
    """The sums over values[slot, draw], one after another: |v| of `group` draws at a time, all else draw by draw."""
    d1 = d2 = d3 = d4 = absolute = deviation = square = 0.0
    totals, products = [0.0] * 4, [0.0] * 6
    for draw in values.T.tolist():
        t = [0.0] * 4
        for v in draw:
            d = v - centre
            t = [t[0] + d, t[1] + d * d, t[2] + abs(v), t[3] + abs(d)]
            d3, d4, square = fma(d * d, d, d3), fma(d * d, d * d, d4), fma(d, abs(d), square)
        pairs = ((0, 0), (0, 1), (1, 1), (2, 2), (3, 3), (0, 3))
        products = [fma(t[i], t[j], total) for (i, j), total in zip(pairs, products, strict=True)]
        totals = [a + b for a, b in zip(totals, t, strict=True)]
    d1, d2, absolute, deviation = totals
    if group > 1:
        sizes = np.abs(values[0]).reshape(-1, group).tolist()
        absolute = sum((sum(four[1:], four[0]) for four in sizes), 0.0)
    sign, zeros, ties = np.sign(values - centre).sum(), (values == 0.0).sum(), (values == centre).sum()
    return [d1, d2, d3, d4, absolute, deviation, sign, square, zeros, ties], totals + products


def plain_block(values: Array, centre: float) -> Accumulators:
    """The accumulators of values[slot, draw] in the order of the kernel: four columns, then what is left over."""
    partial, totals = np.zeros((1, sums.SUMS, sums.COLUMNS)), np.zeros((1, sums.TOTALS, sums.COLUMNS))
    partial[0, sums.MIN], partial[0, sums.MAX] = values.min(), values.max()
    group = sums.UNCENTRED if values.shape[0] == 1 and centre != 0.0 else 1
    for first in range(0, values.shape[1], LANES):
        batch = values[:, first : first + LANES]
        whole = batch.shape[1] // (sums.COLUMNS * group) * sums.COLUMNS * group
        parts = [(column, batch[:, column : whole : sums.COLUMNS], group) for column in range(sums.COLUMNS)]
        for column, part, together in [*parts, (0, batch[:, whole:], 1)]:
            found, of_draws = plain_column(part, centre, together)
            partial[0, : len(sums.NAMES), column] += found
            totals[0, : sums.LARGEST, column] += of_draws if values.shape[0] > 1 else 0.0
        if batch.shape[1] == LANES:
            size = kernels.log(float(np.abs(batch - centre).max()))
            partial[0, sums.PEAKS : sums.BATCH_MIN, 0] += 1.0, size, size * size
    if values.shape[0] > 1:
        totals[0, sums.LARGEST] = np.square(values - centre).sum(axis=0).max()
    out = np.empty((1, columns.WIDTH))
    slots = np.array([values.shape[0]])
    m.finish_rows.py_func(partial, totals, values.shape[1], slots, np.array([centre]), out)
    return out


@pytest.mark.parametrize("centre", [0.0, 0.25])
@pytest.mark.parametrize("slots", [1, 3])
def test_plain_python_gives_the_same_bytes(slots: int, centre: float) -> None:
    values = np.random.default_rng(slots).normal(0.5, 1.0, (slots, 1107))
    values[np.abs(values) < 0.1] = 0.0
    values[np.abs(values - centre) < 0.1] = centre
    assert plain_block(values, centre).tobytes() == kernels.block(values, centre).tobytes()


@pytest.mark.parametrize("centre", [0.0, 0.25])
@pytest.mark.parametrize("slots", [1, 3])
@pytest.mark.parametrize("draws", [1, 5, 1023, 1024])
def test_nothing_beyond_the_draws_is_read_into_the_sums(slots: int, centre: float, draws: int) -> None:
    """A compiled kernel reads past the end without a word; here it would read NaN, which no sum forgets."""
    values = np.random.default_rng(draws).normal(0.5, 1.0, (slots, draws))
    assert np.isfinite(kernels.block(values, centre)).all()


def test_nan_is_not_swallowed() -> None:
    found = estimates(kernels.block([1.0, math.nan, 2.0], 0.0)[0])
    assert all(math.isnan(value) for value in (found.mean, found.std, found.abs_mean))


# The tree.

LEAVES = [kernels.block(np.random.default_rng(i).normal(1.0, 2.0, (2, 5)), 0.9) for i in range(40)]


def total_bytes(numbers: list[int]) -> bytes:
    tree = MergeTree()
    for number in numbers:
        tree.add((0, number), LEAVES[number].copy())
    return tree.total().tobytes()


@given(st.integers(1, 40).flatmap(lambda n: st.permutations(range(n))))
def test_the_forest_does_not_see_the_order(order: list[int]) -> None:
    assert total_bytes(order) == total_bytes(sorted(order))


@given(st.integers(1, 40), st.lists(st.integers(0, 40), max_size=6), st.randoms(use_true_random=False))
def test_the_forest_does_not_see_who_had_which_range(n: int, cuts: list[int], random: object) -> None:
    """Each range of blocks in a tree of its own; then their nodes, in any order, in one."""
    ends = sorted({0, n, *(cut for cut in cuts if cut < n)})
    nodes: list[Any] = []
    for first, end in itertools.pairwise(ends):
        tree = MergeTree()
        for number in range(first, end):
            tree.add((0, number), LEAVES[number].copy())
        nodes.extend(tree.nodes.items())
    random.shuffle(nodes)  # type: ignore[attr-defined]
    whole = MergeTree()
    for node, accumulators in nodes:
        whole.add(node, accumulators)
    assert whole.total().tobytes() == total_bytes(list(range(n)))


def test_a_forest_stays_small() -> None:
    tree = MergeTree()
    for number in range(2**10 - 1):
        tree.add((0, number), LEAVES[number % 40].copy())
        assert len(tree.nodes) <= 10
    assert len(tree.nodes) == 10


def test_two_blocks_swapped_are_caught() -> None:
    """Negative control: the same values at each other's block number give other bytes."""
    tree = MergeTree()
    for number in range(8):
        tree.add((0, number), LEAVES[{2: 5, 5: 2}.get(number, number)].copy())
    assert tree.total().tobytes() != total_bytes(list(range(8)))


# n − 1.


def z_of_variance(n: int, slots: int, slip: bool) -> float:
    """Mean of the estimated variance over 4,000 samples of n draws of variance 1, in standard errors."""
    values = np.random.default_rng(n).standard_normal((4000, n))
    found = []
    for sample in values:
        row = kernels.block(np.tile(sample, (slots, 1)), 0.0)[0]
        found.append(row[columns.M2] / row[columns.COUNT] if slip else estimates(row).std ** 2)
    return float((np.mean(found) - 1.0) / (np.std(found) / math.sqrt(len(found))))


@pytest.mark.parametrize("slots", [1, 9])
@pytest.mark.parametrize("n", [2, 3, 10])
def test_the_variance_is_unbiased(n: int, slots: int) -> None:
    """Nine equal slots are as dependent as slots can be."""
    assert abs(z_of_variance(n, slots, slip=False)) < z_bound(6)
    assert abs(z_of_variance(n, slots, slip=True)) > z_bound(6)


@pytest.mark.parametrize("seed", range(4))
def test_python_and_machine_code_give_the_same_accumulators(seed: int) -> None:
    """The first calls of a process run as Python, the others as machine code; numbers may be NaN or infinite."""
    rng = np.random.default_rng(seed)
    partial, totals = rng.standard_normal((6, sums.SUMS, 4)), rng.standard_normal((6, sums.TOTALS, 4))
    first, second = rng.standard_normal((6, columns.WIDTH)), rng.standard_normal((6, columns.WIDTH))
    for array in (partial, totals, first, second):
        array *= 10.0 ** rng.integers(-3, 4, array.shape)
        if seed % 2:
            chosen = rng.random(array.shape) < 0.05
            array[chosen] = rng.choice([0.0, -0.0, np.nan, np.inf, -np.inf, 1e-310], chosen.sum())
    slots, centres = rng.integers(1, 3, 6), rng.standard_normal(6)
    found = []
    for finish, merge in (
        (m.finish_rows.py_func, m.merge.py_func),
        (m.finish_rows.prepare(), m.merge.prepare()),
    ):
        out, both = np.empty((6, columns.WIDTH)), np.empty((6, columns.WIDTH))
        with np.errstate(all="ignore"):
            finish(partial, totals, 1000, slots, centres, out)
            merge(first, second, both)
        found.append(np.where(np.isnan([out, both]), np.nan, [out, both]).tobytes())
    assert found[0] == found[1]
