"""Statistics of y = f(x) that need x or the slope itself: E[f′], the covariance of x and y, sup |f′|."""

from collections.abc import Callable
from fractions import Fraction
from typing import Any

from gradstat.assumptions import Input
from gradstat.layer_types.exact.enclosure import Enclosure, wanted_digits
from gradstat.layer_types.exact.integrand import Formula, Standardized
from gradstat.layer_types.exact.means import mean_of
from gradstat.layer_types.exact.steepest import steepest

MEANS: dict[str, Callable[[Any, Any, Any, Any], tuple[Any, Any]]] = {
    "slope_mean": lambda z, std, y, s: (s, 0.0),
    "cov_xy": lambda z, std, y, s: (std * z * y, 0.0),
    "radial": lambda z, std, y, s: (std * z * y * s, 0.0),
    "second_moment": lambda z, std, y, s: (y * y, 0.0),
}  # integrands, of z = (x − E[x])/σ


def value_of(
    name: str, formula: Formula, constants: tuple[float, ...], kinks: tuple[float, ...], x: Input
) -> Enclosure | None:
    """A statistic of `statistics.UNSAMPLED` with the wanted digits; None where nothing could be shown."""
    if name == "lipschitz":
        found = steepest(formula, constants, kinks, x)
        return None if found is None else found.enclosure
    if name != "chi":
        return _mean(name, formula, constants, kinks, x)
    radial, second = (_mean(part, formula, constants, kinks, x) for part in ("radial", "second_moment"))
    return None if radial is None or second is None else radial / second


def _mean(
    name: str, formula: Formula, constants: tuple[float, ...], kinks: tuple[float, ...], x: Input
) -> Enclosure | None:
    mean, std = Fraction(repr(x.mean)), Fraction(repr(x.std))
    places = tuple((Fraction(repr(kink)) - mean) / std for kink in (0.0, *kinks))
    standardized = Standardized(formula, MEANS[name])
    return mean_of(standardized, (mean, std, *constants), places, Input(x.distribution), wanted_digits() + 2)
