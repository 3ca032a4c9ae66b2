"""Orders of growth: what a formula does as v → ∞, with proven constants.

A quantity u is enclosed for every v ≥ T: u(v) = C·vᵏ·(ln v)ʲ·e^E(v), where C is an interval, k a number, j a whole
number and E a polynomial without constant term. Where u is a polynomial in v and 1/v it is kept as one, so that nothing
cancels. With x = μ ± σv this is a tail, with x = c ± 1/v the neighbourhood of a place c. From it follow a bound of an
integral beyond T, or the proof that it diverges.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from flint import arb, fmpq

from gradstat.layer_types.exact.constants import number, to_fraction
from gradstat.layer_types.exact.traced import Trace, Traced

Coefficient = Any  # fmpq where it is exact, else arb
NONE = fmpq(0)
Powers = Mapping[int, Coefficient]
FEWEST = 3  # T is at least this: ln v > 1


class Unknown(ArithmeticError):
    """Nothing follows about the growth of this formula."""


@dataclass(frozen=True)
class Order:
    """vᵏ·(ln v)ʲ·e^E(v) with E(v) = Σ E[i]·vⁱ, i ≥ 1."""

    power: Coefficient = NONE
    log: int = 0
    exponent: tuple[tuple[int, Coefficient], ...] = ()

    def times(self, other: "Order", sign: int = 1) -> "Order":
        exponent = combined(dict(self.exponent), dict(other.exponent), sign)
        return Order(self.power + sign * other.power, self.log + sign * other.log, tuple(sorted(exponent.items())))

    def cover(self, other: "Order") -> "Order":
        """An order that is nowhere smaller than these two from v = e on."""
        mine, theirs = dict(self.exponent), dict(other.exponent)
        most = {i: arb(mine.get(i, 0)).upper().max(arb(theirs.get(i, 0)).upper()) for i in {*mine, *theirs}}
        power = arb(self.power).upper().max(arb(other.power).upper())
        return Order(power, max(self.log, other.log), tuple(sorted(most.items())))

    def rate(self, start: arb) -> tuple[arb, arb]:
        """v·(ln of it)′ = k + j/ln v + Σ i·E[i]·vⁱ for v ≥ T: a lower and an upper bound."""
        by_log = self.log / start.log()
        constant = arb(self.power) + by_log.union(arb(0)) if self.log else arb(self.power)
        if not self.exponent:
            return (arb(self.power) + by_log.min(arb(0))).lower(), (arb(self.power) + by_log.max(arb(0))).upper()
        top, lead = self.exponent[-1]
        rest = sum(
            (i * a / (top * arb(lead)) * (start ** (i - top)).union(arb(0)) for i, a in self.exponent[:-1]), arb(0)
        )
        rest += constant / (top * arb(lead)) * (start**-top).union(arb(0))
        if not (1 + rest > 0):
            raise Unknown("its order of growth changes beyond")
        least = (arb(lead) * top * start**top * (1 + rest)).lower() if arb(lead) > 0 else -arb("inf")
        most = (arb(lead) * top * start**top * (1 + rest)).upper() if arb(lead) < 0 else arb("inf")
        return least, most

    def at(self, start: arb) -> arb:
        """Its value at T."""
        value = (sum((a * start**i for i, a in self.exponent), arb(0))).exp()
        return value * start ** arb(self.power) * start.log() ** self.log

    @property
    def direction(self) -> int:
        """1 where it tends to ∞, −1 to 0, 0 where it is 1. Unknown where that hangs on rounding."""
        if self.exponent:
            return sign_of(self.exponent[-1][1])
        return sign_of(self.power) or (self.log > 0) - (self.log < 0)


ONE = Order()


def sign_of(value: Coefficient) -> int:
    """The sign of a coefficient; Unknown where a ball holds 0 and more."""
    if isinstance(value, arb):
        if value > 0 or value < 0:
            return 1 if value > 0 else -1
        if value.is_zero():
            return 0
        raise Unknown("two orders of growth differ by less than rounding")
    return int(value > 0) - int(value < 0)


def combined(one: Powers, other: Powers, factor: Coefficient = 1) -> dict[int, Coefficient]:
    """one + factor·other, without what is exactly 0."""
    total = dict(one)
    for i, a in other.items():
        total[i] = total.get(i, fmpq(0)) + factor * a
    return {i: a for i, a in total.items() if isinstance(a, arb) or a != 0}


class Growth(Traced):
    """A quantity for all v ≥ T, as a polynomial or as C times an order."""

    __slots__ = ("_order", "_size", "powers", "start", "trace")

    def __init__(
        self, start: arb, trace: Trace, powers: Powers | None = None, size: arb | None = None, order: Order = ONE
    ) -> None:
        self.start, self.trace, self.powers, self._size, self._order = start, trace, powers, size, order

    @property
    def dominant(self) -> tuple[arb, Order]:
        """(C, order)."""
        if self._size is None:
            powers = self.powers or {}
            if not powers:
                self._size, self._order = arb(0), Order()
            else:
                top = max(powers)
                rest = (arb(a) * (self.start ** (i - top)).union(arb(0)) for i, a in powers.items() if i != top)
                self._size, self._order = sum(rest, arb(powers[top])), Order(fmpq(top))
        return self._size, self._order

    def of(self, value: Any) -> "Growth":
        if isinstance(value, Growth):
            return value
        if isinstance(value, arb):
            fraction = to_fraction(value) if value.is_exact() else None
            exact = value if fraction is None else fmpq(fraction.numerator, fraction.denominator)
            return Growth(self.start, self.trace, combined({}, {0: exact}))
        given = number(value)
        return Growth(self.start, self.trace, combined({}, {0: given if isinstance(given, fmpq) else given()}))

    def polynomial(self, powers: Powers) -> "Growth":
        return Growth(self.start, self.trace, powers)

    def sized(self, size: arb, order: Order) -> "Growth":
        return Growth(self.start, self.trace, None, size, order)

    @property
    def is_zero(self) -> bool:
        return self.powers is not None and not self.powers

    def known_sign(self) -> int | None:
        if self.is_zero:
            return 0
        size, _ = self.dominant
        return 1 if size > 0 else -1 if size < 0 else None

    def sign(self) -> int:
        return self.trace.sign(self)

    def plus(self, other: "Growth") -> "Growth":
        if self.powers is not None and other.powers is not None:
            return self.polynomial(combined(self.powers, other.powers))
        if self.is_zero or other.is_zero:
            return other if self.is_zero else self
        (a, one), (b, two) = self.dominant, other.dominant
        ratio = two.times(one, -1)
        try:
            direction = ratio.direction
        except Unknown:  # alike but for rounding: both are between 0 and 1 times an order that is no smaller
            return self.sized((a + b).union(a).union(b).union(arb(0)), one.cover(two))
        if direction > 0:
            a, one, b, two, ratio = b, two, a, one, one.times(two, -1)
        return self.sized(a + b * (self.least(ratio) if direction else arb(1)), one)

    def least(self, order: Order) -> arb:
        """All values of an order that falls to 0: [0, its value at T]."""
        _, most = order.rate(self.start)
        if not most <= 0:
            raise Unknown("it does not fall from here on")
        return order.at(self.start).upper().union(arb(0))

    def negative(self) -> "Growth":
        if self.powers is not None:
            return self.polynomial({i: -a for i, a in self.powers.items()})
        size, order = self.dominant
        return self.sized(-size, order)

    def times(self, other: "Growth") -> "Growth":
        if self.is_zero or other.is_zero:
            return self.polynomial({})
        if self.powers is not None and other.powers is not None and len(self.powers) * len(other.powers) <= 64:
            total: dict[int, Coefficient] = {}
            for i, a in self.powers.items():
                total = combined(total, {i + j: a * b for j, b in other.powers.items()})
            return self.polynomial(total)
        (a, one), (b, two) = self.dominant, other.dominant
        return self.sized(a * b, one.times(two))

    def nothing(self) -> "Growth":
        return self.sized(arb("nan"), Order())

    def absolute(self) -> "Growth":
        """|C| where the sign of C is not known."""
        sign = self.known_sign()
        if sign is None:
            size, order = self.dominant
            return self.sized(abs(size), order)
        return self if sign >= 0 else self.negative()

    def inverse(self) -> "Growth":
        if self.powers is not None and len(self.powers) == 1:
            ((i, a),) = self.powers.items()
            return self.polynomial({-i: 1 / a})
        size, order = self.dominant
        if not (size > 0 or size < 0):
            raise Unknown("it divides by something that may be 0")
        return self.sized(1 / size, Order().times(order, -1))

    def tends(self) -> tuple[arb, bool]:
        """All values from T on, and whether they are bounded."""
        size, order = self.dominant
        direction = order.direction
        if direction == 0:
            return size, True
        if direction < 0:
            return size * self.least(order), True
        least, _ = order.rate(self.start)
        if not least >= 0:
            raise Unknown("it does not grow from here on")
        return size * order.at(self.start), False

    def exp(self) -> "Growth":
        if self.powers is None:
            return self._exp_of_order()
        exponent = tuple(sorted((i, a) for i, a in self.powers.items() if i > 0))
        rest = sum((arb(a) * (self.start**i).union(arb(0)) for i, a in self.powers.items() if i < 0), arb(0))
        return self.sized((arb(self.powers.get(0, 0)) + rest).exp(), Order(exponent=exponent))

    def _exp_of_order(self) -> "Growth":
        values, bounded = self.tends()
        if bounded:
            return self.sized(values.exp(), Order())
        size, order = self.dominant
        if (
            not order.exponent
            and isinstance(order.power, fmpq)
            and order.power.q == 1
            and order.log == 0
            and int(order.power.p) <= 8
        ):
            return self.sized(arb(1), Order(exponent=((int(order.power.p), size),)))
        if size < 0:  # at most its value at T
            return self.sized(values.exp().upper().union(arb(0)), Order())
        raise Unknown("it grows faster than any order")

    def expm1(self) -> "Growth":
        values, bounded = self.tends()
        if bounded:
            size, order = self.dominant
            if order.direction < 0 and values < 1 and values > -1:  # u·[(e^a − 1)/a, (e^b − 1)/b]
                ends = [end.expm1() / end if end != 0 else arb(1) for end in (values.lower(), values.upper())]
                return self.sized(size * ends[0].union(ends[1]), order)
            return self.sized(values.expm1(), Order())
        size, _ = self.dominant
        if size < 0:
            return self.sized(values.expm1().union(arb(-1)), Order())
        return self.exp().plus(self.of(-1))

    def log_positive(self) -> "Growth":
        """ln C + k·ln v + j·ln ln v + E(v)."""
        size, order = self.dominant
        if not size > 0:
            raise Unknown("it takes the logarithm of something that may be 0")
        total = self.polynomial(dict(order.exponent)) if order.exponent else self.polynomial({})
        if sign_of(order.power):
            total = total.plus(self.sized(arb(order.power), Order(log=1)))
        if order.log:
            total = total.plus(
                self.sized(
                    order.log * (self.start.log().log() / self.start.log()).union(arb(0)).union(arb(1)), Order(log=1)
                )
            )
        return total.plus(self.of(size.log()))

    def log1p_positive(self) -> "Growth":
        values, bounded = self.tends()
        size, order = self.dominant
        if bounded and order.direction < 0 and values < arb("0.5") and values > arb("-0.5"):
            ends = [end.log1p() / end if end != 0 else arb(1) for end in (values.lower(), values.upper())]
            return self.sized(size * ends[0].union(ends[1]), order)
        if bounded:
            return self.sized(values.log1p(), Order())
        return self.plus(self.of(1)).log_positive()

    def sqrt_positive(self) -> "Growth":
        return self._raised(fmpq(1, 2))

    def power_positive(self, other: "Growth") -> "Growth":
        if other.powers is None or set(other.powers) - {0}:
            return super().power_positive(other)
        return self._raised(other.powers.get(0, fmpq(0)))

    def _raised(self, p: Coefficient) -> "Growth":
        size, order = self.dominant
        if not size > 0:
            raise Unknown("it takes a root of something that may be 0")
        if order.log:
            raise Unknown("it takes a root of a logarithm")
        exponent = tuple((i, a * p) for i, a in order.exponent)
        return self.sized((size.log() * arb(p)).exp(), Order(order.power * p, 0, exponent))

    def erf(self) -> "Growth":
        values, bounded = self.tends()
        if bounded:
            return self._bounded_odd(values, arb.erf)
        size, _ = self.dominant
        return self.sized(values.erf().union(arb(1 if size > 0 else -1)), Order())

    def atan(self) -> "Growth":
        values, bounded = self.tends()
        if bounded:
            return self._bounded_odd(values, arb.atan)
        size, _ = self.dominant
        return self.sized(values.atan().union((arb.pi() / 2) * (1 if size > 0 else -1)), Order())

    def asinh(self) -> "Growth":
        """sign(u)·ln(|u| + √(u² + 1))."""
        values, bounded = self.tends()
        if bounded:
            return self._bounded_odd(values, arb.asinh)
        sign = self.known_sign()
        if sign is None:
            raise Unknown("its sign is not known")
        whole = self if sign > 0 else self.negative()
        result = whole.plus(whole.times(whole).plus(self.of(1)).sqrt_positive()).log_positive()
        return result if sign > 0 else result.negative()

    def sin(self) -> "Growth":
        values, bounded = self.tends()
        if not bounded:
            return self.sized(arb(0, 1), Order())
        return self._bounded_odd(values, arb.sin)

    def cos(self) -> "Growth":
        values, bounded = self.tends()
        return self.sized(values.cos() if bounded else arb(0, 1), Order())

    def _bounded_odd(self, values: arb, function: Any) -> "Growth":
        """f(u) for a bounded u, f odd and f(u)/u falling in |u| < 1, as those of erf, sin, arctan and arsinh are."""
        size, order = self.dominant
        end = abs(values).upper()
        if order.direction == 0 or not end < 1:
            return self.sized(function(values), Order())
        slope = {arb.erf: 2 / arb.pi().sqrt()}.get(function, arb(1))
        return self.sized(size * slope.union(function(end) / end), order)


def beyond(size: arb, order: Order, start: arb) -> arb | None:
    """∫ from T on of C·order dv; None where it diverges (C is then shown not to be 0)."""
    if not size.is_finite():
        raise Unknown("its size is not bounded")
    direction = order.times(Order(fmpq(1))).direction if not order.exponent else order.direction
    if direction > 0 or (direction == 0 and order.log >= -1):
        if size > 0 or size < 0:
            return None
        if size.is_zero():
            return arb(0)
        raise Unknown("its size may be 0")
    if direction == 0:
        raise Unknown("it is on the border of convergence")
    if not order.exponent and order.log >= 0:  # with a = −k − 1: T^−a·Σ j!/i!·(ln T)^i/a^(j − i + 1)
        a, log = -arb(order.power) - 1, start.log()
        terms = (
            arb(math.perm(order.log, order.log - i)) * log**i / a ** (order.log - i + 1) for i in range(order.log + 1)
        )
        return size * start**-a * sum(terms, arb(0))
    _, most = order.times(Order(fmpq(1))).rate(start)
    if not most < 0:
        raise Unknown("it does not fall from here on")
    return size * (order.at(start) * start / -most).upper().union(arb(0))
