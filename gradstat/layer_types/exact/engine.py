"""The integrals of one integrand at one precision: pieces, panels, gaps, tails and singular ends put together."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

from flint import arb, fmpq

from gradstat.assumptions import Input
from gradstat.layer_types.exact.constants import ball, rational
from gradstat.layer_types.exact.growth import FEWEST, Growth, Order, Unknown, beyond
from gradstat.layer_types.exact.integrand import Integrand
from gradstat.layer_types.exact.panels import Panels, Quantities
from gradstat.layer_types.exact.pieces import Gap, Piece, Splitter, WorkLimit
from gradstat.layer_types.exact.traced import Trace, Undecided, Undefined

FARTHEST = 2.0**200  # standard deviations at which a tail may begin
NAMES = ("one", "d1", "d2", "d3", "d4", "abs", "slope_abs", "slope2", "slope4")  # d = y − shift

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
        return [
            p,
            pd,
            pd2,
            pd3,
            pd3 * d,
            _sized(p * y, signs[0]),
            _sized(ps, signs[1]),
            p * square,
            p * (square * square),
        ]

    def square(integrals: Vector, which: int) -> arb:
        p, d, d2, s2 = (integrals[i] for i in (0, 1, 2, 7))
        product: arb = p * s2 if which else p * (d2 + 2 * shift * d + shift * shift * p)
        return product

    return Quantities(values, len(NAMES), {5: 0, 6: 1}, square)


# p·|y|, p·y² and p
DISTANCE = Quantities(
    lambda p, y, s, signs: [_sized(p * y, signs[0]), p * y * y, p],
    3,
    {0: 0},
    lambda values, which: values[1] * values[2],
)


def _sized(value: Any, sign: int) -> Any:
    """|value| of a known sign; 2 where it is not known."""
    return abs(value) if sign == 2 else value * sign


class Engine:
    """Integrates one integrand at one precision."""

    def __init__(self, integrand: Integrand, quantities: Quantities, bits: int, reach: float, most: int) -> None:
        self.integrand, self.quantities, self.bits, self.reach = integrand, quantities, bits, reach
        self.mean, self.std = ball(integrand.x.mean), ball(integrand.x.std)
        self.width = (self.std * arb(2) ** -(bits + 16)).mid()  # of gaps
        self.panels = Panels(integrand, quantities, bits, self.width, most)
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
        if math.isfinite(self.integrand.x.law.lowest):
            return self.edge(side)
        reach = arb(self.reach)
        reason = "its growth is not known"
        while reach < FARTHEST:
            end = (self.mean + side * self.std * reach).mid()
            start = ((end - self.mean) * side / self.std).lower()
            try:
                orders = self.orders(
                    start, {0: self._exact(self.integrand.x.mean), 1: side * self._exact(self.integrand.x.std)}
                )
                parts = [(size * self.std, order) for size, order in orders]
                values = [beyond(size, order, start) for size, order in parts]
            except (Unknown, Undecided) as error:
                reason = str(error) if isinstance(error, Unknown) else reason
                reach = reach * 2
                continue
            settled = (
                v is None or v.is_zero() or _is_small(o, start, self.bits)
                for v, (_, o) in zip(values, parts, strict=True)
            )
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
            v is None or v.rad() <= (abs(v).max(scale) * unit).upper()
            for v, scale in zip(values, self.panels.scale, strict=True)
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


def reach_of(x: Input, bits: int) -> float:
    """In standard deviations: where the density has fallen by these bits."""
    rate = {"laplace": 1.41, "logistic": 1.81}.get(x.distribution)
    return bits * 0.6932 / rate + 2.0 if rate else math.sqrt(2.0 * 0.6932 * bits) + 1.0
