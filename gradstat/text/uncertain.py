"""A number with its standard error, and its text with the digits that are certain."""

import math
from dataclasses import dataclass

EXACT_DIGITS = 10  # of an exact value, unless more are asked for
NO_ERROR_DIGITS = 3  # of a number without an error bar
FLOAT_DIGITS = 15  # decimal digits that every float64 holds
SMALLEST, LARGEST = -7, 6  # exponents between these: numbers are written without an exponent

# What a number is worth.
PROVEN = "proven"  # an exact value with proven bounds
NUMERIC = "numeric"  # an exact value whose error is estimated, and not proven
INFINITE = "infinite"  # proven to be ∞ or −∞
UNDEFINED = "undefined"  # proven to have no value, not even an infinite one
OVERFLOW = "overflow"  # a number outside the range of float64
SAMPLED = "sampled"  # an estimate
EXACT_KINDS = (PROVEN, NUMERIC, INFINITE, UNDEFINED, OVERFLOW)

APPROXIMATELY = "≈"
LEGEND = f"{APPROXIMATELY}: an exact value by quadrature, whose error is estimated and not proven"


@dataclass(frozen=True, slots=True)
class Uncertain:
    """A value and its standard error; an error of None or 0 means that the value is exact.

    `scale` is the size of the variable: an exact value below 10⁻¹³ · scale is a rounding error, and is shown as 0.
    """

    value: float
    error: float | None = None
    scale: float = 0.0
    kind: str = ""  # one of the kinds above; "" if only the value and its error are known
    reason: str = ""  # why there is no finite value
    certain: str = ""  # of an exact value: its certain digits, as many as were asked for
    precise: float | str | None = None  # the same for programs, a text if a float has not as many; None: the value

    @property
    def parts(self) -> tuple[str, str]:
        """The certain digits of the value and of its error; the error of an exact value is an empty text."""
        if self.kind in (UNDEFINED, OVERFLOW) and not self.certain:
            return self.kind, ""
        if self.error:
            return digits(self.value, self.error)
        mark = APPROXIMATELY if self.kind == NUMERIC else ""
        return mark + (self.certain or exact(self.value, self.scale)), ""

    @property
    def text(self) -> str:
        """`0.21173 ± 0.00005`: certain digits only."""
        value, error = self.parts
        return f"{value} ± {error}" if error else value

    @property
    def literal(self) -> str:
        """The value in full precision, as a Python literal; a text if it has more digits than a float."""
        if self.precise is not None:
            return f'"{self.precise}"' if isinstance(self.precise, str) else repr(self.precise)
        return repr(self.value) if math.isfinite(self.value) else f'float("{self.value}")'

    @property
    def for_programs(self) -> float | str | None:
        """The value in full precision; None for infinite and undefined values, which JSON does not have."""
        if self.precise is not None:
            return self.precise
        return self.value if math.isfinite(self.value) else None

    @property
    def remark(self) -> str:
        """What a comment in code says about the number; "" for a proven or sampled one."""
        return self.reason or (NUMERIC if self.kind == NUMERIC else "")


def digits(value: float, error: float) -> tuple[str, str]:
    """`0.21173`, `0.00005`: the error with one digit (two if the first is 1), the value with the same decimals.

    So rounding changes the value by at most a quarter of the error. An error below the precision of a float is left
    out: all digits of the float are certain.
    """
    if math.isfinite(value) and math.isinf(error):
        return f"{value:.{NO_ERROR_DIGITS}g}", "?"  # there is no error bar
    if not (math.isfinite(value) and math.isfinite(error)):
        return OVERFLOW, ""  # no digit of the value is certain
    size, last = magnitude(max(abs(value), error)), last_place(error)
    if size - last >= FLOAT_DIGITS:
        return f"{value:.{FLOAT_DIGITS}g}", ""
    if SMALLEST <= size < LARGEST and last <= 0:
        return plain(value, -last), plain(error, -last)
    value, error = _scaled(value, -size), _scaled(error, -size)
    return f"{plain(value, size - last)}e{size:+03}", f"{plain(error, size - last)}e{size:+03}"


def magnitude(value: float) -> int:
    """The power of ten of the first digit, taken from the decimal text: a logarithm can be off by one."""
    return int(f"{abs(value):e}".partition("e")[2]) if value else SMALLEST


def last_place(error: float) -> int:
    """The power of ten of the last digit that a value with this standard error is printed to."""
    first = magnitude(error)
    return first - 1 if _scaled(error, -first) < 1.95 else first


def exact(value: float, scale: float = 0.0) -> str:
    """A value exact to 10⁻¹³ · scale, with up to ten significant digits; 0 if it is smaller than 10⁻¹³ · scale."""
    noise = 1e-13 * scale
    if not math.isfinite(value):
        return UNDEFINED if math.isnan(value) else "∞" if value > 0.0 else "−∞"
    if abs(value) <= noise:
        return "0"
    significant = min(EXACT_DIGITS, magnitude(value) - magnitude(noise)) if noise else EXACT_DIGITS
    return f"{value:.{max(significant, 1)}g}"


def signed(z: float) -> str:
    """A z-score with its sign, `+1.4`; `+0.0` if it rounds to 0."""
    text = f"{z:+.1f}"
    return "+0.0" if text == "-0.0" else text


def plain(value: float, decimals: int) -> str:
    """A number with fixed decimals; never `-0.000`."""
    text = f"{value:.{decimals}f}"
    return text.lstrip("-") if float(text) == 0.0 else text


def _scaled(value: float, power: int) -> float:
    """value · 10^power, without the rounding and overflow of 10.0**power."""
    mantissa, _, exponent = f"{value:.17e}".partition("e")
    return float(f"{mantissa}e{int(exponent) + power}")
