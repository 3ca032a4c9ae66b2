"""Polynomials in x times sines and cosines of x: their moments follow from the characteristic function of x.

Where x has a wide distribution, an integral over its many periods would take too many panels.
"""

import math
from collections.abc import Callable, Mapping
from typing import Any

from flint import acb, arb, arb_series, ctx, fmpq

from gradstat.assumptions import Input
from gradstat.layer_types.exact.constants import number
from gradstat.layer_types.exact.traced import Trace, Traced

Coefficient = Any  # fmpq where it is exact, else acb
Polynomial = dict[int, Coefficient]  # power of z → coefficient
NOTHING = fmpq(0)
MOST_TERMS = 4000


class Unknown(ArithmeticError):
    """The formula is not made of powers, sines and cosines."""


class Wave(Traced):
    """Σ P(z)·e^(itz) over frequencies t, which are rational; z = (x − μ)/σ."""

    __slots__ = ("terms", "trace")

    def __init__(self, terms: Mapping[fmpq, Polynomial], trace: Trace) -> None:
        self.terms, self.trace = terms, trace

    @classmethod
    def variable(cls, x: Input) -> "Wave":
        """x = μ + σz."""
        return cls({NOTHING: {0: _coefficient(x.mean), 1: _coefficient(x.std)}}, Trace())

    @property
    def fastest(self) -> fmpq:
        """The largest frequency."""
        return max(map(abs, self.terms), default=NOTHING)

    def of(self, value: Any) -> "Wave":
        if isinstance(value, Wave):
            return value
        coefficient = acb(value) if isinstance(value, arb) else _coefficient(value)
        return Wave({NOTHING: {0: coefficient}}, self.trace)

    def known_sign(self) -> int | None:
        """The sign of a constant."""
        value = self._constant()
        if value is None:
            return None
        real = value if isinstance(value, fmpq) else value.real
        return 1 if real > 0 else -1 if real < 0 else 0 if real == 0 else None

    def sign(self) -> int:
        return self.trace.sign(self)

    def nothing(self) -> "Wave":
        raise Unknown

    def plus(self, other: "Wave") -> "Wave":
        terms = {t: dict(polynomial) for t, polynomial in self.terms.items()}
        for t, polynomial in other.terms.items():
            mine = terms.setdefault(t, {})
            for power, coefficient in polynomial.items():
                mine[power] = mine.get(power, NOTHING) + coefficient
        return Wave(terms, self.trace)

    def negative(self) -> "Wave":
        return self.times(self.of(-1))

    def times(self, other: "Wave") -> "Wave":
        terms: dict[fmpq, Polynomial] = {}
        size = 0
        for t, first in self.terms.items():
            for u, second in other.terms.items():
                product = terms.setdefault(t + u, {})
                for i, a in first.items():
                    for j, b in second.items():
                        product[i + j] = product.get(i + j, NOTHING) + a * b
                size += len(product)
                if size > MOST_TERMS:
                    raise Unknown
        return Wave(terms, self.trace)

    def inverse(self) -> "Wave":
        return self._of_constant(lambda value: 1 / value)

    def exp(self) -> "Wave":
        return self._of_constant(lambda value: acb(value).exp())

    def expm1(self) -> "Wave":
        return self._of_constant(lambda value: acb(value).expm1())

    def log_positive(self) -> "Wave":
        return self._of_constant(lambda value: acb(value).log())

    def log1p_positive(self) -> "Wave":
        return self._of_constant(lambda value: acb(value).log1p())

    def sqrt_positive(self) -> "Wave":
        return self._of_constant(lambda value: acb(value).sqrt())

    def erf(self) -> "Wave":
        return self._of_constant(lambda value: acb(value).erf())

    def atan(self) -> "Wave":
        return self._of_constant(lambda value: acb(value).atan())

    def asinh(self) -> "Wave":
        return self._of_constant(lambda value: acb(value).asinh())

    def sin(self) -> "Wave":
        """(e^iu − e^−iu)/2i."""
        return self._turned(acb(0, -1) / 2, acb(0, 1) / 2)

    def cos(self) -> "Wave":
        """(e^iu + e^−iu)/2."""
        return self._turned(acb(1) / 2, acb(1) / 2)

    def _turned(self, forward: acb, backward: acb) -> "Wave":
        """forward·e^iu + backward·e^−iu for u = a + tz."""
        (polynomial,) = self.terms.values() if set(self.terms) == {NOTHING} else ({2: 1},)
        start, t = acb(polynomial.get(0, NOTHING)), polynomial.get(1, NOTHING)
        if not set(polynomial) <= {0, 1} or not isinstance(t, fmpq):
            raise Unknown
        turn = (start * acb(0, 1)).exp()
        if t == 0:
            return Wave({NOTHING: {0: forward * turn + backward / turn}}, self.trace)
        return Wave({t: {0: forward * turn}, -t: {0: backward / turn}}, self.trace)

    def _constant(self) -> Coefficient | None:
        (polynomial,) = self.terms.values() if set(self.terms) == {NOTHING} else ({1: NOTHING},)
        return polynomial[0] if set(polynomial) == {0} else None

    def _of_constant(self, function: Callable[[Coefficient], Coefficient]) -> "Wave":
        value = self._constant()
        if value is None:
            raise Unknown
        return Wave({NOTHING: {0: function(value)}}, self.trace)

    def expected(self, law: str) -> arb:
        """Its mean over the distribution of z."""
        total = acb(0)
        for t, polynomial in self.terms.items():
            means = MEANS[law](t, max(polynomial, default=0))
            total += sum((coefficient * means[power] for power, coefficient in polynomial.items()), acb(0))
        return total.real


