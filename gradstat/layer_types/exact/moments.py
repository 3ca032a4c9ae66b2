"""The moments of y and of dy/dx for a formula of one x, as enclosures."""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import lru_cache
from typing import Any

from flint import arb, ctx

from gradstat.assumptions import Input
from gradstat.layer_types.exact.cancellation import cancelled
from gradstat.layer_types.exact.constants import ball
from gradstat.layer_types.exact.enclosure import Enclosure, wanted_digits
from gradstat.layer_types.exact.engine import DISTANCE, NAMES, Engine, Integral, powers, reach_of
from gradstat.layer_types.exact.integrand import CANNOT_RUN, Constant, Formula, Integrand
from gradstat.layer_types.exact.panels import Panels
from gradstat.layer_types.exact.pieces import Piece
from gradstat.layer_types.exact.precision import LOCK, short_end
from gradstat.layer_types.exact.spans import Hull
from gradstat.layer_types.exact.traced import Trace, Undecided, Undefined
from gradstat.layer_types.exact.waves import Wave

MARGIN = 10  # bits beyond the wanted digits
GUARDS = (64, 200, 500, 1400)  # bits of the working precision beyond those of the integrals, one attempt each
MOST_WORK = 50_000  # runs of the formula
SCALES = (1e-30, 1e30)  # of x: beyond, features of a formula at unit scale are not looked for
BLURRED = arb(2) ** -24  # relative: a value that is off by more is no value
REACH_BITS = 64  # by which the density at the beginning of a tail is smaller at each further attempt
SHAPE_BITS = 34  # certain ones of skewness and kurtosis
LARGEST_ANGLE = 270.0  # in radians: waves that turn farther within the reach of x are not integrated panel by panel
NOTHING = arb(2) ** -200  # of |μ|: a standard deviation below is rounding


@dataclass(frozen=True)
class Moments:
    """Of y and of s = dy/dx, each an enclosure; None where nothing is known."""

    mean: Enclosure | None
    var: Enclosure | None
    abs_mean: Enclosure | None
    mad: Enclosure | None
    skewness: Enclosure | None
    kurtosis: Enclosure | None
    slope_abs: Enclosure | None
    slope_second: Enclosure | None
    slope_fourth: Enclosure | None


def moments(
    formula: Formula, constants: tuple[Constant, ...], kinks: tuple[float | Fraction, ...], x: Input, digits: int = 0
) -> Moments | None:
    """All moments of y and dy/dx for (y, dy/dx) = formula(x, *constants), to the wanted digits as far as they exist.

    kinks: where a sign may change, as a hint. None where nothing could be shown.
    """
    return _known(formula, constants, kinks, replace(x, correlation=0.0), digits or wanted_digits())


@lru_cache(maxsize=512)
def _known(
    formula: Formula, constants: tuple[Constant, ...], kinks: tuple[float | Fraction, ...], x: Input, digits: int
) -> Moments | None:
    if not SCALES[0] <= x.std <= SCALES[1]:
        return None
    integrand = Integrand(formula, constants, x, kinks)
    with LOCK:
        try:
            return _moments_of_waves(integrand, digits) or _moments(integrand, digits)
        except Undefined as error:
            return Moments(*[Enclosure.undefined(str(error))] * 9)
        except CANNOT_RUN:
            return None


def _moments_of_waves(integrand: Integrand, digits: int) -> Moments | None:
    """Those of polynomials, sines and cosines with many periods; without those of |y|, |y − μ| and |dy/dx|."""
    wanted = int(3.33 * digits) + 3
    far = int(math.log2(1.0 + abs(integrand.x.mean) / integrand.x.std))
    reach = min(reach_of(integrand.x, wanted + MARGIN), integrand.x.law.highest)
    for guard in GUARDS:
        with ctx.workprec(wanted + guard + 4 * far):
            x = Wave.variable(integrand.x)
            try:
                y, slope = integrand.values(x)(x)
                if arb(max(y.fastest, slope.fastest)) * reach < LARGEST_ANGLE:
                    return None
                shift = _value_at_mean(integrand)
                values = powers(shift).of(x.of(1), y, slope, (1, 1))
                means = [value.expected(integrand.x.distribution) for value in values]
            except (*CANNOT_RUN, Undecided):
                return None
            parts = {name: Integral(mean) for name, mean in zip(NAMES, means, strict=True)}
            for name in ("abs", "slope_abs"):
                parts[name].unknown = "its sign changes too often"
            central = Central(parts, shift)
            if central.is_sharp(wanted):
                return central.moments(None)
    return None


