"""E[uᵏ·e^(−u)] with u = e^(x + s) on a grid of s, as enclosures: the transforms of a sum of exponentials of x.

Uniform and Laplace x give incomplete gamma functions. For normal and logistic x, the trapezoidal rule in x has the step
of the grid, so that all its sums are one product of polynomials, in whole numbers of 2⁻ᵖ. At x + iy the modulus of the
density is at most `growth` times the density, and |uᵏ·e^(−u)| is at most |u|ᵏ·e^(−|u|·cos y).
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction

from flint import arb, fmpq, fmpz_poly

from gradstat.layer_types.exact.constants import as_float
from gradstat.layer_types.exact.transforms import TooManyPoints, step_for, trapezoid_error

POWERS = range(5)
MOST_POINTS = 60_000
SPREADS = {"laplace": (0.02, 50.0), "uniform": (0.001, 1000.0)}  # standard deviations for which this is fast
INNER_HEIGHT = 1.4  # of the line Im x = y
NARROW = 0.85  # of the strip in which a logistic density has no pole
DIVISIONS = [2.0 ** (-i / 4) for i in range(48)]
RATES = [2.0 ** (i / 4) for i in range(-40, 60)]

Row = list[arb]


@dataclass(frozen=True)
class Law:
    """A distribution of x with zero mean and this variance."""

    name: str
    variance: Fraction

    @property
    def std(self) -> float:
        """σ, about."""
        return math.sqrt(self.variance)

    @property
    def sigma(self) -> arb:
        """σ."""
        return arb(fmpq(self.variance.numerator, self.variance.denominator)).sqrt()

    @property
    def limit(self) -> float:
        """E[e^(jx)] is finite for |j| below this."""
        return {"laplace": math.sqrt(2.0), "logistic": math.pi / math.sqrt(3.0)}.get(self.name, math.inf) / self.std

    def log_mean(self, j: float) -> float:
        """ln E[e^(jx)], about."""
        z = j * self.std
        if j >= 0.98 * self.limit:
            return math.inf
        if self.name == "normal":
            return 0.5 * z * z
        if self.name == "laplace":
            return -math.log1p(-0.5 * z * z)
        w = math.sqrt(3.0) * z
        if self.name == "logistic":
            return math.log(w / math.sin(w)) if w > 1e-6 else 0.0
        return w + math.log(-math.expm1(-2.0 * w) / (2.0 * w)) if w > 1e-6 else 0.0

    def mean_exponential(self, j: fmpq) -> arb:
        """E[e^(jx)], j being below the limit."""
        z = arb(j) * self.sigma
        if self.name == "normal":
            return (z * z / 2).exp()
        if self.name == "laplace":
            return 1 / (1 - z * z / 2)
        w = arb(3).sqrt() * z
        return w / w.sin() if self.name == "logistic" else w.sinh() / w


@dataclass(frozen=True)
class Cut:
    """An end of the grid, and j in the bound E[uᵏ·e^(−u)] ≤ E[uʲ]·((k − j)/e)^(k − j) for all that lies beyond it."""

    place: float
    j: fmpq


def left_cut(law: Law, k: float, target: float) -> Cut:
    """Where the bound with j in (0, k] falls below e^target as s → −∞."""
    ends = [Cut((target - law.log_mean(j) - _largest(k - j)) / j, _short(j)) for j in (k * d for d in DIVISIONS)]
    return max(ends, key=lambda cut: cut.place)


def right_cut(law: Law, k: float, target: float) -> Cut:
    """Where the bound with j < 0 falls below e^target as s → ∞."""
    ends = [Cut((law.log_mean(j) + _largest(k + j) - target) / j, _short(-j)) for j in RATES]
    return min(ends, key=lambda cut: cut.place)


def _largest(a: float) -> float:
    """ln of the largest uᵃ·e^(−u)."""
    return a * (math.log(a) - 1.0) if a > 0.0 else 0.0


def _short(j: float) -> fmpq:
    return fmpq(int(j * 2**20), 2**20)


def beyond(law: Law, k: int, cut: Cut, s: arb) -> arb:
    """The bound of E[uᵏ·e^(−u)] at s; beyond it, towards the side of the cut, it falls like e^(js)."""
    rest = k - cut.j
    largest = (arb(rest) * (arb(rest).log() - 1)).exp() if rest > 0 else arb(1)
    return (arb(cut.j) * s).exp() * law.mean_exponential(abs(cut.j)) * largest


def grid_step(law: Law, bits: int) -> fmpq:
    """The step of the grid, small enough for the trapezoidal rules in s and in x."""
    if law.name not in ("normal", "logistic"):
        return step_for(bits)
    height = _height(law, bits)
    growth = 0.5 * (height / law.std) ** 2 if law.name == "normal" else 4.0
    return min(step_for(bits), step_for(bits, height, growth))


def _height(law: Law, bits: int) -> float:
    if law.name == "normal":
        return min(INNER_HEIGHT, law.std * math.sqrt(2.0 * bits * math.log(2.0)))
    return min(INNER_HEIGHT, NARROW * math.sqrt(3.0) * law.std)


def rows(law: Law, step: fmpq, first: int, last: int, bits: int, spare: int) -> list[Row]:
    """E[uᵏ·e^(−u)] for k = 0 … 4 at s = step·i, first ≤ i ≤ last; `spare`: further bits of its absolute errors."""
    if law.name == "uniform":
        return _transposed(_uniform(law, arb(step * i)) for i in range(first, last + 1))
    if law.name == "laplace":
        return _transposed(_laplace(law, arb(step * i)) for i in range(first, last + 1))
    return _summed(law, step, first, last, bits, spare)


def _transposed(columns: Iterator[list[arb]]) -> list[Row]:
    return [list(row) for row in zip(*columns, strict=True)]


def _uniform(law: Law, s: arb) -> list[arb]:
    """(Γ(k, u₋) − Γ(k, u₊))/(2√3σ) with u = e^(s ∓ √3σ)."""
    reach = arb(3).sqrt() * law.sigma
    low, high = (s - reach).exp(), (s + reach).exp()
    values = [low.gamma_upper(0) - high.gamma_upper(0)]
    for k in POWERS[1:]:
        if high < 1:
            values.append(high.gamma_lower(k) - low.gamma_lower(k))
        else:
            values.append(low.gamma_upper(k) - high.gamma_upper(k))
    return [value / (2 * reach) for value in values]


def _laplace(law: Law, s: arb) -> list[arb]:
    """c/2·(u^c·Γ(k − c, u) + u^(−c)·γ(k + c, u)) with u = eˢ and c = √2/σ."""
    rate, u = arb(2).sqrt() / law.sigma, s.exp()
    up, down, end = (rate * s).exp(), (-rate * s).exp(), (-u).exp()
    upper: Row = []
    for k in POWERS:
        a = k - rate
        direct = not (k and a > 1)
        upper.append(u.gamma_upper(a) if direct else (a - 1) * upper[-1] + ((a - 1) * s).exp() * end)
    lower = [u.gamma_lower(POWERS[-1] + rate)]
    for k in reversed(POWERS[:-1]):
        a = k + rate
        lower.append((lower[-1] + (a * s).exp() * end) / a)
    return [rate / 2 * (up * above + down * below) for above, below in zip(upper, reversed(lower), strict=True)]


def _summed(law: Law, step: fmpq, first: int, last: int, bits: int, spare: int) -> list[Row]:
    """The trapezoidal rule in x: Σ h·p(jh)·u(i + j)ᵏ·e^(−u(i + j)) for all i at once."""
    places, h, sigma = bits + spare, arb(step), law.sigma
    height = arb(_height(law, bits))
    most = places * math.log(2.0)
    if law.name == "normal":
        half = math.ceil(law.std * math.sqrt(2.0 * most) / as_float(step)) + 1
        left_out = (h * half / (arb(2).sqrt() * sigma)).erfc()
        growth = (height**2 / (2 * sigma**2)).exp()
        scale = h / ((2 * arb.pi()).sqrt() * sigma)
        weights = [scale * (-((h * j / sigma) ** 2) / 2).exp() for j in range(half + 1)]
    else:
        rate = arb.pi() / (arb(3).sqrt() * sigma)
        half = math.ceil(most / float(rate.mid()) / as_float(step)) + 1
        left_out = 2 / (1 + (rate * h * half).exp())
        growth = 1 / (rate * height / 2).cos() ** 2
        weights = [h * rate / 4 / (rate * h * j / 2).cosh() ** 2 for j in range(half + 1)]
    fixed = [_to_fixed(weight, places) for weight in weights]
    density = fmpz_poly([*fixed[:0:-1], *fixed])
    tables: list[list[int]] = [[] for _ in POWERS]
    for i in range(first - half, last + half + 1):
        for table, value in zip(tables, _at(h * i, places), strict=True):
            table.append(_to_fixed(value, places))
    unit = arb(2) ** -places
    rounding = unit * (20 * (2 * half + 1) + 20)
    trapezoid = trapezoid_error(step, float(_height(law, bits))) * growth
    found = []
    for k, table in zip(POWERS, tables, strict=True):
        sums = density * fmpz_poly(table)
        largest, wider = (arb(k) ** k * arb(-k).exp() / cosine**k for cosine in (arb(1), height.cos()))
        moment = law.mean_exponential(fmpq(k)) if k and k < law.limit * 0.98 else None
        row = []
        for i in range(first, last + 1):
            size = wider if moment is None else wider.min(moment * (h * (k * i)).exp())
            around = rounding + largest * left_out + trapezoid * size
            row.append(arb(sums[i - first + 2 * half]) * unit * unit + arb(0, around.upper()))
        found.append(row)
    return found


def _at(w: arb, places: int) -> list[arb]:
    """uᵏ·e^(−u) for u = e^w; 0 where it is below 2^−places."""
    u = w.exp()
    if u > places + 60:
        return [arb(0)] * len(POWERS)
    value = (-u).exp()
    values = [value]
    for _ in POWERS[1:]:
        value = value * u
        values.append(value)
    return values


def _to_fixed(value: arb, places: int) -> int:
    """A whole number of 2^−places, off by less than 2."""
    mantissa, exponent = value.mid().man_exp()
    shift = int(exponent) + places
    return int(mantissa) << shift if shift >= 0 else int(mantissa) >> -shift


def check_size(law: Law, step: fmpq, first: int, last: int) -> None:
    """Raise TooManyPoints for a grid that would take seconds."""
    low, high = SPREADS.get(law.name, (0.0, math.inf))
    reach = 15.0 * law.std / as_float(step) if law.name not in SPREADS else 0.0
    if not low <= law.std <= high or last - first + 2.0 * reach > MOST_POINTS:
        raise TooManyPoints(f"standard deviation {law.std:g}")
