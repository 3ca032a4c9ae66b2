"""A zero of a function between two points where it has two signs."""

from collections.abc import Callable

from flint import arb

Function = Callable[[arb], arb]  # an exact point ↦ an enclosure of the value there
MOST_STEPS = 400


def sign_of(value: arb) -> int | None:
    """−1, 0 or 1; None within rounding of a zero."""
    return 1 if value > 0 else -1 if value < 0 else 0 if value.is_zero() else None


def around(function: Function, place: arb, width: arb, lo: arb, hi: arb) -> tuple[arb, arb] | None:
    """Two points around a place, less than `width` apart, where the function has two signs."""
    a, b = (place - width / 2).mid(), (place + width / 2).mid()
    a, b = a if a > lo else lo, b if b < hi else hi
    here, there = sign_of(function(a)), sign_of(function(b))
    return (a, b) if here is not None and there is not None and here * there < 0 else None


def bracket(function: Function, lo: arb, hi: arb, width: arb) -> tuple[arb, arb]:
    """Two points around a zero, less than `width` apart, or twice the zero itself.

    Secants, every fourth step a half; as soon as one may have settled, the two points around it are tried.
    """
    low, high = function(lo), function(hi)
    rising = bool(high > 0)
    for step in range(MOST_STEPS):
        if hi - lo <= width:
            break
        guess = (lo - low * (hi - lo) / (high - low)).mid() if step % 4 < 3 else ((lo + hi) / 2).mid()
        if not (lo < guess and guess < hi):
            guess = ((lo + hi) / 2).mid()
        here = function(guess)
        if here.is_zero():
            return guess, guess
        if here.contains(0) or step % 4 == 2:
            wider = (width, width * 2**8, width * 2**16, width * 2**32) if here.contains(0) else (width,)
            for distance in wider:
                tight = around(function, guess, distance, lo, hi)
                if tight is not None:
                    return tight
            if here.contains(0):
                break
        if (here > 0) == rising:
            hi, high, low = guess, here, low / 2
        else:
            lo, low, high = guess, here, high / 2
    return lo, hi
