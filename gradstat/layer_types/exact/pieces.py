"""Pieces of the real line on each of which an integrand is one analytic expression, with the proof.

A formula run on an interval says which sign it could not decide there. That quantity's zero is looked for, and the
interval is split at it: exactly where the zero is a number that was meant (0, ½, 3), otherwise around it, and a gap of
about 2^−bits standard deviations is left, on which the integrand is only bounded.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

from flint import arb, fmpq

from gradstat.layer_types.exact.constants import to_fraction
from gradstat.layer_types.exact.spans import Span
from gradstat.layer_types.exact.traced import Trace, Traced, Undecided

MOST_RUNS = 5000
SIMPLE = 10**9  # a root that is a fraction with a denominator up to this is that fraction


class WorkLimit(ArithmeticError):
    """More work than an exact value is worth."""


class _Captured(Exception):
    def __init__(self, quantity: Span) -> None:
        super().__init__()
        self.quantity = quantity


class _Probe(Trace):
    """Takes the signs before the one with the number `target`, and then stops with its quantity."""

    def __init__(self, before: list[int]) -> None:
        super().__init__(before)
        self.target = len(before)

    def sign(self, quantity: Any) -> int:
        if self.position == self.target:
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


Part = tuple[arb, arb, fmpq | None, fmpq | None]  # an interval and the kinks at its ends
OnRun = Callable[[Traced], Callable[[Traced], Any]]


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
        todo: list[Part] = [(lo, hi, None, None)]
        while todo:
            lo, hi, left, right = todo.pop()
            if hi - lo <= self.width:
                self.gaps.append(Gap(lo, hi))
                continue
            try:
                self.pieces.append(Piece(lo, hi, self.signs(lo, hi), left, right))
            except _Open as open_:
                for a, b, here, there in self.parts(lo, hi, open_.before):
                    todo.append((a, b, left if a is lo else here, right if b is hi else there))

    def signs(self, lo: arb, hi: arb) -> list[int]:
        """The signs on [lo, hi]; `_Open` with those before the first that changes."""
        trace = self.explore(lo, hi)
        if trace.touches:  # 0 at an end: the middle shows that it is not 0 everywhere
            middle = ((lo + hi) / 2).mid()
            inside = self.explore(middle, middle)
            for index, (sign, there) in enumerate(zip(trace.decisions, inside.decisions, strict=False)):
                if sign != there:
                    raise _Open(trace.decisions[:index])
        return trace.decisions

    def explore(self, lo: arb, hi: arb) -> Trace:
        """A run on the interval."""
        self.count()
        trace = Trace()
        x = Span(lo, hi, trace)
        try:
            self.on(x)(x)
        except Undecided:
            raise _Open(trace.decisions) from None
        return trace

    def count(self) -> None:
        self.runs += 1
        if self.runs > MOST_RUNS:
            raise WorkLimit("the places where the formula changes its expression are too many")

    def at(self, point: arb, before: list[int]) -> Span:
        """The undecided quantity at a point."""
        self.count()
        x = Span(point, point, _Probe(before))
        try:
            self.on(x)(x)
        except _Captured as captured:
            return captured.quantity
        raise AssertionError("a formula asks for other signs at a point than on an interval")

    def parts(self, lo: arb, hi: arb, before: list[int]) -> list[Part]:
        """[lo, hi] split at a zero of the undecided quantity, or in two halves where none shows."""
        for hint in self.hints:
            if lo < arb(hint) and arb(hint) < hi:
                exact = arb(hint)
                if exact.is_exact() and self.at(exact, before).is_zero:
                    return [(lo, exact, None, hint), (exact, hi, hint, None)]
                around = self.around(exact, lo, hi, before)
                if around is not None:
                    return self.gapped(lo, hi, *around)
        ends = self.at(lo, before), self.at(hi, before)
        if (ends[0].hi < 0 and ends[1].lo > 0) or (ends[0].lo > 0 and ends[1].hi < 0):
            return self.gapped(lo, hi, *self.bracket(lo, hi, *ends, before))
        inside = [arb(h).mid() for h in self.hints if lo < arb(h).mid() and arb(h).mid() < hi]
        middle = min(inside, key=lambda place: abs(place - (lo + hi) / 2), default=((lo + hi) / 2).mid())
        return [(lo, middle, None, None), (middle, hi, None, None)]

    def gapped(self, lo: arb, hi: arb, a: arb, b: arb) -> list[Part]:
        """The parts on both sides of a zero between a and b."""
        if a is b:
            exact = _fraction(a)
            return [(lo, a, None, exact), (a, hi, exact, None)]
        root = simplest(a, b)
        self.gaps.append(Gap(a, b))
        return [(lo, a, None, root), (b, hi, root, None)]

    def around(self, place: arb, lo: arb, hi: arb, before: list[int]) -> tuple[arb, arb] | None:
        """Two points around a place, less than a gap apart, where the quantity has two signs."""
        a, b = (place - self.width / 2).mid(), (place + self.width / 2).mid()
        if not (lo < a and b < hi):
            return None
        one, other = self.at(a, before), self.at(b, before)
        return (a, b) if (one.hi < 0 and other.lo > 0) or (one.lo > 0 and other.hi < 0) else None

    def bracket(self, lo: arb, hi: arb, at_lo: Span, at_hi: Span, before: list[int]) -> tuple[arb, arb]:
        """A zero between two points of two signs: secants, and halves where they do not help."""
        low, high = at_lo.lo, at_hi.lo
        for step in range(400):
            if hi - lo <= self.width:
                return lo, hi
            guess = (lo - low * (hi - lo) / (high - low)).mid() if step % 3 < 2 else ((lo + hi) / 2).mid()
            if not (lo < guess and guess < hi):
                guess = ((lo + hi) / 2).mid()
            if step % 3 == 1 and (tight := self.around(guess, lo, hi, before)):
                return tight
            value = self.at(guess, before)
            if value.is_zero:
                return guess, guess
            if not (value.lo > 0 or value.hi < 0):
                return self.around(guess, lo, hi, before) or (lo, hi)
            if (value.lo > 0) == (high > 0):
                hi, high, low = guess, value.lo, low / 2
            else:
                lo, low, high = guess, value.lo, high / 2
        raise WorkLimit("a place where the formula changes its expression was not found")


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
