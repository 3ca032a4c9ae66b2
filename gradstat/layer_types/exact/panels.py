"""∫ of several functions at once over a piece: adaptive Gauss–Legendre panels with proven errors.

If f is analytic inside the ellipse with foci at the ends of a panel and half-axes (ρ ± 1/ρ)/2 half-widths, and |f| ≤ M
there, n nodes are off by at most (64/15)·M·ρ^−2n/(1 − ρ^−2)·ρ² half-widths (Trefethen, Approximation Theory and
Approximation Practice, theorem 19.3, for n − 1). M comes from one run of the formula on a rectangle around the ellipse.
So a narrow peak cannot be stepped over: where it is, M is large or infinite, and the panel is halved.

One run at a node serves every moment of y and of dy/dx.
"""

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

from flint import acb, arb, ctx, fmpq

from gradstat.layer_types.exact.balls import Ball
from gradstat.layer_types.exact.integrand import Integrand
from gradstat.layer_types.exact.pieces import Gap, Piece, WorkLimit
from gradstat.layer_types.exact.spans import Hull, Span
from gradstat.layer_types.exact.traced import Trace

ELLIPSES = tuple(arb(rho) for rho in (3.0, 6.0, 1.75, 12.0))  # in the order in which they are tried
NODES = (4, 6, 8, 10, 12, 14, 16, 18, 20, 23, 26, 29, 32, 36, 40, 45, 50, 56, 63, 71, 80, 90, 101, 113, 127, 142, 160)
SINGULAR = 20  # halvings after which the end of a piece is looked at as a singularity
DEEPEST = 4000
BOUND_BITS = 53  # of bounds on ellipses

Vector = list[Any]
Quantities = Callable[[Any, Any, Any, Sequence[int]], Vector]  # of p, y, dy/dx and the signs of the piece
Remainder = Callable[[fmpq, int, arb, list[int]], Vector | None]  # ∫ next to a singular end: place, side, width, signs


