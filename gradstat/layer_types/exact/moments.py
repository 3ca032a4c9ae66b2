"""The moments of y and of dy/dx for a formula of one x, as enclosures: pieces, panels and tails put together."""

import math
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from functools import lru_cache
from typing import Any

from flint import arb, ctx, fmpq

from gradstat.assumptions import Input
from gradstat.layer_types.exact.constants import ball, rational, to_fraction
from gradstat.layer_types.exact.enclosure import Enclosure, wanted_digits
from gradstat.layer_types.exact.growth import FEWEST, Growth, Order, Unknown, beyond
from gradstat.layer_types.exact.integrand import Formula, Integrand
from gradstat.layer_types.exact.panels import Panels, Quantities
from gradstat.layer_types.exact.pieces import Gap, Piece, Splitter, WorkLimit
from gradstat.layer_types.exact.spans import Hull
from gradstat.layer_types.exact.traced import Trace, Undecided, Undefined

MARGIN = 10  # bits beyond the wanted digits
GUARDS = (64, 200, 500, 1400)  # bits of the working precision beyond those of the integrals, one attempt each
MOST_WORK = 60_000  # runs of the formula
REACH_BITS = 64  # by which the density at the beginning of a tail is smaller at each further attempt
SHAPE_BITS = 34  # certain ones of skewness and kurtosis
FARTHEST = 2.0**200  # standard deviations at which a tail may begin
NAMES = ("one", "d1", "d2", "d3", "d4", "abs", "slope_abs", "slope2", "slope4")  # d = y − shift
NOTHING = arb(2) ** -200  # of |μ|: a standard deviation below is rounding
LOCK = threading.Lock()  # the working precision belongs to the process

Vector = list[Any]


@dataclass
class Integral:
    """Σ of what pieces, gaps and tails add to one integral."""

    value: arb
    diverges: dict[str, int] = field(default_factory=dict)  # where, and towards which sign
    unknown: str = ""

    @property
    def is_finite(self) -> bool:
        """True where it converges, as far as is known."""
        return not self.diverges and not self.unknown


def powers(shift: arb) -> Quantities:
    """p·(1, d, d², d³, d⁴, |y|, |s|, s², s⁴) with d = y − shift and s = dy/dx."""

    def values(p: Any, y: Any, s: Any, signs: Sequence[int]) -> Vector:
        d = y - shift
        pd, ps, square = p * d, p * s, s * s
        pd2 = pd * d
        pd3 = pd2 * d
        return [p, pd, pd2, pd3, pd3 * d, _sized(p * y, signs[0]), _sized(ps, signs[1]), p * square, p * (square * square)]

    def square(integrals: Vector, which: int) -> arb:
        p, d, d2, s2 = (integrals[i] for i in (0, 1, 2, 7))
        return p * s2 if which else p * (d2 + 2 * shift * d + shift * shift * p)

    return Quantities(values, len(NAMES), {5: 0, 6: 1}, square)


# p·|y|, p·y² and p
DISTANCE = Quantities(
    lambda p, y, s, signs: [_sized(p * y, signs[0]), p * y * y, p], 3, {0: 0}, lambda values, which: values[1] * values[2]
)


def _sized(value: Any, sign: int) -> Any:
    """|value| of a known sign; 2 where it is not known."""
    return abs(value) if sign == 2 else value * sign


