"""The largest |dy/dx| of a formula of one x, as an enclosure, and where it is: branch and bound on intervals.

On a piece of the real line without a kink, |s(x)| ≤ |s(m)| + |s′(X)|·r for s = dy/dx and X = m ± r, and a monotone s is
largest at an end of X. Beyond the outermost points s is bounded by its growth.
"""

import heapq
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import lru_cache
from itertools import pairwise

from flint import arb, ctx, fmpq

from gradstat.assumptions import Input
from gradstat.layer_types.exact.constants import ball, to_fraction
from gradstat.layer_types.exact.enclosure import Enclosure, wanted_digits
from gradstat.layer_types.exact.growth import FEWEST, Growth, Unknown
from gradstat.layer_types.exact.integrand import CANNOT_RUN, Constant, Formula, Integrand
from gradstat.layer_types.exact.jets import Jet
from gradstat.layer_types.exact.pieces import Piece, Splitter
from gradstat.layer_types.exact.precision import LOCK, short_end
from gradstat.layer_types.exact.spans import Hull, Span
from gradstat.layer_types.exact.traced import Trace, Undecided, Undefined

INFINITY = arb("inf")
FIRST, FARTHEST = 8.0, 2.0**40  # |x| at which a tail may begin
GUARD = 96  # bits of the working precision beyond the wanted ones
MOST_STEPS = 4000
NARROW = 2.0**-10  # a part that ends at a kink and is not bounded is bounded by its growth from here on
PLACES = (1.0, 0.0, 0.1, 0.3, 0.5, 0.7, 1.2, 1.4, 1.7, 2.0, 2.4, 3.0, 4.0, 6.0)  # |x| of the first lower bounds


@dataclass(frozen=True)
class Steepest:
    """sup |dy/dx|, and a place where it is reached, in words; "" where it is not known."""

    bounds: Enclosure
    place: str = ""

    @property
    def enclosure(self) -> Enclosure:
        """The bounds; where they are finite, their reason is the place."""
        return replace(self.bounds, reason=self.place) if self.bounds.is_finite else self.bounds


@dataclass(frozen=True)
class Part:
    """An interval with the range of |dy/dx| on it: `least` is reached in it, and nothing is above `most`."""

    lo: arb
    hi: arb
    piece: Piece
    least: arb
    most: arb
    place: arb  # where `least` is reached


class _Infinite(Exception):
    """|dy/dx| is not bounded; the argument says where."""


def steepest(
    formula: Formula, constants: tuple[Constant, ...], kinks: tuple[float | Fraction, ...], x: Input, digits: int = 0
) -> Steepest | None:
    """sup |dy/dx| over the values that x can take, for (y, dy/dx) = formula(x, *constants); None if nothing is known.

    It is infinite where y jumps.
    """
    ends = (x.mean, x.std) if math.isfinite(x.lowest) else None
    return _known(formula, constants, kinks, ends, digits or wanted_digits())


@lru_cache(maxsize=512)
def _known(
    formula: Formula,
    constants: tuple[Constant, ...],
    kinks: tuple[float | Fraction, ...],
    ends: tuple[float, float] | None,
    digits: int,
) -> Steepest | None:
    bits = int(3.33 * digits) + 6
    with LOCK, ctx.workprec(bits + GUARD):
        try:
            return Search(Integrand(formula, constants, Input(), kinks), bits).run(ends)
        except _Infinite as found:
            return Steepest(Enclosure.infinite(1, str(found)))
        except Undefined as error:
            return Steepest(Enclosure.undefined(str(error)))
        except (*CANNOT_RUN, Undecided):
            return None


