"""How far the normals reach, and what stopping there does to moments: bounds by calculation, nothing sampled.

A normal is r cos θ with r = √(−2 ln u), u the middle of one of N = 2⁵² cells of (0, 1). Averaging g over the middles
instead of the interval errs by at most V/2N, V the total variation of g over the cells (each half cell contributes at
most half its own variation times its width); the outermost cell, where g may be unbounded, is taken apart.
"""

import math
from collections.abc import Callable

import numpy as np
import pytest
from scipy import integrate, special

from gradstat.layer_types.case import Case
from gradstat.layer_types.record import FORWARD
from gradstat.layer_types.registry import LAYERS
from tests import kernels
from tests.layer_cases import grows_exponentially

Function = Callable[[np.ndarray], np.ndarray]

N = 2.0**52
REACH = math.sqrt(2.0 * 53.0 * math.log(2.0))  # r at the middle of the outermost cell
EDGE = math.sqrt(2.0 * 52.0 * math.log(2.0))  # r where it ends
PROMISE = 1e-9
RADII = np.linspace(0.0, EDGE, 100_001)
ELEMENTWISE = [name for name, layer in LAYERS.items() if layer.elementwise and not grows_exponentially(layer)]


def beyond(g: Function) -> float:
    """∫ g(r) r e^(−r²/2) dr from EDGE on: the exact share of the outermost cell."""
    value, _ = integrate.quad(lambda r: float(g(np.array([r]))[0]) * r * math.exp(-r * r / 2.0), EDGE, EDGE + 20.0)
    return float(value)


def bias_bound(g: Function, variation: float) -> float:
    """Bound on |E over the cells' middles − E| of a g ≥ 0 with this variation over r in [0, EDGE]."""
    outermost = float(g(np.array([REACH]))[0]) / N
    return max(beyond(g), outermost) + variation / (2.0 * N)


def variation_of(g: Function) -> float:
    """Total variation over r in [0, EDGE]."""
    return float(np.abs(np.diff(g(RADII))).sum())


def test_the_largest_normal() -> None:
    bits = np.zeros((2, 1024), np.uint64)
    bits[1] = 2**29  # the low 20 bits, which are the radius's too, are 0; the angle is 2⁻³³ of a turn
    _, first, second = kernels.from_words(bits)
    assert REACH > 8.57
    assert math.hypot(first[0], second[0]) == pytest.approx(REACH, rel=1e-15)
    assert first[0] == pytest.approx(REACH, rel=1e-15)


@pytest.mark.parametrize(("sigmas", "tolerance"), [(7.0, 1e-6), (7.5, 1e-4), (8.0, 2e-3)])
def test_values_beyond_8_sigma_come_with_the_right_probability(sigmas: float, tolerance: float) -> None:
    """The cells beyond are counted one by one: 57 of them at 8 σ."""
    cells = np.arange(math.ceil(N * math.exp(-(sigmas**2) / 2.0)) + 1.0) + 0.5
    radii = np.sqrt(-2.0 * np.log(cells / N))
    radii = radii[radii > sigmas]
    share_of_angles = 2.0 / math.pi * np.arccos(sigmas / radii)
    assert share_of_angles.sum() / N == pytest.approx(special.erfc(sigmas / math.sqrt(2.0)), rel=tolerance)


def test_radius_squared_to_the_last_digit() -> None:
    """Σ ln(k + ½) = ln Γ(N + ½) − ln Γ(½): E[r²] = 2 − ln 2/N, so E[x²] is too small by 8·10⁻¹⁷."""
    mpmath = pytest.importorskip("mpmath")
    with mpmath.workdps(60):
        n = mpmath.mpf(2) ** 52
        half = mpmath.mpf(1) / 2
        mean = 2 * mpmath.log(n) - 2 / n * (mpmath.loggamma(n + half) - mpmath.loggamma(half))
        bias = mean / 2 - 1
        assert mpmath.almosteq(bias, -mpmath.log(2) / (2 * n), rel_eps=1e-12)
    assert abs(bias) < 1e-16
    assert abs(bias) < bias_bound(np.square, EDGE**2) / 2.0


