"""∫ of several functions at once over a piece: adaptive Gauss–Legendre panels with proven errors.

If f is analytic inside the ellipse with foci at the ends of a panel and half-axes (ρ ± 1/ρ)/2 half-widths, and |f| ≤ M
there, n nodes are off by at most (64/15)·M·ρ^−2n/(1 − ρ^−2)·ρ² half-widths (Trefethen, Approximation Theory and
Approximation Practice, theorem 19.3, for n − 1). M comes from one run of the formula on a rectangle around the ellipse.
So a narrow peak cannot be stepped over: where it is, M is large or infinite, and the panel is halved.

One run at a node serves every moment of y and of dy/dx.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from typing import Any

from flint import acb, arb, ctx, fmpq

from gradstat.layer_types.exact.balls import Ball
from gradstat.layer_types.exact.integrand import Integrand
from gradstat.layer_types.exact.jets import Jet
from gradstat.layer_types.exact.pieces import Gap, Piece, WorkLimit
from gradstat.layer_types.exact.spans import Hull, Span
from gradstat.layer_types.exact.traced import Trace, Undefined
from gradstat.layer_types.exact.zeros import Function, bracket, sign_of

ELLIPSES = tuple(arb(rho) for rho in (3.0, 6.0, 1.75, 12.0))  # in the order in which they are tried
NODES = (4, 6, 8, 10, 12, 14, 16, 18, 20, 23, 26, 29, 32, 36, 40, 45, 50, 56, 63, 71, 80, 90, 101, 113, 127, 142, 160)
SINGULAR = 20  # halvings after which the end of a piece is looked at as a singularity
DEEPEST = 4000
PROBES = (0.5, 0.3125, 0.890625)
BOXES = 4  # rectangles that cover an ellipse
BOUND_BITS = 53  # of bounds on ellipses

Vector = list[Any]
Remainder = Callable[[fmpq, int, arb, list[int]], Vector | None]  # ∫ next to a singular end: place, side, width, signs


@dataclass(frozen=True)
class Quantities:
    """What is integrated: functions of p, y, s = dy/dx and the signs of y and s (2: not known, for bounds).

    They are proportional to p, so that a node's weight is a factor of p.
    """

    of: Callable[[Any, Any, Any, Sequence[int]], Vector]
    count: int
    signed: Mapping[int, int]  # the integrals of |y| (0) or |s| (1)
    square: Callable[[Vector, int], arb]  # (∫p)·∫y²p or (∫p)·∫s²p of a panel from its other integrals


@dataclass(frozen=True)
class Panel:
    """An interval of a piece; the signs of y and of dy/dx on it, where they are known."""

    lo: arb
    hi: arb
    depth: int = 0
    signs: tuple[int | None, int | None] = (None, None)

    @property
    def middle(self) -> arb:
        return ((self.lo + self.hi) / 2).mid()

    @property
    def half(self) -> arb:
        return ((self.hi - self.lo) / 2).mid()

    def halves(self) -> list["Panel"]:
        """Two panels."""
        middle, depth = self.middle, self.depth + 1
        return [Panel(self.lo, middle, depth, self.signs), Panel(middle, self.hi, depth, self.signs)]


@dataclass(frozen=True)
class Done:
    """A panel with its integrals, and all values of y on it."""

    piece: Piece
    panel: Panel
    y: Span
    values: Vector


class Panels:
    """Integrates over pieces and gaps; `total` holds an enclosure of each integral."""

    def __init__(self, integrand: Integrand, quantities: Quantities, bits: int, width: arb, most: int) -> None:
        self.integrand, self.quantities, self.bits, self.width, self.most = integrand, quantities, bits, width, most
        self.total = [arb(0)] * quantities.count
        self.scale = [arb(0)] * quantities.count  # Σ|∫| over the panels that are done
        self.done: list[Done] = []
        self.rest: list[Vector] = []  # bounds, of gaps and of panels too small to matter
        self.work = 0
        self.largest = next((n for n in NODES if n >= 0.6 * bits), NODES[-1])
        self.unit = arb(2) ** -bits

    def add(self, values: Vector, scaled: bool = True) -> None:
        """Add to the totals, and to the scales where these are integrals and not bounds."""
        if not scaled:
            self.rest.append(values)
        self.total = [total + value for total, value in zip(self.total, values, strict=True)]
        if scaled:
            self.scale = [
                scale + (abs(value).lower().max(arb(0)) if value.is_finite() else arb(0))
                for scale, value in zip(self.scale, values, strict=True)
            ]

    def bounds(self, gap: Gap) -> Vector:
        """Bounds of the integrals over a gap, or over a part of it."""
        x = Hull(gap.lo, gap.hi, Trace())
        p, y, s = (q.lo.union(q.hi) for q in self.integrand.on(x)(x))
        return [(value * (gap.hi - gap.lo)).union(arb(0)) for value in self.quantities.of(p, y, s, (2, 2))]

    def piece(self, piece: Piece, remainder: Remainder = lambda *_: None) -> None:
        """Add the integrals over a piece; `remainder` knows what lies next to a singular end."""
        line = Line(self.integrand, piece)
        if not all(value.is_finite() for value in line.at(((piece.lo + piece.hi) / 2).mid())):
            raise Undefined("it is not finite on a part of the line")
        todo = [Panel(piece.lo, piece.hi)]
        while todo:
            panel = todo.pop()
            self._count(1)
            p, y, s = line.on_interval(panel.lo, panel.hi)
            signs = tuple(given if given is not None else q.known_sign() for given, q in zip(panel.signs, (y, s), strict=True))
            bounds = self._sizes(p, y, s, signs, panel)
            small = [bool(b <= scale * self.unit) for b, scale in zip(bounds, self.scale, strict=True)]
            if all(small):
                self.add([b.union(-b) for b in bounds], scaled=False)
                continue
            if panel.depth >= SINGULAR and not all(b.is_finite() for b in bounds):
                rest = self._beside(panel, piece, remainder)
                if rest is not None:
                    self.add(rest)
                    continue
            unknown = {i: which for i, which in self.quantities.signed.items() if signs[which] is None and not small[i]}
            panel = replace(panel, signs=signs)
            best = self._rule(line, panel)
            if best is not None:
                parts = self._signed(line, panel, min(unknown.values())) if unknown else None
                if parts is not None:
                    todo += self._ordered(parts)
                    continue
                values = self._sum(line, panel, *best)
                largest = {i: self.quantities.square(values, which).upper().sqrt() for i, which in unknown.items()}
                if all(most <= self.scale[i] * self.unit for i, most in largest.items()):
                    for i, which in self.quantities.signed.items():
                        if signs[which] is None:
                            values[i] = largest.get(i, bounds[i]).union(arb(0))
                    self.add(values)
                    self.done.append(Done(piece, panel, y, values))
                    continue
            if panel.depth > DEEPEST:
                raise WorkLimit("an integral would take too many panels")
            todo += self._ordered(panel.halves())

    def _sizes(self, p: Span, y: Span, s: Span, signs: Sequence[int | None], panel: Panel) -> Vector:
        """Bounds of the absolute values of the integrals over a panel."""
        values = self.quantities.of(*(q.lo.union(q.hi) for q in (p, y, s)), (2, 2))
        return [2 * panel.half * abs(value).upper() for value in values]

    def _beside(self, panel: Panel, piece: Piece, remainder: Remainder) -> Vector | None:
        """The integrals over a panel at a singular end of its piece."""
        if panel.lo is piece.lo and piece.left is not None:
            return remainder(piece.left, 1, panel.hi - arb(piece.left), piece.signs)
        if panel.hi is piece.hi and piece.right is not None:
            return remainder(piece.right, -1, arb(piece.right) - panel.lo, piece.signs)
        return None

    def _signed(self, line: "Line", panel: Panel, which: int) -> list[Panel] | None:
        """The panel with the sign of y (0) or dy/dx (1), split where that changes; None where nothing shows it."""

        def value(point: arb) -> arb:
            quantity = line.on_interval(point, point)[1 + which]
            return quantity.lo.union(quantity.hi)

        def with_sign(lo: arb, hi: arb, sign: int | None) -> Panel:
            signs = (sign, panel.signs[1]) if which == 0 else (panel.signs[0], sign)
            return Panel(lo, hi, panel.depth + 1, signs)

        self._count(3)
        lo, here = self._inner(value, panel.lo, 1)
        hi, there = self._inner(value, panel.hi, -1)
        if here is None or there is None or not (lo < hi) or not line.is_monotone(lo, hi, which):
            return None
        for a, b in ((panel.lo, lo), (hi, panel.hi)):
            if a is not b:
                self.add(self.bounds(Gap(a, b)), scaled=False)
        if here * there >= 0:
            return [with_sign(lo, hi, here or there)]
        a, b = bracket(value, lo, hi, self.width)
        if a is not b:
            self.add(self.bounds(Gap(a, b)), scaled=False)
        return [with_sign(lo, a, here), with_sign(b, hi, there)]

    def _inner(self, value: Function, end: arb, side: int) -> tuple[arb, int | None]:
        """An end of a panel and the sign there; where that is too close to call, a point next to it."""
        sign = sign_of(value(end))
        if sign is not None:
            return end, sign
        inner = (end + side * self.width).mid()
        return inner, sign_of(value(inner))

    def _ordered(self, panels: list[Panel]) -> list[Panel]:
        """The one nearer to the mean last, which is done first: more of the integral is to be had there."""
        mean = arb(self.integrand.x.mean)
        return sorted(panels, key=lambda panel: float(abs(panel.middle - mean) / panel.half), reverse=True)

    def _rule(self, line: "Line", panel: Panel) -> tuple[int, Vector] | None:
        """The number of nodes that the aims take, with the errors; None where it is too large."""
        here = self.quantities.of(*line.at(panel.middle), self._known(panel))
        with ctx.workprec(BOUND_BITS):
            half = panel.half
            aims = [(abs(v) * half).max(scale).mid() * self.unit for v, scale in zip(here, self.scale, strict=True)]
            best: tuple[int, Vector] | None = None
            for rho in ELLIPSES:
                if best is not None and rho < 3:
                    continue
                self._count(BOXES)
                boxes = [self.quantities.of(*values, self._known(panel)) for values in line.on_ellipse(panel, rho)]
                sizes = [_largest(values) for values in zip(*boxes, strict=True)]
                if not all(size.is_finite() for size in sizes):
                    if rho > 3:
                        break
                    continue
                factor = half * 64 * rho * rho / (15 * (1 - 1 / (rho * rho)))
                needed = max(_nodes(factor * size, aim, rho) for size, aim in zip(sizes, aims, strict=True))
                n = next((n for n in NODES if n >= needed), 10**9)
                if best is not None and n >= best[0]:
                    break
                if n <= self.largest:
                    best = n, [(factor * size * rho ** (-2 * n)).upper() for size in sizes]
        return best

    def _sum(self, line: "Line", panel: Panel, n: int, errors: Vector) -> Vector:
        """Gauss's sums, with their errors."""
        middle, half, signs = panel.middle, panel.half, self._known(panel)
        sums = [error.union(-error) for error in errors]
        for place, weight in rule(n, ctx.prec):
            p, y, s = line.at(middle + half * place)
            values = self.quantities.of(p * (weight * half), y, s, signs)
            sums = [total + value for total, value in zip(sums, values, strict=True)]
        self._count(n)
        return sums

    @staticmethod
    def _known(panel: Panel) -> tuple[int, int]:
        """The signs for formulas; an unknown one is not used."""
        y, s = panel.signs
        return (1 if y is None else y), (1 if s is None else s)

    def _count(self, runs: int) -> None:
        self.work += runs
        if self.work > self.most:
            raise WorkLimit("an integral would take too many panels")


