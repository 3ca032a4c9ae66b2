"""The integrand on one piece: at points, on intervals, on rectangles around ellipses of the complex plane."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

from flint import acb, arb

from gradstat.layer_types.exact.balls import Ball, in_plane
from gradstat.layer_types.exact.integrand import Integrand
from gradstat.layer_types.exact.jets import Jet
from gradstat.layer_types.exact.pieces import Piece
from gradstat.layer_types.exact.spans import Span
from gradstat.layer_types.exact.traced import Trace

BOXES = 4  # rectangles that cover an ellipse
PROBES = (0.5, 0.3125, 0.890625)  # of a piece: where dy/dx is compared with the derivative of y


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


class Line:
    """The integrand with the signs of one piece: at points, on intervals and on ellipses."""

    def __init__(self, integrand: Integrand, piece: Piece) -> None:
        self.integrand, self.piece = integrand, piece
        self.trace, self.spans, self.boxes = (Trace(piece.signs) for _ in range(3))
        self._point: Any = integrand.on(Ball(arb(0), self.trace))
        self._interval: Any = integrand.on(Span(arb(0), arb(0), self.spans))
        self._rectangle: Any = integrand.on(Ball(acb(0), self.boxes))

    def at(self, x: arb) -> tuple[arb, arb, arb]:
        """p, y and dy/dx at a point."""
        self.trace.position = 0
        p, y, s = self._point(Ball(x, self.trace))
        return p.value, y.value, s.value

    def in_plane(self, x: arb) -> tuple[acb, acb, acb]:
        """The same in complex arithmetic: with the rounding errors that rectangles have."""
        self.boxes.position = 0
        p, y, s = self._rectangle(Ball(in_plane(x), self.boxes))
        return p.value, y.value, s.value

    def on_interval(self, lo: arb, hi: arb) -> tuple[Span, Span, Span]:
        """The same on an interval."""
        self.spans.position = 0
        triple: tuple[Span, Span, Span] = self._interval(Span(lo, hi, self.spans))
        return triple

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
            triple: Any = self.integrand.on(x)(x)
            _, y, s = triple
            slope, given = y.slope, s.value
            if not (slope.lo <= given.hi and given.lo <= slope.hi):
                return False
        return True
