"""Draws: what is at each address, the distributions and their independence, and how far the tails reach.

False alarms: the seeds are fixed, so none. With fresh seeds, 10⁻⁶ for the module.
The smallest fault the sampled checks could see at 10⁶ draws: a correlation of 0.006, a scale off by 0.6 %.
"""

import math
from collections.abc import Callable, Iterator
from fractions import Fraction

import numpy as np
import pytest
from scipy import stats

from gradstat import distributions
from gradstat.numerics.draws import DY_UNIFORM, NOISE, PILOT, SIGNAL, X_UNIFORM
from tests import kernels, naive

Values = np.ndarray

SEED = 20160328
BATCHES = range(1024)  # 2²⁰ draws
ALPHA = 1e-6 / 150  # this module makes fewer than 150 statistical checks
DISTRIBUTIONS = {
    "normal": stats.norm(),
    "laplace": stats.laplace(scale=math.sqrt(0.5)),
    "uniform": stats.uniform(-math.sqrt(3.0), 2.0 * math.sqrt(3.0)),
    "logistic": stats.logistic(scale=math.sqrt(3.0) / math.pi),
}
EVEN_MOMENTS = {  # E[v²], E[v⁴], E[v⁶], E[v⁸]
    "normal": (1.0, 3.0, 15.0, 105.0),
    "laplace": (1.0, 6.0, 90.0, 2520.0),
    "uniform": (1.0, 9 / 5, 27 / 7, 9.0),
    "logistic": (1.0, 21 / 5, 279 / 7, 3429 / 5),
}
POWERS: dict[str, Callable[[Values], Values]] = {"v": lambda v: v, "v²": np.square, "|v|": np.abs}


def p_of(z: float) -> float:
    """Two-sided p-value of a standard normal."""
    return float(2.0 * stats.norm.sf(abs(z)))


