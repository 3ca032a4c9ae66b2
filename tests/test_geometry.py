"""Where windows lie: post III's repeated cells and factors, finite maps, adaptive windows, rows, refusals."""

import itertools
from fractions import Fraction
from typing import Any

import pytest

from gradstat.errors import UsageError
from gradstat.layer_types.case import Case
from gradstat.layer_types.record import ALL, BACKWARD, FORWARD
from gradstat.layer_types.registry import find
from gradstat.layer_types.windows import geometry
from tests import naive_windows as naive

# Post III as printed (SERIES.md), and the entries (row, column) of it that are slips: what stands there, what is right.
CELLS: dict[tuple[int, int], tuple[str, dict[tuple[int, int], tuple[int, int]]]] = {
    (3, 2): ("4 2; 2 1", {}),
    (4, 3): ("4 2 2; 2 1 1; 2 1 1", {}),
    (5, 4): ("4 2 2 2; 2 1 1 1; 2 1 1 1; 2 1 1 1", {}),
    (5, 2): ("9 6; 6 4", {}),
    (5, 3): ("4 4 2; 4 4 2; 2 2 1", {}),
    (6, 4): ("4 2 2 4; 2 1 1 2; 2 1 1 2; 2 2 2 4", {(3, 0): (2, 4)}),
}
FACTORS: dict[tuple[int, int], tuple[str, dict[tuple[int, int], tuple[Fraction, Fraction]]]] = {
    (3, 1): ("1/9 1/9 1/9; 1/9 1/9 1/9; 1/9 1/9 1/9", {}),
    (3, 2): ("1/4 1/2 1/4; 1/2 1 1/2; 1/4 1/2 1/4", {}),
    (3, 3): ("1 1 1; 1 1 1; 1 1 1", {}),
    (4, 2): ("1/4 1/4 1/4 1/4; 1/4 1/4 1/4 1/4; 1/4 1/4 1/4 1/4; 1/4 1/4 1/4 1/4", {}),
    (4, 3): (
        "1/4 1/2 1/2 1/4; 1/2 1 1 1/2; 1/2 1 1 1/2; 1/2 1/2 1/2 1/4",
        {(3, 0): (Fraction(1, 2), Fraction(1, 4))},
    ),
}


def matrix(text: str) -> dict[tuple[int, int], Fraction]:
    rows = [[Fraction(entry) for entry in row.split()] for row in text.split(";")]
    return {(i, j): value for i, row in enumerate(rows) for j, value in enumerate(row)}


def rolled(cell: dict[tuple[int, int], Fraction], size: int) -> list[dict[tuple[int, int], Fraction]]:
    """The same repeated cell, cut from the map at each of its positions."""
    shifts = list(itertools.product(range(size), repeat=2))
    return [{(i, j): cell[(i + a) % size, (j + b) % size] for i, j in cell} for a, b in shifts]


@pytest.mark.parametrize(("w", "s"), CELLS)
@pytest.mark.parametrize("name", ["max_pool2d", "avg_pool2d", "lp_pool2d", "conv2d"])
def test_repeated_cells_of_post_iii(name: str, w: int, s: int) -> None:
    """Five of the six are right; 6×6 with stride 4 has one slip, wherever its cell is cut from the map."""
    rows = Case(find(name), {"kernel_size": w, "stride": s}).shape.rows
    counts = {row.cell: row.windows for row in rows if row.direction == BACKWARD}
    pooled = counts.pop(ALL)
    ours = {(i, j): Fraction(counts[f"({i}, {j})"] or 0) for i, j in itertools.product(range(s), repeat=2)}
    text, slips = CELLS[w, s]
    printed = matrix(text)
    distances = [sum(printed[at] != cut[at] for at in cut) for cut in rolled(ours, s)]
    assert min(distances) == len(slips)
    closest = rolled(ours, s)[distances.index(min(distances))]
    wrong: dict[tuple[int, int], object] = {
        at: (printed[at], closest[at]) for at in printed if printed[at] != closest[at]
    }
    assert wrong == slips
    assert len(counts) == s * s
    assert sum(ours.values()) == w * w
    assert pooled == pytest.approx(w * w / s**2, rel=1e-15)


