"""The Python kernel of a layer → a C function that the block kernel calls by its address.

The C functions are closures over plain functions, because numba's disk cache finds only such closures.
"""

# Kernel code: numba infers the types.
# mypy: disable-error-code="no-untyped-def,no-untyped-call"

from functools import cache
from typing import Any

from numba import carray, types
from numba.core.errors import NumbaError

from gradstat.errors import UsageError
from gradstat.estimation.angles import check_angles
from gradstat.layer_types.case import Case
from gradstat.numerics.bits import leading
from gradstat.numerics.draws import LANES
from gradstat.numerics.jit import always_inline, callback, inline

_FLOATS = types.CPointer(types.float64)
# shape (n_in, n_out, noise, number of constants), constants, x, dy, noise, y, dx
SIGNATURE = types.void(types.CPointer(types.int64), *[_FLOATS] * 6)


def callback_of(case: Case) -> Any:
    """The compiled C function of a case; its constants are passed at run time."""
    check_angles(case)
    kernel = case.layer.kernel(case.params)
    return _compile(kernel, case.layer.elementwise, len(case.constants), case.shape.stream is not None)


@cache
def _compile(kernel: Any, elementwise: bool, constants: int, streamed: bool) -> Any:
    for part in getattr(kernel, "parts", ()):
        if not _own(part):
            inline(part)
    # always_inline: x·erf(ln(1 + e^x)) takes 7 ns per lane, and 47 ns with a call
    plain, own = (always_inline if elementwise else inline)(kernel), _own(kernel)
    body = _elementwise(plain, constants) if elementwise else _streamed(plain) if streamed else _windowed(plain)
    # The kernel cache tells functions apart by this name and by their closures.
    body.__qualname__ = f"{body.__name__}.{kernel.__module__}.{kernel.__qualname__}"
    try:
        return callback(SIGNATURE, body, cached=own, interleaved=4 if elementwise else 0)
    except NumbaError as error:
        if own:
            raise
        raise UsageError(f"{kernel.__module__}: numba cannot compile this activation: {_reason(error)}") from error


def _own(function: Any) -> bool:
    """True for functions of gradstat, whose sources are part of the hash in the name of the cache directory."""
    return bool(function.__module__.split(".")[0] == "gradstat")


def _reason(error: NumbaError) -> str:
    """The first informative line of a long message."""
    lines = [line.strip() for line in str(error).splitlines()]
    return next((line for line in lines if line and not line.startswith("Failed in")), type(error).__name__)


def _elementwise(function, n_constants):
    def over_lanes(shape, constants, x, dy, noise, y, dx):
        values = leading(constants, n_constants)
        for lane in range(LANES):
            value, slope = function(x[lane], *values)
            y[lane] = value
            dx[lane] = slope * dy[lane]

    return over_lanes


def _windowed(kernel):
    def over_slots(shape, constants, x, dy, noise, y, dx):
        sizes = carray(shape, (4,))
        kernel(
            carray(constants, (sizes[3],)),
            carray(x, (sizes[0], LANES)),
            carray(dy, (sizes[1], LANES)),
            carray(noise, (sizes[2], LANES)),
            carray(y, (sizes[1], LANES)),
            carray(dx, (sizes[0], LANES)),
        )

    return over_slots


def _streamed(kernel):
    def over_pairs(shape, constants, x, dy, noise, y, dx):
        sizes = carray(shape, (7,))
        kernel(
            sizes[4:],
            carray(constants, (sizes[3],)),
            carray(x, (sizes[0], LANES)),
            carray(dy, (sizes[1], LANES)),
            carray(noise, (sizes[2], LANES)),
            carray(y, (sizes[1], LANES)),
            carray(dx, (sizes[0], LANES)),
        )

    return over_pairs
