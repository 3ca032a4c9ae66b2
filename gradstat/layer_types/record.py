"""The record of a layer: everything that other modules need to know about it."""

import inspect
import math
import reprlib
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from gradstat.assumptions import Input, Upstream
from gradstat.errors import UsageError, unknown
from gradstat.layer_types.exact.enclosure import Enclosure

Params = Mapping[str, Any]
FORWARD, BACKWARD = "forward", "backward"
ALL = "all"
MOST_KEPT = 4096  # weights, or other noise, of one draw that a kernel keeps: 1024 lanes take 32 MB


@dataclass(frozen=True)
class Domain:
    """The allowed values of a parameter: a description, a predicate, and the words if the values are words."""

    description: str
    contains: Callable[[Any], bool]
    choices: tuple[str, ...] = ()

    def __and__(self, other: "Domain") -> "Domain":
        return Domain(f"{self.description}, {other.description}", lambda v: self.contains(v) and other.contains(v))


ANYTHING = Domain("anything", lambda v: True)


@dataclass(frozen=True)
class Parameter:
    """One parameter of a layer, with PyTorch's name, its default and its allowed values."""

    name: str
    default: Any
    domain: Domain


@dataclass(frozen=True)
class Row:
    """One row of a result: a direction, and the slots (positions within a draw) that it pools."""

    direction: str
    cell: str
    slots: Sequence[int]
    windows: float | None = None  # of a strided map: the number of windows that cover the cell


@dataclass(frozen=True)
class Stream:
    """Weights that are drawn two at a time and not kept: `rows` rows of `length` weights each.

    The weights of a pair are slots 0 and 1 of the noise that the kernel receives, and `kept` slots follow, which it
    finds as it left them. With norms, all weights of `span` rows are drawn twice: first to add up their squares.
    """

    rows: int
    length: int
    kind: str  # "normal", "uniform" on (0, 1), or "flat": the kernel makes the weights
    kept: int = 0  # slots for norms; 0: no norms
    span: int = 1  # rows whose norms are kept at the same time

    @property
    def weights(self) -> int:
        """The number of weights of one draw."""
        return self.rows * self.length


@dataclass(frozen=True)
class Shape:
    """The numbers of one draw of a layer: slots of x, dy and noise, and the rows of y and dx."""

    n_in: int = 1
    n_out: int = 1
    noise: int = 0
    noise_kind: str = "uniform"  # on (0, 1), or "normal": standard normal
    grid: tuple[int, ...] = ()  # x is a dense map of these sizes, last dimension fastest, after any channels;
    # neighbours on it have the correlation of the assumptions
    equicorrelated: bool = False  # without a map: every pair of inputs has this correlation; False: it is refused
    rows: tuple[Row, ...] = (Row(FORWARD, ALL, (0,)), Row(BACKWARD, ALL, (0,)))
    stream: Stream | None = None  # more weights than a draw can hold as noise

    @property
    def is_large(self) -> bool:
        """True if a draw has more weights than a kernel keeps; to sample many draws then takes hours."""
        return self.stream is not None or self.noise > MOST_KEPT

    @property
    def numbers(self) -> int:
        """The numbers in one draw: x, dy and noise, or the weights of a stream."""
        return self.n_in + self.n_out + (self.stream.weights if self.stream else self.noise)

    @classmethod
    def pooled(
        cls, n_in: int, n_out: int, noise: int = 0, noise_kind: str = "uniform", equicorrelated: bool = False
    ) -> "Shape":
        """One forward row of all outputs, one backward row of all inputs."""
        rows = (Row(FORWARD, ALL, range(n_out)), Row(BACKWARD, ALL, range(n_in)))
        return cls(n_in, n_out, noise, noise_kind, equicorrelated=equicorrelated, rows=rows)

    def correlation_error(self, correlation: float) -> str:
        """The reason why the inputs cannot have this correlation; "" if they can. One input has none."""
        if self.grid or self.n_in == 1 or not correlation:
            return ""
        if not self.equicorrelated:
            return "its inputs are independent; expected 0"
        if correlation <= -1.0 / (self.n_in - 1):
            return f"{self.n_in} inputs cannot all have it in pairs; expected more than -1/{self.n_in - 1}"
        return ""


@dataclass(frozen=True)
class Exact:
    """Deterministic values of one row: mean and variance; E|v|, E|v − E[v]|, kurtosis and skewness where known.

    `enclosures` holds those that are proven, by the same names: bounds, or why there is no finite value. A value
    without one is a float quadrature's, good to 10⁻¹³.
    """

    mean: float
    var: float
    abs_mean: float | None = None
    mad: float | None = None
    kurtosis: float | None = None
    skewness: float | None = None
    enclosures: Mapping[str, Enclosure] = field(default_factory=dict, compare=False, repr=False)

    @classmethod
    def proven(
        cls,
        mean: Enclosure,
        var: Enclosure,
        abs_mean: Enclosure | None = None,
        mad: Enclosure | None = None,
        kurtosis: Enclosure | None = None,
        skewness: Enclosure | None = None,
    ) -> "Exact":
        """The float nearest to each enclosure; infinite values are ±inf, undefined ones NaN."""
        given = {"mean": mean, "var": var, "abs_mean": abs_mean, "mad": mad, "kurtosis": kurtosis, "skewness": skewness}
        enclosures = {name: value for name, value in given.items() if value is not None}
        a, b, c, d = (None if value is None else float(value) for value in (abs_mean, mad, kurtosis, skewness))
        c, d = (value if value is None or math.isfinite(value) else None for value in (c, d))
        return cls(float(mean), float(var), a, b, c, d, enclosures)

    @property
    def is_finite(self) -> bool:
        """True where mean and variance are numbers that a float can hold."""
        return math.isfinite(self.mean) and math.isfinite(self.var)


