"""A tracer: a value that records operations on a tape instead of computing them.

A function of one variable is called once with a tracer. Python's operators, NumPy's functions (`__array_ufunc__`,
`__array_function__`) and PyTorch's (`__torch_function__`) then call the tracer, and `vocabulary` defines their steps.
PyTorch is never imported.
"""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

import numpy as np

from gradstat.arithmetic import COMPARISONS
from gradstat.errors import UsageError
from gradstat.layer_types.expression.functions import power
from gradstat.layer_types.expression.tape import CONDITIONS, Tape

PACKAGE = str(Path(__file__).resolve().parents[2])
CALLER = str(Path(__file__).with_name("callables.py"))  # calls the function that is traced
LIBRARIES = ("numpy", "torch", "jax", "numba", "scipy", "functools")
OPPOSITE = dict(zip(COMPARISONS, (">=", ">", "<=", "<", "!=", "=="), strict=True))


class Untraceable(UsageError):
    """An operation of a function that no step of an expression can express; the message names it and its line."""


class Tracer:
    """A step of a tape that behaves like a number."""

    __slots__ = ("index", "replaced", "tape")
    __hash__ = None  # type: ignore[assignment]
    shape: tuple[int, ...] = ()
    ndim = 0
    size = 1
    T = real = data = property(lambda self: self)
    dtype = np.dtype(np.float64)
    device = "cpu"
    requires_grad = is_sparse = is_cuda = False

    def __init__(self, tape: Tape, index: int) -> None:
        self.tape, self.index, self.replaced = tape, index, ""

    # Steps

    def of(self, value: Any) -> int:
        """The step of a tracer or a number. A condition is 1 if it holds, otherwise 0."""
        if isinstance(value, Tracer):
            if value.replaced:
                refuse(f"a value is used again that was changed in place at {value.replaced}")
            if value.is_condition:
                return self.tape.step("where", value.index, self.tape.number(1.0), self.tape.number(0.0))
            return value.index
        return self.tape.number(as_number(value))

    def step(self, operation: str, *values: Any) -> "Tracer":
        """An operation of the tape on these values."""
        return Tracer(self.tape, self.tape.step(operation, *map(self.of, values)))

    def compared(self, sign: str, other: Any) -> "Tracer":
        """A condition."""
        return Tracer(self.tape, self.tape.step(sign, self.of(self), self.of(other)))

    @property
    def is_condition(self) -> bool:
        """True for a comparison, and for comparisons joined by `and` and `or`."""
        return self.tape.steps[self.index].operation in CONDITIONS

    def condition(self, value: Any) -> int:
        """The step of a condition; a number is true if it is not 0."""
        if isinstance(value, Tracer) and value.is_condition:
            return value.index
        return self.tape.step("!=", self.of(value), self.tape.number(0.0))

    def joined(self, word: str, other: Any) -> "Tracer":
        """`and` or `or` of two conditions."""
        return Tracer(self.tape, self.tape.step(word, self.condition(self), self.condition(other)))

    def inverted(self) -> "Tracer":
        """The condition that holds where this one does not."""
        return Tracer(self.tape, inverted(self.tape, self.condition(self)))

    def chosen(self, condition: Any, value: Any, other: Any) -> "Tracer":
        """where(condition, value, other)."""
        return Tracer(self.tape, self.tape.step("where", self.condition(condition), self.of(value), self.of(other)))

    def become(self, value: "Tracer") -> "Tracer":
        """Change this tracer in place: every reference to it has the new value."""
        self.index = self.of(value)
        return self

    # Python

    def __add__(self, other: Any) -> "Tracer":
        return self.step("+", self, other)

    def __radd__(self, other: Any) -> "Tracer":
        return self.step("+", other, self)

    def __sub__(self, other: Any) -> "Tracer":
        return self.step("-", self, other)

    def __rsub__(self, other: Any) -> "Tracer":
        return self.step("-", other, self)

    def __mul__(self, other: Any) -> "Tracer":
        return self.step("*", self, other)

    def __rmul__(self, other: Any) -> "Tracer":
        return self.step("*", other, self)

    def __truediv__(self, other: Any) -> "Tracer":
        return self.step("/", self, other)

    def __rtruediv__(self, other: Any) -> "Tracer":
        return self.step("/", other, self)

    def __pow__(self, other: Any) -> "Tracer":
        return Tracer(self.tape, power(self.tape, self.of(self), self.of(other)))

    def __rpow__(self, other: Any) -> "Tracer":
        return Tracer(self.tape, power(self.tape, self.of(other), self.of(self)))

    def __floordiv__(self, other: Any) -> "Tracer":
        return self.step("floor", self.step("/", self, other))

    def __rfloordiv__(self, other: Any) -> "Tracer":
        return self.step("floor", self.step("/", other, self))

    def __mod__(self, other: Any) -> "Tracer":
        return self.step("-", self, self.step("*", other, self.__floordiv__(other)))

    def __rmod__(self, other: Any) -> "Tracer":
        return self.step("-", other, self.step("*", self, self.__rfloordiv__(other)))

    def __neg__(self) -> "Tracer":
        return self.step("negative", self)

    def __pos__(self) -> "Tracer":
        return self

    def __abs__(self) -> "Tracer":
        return self.step("abs", self)

    def __round__(self, digits: Any = None) -> "Tracer":
        return self.named("round")(*([] if digits is None else [digits]))

    def __floor__(self) -> "Tracer":
        return self.step("floor", self)

    def __ceil__(self) -> "Tracer":
        return self.named("ceil")()

    def __lt__(self, other: Any) -> "Tracer":
        return self.compared("<", other)

    def __le__(self, other: Any) -> "Tracer":
        return self.compared("<=", other)

    def __gt__(self, other: Any) -> "Tracer":
        return self.compared(">", other)

    def __ge__(self, other: Any) -> "Tracer":
        return self.compared(">=", other)

    def __eq__(self, other: object) -> "Tracer":  # type: ignore[override]
        return self.compared("==", other)

    def __ne__(self, other: object) -> "Tracer":  # type: ignore[override]
        return self.compared("!=", other)

    def __and__(self, other: Any) -> "Tracer":
        return self.joined("and", other)

    def __or__(self, other: Any) -> "Tracer":
        return self.joined("or", other)

    __rand__, __ror__ = __and__, __or__

    def __invert__(self) -> "Tracer":
        return self.inverted()

    def __iadd__(self, other: Any) -> "Tracer":
        return self.superseded(self + other)

    def __isub__(self, other: Any) -> "Tracer":
        return self.superseded(self - other)

    def __imul__(self, other: Any) -> "Tracer":
        return self.superseded(self * other)

    def __itruediv__(self, other: Any) -> "Tracer":
        return self.superseded(self / other)

    def __ipow__(self, other: Any) -> "Tracer":
        return self.superseded(self**other)

    def superseded(self, value: "Tracer") -> "Tracer":
        """`value` after `x += …`.

        The old tracer may not be used: an array would have the new value, a float the old one.
        """
        self.replaced = place() or "an earlier line"
        return value

    def __getitem__(self, key: Any) -> "Tracer":
        if key == () or key is Ellipsis:
            return self
        refuse("its argument is indexed; write np.where(condition, a, b)")

    def __setitem__(self, key: Any, value: Any) -> None:
        """`y[x < 0] = 0`: an array changes in place."""
        if not (isinstance(key, Tracer) and key.is_condition):
            refuse("its argument is indexed; write np.where(condition, a, b)")
        self.become(self.chosen(key, value, self))

    def __bool__(self) -> bool:
        refuse("`if`, `while`, `and`, `or` or `not` needs the value of its argument; write np.where(condition, a, b)")

    def __float__(self) -> float:
        refuse("a function of single numbers, such as those of `math`, is called; write np.exp for math.exp")

    __int__ = __index__ = __complex__ = __float__

    def __iter__(self) -> NoReturn:
        refuse("its argument is taken apart as a sequence; a function of one number is expected")

    __len__ = __iter__

    def __array__(self, *arguments: Any, **options: Any) -> Any:
        refuse("its argument is made an array")

    # Functions

    def named(self, name: str) -> Callable[..., "Tracer"]:
        """The method or function of this name, applied to this value."""
        from gradstat.layer_types.expression.vocabulary import function

        return lambda *arguments, **options: function(name)(self, *arguments, **options)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return self.named(name)

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **options: Any) -> Any:
        if method != "__call__":
            refuse(f"np.{ufunc.__name__}.{method} is called")
        if options.pop("out", None) is not None or not options.keys() <= {"dtype", "casting", "order", "subok"}:
            refuse(f"np.{ufunc.__name__} is called with {', '.join(options) or 'out'}")
        return self._call(ufunc.__name__.partition(" ")[0], f"np.{ufunc.__name__}", inputs, {})

    def __array_function__(self, function: Any, types: Any, arguments: Any, options: Any) -> Any:
        return self._call(function.__name__, f"np.{function.__name__}", arguments, options)

    @classmethod
    def __torch_function__(cls, function: Any, types: Any, arguments: Any = (), options: Any = None) -> Any:
        name = getattr(function, "__name__", repr(function))
        tracer = next(value for value in (*arguments, *(options or {}).values()) if isinstance(value, Tracer))
        return tracer._call(name, f"torch's {name}", arguments, options or {})

    def _call(self, name: str, spelled: str, arguments: Any, options: Any) -> Any:
        from gradstat.layer_types.expression.vocabulary import function

        return function(name, spelled)(*(lifted(self.tape, value) for value in arguments), **options)


