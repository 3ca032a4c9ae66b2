"""A case: one layer with all its parameters and assumptions."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from gradstat.assumptions import Input, Upstream
from gradstat.errors import UsageError
from gradstat.layer_types.exact.enclosure import Enclosure, to_digits, wanted_digits
from gradstat.layer_types.record import Exact, Layer, Parameter, Params, Row, Shape
from gradstat.layer_types.statistics import is_certain

EXPRESSION = "expression"  # the default name of a formula's layer, and the parameter with its text
ALWAYS_NAMED = ("kernel_size", "p")  # parameters that labels show even at their defaults
MORE_DIGITS = 10  # than wanted, where the nearest float64 is unclear
USUAL = (Input().label(), Upstream().label())


@dataclass(frozen=True)
class Case:
    """A layer, its parameters, and the assumptions about x and dy."""

    layer: Layer
    given: Params = field(default_factory=dict)
    x: Input = field(default_factory=Input)
    dy: Upstream = field(default_factory=Upstream)

    @cached_property
    def params(self) -> dict[str, Any]:
        """All parameters, including defaults."""
        return self.layer.resolve(self.given)

    @cached_property
    def shape(self) -> Shape:
        """Slots and rows of one draw."""
        return self.layer.shape(self.params)

    @property
    def constants(self) -> tuple[float, ...]:
        """The constants that the kernel receives."""
        return self.layer.constants(self.params)

    def exact(self, row: Row) -> Exact | None:
        """The referee's value of one row, or None where there is none, or none that a float can hold."""
        exact = self.moments(row)
        return exact if exact is not None and exact.is_finite else None

    def moments(self, row: Row) -> Exact | None:
        """The same with infinite and undefined moments, which say why they are; None where nothing is known."""
        key = row, wanted_digits()
        if key not in self._moments:
            try:
                self._moments[key] = self.layer.referee(self.params, row, self.x, self.dy)
            except ArithmeticError:  # a std of 1e200 or 1e-200 has no square
                self._moments[key] = None
        return self._moments[key]

    @cached_property
    def _moments(self) -> dict[tuple[Row, int], Exact | None]:
        """The moments that were asked for, by row and digits: a pilot and its run ask for the same."""
        return {}

    def certain_moments(self, row: Row, names: Iterable[str]) -> Exact | None:
        """The moments of a row, to more digits if the float64 nearest to one of these statistics is unclear."""
        exact = self.moments(row)
        if exact is None or all(is_certain(name, exact) for name in names):
            return exact
        with to_digits(wanted_digits() + MORE_DIGITS):
            return self.moments(row)

    def unsampled(self, name: str) -> Enclosure | None:
        """One of the statistics that are only computed, with the wanted digits; None where it is not known."""
        key = name, wanted_digits()
        if key not in self._unsampled:
            self._unsampled[key] = self.layer.unsampled(name, self.params, self.x)
        return self._unsampled[key]

    @cached_property
    def _unsampled(self) -> dict[tuple[str, int], Enclosure | None]:
        return {}

    def check(self) -> None:
        """Raise UsageError for parameters, a correlation or negative x that the layer does not allow."""
        reason = self.shape.correlation_error(self.x.correlation)  # the shape resolves and checks the parameters
        if reason:
            raise UsageError(f"{self.layer.name}: input correlation = {self.x.correlation:g} is not allowed: {reason}")
        reason = self.layer.negative_input_error(self.params)
        if reason and self.x.lowest < 0.0:
            uniform = f'input = {{ distribution = "uniform", mean = {2.0 * self.x.std:g}, std = {self.x.std:g} }}'
            raise UsageError(f"{self.layer.name}: {reason}, or use x that is never negative: {uniform}")

    @property
    def params_json(self) -> str:
        """The parameters as JSON, as in the result file."""
        return json.dumps(self.params, sort_keys=True)

    @property
    def label(self) -> str:
        """`leaky_relu(negative_slope=0.2), x ~ normal(0, 2)`: layer, parameters and assumptions without defaults."""
        return self.layer_label + assumptions_label(self.x.label(), self.dy.label())

    @property
    def layer_label(self) -> str:
        """`leaky_relu(negative_slope=0.2)`: layer and parameters without defaults."""
        return label_of(self.layer.name, self.params, self.layer.parameters)


def label_of(name: str, params: Params, parameters: Sequence[Parameter] = ()) -> str:
    """`max_pool2d(kernel_size=3)`: a layer's name with the parameters that differ from their defaults.

    The label of an expression is its formula, `x * sigmoid(beta * x), beta=1.702`, after its name if it has one.
    """
    usual = {parameter.name: parameter.default for parameter in parameters}
    words = [
        f"{key}={value if isinstance(value, str) else json.dumps(value)}"
        for key, value in params.items()
        if key != EXPRESSION and value is not None and (key in ALWAYS_NAMED or key not in usual or value != usual[key])
    ]
    if EXPRESSION in params:
        prefix = "" if name == EXPRESSION else f"{name}: "
        return prefix + ", ".join([str(params[EXPRESSION]), *words])
    return f"{name}({', '.join(words)})" if words else name


def assumptions_label(x: str, dy: str, usual: tuple[str, str] = USUAL) -> str:
    """`, x ~ normal(0, 2), dy ~ laplace(0, 1)`: the assumptions about x and dy that differ from `usual`."""
    told = [(name, text) for name, text, default in zip(("x", "dy"), (x, dy), usual, strict=True) if text != default]
    return "".join(f", {name} ~ {text}" for name, text in told)
