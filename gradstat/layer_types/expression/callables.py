"""A callable → the text of an expression, by a tracer for NumPy and PyTorch, and by the jaxpr for JAX."""

import functools
import inspect
import sys
from collections.abc import Callable
from typing import Any

from gradstat.errors import UsageError, quoted
from gradstat.layer_types.expression.grammar import parse
from gradstat.layer_types.expression.namespaces import traceable
from gradstat.layer_types.expression.spelling import spelled
from gradstat.layer_types.expression.tape import Tape
from gradstat.layer_types.expression.trace import Tracer, Untraceable

ADVICE = "or register it with its derivative: gradstat.activation(f, derivative)"


def expression_of(function: Callable[..., Any]) -> str:
    """The expression that a function of one variable computes; UsageError names the operation that cannot be traced."""
    title = name_of(function)
    try:
        tape, value = traced(function)
        text = spelled(tape, value)
        parse(text)
    except UsageError as error:
        raise UsageError(f"{title} cannot be traced: {error}", ADVICE) from None
    return text


def traced(function: Callable[..., Any]) -> tuple[Tape, int]:
    """The tape of a function of one variable, and the step of its value."""
    check_arity(function)
    tape = Tape(text=name_of(function))
    x = Tracer(tape, tape.x())
    try:
        return tape, x.of(result_of(traceable(function)(x)))
    except Exception as error:
        if "jax" in sys.modules:
            from gradstat.layer_types.expression.jaxprs import traced_by_jax

            try:
                return traced_by_jax(function)
            except UsageError:
                raise
            except Exception:  # JAX cannot trace it either: report the first error
                pass
        if isinstance(error, UsageError):
            raise
        reason = " ".join(str(error).split()) or "no reason given"
        raise Untraceable(f"{type(error).__name__}: {reason[:200]}") from error


def result_of(result: Any) -> Any:
    """The returned number; Untraceable if the function did not return one number."""
    if isinstance(result, Tracer) or not (
        callable(result) or result is None or isinstance(result, tuple | list | dict)
    ):
        return result
    described = "nothing" if result is None else f"a {type(result).__name__}"
    hint = f"; give an instance of it: {type(result).__name__}()" if callable(result) else ""
    raise Untraceable(f"it returns {described}; one number is expected{hint}")


def check_arity(function: Callable[..., Any]) -> None:
    """Raise Untraceable if the function cannot be called with one argument."""
    if not callable(function):
        raise Untraceable(f"it is a {type(function).__name__}; a function of one variable is expected")
    try:
        signature = inspect.signature(function)
    except (ValueError, TypeError):
        return
    try:
        signature.bind(0.0)
    except TypeError:
        raise Untraceable(
            f"it takes {signature}; a function of one variable is expected (functools.partial fixes the others)"
        ) from None


def name_of(function: Callable[..., Any]) -> str:
    """The name in messages: that of the function or of its class."""
    if isinstance(function, functools.partial):
        return name_of(function.func)
    name = getattr(function, "__name__", None)
    return quoted(name if isinstance(name, str) else type(function).__name__)