class Search:
    """Branch and bound for one formula at the working precision."""

    def __init__(self, integrand: Integrand, bits: int) -> None:
        self.integrand, self.unit = integrand, arb(2) ** -bits
        self.least, self.place = arb(0), ""  # a value of |dy/dx| that is reached, and where
        self.most = arb(0)  # an upper bound over all that is done

    def run(self, ends: tuple[float, float] | None) -> Steepest | None:
        """The largest |dy/dx| for a uniform x of this mean and std, or everywhere."""
        if ends is None:
            self.try_places()
            lo, hi = self.tail(-1), self.tail(1)
        else:
            lo, hi = self.edges(*map(ball, ends))
        width = ((hi - lo) * self.unit).mid()
        splitter = Splitter(self.integrand.values, self.integrand.hints, width)
        splitter.split(lo, hi)
        pieces = sorted(splitter.pieces, key=lambda piece: float(piece.lo))
        self.check_jumps(pieces)
        self.over(pieces)
        for gap in splitter.gaps:
            slope = self.hull(gap.lo, gap.hi)
            if not slope.is_finite():
                return None
            self.most = self.most.max(slope)
        return self.answer()

    def edges(self, mean: arb, std: arb) -> tuple[arb, arb]:
        """Points just inside of mean ± √3σ; |dy/dx| between them and the ends is accounted for."""
        left, right = mean - arb(3).sqrt() * std, mean + arb(3).sqrt() * std
        self.most = self.hull(left.lower(), left.upper()).max(self.hull(right.lower(), right.upper()))
        return left.upper(), right.lower()

    def answer(self) -> Steepest | None:
        """The enclosure; None where it is too wide to be of use."""
        low, high = short_end(self.least, -1), short_end(self.most.max(self.least), 1)
        if low is None or high is None or (high - low) * 2**40 > high:
            return None
        return Steepest(Enclosure(low, high), self.place)

    def reached(self, value: arb, place: str) -> None:
        """A value of |dy/dx| that is reached (or approached)."""
        if value > self.least:
            self.least, self.place = value, place

    def try_places(self) -> None:
        """Lower bounds at a few points, so that tails below them need no care."""
        for place in PLACES:
            for side in (1, -1):
                try:
                    x = Span(arb(side * place), arb(side * place), Trace())
                    self.reached(_size(self.integrand.values(x)(x)[1])[0], _at(x.lo))
                except (*CANNOT_RUN, Undecided, Undefined):
                    continue

    # Tails and kinks

    def tail(self, side: int) -> arb:
        """Account for |dy/dx| beyond a point on one side; returns the point.

        What |dy/dx| is at least from a far point on is a lower bound of its supremum beyond every point.
        """
        where, ranges = "as x → ∞" if side > 0 else "as x → −∞", []
        start = arb(FIRST)
        while start < FARTHEST:
            try:
                low, high = self.beyond(start, {1: fmpq(side)}, where)
                self.reached(low, where)
            except (Unknown, Undecided):
                low, high = arb(0), INFINITY
            high = high.min(self.beyond_on_spans(start, side))
            if high.is_finite():
                ranges.append((start, high))
            if high.is_finite() and high - low <= high * self.unit:
                break
            start = start * 2
        if not ranges:
            raise Unknown("the tail could not be bounded")
        enough = [pair for pair in ranges if pair[1] <= self.least * (1 + self.unit)]
        start, high = (enough or ranges)[0]
        self.most = self.most.max(high)
        return side * start

    def beyond(self, start: arb, powers: dict[int, fmpq], where: str) -> tuple[arb, arb]:
        """The range of |dy/dx| for v ≥ T, x being this polynomial in v and 1/v; _Infinite where it grows."""
        v = Growth(start, Trace(), {i: a for i, a in powers.items() if a != 0})
        slope = v.of(self.integrand.values(v)(v)[1])
        size, order = slope.dominant
        if order.direction > 0 and (size > 0 or size < 0):
            raise _Infinite(f"|dy/dx| grows without bound {where}")
        values, bounded = slope.tends()
        if not bounded or not values.is_finite():
            raise Unknown("it is not bounded")
        return _size(values)

    def beyond_on_spans(self, start: arb, side: int) -> arb:
        """An upper bound of |dy/dx| beyond a point by intervals, which know that a sine is at most 1; may be ∞."""
        x = Span(start, INFINITY, Trace()) if side > 0 else Span(-INFINITY, -start, Trace())
        try:
            return _upper(x.of(self.integrand.values(x)(x)[1]))
        except (*CANNOT_RUN, Undecided, Undefined):
            return INFINITY

    def beside(self, part: Part) -> arb | None:
        """An upper bound of |dy/dx| on a narrow part that ends at a kink; None where nothing is known."""
        for kink, side, is_end in (
            (part.piece.left, 1, part.lo is part.piece.lo),
            (part.piece.right, -1, part.hi is part.piece.hi),
        ):
            if kink is not None and is_end:
                far = part.hi - arb(kink) if side > 0 else arb(kink) - part.lo
                start = (1 / far).lower()
                if start > FEWEST:
                    try:
                        return self.beyond(start, {0: kink, -1: fmpq(side)}, f"at x = {float(arb(kink)):g}")[1]
                    except (Unknown, Undecided):
                        continue
        return None

    def check_jumps(self, pieces: Sequence[Piece]) -> None:
        """_Infinite where y has two values at a kink."""
        for left, right in pairwise(pieces):
            (a, _), (b, _) = (self.at(piece, point) for piece, point in ((left, left.hi), (right, right.lo)))
            if not (a.is_finite() and b.is_finite()) or a.overlaps(b):
                continue
            slope = self.hull(left.hi, right.lo)
            if slope.is_finite() and abs(a - b) > 2 * slope * (right.lo - left.hi):
                raise _Infinite(f"y jumps by {float(abs(a - b)):.3g} at x = {float(left.hi):g}")

    def at(self, piece: Piece, point: arb) -> tuple[arb, arb]:
        """y and dy/dx at a point of a piece."""
        x = Span(point, point, Trace(piece.signs))
        y, slope = self.integrand.values(x)(x)
        return y.lo.union(y.hi), slope.lo.union(slope.hi)

    def hull(self, lo: arb, hi: arb) -> arb:
        """An upper bound of |dy/dx| on a tiny interval, whatever the signs are."""
        x = Hull(lo, hi, Trace())
        slope = self.integrand.values(x)(x)[1]
        most: arb = abs(slope.lo).upper().max(abs(slope.hi).upper())
        return most

    # Branch and bound

    def over(self, pieces: Sequence[Piece]) -> None:
        """Bound |dy/dx| on all pieces: the part with the largest upper bound is halved first."""
        waiting: list[tuple[float, int, Part]] = []
        count = 0

        def add(lo: arb, hi: arb, piece: Piece) -> None:
            nonlocal count
            part = self.part(lo, hi, piece)
            self.reached(part.least, _at(part.place))
            count += 1
            if part.most > self.least * (1 + self.unit):
                heapq.heappush(waiting, (-_float(part.most), count, part))
            else:
                self.most = self.most.max(part.most)

        for piece in pieces:
            add(piece.lo, piece.hi, piece)
        while waiting:
            _, _, part = heapq.heappop(waiting)
            if part.most <= self.least * (1 + self.unit):
                self.most = self.most.max(part.most)
                continue
            middle = ((part.lo + part.hi) / 2).mid()
            if count > MOST_STEPS or not (part.lo < middle and middle < part.hi):
                self.most = self.most.max(part.most)
                continue
            add(part.lo, middle, part.piece)
            add(middle, part.hi, part.piece)

    def part(self, lo: arb, hi: arb, piece: Piece) -> Part:
        """The range of |dy/dx| on a part of a piece."""
        middle = ((lo + hi) / 2).mid()
        points = [(_size(self.at(piece, point)[1])[0], point) for point in (lo, middle, hi)]
        least, place = points[0]
        for value, point in points[1:]:
            if value > least:
                least, place = value, point
        most = self._most(lo, middle, hi, piece)
        part = Part(lo, hi, piece, least, most, place)
        if not most.is_finite() and hi - lo < NARROW:
            bound = self.beside(part)
            return part if bound is None else Part(lo, hi, piece, least, bound, place)
        return part

    def _most(self, lo: arb, middle: arb, hi: arb, piece: Piece) -> arb:
        x = Jet.variable(Span(lo, hi, Trace(piece.signs)))
        try:
            slope = x.of(self.integrand.values(x)(x)[1])
        except CANNOT_RUN:
            span = Span(lo, hi, Trace(piece.signs))
            return _upper(self.integrand.values(span)(span)[1])
        if slope.is_monotone:
            return _size(self.at(piece, lo)[1])[1].max(_size(self.at(piece, hi)[1])[1])
        around = _size(self.at(piece, middle)[1])[1] + _upper(slope.slope) * (hi - lo) / 2
        most = _upper(slope.value)
        return most.min(around.upper()) if around.is_finite() else most


def _upper(span: Span) -> arb:
    """The largest |value| of a span; ∞ where it is not bounded."""
    most = abs(span.lo).upper().max(abs(span.hi).upper())
    return INFINITY if most.is_nan() else most


def _size(value: arb | Span) -> tuple[arb, arb]:
    """The smallest and the largest |value|; 0 and ∞ where nothing is known."""
    known = value.lo.union(value.hi) if isinstance(value, Span) else value
    if not known.is_finite():
        return arb(0), INFINITY
    return abs(known).lower().max(arb(0)), abs(known).upper()


def _float(value: arb) -> float:
    return float(value.mid()) if value.is_finite() else math.inf


def _at(place: arb) -> str:
    """`at x = 1.414214`."""
    return f"at x = {float(to_fraction(place)):.7g}"