def _moments(integrand: Integrand, digits: int) -> Moments:
    wanted = int(3.33 * digits) + 3
    far = int(math.log2(1.0 + abs(integrand.x.mean) / integrand.x.std))
    lost = cancelled(integrand, wanted + MARGIN + GUARDS[0] + far, GUARDS[-1])
    guards = sorted({max(guard, lost + GUARDS[0]) for guard in GUARDS})
    work = 0
    for attempt, guard in enumerate(guards):
        bits = wanted + MARGIN + 12 * attempt
        with ctx.workprec(bits + guard + far):
            shift = _value_at_mean(integrand)
            reach = reach_of(integrand.x, bits + 4 * lost + REACH_BITS * attempt)
            engine = Engine(integrand, powers(shift), bits, reach, MOST_WORK - work)
            central = Central(dict(zip(NAMES, engine.run(), strict=True)), shift)
            work += engine.panels.work
            if central.is_sharp(wanted) or attempt == len(guards) - 1 or work > MOST_WORK / 2:
                return central.moments(_mad(engine, central, shift))
    raise AssertionError


def _value_at_mean(integrand: Integrand) -> arb:
    """y at the mean of x, or 0: moments about it do not cancel where y hardly changes."""
    mean = ball(integrand.x.mean).mid()
    x = Hull(mean, mean, Trace())
    try:
        y: Any = integrand.on(x)(x)[1]
        value = ((y.lo + y.hi) / 2).mid()
        return value if value.is_finite() else arb(0)
    except (ArithmeticError, Undefined):
        return arb(0)


def _mad(engine: Engine, central: "Central", shift: arb) -> Enclosure | None:
    """E|y − μ|: y less the middle of the enclosure of μ, and its radius as an error."""
    if not central.mean.is_finite or not central.parts["abs"].is_finite:
        return enclosed(central.parts["abs"], arb(0)) if central.parts["abs"].diverges else None
    mean = central.mean.value
    level = mean.mid() if not mean.contains(0) else arb(0)
    total = _from_panels(engine, shift, level)
    if total is None:
        try:
            integral, *_ = Engine(
                replace(engine.integrand, level=level), DISTANCE, engine.bits, engine.reach, MOST_WORK
            ).run()
        except (ArithmeticError, Undefined):
            return None
        if not integral.is_finite:
            return None
        total = integral.value
    return enclosed(Integral(total + arb(0, abs(mean - level).upper())), abs(mean).upper() * NOTHING, least=0)


def _from_panels(engine: Engine, shift: arb, level: arb) -> arb | None:
    """The same from the panels that are done; only those where y − μ changes its sign are integrated again."""
    panels = engine.panels
    total, rest, again = arb(0), arb(0), []
    for done in panels.done:
        if done.y.lo >= level or done.y.hi <= level:
            value = done.values[1] + (shift - level) * done.values[0]
            total += value if done.y.lo >= level else -value
        else:
            again.append(done)
    for values in (*panels.rest, *engine.tails):
        rest += abs(values[5]).upper() + abs(level) * abs(values[0]).upper()
    some = Panels(replace(engine.integrand, level=level), DISTANCE, panels.bits, panels.width, MOST_WORK)
    some.scale[0] = total
    try:
        some.run([Piece(done.panel.lo, done.panel.hi, done.piece.signs) for done in again])
    except (ArithmeticError, Undefined):
        return None
    total += some.total[0]
    return total + rest.union(arb(0)) if rest <= total * arb(2) ** (8 - panels.bits) else None


