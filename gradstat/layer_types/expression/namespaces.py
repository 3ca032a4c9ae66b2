"""Copies of Python functions for tracing, with globals in which functions of numbers accept tracers.

`math.exp(x)`, `max(x, 0)` and `np.asarray(x)` need a number or an array, and no protocol changes this. The traced copy
of a function uses counterparts under these names; the function and its module are not changed.
"""

import builtins
import functools
import math
from collections.abc import Callable
from types import BuiltinFunctionType, FunctionType, ModuleType
from typing import Any

import numpy as np

from gradstat.layer_types.expression.trace import Tracer


def traceable(function: Any) -> Callable[..., Any]:
    """The callable to trace: the Python function below numba or np.vectorize, with counterparts in its globals."""
    for attribute in ("py_func", "pyfunc"):  # numba's dispatchers, np.vectorize
        if isinstance(getattr(function, attribute, None), FunctionType):
            return traceable(getattr(function, attribute))
    if isinstance(dispatcher := getattr(function, "_dispatcher", None), object) and hasattr(dispatcher, "py_func"):
        return traceable(dispatcher.py_func)  # numba.vectorize
    if isinstance(function, functools.partial):
        return functools.partial(traceable(function.func), *function.args, **function.keywords)
    if isinstance(function, BuiltinFunctionType) and function in MATH:
        return MATH[function]
    return _copied(function, {}) if isinstance(function, FunctionType) else function


def _copied(function: FunctionType, copies: dict[FunctionType, FunctionType]) -> FunctionType:
    """A copy of the function; functions of its module that it calls are copied as well."""
    if function in copies:
        return copies[function]
    space = dict(function.__globals__)
    copy = FunctionType(function.__code__, space, function.__name__, function.__defaults__, function.__closure__)
    copy.__kwdefaults__ = function.__kwdefaults__
    copies[function] = copy
    for name in function.__code__.co_names:
        if name in BUILTINS and name not in space:
            space[name] = BUILTINS[name]
        elif name in space:
            space[name] = _counterpart(space[name], function, copies)
    return copy


def _counterpart(value: Any, function: FunctionType, copies: dict[FunctionType, FunctionType]) -> Any:
    """The counterpart of a name in the function's module."""
    if value is math or value is np:
        return Namespace(value, MATH_NAMES if value is math else NUMPY_NAMES)
    if isinstance(value, BuiltinFunctionType) and value in MATH:
        return MATH[value]
    value = getattr(value, "py_func", value)
    if isinstance(value, FunctionType) and value.__globals__ is function.__globals__:
        return _copied(value, copies)
    return value


class Namespace:
    """A module with counterparts for some of its functions."""

    def __init__(self, module: ModuleType, names: dict[str, Callable[..., Any]]) -> None:
        self._module, self._names = module, names

    def __getattr__(self, name: str) -> Any:
        return self._names[name] if name in self._names else getattr(self._module, name)


def _on_tracers(function: Callable[..., Any], name: str) -> Callable[..., Any]:
    """The function, which for a tracer calls the counterpart of this name in `vocabulary`."""

    @functools.wraps(function)
    def counterpart(*arguments: Any, **options: Any) -> Any:
        from gradstat.layer_types.expression.trace import lifted
        from gradstat.layer_types.expression.vocabulary import function as meaning

        tracer = next((value for value in arguments if isinstance(value, Tracer)), None)
        if tracer is None:
            return function(*arguments, **options)
        if name in ("max", "min"):
            return functools.reduce(meaning(name), (lifted(tracer.tape, value) for value in arguments))
        return meaning(name)(*(lifted(tracer.tape, value) for value in arguments), **options)

    return counterpart


MATH_NAMES = {
    name: _on_tracers(value, name)
    for name, value in vars(math).items()
    if isinstance(value, BuiltinFunctionType) and not name.startswith("_")
}
MATH = {getattr(math, name): counterpart for name, counterpart in MATH_NAMES.items()}
NUMPY_NAMES = {
    name: _on_tracers(getattr(np, name), "float")
    for name in ("asarray", "array", "asanyarray", "atleast_1d", "ascontiguousarray", "float64", "float32")
}
BUILTINS = {name: _on_tracers(getattr(builtins, name), name) for name in ("max", "min", "float", "pow")}
