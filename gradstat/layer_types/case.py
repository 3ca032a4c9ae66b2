"""A case: one layer with every parameter and assumption settled."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from gradstat.assumptions import Input, Upstream
from gradstat.errors import UsageError
from gradstat.layer_types.record import Exact, Layer, Parameter, Params, Row, Shape

EXPRESSION = "expression"  # the name of layers that are a formula, and of the parameter that holds it
ALWAYS_NAMED = ("kernel_size", "p")  # parameters that people name even where they are the default
USUAL = (Input().label(), Upstream().label())


@dataclass(frozen=True)
class Case:
    """One question: a layer, its parameters, and what is assumed of x and dy."""

    layer: Layer
    given: Params = field(default_factory=dict)
    x: Input = field(default_factory=Input)
    dy: Upstream = field(default_factory=Upstream)

    @cached_property
    def params(self) -> dict[str, Any]:
        """Every parameter, defaults too."""
        return self.layer.resolve(self.given)

    @cached_property
    def shape(self) -> Shape:
        """Slots and rows of one draw."""
        return self.layer.shape(self.params)

    @property
    def constants(self) -> tuple[float, ...]:
        """The numbers that the kernel receives."""
        return self.layer.constants(self.params)

    def exact(self, row: Row) -> Exact | None:
        """The referee's value of one row, or None where there is none, or none that a float can hold."""
        exact = self.moments(row)
        return exact if exact is not None and exact.is_finite else None

    def moments(self, row: Row) -> Exact | None:
        """The same with infinite and undefined moments, which say why they are; None where nothing is known."""
        try:
            return self.layer.referee(self.params, row, self.x, self.dy)
        except ArithmeticError:  # a std of 1e200 or 1e-200 has no square
            return None

    def check(self) -> None:
        """UsageError for parameters that are impossible, and where x can be negative and the layer makes NaN of it."""
        _ = self.shape  # settles the parameters and checks how they go together
        reason = self.layer.negative_input_error(self.params)
        if reason and self.x.lowest < 0.0:
            uniform = f'input = {{ distribution = "uniform", mean = {2.0 * self.x.std:g}, std = {self.x.std:g} }}'
            raise UsageError(f"{self.layer.name}: {reason}, or x that is never negative: {uniform}")

    @property
    def params_json(self) -> str:
        """The parameters as the result file spells them."""
        return json.dumps(self.params, sort_keys=True)

    @property
    def label(self) -> str:
        """`leaky_relu(negative_slope=0.2), x ~ normal(0, 2)`: layer, parameters and assumptions without defaults."""
        return self.layer_label + assumptions_label(self.x.label(), self.dy.label())

    @property
    def layer_label(self) -> str:
        """`leaky_relu(negative_slope=0.2)`: the same without assumptions."""
        return label_of(self.layer.name, self.params, self.layer.parameters)


def label_of(name: str, params: Params, parameters: Sequence[Parameter] = ()) -> str:
    """`max_pool2d(kernel_size=3)`: the layer of this name, with parameters that are not at the default of their record.

    An expression is its formula: `x * sigmoid(beta * x), beta=1.702`, after its name where it was given one.
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
    """`, x ~ normal(0, 2), dy ~ laplace(0, 1)`: what is assumed of x and dy where that is not `usual`."""
    told = [(name, text) for name, text, default in zip(("x", "dy"), (x, dy), usual, strict=True) if text != default]
    return "".join(f", {name} ~ {text}" for name, text in told)
