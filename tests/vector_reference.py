"""Reference moments of layers over vectors at 22 digits by mpmath, with Gauss–Legendre panels.

It shares nothing with the package. tests/data/vectors.json holds rows that `python -m tests.vector_reference` prints.
"""

import json
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

import mpmath
from mpmath import mpf
from mpmath.calculus.quadrature import GaussLegendre

DIGITS = 22
Row = tuple[str, dict[str, Any], dict[str, Any], float, str, dict[str, Any]]

mpmath.mp.dps = DIGITS + 20


@cache
def rule() -> list[tuple[Any, Any]]:
    """24 nodes and weights on (−1, 1)."""
    return list(GaussLegendre(mpmath.mp).calc_nodes(4, mpmath.mp.prec))


def nodes(low: Any, high: Any, width: float) -> list[tuple[Any, Any]]:
    """Nodes and weights of panels of about this width."""
    panels = int(mpmath.ceil((high - low) / width))
    half = (high - low) / panels / 2
    return [(low + half * (2 * i + 1 + x), half * w) for i in range(panels) for x, w in rule()]


# Norms: Q of a χ² distribution with k degrees of freedom, E over ln Q


def chi_squared(k: int, values: Callable[[Any], list[Any]]) -> list[Any]:
    """E of several functions of Q."""
    half, centre, width = mpf(k) / 2, mpmath.log(k), mpmath.sqrt(2 / mpf(k))
    constant = half * mpmath.log(2) + mpmath.loggamma(half)
    low, high = centre - 18 * width - 130 * width**2, centre + 18 * width + 5 * min(width, 1)
    totals: list[Any] = []
    for s, weight in nodes(low, high, float(min(width, 1))):
        q = mpmath.exp(s)
        p = weight * mpmath.exp(half * s - q / 2 - constant)
        terms = [p * value for value in values(q)]
        totals = [a + b for a, b in zip(totals, terms, strict=True)] if totals else terms
    return totals


def norm(name: str, n: int, eps: str, std: str, correlation: float = 0.0) -> Iterator[Row]:
    """layer_norm or rms_norm of normal x with zero mean; dy is normal."""
    k = n if name == "rms_norm" else n - 1
    a = n * mpf(eps) / mpf(std) ** 2

    def values(q: Any) -> list[Any]:
        ratio, lost = q / (q + a), (a / (q + a)) ** 2
        square = 1 - 2 * (1 - lost) / k + 3 * (1 - lost) ** 2 / (mpf(k) * (k + 2))
        return [ratio, mpmath.sqrt(ratio), ratio**2, (k - 1 + lost) / (q + a), square / (q + a) ** 2]

    ratio, root, square, inverse, fourth = chi_squared(k, values)
    component = mpmath.gamma(mpf(k) / 2) / mpmath.gamma(mpf(k + 1) / 2) / mpmath.sqrt(mpmath.pi)
    size = mpmath.sqrt(k) * component * root
    params, x = {"n": n, "eps": float(eps)}, {"std": float(std)}
    yield (
        name,
        params,
        x,
        0.0,
        "forward",
        {"var": ratio, "abs_mean": size, "kurtosis": 3 * k * square / (k + 2) / ratio**2},
    )
    c = mpf(correlation) if name != "rms_norm" else 0
    found = {"var": (1 - c) * inverse / mpf(std) ** 2}
    if (mpf(eps) or k > 4) and not (correlation and name == "rms_norm"):
        found["kurtosis"] = 3 * k**2 * fourth / inverse**2
    yield name, params, x, correlation, "backward", found


def shifted(n: int, eps: str, mean: str, std: str, correlation: float) -> Iterator[Row]:
    """rms_norm of normal x with a mean: Q mixes χ² distributions with n + 2j degrees of freedom, j of Poisson."""
    a, rate = n * mpf(eps) / mpf(std) ** 2, n * (mpf(mean) / mpf(std)) ** 2
    most = int(rate / 2 + 14 * mpmath.sqrt(rate / 2) + 60)
    weights = [mpmath.exp(-rate / 2) * (rate / 2) ** j / mpmath.factorial(j) for j in range(most)]

    def values(q: Any) -> list[Any]:
        q += a
        return [1 / mpmath.sqrt(q), (q - a) / q, (n - 1 + (a / q) ** 2) / q, 1 / q, 1 / q**2 + a / q**3]

    tables = [chi_squared(n + 2 * j, values) for j in range(most + 2)]

    def mixed(which: int, more: int = 0) -> Any:
        return sum(weight * tables[j + more][which] for j, weight in enumerate(weights))

    y = mpmath.sign(mpf(mean)) * mpmath.sqrt(rate) * mixed(0, 1)
    along = mixed(4, 1) + rate * mixed(4, 2)
    c = mpf(correlation)
    dx = ((1 - c) * mixed(2) + c * n * (mixed(3) - along)) / mpf(std) ** 2
    params, x = {"n": n, "eps": float(eps)}, {"mean": float(mean), "std": float(std)}
    yield "rms_norm", params, x, correlation, "forward", {"mean": y, "var": mixed(1) - y**2}
    yield "rms_norm", params, x, correlation, "backward", {"var": dx}


