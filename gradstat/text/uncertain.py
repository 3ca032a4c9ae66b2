"""Numbers as text: only digits that their error supports."""

import math

EXACT_DIGITS = 10  # quadrature is good to 1e-13; ten significant digits are certain
FLOAT_DIGITS = 15  # what a float64 holds of any decimal number
SMALLEST, LARGEST = -7, 6  # powers of ten between which numbers are written without an exponent


def with_error(value: float, error: float) -> str:
    """`0.21173 ± 0.00005`: the error to its first digit (two where that is a 1), the value to the same decimals.

    So the rounding is at most a quarter of the error, and no digit lies below it.
    """
    if not (math.isfinite(value) and math.isfinite(error)):
        return "nan ± nan"  # an overflow: no digit of the value has a warrant
    if error == 0.0:
        return f"{exact(value)} ± 0"
    size, last = magnitude(max(abs(value), error)), last_place(error)
    if size - last >= FLOAT_DIGITS:  # an error below what a float can tell
        return f"{value:.{FLOAT_DIGITS}g} ± {error:.0e}"
    if SMALLEST <= size < LARGEST and last <= 0:
        return f"{plain(value, -last)} ± {plain(error, -last)}"
    decimals = size - last
    return f"{plain(_scaled(value, -size), decimals)}e{size:+03} ± {plain(_scaled(error, -size), decimals)}e{size:+03}"


def magnitude(value: float) -> int:
    """The power of ten of the first digit, taken from the decimal text: a logarithm can be off by one."""
    return int(f"{abs(value):e}".partition("e")[2]) if value else SMALLEST


def last_place(error: float) -> int:
    """The power of ten of the last digit that a value with this standard error is printed to."""
    first = magnitude(error)
    return first - 1 if _scaled(error, -first) < 1.95 else first


def exact(value: float, scale: float = 0.0) -> str:
    """A value known to 10⁻¹³ of `scale`, to ten significant digits where it has them; 0 where it is nothing."""
    noise = 1e-13 * scale
    if abs(value) <= noise:
        return "0"
    digits = min(EXACT_DIGITS, magnitude(value) - magnitude(noise)) if noise else EXACT_DIGITS
    return f"{value:.{max(digits, 1)}g}"


def signed(z: float) -> str:
    """A z-score: `+1.4`, and `+0.0` for what rounds to nothing."""
    text = f"{z:+.1f}"
    return "+0.0" if text == "-0.0" else text


def plain(value: float, decimals: int) -> str:
    """Fixed decimals, and never `-0.000`."""
    text = f"{value:.{decimals}f}"
    return text.lstrip("-") if float(text) == 0.0 else text


def _scaled(value: float, power: int) -> float:
    """value · 10^power, without the rounding and overflow of 10.0**power."""
    digits, _, exponent = f"{value:.17e}".partition("e")
    return float(f"{digits}e{int(exponent) + power}")
