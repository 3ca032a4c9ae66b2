"""The kernels' elementary functions against mpmath, in ulp, and against themselves on a CPU without AVX2 and FMA."""

import hashlib
import os
import subprocess
import sys
from collections.abc import Callable
from functools import cache
from typing import Any

import mpmath
import numpy as np
import pytest
from numba import types

from gradstat.numerics import elementary
from gradstat.numerics import kernel_math as lowering
from gradstat.numerics.jit import compiled, inline
from tests import kernels

Array = np.ndarray[Any, np.dtype[Any]]
FLOATS = types.float64[::1]
SMALLEST_NORMAL = 2.0**-1022
POINTS = 500  # per piece of the domain: mpmath takes some 20 µs a point


def unary(function: Callable[..., Any]) -> Callable[[Array], Array]:
    """x[] → function(x[]), compiled."""

    @compiled(types.void(FLOATS, FLOATS))
    def loop(x, y):  # type: ignore[no-untyped-def]
        for lane in range(x.size):
            y[lane] = function(x[lane])

    def call(x: Array) -> Array:
        x = np.ascontiguousarray(x, dtype=np.float64)
        y = np.empty_like(x)
        loop(x, y)
        return y

    return call


def binary(function: Callable[..., Any]) -> Callable[[Array, Array], Array]:
    """(a[], b[]) → function(a[], b[]), compiled."""

    @compiled(types.void(FLOATS, FLOATS, FLOATS))
    def loop(a, b, y):  # type: ignore[no-untyped-def]
        for lane in range(a.size):
            y[lane] = function(a[lane], b[lane])

    def call(a: Array, b: Array) -> Array:
        y = np.empty(len(a))
        loop(np.asarray(a, dtype=np.float64), np.asarray(b, dtype=np.float64), y)
        return y

    return call


@cache
def kernel(name: str) -> Callable[..., Array]:
    """The compiled loop over one name of `elementary` (or of `lowering`)."""
    function = getattr(elementary, name, None) or getattr(lowering, name)
    return (binary if name in ("power", "minimum", "maximum") else unary)(function)


def ulps(found: Array, wanted: list[Any]) -> Array:
    """|found − wanted| in units of the last place of `wanted`; results below 2⁻¹⁰²² may be 0."""
    errors = []
    for value, exact in zip(found, wanted, strict=True):
        nearest = abs(float(exact))
        if nearest < SMALLEST_NORMAL:
            errors.append(0.0 if abs(value) <= 2.0 * SMALLEST_NORMAL else np.inf)
        else:
            errors.append(float(abs(mpmath.mpf(float(value)) - exact) / mpmath.mpf(float(np.spacing(nearest)))))
    return np.array(errors)


