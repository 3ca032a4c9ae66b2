"""Reference moments at 40 digits by mpmath, with formulas of its own.

Gauss–Legendre with 48 nodes on panels that are halved until both halves agree with the whole to 34 digits. It shares
nothing with the package, and takes about a second for each row; tests/data/enclosures.json holds what
`python -m tests.enclosure_reference 0 300` printed.
"""

import json
import random
import sys
from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Any

import mpmath
from mpmath import mpf
from mpmath.calculus.quadrature import GaussLegendre

DIGITS, DEGREE = 40, 5  # mpmath's degree of 48 nodes
ROWS, SEED = 300, 20160328
DISTRIBUTIONS = ("normal", "laplace", "uniform", "logistic")
REACH = {"normal": 17, "laplace": 102, "logistic": 80}  # standard deviations: what lies beyond is below 10⁻⁶⁰

Formula = Callable[[Any], tuple[Any, Any]]


def sigmoid(v: Any) -> tuple[Any, Any]:
    e = mpmath.exp(-abs(v))
    return (1 if v > 0 else e) / (1 + e), e / (1 + e) ** 2


def tanh(v: Any) -> tuple[Any, Any]:
    return mpmath.tanh(v), mpmath.sech(v) ** 2


def silu(v: Any) -> tuple[Any, Any]:
    s, d = sigmoid(v)
    return v * s, s + v * d


def softplus(v: Any) -> tuple[Any, Any]:
    return (v, mpf(1)) if v > 20 else (mpmath.log1p(mpmath.exp(v)), sigmoid(v)[0])


def gelu(v: Any) -> tuple[Any, Any]:
    below = mpmath.erfc(-v / mpmath.sqrt(2)) / 2
    return v * below, below + v * mpmath.npdf(v)


def elu(v: Any) -> tuple[Any, Any]:
    return (v, mpf(1)) if v > 0 else (mpmath.expm1(v), mpmath.exp(v))


FORMULAS: dict[str, Formula] = {
    "identity": lambda v: (v, mpf(1)),
    "relu": lambda v: (v, mpf(1)) if v > 0 else (mpf(0), mpf(0)),
    "leaky_relu": lambda v: (v, mpf(1)) if v > 0 else (v / 100, mpf(1) / 100),
    "relu6": lambda v: (min(max(v, mpf(0)), mpf(6)), mpf(0 < v < 6)),
    "hardtanh": lambda v: (min(max(v, mpf(-1)), mpf(1)), mpf(-1 < v < 1)),
    "softshrink": lambda v: (v - mpmath.sign(v) / 2, mpf(1)) if abs(v) > mpf(1) / 2 else (mpf(0), mpf(0)),
    "abs": lambda v: (abs(v), mpmath.sign(v)),
    "elu": elu,
    "sigmoid": sigmoid,
    "tanh": tanh,
    "softsign": lambda v: (v / (1 + abs(v)), 1 / (1 + abs(v)) ** 2),
    "atan": lambda v: (mpmath.atan(v), 1 / (1 + v * v)),
    "asinh": lambda v: (mpmath.asinh(v), 1 / mpmath.sqrt(1 + v * v)),
    "erf": lambda v: (mpmath.erf(v), 2 / mpmath.sqrt(mpmath.pi) * mpmath.exp(-v * v)),
    "softplus": softplus,
    "gelu": gelu,
    "silu": silu,
    "square": lambda v: (v * v, 2 * v),
    "gaussian": lambda v: (mpmath.exp(-v * v), -2 * v * mpmath.exp(-v * v)),
    "bent_identity": lambda v: (v + (mpmath.sqrt(v * v + 1) - 1) / 2, 1 + v / (2 * mpmath.sqrt(v * v + 1))),
}
MARKS = (0, 0.5, -0.5, 1, -1, 6, 20, *(s * 2.0**k for k in range(2, 12, 2) for s in (1, -1)))


