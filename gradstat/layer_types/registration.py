"""`gradstat.activation`: registers a layer defined by Python functions, for this process."""

import inspect
import re
from collections.abc import Callable, Mapping
from statistics import NormalDist
from typing import Any

import numpy as np

from gradstat.errors import UsageError
from gradstat.layer_types.elementwise import Formula, Kinks, elementwise
from gradstat.layer_types.record import ANYTHING, REAL, Domain
from gradstat.layer_types.registry import LAYERS, names

QUANTILES, STEP = 1000, 2.0**-17  # of x, where value and slope are compared, and the step of the differences
SLOPE_ERROR = 1e-5  # of 1 + |y| + |dy/dx|; the differences are good to 10⁻⁸
FEWEST_WRONG = 3  # quantiles: a kink may lie near one
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,63}")
_own: set[str] = set()


def activation(
    value: Formula | None = None,
    slope: Formula | None = None,
    *,
    name: str | None = None,
    formula: str = "",
    kinks: Kinks = (),
    domains: Mapping[str, Domain] | None = None,
    torch: str = "",
    source: str = "",
    other_backward: bool = False,
) -> Callable[..., Any]:
    """Register x ↦ (y, dy/dx), or the pair x ↦ y and x ↦ dy/dx; also a decorator, with or without arguments.

    Arguments after x are the layer's parameters and need numbers as defaults. numba compiles the functions, and exact
    values call them on NumPy arrays: write `el.where`, `el.exp`, … (`el = gradstat.elementary`), not
    `if`. `kinks` are the points where y or dy/dx jump, or a function of the parameters that returns them. The
    default name is that of the function. Registering a name again replaces the layer. dy/dx must be the derivative of
    y, which is checked, unless `other_backward` is true: then it is another backward pass.
    """

    def register(function: Formula) -> Formula:
        known = str(name or getattr(function, "__name__", ""))
        _check_name(known)
        _check_arguments(known, function, slope)
        both = function if slope is None else pair(function, slope)
        _check_values(known, both)
        if not other_backward:
            _check_slope(known, both)
        LAYERS[known] = elementwise(
            known,
            both,
            formula=formula or f"{known}(x)",
            kinks=kinks,
            domains=domains or {},
            variants=None,
            constraint=ANYTHING,
            torch=torch,
            source=source,
            aliases=(),
            presets={},
        )
        _own.add(known)
        return function

    return register if value is None else register(value)


def is_registered(name: str) -> bool:
    """True for a layer that was registered from Python in this process."""
    return name in _own


def pair(value: Formula, slope: Formula) -> Formula:
    """The function x ↦ (value, slope) with the arguments of `value`. It is generated: numba cannot compile *args.

    `parts` are the two functions that it calls.
    """
    names = list(inspect.signature(value).parameters)
    arguments = ", ".join(names)
    body = f"def both({arguments}):\n    return _value({arguments}), _slope({arguments})\n"
    scope: dict[str, Any] = {"_value": value, "_slope": slope, "__name__": "pair"}
    exec(compile(body, "<gradstat pair>", "exec"), scope)
    both: Any = scope["both"]
    both.__defaults__ = tuple(p.default for p in inspect.signature(value).parameters.values())[1:]
    both.parts = (value, slope)
    return both  # type: ignore[no-any-return]


def _check_name(name: str) -> None:
    if _NAME.fullmatch(name) is None:
        raise UsageError(f"a layer cannot be named {name!a}: letters, digits and _ are allowed; give name=")
    taken = names().keys() - _own
    if name in taken:
        raise UsageError(f"{name!r} is already a layer of gradstat; choose another name")


def _check_arguments(name: str, value: Formula, slope: Formula | None) -> None:
    """Raise UsageError unless the functions take x and then parameters with numbers as defaults, equally many each."""
    for function in (value, slope or value):
        if not inspect.isfunction(function):
            raise UsageError(f"{name}: expected a plain Python function, found {type(function).__name__}")
    arguments = list(inspect.signature(value).parameters.values())
    plain = all(a.kind in (a.POSITIONAL_ONLY, a.POSITIONAL_OR_KEYWORD) for a in arguments)
    if not arguments or not plain or not all(REAL.contains(a.default) for a in arguments[1:]):
        raise UsageError(f"{name}: expected arguments (x, parameter=number, ...), found {inspect.signature(value)}")
    if slope is not None and len(inspect.signature(slope).parameters) != len(arguments):
        raise UsageError(
            f"{name}: the function takes {len(arguments)} arguments; its derivative must take the same number"
        )


def _check_values(name: str, function: Formula) -> None:
    """Raise UsageError if the function does not map an array of x to two arrays."""
    x = np.linspace(-2.0, 2.0, 9)
    try:
        with np.errstate(all="ignore"):
            y, slope = function(x)
            shapes = {np.broadcast_shapes(np.shape(part), x.shape) for part in (y, slope)}
    except Exception as error:
        reason = str(error).split("\n")[0]
        raise UsageError(
            f"{name}: not x → (y, dy/dx) on a NumPy array ({reason}); use el.where instead of if"
        ) from error
    if shapes != {x.shape}:
        raise UsageError(f"{name}: y and dy/dx need the shape of x")


def _check_slope(name: str, function: Formula) -> None:
    """Raise UsageError if dy/dx is not the slope of y at three or more of 1,000 normal quantiles.

    Central differences of two steps must agree with each other there: at kinks and jumps they do not.
    """
    x = np.array([NormalDist().inv_cdf((i + 0.5) / QUANTILES) for i in range(QUANTILES)])
    with np.errstate(all="ignore"):
        slope = function(x)[1] * np.ones_like(x)
        wide, narrow = ((function(x + h)[0] - function(x - h)[0]) / (2.0 * h) for h in (2.0 * STEP, STEP))
        scale = 1.0 + np.abs(function(x)[0]) + np.abs(narrow)
        wrong = (np.abs(wide - narrow) <= 0.1 * SLOPE_ERROR * scale) & (np.abs(narrow - slope) > SLOPE_ERROR * scale)
    if np.count_nonzero(wrong) >= FEWEST_WRONG:
        at = int(np.flatnonzero(wrong)[np.argmin(np.abs(x[wrong] - 0.5))])
        raise UsageError(
            f"{name}: dy/dx is {slope[at]:.6g} at x = {x[at]:.3g}, but the slope of y is {narrow[at]:.6g}",
            "correct it, or say other_backward=True if it is not meant to be the derivative",
        )