def spread(low: float, high: float) -> Array:
    """Half a grid with both ends, half at random."""
    generator = np.random.default_rng(20160328)
    return np.concatenate([np.linspace(low, high, POINTS // 2), generator.uniform(low, high, POINTS // 2)])


def tiny(largest: float = 1.0) -> Array:
    """±10⁻³⁰⁰ … ±`largest`, evenly in the logarithm."""
    size = 10.0 ** np.linspace(-300.0, np.log10(largest), POINTS)
    size[1::2] *= -1.0
    return size


def borders(step: float, count: int) -> Array:
    """Two neighbours on each side of every (k + ½)·step and k·step, |k| ≤ count: where reductions change k."""
    points = np.arange(-2 * count, 2 * count + 1) * (0.5 * step)
    below, above = np.nextafter(points, -np.inf), np.nextafter(points, np.inf)
    return np.concatenate([np.nextafter(below, -np.inf), below, points, above, np.nextafter(above, np.inf)])


LN2 = float(np.log(2.0))
HALF_PI = np.pi / 2.0
GENERATOR = np.random.default_rng(7)
FAR_ANGLES = np.round(GENERATOR.uniform(-63000, 63000, POINTS)) * HALF_PI  # next to zeros of sin and cos

# name: (exact value, largest ulp, pieces of the domain)
ACCURACY: dict[str, tuple[Callable[[Any], Any], float, list[Array]]] = {
    "exp": (mpmath.exp, 1.0, [spread(-708.39, 709.78), spread(-2.0, 2.0), tiny(), borders(LN2, 20)]),
    "expm1": (mpmath.expm1, 2.5, [spread(-40.0, 709.78), spread(-0.5, 0.5), tiny(), borders(LN2, 20)]),
    "log": (mpmath.log, 1.0, [10.0 ** spread(-307.6, 308.2), spread(1e-9, 2.0), 1.0 + tiny(0.01)]),
    "log1p": (mpmath.log1p, 1.0, [spread(-0.9999, 2.0), 0.5 * tiny(), 10.0 ** spread(0.0, 308.2)]),
    "sqrt": (mpmath.sqrt, 0.5, [10.0 ** spread(-307.6, 308.2), spread(0.0, 4.0)]),
    "tanh": (mpmath.tanh, 3.0, [spread(-25.0, 25.0), spread(-1.0, 1.0), tiny(), borders(LN2 / 2.0, 20)]),
    "sigmoid": (
        lambda x: 1 / (1 + mpmath.exp(-x)),
        3.0,
        [spread(-708.0, 45.0), spread(-3.0, 3.0), tiny(), borders(LN2, 20)],
    ),
    "erf": (mpmath.erf, 3.5, [spread(-6.5, 6.5), spread(-1.0, 1.0), spread(-0.1, 0.1), tiny()]),
    "erfc": (mpmath.erfc, 6.5, [spread(-6.5, 26.5), spread(-1.0, 2.0), spread(-0.1, 0.1), tiny()]),
    "sin": (mpmath.sin, 2.5, [spread(-1e5, 1e5), spread(-4.0, 4.0), tiny(), borders(HALF_PI / 2, 20), FAR_ANGLES]),
    "cos": (mpmath.cos, 2.5, [spread(-1e5, 1e5), spread(-4.0, 4.0), tiny(), borders(HALF_PI / 2, 20), FAR_ANGLES]),
    "atan": (mpmath.atan, 2.0, [spread(-4.0, 4.0), spread(-1.0, 1.0), tiny(), 1.0 / tiny()]),
    "asinh": (mpmath.asinh, 2.0, [spread(-4.0, 4.0), spread(-1.0, 1.0), tiny(), 1.0 / tiny()]),
}


@pytest.fixture(autouse=True)
def _digits() -> Any:
    with mpmath.workdps(40):
        yield


@pytest.mark.parametrize("name", ACCURACY)
def test_accuracy(name: str) -> None:
    exact, bound, pieces = ACCURACY[name]
    x = np.concatenate(pieces)
    errors = ulps(kernel(name)(x), [exact(mpmath.mpf(float(v))) for v in x])
    worst = int(errors.argmax())
    assert errors[worst] <= bound, f"{name}({x[worst]!r}) is {errors[worst]:.2f} ulp off"


@pytest.mark.parametrize("name", ACCURACY)
def test_facade_agrees_with_the_kernel(name: str) -> None:
    x = np.concatenate(ACCURACY[name][2][1:3])
    if name in ("log", "sqrt"):
        x = np.abs(x)
    with np.errstate(over="raise", invalid="raise", divide="raise"):
        facade = getattr(elementary, name)
        np.testing.assert_allclose(kernel(name)(x), facade(x), rtol=2e-15, atol=SMALLEST_NORMAL)
        assert facade(float(x[3])) == facade(x)[3]


@pytest.mark.parametrize(
    ("low", "high", "largest", "bound"),
    [(0.0, 10.0, 4.0, 1.5), (0.0, 1e4, 4.0, 1.5), (0.01, 10.0, 100.0, 8.0), (0.5, 2.0, 900.0, 80.0)],
)
def test_accuracy_of_power(low: float, high: float, largest: float, bound: float) -> None:
    x, p = spread(low + 1e-12, high), np.random.default_rng(3).uniform(-largest, largest, POINTS)
    exact = [mpmath.mpf(float(a)) ** mpmath.mpf(float(b)) for a, b in zip(x, p, strict=True)]
    assert ulps(kernel("power")(x, p), exact).max() <= bound


def test_special_values_of_power() -> None:
    inf, nan = np.inf, np.nan
    x = np.array([0.0, 0.0, 0.0, inf, inf, inf, 1.0, 3.0, 2.0, 2.0, nan])
    p = np.array([2.0, 0.0, -1.0, 2.0, 0.0, -1.0, 1e9, 1.0, 1024.0, -1100.0, 2.0])
    wanted = np.array([0.0, 1.0, inf, inf, 1.0, 0.0, 1.0, 3.0, inf, 0.0, nan])
    np.testing.assert_array_equal(kernel("power")(x, p), wanted)


def test_turns_of_a_circle() -> None:
    near_axes = [(k << 29) + d for k in range(9) for d in range(-20, 20)]
    random = np.random.default_rng(5).integers(0, 2**32, 3000).tolist()
    a = np.array([v for v in near_axes + random if 0 <= v < 2**32], dtype=np.uint64)
    cosine, sine = kernels.turns(a)
    angles = [2 * mpmath.pi * ((int(v) + mpmath.mpf("0.5")) / 2**32 - mpmath.mpf("0.125")) for v in a]
    assert ulps(cosine, [mpmath.cos(angle) for angle in angles]).max() <= 2.5
    assert ulps(sine, [mpmath.sin(angle) for angle in angles]).max() <= 2.5


INF, NAN = np.inf, np.nan
SPECIAL = {
    "exp": [(0.0, 1.0), (INF, INF), (-INF, 0.0), (709.79, INF), (1e300, INF), (-708.4, 0.0), (-1e300, 0.0)],
    "expm1": [(0.0, 0.0), (INF, INF), (-INF, -1.0), (709.79, INF), (-50.0, -1.0)],
    "log": [(1.0, 0.0), (INF, INF), (0.0, -INF), (-1.0, NAN)],
    "log_positive": [(1.0, 0.0)],
    "log1p": [(0.0, 0.0), (INF, INF), (-1.0, -INF), (-2.0, NAN)],
    "sqrt": [(0.0, 0.0), (INF, INF), (-1.0, NAN)],
    "tanh": [(0.0, 0.0), (INF, 1.0), (-INF, -1.0), (20.0, 1.0), (-1e300, -1.0)],
    "sigmoid": [(0.0, 0.5), (INF, 1.0), (-INF, 0.0), (40.0, 1.0), (1e300, 1.0), (-1e300, 0.0)],
    "erf": [(0.0, 0.0), (INF, 1.0), (-INF, -1.0), (6.0, 1.0), (-1e300, -1.0)],
    "erfc": [(0.0, 1.0), (INF, 0.0), (-INF, 2.0), (30.0, 0.0), (-1e300, 2.0)],
    "sin": [(0.0, 0.0), (INF, NAN)],
    "cos": [(0.0, 1.0), (-INF, NAN)],
    "atan": [(0.0, 0.0), (INF, np.pi / 2.0), (-INF, -np.pi / 2.0), (1.0, np.pi / 4.0)],
    "asinh": [(0.0, 0.0), (INF, INF), (-INF, -INF)],
    "absolute": [(-2.0, 2.0), (-INF, INF)],
    "sign": [(-2.0, -1.0), (0.0, 0.0), (-0.0, 0.0), (INF, 1.0)],
    "floor": [(-0.5, -1.0), (2.0**53 + 2.0, 2.0**53 + 2.0), (1.75, 1.0), (-INF, -INF)],
}


@pytest.mark.parametrize("name", SPECIAL)
def test_special_values(name: str) -> None:
    x, wanted = np.array(SPECIAL[name]).T
    np.testing.assert_array_equal(kernel(name)(x), wanted)
    if name != "log_positive":
        assert np.isnan(kernel(name)(np.array([NAN]))[0])
        with np.errstate(all="ignore"):
            np.testing.assert_allclose(getattr(elementary, name)(x), wanted, atol=1e-307)


def test_minimum_and_maximum() -> None:
    a, b = np.array([1.0, 2.0, NAN, 1.0, -INF]), np.array([2.0, 1.0, 1.0, NAN, INF])
    for name in ("minimum", "maximum"):
        np.testing.assert_array_equal(kernel(name)(a, b), getattr(elementary, name)(a, b))


def test_where_selects() -> None:
    @inline
    def heaviside(x: float) -> Any:
        return elementary.where(x > 0.0, 1.0, 0.0)

    np.testing.assert_array_equal(unary(heaviside)(np.array([-1.0, 0.0, 2.0, NAN])), [0.0, 0.0, 1.0, 0.0])


def fingerprint() -> str:
    """A digest of every function's bits at 10⁵ points."""
    digest = hashlib.sha256()
    generator = np.random.default_rng(11)
    x = np.concatenate([generator.standard_normal(70_000) * 3.0, generator.uniform(-700.0, 700.0, 30_000)])
    for name in SPECIAL:
        digest.update(kernel(name)(np.abs(x) if name in ("log", "log_positive", "sqrt", "log1p") else x).tobytes())
    for name in ("power", "minimum", "maximum"):
        digest.update(kernel(name)(np.abs(x), x[::-1].copy()).tobytes())
    cosine, sine = kernels.turns(generator.integers(0, 2**32, x.size, dtype=np.uint64))
    digest.update(cosine.tobytes() + sine.tobytes())
    return digest.hexdigest()


def test_same_bits_without_avx2_and_fma() -> None:
    environment = {**os.environ, "NUMBA_CPU_NAME": "generic", "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, __file__]
    generic = subprocess.run(command, env=environment, check=True, capture_output=True, text=True)
    assert generic.stdout.strip() == fingerprint()


if __name__ == "__main__":
    print(fingerprint())