def density(distribution: str, mean: Any, std: Any) -> Callable[[Any], Any]:
    """p(v)."""
    root = mpmath.sqrt
    if distribution == "normal":
        return lambda v: mpmath.npdf(v, mean, std)
    if distribution == "laplace":
        return lambda v: mpmath.exp(-root(2) * abs(v - mean) / std) / (root(2) * std)
    if distribution == "logistic":
        rate = mpmath.pi / root(3) / std
        return lambda v: rate / (4 * mpmath.cosh(rate * (v - mean) / 2) ** 2)
    return lambda v: 1 / (2 * root(3) * std)


def reference(name: str, distribution: str, mean: float, std: float) -> list[Any]:
    """E[y], E[y²] and E[(dy/dx)²]; a parameter is the decimal number that its spelling shows."""
    formula = FORMULAS[name]

    def values(v: Any) -> list[Any]:
        y, slope = formula(v)
        return [y, y * y, slope * slope]

    with mpmath.workdps(DIGITS + 20):
        return expectations(values, distribution, mpf(repr(mean)), mpf(repr(std)))


def expectations(values: Callable[[Any], list[Any]], distribution: str, m: Any, s: Any) -> list[Any]:
    """The expectations of three functions of x, split at the mean of x and where formulas have kinks."""
    reach = REACH.get(distribution, mpmath.sqrt(3))
    p = density(distribution, m, s)

    def weighted(v: Any) -> list[Any]:
        weight = p(v)
        return [weight * value for value in values(v)]

    near = [m + s * k * sign for k in (0, 1, 3, 8, 20, 50) for sign in (1, -1)]
    inside = {v for v in (*near, *map(mpf, MARKS)) if m - reach * s < v < m + reach * s}
    edges = sorted({m - reach * s, *inside, m + reach * s})
    parts = sorted(pairwise(edges), key=lambda part: abs(sum(part) / 2 - m))
    totals = [mpf(0)] * 3
    for low, high in parts:
        totals = [a + b for a, b in zip(totals, integral(weighted, low, high, totals), strict=True)]
    return totals


def integral(f: Callable[[Any], list[Any]], low: Any, high: Any, totals: list[Any]) -> list[Any]:
    """∫ f, halved until it no longer changes by more than 10⁻³⁴ of all that was added before."""
    todo, result = [(low, high, gauss(f, low, high))], [mpf(0)] * 3
    while todo:
        a, b, whole = todo.pop()
        middle = (a + b) / 2
        left, right = gauss(f, a, middle), gauss(f, middle, b)
        halves = [x + y for x, y in zip(left, right, strict=True)]
        sizes = [abs(t) + abs(r) + abs(h) for t, r, h in zip(totals, result, halves, strict=True)]
        if all(abs(x - y) <= mpf(10) ** -34 * size for x, y, size in zip(halves, whole, sizes, strict=True)):
            result = [x + y for x, y in zip(result, halves, strict=True)]
        else:
            todo += [(a, middle, left), (middle, b, right)]
    return result


RULE: list[tuple[Any, Any]] = []


def gauss(f: Callable[[Any], list[Any]], a: Any, b: Any) -> list[Any]:
    """Gauss–Legendre on one panel."""
    if not RULE:
        RULE.extend(GaussLegendre(mpmath.mp).calc_nodes(DEGREE, mpmath.mp.prec))
    half, middle, sums = (b - a) / 2, (a + b) / 2, [mpf(0)] * 3
    for x, weight in RULE:
        sums = [total + weight * value for total, value in zip(sums, f(middle + half * x), strict=True)]
    return [half * total for total in sums]


def questions(rows: int = ROWS) -> Iterator[tuple[str, str, float, float]]:
    """Layers and assumptions, drawn with a fixed seed: means to ±30, std from 10⁻⁶ to 10⁶."""
    rng = random.Random(SEED)
    for _ in range(rows):
        name, distribution = rng.choice(sorted(FORMULAS)), rng.choice(DISTRIBUTIONS)
        yield name, distribution, round(rng.uniform(-30.0, 30.0), 6), float(f"{10 ** rng.uniform(-6.0, 6.0):.6g}")


if __name__ == "__main__":
    first, last = int(sys.argv[1]), int(sys.argv[2])
    for number, question in enumerate(questions()):
        if first <= number < last:
            print(json.dumps([*question, *(mpmath.nstr(v, DIGITS) for v in reference(*question))]), flush=True)
