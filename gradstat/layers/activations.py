"""The table of activations: one function each, x ↦ (y, dy/dx), its parameters being the arguments behind x.

Adding one is adding one record here. At a kink the formula itself says which side it takes (PyTorch's).
"""

from gradstat.layers.elementwise import activation
from gradstat.numerics import elementary as el
from gradstat.numerics.elementary import Value

Pair = tuple[Value, Value]


@activation(formula="max(x, 0)", kinks=(0.0,))
def relu(x: Value) -> Pair:
    return el.where(x > 0.0, x, 0.0), el.where(x > 0.0, 1.0, 0.0)


@activation(formula="x if x > 0 else negative_slope·x", kinks=(0.0,))
def leaky_relu(x: Value, negative_slope: float = 0.01) -> Pair:
    slope = el.where(x > 0.0, 1.0, negative_slope)
    return slope * x, slope


@activation(formula="1/(1 + e^−x)")
def sigmoid(x: Value) -> Pair:
    y = el.sigmoid(x)
    return y, y * (1.0 - y)


@activation(formula="tanh x")
def tanh(x: Value) -> Pair:
    y = el.tanh(x)
    return y, 1.0 - y * y