class Engine:
    """Integrates one integrand at one precision."""

    def __init__(self, integrand: Integrand, quantities: Quantities, bits: int, reach: float) -> None:
        self.integrand, self.quantities, self.bits, self.reach = integrand, quantities, bits, reach
        self.mean, self.std = ball(integrand.x.mean), ball(integrand.x.std)
        self.width = (self.std * arb(2) ** -(bits + 16)).mid()  # of gaps
        self.panels = Panels(integrand, quantities, bits, self.width, MOST_WORK)
        self.tails: list[Vector] = []
        self.beside_done: list[tuple[Piece, int]] = []
        self.integrals = [Integral(arb(0)) for _ in range(quantities.count)]

    def run(self) -> list[Integral]:
        """All integrals."""
        ends = [self.tail(side) for side in (-1, 1)]
        splitter = Splitter(self.integrand.on, self.integrand.hints, self.width)
        splitter.split(*ends)
        for piece in splitter.pieces:
            self.look_beside(piece)
        self.panels.run(splitter.pieces, self.beside)
        for gap in splitter.gaps:
            self.gap(gap, splitter.pieces)
        for k, (integral, total) in enumerate(zip(self.integrals, self.panels.total, strict=True)):
            integral.value += total
            if k in self.panels.given_up or (integral.is_finite and not integral.value.is_finite()):
                integral.unknown = "it could not be bounded"
        return self.integrals

    def gap(self, gap: Gap, pieces: Sequence[Piece]) -> None:
        """Bound the integrals over a gap, or take it apart at the singularity that it holds."""
        bounds = self.panels.bounds(gap)
        sides = [
            (piece, side)
            for piece in pieces
            for kink, side, near in ((piece.left, 1, piece.lo is gap.hi), (piece.right, -1, piece.hi is gap.lo))
            if near and kink is not None
        ]
        if len(sides) == 2 and not all(bound.is_finite() for bound in bounds):
            parts = [self.beside(piece, side, gap.hi if side > 0 else gap.lo, last=True) for piece, side in sides]
            if None not in parts:
                self.panels.add([sum(both, arb(0)) for both in zip(*parts, strict=True)])
                return
        self.panels.add(bounds, scaled=False)

    # Tails

    def tail(self, side: int) -> arb:
        """Account for the tail on one side; returns where it begins."""
        if self.integrand.x.distribution == "uniform":
            return self.edge(side)
        reach = arb(self.reach)
        reason = "its growth is not known"
        while reach < FARTHEST:
            end = (self.mean + side * self.std * reach).mid()
            start = ((end - self.mean) * side / self.std).lower()
            try:
                orders = self.orders(start, {0: self._exact(self.integrand.x.mean), 1: side * self._exact(self.integrand.x.std)})
                parts = [(size * self.std, order) for size, order in orders]
                values = [beyond(size, order, start) for size, order in parts]
            except (Unknown, Undecided) as error:
                reason = str(error) if isinstance(error, Unknown) else reason
                reach = reach * 2
                continue
            settled = (v is None or v.is_zero() or _is_small(o, start, self.bits) for v, (_, o) in zip(values, parts, strict=True))
            if all(settled):
                self._account(values, parts, "at +∞" if side > 0 else "at −∞")
                self.tails.append([arb("nan") if value is None else value for value in values])
                return end
            reach = (reach * arb("1.4")).mid()
        raise WorkLimit(f"the tail could not be bounded: {reason}")

    def edge(self, side: int) -> arb:
        """The end of a uniform distribution, which lies inside a gap; returns the inner end of the gap."""
        end = self.mean + side * arb(3).sqrt() * self.std
        inner, outer = (end - side * self.width).mid(), (end + side * self.width).mid()
        self.panels.add(self.panels.bounds(Gap(inner, outer) if side > 0 else Gap(outer, inner)))
        return inner

    def _exact(self, value: float) -> Any:
        exact = rational(value)
        return ball(value) if exact is None else exact

    def orders(self, start: arb, powers_of_v: dict[int, Any]) -> list[tuple[arb, Order]]:
        """The growth of every quantity, x being this polynomial in v and 1/v."""
        trace = Trace()
        x = Growth(start, trace, {i: a for i, a in powers_of_v.items() if isinstance(a, arb) or a != 0})
        p, y, s = self.integrand.on(x)(x)
        values = self.quantities.of(p, y, s, (2, 2))
        return [value.dominant if isinstance(value, Growth) else (value, Order()) for value in values]

    def look_beside(self, piece: Piece) -> None:
        """Find out which integrals diverge at an end of a piece, before they are integrated up to there."""
        length = piece.hi - piece.lo
        for kink, side, end in ((piece.left, 1, piece.lo), (piece.right, -1, piece.hi)):
            if kink is not None:
                point = end + side * (length / 2**20).min(self.std / 2**20)
                orders = self.near(kink, side, abs(point - arb(kink)))
                if orders is not None and any(value is None for value in orders[0]):
                    self._account(*orders, f"at {_short_number(kink)}", add=False)

    def near(self, place: fmpq, side: int, width: arb) -> tuple[Vector, list[tuple[arb, Order]]] | None:
        """∫ over (place, place + side·width), x = place + side/v, with orders; None where nothing is known."""
        start = (1 / width).lower()
        if not start > FEWEST:
            return None
        try:
            orders = self.orders(start, {0: place, -1: fmpq(side)})
            parts = [(size, order.times(Order(fmpq(-2)))) for size, order in orders]
            return [beyond(size, order, start) for size, order in parts], parts
        except (Unknown, Undecided, Undefined):
            return None

    def beside(self, piece: Piece, side: int, point: arb, last: bool = False) -> Vector | None:
        """∫ between the kink at an end of a piece and a point; None where nothing is known, or not well enough."""
        if (piece, side) in self.beside_done:
            return [arb(0)] * self.panels.quantities.count
        kink = piece.left if side > 0 else piece.right
        found = None if kink is None else self.near(kink, side, (abs(point - arb(kink))).upper())
        if kink is None or found is None:
            return None
        values, parts = found
        unit = arb(2) ** -self.bits
        tight = all(
            v is None or v.rad() <= (abs(v).max(scale) * unit).upper() for v, scale in zip(values, self.panels.scale, strict=True)
        )
        if not (tight or last):
            return None
        self._account(values, parts, f"at {_short_number(kink)}", add=False)
        self.beside_done.append((piece, side))
        self.tails.append([arb("nan") if value is None else value for value in values])
        return [arb(0) if value is None else value for value in values]

    def _account(self, values: Vector, parts: list[tuple[arb, Order]], where: str, add: bool = True) -> None:
        for k, (integral, value, (size, _)) in enumerate(zip(self.integrals, values, parts, strict=True)):
            if value is None:
                sign = 1 if size > 0 else -1
                self.panels.ignored.add(k)
                integral.diverges[where] = sign if integral.diverges.get(where, sign) == sign else 0
            elif add:
                integral.value += value


