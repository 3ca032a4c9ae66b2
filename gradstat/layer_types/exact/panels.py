"""∫ of several functions at once over a piece: adaptive Gauss–Legendre panels with proven errors.

If f is analytic inside the ellipse with foci at the ends of a panel and half-axes (ρ ± 1/ρ)/2 half-widths, and |f| ≤ M
there, n nodes are off by at most (64/15)·M·ρ^−2n/(1 − ρ^−2)·ρ² half-widths (Trefethen, Approximation Theory and
Approximation Practice, theorem 19.3, for n − 1). M comes from one run of the formula on a rectangle around the ellipse.
So a narrow peak cannot be stepped over: where it is, M is large or infinite, and the panel is halved.

One run at a node serves every moment of y and of dy/dx.
"""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

from flint import acb, arb, ctx

from gradstat.layer_types.exact.integrand import Integrand
from gradstat.layer_types.exact.lines import BOXES, Line, Panel
from gradstat.layer_types.exact.pieces import Gap, Piece, WorkLimit
from gradstat.layer_types.exact.spans import Hull, Span
from gradstat.layer_types.exact.traced import Trace
from gradstat.layer_types.exact.zeros import Function, bracket, sign_of

ELLIPSES = tuple(arb(rho) for rho in (3.0, 6.0, 1.75, 12.0))  # in the order in which they are tried
NODES = (4, 6, 8, 10, 12, 14, 16, 18, 20, 23, 26, 29, 32, 36, 40, 45, 50, 56, 63, 71, 80, 90, 101, 113, 127, 142, 160)
FEW = 26  # nodes: a larger ellipse would cost more than it could save
SPARE = 8  # bits by which all that is left out together is smaller than the aim
NOISE = 64  # times the rounding error of an integral: what |y| is not worth looking at any closer
MOST_HALVED = 400
SINGULAR = 12  # halvings after which the end of a piece is looked at as a singularity
DEEPEST = 4000

LN_2 = math.log(2.0)

Vector = list[Any]
Remainder = Callable[[Piece, int, arb], Vector | None]  # ∫ between a singular end and a point: piece, side, point


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
class Done:
    """A panel with its integrals, and all values of y on it."""

    piece: Piece
    panel: Panel
    y: Span
    values: Vector


@dataclass(frozen=True)
class Item:
    """A panel that waits, with bounds of its integrals."""

    line: Line
    panel: Panel
    y: Span
    bounds: Vector
    sizes: list[float]  # log₂ of the bounds