def _coefficient(value: Any) -> Coefficient:
    exact = number(value)
    return exact if isinstance(exact, fmpq) else acb(exact())


# E[zⁿ·e^(itz)] for n = 0, 1, …, most


def _normal(t: fmpq, most: int) -> list[acb]:
    """e^(−t²/2) and it·e^(−t²/2); then it·E[zⁿ⁻¹e^(itz)] + (n − 1)·E[zⁿ⁻²e^(itz)]."""
    turn = acb(0, 1) * t
    means = [acb((-arb(t * t) / 2).exp())]
    for n in range(1, most + 1):
        means.append(turn * means[n - 1] + (n - 1) * (means[n - 2] if n > 1 else acb(0)))
    return means


def _laplace(t: fmpq, most: int) -> list[acb]:
    """n!/√2·(1/(√2 − it)ⁿ⁺¹ + (−1)ⁿ/(√2 + it)ⁿ⁺¹)."""
    root = arb(2).sqrt()
    right, left = 1 / acb(root, -arb(t)), 1 / acb(root, arb(t))
    return [math.factorial(n) / root * (right ** (n + 1) + (-1) ** n * left ** (n + 1)) for n in range(most + 1)]


def _uniform(t: fmpq, most: int) -> list[acb]:
    """By parts: ([zⁿ·e^(itz)/(2√3)] at ±√3 − n·E[zⁿ⁻¹e^(itz)])/it."""
    end = arb(3).sqrt()
    if t == 0:
        return [acb(end**n / (n + 1) if n % 2 == 0 else 0) for n in range(most + 1)]
    turn = acb(0, 1) * t
    upper, lower = ((turn * z).exp() / (2 * end) for z in (end, -end))
    means: list[acb] = []
    for n in range(most + 1):
        edge = end**n * (upper - (-1) ** n * lower)
        means.append((edge - n * (means[n - 1] if n else acb(0))) / turn)
    return means


def _logistic(t: fmpq, most: int) -> list[acb]:
    """(−i)ⁿ times the nth derivative of √3·t/sinh(√3·t)."""
    if most >= ctx.cap:  # python-flint's series end there
        raise Unknown
    root = arb(3).sqrt()
    if t == 0:
        sinh = [arb(3) ** (n // 2) / math.factorial(n + 1) if n % 2 == 0 else arb(0) for n in range(most + 1)]
        series = 1 / arb_series(sinh, prec=most + 1)
    else:
        u = arb_series([root * abs(t), root * (1 if t > 0 else -1)], prec=most + 1)
        series = 2 * u * (-u).exp() / (1 - (-2 * u).exp())
    return [acb(0, -1) ** n * math.factorial(n) * series[n] for n in range(most + 1)]


MEANS = {"normal": _normal, "laplace": _laplace, "uniform": _uniform, "logistic": _logistic}
