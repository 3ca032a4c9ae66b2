"""What every number type that runs a formula has in common: Python's operators, NumPy's functions, decisions.

A formula is a Python function that calls `elementary`'s names, which are NumPy's functions, and NumPy hands those to
the types of their arguments (`__array_ufunc__`, `__array_function__`). So a formula runs unchanged on real intervals
(`spans`), on balls (`balls`) and on orders of growth (`growth`).

Wherever a formula branches — a comparison, |u|, max, sign, the side of 0 on which a denominator or the argument of a
root lies — it asks for the sign of one quantity. On a piece of the real line where none of these signs changes, the
formula is one analytic expression. `Trace` keeps the signs in the order in which they are asked for.
"""

from collections.abc import Callable, Sequence
from typing import Any, Self

import numpy as np

from gradstat.numerics import elementary as el


class Undecided(Exception):
    """The sign with this number is not the same everywhere on the interval."""

    def __init__(self, index: int) -> None:
        super().__init__(index)
        self.index = index


class Undefined(Exception):
    """The formula has no real value here; the argument says why."""


class Trace:
    """The signs that a formula asks for, numbered from 0: the first are given, the others are found and kept."""

    def __init__(self, given: Sequence[int] = ()) -> None:
        self.decisions = list(given)
        self.position = 0
        self.constants: dict[Any, Any] = {}  # of the formula, as quantities of this run
        self.touches = False  # True where a sign was taken although the quantity is 0 at an end of the interval

    def sign(self, quantity: "Traced") -> int:
        """The sign of the quantity: −1, 0 (it is 0 everywhere) or 1. Undecided where it changes."""
        index = self.position
        self.position += 1
        if index == len(self.decisions):
            sign = quantity.known_sign()
            if sign is None:
                raise Undecided(index)
            self.decisions.append(sign)
        return self.decisions[index]