class Panels:
    """Integrates over pieces and gaps; `total` holds an enclosure of each integral."""

    def __init__(self, integrand: Integrand, quantities: Quantities, bits: int, width: arb, most: int) -> None:
        self.integrand, self.quantities, self.bits, self.width, self.most = integrand, quantities, bits, width, most
        self.total = [arb(0)] * quantities.count
        self.scale = [arb(0)] * quantities.count  # Σ|∫| over the panels that are done
        self.ignored: set[int] = set()  # integrals that are known to diverge
        self.given_up: set[int] = set()  # integrals of |y| or |s| whose changes of sign are not settled
        self.halved = 0  # panels, for a sign
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
        triple: Any = self.integrand.on(x)(x)
        p, y, s = (q.lo.union(q.hi) for q in triple)
        return [(value * (gap.hi - gap.lo)).union(arb(0)) for value in self.quantities.of(p, y, s, (2, 2))]

    def run(self, pieces: Sequence[Piece], remainder: Remainder = lambda *_: None) -> None:
        """Add the integrals over the pieces; `remainder` knows what lies next to a singular end.

        The panel that may hold most of an integral comes first, one integral after the other, so that what is small
        is known to be small when its turn comes.
        """
        queue = [self._item(Line(self.integrand, piece), Panel(piece.lo, piece.hi)) for piece in pieces]
        turn = 0
        open_ = [k for k in range(self.quantities.count) if k not in self.ignored]
        while open_ and queue:
            k = open_[turn % len(open_)]
            largest = max(range(len(queue)), key=lambda i: queue[i].sizes[k])
            least = max(_log2(self.scale[k]) - self.bits, _log2(self.total[k].rad()))
            if queue[largest].sizes[k] <= least - SPARE:
                open_.remove(k)
                continue
            turn += 1
            item = queue.pop(largest)
            queue += [self._item(item.line, panel) for panel in self._process(item, remainder)]
        for item in queue:
            self.add([bound.union(-bound) for bound in item.bounds], scaled=False)

    def _item(self, line: Line, panel: Panel) -> "Item":
        """A panel with bounds of its integrals."""
        self._count(1)
        p, y, s = line.on_interval(panel.lo, panel.hi)
        signs = [given if given is not None else q.known_sign() for given, q in zip(panel.signs, (y, s), strict=True)]
        values = self.quantities.of(p.lo.union(p.hi), y.lo.union(y.hi), s.lo.union(s.hi), (2, 2))
        bounds = [2 * panel.half * abs(value).upper() for value in values]
        return Item(line, replace(panel, signs=(signs[0], signs[1])), y, bounds, [_log2(bound) for bound in bounds])

    def _process(self, item: "Item", remainder: Remainder) -> list[Panel]:
        """Add the integrals over a panel, or return its parts."""
        line, panel, scales = item.line, item.panel, [scale * self.unit for scale in self.scale]
        if panel.depth > DEEPEST:
            raise WorkLimit("an integral would take too many panels")
        unknown = {
            i: which
            for i, which in self.quantities.signed.items()
            if panel.signs[which] is None and i not in self.ignored and not item.bounds[i] <= scales[i]
        }
        parts = self._signed(line, panel, min(unknown.values())) if unknown else None
        if parts is not None:
            return parts
        here, noise, best = self._rule(line, panel)
        if best is None:
            rest = self._beside(panel, line.piece, remainder) if panel.depth >= SINGULAR else None
            if rest is None:
                return panel.halves()
            self.add(rest)
            return []
        aims = {i: scales[i].max(noise[i] * NOISE) for i in unknown}
        if any(here[i] > aim for i, aim in aims.items()):  # a guess, which saves the sum
            return self._halved(panel, aims)
        values = self._sum(line, panel, *best)
        largest = {i: self.quantities.square(values, which).upper().sqrt() for i, which in unknown.items()}
        if not all(most <= aims[i] for i, most in largest.items()):
            return self._halved(panel, aims)
        for i, which in self.quantities.signed.items():
            if panel.signs[which] is None:
                values[i] = (largest[i] if i in largest else item.bounds[i]).union(arb(0))
        self.add(values)
        self.done.append(Done(line.piece, panel, item.y, values))
        return []

    def _halved(self, panel: Panel, unknown: Iterable[int]) -> list[Panel]:
        """Two panels, for a sign; the integrals are given up after too many halvings."""
        self.halved += 1
        if self.halved > MOST_HALVED:
            self.given_up |= set(unknown)
            self.ignored |= set(unknown)
        return panel.halves()

    def _beside(self, panel: Panel, piece: Piece, remainder: Remainder) -> Vector | None:
        """The integrals over a panel at a singular end of its piece."""
        if panel.lo is piece.lo and piece.left is not None:
            return remainder(piece, 1, panel.hi)
        if panel.hi is piece.hi and piece.right is not None:
            return remainder(piece, -1, panel.lo)
        return None

    def _signed(self, line: Line, panel: Panel, which: int) -> list[Panel] | None:
        """The panel with the sign of y (0) or dy/dx (1), split where that changes; None where nothing shows it."""

        def value(point: arb) -> arb:
            return line.at(point)[1 + which]

        def with_sign(lo: arb, hi: arb, sign: int | None) -> Panel:
            signs = (sign, panel.signs[1]) if which == 0 else (panel.signs[0], sign)
            return Panel(lo, hi, panel.depth + 1, signs)

        self._count(3)
        lo, here = self._inner(value, panel.lo, 1)
        hi, there = self._inner(value, panel.hi, -1)
        if here is None or there is None or not (lo < hi) or not line.is_monotone(lo, hi, which):
            return None
        gaps = [self.bounds(Gap(a, b)) for a, b in ((panel.lo, lo), (hi, panel.hi)) if a is not b]
        if not all(value.is_finite() for gap in gaps for k, value in enumerate(gap) if k not in self.ignored):
            return None  # a singular end
        for gap in gaps:
            self.add(gap, scaled=False)
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

    def _rule(self, line: Line, panel: Panel) -> tuple[Vector, Vector, tuple[int, Vector] | None]:
        """Rough sizes of the integrals, their rounding errors, and the number of nodes with its errors (None: many)."""
        here = self.quantities.of(*line.in_plane(panel.middle), self._known(panel))
        half = panel.half
        rough = [abs(value) * half for value in here]
        noise = [value.rad() * half for value in here]
        aims = [
            (size.max(scale).mid() * self.unit).max(least)
            for size, scale, least in zip(rough, self.scale, noise, strict=True)
        ]
        best: tuple[int, Vector] | None = None
        for rho in ELLIPSES:
            if best is not None and (rho < 3 or best[0] <= FEW):
                continue
            self._count(BOXES)
            boxes = [self.quantities.of(*values, self._known(panel)) for values in line.on_ellipse(panel, rho)]
            sizes = [_largest(values) for values in zip(*boxes, strict=True)]
            sizes = [arb(0) if k in self.ignored else size for k, size in enumerate(sizes)]
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
        return rough, noise, best

    def _sum(self, line: Line, panel: Panel, n: int, errors: Vector) -> Vector:
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


def _log2(value: arb) -> float:
    """log₂ for comparisons."""
    if not value > 0:
        return -math.inf
    return float(value.log()) / LN_2 if value.is_finite() else math.inf


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
