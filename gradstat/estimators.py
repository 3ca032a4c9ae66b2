"""The table of estimators: what a configuration and a reader of results know of them. Needs no compiler.

`estimation/estimators.py` adds the functions that sample.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class EstimatorRecord:
    """Its name, what its independent units are, and how well their spread is known."""

    name: str
    description: str
    nested: bool  # the draws of a shorter run are the first of a longer one, and errors fall as n^-1/2
    units: str  # what is independent, and is counted by `acc_draws` of a result
    degrees: Callable[[float], float]  # degrees of freedom of standard errors from this number of units


def infinite(units: float) -> float:
    """The degrees of freedom of errors from independent draws, whose number is large: the error itself is known."""
    return math.inf


def quarter(units: float) -> float:
    """Degrees of freedom of a variance over R randomizations: (R − 1)/4.

    A variance has 2(R − 1)/(κ − 1) of them for independent numbers of kurtosis κ. κ = 3 gives R − 1. A randomization
    whose error is made by its outermost point has κ = 9: that point is at a random distance from the end, and v² there
    is exponentially distributed. relu's y is such a case; ARCHITECTURE.md has the measurement.
    """
    return max((units - 1.0) / 4.0, 1.0)


MC = EstimatorRecord(
    name="mc",
    description="independent draws; errors fall as n^-1/2",
    nested=True,
    units="draws",
    degrees=infinite,
)
RQMC = EstimatorRecord(
    name="rqmc",
    description="32 to 63 independent scramblings of 2^k Sobol points; errors fall up to as n^-1",
    nested=False,
    units="randomizations",
    degrees=quarter,
)
DEFAULT_SEED = 20160328  # of every command
ESTIMATORS = {record.name: record for record in (MC, RQMC)}
