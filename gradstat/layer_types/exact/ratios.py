"""Expectations of ratios with a sum S of n independent terms: 1/Sᵐ = ∫₀^∞ tᵐ⁻¹ e^(−tS) dt / Γ(m).

e^(−tS) is a product, so that E[·] becomes a product of expectations over one term. In s = ln t the integrands are
analytic for |Im s| < π/2 and vanish at both ends: the trapezoidal rule of step h is good to e^(−π²/h) (Trefethen &
Weideman, SIAM Review 56, 2014). The expectations over one term are Gauss–Legendre panels.
"""

import math
from dataclasses import dataclass, replace
from functools import cache

import numpy as np

from gradstat.assumptions import Input
from gradstat.layer_types.exact.distributions import Array, density

STEP = 0.125
NODES = 20
SPREADS = (0.05, 10.0)  # of x under a softmax: below, variances cancel; above, the panels grow too many
CHUNK = 256


@dataclass(frozen=True)
class Softmax:
    """E[y²], E[y³] and E[y₁²·Σy²] of a softmax."""

    second: float
    third: float
    square_of_squares: float


@dataclass(frozen=True)
class Table:
    """With u = e^(x + s), on the grid of s: E[uᵏe^−u] for k = 0…4, 1 − E[e^−u] and −E[x·e^−u]."""

    s: Array
    powers: Array
    missing: Array
    first: Array


def softmax(n: int, x: Input) -> Softmax | None:
    """Moments of eˣ¹/Σeˣ; None for a spread of x out of range."""
    if not SPREADS[0] <= x.std <= SPREADS[1]:
        return None
    table = _table(replace(x, mean=0.0, correlation=0.0))  # shifts of x cancel
    none, _, two, three, four = table.powers
    others = none ** (n - 1)
    pairs = _sum(two**2 * none ** (n - 2)) / 6.0  # E[y₁²y₂²]
    return Softmax(_sum(two * others), _sum(three * others) / 2.0, _sum(four * others) / 6.0 + (n - 1) * pairs)


def log_softmax(n: int, x: Input) -> tuple[float, float] | None:
    """Mean and variance of x₁ − lse, lse = ln S, S = Σeˣ.

    ln S = ∫ (e^(−t) − e^(−tS)) dt/t (Frullani), and about r = E[lse]: var[lse] = 2∫ (s + r)(e^(−tS) − e^(−te^r)) dt/t.
    """
    if not SPREADS[0] <= x.std <= SPREADS[1]:
        return None
    table = _table(replace(x, mean=0.0, correlation=0.0))
    s = table.s
    with np.errstate(divide="ignore"):
        all_missing = np.expm1(
            n * np.log1p(-np.minimum(table.missing, 1.0))
        )  # E[e^(−tS)] − 1, to the last digits near 0
    lse = math.log(n) + _sum(np.expm1(-n * np.exp(s)) - all_missing)
    var = 2.0 * _sum((s + lse) * (all_missing - np.expm1(-np.exp(s + lse))))
    covariance = _sum(table.first * table.powers[0] ** (n - 1))
    return -lse, x.std**2 + var - 2.0 * covariance


@cache
def inverse_sum_of_squares(n: int, x: Input) -> float:
    """E[1/Σx²] over n ≥ 3 inputs of zero mean; 1/((n − 2)σ²) where they are normal."""
    if x.is_normal:
        return 1.0 / ((n - 2) * x.std**2)
    s = np.arange(-60.0, 90.0, STEP)  # at the upper end t·E[e^(−tx²)]ⁿ ~ e^(s(1 − n/2))
    w, weights = _panels(np.linspace(-90.0, math.log(x.law.bulk), 200))
    both_signs = 2.0 * weights * np.exp(w) * density(Input(x.distribution), np.exp(w))  # x = ±e^w
    phi = np.concatenate([np.exp(-np.exp(2.0 * w + part[:, None])) @ both_signs for part in np.array_split(s, 8)])
    return _sum(np.exp(s) * phi**n) / x.std**2


@cache
def _table(x: Input) -> Table:
    reach = x.law.bulk * x.std
    panels = 2 * math.ceil(reach / min(x.std, 2.0))  # an even number: the mean is an edge
    v, weights = _panels(np.linspace(-reach, reach, panels + 1))
    weights = weights * density(x, v)
    s = np.arange(-reach - 60.0, reach + 6.0, STEP)
    parts = [_expectations(v, weights, part) for part in np.array_split(s, max(1, len(s) // CHUNK))]
    table = np.concatenate(parts, axis=1)
    return Table(s, table[:5], table[5], table[6])


def _expectations(v: Array, weights: Array, s: Array) -> Array:
    """The seven expectations of a Table, each at every s."""
    u = np.exp(np.minimum(v + s[:, None], 7.0))  # e^(−e⁷) = 0
    lost = -np.expm1(-u)
    term = np.exp(-u)
    rows = [term @ weights]
    for _ in range(4):
        term *= u
        rows.append(term @ weights)
    return np.array([*rows, lost @ weights, lost @ (v * weights)])


def _panels(edges: Array) -> tuple[Array, Array]:
    """Gauss–Legendre nodes and weights between the edges."""
    nodes, weights = np.polynomial.legendre.leggauss(NODES)
    half = 0.5 * np.diff(edges)[:, None]
    middle = 0.5 * (edges[1:] + edges[:-1])[:, None]
    return (middle + half * nodes).ravel(), (half * weights).ravel()


def _sum(values: Array) -> float:
    """The trapezoidal rule in s."""
    return STEP * math.fsum(values)
