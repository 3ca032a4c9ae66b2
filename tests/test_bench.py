"""The benchmark's NumPy spellings compute what gradstat's layers compute."""

import numpy as np
import pytest

from gradstat.layer_types.case import Case
from gradstat.layer_types.registry import LAYERS
from tests.bench.spelled import SPELLED, max_pool

X, DY = np.random.default_rng(20160328).standard_normal((2, 1000)) * [[2.0], [1.0]]


@pytest.mark.parametrize("name", SPELLED)
def test_spelled_as_the_layer(name: str) -> None:
    case = Case(LAYERS[name])
    y, slope = case.layer.kernel(case.params)(X, *case.constants)
    found = SPELLED[name](X, DY)
    np.testing.assert_allclose(found[0], y, rtol=1e-12, atol=1e-13)
    np.testing.assert_allclose(found[1], DY * slope, rtol=1e-11, atol=1e-12)


def test_another_layer_is_caught() -> None:
    """Negative control."""
    assert not np.allclose(SPELLED["mish"](X, DY)[0], SPELLED["silu"](X, DY)[0], rtol=1e-3)


def test_max_pooling() -> None:
    x, dy = X[:900].reshape(100, 9), DY[:100]
    y, dx = max_pool(x, dy)
    assert (y[:, 0] == x.max(axis=1)).all()
    assert (dx == np.where(x == x.max(axis=1, keepdims=True), dy[:, None], 0.0)).all()