def _is_small(order: Order, start: arb, bits: int) -> bool:
    """Whether the tail is too small to matter, by a guess: its order at T against those at T/2, T/4, …"""
    try:
        earlier = [order.at((start / divisor).max(arb("1.5"))) for divisor in (1.5, 2, 4, 8, 16, 64, 512)]
    except ZeroDivisionError:
        return False
    largest = earlier[0]
    for value in earlier[1:]:
        largest = largest.max(value)
    return bool(order.at(start) * start <= largest * arb(2) ** -bits)


def _short_number(place: fmpq) -> str:
    """A kink for people."""
    return f"{float(Fraction(int(place.p), int(place.q))):g}"


# The whole


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
    formula: Formula, constants: tuple[float, ...], kinks: tuple[float, ...], x: Input, digits: int = 0
) -> Moments | None:
    """All moments of y and dy/dx for (y, dy/dx) = formula(x, *constants), to the wanted digits as far as they exist.

    kinks: where a sign may change, as a hint. None where nothing could be shown.
    """
    return _known(formula, constants, kinks, replace(x, correlation=0.0), digits or wanted_digits())


@lru_cache(maxsize=512)
def _known(
    formula: Formula, constants: tuple[float, ...], kinks: tuple[float, ...], x: Input, digits: int
) -> Moments | None:
    integrand = Integrand(formula, constants, x, kinks)
    with LOCK:
        try:
            return _moments(integrand, digits)
        except Undefined as error:
            return Moments(*[Enclosure.undefined(str(error))] * 9)
        except (ArithmeticError, AttributeError, NotImplementedError, TypeError, ValueError):  # of a formula that cannot run
            return None


def _moments(integrand: Integrand, digits: int) -> Moments:
    wanted = int(3.33 * digits) + 3
    far = 1.0 + abs(integrand.x.mean) / integrand.x.std
    for attempt, guard in enumerate(GUARDS):
        bits = wanted + MARGIN + 12 * attempt
        with ctx.workprec(bits + guard + int(math.log2(far))):
            shift = _value_at_mean(integrand)
            engine = Engine(integrand, powers(shift), bits, _reach(integrand.x, bits + REACH_BITS * attempt))
            central = Central(dict(zip(NAMES, engine.run(), strict=True)), shift)
            if central.is_sharp(wanted) or attempt == len(GUARDS) - 1:
                return central.moments(_mad(engine, central, shift))
    raise AssertionError


