"""An expression → the record of a layer."""

import re
from collections.abc import Sequence

from gradstat.assumptions import Input, Upstream
from gradstat.errors import UsageError, within
from gradstat.layer_types.case import EXPRESSION
from gradstat.layer_types.elementwise import Formula, exact, unsampled
from gradstat.layer_types.exact.enclosure import Enclosure
from gradstat.layer_types.expression.derivative import Program, program, with_falling_slopes
from gradstat.layer_types.expression.domain import check_finite, kinks
from gradstat.layer_types.expression.emit import function_of
from gradstat.layer_types.expression.tape import quoted
from gradstat.layer_types.record import REAL, Domain, Exact, Layer, Parameter, Params, Row

_ALLOWED_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,63}")


def expression_layer(text: str, names: Sequence[str] = (), name: str = EXPRESSION) -> Layer:
    """The layer y = text with these parameters; UsageError for anything outside the grammar."""
    if _ALLOWED_NAME.fullmatch(name) is None:
        raise UsageError(f"name = {quoted(name)}: letters, digits and _ are allowed, at most 64")
    exponents = program(text, names).exponents

    def compiled(params: Params) -> Program:
        """The program with the values of parameters in exponents: x ** 2 is a product, x ** 2.5 is not."""
        return program(text, names, {n: float(params[n]) for n in names if n in exponents})

    def constants(params: Params) -> tuple[float, ...]:
        return tuple(float(params[n]) for n in names)

    def kernel(params: Params) -> Formula:
        return function_of(compiled(params), names)

    def kinks_of(params: Params, x: Input) -> tuple[float, ...]:
        return kinks(compiled(params), dict(zip(names, constants(params), strict=True)), x)

    def referee(params: Params, row: Row, x: Input, dy: Upstream) -> Exact | None:
        return exact(kernel(params), constants(params), (), row, x, dy)

    def unsampled_values(name: str, params: Params, x: Input) -> Enclosure | None:
        function = function_of(with_falling_slopes(compiled(params)), names)
        return unsampled(name, function, constants(params), (), x)

    return Layer(
        name=name,
        formula=f"y = {text}",
        backward="dx = dy · f′(x)",
        torch="",
        kernel=kernel,
        elementwise=True,
        referee=referee,
        unsampled=unsampled_values,
        referee_words="proven integral",
        parameters=(Parameter(EXPRESSION, text, _exactly(text)), *(Parameter(n, None, REAL) for n in names)),
        constants=constants,
        kinks=lambda params: kinks_of(params, Input()),
    )


def check(layer: Layer, params: Params, x: Input) -> None:
    """Raise UsageError if the expression is not finite for these parameters and an x that can be drawn."""
    names = [parameter.name for parameter in layer.parameters[1:]]
    text = str(params[EXPRESSION])
    numbers = {n: float(params[n]) for n in names}
    exponents = program(text, names).exponents
    settled = program(text, names, {n: v for n, v in numbers.items() if n in exponents})
    with within(f"expression {quoted(text)}"):
        check_finite(settled, numbers, x)


def _exactly(text: str) -> Domain:
    return Domain(quoted(text), lambda value: value == text)
