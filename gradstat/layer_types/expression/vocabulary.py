"""The steps of functions of NumPy, SciPy and PyTorch, by their names.

Most names have the same meaning in all three. Other names are looked up among the PyTorch names of activations; the
arguments after the first are then the parameters of the activation.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from gradstat.layer_types.expression.functions import call
from gradstat.layer_types.expression.records import activation_steps, by_torch_name
from gradstat.layer_types.expression.trace import Tracer, refuse

Function = Callable[..., Any]


def function(name: str, spelled: str = "") -> Function:
    """The function of this name for tracers; it raises Untraceable if the name or its arguments are unknown."""
    plain = name.strip("_").removeprefix("special_")
    spelled = spelled or f"the function or method {plain}"
    meaning = FUNCTIONS.get(plain)
    record = by_torch_name().get(plain)

    def called(*arguments: Any, **options: Any) -> Any:
        in_place = options.pop("inplace", False) is True or (name.endswith("_") and not name.endswith("__"))
        for ignored in ("dtype", "device", "memory_format", "requires_grad", "name"):
            options.pop(ignored, None)
        first = next((value for value in (*arguments, *options.values()) if isinstance(value, Tracer)), None)
        if first is None or (meaning is None and record is None):
            refuse(f"{spelled} is not available in expressions")
        try:
            if meaning is not None and (record is None or (len(arguments) == 1 and not options)):
                result = meaning(*arguments, **options)
            else:
                result = _of_record(str(record), *arguments, **options)
        except TypeError as error:
            reason = str(error).replace("<lambda>()", plain)
            refuse(f"{spelled} is called in a way that is not known: {reason}")
        return arguments[0].become(result) if in_place else result

    return called


def _of_record(name: str, x: Tracer, *values: Any, **options: Any) -> Tracer:
    """An activation of gradstat, with parameters by position or name."""
    given = [value for value in values if not isinstance(value, bool)]
    settled = {key: value if isinstance(value, str) else x.of(value) for key, value in options.items()}
    return Tracer(x.tape, activation_steps(x.tape, name, x.of(x), [x.of(value) for value in given], settled))


def _built(name: str) -> Function:
    """A function of the language of expressions."""

    def build(x: Any, *more: Any) -> Tracer:
        tracer = next(value for value in (x, *more) if isinstance(value, Tracer))
        return Tracer(tracer.tape, call(tracer.tape, name, *map(tracer.of, (x, *more))))

    return build


def _operator(name: str) -> Function:
    def apply(x: Any, other: Any, alpha: float = 1.0) -> Any:
        other = other if alpha == 1.0 else other * alpha
        tracer = x if isinstance(x, Tracer) else other
        return tracer.step(name, x, other)

    return apply


def _compare(sign: str) -> Function:
    def apply(x: Any, other: Any) -> Any:
        return (x if isinstance(x, Tracer) else other).step(sign, x, other)

    return apply


def _where(condition: Any, value: Any = None, other: Any = None) -> Any:
    if value is None or other is None:
        refuse("where is called without two values; write np.where(condition, a, b)")
    if isinstance(value, Tracer) and not isinstance(condition, Tracer):  # the method x.where(condition, other)
        refuse("where is called with a condition that does not depend on x")
    return condition.chosen(condition, value, other)


def _method_where(x: Any, condition: Any, other: Any) -> Any:
    return x.chosen(condition, x, other)


def _clamp(x: Any, *limits: Any, **named: Any) -> Any:
    keys = {"min": 0, "max": 1, "a_min": 0, "a_max": 1, "low": 0, "high": 1}
    if len(limits) > 2:
        raise TypeError(f"takes two limits, not {len(limits)}")
    ends: list[Any] = [*limits, None, None][:2]
    for key, value in named.items():
        if key not in keys:
            raise TypeError(f"unexpected argument {key!r}")
        ends[keys[key]] = value
    low, high = ends
    tracer = next(value for value in (x, low, high) if isinstance(value, Tracer))
    if low is not None and high is not None:
        return _built("clip")(x, low, high)
    result = x if low is None else tracer.step("max", x, low)
    return result if high is None else tracer.step("min", result, high)


def _extreme(name: str) -> Function:
    def apply(x: Any, other: Any = None) -> Any:
        if other is None:
            refuse(f"{name} of all elements is taken; a function of one number is expected")
        return (x if isinstance(x, Tracer) else other).step(name, x, other)

    return apply


def _round(x: Any, decimals: int = 0) -> Any:
    if isinstance(decimals, Tracer):
        number = decimals.tape.number_at(decimals.index)
        decimals = -1 if number is None else int(number)
    rounded = _built("round")
    return rounded(x) if decimals == 0 else rounded(x * 10.0**decimals) / 10.0**decimals


def _logaddexp(a: Any, b: Any) -> Any:
    """max(a, b) + ln(1 + e^−|a − b|), which is softplus if one of them is 0."""
    tracer = a if isinstance(a, Tracer) else b
    first, second = tracer.of(a), tracer.of(b)
    zero = tracer.tape.number(0.0)
    if zero in (first, second):
        return _built("softplus")(b if first == zero else a)
    a, b = Tracer(tracer.tape, first), Tracer(tracer.tape, second)
    return b + _built("softplus")(a - b)


def _select(conditions: Sequence[Any], values: Sequence[Any], default: Any = 0.0) -> Any:
    """np.select: the value of the first condition that holds."""
    result = default
    for condition, value in reversed(list(zip(conditions, values, strict=True))):
        result = condition.chosen(condition, value, result)
    return result


def _softplus(x: Any, beta: Any = 1.0, threshold: Any = 20.0) -> Any:
    """PyTorch's softplus, which is x above a threshold."""
    return _of_record("softplus", x, beta, threshold)


