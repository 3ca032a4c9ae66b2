"""Pieces of the real line on each of which an integrand is one analytic expression, with the proof.

A formula run on an interval says which sign it could not decide there. That quantity's zero is looked for, and the
interval is split at it: exactly where the zero is a number that was meant (0, ½, 3), otherwise around it, and a gap of
about 2^−bits standard deviations is left, on which the integrand is only bounded.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from flint import arb, fmpq

from gradstat.layer_types.exact.constants import to_fraction
from gradstat.layer_types.exact.jets import Jet
from gradstat.layer_types.exact.spans import Span
from gradstat.layer_types.exact.traced import Trace, Traced, Undecided
from gradstat.layer_types.exact.zeros import Function, around, bracket, sign_of

OnRun = Callable[[Traced], Callable[[Traced], Any]]
MOST_RUNS = 5000
SIMPLE = 10**9  # a root that is a fraction with a denominator up to this is that fraction


class WorkLimit(ArithmeticError):
    """More work than an exact value is worth."""


class _Captured(Exception):
    def __init__(self, quantity: Any) -> None:
        super().__init__()
        self.quantity = quantity


class _Probe(Trace):
    """Takes the given signs, and then stops with the quantity that comes next."""

    def sign(self, quantity: Any) -> int:
        if self.position == len(self.decisions):
            raise _Captured(quantity)
        return super().sign(quantity)


@dataclass(frozen=True)
class Piece:
    """[lo, hi] with the signs that hold inside; `left` and `right` are the kinks at its ends, where they are known."""

    lo: arb
    hi: arb
    signs: list[int]
    left: fmpq | None = None
    right: fmpq | None = None


@dataclass(frozen=True)
class Gap:
    """A tiny interval around a kink."""

    lo: arb
    hi: arb


@dataclass(frozen=True)
class Part:
    """An interval whose signs are not all known yet: the kinks at its ends, and the first signs."""

    lo: arb
    hi: arb
    left: fmpq | None = None
    right: fmpq | None = None
    signs: Sequence[int] = ()

    def inherit(self, inner: "Part") -> "Part":
        """A part of this one, which has its kinks where it has its ends."""
        left = self.left if inner.lo is self.lo else inner.left
        right = self.right if inner.hi is self.hi else inner.right
        return Part(inner.lo, inner.hi, left, right, inner.signs or self.signs)


@dataclass
class Splitter:
    """Splits an interval into pieces and gaps."""

    on: OnRun
    hints: tuple[fmpq, ...]
    width: arb  # of a gap
    pieces: list[Piece] = field(default_factory=list)
    gaps: list[Gap] = field(default_factory=list)
    runs: int = 0

    def split(self, lo: arb, hi: arb) -> None:
        """Fill `pieces` and `gaps`."""
        todo = [Part(lo, hi)]
        while todo:
            part = todo.pop()
            if part.hi - part.lo <= self.width:
                self.gaps.append(Gap(part.lo, part.hi))
                continue
            try:
                signs = self.signs(part)
            except _Open as open_:
                parts = self.parts(part.lo, part.hi, open_.before)
                todo += [part.inherit(inner) for inner in parts]
            else:
                self.pieces.append(Piece(part.lo, part.hi, signs, part.left, part.right))

    def signs(self, part: "Part") -> list[int]:
        """The signs on an interval; `_Open` with those before the first that changes."""
        trace = self.explore(part.lo, part.hi, part.signs)
        if trace.touches:  # 0 at an end: the middle shows that it is not 0 everywhere
            middle = ((part.lo + part.hi) / 2).mid()
            inside = self.explore(middle, middle, part.signs)
            for index, (sign, there) in enumerate(zip(trace.decisions, inside.decisions, strict=False)):
                if sign != there:
                    raise _Open(trace.decisions[:index])
        return trace.decisions

    def explore(self, lo: arb, hi: arb, given: Sequence[int]) -> Trace:
        """A run on the interval, of which the first signs are known."""
        self.count()
        trace = Trace(given)
        x = Span(lo, hi, trace)
        try:
            self.on(x)(x)
        except Undecided:
            raise _Open(trace.decisions) from None
        return trace

    def count(self) -> None:
        """One more run; WorkLimit after too many."""
        self.runs += 1
        if self.runs > MOST_RUNS:
            raise WorkLimit("the places where the formula changes its expression are too many")

    def at(self, x: Any) -> Any:
        """The undecided quantity at a point or on an interval: the one after the signs that x's trace holds."""
        self.count()
        try:
            self.on(x)(x)
        except _Captured as captured:
            return captured.quantity
        raise AssertionError("a formula asks for other signs at a point than on an interval")

    def value(self, before: list[int]) -> Function:
        """The undecided quantity as a function of a point."""

        def value(point: arb) -> arb:
            quantity: Span = self.at(Span(point, point, _Probe(before)))
            return quantity.lo.union(quantity.hi)

        return value

    def parts(self, lo: arb, hi: arb, before: list[int]) -> list["Part"]:
        """[lo, hi] split at a zero of the undecided quantity, or in two halves where none shows."""
        value = self.value(before)
        for hint in self.hints:
            if lo < arb(hint) and arb(hint) < hi:
                exact = arb(hint)
                if exact.is_exact() and value(exact).is_zero():
                    return [Part(lo, exact, None, hint), Part(exact, hi, hint)]
                tight = around(value, exact, self.width, lo, hi)
                if tight is not None:
                    return self.gapped(lo, hi, *tight)
        here, there = sign_of(value(lo)), sign_of(value(hi))
        if here is not None and there is not None and here * there < 0:
            return self.gapped(lo, hi, *bracket(value, lo, hi, self.width))
        if here is not None and there is not None and here + there != 0:
            jet: Jet = self.at(Jet.variable(Span(lo, hi, _Probe(before))))
            if jet.is_monotone:  # it has no zero between two ends of one sign
                return [Part(lo, hi, None, None, [*before, 1 if here + there > 0 else -1])]
        inside = [arb(h).mid() for h in self.hints if lo < arb(h).mid() and arb(h).mid() < hi]
        middle = min(inside, key=lambda place: abs(place - (lo + hi) / 2), default=((lo + hi) / 2).mid())
        return [Part(lo, middle), Part(middle, hi)]

    def gapped(self, lo: arb, hi: arb, a: arb, b: arb) -> list["Part"]:
        """The parts on both sides of a zero between a and b."""
        if a is b:
            exact = _fraction(a)
            return [Part(lo, a, None, exact), Part(a, hi, exact)]
        root = simplest(a, b)
        self.gaps.append(Gap(a, b))
        return [Part(lo, a, None, root), Part(b, hi, root)]


class _Open(Exception):
    """A sign is open; those before it are known."""

    def __init__(self, before: list[int]) -> None:
        super().__init__()
        self.before = list(before)


def simplest(a: arb, b: arb) -> fmpq | None:
    """The fraction between two points that was meant; None where there is none with a small denominator."""
    low, high = to_fraction(a), to_fraction(b)
    near = ((low + high) / 2).limit_denominator(SIMPLE)
    return fmpq(near.numerator, near.denominator) if low <= near <= high else None


def _fraction(number: arb) -> fmpq:
    value = to_fraction(number)
    return fmpq(value.numerator, value.denominator)