class Panels:
    """Integrates over pieces and gaps; `total` holds an enclosure of each integral."""

    def __init__(self, integrand: Integrand, quantities: Quantities, count: int, bits: int, most: int) -> None:
        self.integrand, self.quantities, self.bits, self.most = integrand, quantities, bits, most
        self.total = [arb(0)] * count
        self.scale = [arb(0)] * count  # Σ|∫| over the panels that are done
        self.work = 0
        self.largest = next((n for n in NODES if n >= 0.45 * bits), NODES[-1])

    def bounds(self, gap: Gap) -> Vector:
        """Bounds of the integrals over a gap, or over a part of it."""
        x = Hull(gap.lo, gap.hi, Trace())
        values = self._quantities_of(self.integrand.on(x)(x), (2, 2), lambda q: q.lo.union(q.hi))
        return [(value * (gap.hi - gap.lo)).union(arb(0)) for value in values]

    def piece(self, piece: Piece, remainder: Remainder) -> None:
        """Add the integrals over a piece; `remainder` knows what lies next to a singular end."""
        trace = Trace(piece.signs)
        node = self.integrand.on(Ball(arb(0), trace))
        with ctx.workprec(BOUND_BITS):
            rectangle = self.integrand.on(Ball(acb(0), trace))
        span = self.integrand.on(Span(arb(0), arb(0), trace))
        todo = [(piece.lo, piece.hi, 0)]
        while todo:
            lo, hi, depth = todo.pop()
            self._count()
            middle, half = ((lo + hi) / 2).mid(), ((hi - lo) / 2).mid()
            trace.position = 0
            bounds = self._quantities_of(span(Span(lo, hi, trace)), piece.signs, lambda q: q.lo.union(q.hi))
            bounds = [2 * half * abs(b) for b in bounds]
            if all(self._negligible(b, s) for b, s in zip(bounds, self.scale, strict=True)):
                self.add([b.union(-b) for b in bounds], scaled=False)
                continue
            if depth >= SINGULAR and not all(b.is_finite() for b in bounds):
                place, side = (piece.left, 1) if lo is piece.lo else (piece.right, -1) if hi is piece.hi else (None, 0)
                rest = remainder(place, side, hi - place if side > 0 else place - lo, piece.signs) if place is not None else None
                if rest is not None:
                    self.add(rest)
                    continue
            trace.position = 0
            here = self._at(node, middle, trace, piece.signs)
            with ctx.workprec(BOUND_BITS):
                aims = [
                    (abs(value) * half).max(scale).mid() * arb(2) ** -self.bits
                    for value, scale in zip(here, self.scale, strict=True)
                ]
                best = self._rule(rectangle, middle, half, aims, trace, piece.signs)
            if best is None:
                if depth > DEEPEST:
                    raise WorkLimit("an integral would take too many panels")
                parts = [(lo, middle, depth + 1), (middle, hi, depth + 1)]
                todo += parts if self._first(here, lo, hi) else parts[::-1]
                continue
            n, errors = best
            sums = [error.union(-error) for error in errors]
            for place, weight in rule(n, ctx.prec):
                values = self._at(node, middle + half * place, trace, piece.signs)
                weight = weight * half
                sums = [total + weight * value for total, value in zip(sums, values, strict=True)]
            self.work += n
            self.add(sums)

    def _first(self, here: Vector, lo: arb, hi: arb) -> bool:
        """Whether the right half is done first: the one nearer to the mean, where more of the integral is to be had."""
        mean = arb(self.integrand.x.mean)
        return bool(abs(hi - mean) < abs(lo - mean))

    def _negligible(self, bound: arb, scale: arb) -> bool:
        return bool(bound <= scale * arb(2) ** -self.bits)

    def _rule(self, rectangle: Any, middle: arb, half: arb, aims: Vector, trace: Trace, signs: list[int]) -> Any:
        """The number of nodes that the aims take, with the errors; None where it is too large."""
        best = None
        for rho in ELLIPSES:
            if best is not None and rho < 3:
                continue
            wide, high = half * (rho + 1 / rho) / 2, half * (rho - 1 / rho) / 2
            trace.position = 0
            box = Ball(acb(middle + arb(0, wide), arb(0, high)), trace)
            self.work += 1
            values = self._quantities_of(rectangle(box), signs, lambda q: q.value)
            sizes = [value.abs_upper() for value in values]
            if not all(size.is_finite() for size in sizes):
                if rho > 3:
                    break
                continue
            factor = half * 64 * rho * rho / (15 * (1 - 1 / (rho * rho)))
            needed = 0.0
            for size, aim in zip(sizes, aims, strict=True):
                if not size.is_zero():
                    ratio = (factor * size / aim).log() / (2 * rho.log()) if aim > 0 else arb("inf")
                    needed = max(needed, float(ratio.upper()) if ratio.is_finite() else 1e9)
            n = next((n for n in NODES if n >= needed), 10**9)
            if best is None or n < best[0]:
                best = (n, [(factor * size * rho ** (-2 * n)).upper() for size in sizes]) if n <= self.largest else best
            elif rho > 3:
                break
        return best

    def _at(self, node: Any, x: arb, trace: Trace, signs: list[int]) -> Vector:
        trace.position = 0
        return self._quantities_of(node(Ball(x, trace)), signs, lambda q: q.value)

    def _quantities_of(self, triple: Any, signs: Sequence[int], raw: Callable[[Any], Any]) -> Vector:
        return self.quantities(raw(triple[0]), raw(triple[1]), raw(triple[2]), signs[-2:])

    def add(self, values: Vector, scaled: bool = True) -> None:
        """Add to the totals, and to the scales where these are integrals and not bounds."""
        self.total = [total + value for total, value in zip(self.total, values, strict=True)]
        if scaled:
            self.scale = [
                scale + (abs(value).lower().max(arb(0)) if value.is_finite() else arb(0))
                for scale, value in zip(self.scale, values, strict=True)
            ]

    def _count(self) -> None:
        self.work += 1
        if self.work > self.most:
            raise WorkLimit("an integral would take too many panels")


@lru_cache(maxsize=512)
def rule(n: int, bits: int) -> list[tuple[arb, arb]]:
    """Nodes and weights on [−1, 1] at a working precision."""
    with ctx.workprec(bits + 10):
        return [arb.legendre_p_root(n, k, weight=True) for k in range(n)]
