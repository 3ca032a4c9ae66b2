"""The table of estimators, for configurations and readers of results. Does not import numba.

`estimation/estimators.py` adds the functions that sample.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class EstimatorRecord:
    """An estimator: its name, its independent units, and the degrees of freedom of its standard errors."""

    name: str
    description: str
    nested: bool  # a longer run begins with the draws of a shorter one, and errors fall as n^-1/2
    units: str  # the independent units, which `acc_draws` of a result counts
    degrees: Callable[[float], float]  # number of units → degrees of freedom of the standard errors


def infinite(units: float) -> float:
    """Degrees of freedom of mc errors: infinite, because n is large."""
    return math.inf


def quarter(units: float) -> float:
    """Degrees of freedom of a variance over R randomizations: (R − 1)/4.

    A variance of independent numbers of kurtosis κ has 2(R − 1)/(κ − 1) degrees of freedom; κ = 3 gives R − 1. If the
    outermost point dominates the error of a randomization, κ = 9: this point is at a random distance from the end, and
    v² there is exponentially distributed. relu's y is such a case; ARCHITECTURE.md has the measurement.
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
DEFAULT_SEED = 20160328  # the default of every command
ESTIMATORS = {record.name: record for record in (MC, RQMC)}