@pytest.mark.parametrize("power", [2, 4, 6, 8])
def test_even_moments(power: int) -> None:
    exact = 2.0 ** (power / 2) * math.factorial(power // 2)  # of r; those of x are the same multiple of both
    assert bias_bound(lambda r: r**power, EDGE**power) / exact < PROMISE


@pytest.mark.parametrize("power", [1, 2, 4])
def test_moments_of_laplace(power: int) -> None:
    """x = −ln(2u)/√2 for u < ½: N/2 cells on either side, out to 25 σ."""
    edge = math.log(N / 2.0) / math.sqrt(2.0)
    exact = math.factorial(power) / 2.0 ** (power / 2)
    outermost, _ = integrate.quad(lambda x: x**power * math.sqrt(2.0) * math.exp(-math.sqrt(2.0) * x), edge, math.inf)
    largest = (edge + math.log(2.0) / math.sqrt(2.0)) ** power / (N / 2.0)
    assert (max(outermost, largest) + edge**power / N) / exact < PROMISE


@pytest.mark.parametrize("power", range(1, 9))
def test_the_low_bits_that_radius_and_angle_share(power: int) -> None:
    """Given u, the angle has 12 free bits: 4096 directions, turned as a whole by the shared bits.

    Their mean of |cos|ᵖ differs from the circle's by e(turn), which averages to nothing over the turns; the radius
    varies by V while they go round once in 2³² cells. So the bias is at most e·2⁻³²·V.
    """
    directions = 2.0 * math.pi * np.arange(4096) / 4096
    turns = 2.0 * math.pi / 4096 * np.linspace(0.0, 1.0, 65)
    exact = special.beta((power + 1) / 2, 0.5) / math.pi
    error = max(abs(np.mean(np.abs(np.cos(directions + turn)) ** power) - exact) for turn in turns)
    moment = 2.0 ** (power / 2) * special.gamma(power / 2 + 1) * exact
    assert error * 2.0**-32 * REACH**power / moment < PROMISE
    if power % 2 == 0:
        assert error < 1e-14


def bound_of_second_moment(case: Case, direction: str) -> float:
    """Of y² = f(x)² or dx² = f′(x)²·dy², at any angle, with |x| and |dy| at most r."""
    kernel = case.layer.kernel(case.params)

    def square(x: np.ndarray) -> np.ndarray:
        return np.asarray(np.square(np.broadcast_to(kernel(x, *case.constants)[direction != FORWARD], x.shape)))

    def largest(r: np.ndarray) -> np.ndarray:
        return np.array([max(square(end * np.linspace(-1.0, 1.0, 2001))) for end in r])

    variation = max(variation_of(square), variation_of(lambda r: square(-r)))
    if direction == FORWARD:
        return bias_bound(largest, variation)
    return bias_bound(lambda r: r * r * largest(r), EDGE**2 * (variation + 2.0 * largest(np.array([EDGE]))[0]))


@pytest.mark.parametrize("name", ELEMENTWISE)
def test_second_moments_of_layers_of_polynomial_growth(name: str) -> None:
    case = Case(LAYERS[name])
    for row in case.shape.rows:
        exact = case.exact(row)
        assert exact is not None
        assert bound_of_second_moment(case, row.direction) <= PROMISE * (exact.var + exact.mean**2), row.direction


@pytest.mark.parametrize("kernel_size", [2, 3])
def test_second_moment_of_max_pooling(kernel_size: int) -> None:
    """One input after another: y = max(x, M) where M², the rest's, is at most the sum of their squares.

    The second moments of the other windows and of `linear` are multiples of E[x²], since signs are symmetric.
    """
    case = Case(LAYERS["max_pool2d"], {"kernel_size": kernel_size})
    inputs = kernel_size**2
    for_one = bias_bound(lambda r: r**2 + inputs, 2.0 * (EDGE**2 + inputs))
    for row in case.shape.rows:
        exact = case.exact(row)
        assert exact is not None
        assert inputs * for_one / (exact.var + exact.mean**2) < PROMISE


def test_what_is_lost_of_exponential_growth() -> None:
    """The second moment of e^x, E[e^2x], is still right to 10⁻⁹; the fourth, behind the error of its std, to 10⁻⁵.

    Over the angles, e^(λx) is I₀(λr).
    """

    def lost(rate: float) -> float:
        return bias_bound(lambda r: special.i0(rate * r), float(special.i0(rate * EDGE))) / math.exp(rate**2 / 2.0)

    assert lost(2.0) < PROMISE
    assert PROMISE < lost(4.0) < 1e-5


def test_a_sampler_of_32_bits_is_caught() -> None:
    """Negative control: with 2³² cells the radius ends at 6.66, and the fourth moment of r lacks more than promised."""
    cells = 2.0**32
    edge = math.sqrt(2.0 * 32.0 * math.log(2.0))
    beyond_edge = math.exp(-(edge**2) / 2.0) * (edge**4 + 4.0 * edge**2 + 8.0)
    outermost = (2.0 * 33.0 * math.log(2.0)) ** 2 / cells
    assert edge < 8.0
    assert (beyond_edge - outermost) / 8.0 > PROMISE
