"""Reference moments at 40 digits of layers of several inputs and of layers with noise, with formulas of their own.

It shares nothing with the package. tests/data/layer_enclosures.json holds what `python -m tests.layer_reference`
printed; a row takes up to three seconds.
"""

import json
import random
from collections.abc import Callable, Iterator
from typing import Any

import mpmath
from mpmath import mpf

from tests.enclosure_reference import DIGITS, DISTRIBUTIONS, expectations

ROWS, SEED = 160, 20160329
Assumed = tuple[str, Any, Any, Any]  # distribution, mean, std and correlation of x
Known = dict[str, Any]


def cumulative(distribution: str, z: Any) -> Any:
    """P(Z ≤ z) of zero mean and unit variance."""
    if distribution == "normal":
        return mpmath.ncdf(z)
    if distribution == "laplace":
        tail = mpmath.exp(-mpmath.sqrt(2) * abs(z)) / 2
        return tail if z < 0 else 1 - tail
    if distribution == "logistic":
        return 1 / (1 + mpmath.exp(-mpmath.pi / mpmath.sqrt(3) * z))
    return min(max((z + mpmath.sqrt(3)) / (2 * mpmath.sqrt(3)), mpf(0)), mpf(1))


def forward(weight: Callable[[Any], Any], distribution: str, m: Any, s: Any) -> Known:
    """E[v], E[v²] and E|v| of v with the density weight·p."""
    first, second, size = expectations(
        lambda v: [weight(v) * v, weight(v) * v * v, weight(v) * abs(v)], distribution, m, s
    )
    return {"mean": first, "second_moment": second, "abs_mean": size}


def largest(sizes: list[int], x: Assumed, square: Any) -> Known:
    """The largest inputs of windows of these sizes; of two correlated normal inputs, 2φ(z)Φ(αz)."""
    distribution, m, s, rho = x
    alpha = mpmath.sqrt((1 - rho) / (1 + rho)) if rho else mpf(1)

    def weight(v: Any) -> Any:
        below = cumulative(distribution, alpha * (v - m) / s)
        return sum(n * below ** (n - 1) for n in sizes) / len(sizes)

    return forward(weight, distribution, m, s) | {"backward": square}


def rrelu(lower: Any, upper: Any, x: Assumed) -> Known:
    """The slope below 0 is uniform between these."""
    distribution, m, s, _ = x
    slope, square = (lower + upper) / 2, (lower**2 + lower * upper + upper**2) / 3
    size = abs(slope) if lower * upper >= 0 else (lower**2 + upper**2) / (2 * (upper - lower))
    first, second, third = expectations(
        lambda v: [v if v > 0 else slope * v, v * v * (1 if v > 0 else square), abs(v) * (1 if v > 0 else size)],
        distribution,
        m,
        s,
    )
    kept = expectations(lambda v: [1 if v > 0 else square, mpf(0), mpf(0)], distribution, m, s)[0]
    return {"mean": first, "second_moment": second, "abs_mean": third, "backward": kept}


def weighted(weights: list[Any], x: Assumed) -> Known:
    """Σ wx; the backward row pools all inputs."""
    distribution, m, s, rho = x
    products = sum(v * w * (1 if i == j else rho) for i, v in enumerate(weights) for j, w in enumerate(weights))
    mean, var = m * sum(weights), s * s * products
    known = {"mean": mean, "second_moment": mean**2 + var, "backward": sum(w * w for w in weights) / len(weights)}
    if distribution == "normal" and var > 0:
        known["abs_mean"] = forward(lambda v: 1, "normal", mean, mpmath.sqrt(var))["abs_mean"]
    return known


def product(k: int, x: Assumed) -> Known:
    """Πx; two correlated inputs by the mean and the variance of one given the other."""
    distribution, m, s, rho = x
    one = forward(lambda v: 1, distribution, m, s)
    if not rho:
        known = {name: value**k for name, value in one.items()}
        return known | {"backward": one["second_moment"] ** (k - 1)}

    def line(v: Any) -> Any:
        return m + rho * (v - m)

    first, second, _ = expectations(
        lambda v: [v * line(v), v * v * (line(v) ** 2 + s * s * (1 - rho**2)), mpf(0)], distribution, m, s
    )
    return {"mean": first, "second_moment": second, "backward": one["second_moment"]}


def norm(n: int, p: int, x: Assumed) -> Known:
    """p = 2: the length of n normal values; p = 4: two of them, by their angle."""
    s, sqrt = x[2], mpmath.sqrt
    if p == 2:
        first = s * sqrt(2) * mpmath.gammaprod([mpf(n + 1) / 2], [mpf(n) / 2])
        return {"mean": first, "second_moment": s * s * n, "abs_mean": first, "backward": mpf(1) / n}
    points = [k * mpmath.pi / 16 for k in range(9)]
    powers = [
        mpmath.quad(lambda t, k=k: (mpmath.cos(t) ** p + mpmath.sin(t) ** p) ** (mpf(k) / p), points) for k in (1, 2)
    ]
    first, second = s * sqrt(mpmath.pi / 2) * powers[0] * 2 / mpmath.pi, s * s * 2 * powers[1] * 2 / mpmath.pi

    def slope(t: Any) -> Any:
        return mpmath.cos(t) ** (2 * p - 2) / (mpmath.cos(t) ** p + mpmath.sin(t) ** p) ** (2 - mpf(2) / p)

    back = mpmath.quad(slope, points) * 2 / mpmath.pi
    return {"mean": first, "second_moment": second, "abs_mean": first, "backward": back}


