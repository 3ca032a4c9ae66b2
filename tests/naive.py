"""Plain, slow references: Philox in Python integers, moments in two passes over exact fractions, errors by draws."""

import math
from collections.abc import Sequence
from fractions import Fraction

import numpy as np

Words = tuple[int, int, int, int]

MASK = 2**32 - 1


def philox4x32(counter: Words, key: tuple[int, int], rounds: int = 10) -> Words:
    """Philox4x32 as the paper of Salmon et al. (2011) draws it."""
    c0, c1, c2, c3 = counter
    k0, k1 = key
    for _ in range(rounds):
        first, second = 0xD2511F53 * c0, 0xCD9E8D57 * c2
        c0, c1, c2, c3 = (second >> 32) ^ c1 ^ k0, second & MASK, (first >> 32) ^ c3 ^ k1, first & MASK
        k0, k1 = (k0 + 0x9E3779B9) & MASK, (k1 + 0xBB67AE85) & MASK
    return c0, c1, c2, c3


def words(seed: int, draw: int, slot: int, stream: int) -> tuple[int, int]:
    """The two 32-bit words of one slot of one draw."""
    batch, lane = divmod(draw, 1024)
    block = 512 * batch + lane % 512
    out = philox4x32((block & MASK, block >> 32, slot, stream), (seed & MASK, seed >> 32))
    return (out[0], out[1]) if lane < 512 else (out[2], out[3])


def open_uniform(high: int, low: int) -> Fraction:
    """The middle of one of 2⁵² equal cells of (0, 1): 32 bits, then the lowest 20 of the other word."""
    return Fraction(2 * ((high << 20) | (low % 2**20)) + 1, 2**53)


def accumulators(values: Sequence[float], centre: float) -> dict[str, Fraction]:
    """What one row accumulates over values of one slot, exactly."""
    exact = [Fraction(v) for v in values]
    n, c = len(exact), Fraction(centre)
    mean = sum(exact, Fraction()) / n
    central = {f"m{p}": sum(((v - mean) ** p for v in exact), Fraction()) for p in (2, 3, 4)}
    sums = {
        "abs": sum((abs(v) for v in exact), Fraction()),
        "deviation": sum((abs(v - c) for v in exact), Fraction()),
        "sign": Fraction(sum((v > c) - (v < c) for v in exact)),
        "signed_square": sum(((v - c) * abs(v - c) for v in exact), Fraction()),
        "zeros": Fraction(sum(v == 0 for v in exact)),
    }
    ends = {"min": min(exact), "max": max(exact)}
    return {"count": Fraction(n), "centre": c, "shift": mean - c, **central, **sums, **ends}


def totals(values: np.ndarray, centre: float) -> dict[str, float]:
    """What one row accumulates over the totals of each draw, for values[slot, draw]."""
    d = values - centre
    t = {"1": d.sum(0), "2": (d**2).sum(0), "a": abs(values).sum(0), "d": abs(d).sum(0)}
    means = {f"t{name}": float(total.mean()) for name, total in t.items()}
    centred = {name: total - total.mean() for name, total in t.items()}
    pairs = (("1", "1"), ("1", "2"), ("2", "2"), ("a", "a"), ("d", "d"), ("1", "d"))
    products = {f"c{a}{b}": math.fsum(centred[a] * centred[b]) for a, b in pairs}
    return {"draws": values.shape[1], "largest_t2": float(t["2"].max())} | means | products


def tails(values: np.ndarray, centre: float) -> dict[str, float]:
    """Ties with the centre in values[slot, draw]; the logarithm of the largest distance in each whole batch of 1024."""
    d = np.abs(values - centre)
    whole = d.shape[1] // 1024 * 1024
    peaks = d[:, :whole].reshape(d.shape[0], -1, 1024).max(axis=(0, 2))
    logs = np.log(peaks[peaks > 0.0])
    sums = {"peaks": logs.size, "log_peaks": logs.sum(), "squared_log_peaks": np.square(logs).sum()}
    return {"ties": float((d == 0.0).sum())} | {name: float(value) for name, value in sums.items()}


def influences(values: np.ndarray) -> dict[str, np.ndarray]:
    """To first order, what each draw of values[slot, draw] adds to each statistic (less its mean over draws)."""
    mean = values.mean()
    d = values - mean
    sign = np.sign(d).mean()
    return {
        "mean": d.mean(0),
        "std": (d**2).mean(0) / (2.0 * d.std()),
        "second_moment": (values**2).mean(0),
        "abs_mean": abs(values).mean(0),
        "mad": abs(d).mean(0) - sign * d.mean(0),
    }


def standard_errors(values: np.ndarray) -> dict[str, float]:
    """Standard errors over independent draws of values[slot, draw].

    The variance is E[v²] − mean². Where E[v²] is the same in all draws, what is left is the square of a nearly normal
    mean (taken from the true one), whose variance is 2·se⁴: the second order that `std` needs.
    """
    found = {name: v.std(ddof=1) / math.sqrt(v.size) for name, v in influences(values).items()}
    found["std"] = math.hypot(found["std"], math.sqrt(2.0) * found["mean"] ** 2 / (2.0 * values.std()))
    return found


def statistics(values: np.ndarray) -> dict[str, float]:
    """Every statistic in two passes; the variance is unbiased for dependent slots too."""
    mean = values.mean()
    d = values - mean
    m2, m3, m4 = ((d**p).mean() for p in (2, 3, 4))
    return {
        "n": values.shape[1],
        "mean": mean,
        "std": math.sqrt(m2 + values.mean(0).var(ddof=1) / values.shape[1]),
        "second_moment": (values**2).mean(),
        "abs_mean": abs(values).mean(),
        "mad": abs(d).mean(),
        "skewness": m3 / m2**1.5,
        "kurtosis": m4 / m2**2,
        "zero_fraction": (values == 0.0).mean(),
        "min": values.min(),
        "max": values.max(),
    }