# Other distributions: E over ln t and over x


def density(name: str) -> Callable[[Any], Any]:
    """p of zero mean and unit variance."""
    if name == "normal":
        return lambda v: mpmath.npdf(v)
    if name == "laplace":
        return lambda v: mpmath.exp(-mpmath.sqrt(2) * abs(v)) / mpmath.sqrt(2)
    if name == "uniform":
        return lambda v: 1 / (2 * mpmath.sqrt(3))
    rate = mpmath.pi / mpmath.sqrt(3)
    return lambda v: rate / (4 * mpmath.cosh(rate * v / 2) ** 2)


REACH = {"normal": 16, "laplace": 60, "logistic": 48}  # standard deviations: what lies beyond is below 10⁻²⁵


def over(name: str, std: Any, width: float) -> list[tuple[Any, Any]]:
    """Nodes of x and weights times density, with an edge at 0."""
    reach, p = mpf(REACH[name]) if name in REACH else mpmath.sqrt(3), density(name)
    right = nodes(mpf(0), reach, float(min(width / std, mpf(2))))
    return [(sign * std * v, w * p(v)) for sign in (-1, 1) for v, w in right]


def sums_of_squares(name: str, n: int, eps: str) -> Iterator[Row]:
    """rms_norm of x with zero mean and unit variance that is not normal."""
    a = n * mpf(eps)
    p, reach = density(name), mpmath.log(REACH.get(name, mpmath.sqrt(3)))
    x = [(mpmath.exp(u), w * mpmath.exp(u) * p(mpmath.exp(u))) for u, w in nodes(mpf(-64), reach, 2.0)]
    forward = backward = mpf(0)
    for s, weight in nodes(mpf(-55), mpf(12), 2.0):
        t = mpmath.exp(s)
        terms = [(2 * w * mpmath.exp(-t * v * v), v * v) for v, w in x]
        phi = mpmath.fsum(term for term, _ in terms)
        psi = mpmath.fsum(term * square for term, square in terms)
        outer = weight * t * mpmath.exp(-t * a)
        forward += outer * n * psi * phi ** (n - 1)
        backward += outer * (n - 1 + a * a * t * t / 2) * phi**n
    params = {"n": n, "eps": float(eps)}
    yield "rms_norm", params, {"distribution": name}, 0.0, "forward", {"var": forward}
    yield "rms_norm", params, {"distribution": name}, 0.0, "backward", {"var": backward}


def exponentials(name: str, std: str, sizes: tuple[int, ...]) -> Iterator[Row]:
    """softmax and log_softmax: E[uᵏ·e^(−u)], u = e^(x + s), at the nodes of s; then every n."""
    x = [(mpmath.exp(v), w) for v, w in over(name, mpf(std), 2.0 if name != "logistic" else 1.0)]
    reach = float(std) * REACH.get(name, 1.8)
    grid = nodes(mpf(-min(reach, 16 * float(std)) - 62), mpf(reach + 6), 2.0)
    table = []
    for s, weight in grid:
        sums, scale = [mpf(0)] * 5, mpmath.exp(s)
        for v, w in x:
            u = v * scale
            if u > 120:
                continue
            term = w * mpmath.exp(-u)
            for k in range(5):
                sums[k] += term
                term *= u
        table.append((s, weight, sums))
    for n in sizes:
        yield from ratios(name, std, n, table)