@pytest.mark.parametrize(("w", "s"), FACTORS)
def test_per_tap_factors_of_post_iii(w: int, s: int) -> None:
    """1 over the number of windows on the input that a tap reads; 4×4 with stride 3 has one slip."""
    counts = geometry.tap_windows((w, w), (s, s), (1, 1))
    ours = {(i, j): Fraction(1, counts[i * w + j]) for i, j in itertools.product(range(w), repeat=2)}
    text, slips = FACTORS[w, s]
    printed = matrix(text)
    assert {at: (printed[at], ours[at]) for at in ours if printed[at] != ours[at]} == slips


@pytest.mark.parametrize("kernel", [1, 2, 3, 4, 5])
@pytest.mark.parametrize("stride", [1, 2, 3, 4, 6])
@pytest.mark.parametrize("dilation", [1, 2, 3])
@pytest.mark.parametrize("every", [False, True])
def test_the_patch_shows_one_cell_to_every_window(kernel: int, stride: int, dilation: int, every: bool) -> None:
    axis = geometry.unbounded(kernel, stride, dilation, every)
    counts = axis.counts
    assert [counts[at] for at in axis.cell] == naive.coverage(kernel, stride, dilation, stride)
    assert len(axis.cell) == stride
    assert all(0 <= position < axis.length for taps in axis.windows for position in taps)
    ends = {position for taps in axis.windows for position in (taps[0], taps[-1])} | {axis.cell[0], axis.cell[-1]}
    assert (min(ends), max(ends)) == (0, axis.length - 1)  # no smaller patch
    touching = [any(position in axis.cell for position in taps) for taps in axis.windows]
    assert all(touching) or every
    begins = [taps[0] for taps in axis.windows]
    assert not every or begins == list(range(0, begins[-1] + 1, stride))


