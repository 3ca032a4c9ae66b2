"""Elementwise layers: a scalar formula x ↦ (y, dy/dx) → a record with exact values."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from gradstat.assumptions import Input, Upstream
from gradstat.layer_types.exact import upstream
from gradstat.layer_types.exact.enclosure import Enclosure, enclosure
from gradstat.layer_types.record import (
    ANYTHING,
    FORWARD,
    Domain,
    Exact,
    Layer,
    Parameter,
    Params,
    Row,
    one_of,
    parameters_of,
)

if TYPE_CHECKING:
    from gradstat.layer_types.exact.moments import Moments

Formula = Callable[..., Any]
Kinks = tuple[float, ...] | Callable[..., tuple[float, ...]]

ACTIVATIONS: dict[str, Layer] = {}


def activation(
    *,
    formula: str,
    kinks: Kinks = (),
    domains: Mapping[str, Domain] | None = None,
    variants: tuple[str, Mapping[str, Formula | None]] | None = None,
    constraint: Domain = ANYTHING,
    torch: str | None = None,
    source: str = "",
    aliases: tuple[str, ...] = (),
    presets: Mapping[str, Params] | None = None,
    referee: Formula | None = None,
) -> Callable[[Formula], Formula]:
    """Decorator: add a scalar formula to the table of activations, under the name of the function.

    kinks: the points where the formula or one of its derivatives jumps; a tuple or a function of the parameters.
    domains: the allowed values of each parameter (default: finite numbers).
    constraint: a condition on all parameters together.
    variants: (parameter, {word: formula}) if a word chooses the formula; None is the decorated formula.
    torch: PyTorch's name, if it is not `torch.nn.functional.` and the name; "" if PyTorch does not have the layer.
    source: the publication that defines the layer, if PyTorch does not.
    presets: names for this layer with given parameters, such as gelu_tanh.
    referee: the same formula, spelled so that its bounds over an interval are narrower; for exact values only.
    """

    def register(function: Formula) -> Formula:
        name = function.__name__
        ACTIVATIONS[name] = elementwise(
            name,
            function,
            formula=formula,
            kinks=kinks,
            domains=domains or {},
            variants=variants,
            constraint=constraint,
            torch=f"torch.nn.functional.{name}" if torch is None else torch,
            source=source,
            aliases=aliases,
            presets=presets or {},
            referee=referee,
        )
        return function

    return register


def elementwise(
    name: str,
    function: Formula,
    *,
    formula: str,
    kinks: Kinks,
    domains: Mapping[str, Domain],
    variants: tuple[str, Mapping[str, Formula | None]] | None,
    constraint: Domain,
    torch: str,
    source: str,
    aliases: tuple[str, ...],
    presets: Mapping[str, Params],
    referee: Formula | None = None,
) -> Layer:
    """The record of a scalar formula."""
    numbers = parameters_of(function, domains)
    word, formulas = variants or ("", {})
    words = (Parameter(word, next(iter(formulas)), one_of(*formulas)),) if variants else ()

    def kernel(params: Params) -> Formula:
        return formulas.get(params.get(word, "")) or function

    def constants(params: Params) -> tuple[float, ...]:
        return tuple(float(params[parameter.name]) for parameter in numbers)

    def kinks_of(params: Params) -> tuple[float, ...]:
        return kinks(*constants(params)) if callable(kinks) else kinks

    def exact_values(params: Params, row: Row, x: Input, dy: Upstream) -> Exact | None:
        return exact(referee or kernel(params), constants(params), kinks_of(params), row, x, dy)

    def unsampled_values(name: str, params: Params, x: Input) -> Enclosure | None:
        return unsampled(name, referee or kernel(params), constants(params), kinks_of(params), x)

    return Layer(
        name=name,
        formula=f"y = {formula}",
        backward="dx = dy · f′(x)",
        torch=torch,
        source=source,
        kernel=kernel,
        elementwise=True,
        referee=exact_values,
        unsampled=unsampled_values,
        referee_words="proven integral",
        parameters=numbers + words,
        constraint=constraint,
        aliases=aliases,
        presets=presets,
        constants=constants,
        kinks=kinks_of,
    )


def exact(
    function: Formula, constants: tuple[float, ...], kinks: tuple[float, ...], row: Row, x: Input, dy: Upstream
) -> Exact | None:
    """Moments of y = f(x), or of dx = dy·f′(x), over the distribution of x, by integrals with proven bounds."""
    from gradstat.layer_types.exact.moments import moments  # loads flint

    known = moments(function, constants, kinks, x)
    return None if known is None else of_moments(known, row.direction, dy)


def unsampled(
    name: str, function: Formula, constants: tuple[float, ...], kinks: tuple[float, ...], x: Input
) -> Enclosure | None:
    """A statistic of y = f(x) and x that is only computed: those of `statistics.UNSAMPLED`."""
    from gradstat.layer_types.exact.with_x import value_of  # loads flint

    return value_of(name, function, constants, kinks, x)


def of_moments(known: "Moments", direction: str, dy: Upstream) -> Exact | None:
    """The moments of y, or those of dx = dy·f′(x)."""
    if direction == FORWARD:
        if known.mean is None or known.var is None:
            return None
        return Exact.proven(known.mean, known.var, known.abs_mean, known.mad, known.kurtosis, known.skewness)
    square, fourth = known.slope_second, known.slope_fourth
    if square is None:
        return None
    spread = None if known.slope_abs is None else known.slope_abs * upstream.abs_mean(dy)
    kurtosis = None if fourth is None or not float(square) else fourth / square.squared() * upstream.kurtosis(dy)
    return Exact.proven(enclosure(0), square, spread, spread, kurtosis)