def ratios(name: str, std: str, n: int, table: list[Any]) -> Iterator[Row]:
    """Moments by sums over the nodes of s."""

    def power(k: int) -> Any:
        return mpmath.fsum(w * f[k] * f[0] ** (n - 1) for _, w, f in table) / mpmath.factorial(k - 1)

    m2, m3, m4 = power(2), power(3), power(4)
    pairs = mpmath.fsum(w * f[2] ** 2 * f[0] ** (n - 2) for _, w, f in table) / 6
    mean, var = 1 / mpf(n), m2 - 1 / mpf(n) ** 2
    fourth = (m4 - 4 * mean * m3 + 6 * mean**2 * m2 - 3 * mean**4) / var**2
    params, x = {"n": n}, {"distribution": name, "std": float(std)}
    yield "softmax", params, x, 0.0, "forward", {"mean": mean, "var": var, "kurtosis": fourth}
    yield "softmax", params, x, 0.25, "backward", {"var": mpf("0.75") * (m2 - 2 * m3 + m4 + (n - 1) * pairs)}
    k = 1 + (n - 1) * mpf("0.25")
    yield "log_softmax", params, x, 0.25, "backward", {"var": 1 - 2 * k / n + n * k * m2}
    if name == "normal":
        r = mpmath.log(n)
        terms = [(s, w, mpmath.exp(-mpmath.exp(s + r)) - f[0] ** n) for s, w, f in table]
        first = mpmath.fsum(w * f for _, w, f in terms)
        second = -2 * mpmath.fsum(w * (s + r) * f for s, w, f in terms) - 2 * mpmath.euler * first
        lse, spread = r + first, second - first**2
        found = {"mean": -lse, "var": mpf(std) ** 2 * (1 - 2 / mpf(n)) + spread}
        yield "log_softmax", params, x, 0.0, "forward", found


def pair(std: str) -> Iterator[Row]:
    """n = 2 by integrals over the difference d of the inputs: y = 1/(1 + e^d)."""
    spread = mpmath.sqrt(2) * mpf(std)
    sums = [mpf(0)] * 5
    right = nodes(mpf(0), 16 * spread, float(min(mpf(1), spread)))
    for d, weight in (*right, *((-d, weight) for d, weight in right)):
        p, y = weight * mpmath.npdf(d, 0, spread), 1 / (1 + mpmath.exp(d))
        own = mpmath.log(y) if y > 0 else -d
        slope = y * mpmath.exp(d) / (1 + mpmath.exp(d))
        for i, value in enumerate((y * y, abs(y - mpf(1) / 2), slope**2, own, own * own)):
            sums[i] += p * value
    x = {"distribution": "normal", "std": float(std)}
    yield "softmax", {"n": 2}, x, 0.0, "forward", {"var": sums[0] - mpf(1) / 4, "mad": sums[1]}
    yield "softmax", {"n": 2}, x, 0.0, "backward", {"var": 2 * sums[2]}
    yield "log_softmax", {"n": 2}, x, 0.0, "forward", {"mean": sums[3], "var": sums[4] - sums[3] ** 2}


def rows() -> Iterator[Row]:
    """Every question with its answers."""
    for n, eps, std in (
        (768, "1e-5", "1"),
        (16, "1", "1"),
        (4, "0.1", "0.5"),
        (32, "1e-5", "0.001"),
        (10**6, "1e-5", "2"),
    ):
        yield from norm("layer_norm", n, eps, std, 0.25)
    for n, eps, std in ((3, "0.001", "1"), (16, "1e300", "1"), (7, "0", "3"), (64, "1e-6", "0.01")):
        yield from norm("rms_norm", n, eps, std)
    yield from norm("layer_norm", 12, "0", "1")
    yield from norm("rms_norm", 12, "0.5", "1", 0.5)
    for case in ((16, "0", "1", "1", 0.0), (3, "0.01", "-0.7", "1.3", 0.5), (5, "0", "0.25", "1", 1.0)):
        yield from shifted(*case)
    for name in ("uniform", "laplace", "logistic"):
        yield from sums_of_squares(name, 9, "0.01")
    for std in ("0.05", "1", "10"):
        yield from pair(std)
    for std in ("0.05", "1", "3"):
        yield from exponentials("normal", std, (2, 3, 8, 256, 32768))
    for name in ("uniform", "laplace", "logistic"):
        yield from exponentials(name, "0.5", (3, 256))
    yield from exponentials("normal", "10", (2, 3, 8, 256, 32768))


if __name__ == "__main__":
    print('{\n  "origin": "mpmath at 22 digits: python -m tests.vector_reference",\n  "rows": [')
    for number, (name, params, x, correlation, direction, values) in enumerate(rows()):
        known = {key: mpmath.nstr(value, DIGITS) for key, value in values.items()}
        print(
            "    " + ("," if number else " ") + json.dumps([name, params, x, correlation, direction, known]), flush=True
        )
    print("  ]\n}")
