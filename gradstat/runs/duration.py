"""How long a run takes, roughly and before it begins: what is long is announced, and what is too much is refused."""

from collections.abc import Sequence

from gradstat.estimation.blocks import pilot_draws
from gradstat.layer_types.case import Case
from gradstat.limits import KERNELS
from gradstat.runs.progress import Progress

LONG = 20.0  # seconds that are announced
PER_NUMBER, PER_CASE, PER_KERNEL = 8e-9, 0.02, 1.0  # seconds: of a drawn number, of exact values, of compiling


def announce(cases: Sequence[Case], samples: int | None, jobs: int, progress: Progress) -> None:
    """A line about a run that takes long; UsageError for more kernels than a run may have.

    A formula is compiled for every value of a parameter in an exponent. Other parameters are constants of its kernel.
    """
    kernels = len({case.layer.kernel(case.params) for case in cases})
    KERNELS.check(kernels)
    numbers = sum((pilot_draws(case) + (samples or 0)) * case.shape.numbers for case in cases)
    seconds = numbers * PER_NUMBER / jobs + len(cases) * PER_CASE + kernels * PER_KERNEL
    if seconds > LONG:
        several = f"{len(cases):,} case{'s' * (len(cases) != 1)}"
        progress.message(f"{several}, {kernels:,} to compile unless cached: about {float(f'{seconds:.1g}'):,.0f} s")
