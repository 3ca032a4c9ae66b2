"""Elementary functions as layer formulas spell them: NumPy's own here, branch-free polynomials in kernels.

A formula written with these names runs three ways: on scalars, on arrays (the referee), and compiled, where
`kernel_math` replaces each name by a vectorizable implementation. This module never imports numba.
"""

import math
from typing import Any

import numpy as np

Value = Any  # a float or an array of them: formulas are written once for both

ERF = np.frompyfunc(math.erf, 1, 1)
ERFC = np.frompyfunc(math.erfc, 1, 1)


def exp(x: Value) -> Value:
    """e^x."""
    return np.exp(x)


def expm1(x: Value) -> Value:
    """e^x − 1, exact to the last digits near 0."""
    return np.expm1(x)


def log(x: Value) -> Value:
    """Natural logarithm."""
    return np.log(x)


def log1p(x: Value) -> Value:
    """ln(1 + x), exact to the last digits near 0."""
    return np.log1p(x)


def sqrt(x: Value) -> Value:
    """√x."""
    return np.sqrt(x)


def tanh(x: Value) -> Value:
    """Hyperbolic tangent."""
    return np.tanh(x)


def sigmoid(x: Value) -> Value:
    """1/(1 + e^−x)."""
    e = np.exp(-np.abs(x))  # at most 1: no overflow on either side
    return np.where(np.less(x, 0.0), e, 1.0) / (1.0 + e)


def erf(x: Value) -> Value:
    """2/√π ∫₀ˣ e^−t² dt."""
    value = ERF(x)
    return np.asarray(value, dtype=np.float64)[()] if isinstance(value, float | np.ndarray) else value


def erfc(x: Value) -> Value:
    """1 − erf x, to the last digits where that is small; other types of numbers than floats subtract."""
    if not isinstance(x, float | int | np.ndarray | np.generic):
        return 1.0 - erf(x)
    return np.asarray(ERFC(x), dtype=np.float64)[()]


LARGEST_ANGLE = 1e5  # kernels compute sin and cos up to here


def sin(x: Value) -> Value:
    """Sine of x in radians."""
    return np.sin(x)


def cos(x: Value) -> Value:
    """Cosine of x in radians."""
    return np.cos(x)


def atan(x: Value) -> Value:
    """Arc tangent."""
    return np.arctan(x)


def asinh(x: Value) -> Value:
    """Inverse hyperbolic sine."""
    return np.arcsinh(x)


def power(x: Value, p: Value) -> Value:
    """x^p for x ≥ 0."""
    return np.power(x, p)


def absolute(x: Value) -> Value:
    """|x|."""
    return np.abs(x)


def sign(x: Value) -> Value:
    """−1, 0 or 1."""
    return np.sign(x)


def floor(x: Value) -> Value:
    """The largest integer not above x."""
    return np.floor(x)


def minimum(a: Value, b: Value) -> Value:
    """The smaller of two numbers; NaN if either is NaN."""
    return np.minimum(a, b)


def maximum(a: Value, b: Value) -> Value:
    """The larger of two numbers; NaN if either is NaN."""
    return np.maximum(a, b)


def where(condition: Value, value: Value, other: Value) -> Value:
    """`value` where the condition holds, `other` elsewhere; both are computed."""
    chosen: Value = np.where(condition, value, other)
    return chosen[()] if isinstance(chosen, np.ndarray) else chosen