def _dropout(x: Any, p: Any = 0.5, training: bool = True, inplace: bool = False) -> Any:
    if training:
        refuse("dropout is called, which draws at random; call .eval() on the module")
    return x


def _pow(x: Any, exponent: Any, modulo: None = None) -> Any:
    return x**exponent


def _number(value: float) -> Function:
    return lambda x, *more: Tracer(x.tape, x.tape.number(value))


def _full_like(x: Any, value: Any) -> Any:
    return Tracer(x.tape, x.of(value))


def _addc(sign: str) -> Function:
    """a + value·(b ∘ c)."""
    return lambda a, b, c, value=1.0: a + b.step(sign, b, c) * value


def _identity(x: Any, *more: Any, **options: Any) -> Any:
    return x


def _step(operation: str) -> Function:
    return lambda x: x.step(operation, x)


UNARY = ("exp", "expm1", "log", "log1p", "sqrt", "tanh", "sigmoid", "erf", "erfc", "sin", "cos", "sign", "floor")
SAME: Mapping[str, str] = {
    "abs": "absolute fabs",
    "add": "radd iadd",
    "sub": "subtract isub",
    "mul": "multiply imul",
    "div": "divide true_divide truediv itruediv",
    "neg": "negative",
    "pow": "power float_power ipow",
    "minimum": "fmin",
    "maximum": "fmax",
    "lt": "less",
    "le": "less_equal",
    "gt": "greater",
    "ge": "greater_equal",
    "eq": "equal",
    "ne": "not_equal",
    "and": "logical_and bitwise_and rand",
    "or": "logical_or bitwise_or ror",
    "not": "logical_not bitwise_not invert",
    "rsub": "rsubtract",
    "rdiv": "rtruediv",
    "remainder": "mod fmod_positive",
    "sigmoid": "expit",
    "atan": "arctan",
    "asinh": "arcsinh",
    "round": "rint around",
    "clamp": "clip",
    "trunc": "fix",
    "clamp_min": "clip_min",
    "clamp_max": "clip_max",
    "logsigmoid": "log_sigmoid log_expit",
    "float": "astype to type double contiguous clone copy detach view_as asarray array asanyarray squeeze cpu "
    "positive requires_grad nan_to_num alias atleast_1d stop_gradient type_as",
    "zeros_like": "new_zeros",
    "ones_like": "new_ones",
}
FUNCTIONS: dict[str, Function] = {
    **{name: _step(name) for name in UNARY},
    "abs": abs,
    "atan": _step("atan"),
    "asinh": _step("asinh"),
    "add": _operator("+"),
    "sub": _operator("-"),
    "mul": _operator("*"),
    "div": _operator("/"),
    "neg": lambda x: -x,
    "rsub": lambda x, other: other - x,
    "rdiv": lambda x, other: other / x,
    "pow": _pow,
    "rpow": lambda x, base: base**x,
    "floor_divide": lambda x, other: x // other,
    "remainder": lambda x, other: x % other,
    "square": lambda x: x * x,
    "reciprocal": lambda x: 1.0 / x,
    "rsqrt": lambda x: 1.0 / x.step("sqrt", x),
    "exp2": _built("exp2"),
    "log2": _built("log2"),
    "log10": lambda x: x.step("log", x) * (1.0 / math.log(10.0)),
    "cbrt": _built("cbrt"),
    "sinh": _built("sinh"),
    "cosh": _built("cosh"),
    "tan": lambda x: x.step("sin", x) / x.step("cos", x),
    "ceil": _built("ceil"),
    "round": _round,
    "trunc": lambda x: x.chosen(x < 0.0, _built("ceil")(x), x.step("floor", x)),
    "relu": _built("relu"),
    "softplus": _softplus,
    "logsigmoid": _built("log_sigmoid"),
    "ndtr": _built("normal_cdf"),
    "log_ndtr": lambda x: x.step("log", _built("normal_cdf")(x)),
    "logaddexp": _logaddexp,
    "hypot": lambda a, b: (a * a + b * b) ** 0.5,
    "heaviside": lambda x, half: x.chosen(x < 0.0, 0.0, x.chosen(x == 0.0, half, 1.0)),
    "copysign": lambda a, x: x.chosen(x < 0.0, -abs(a), abs(a)),
    "minimum": _extreme("min"),
    "maximum": _extreme("max"),
    "min": _extreme("min"),
    "max": _extreme("max"),
    "clamp": _clamp,
    "clamp_min": lambda x, low: _clamp(x, low),
    "clamp_max": lambda x, high: _clamp(x, None, high),
    "lt": _compare("<"),
    "le": _compare("<="),
    "gt": _compare(">"),
    "ge": _compare(">="),
    "eq": _compare("=="),
    "ne": _compare("!="),
    "and": lambda x, other: (x if isinstance(x, Tracer) else other).joined(
        "and", other if isinstance(x, Tracer) else x
    ),
    "or": lambda x, other: (x if isinstance(x, Tracer) else other).joined("or", other if isinstance(x, Tracer) else x),
    "not": lambda x: ~x,
    "where": _where,
    "select": _select,
    "masked_fill": lambda x, condition, value: x.chosen(condition, value, x),
    "addcmul": _addc("*"),
    "addcdiv": _addc("/"),
    "lerp": lambda a, b, weight: a + weight * (b - a),
    "zeros_like": _number(0.0),
    "ones_like": _number(1.0),
    "full_like": _full_like,
    "dropout": _dropout,
    "float": _identity,
}
FUNCTIONS |= {alias: FUNCTIONS[name] for name, aliases in SAME.items() for alias in aliases.split()}
