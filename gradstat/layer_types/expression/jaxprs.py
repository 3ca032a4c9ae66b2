"""A function of JAX → tape, through its jaxpr, JAX's list of primitives.

This module is imported only if the caller has already imported JAX.
"""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from importlib import import_module
from typing import Any

from gradstat.layer_types.expression.tape import Tape
from gradstat.layer_types.expression.trace import Tracer, Untraceable, as_number
from gradstat.layer_types.expression.vocabulary import FUNCTIONS

INNER = ("jaxpr", "call_jaxpr", "fun_jaxpr")  # parameters of a primitive that contain another jaxpr
SAME = {"logistic": "sigmoid", "add_any": "add"}
NOTHING_DONE = (
    "convert_element_type",
    "broadcast_in_dim",
    "reshape",
    "squeeze",
    "copy",
    "copy_p",
    "stop_gradient",
    "device_put",
    "optimization_barrier",
)


def traced_by_jax(function: Callable[..., Any]) -> tuple[Tape, int]:
    """The tape of a function of one variable, and the step of its value."""
    jax = import_module("jax")
    with _float64(jax):
        closed = jax.make_jaxpr(function)(0.0)
    tape = Tape(text="a function of JAX")
    x = Tracer(tape, tape.x())
    results = _run(closed.jaxpr, closed.consts, [x])
    if len(results) != 1:
        raise Untraceable(f"it returns {len(results)} values; one number is expected")
    return tape, x.of(results[0])


def _float64(jax: Any) -> AbstractContextManager[Any]:
    """Keep constants of the function in float64."""
    if hasattr(jax, "enable_x64"):
        return jax.enable_x64(True)  # type: ignore[no-any-return]
    return import_module("jax.experimental").enable_x64()  # type: ignore[no-any-return]


def _run(jaxpr: Any, constants: Any, arguments: list[Any]) -> list[Any]:
    """The values that a jaxpr returns."""
    values: dict[Any, Any] = dict(zip(jaxpr.constvars, constants, strict=True))
    values |= dict(zip(jaxpr.invars, arguments, strict=True))

    def read(atom: Any) -> Any:
        return values[atom] if not hasattr(atom, "val") else atom.val

    for equation in jaxpr.eqns:
        inputs = [read(atom) for atom in equation.invars]
        outputs = _apply(equation.primitive.name, inputs, equation.params)
        values |= dict(zip(equation.outvars, outputs, strict=True))
    return [read(atom) for atom in jaxpr.outvars]


def _apply(name: str, inputs: list[Any], params: Mapping[str, Any]) -> list[Any]:
    """The outputs of a primitive for its inputs."""
    if name in NOTHING_DONE:
        return [inputs[0]]
    if name == "full" or not any(isinstance(value, Tracer) for value in inputs):
        return [_constant(name, inputs, params)]
    inner = next((params[key] for key in INNER if key in params), None)
    if inner is not None:
        jaxpr, constants = (inner.jaxpr, inner.consts) if hasattr(inner, "consts") else (inner, [])
        return _run(jaxpr, constants, inputs)
    tracer = next(value for value in inputs if isinstance(value, Tracer))
    if name == "integer_pow":
        return [tracer ** params["y"]]
    if name == "select_n":
        if len(inputs) != 3:
            raise Untraceable("JAX's select_n chooses among more than two values")
        condition, other, value = inputs
        return [tracer.chosen(condition, value, other)]
    if name == "clamp":
        low, x, high = inputs
        return [FUNCTIONS["clamp"](x, low, high)]
    function = FUNCTIONS.get(SAME.get(name, name))
    if function is None:
        raise Untraceable(f"JAX's {name} cannot be traced")
    rounding = params.get("rounding_method")
    if name == "round" and rounding is not None and "EVEN" not in str(rounding):
        raise Untraceable("JAX's round is used with halves away from 0")
    return [function(*(value if isinstance(value, Tracer) else as_number(value) for value in inputs))]


def _constant(name: str, inputs: list[Any], params: Mapping[str, Any]) -> float:
    """The result of a primitive whose inputs are all numbers, computed by JAX."""
    inner = next((params[key] for key in INNER if key in params), None)
    if inner is not None:
        jaxpr, constants = (inner.jaxpr, inner.consts) if hasattr(inner, "consts") else (inner, [])
        return as_number(_run(jaxpr, constants, inputs)[0])
    primitive = getattr(import_module("jax").lax, f"{name}_p", None)
    if primitive is None:
        raise Untraceable(f"JAX's {name} cannot be traced")
    return as_number(primitive.bind(*inputs, **params))
