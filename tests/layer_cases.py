"""Small cases of every layer in the table, found from its record, and the two ways to run a kernel on them."""

import ctypes
from collections.abc import Iterator
from typing import Any

import numpy as np

from gradstat.errors import UsageError
from gradstat.estimation.callbacks import callback_of
from gradstat.layer_types.case import Case
from gradstat.layer_types.record import Layer, Parameter
from gradstat.layer_types.registry import LAYERS
from gradstat.numerics.draws import LANES

Array = np.ndarray[Any, np.dtype[np.float64]]

# Tried for every parameter; its own kind decides which of them it takes.
VALUES: tuple[Any, ...] = (True, False, 0.0, 0.1, 0.5, 1, 2, 3, -0.25, [2, 3])
MANY_SLOTS = 32


def values_of(parameter: Parameter) -> list[Any]:
    """What a parameter can be: the common values and the quoted words of its kind, without its default."""
    return [v for v in (*VALUES, *parameter.domain.choices) if parameter.domain.contains(v) and v != parameter.default]


def small_cases_of(layer: Layer) -> Iterator[Case]:
    """The layer by default, and with one parameter changed; combinations that the layer refuses are left out."""
    changes = [{p.name: value} for p in layer.parameters for value in values_of(p)]
    for given in ({}, *changes):
        case = Case(layer, given)
        try:
            if case.shape.n_in + case.shape.n_out <= MANY_SLOTS:
                yield case
        except UsageError:
            continue


SMALL_CASES = [case for layer in LAYERS.values() for case in small_cases_of(layer)]


def numbers(case: Case, lanes: int, seed: int, ties: bool = False) -> tuple[Array, Array, Array]:
    """Random x, dy and noise [slot, lane]; with `ties`, x are small integers: many are equal and many are 0.

    x is above 0 where the layer makes NaN of negative numbers.
    """
    rng = np.random.default_rng(seed)
    x, dy = rng.standard_normal((case.shape.n_in, lanes)), rng.standard_normal((case.shape.n_out, lanes))
    shape = (case.shape.noise, lanes)
    noise = rng.random(shape) if case.shape.noise_kind == "uniform" else rng.standard_normal(shape)
    x = np.round(x) if ties else 2.0 * x
    if case.layer.name.endswith("_norm"):
        x[0, np.all(x == 0.0, axis=0)] = 1.0  # without eps these divide by the size of x
    return (np.abs(x) + (1.0 if ties else 0.1) if case.layer.negative_input_error(case.params) else x), dy, noise


def run_plain(case: Case, x: Array, dy: Array, noise: Array, poison: float = np.nan) -> tuple[Array, Array]:
    """y and dx of the kernel as plain Python. The outputs hold `poison` before; the inputs are left alone."""
    kernel = case.layer.kernel(case.params)
    if case.layer.elementwise:
        value, slope = kernel(x, *case.constants)
        return value * np.ones_like(x), slope * dy
    y, dx = np.full(dy.shape, poison), np.full(x.shape, poison)
    kernel(np.array(case.constants), x, dy, noise.copy(), y, dx)
    return y, dx


def run_compiled(case: Case, x: Array, dy: Array, noise: Array, poison: float = np.nan) -> tuple[Array, Array]:
    """y and dx of the compiled callback, called by address as the block kernel does."""
    assert x.shape[1] == LANES
    sizes = np.array([x.shape[0], dy.shape[0], noise.shape[0], len(case.constants)], np.int64)
    constants, own_noise = np.array([*case.constants, np.nan]), noise.copy()
    y, dx = np.full(dy.shape, poison), np.full(x.shape, poison)
    function = ctypes.CFUNCTYPE(None, *[ctypes.c_void_p] * 7)(callback_of(case).address)
    function(*(array.ctypes.data for array in (sizes, constants, x, dy, own_noise, y, dx)))
    return y, dx


def grows_exponentially(layer: Layer) -> bool:
    """True if y of an elementwise layer is larger at x = 100 than every power of x that formulas contain."""
    case = Case(layer)
    return bool(layer.kernel(case.params)(100.0, *case.constants)[0] > 1e20)


def name_of(case: Case) -> str:
    """For pytest's ids."""
    return case.label.replace(" ", "")