@dataclass
class Central:
    """Central moments from those about the shift."""

    parts: dict[str, Integral]
    shift: arb

    def __post_init__(self) -> None:
        d1, d2 = self.parts["d1"], self.parts["d2"]
        self.mean = self.derived(lambda: d1.value + self.shift, d1)
        self.var = self.derived(lambda: d2.value - d1.value * d1.value, d2, d1)

    def derived(self, value: Callable[[], arb], *parts: Integral) -> Integral:
        """A number made of integrals: infinite where the first is, undefined where another one is."""
        for place, part in enumerate(parts):
            if part.unknown:
                return Integral(arb(0), {}, part.unknown)
            if part.diverges:
                undefined = place > 0
                return Integral(arb(0), {where: 0 if undefined else sign for where, sign in part.diverges.items()})
        return Integral(value())

    def is_sharp(self, bits: int) -> bool:
        """Whether the relative errors are small enough; of a mean, relative to the size of y."""
        target = arb(2) ** -bits
        spread = self.var.value.upper().max(arb(0)).sqrt() if self.var.is_finite else arb(0)
        size = abs(self.mean.value).upper() if self.mean.is_finite else arb(0)
        if self.mean.is_finite and not self.mean.value.rad() <= target * size.max(spread):
            return False
        others = [self.parts[name] for name in ("abs", "slope_abs", "slope2", "slope4")]
        if self.var.is_finite and not spread <= size * NOTHING:
            others.append(self.var)
            shape = [part for part in (self.skewness, self.kurtosis) if part is not None and part.is_finite]
            if not all(part.value.rad() <= abs(part.value).max(arb(1)) * arb(2) ** -SHAPE_BITS for part in shape):
                return False
        return all(i.value.rad() <= target * abs(i.value) or i.value.is_zero() for i in others if i.is_finite)

    @property
    def skewness(self) -> Integral | None:
        """E[(y − μ)³]/σ³; None where there is no σ."""
        return self._shape(lambda m, d2, d3, d4: d3 - 3 * m * d2 + 2 * m * m * m, arb("1.5"), 3)

    @property
    def kurtosis(self) -> Integral | None:
        """E[(y − μ)⁴]/σ⁴."""
        return self._shape(lambda m, d2, d3, d4: d4 - 4 * m * d3 + 6 * m * m * d2 - 3 * m * m * m * m, arb(2), 4)

    def _shape(self, central: Callable[[arb, arb, arb, arb], arb], power: arb, highest: int) -> Integral | None:
        if not (self.var.is_finite and self.var.value > 0):
            return None
        parts = [self.parts[f"d{k}"] for k in range(highest, 0, -1)]
        d1, d2, d3, d4 = (self.parts[f"d{k}"].value for k in range(1, 5))
        return self.derived(lambda: central(d1, d2, d3, d4) / self.var.value**power, *parts)

    def moments(self, mad: Enclosure | None) -> Moments:
        """The enclosures."""
        shape = [None if part is None else enclosed(part, arb(1)) for part in (self.skewness, self.kurtosis)]
        size = abs(self.mean.value).upper() if self.mean.is_finite else arb(0)
        spread = self.var.value.upper().max(arb(0)).sqrt() if self.var.is_finite else size
        return Moments(
            enclosed(self.mean, spread),
            enclosed(self.var, (size * NOTHING) ** 2, least=0),
            enclosed(self.parts["abs"], arb(0), least=0),
            mad,
            *shape,
            *(enclosed(self.parts[name], arb(0), least=0) for name in ("slope_abs", "slope2", "slope4")),
        )


def enclosed(integral: Integral, size: arb, least: int | None = None) -> Enclosure | None:
    """The bounds as fractions, or what the integral diverges to; None where nothing is known.

    Bounds that say little, relative to the value or to `size`, are nothing known.
    """
    if integral.unknown:
        return None
    if not integral.diverges and not integral.value.rad() <= BLURRED * abs(integral.value).upper().max(size):
        return None
    if integral.diverges:
        signs = set(integral.diverges.values())
        reason = "diverges " + " and ".join(sorted(integral.diverges))
        return (
            Enclosure.infinite(signs.pop(), reason)
            if len(signs) == 1 and 0 not in signs
            else Enclosure.undefined(reason)
        )
    low, high = short_end(integral.value.lower(), -1), short_end(integral.value.upper(), 1)
    if low is None or high is None:
        return None
    return Enclosure(low if least is None else max(low, Fraction(least)), high)