def dropout(p: Any, inverted: bool, x: Assumed) -> Known:
    """c·x with probability 1 − p, else 0."""
    c = 1 / (1 - p) if inverted else mpf(1)
    one = forward(lambda v: 1, *x[:3])
    powers = {"mean": c, "second_moment": c * c, "abs_mean": c}
    return {name: (1 - p) * powers[name] * value for name, value in one.items()} | {"backward": (1 - p) * c * c}


def reference(layer: str, params: dict[str, Any], x: Assumed) -> Known:
    """E[y], E[y²], E|y| where they are known, and E[dx²] of all inputs (`backward`)."""
    if layer in ("maxout", "max_pool1d", "max_pool2d"):
        n = params.get("k") or params["kernel_size"] ** int(layer[-2] if layer[-1] == "d" else 1)
        if "size" in params:  # five positions with one of padding, windows of three: two inputs, then three
            return largest([2, 3], x, mpf(2) / 5)
        return largest([n], x, mpf(1) / n)
    if layer == "rrelu":
        return rrelu(mpf(repr(params["lower"])), mpf(repr(params["upper"])), x)
    if layer == "residual":
        tau = mpf(repr(params["tau"]))
        scale = mpmath.sqrt(1 + tau**2) if params["normalized"] else mpf(1)
        return weighted([1 / scale, tau / scale], x)
    if layer in ("add", "average"):
        return weighted([mpf(1) if layer == "add" else mpf(1) / params["k"]] * params["k"], x)
    if layer == "avg_pool1d":
        return weighted([mpf(1) / params["kernel_size"]] * params["kernel_size"], x)
    if layer == "multiply":
        return product(params["k"], x)
    if layer == "lp_pool1d":
        return norm(params["kernel_size"], params["norm_type"], x)
    return dropout(mpf(repr(params["p"])), params["inverted"], x)


def questions() -> Iterator[tuple[str, dict[str, Any], str, float, float, float]]:
    """Layers, parameters, distribution, mean (to ±30), std (10⁻⁶ to 10⁶) and correlation, drawn with a fixed seed."""
    rng = random.Random(SEED)
    for number in range(ROWS):
        distribution = rng.choice(DISTRIBUTIONS)
        mean, std = round(rng.uniform(-30.0, 30.0), 6), float(f"{10 ** rng.uniform(-6.0, 6.0):.6g}")
        if number % 3 == 0:  # no more than a few standard deviations away from 0
            mean = float(f"{std * rng.uniform(-4.0, 4.0):.6g}")
        k = rng.choice((2, 3, 5, 9))
        slopes = sorted(round(rng.uniform(-1.0, 2.0), 3) for _ in range(2))
        choices: list[tuple[str, dict[str, Any]]] = [
            ("maxout", {"k": rng.choice((2, 3, 9, 25, 64))}),
            ("maxout", {"k": 2}),
            ("max_pool1d", {"kernel_size": k}),
            ("max_pool1d", {"kernel_size": 3, "size": 5, "padding": 1}),
            ("max_pool2d", {"kernel_size": rng.choice((2, 3))}),
            ("rrelu", {"lower": slopes[0], "upper": slopes[1]}),
            ("rrelu", {"lower": 0.125, "upper": 0.5}),
            ("add", {"k": k}),
            ("average", {"k": k}),
            ("residual", {"tau": slopes[0], "normalized": rng.random() < 0.5}),
            ("multiply", {"k": min(k, 4)}),
            ("multiply", {"k": 2}),
            ("avg_pool1d", {"kernel_size": k}),
            ("lp_pool1d", {"kernel_size": k, "norm_type": 2}),
            ("lp_pool1d", {"kernel_size": 2, "norm_type": 4}),
            ("dropout", {"p": round(rng.random(), 3), "inverted": rng.random() < 0.5}),
        ]
        layer, params = rng.choice(choices)
        if layer == "lp_pool1d":
            distribution, mean = "normal", 0.0
        pair = layer in ("add", "average", "residual") or params.get("k") == 2
        correlated = pair and distribution == "normal" and rng.random() < 0.5
        yield layer, params, distribution, mean, std, round(rng.uniform(-0.1, 0.9), 3) if correlated else 0.0


if __name__ == "__main__":
    for layer, params, distribution, *numbers in questions():
        with mpmath.workdps(DIGITS + 20):
            mean, std, correlation = (mpf(repr(number)) for number in numbers)
            known = reference(layer, params, (distribution, mean, std, correlation))
            printed = {name: mpmath.nstr(value, DIGITS) for name, value in known.items()}
        print(json.dumps([layer, params, distribution, *numbers, printed]), flush=True)
