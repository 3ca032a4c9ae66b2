"""The same work in other libraries: two normals per draw, the layer, mean and std of both directions."""

import importlib.util
from collections.abc import Callable
from typing import Any

import numpy as np

from tests.bench.spelled import SPELLED, Layer, max_pool
from tests.bench.timing import Work

DRAWS = 2**20
NORMALS = 2**14  # of MKL at once: 128 kB, where it is fastest
WINDOWS = 2**17


def installed(name: str) -> bool:
    """True where the library can be imported."""
    return importlib.util.find_spec(name) is not None


def statistics_of(y: Any, dx: Any) -> None:
    """Mean and std of both."""
    y.mean(), y.std(), dx.mean(), dx.std()


def numpy_spelling(name: str) -> Work:
    """Two standard_normal, the formula, mean and std."""
    rng, layer = np.random.default_rng(1), SPELLED[name]
    return lambda: statistics_of(*layer(rng.standard_normal(DRAWS), rng.standard_normal(DRAWS))), DRAWS


def numpy_on_draws(layer: Layer, draws: int = 2**18) -> Work:
    """The formula, mean and std, on x and dy that are there already and stay in the cache."""
    x, dy = np.random.default_rng(1).standard_normal((2, draws))
    return lambda: statistics_of(*layer(x, dy)), draws


def numpy_max_pool() -> Work:
    """3×3 windows without overlap: nine x and one dy each."""
    rng = np.random.default_rng(1)
    return (
        lambda: statistics_of(*max_pool(rng.standard_normal((WINDOWS, 9)), rng.standard_normal(WINDOWS))),
        WINDOWS,
    )


def mkl_normals() -> Work:
    """Two arrays of normals by MKL's fastest generator and method, and nothing else."""
    import mkl_random

    rng = mkl_random.MKLRandomState(1, brng="SFMT19937")

    def work() -> None:
        for _ in range(DRAWS // NORMALS):
            rng.standard_normal(NORMALS, method="ICDF"), rng.standard_normal(NORMALS, method="ICDF")

    return work, DRAWS


def jax_jit(name: str, kind: str) -> Work:
    """One compiled function on the CPU: random normals, jax.nn's layer, its vjp, mean and std."""
    import jax

    jax.config.update("jax_enable_x64", True)
    layer: Callable[..., Any] = getattr(jax.nn, name)

    @jax.jit
    def work(key: Any) -> Any:
        for_x, for_dy = jax.random.split(key)
        y, back = jax.vjp(layer, jax.random.normal(for_x, (DRAWS,), kind))
        (dx,) = back(jax.random.normal(for_dy, (DRAWS,), kind))
        return y.mean(), y.std(), dx.mean(), dx.std()

    key = jax.random.key(1)
    return lambda: jax.block_until_ready(work(key)), DRAWS


def torch_autograd(name: str, kind: str) -> Work:
    """torch.randn, the layer, backward, mean and std."""
    import torch

    torch.set_num_threads(1)
    dtype, layer = getattr(torch, kind), getattr(torch, name)

    def work() -> None:
        x = torch.randn(DRAWS, dtype=dtype, requires_grad=True)
        y = layer(x)
        y.backward(torch.randn(DRAWS, dtype=dtype))
        statistics_of(y.detach(), x.grad)

    return work, DRAWS