class Traced:
    """A quantity of a formula. Subclasses say how it is computed, this class how it is called."""

    __slots__ = ()

    def of(self, value: Any) -> Self:
        """A constant of the formula as a quantity of the same run."""
        raise NotImplementedError

    def known_sign(self) -> int | None:
        """−1, 0 or 1; None where it is not the same on the whole interval."""
        raise NotImplementedError

    def sign(self) -> int:
        """The same through the trace, which raises Undecided."""
        raise NotImplementedError

    def nothing(self) -> Self:
        """1/0: not a number, and 0 where it is multiplied by what is 0 everywhere, as the branches not taken are."""
        raise NotImplementedError

    def plus(self, other: Self) -> Self:
        raise NotImplementedError

    def times(self, other: Self) -> Self:
        raise NotImplementedError

    def inverse(self) -> Self:
        """1/u for a u that has been shown not to change its sign."""
        raise NotImplementedError

    def negative(self) -> Self:
        raise NotImplementedError

    def exp(self) -> Self:
        raise NotImplementedError

    def expm1(self) -> Self:
        raise NotImplementedError

    def log_positive(self) -> Self:
        """ln u for a u shown to be positive."""
        raise NotImplementedError

    def log1p_positive(self) -> Self:
        """ln(1 + u) for a u shown to be above −1."""
        raise NotImplementedError

    def sqrt_positive(self) -> Self:
        """√u for a u shown to be positive."""
        raise NotImplementedError

    def erf(self) -> Self:
        raise NotImplementedError

    def sin(self) -> Self:
        raise NotImplementedError

    def cos(self) -> Self:
        raise NotImplementedError

    def atan(self) -> Self:
        raise NotImplementedError

    def asinh(self) -> Self:
        raise NotImplementedError

    # What follows from these

    def minus(self, other: Self) -> Self:
        return self.plus(other.negative())

    def over(self, other: Self) -> Self:
        return self.times(other.inverse() if other.sign() else self.nothing())

    def absolute(self) -> Self:
        return self.negative() if self.sign() < 0 else self

    def larger(self, other: Self) -> Self:
        return self if self.minus(other).sign() > 0 else other

    def smaller(self, other: Self) -> Self:
        return self if self.minus(other).sign() < 0 else other

    def signum(self) -> Self:
        return self.of(self.sign())

    def tanh(self) -> Self:
        """±(1 − t)/(1 + t) with t = e^−2|u|, which no large argument overflows."""
        sign = self.sign()
        double = self.times(self.of(-2 * sign))
        size = double.expm1().negative().times(double.exp().plus(self.of(1)).inverse())
        return size if sign >= 0 else size.negative()

    def log(self) -> Self:
        if self.sign() <= 0:
            raise Undefined("it takes the logarithm of a number that is not positive")
        return self.log_positive()

    def log1p(self) -> Self:
        if self.plus(self.of(1)).sign() <= 0:
            raise Undefined("it takes the logarithm of a number that is not positive")
        return self.log1p_positive()

    def sqrt(self) -> Self:
        sign = self.sign()
        if sign < 0:
            raise Undefined("it takes the root of a negative number")
        return self.sqrt_positive() if sign else self.of(0)

    def raised(self, other: Self) -> Self:
        """u^p = e^(p·ln u), for u ≥ 0."""
        sign = self.sign()
        if sign < 0:
            raise Undefined("it raises a negative number to a power")
        power = other.sign()
        if sign == 0 and power < 0:
            raise Undefined("divides by 0")
        if sign == 0 or power == 0:
            return self.of(int(power == 0))
        return self.power_positive(other)

    def power_positive(self, other: Self) -> Self:
        """u^p for a u shown to be positive."""
        return other.times(self.log_positive()).exp()

    def compared(self, other: Any, holds: Callable[[int], bool]) -> Any:
        """Whether self − other has a sign for which `holds`."""
        return holds(self.minus(self.of(other)).sign())

    @staticmethod
    def chosen(condition: Any, value: Any, other: Any) -> Any:
        """The value where the condition holds."""
        return value if condition else other

    # Python's operators

    def __add__(self, other: Any) -> Self:
        return self.plus(self.of(other))

    __radd__ = __add__

    def __sub__(self, other: Any) -> Self:
        return self.minus(self.of(other))

    def __rsub__(self, other: Any) -> Self:
        return self.of(other).minus(self)

    def __mul__(self, other: Any) -> Self:
        return self.times(self.of(other))

    __rmul__ = __mul__

    def __truediv__(self, other: Any) -> Self:
        return self.over(self.of(other))

    def __rtruediv__(self, other: Any) -> Self:
        return self.of(other).over(self)

    def __neg__(self) -> Self:
        return self.negative()

    def __pos__(self) -> Self:
        return self

    def __abs__(self) -> Self:
        return self.absolute()

    def __pow__(self, exponent: Any) -> Self:
        """Products for a whole number, e^(p·ln u) otherwise."""
        if isinstance(exponent, Traced) or float(exponent) != int(exponent) or abs(exponent) > 64:
            return self.raised(self.of(exponent))
        result = self.of(1)
        for _ in range(abs(int(exponent))):
            result = result.times(self)
        if exponent == 2:
            return self.times(self)
        return result if exponent >= 0 else self.of(1).over(result)

    def __rpow__(self, base: Any) -> Self:
        return self.of(base).raised(self)

    def __lt__(self, other: Any) -> Any:
        return self.compared(other, lambda sign: sign < 0)

    def __le__(self, other: Any) -> Any:
        return self.compared(other, lambda sign: sign <= 0)

    def __gt__(self, other: Any) -> Any:
        return self.compared(other, lambda sign: sign > 0)

    def __ge__(self, other: Any) -> Any:
        return self.compared(other, lambda sign: sign >= 0)

    def __eq__(self, other: object) -> Any:
        return self.compared(other, lambda sign: sign == 0)

    def __ne__(self, other: object) -> Any:
        return self.compared(other, lambda sign: sign != 0)

    __hash__ = None  # type: ignore[assignment]

    # NumPy's functions

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **options: Any) -> Any:
        function = _UFUNCS.get(ufunc)
        if function is None or method != "__call__" or options:
            return NotImplemented
        return function(*(value if isinstance(value, Traced) else self.of(value) for value in inputs))

    def __array_function__(self, function: Any, types: Any, arguments: Any, options: Any) -> Any:
        if function is not np.where or len(arguments) != 3:
            return NotImplemented
        condition, value, other = arguments
        return self.chosen(condition, self.of(value), self.of(other))


_UFUNCS: dict[Any, Callable[..., Any]] = {
    np.add: lambda a, b: a.plus(b),
    np.subtract: lambda a, b: a.minus(b),
    np.multiply: lambda a, b: a.times(b),
    np.divide: lambda a, b: a.over(b),
    np.negative: lambda a: a.negative(),
    np.absolute: lambda a: a.absolute(),
    np.sign: lambda a: a.signum(),
    np.maximum: lambda a, b: a.larger(b),
    np.minimum: lambda a, b: a.smaller(b),
    np.square: lambda a: a.times(a),
    np.less: lambda a, b: a < b,
    np.less_equal: lambda a, b: a <= b,
    np.greater: lambda a, b: a > b,
    np.greater_equal: lambda a, b: a >= b,
    np.equal: lambda a, b: a == b,
    np.not_equal: lambda a, b: a != b,
    np.exp: lambda a: a.exp(),
    np.expm1: lambda a: a.expm1(),
    np.log: lambda a: a.log(),
    np.log1p: lambda a: a.log1p(),
    np.sqrt: lambda a: a.sqrt(),
    np.tanh: lambda a: a.tanh(),
    np.sin: lambda a: a.sin(),
    np.cos: lambda a: a.cos(),
    np.arctan: lambda a: a.atan(),
    np.arcsinh: lambda a: a.asinh(),
    np.power: lambda a, b: a**b,
    el.ERF: lambda a: a.erf(),
}
