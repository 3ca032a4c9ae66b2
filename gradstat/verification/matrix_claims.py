"""Claims about a whole map: the repeated cell of window counts, and the factor of each tap of a window."""

import re
from fractions import Fraction
from functools import lru_cache

import numpy as np

from gradstat.errors import UsageError, quoted
from gradstat.verification.claims import Claim
from gradstat.verification.verdicts import Outcome

ENTRIES = re.compile(r"[0-9/; ]{1,20000}")
Matrix = tuple[tuple[Fraction, ...], ...]


def judge_matrix(claim: Claim) -> Outcome:
    """confirmed if all entries are equal. A matrix of counts may be shifted cyclically, one of factors may not."""
    printed = parse(claim)
    size, stride = _square(claim, "kernel_size"), _square(claim, "stride")
    if claim.config.statistic == "windows":
        closest = closest_shift(repeated_cell(size, stride), printed)
    else:
        closest = tap_factors(size, stride)
    wrong = differences(closest, printed)
    detail = f"{wrong} of {sum(map(len, closest))} entries differ" if wrong else ""
    return Outcome(claim, None, "refuted" if wrong else "confirmed", should_print=text(closest), detail=detail)


@lru_cache(maxsize=64)
def repeated_cell(size: int, stride: int) -> Matrix:
    """The number of windows that cover each input of a stride × stride cell: the product over both dimensions."""
    counts = [len(range(i % stride, size, stride)) for i in range(stride)]
    return tuple(tuple(Fraction(a * b) for b in counts) for a in counts)


@lru_cache(maxsize=64)
def tap_factors(size: int, stride: int) -> Matrix:
    """1/(number of windows that cover the input under each tap of a window)."""
    counts = [len(range(i % stride, size, stride)) for i in range(size)]
    return tuple(tuple(Fraction(1, a * b) for b in counts) for a in counts)


def closest_shift(matrix: Matrix, printed: Matrix) -> Matrix:
    """The cyclic shift of rows and columns with most entries of `printed`: a repeated cell has no first row.

    For each value, the correlation of the places that have it counts the equal entries of all shifts at once.
    """
    rows, columns = len(matrix), len(matrix[0])
    if [len(row) for row in matrix] != [len(row) for row in printed]:
        return matrix
    equal = np.zeros((rows, columns))
    for value in {entry for row in matrix for entry in row}:
        here, there = (np.array([[entry == value for entry in row] for row in m], float) for m in (matrix, printed))
        equal += np.fft.ifft2(np.conj(np.fft.fft2(there)) * np.fft.fft2(here)).real
    di, dj = divmod(int(np.argmax(np.rint(equal))), columns)
    return tuple(tuple(matrix[(i + di) % rows][(j + dj) % columns] for j in range(columns)) for i in range(rows))


def differences(first: Matrix, second: Matrix) -> int:
    """The number of entries that differ; the number of all entries if the sizes differ."""
    if [len(row) for row in first] != [len(row) for row in second]:
        return sum(map(len, first))
    return sum(a != b for x, y in zip(first, second, strict=True) for a, b in zip(x, y, strict=True))


def parse(claim: Claim) -> Matrix:
    """`1/4 1/2; 1/2 1` → a matrix of fractions."""
    try:
        if not ENTRIES.fullmatch(claim.config.value):
            raise ValueError
        return tuple(tuple(map(_fraction, row.split())) for row in claim.config.value.split(";"))
    except (ValueError, ZeroDivisionError):
        raise UsageError(f"{claim.place}: value {quoted(claim.config.value)} is not a matrix of fractions") from None


@lru_cache(maxsize=1024)
def _fraction(entry: str) -> Fraction:
    return Fraction(entry)


def text(matrix: Matrix) -> str:
    """A matrix in the notation of claims, `1/4 1/2; 1/2 1`."""
    return "; ".join(" ".join(map(str, row)) for row in matrix)


def _square(claim: Claim, name: str) -> int:
    value = claim.config.params.get(name)
    if not isinstance(value, int) or isinstance(value, bool) or not 0 < value <= 64:
        raise UsageError(f"{claim.place}: {claim.config.statistic} needs a whole {name} from 1 to 64, found {value!r}")
    return value