def _value_at_mean(integrand: Integrand) -> arb:
    """y at the mean of x to 53 bits, or 0: moments about it do not cancel where y hardly changes."""
    x = Hull(*[ball(integrand.x.mean).mid()] * 2, Trace())
    try:
        y = integrand.on(x)(x)[1]
        value = ((y.lo + y.hi) / 2).mid()
        with ctx.workprec(53):
            return (+value).mid() if value.is_finite() else arb(0)
    except (ArithmeticError, Undefined):
        return arb(0)


def _reach(x: Input, bits: int) -> float:
    """In standard deviations: where the density has fallen by these bits."""
    rate = {"laplace": 2.0**0.5, "logistic": 1.81}.get(x.distribution)
    return bits * 0.6932 / rate + 2.0 if rate else (2.0 * 0.6932 * bits) ** 0.5 + 1.0


def _mad(engine: Engine, central: "Central", shift: arb) -> Enclosure | None:
    """E|y − μ|: y less the middle of the enclosure of μ, and its radius as an error."""
    if not central.mean.is_finite or not central.parts["abs"].is_finite:
        return enclosed(central.parts["abs"]) if central.parts["abs"].diverges else None
    mean = central.mean.value
    level = mean.mid() if not mean.contains(0) else arb(0)
    total = _from_panels(engine, shift, level)
    if total is None:
        try:
            integral, *_ = Engine(replace(engine.integrand, level=level), DISTANCE, engine.bits, engine.reach).run()
        except (ArithmeticError, Undefined):
            return None
        if not integral.is_finite:
            return None
        total = integral.value
    return enclosed(Integral(total + arb(0, abs(mean - level).upper())), least=0)


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
        """A number made of integrals: where one of them diverges, so does it; it is undefined where a later one does."""
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
        return self._shape(lambda m, d2, d3, d4: d3 - 3 * m * d2 + 2 * m**3, arb("1.5"), 3)

    @property
    def kurtosis(self) -> Integral | None:
        """E[(y − μ)⁴]/σ⁴."""
        return self._shape(lambda m, d2, d3, d4: d4 - 4 * m * d3 + 6 * m * m * d2 - 3 * m**4, arb(2), 4)

    def _shape(self, central: Callable[[arb, arb, arb, arb], arb], power: arb, highest: int) -> Integral | None:
        if not (self.var.is_finite and self.var.value > 0):
            return None
        parts = [self.parts[f"d{k}"] for k in range(highest, 0, -1)]
        d1, d2, d3, d4 = (self.parts[f"d{k}"].value for k in range(1, 5))
        return self.derived(lambda: central(d1, d2, d3, d4) / self.var.value**power, *parts)

    def moments(self, mad: Enclosure | None) -> Moments:
        """The enclosures."""
        shape = [None if part is None else enclosed(part) for part in (self.skewness, self.kurtosis)]
        return Moments(
            enclosed(self.mean),
            enclosed(self.var, least=0),
            enclosed(self.parts["abs"], least=0),
            mad,
            *shape,
            *(enclosed(self.parts[name], least=0) for name in ("slope_abs", "slope2", "slope4")),
        )


LARGEST_EXPONENT = 40_000


def enclosed(integral: Integral, least: int | None = None) -> Enclosure | None:
    """The bounds as fractions, or what the integral diverges to; None where nothing is known."""
    if integral.unknown:
        return None
    if integral.diverges:
        signs = set(integral.diverges.values())
        reason = "diverges " + " and ".join(sorted(integral.diverges))
        return Enclosure.infinite(signs.pop(), reason) if len(signs) == 1 and 0 not in signs else Enclosure.undefined(reason)
    low, high = _short(integral.value.lower(), -1), _short(integral.value.upper(), 1)
    if low is None or high is None:
        return None
    return Enclosure(low if least is None else max(low, Fraction(least)), high)


def _short(end: arb, side: int) -> Fraction | None:
    """The lower or upper end of a ball, no closer to 0 than 2^−40000; None where it is beyond 2^40000."""
    if end.is_zero():
        return Fraction(0)
    mantissa, exponent = end.man_exp()
    size = int(exponent) + int(mantissa).bit_length()
    if size > LARGEST_EXPONENT:
        return None
    if size < -LARGEST_EXPONENT:
        return side * Fraction(1, 2**LARGEST_EXPONENT) if side * int(mantissa) > 0 else Fraction(0)
    return to_fraction(end)
