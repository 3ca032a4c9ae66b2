"""Philox4x32: 128 random bits for every counter and key, without state.

Source: Salmon, Moraes, Dror, Shaw, "Parallel random numbers: as easy as 1, 2, 3", SC 2011.
"""

# Works for NumPy integers and for vectors (see simd.py).
# mypy: disable-error-code="no-untyped-def,no-untyped-call"

import numpy as np

from gradstat.numerics.jit import inline

U64 = np.uint64
LOW, SHIFT = U64(0xFFFFFFFF), U64(32)
MULTIPLIER_0, MULTIPLIER_2 = U64(0xD2511F53), U64(0xCD9E8D57)
WEYL_0, WEYL_1 = U64(0x9E3779B9), U64(0xBB67AE85)
ROUNDS = 10


@inline
def philox_round(c0, c1, c2, c3, k0, k1):
    """One round, on 32-bit words held in uint64.

    The low halves of the products keep their upper bits until the next round's multiplication drops them.
    """
    first = (c0 & LOW) * MULTIPLIER_0
    second = (c2 & LOW) * MULTIPLIER_2
    return (second >> SHIFT) ^ c1 ^ k0, second, (first >> SHIFT) ^ c3 ^ k1, first


@inline
def philox4x32(c0, c1, c2, c3, k0, k1):
    """Ten rounds: four 32-bit words for the counter (c0, c1, c2, c3) and the key (k0, k1)."""
    for _ in range(ROUNDS):
        c0, c1, c2, c3 = philox_round(c0, c1, c2, c3, k0, k1)
        k0 = (k0 + WEYL_0) & LOW
        k1 = (k1 + WEYL_1) & LOW
    return c0 & LOW, c1 & LOW, c2 & LOW, c3 & LOW