@pytest.mark.parametrize("size", range(1, 12))
@pytest.mark.parametrize(("kernel", "dilation"), [(1, 1), (2, 1), (3, 1), (4, 1), (2, 3), (3, 2)])
@pytest.mark.parametrize("stride", [1, 2, 3, 5])
@pytest.mark.parametrize("ceil_mode", [False, True])
def test_finite_maps(size: int, kernel: int, dilation: int, stride: int, ceil_mode: bool) -> None:
    for padding in range(((kernel - 1) * dilation + 1) // 2 + 1):
        starts = naive.starts(size, kernel, stride, padding, dilation, ceil_mode)
        expected = [[start + tap * dilation for tap in range(kernel)] for start in starts]
        seen = [[at if 0 <= at < size else geometry.PADDING for at in taps] for taps in expected]
        if not starts or any(set(taps) == {geometry.PADDING} for taps in seen):
            with pytest.raises(UsageError):
                geometry.bounded(size, kernel, stride, dilation, padding, ceil_mode)
            continue
        axis = geometry.bounded(size, kernel, stride, dilation, padding, ceil_mode)
        assert [list(taps) for taps in axis.windows] == seen


def test_adaptive_windows() -> None:
    """Seven positions into three: 0 1 2, 2 3 4, 4 5 6; into one: all; three into four: some twice."""
    assert geometry.adaptive(7, 3).windows == ((0, 1, 2), (2, 3, 4), (4, 5, 6))
    assert geometry.adaptive(4, 1).windows == ((0, 1, 2, 3),)
    assert geometry.adaptive(3, 4).windows == ((0,), (0, 1), (1, 2), (2,))


def test_one_window_that_reads_everything_needs_no_cells() -> None:
    for name, given in (("max_pool2d", {}), ("avg_pool3d", {"stride": 2}), ("global_max_pool2d", {"size": [3, 5]})):
        rows = Case(find(name), given).shape.rows
        assert [(row.direction, row.cell) for row in rows] == [(FORWARD, ALL), (BACKWARD, ALL)]
        assert rows[1].windows == 1.0


def test_gaps_are_cells_in_no_window() -> None:
    rows = Case(find("avg_pool1d"), {"kernel_size": 2, "stride": 3}).shape.rows
    assert [(row.cell, row.windows) for row in rows[1:]] == [(ALL, 2 / 3), ("(0)", 1.0), ("(1)", 1.0), ("(2)", 0.0)]


def test_a_finite_map_shows_its_border() -> None:
    shape = Case(find("max_pool1d"), {"kernel_size": 3, "stride": 1, "padding": 1, "size": 4}).shape
    assert [row.cell for row in shape.rows] == [ALL, "(0)", "(1)", "(2)", "(3)"] * 2
    assert [row.windows for row in shape.rows[5:]] == [2.5, 2.0, 3.0, 3.0, 2.0]


def test_many_cells_are_only_pooled() -> None:
    rows = Case(find("avg_pool2d"), {"kernel_size": 2, "stride": 9}).shape.rows
    assert [row.cell for row in rows] == [ALL, ALL]


def test_channels_come_first() -> None:
    shape = Case(find("conv1d"), {"in_channels": 2, "out_channels": 3, "kernel_size": 3, "stride": 2}).shape
    assert (shape.n_in, shape.n_out, shape.noise, shape.grid) == (10, 6, 18, (5,))
    assert [(row.direction, row.cell, row.slots, row.windows) for row in shape.rows] == [
        (FORWARD, ALL, (0, 1, 2, 3, 4, 5), None),
        (BACKWARD, ALL, (2, 3, 7, 8), 1.5),
        (BACKWARD, "(0)", (2, 7), 2.0),
        (BACKWARD, "(1)", (3, 8), 1.0),
    ]


@pytest.mark.parametrize(
    ("name", "given", "words"),
    [
        ("max_pool2d", {"padding": 1}, "give its size"),
        ("avg_pool2d", {"ceil_mode": True}, "give its size"),
        ("max_pool2d", {"size": 8, "padding": 2}, "padding = 2 is more than half"),
        ("max_pool1d", {"size": 2, "kernel_size": 3}, "size = 2"),
        (
            "max_pool1d",
            {"size": 1, "kernel_size": 2, "dilation": 3, "padding": 2, "stride": 9},
            "contains only padding",
        ),
        ("max_pool3d", {"kernel_size": 64}, "262144 inputs"),
        ("max_pool2d", {"kernel_size": 20, "stride": 1}, "160000 taps; at most"),
        ("max_pool2d", {"kernel_size": [2, 2, 2]}, "kernel_size = [2, 2, 2]"),
        ("max_pool1d", {"dilation": 0}, "dilation = 0"),
        ("avg_pool2d", {"per_tap": "all"}, "per_tap = 'all'"),
        ("lp_pool2d", {"norm_type": 0.0}, "norm_type = 0.0"),
        ("adaptive_avg_pool2d", {"size": None}, "size = None"),
        ("conv2d", {"groups": 2, "in_channels": 3}, "groups = 2 does not divide 3 and 2 channels"),
        ("conv2d", {"padding": 1}, "give its size"),
        ("conv2d", {"size": 2, "kernel_size": 3}, "size = 2 with padding = 0 is too small for a window of 3"),
        ("conv_transpose1d", {"size": 1, "kernel_size": 3, "padding": 2}, "size = 1 with padding = 2 leaves no output"),
        ("conv2d", {"in_channels": 16384, "size": 9}, "1327104 inputs or outputs"),
    ],
)
def test_what_has_no_room_says_so(name: str, given: dict[str, Any], words: str) -> None:
    with pytest.raises(UsageError) as raised:
        _ = Case(find(name), given).shape
    assert words in str(raised.value)
    assert "\n" not in str(raised.value)