def shape_faults(values: Values, name: str) -> list[str]:
    """What is wrong with draws from a distribution of zero mean and unit variance: raw moments, and its shape."""
    p_values = {"shape": stats.kstest(values, DISTRIBUTIONS[name].cdf, method="asymp").pvalue}
    for order, square in enumerate(EVEN_MOMENTS[name], 1):
        exact = 0.0 if order % 2 else EVEN_MOMENTS[name][order // 2 - 1]
        error = math.sqrt((square - exact**2) / values.size)
        p_values[f"moment {order}"] = p_of((np.mean(values**order) - exact) / error)
    return [check for check, p in p_values.items() if p < ALPHA]


def dependence_faults(a: Values, b: Values) -> list[str]:
    """Which of the values, their squares and their sizes are correlated."""
    z = {name: math.sqrt(a.size) * np.corrcoef(power(a), power(b))[0, 1] for name, power in POWERS.items()}
    return [name for name, value in z.items() if p_of(value) < ALPHA]


# Addresses.


@pytest.mark.parametrize("batch", [0, 7, 2**23 - 1, 2**23, 2**40 + 5])
def test_words_are_those_of_their_draws(batch: int) -> None:
    """Batch 2²³ is where the counter outgrows its lower word."""
    found = kernels.words(SEED, batch, 3, NOISE)
    for lane in (0, 1, 511, 512, 1023):
        assert tuple(found[:, lane]) == naive.words(SEED, 1024 * batch + lane, 3, NOISE)


def test_a_draw_does_not_depend_on_what_is_drawn_with_it() -> None:
    """Draw 2,500 of a run is lane 452 of batch 2, however many draws and slots surround it."""
    x, dy = kernels.signal(SEED, range(5))
    alone, _ = kernels.signal(SEED, range(2, 3))
    assert x[0, 2500] == alone[0, 452]
    high, low = naive.words(SEED, 2500, 0, SIGNAL)
    radius = math.sqrt(-2.0 * math.log(naive.open_uniform(high, low)))
    turn = (low + 0.5) / 2**32 - 0.125
    assert x[0, 2500] == pytest.approx(radius * math.cos(2 * math.pi * turn), rel=1e-13)
    assert dy[0, 2500] == pytest.approx(radius * math.sin(2 * math.pi * turn), rel=1e-13)


@pytest.mark.parametrize(("n_in", "n_out"), [(1, 1), (9, 1), (1, 4), (8, 4), (3, 2)])
def test_the_normals_of_a_draw_go_to_x_and_dy_in_turn(n_in: int, n_out: int) -> None:
    """x[0], dy[0], x[1], dy[1], … as long as both last, then what is left."""
    x, dy = kernels.signal(SEED, range(3, 4), n_in=n_in, n_out=n_out)
    both = min(n_in, n_out)
    order = [row for slot in range(both) for row in (x[slot], dy[slot])] + [*x[both:], *dy[both:]]
    pairs = [kernels.from_words(kernels.words(SEED, 3, pair, SIGNAL))[1:] for pair in range((n_in + n_out + 1) // 2)]
    normals = [normal for pair in pairs for normal in pair]
    assert all(row.tobytes() == normal.tobytes() for row, normal in zip(order, normals, strict=False))


# Uniforms and normals of given words.


def lanes_of(pairs: list[tuple[int, int]]) -> Values:
    """bits[2, 1024] with these (high, low) words in the first lanes."""
    bits = np.zeros((2, 1024), np.uint64)
    bits[:, : len(pairs)] = np.array(pairs, np.uint64).T
    return bits


def test_uniforms_are_exact_and_never_0_or_1() -> None:
    ends = [(0, 0), (2**32 - 1, 2**32 - 1), (0, 1), (0, 2**20), (2**31, 0), (2**31 - 1, 2**20 - 1), (1, 0)]
    pairs = ends + [naive.words(SEED, draw, 0, 0) for draw in range(900)]
    uniforms, _, _ = kernels.from_words(lanes_of(pairs))
    assert [Fraction(u) for u in uniforms[: len(pairs)]] == [naive.open_uniform(*pair) for pair in pairs]
    assert (uniforms[0], uniforms[1]) == (2.0**-53, 1.0 - 2.0**-53)


def test_normals_follow_box_and_muller() -> None:
    mpmath = pytest.importorskip("mpmath")
    pairs = [(0, 0), (2**32 - 1, 2**32 - 1), (0, 2**20 - 1)] + [naive.words(SEED, draw, 1, 0) for draw in range(500)]
    _, cosines, sines = kernels.from_words(lanes_of(pairs))
    with mpmath.workdps(40):
        for (high, low), cosine, sine in zip(pairs, cosines, sines, strict=False):
            u = naive.open_uniform(high, low)
            radius = mpmath.sqrt(-2 * mpmath.log(mpmath.mpf(u.numerator) / u.denominator))
            turn = 2 * mpmath.pi * ((low + mpmath.mpf(1) / 2) / 2**32 - mpmath.mpf(1) / 8)
            assert abs(cosine - radius * mpmath.cos(turn)) < 1e-15 * radius
            assert abs(sine - radius * mpmath.sin(turn)) < 1e-15 * radius


# Distributions and independence.


@pytest.mark.parametrize("name", DISTRIBUTIONS)
def test_x_and_dy_have_their_distribution(name: str) -> None:
    x, dy = kernels.signal(SEED, BATCHES, x=name, dy=name)
    assert shape_faults(x[0], name) == []
    assert shape_faults(dy[0], name) == []
    assert dependence_faults(x[0], dy[0]) == []


def test_every_distribution_is_checked() -> None:
    assert set(DISTRIBUTIONS) == set(EVEN_MOMENTS) == set(distributions.DISTRIBUTIONS)


def test_mean_and_std_of_x() -> None:
    x, _ = kernels.signal(SEED, BATCHES, x="laplace", scale=(-3.0, 0.5))
    assert shape_faults((x[0] + 3.0) / 0.5, "laplace") == []


def test_slots_are_independent() -> None:
    x, dy = kernels.signal(SEED, range(256), n_in=4, n_out=2)
    slots = [*x, *dy]
    for i, first in enumerate(slots):
        for second in slots[:i]:
            assert dependence_faults(first, second) == []


def neighbours() -> Iterator[tuple[str, Values, Values]]:
    """Pairs that must be independent although their addresses are close."""
    (x,), (dy,) = kernels.signal(SEED, BATCHES)
    lanes = x.reshape(-1, 1024)
    yield "halves of one Philox block", lanes[:, :512].ravel(), lanes[:, 512:].ravel()
    yield "consecutive draws", x[:-1], x[1:]
    yield "x and the next dy", x[:-1], dy[1:]
    yield "consecutive seeds", x, kernels.signal(SEED + 1, BATCHES)[0][0]
    yield "seeds 2³² apart", x, kernels.signal(SEED + 2**32, BATCHES)[0][0]
    yield "run and pilot", x, kernels.signal(SEED, BATCHES, stream=PILOT)[0][0]
    yield "x and noise", x, kernels.uniforms(SEED, BATCHES, NOISE)[0] - 0.5
    yield "dy and noise", dy, kernels.uniforms(SEED, BATCHES, NOISE)[0] - 0.5
    yield "x and normal noise", x, kernels.signal(SEED, BATCHES, stream=NOISE)[0][0]


def test_neighbours_are_independent() -> None:
    faults = {what: dependence_faults(first, second) for what, first, second in neighbours()}
    assert {what: names for what, names in faults.items() if names} == {}


def test_streams_never_collide() -> None:
    """The pilot's streams are the run's, moved by more than there are."""
    streams = [SIGNAL, X_UNIFORM, NOISE, DY_UNIFORM]
    assert len({*streams, *(PILOT + stream for stream in streams)}) == 8


# Negative controls.


def test_noise_from_the_stream_of_x_is_caught() -> None:
    (x,), _ = kernels.signal(SEED, BATCHES)
    noise = kernels.uniforms(SEED, BATCHES, SIGNAL)[0] - 0.5
    assert dependence_faults(x, noise) == ["v²", "|v|"]  # the uniform that made the radius


def test_a_seed_used_twice_is_caught() -> None:
    (x,), _ = kernels.signal(SEED, BATCHES)
    (noise,), _ = kernels.signal(SEED, BATCHES)
    assert dependence_faults(x, noise) == ["v", "v²", "|v|"]


def test_dy_of_the_size_of_x_is_caught() -> None:
    (x,), (dy,) = kernels.signal(SEED, BATCHES)
    assert dependence_faults(x, x * np.sign(dy)) == ["v²", "|v|"]


@pytest.mark.parametrize("name", DISTRIBUTIONS)
def test_a_scale_wrong_by_one_percent_is_caught(name: str) -> None:
    x, _ = kernels.signal(SEED, BATCHES, x=name)
    assert "moment 2" in shape_faults(1.01 * x[0], name)


def test_another_distribution_of_the_same_variance_is_caught() -> None:
    x, _ = kernels.signal(SEED, BATCHES, x="logistic")
    assert {"shape", "moment 4"} <= set(shape_faults(x[0], "normal"))
