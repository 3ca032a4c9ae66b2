"""The mean of y alone: an integral that needs less than all moments, for derivatives of moments."""

import math
from fractions import Fraction
from functools import lru_cache

from flint import arb, ctx

from gradstat.assumptions import Input
from gradstat.layer_types.exact.enclosure import Enclosure
from gradstat.layer_types.exact.engine import Engine, reach_of
from gradstat.layer_types.exact.integrand import CANNOT_RUN, Constant, Formula, Integrand
from gradstat.layer_types.exact.moments import GUARDS, MARGIN, MOST_WORK, REACH_BITS, enclosed
from gradstat.layer_types.exact.panels import Quantities
from gradstat.layer_types.exact.precision import LOCK
from gradstat.layer_types.exact.traced import Undefined

# p·y and p; no absolute values, and so no squares for bounds of them
MEAN = Quantities(lambda p, y, s, signs: [p * y, p], 2, {}, lambda values, which: values[0])


@lru_cache(maxsize=512)
def mean_of(
    formula: Formula, constants: tuple[Constant, ...], kinks: tuple[float | Fraction, ...], x: Input, digits: int
) -> Enclosure | None:
    """E[y] for (y, …) = formula(x, *constants), to so many digits of E|y|; None where nothing could be shown."""
    integrand = Integrand(formula, constants, x, kinks)
    wanted = int(3.33 * digits) + 3
    with LOCK:
        try:
            return _mean(integrand, wanted)
        except Undefined as error:
            return Enclosure.undefined(str(error))
        except CANNOT_RUN:
            return None


def _mean(integrand: Integrand, wanted: int) -> Enclosure | None:
    far, before = 1.0 + abs(integrand.x.mean) / integrand.x.std, arb("inf")
    result = None
    for attempt, guard in enumerate(GUARDS):
        bits = wanted + MARGIN + 12 * attempt
        with ctx.workprec(bits + guard + int(math.log2(far))):
            engine = Engine(integrand, MEAN, bits, reach_of(integrand.x, bits + REACH_BITS * attempt), MOST_WORK)
            integral, _ = engine.run()
            size, radius = engine.panels.scale[0].max(abs(integral.value).upper()), integral.value.rad()
            result = enclosed(integral, size)
            if not integral.is_finite or radius <= arb(2) ** -wanted * size or radius * 2 > before:
                break
            before = radius
    return result
