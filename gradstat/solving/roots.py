"""Roots of one function of one unknown: found in floats on a grid, then proven by the signs of enclosures."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import pairwise

import numpy as np

from gradstat.layer_types.exact.enclosure import Enclosure

POINTS = 400  # of the grid
WIDE_RATIO = 100  # of the ends of a bracket: from here on the grid is logarithmic
HALVINGS = 200
GOLDEN = 0.5 * (math.sqrt(5.0) - 1.0)
TOUCHES = 1e-9  # of the size of F on the grid: a smallest |F| below may be a double root
NOISE = 1e-13  # of the size of F: floats below are 0 within rounding
DIPS = 0.1  # of a smallest |F| on the grid, by which a parabola must go lower to be looked at
FLAT = 5  # points in a row where F is 0 within rounding
MOST_STEPS = 40
SMALL = 1e-6  # of the ends between which F changes its sign: a root below is near 0
COARSE = 17  # digits, for the change of F nearby
GUARD = 4  # digits beyond those asked for
JUMPS = 0.1  # of the change of F nearby: a jump keeps it however close one looks
NEAR, FAR = Fraction(1, 10**9), Fraction(1, 10**5)  # distances, relative to the root

Floats = Callable[[float], float]
Enclosed = Callable[[Fraction, int], Enclosure]


@dataclass
class Scan:
    """What floats show of F on a bracket."""

    crossings: list[tuple[float, float]] = field(default_factory=list)  # with two signs at the ends
    touches: list[float] = field(default_factory=list)  # where |F| is smallest and near 0
    flat: list[tuple[float, float]] = field(default_factory=list)
    smallest: tuple[float, float] = (math.nan, math.inf)  # (x, |F|)
    undefined: int = 0  # points without a value


def grid(low: float, high: float, points: int = POINTS) -> list[float]:
    """Points of a bracket, logarithmic where it is wide."""
    if low > 0.0 and high >= WIDE_RATIO * low:
        return [float(x) for x in np.geomspace(low, high, points + 1)]
    return [float(x) for x in np.linspace(low, high, points + 1)]


def scan(function: Floats, places: Sequence[float]) -> Scan:
    """Sign changes, smallest values and flat parts."""
    pairs = [(x, function(x)) for x in places]
    known = [(x, value) for x, value in pairs if math.isfinite(value)]
    result = Scan(undefined=len(pairs) - len(known))
    if not known:
        return result
    size = float(np.median([abs(value) for _, value in known])) or max(abs(value) for _, value in known)
    noise = NOISE * max(size, 1.0)
    result.smallest = min(((x, abs(value)) for x, value in known), key=lambda pair: pair[1])
    _find_flat(known, noise, result)
    rest = [(x, value) for x, value in known if not any(low <= x <= high for low, high in result.flat)]
    for (a, at_a), (b, at_b) in pairwise(rest):
        if at_a * at_b < 0.0:
            result.crossings.append((a, b))
    for (a, at_a), (b, at_b), (c, at_c) in zip(rest, rest[1:], rest[2:], strict=False):
        if at_b == 0.0:
            result.crossings.append((a, c)) if at_a * at_c < 0.0 else result.touches.append(b)
        elif at_a * at_b > 0.0 and at_b * at_c > 0.0 and _dips(abs(at_a), abs(at_b), abs(at_c)):
            _look_closer(function, a, c, math.copysign(1.0, at_b), size, result)
    for x, value in (rest[:1] + rest[-1:]) if rest else []:
        if value == 0.0:
            result.touches.append(x)
    result.crossings.sort()
    return result


def _find_flat(known: Sequence[tuple[float, float]], noise: float, result: Scan) -> None:
    start: int | None = None
    for index in range(len(known) + 1):
        is_zero = index < len(known) and abs(known[index][1]) <= noise
        if is_zero and start is None:
            start = index
        elif not is_zero and start is not None:
            if index - start >= FLAT:
                result.flat.append((known[start][0], known[index - 1][0]))
            start = None


def _dips(a: float, b: float, c: float) -> bool:
    """True if the middle one of three values is the smallest, and a parabola through them goes notably lower."""
    return b <= min(a, c) and b < max(a, c) and (c - a) ** 2 / (8.0 * (a - 2.0 * b + c)) >= DIPS * b


def _look_closer(function: Floats, a: float, c: float, sign: float, size: float, result: Scan) -> None:
    """The smallest |F| between two points: two roots if F changes its sign there, perhaps a double one otherwise."""
    place, value = smallest(lambda x: sign * function(x), a, c)
    if value < 0.0:
        result.crossings += [(a, place), (place, c)]
    elif value <= TOUCHES * size:
        result.touches.append(place)
    if abs(value) < result.smallest[1]:
        result.smallest = place, abs(value)


def smallest(function: Floats, low: float, high: float) -> tuple[float, float]:
    """The place of the smallest value between two points, by golden sections, and the value."""
    a, b = high - GOLDEN * (high - low), low + GOLDEN * (high - low)
    at_a, at_b = function(a), function(b)
    for _ in range(60):
        if at_a < at_b:
            high, b, at_b = b, a, at_a
            a = high - GOLDEN * (high - low)
            at_a = function(a)
        else:
            low, a, at_a = a, b, at_b
            b = low + GOLDEN * (high - low)
            at_b = function(b)
    return (a, at_a) if at_a < at_b else (b, at_b)


def bisected(function: Floats, low: float, high: float) -> float:
    """A float next to a sign change between two points; secants, and every third step a half."""
    at_low, at_high = function(low), function(high)
    size = SMALL * max(abs(low), abs(high))
    for step in range(HALVINGS):
        middle = 0.5 * (low + high)
        if not low < middle < high:
            break
        if step % 3 and at_high != at_low:
            secant = low - at_low * (high - low) / (at_high - at_low)
            middle = secant if low < secant < high else middle
        value = function(middle)
        if value == 0.0 or not math.isfinite(value):
            return middle
        if value * at_low > 0.0:
            low, at_low = middle, value
        else:
            high, at_high = middle, value
        if high - low <= 2e-15 * max(abs(low), abs(high), size):
            break
    return low if abs(at_low) < abs(at_high) else high


@dataclass(frozen=True)
class Refined:
    """Bounds of a root at which F has two signs, `jump` where F does not become small, or why there is neither."""

    bounds: Enclosure | None
    jump: tuple[Enclosure, Enclosure] | None = None
    reason: str = ""


def refined(function: Enclosed, near: float, scale: float, digits: int) -> Refined:
    """A sign change near a float, to so many digits, or relative to the scale of the bracket if it is near 0."""
    place = Fraction(near)
    size = max(abs(place), Fraction(SMALL * scale))
    wide = [function(place + side * FAR * size, COARSE) for side in (-1, 1)]
    tight = [function(place + side * NEAR * size, COARSE) for side in (-1, 1)]
    if not all(value.is_finite for value in (*wide, *tight)):
        return Refined(None, reason="the two sides could not be bounded there")
    change, nearby = (float(b) - float(a) for a, b in (wide, tight))
    if abs(nearby) > JUMPS * abs(change) and _sign(tight[0]) * _sign(tight[1]) < 0:
        return Refined(None, (tight[0], tight[1]))
    if not change:
        return Refined(None, reason="the two sides do not differ nearby")
    slope = Fraction(change) / (2 * FAR * size)
    place = _by_secants(function, place, slope, size, digits)
    width = size / Fraction(10) ** (digits + 2)
    for factor in (1, 10, 100, 1000):
        low, high = place - factor * width, place + factor * width
        ends = [function(end, _digits(digits, slope, size)) for end in (low, high)]
        if all(value.is_finite for value in ends) and _sign(ends[0]) * _sign(ends[1]) < 0:
            return Refined(Enclosure(low, high))
    return Refined(None, reason="its sign could not be shown on both sides")


def _by_secants(function: Enclosed, place: Fraction, slope: Fraction, size: Fraction, digits: int) -> Fraction:
    """A fraction within a tenth of a unit of the last digit, or as close as the enclosures are."""
    unit = size / Fraction(10) ** (digits + 3)
    before: tuple[Fraction, Fraction] | None = None
    for _ in range(MOST_STEPS):
        value = function(place, _digits(digits, slope, size))
        if not value.is_finite:
            break
        here = value.middle
        if before is not None and before[0] != place and before[1] != here:
            slope = (here - before[1]) / (place - before[0])
        step = -here / slope
        before = place, here
        if abs(step) > size / 10:
            break
        place = _short(place + step, size, digits)
        if abs(step) <= unit or value.contains_zero:
            break
    return place


def _short(value: Fraction, size: Fraction, digits: int) -> Fraction:
    """The value with so few bits as the digits need."""
    exponent = math.ceil((digits + GUARD + 1) * math.log2(10)) - math.floor(math.log2(float(size)))
    return Fraction(round(value * Fraction(2) ** exponent)) / Fraction(2) ** exponent


def _digits(digits: int, slope: Fraction, size: Fraction) -> int:
    """Of statistics, so that their errors stay below a unit of the root: more where the root depends little on them."""
    lost = math.log10(max(1e-12, float(abs(slope) * size)))
    return digits + GUARD + max(0, math.ceil(-lost))


def _sign(value: Enclosure) -> int:
    low, high = value.bounds
    return 1 if low > 0 else -1 if high < 0 else 0