def inverted(tape: Tape, index: int) -> int:
    """The condition that holds where this one does not."""
    step = tape.steps[index]
    if step.operation in OPPOSITE:
        return tape.step(OPPOSITE[step.operation], *step.arguments)
    word = "or" if step.operation == "and" else "and"
    return tape.step(word, *(inverted(tape, argument) for argument in step.arguments))


def lifted(tape: Tape, value: Any) -> Any:
    """A number as a tracer; other values unchanged."""
    if isinstance(value, bool | str | type(None) | Tracer | list | tuple):
        return value
    return Tracer(tape, tape.number(as_number(value)))


def as_number(value: Any) -> float:
    """A number, an array or tensor of one number, as a float; Untraceable otherwise."""
    if isinstance(value, int | float | np.number | np.bool_) and not isinstance(value, np.complexfloating):
        return float(value)
    item, shape = getattr(value, "item", None), getattr(value, "shape", None)
    if item is not None and shape is not None and all(size == 1 for size in shape):
        return as_number(item())
    described = type(value).__name__ if shape is None else f"{type(value).__name__} of shape {tuple(shape)}"
    refuse(f"it is combined with {described}; a number is expected")


def refuse(what: str) -> NoReturn:
    """Raise Untraceable with the line that is being executed outside of gradstat and the libraries."""
    line = place()
    raise Untraceable(f"{what} ({line})" if line else what)


def place() -> str:
    """`swish.py, line 12`: the innermost line of the traced function, not of a library; "" if there is none."""
    frame: Any = sys._getframe(1)
    while frame is not None:
        name = frame.f_globals.get("__name__") or ""
        path = frame.f_code.co_filename
        if path == CALLER:
            return ""
        if not path.startswith(PACKAGE) and name.partition(".")[0] not in LIBRARIES:
            return f"{Path(path).name}, line {frame.f_lineno}"
        frame = frame.f_back
    return ""