class Referee(Protocol):
    """The exact values of a row; None without a closed form or quadrature."""

    def __call__(self, params: Params, row: Row, x: Input, dy: Upstream) -> Exact | None: ...


Unsampled = Callable[[str, Params, Input], Enclosure | None]  # a statistic that is only computed; None if unknown


def no_unsampled(name: str, params: Params, x: Input) -> Enclosure | None:
    """Of a layer that is no scalar formula."""
    return None


def no_referee(params: Params, row: Row, x: Input, dy: Upstream) -> Exact | None:
    """The referee of a layer without exact values."""
    return None


def unit_shape(params: Params) -> Shape:
    """The shape of a layer with one x, one dy and no noise."""
    return Shape()


def all_values(params: Params) -> tuple[float, ...]:
    """All parameters as numbers, in the order of the record."""
    return tuple(float(value) for value in params.values())


@dataclass(frozen=True)
class Layer:
    """A layer. `kernel` is plain Python that numba can compile.

    Elementwise: kernel(x, *constants) → (y, dy/dx) on scalars (and on arrays, for the referee).
    Otherwise: kernel(constants, x, dy, noise, y, dx) over arrays [slot, lane], filling y and dx. If the shape has a
    stream: kernel(step, constants, x, dy, noise, y, dx), called for every pair of weights with y and dx at 0 before;
    step is (phase, row, pair).
    """

    name: str
    formula: str
    backward: str
    torch: str
    kernel: Callable[[Params], Callable[..., Any]]
    elementwise: bool
    referee: Referee = no_referee
    unsampled: Unsampled = no_unsampled
    referee_words: str = "none"
    parameters: tuple[Parameter, ...] = ()
    constraint: Domain = ANYTHING  # condition on all parameters together, as a mapping
    aliases: tuple[str, ...] = ()
    presets: Mapping[str, Params] = field(default_factory=dict, hash=False)  # name → the parameters that it implies
    shape: Callable[[Params], Shape] = unit_shape
    constants: Callable[[Params], tuple[float, ...]] = all_values
    kinks: Callable[[Params], tuple[float, ...]] = field(default=lambda params: ())
    negative_input_error: Callable[[Params], str] = field(
        default=lambda params: ""
    )  # the reason why x must not be negative; "" if it may be
    source: str = ""  # the publication that defines it, if PyTorch does not

    def resolve(self, given: Params) -> dict[str, Any]:
        """All parameters with their values, including defaults; UsageError for unknown names and values not allowed."""
        known = {parameter.name: parameter for parameter in self.parameters}
        for name in given:
            if name not in known:
                raise UsageError(unknown(f"parameter of {self.name}", name, known))
        values = {}
        for parameter in self.parameters:
            value = given.get(parameter.name, parameter.default)
            if not parameter.domain.contains(value):
                allowed = parameter.domain.description
                found = reprlib.repr(value)
                raise UsageError(f"{self.name}: {parameter.name} = {found} is not allowed; expected {allowed}")
            values[parameter.name] = value
        if not self.constraint.contains(values):
            words = ", ".join(f"{name} = {value!r}" for name, value in values.items())
            raise UsageError(f"{self.name}: {words} is not allowed; expected {self.constraint.description}")
        return values


def parameters_of(function: Callable[..., Any], domains: Mapping[str, Domain]) -> tuple[Parameter, ...]:
    """The parameters of a scalar formula: its arguments after x, with their defaults."""
    arguments = list(inspect.signature(function).parameters.values())[1:]
    return tuple(Parameter(a.name, a.default, domains.get(a.name, REAL)) for a in arguments)


def _is_real(value: Any) -> bool:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return is_number and abs(value) <= sys.float_info.max  # an int can be too large for a float


REAL = Domain("a finite number", _is_real)
POSITIVE = Domain("a number above 0", lambda v: _is_real(v) and v > 0)
NOT_NEGATIVE = Domain("a number of at least 0", lambda v: _is_real(v) and v >= 0)
NOT_ZERO = Domain("a number other than 0", lambda v: _is_real(v) and v != 0)
PROBABILITY = Domain("a number in [0, 1)", lambda v: _is_real(v) and 0 <= v < 1)
DROP_PROBABILITY = Domain("a number in [0, 1]", lambda v: _is_real(v) and 0 <= v <= 1)
FLAG = Domain("true or false", lambda v: isinstance(v, bool))


def whole(low: int, high: int) -> Domain:
    """A whole number from `low` to `high`."""
    return Domain(
        f"a whole number from {low} to {high}",
        lambda v: isinstance(v, int) and not isinstance(v, bool) and low <= v <= high,
    )


def one_of(*choices: str) -> Domain:
    """A domain of words."""
    return Domain(" or ".join(f'"{choice}"' for choice in choices), lambda v: v in choices, choices)
