"""A case: one layer with every parameter and assumption settled."""

import json
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from gradstat.assumptions import Input, Upstream
from gradstat.errors import UsageError
from gradstat.layer_types.exact.distributions import lowest
from gradstat.layer_types.record import Exact, Layer, Params, Row, Shape


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
        if reason and lowest(self.x) < 0.0:
            uniform = f'input = {{ distribution = "uniform", mean = {2.0 * self.x.std:g}, std = {self.x.std:g} }}'
            raise UsageError(f"{self.layer.name}: {reason}, or x that is never negative: {uniform}")

    @property
    def params_json(self) -> str:
        """The parameters as the result file spells them."""
        return json.dumps(self.params, sort_keys=True)

    @property
    def title(self) -> str:
        """`leaky_relu(negative_slope=0.2)`: the name with the parameters that were given."""
        inner = ", ".join(f"{key}={json.dumps(value)}" for key, value in self.given.items())
        return f"{self.layer.name}({inner})" if inner else self.layer.name