class Line:
    """The integrand with the signs of one piece: at points, on intervals and on ellipses."""

    def __init__(self, integrand: Integrand, piece: Piece) -> None:
        self.integrand, self.piece = integrand, piece
        self.trace, self.spans, self.boxes = (Trace(piece.signs) for _ in range(3))
        self._point = integrand.on(Ball(arb(0), self.trace))
        self._interval = integrand.on(Span(arb(0), arb(0), self.spans))
        with ctx.workprec(BOUND_BITS):
            self._rectangle = integrand.on(Ball(acb(0), self.boxes))

    def at(self, x: arb) -> tuple[arb, arb, arb]:
        """p, y and dy/dx at a point."""
        self.trace.position = 0
        p, y, s = self._point(Ball(x, self.trace))
        return p.value, y.value, s.value

    def on_interval(self, lo: arb, hi: arb) -> tuple[Span, Span, Span]:
        """The same on an interval."""
        self.spans.position = 0
        return self._interval(Span(lo, hi, self.spans))

    def on_ellipse(self, panel: Panel, rho: arb) -> list[tuple[acb, acb, acb]]:
        """The same on rectangles that cover an ellipse."""
        half, high = panel.half / BOXES, panel.half * (rho - 1 / rho) / 2
        wide = half * (rho + 1 / rho) / 2
        values = []
        for box in range(BOXES):
            self.boxes.position = 0
            middle = panel.middle + wide * (2 * box + 1 - BOXES)
            p, y, s = self._rectangle(Ball(acb(middle + arb(0, wide), arb(0, high)), self.boxes))
            values.append((p.value, y.value, s.value))
            if not (p.value.is_finite() and y.value.is_finite() and s.value.is_finite()):
                break
        return values

    def is_monotone(self, lo: arb, hi: arb, which: int) -> bool:
        """Whether y (0) or dy/dx (1) is shown to be monotone on an interval."""
        if which == 0 and self.slope_is_derivative and self.on_interval(lo, hi)[2].known_sign() is not None:
            return True
        x = Jet.variable(Span(lo, hi, Trace(self.trace.decisions)))
        jet: Any = self.integrand.on(x)(x)[1 + which]
        return bool(jet.is_monotone)

    @cached_property
    def slope_is_derivative(self) -> bool:
        """Whether dy/dx is the derivative of y, to all digits at three points, and not another backward."""
        for part in PROBES:
            at = (self.piece.lo + (self.piece.hi - self.piece.lo) * arb(part)).mid()
            x = Jet.variable(Span(at, at, Trace(self.trace.decisions)))
            _, y, s = self.integrand.on(x)(x)
            slope, given = y.slope, s.value
            if not (slope.lo <= given.hi and given.lo <= slope.hi):
                return False
        return True


def _largest(values: Sequence[acb]) -> arb:
    """The largest absolute value of rectangles; it is not finite where one of them is not."""
    largest = values[0].abs_upper()
    for value in values[1:]:
        size = value.abs_upper()
        largest = largest.max(size) if size.is_finite() else size
    return largest


def _nodes(size: arb, aim: arb, rho: arb) -> float:
    """n with size·ρ^−2n ≤ aim."""
    if size.is_zero():
        return 0.0
    needed = (size / aim).log() / (2 * rho.log()) if aim > 0 else arb("inf")
    return float(needed.upper()) if needed.is_finite() else 1e9


@lru_cache(maxsize=512)
def rule(n: int, bits: int) -> list[tuple[arb, arb]]:
    """Nodes and weights on [−1, 1] at a working precision."""
    with ctx.workprec(bits + 10):
        return [arb.legendre_p_root(n, k, weight=True) for k in range(n)]
