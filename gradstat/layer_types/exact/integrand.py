"""The formula of a layer and the density of x as one function that every number type can run."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import cached_property
from types import FunctionType
from typing import Any

from flint import arb, fmpq

from gradstat.assumptions import Input
from gradstat.layer_types.exact.constants import rational
from gradstat.layer_types.exact.enclosure import Enclosure
from gradstat.layer_types.exact.traced import Traced

Formula = Callable[..., Any]
CANNOT_RUN = (ArithmeticError, AttributeError, NotImplementedError, TypeError, ValueError)  # of a formula
Constant = float | Fraction | Enclosure  # an enclosure stands for every number within its bounds
Triple = tuple[Traced, Traced, Traced]  # p(x), y, dy/dx


@dataclass(frozen=True)
class Integrand:
    """x ↦ (p(x), y, dy/dx)."""

    formula: Formula
    constants: tuple[Constant, ...]
    x: Input
    kinks: tuple[float | Fraction, ...] = ()
    level: arb | None = None  # subtracted from y

    def on(self, like: Traced) -> Callable[[Traced], Triple]:
        """The function for quantities of the run that `like` belongs to; its constants are made once."""
        values = self.values(like)
        density = DENSITIES[self.x.distribution](like, like.of(self.x.mean), like.of(self.x.std))

        def run(x: Traced) -> Triple:
            y, slope = values(x)
            return density(x), y, slope

        return run

    def values(self, like: Traced) -> Callable[[Traced], tuple[Any, Any]]:
        """x ↦ (y, dy/dx) alone."""
        formula = exact_constants(self.formula, like)
        constants = tuple(like.of(value) for value in self.constants)
        level = None if self.level is None else like.of(self.level)

        def run(x: Traced) -> tuple[Traced, Traced]:
            y, slope = formula(x, *constants)
            y, slope = like.of(y), like.of(slope)
            return (y if level is None else y - level), slope

        return run

    @cached_property
    def hints(self) -> tuple[fmpq, ...]:
        """Where a sign may change: the declared kinks, 0 and the mean. They save a search and are not relied on."""
        places = {rational(place) for place in (*self.kinks, 0.0, self.x.mean)}
        return tuple(sorted(place for place in places if place is not None))


@dataclass(frozen=True)
class Standardized:
    """(z, m, s, *constants) ↦ rule(z, s, y, dy/dx, …), where (y, dy/dx, …) = formula(m + s·z, *constants).

    So m and s may be any number, or an enclosure, while z has mean 0 and std 1.
    """

    formula: Formula
    rule: Callable[..., tuple[Any, Any]]

    def __call__(self, z: Any, mean: Any, std: Any, *constants: Any) -> tuple[Any, Any]:
        return self.rule(z, std, *self.formula(mean + std * z, *constants))


def exact_constants(function: Formula, like: Traced) -> Formula:
    """The function with the floats of its module as exact numbers, and so its `parts` (`registration.pair`)."""
    if isinstance(function, Standardized):
        return replace(function, formula=exact_constants(function.formula, like))
    if not isinstance(function, FunctionType):
        return function
    parts = getattr(function, "parts", ())
    around = function.__globals__
    names = {name: around[name] for name in function.__code__.co_names if name in around}
    exact: dict[str, Any] = {name: like.of(value) for name, value in names.items() if isinstance(value, float)}
    exact |= {name: exact_constants(value, like) for name, value in names.items() if value in parts}
    if not exact:
        return function
    return FunctionType(
        function.__code__, around | exact, function.__name__, function.__defaults__, function.__closure__
    )


def _normal(like: Traced, mean: Traced, std: Traced) -> Callable[[Traced], Traced]:
    """e^(−z²/2)/(√(2π)σ)."""
    scale = (like.of(2) * like.of(PI)).sqrt_positive().times(std).inverse()
    inverse, half = std.inverse(), like.of(-0.5)

    def density(x: Traced) -> Traced:
        z = x.minus(mean).times(inverse)
        return z.times(z).times(half).exp().times(scale)

    return density


def _laplace(like: Traced, mean: Traced, std: Traced) -> Callable[[Traced], Traced]:
    """e^(−√2|z|)/(√2σ)."""
    root = like.of(2).sqrt_positive()
    scale, rate = root.times(std).inverse(), root.times(std.inverse())

    def density(x: Traced) -> Traced:
        return x.minus(mean).absolute().times(rate).negative().exp().times(scale)

    return density


def _logistic(like: Traced, mean: Traced, std: Traced) -> Callable[[Traced], Traced]:
    """c·e/((1 + e)²σ) with c = π/√3 and e = e^(−c|z|)."""
    rate = like.of(PI).times(like.of(3).sqrt_positive().inverse()).times(std.inverse())
    one = like.of(1)

    def density(x: Traced) -> Traced:
        e = x.minus(mean).absolute().times(rate).negative().exp()
        upper = one.plus(e).inverse()
        return e.times(upper).times(upper).times(rate)

    return density


def _uniform(like: Traced, mean: Traced, std: Traced) -> Callable[[Traced], Traced]:
    """1/(2√3σ)."""
    height = like.of(2).times(like.of(3).sqrt_positive()).times(std).inverse()
    return lambda x: height


PI = 3.141592653589793  # stands for π (`constants`)
DENSITIES = {"normal": _normal, "laplace": _laplace, "logistic": _logistic, "uniform": _uniform}
