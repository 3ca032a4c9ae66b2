"""A printed value, and ours with its error → a verdict.

confirmed: our value ± its bound lies in the interval of values that round to the printed value. imprecise: it does
not, but the printed value is within 4 standard errors of the source's simulation. refuted: neither. undecided: our
error is too large for a decision.
"""

import math
import sys
from dataclasses import dataclass
from fractions import Fraction

from gradstat.estimation.significance import SOURCE_BOUND
from gradstat.layer_types.exact.enclosure import DIGITS, Enclosure
from gradstat.text.uncertain import NUMERIC, PROVEN, SAMPLED
from gradstat.verification.claims import Claim
from gradstat.verification.rounding_interval import RoundingInterval, rounded

PRINTED_SE_PER_HALF_UNIT = 2.0  # standard errors that half a unit of the last digit should cover
TIE_RATIO = 100  # an interval this much wider than proven bounds can be a tie
TIE = Fraction(1, 2**51)  # of the value: two units in the last place of a float64

INSIDE, OUTSIDE, OPEN = "inside", "outside", "open"
CONFIRMED, IMPRECISE, REFUTED, UNDECIDED = "confirmed", "imprecise", "refuted", "undecided"


@dataclass(frozen=True)
class Measured:
    """Our value of a claimed number. Its bound holds for all claims simultaneously; `error` is its standard error."""

    value: float
    bound: float
    error: float = 0.0
    n: int = 0
    unit_error: float | None = None  # standard deviation of the estimate from a single draw
    exact: bool = True
    enclosure: Enclosure | None = None  # proven bounds of the value, to more digits than a float holds
    degrees: float = math.inf  # of freedom of the standard error
    no_error_bar: str = ""  # why `error` is none

    @property
    def ends(self) -> tuple[Fraction, Fraction]:
        """The smallest and the largest possible value."""
        if self.enclosure is not None:
            return self.enclosure.bounds
        value, bound = Fraction(self.value), Fraction(self.bound)
        return value - bound, value + bound

    @property
    def slack(self) -> float:
        """Half the distance between the ends."""
        if self.enclosure is None:
            return self.bound
        return float(min(self.enclosure.radius, Fraction(sys.float_info.max)))

    @property
    def kind(self) -> str:
        """What the value is worth: proven, numeric (its error is estimated) or sampled."""
        if not self.exact:
            return SAMPLED
        return NUMERIC if self.enclosure is None or self.enclosure.numeric else PROVEN

    @property
    def is_known(self) -> bool:
        """True if the value has bounds; a float outside the range of float64 may have."""
        return self.enclosure is not None or (math.isfinite(self.value) and math.isfinite(self.bound))


@dataclass(frozen=True)
class Outcome:
    """A claim, its verdict, and the numbers behind the verdict."""

    claim: Claim
    measured: Measured | None
    verdict: str
    source_z: float | None = None
    detectable: float | None = None
    should_print: str | None = None
    draws_needed: int | None = None
    detail: str = ""
    contradiction: bool = False  # sampling contradicts the exact value: an error of gradstat

    @property
    def as_expected(self) -> bool:
        """True if the verdict is the one that the claims file expects."""
        return self.verdict == self.claim.config.expect


def judge(claim: Claim, measured: Measured, detail: str = "") -> Outcome:
    """The outcome of one claim."""
    printed = claim.printed
    error = source_error(claim, measured)
    return Outcome(
        claim,
        measured,
        verdict(claim, measured),
        (printed.value - measured.value) / error if error else None,
        detectable(printed, measured),
        should_print(printed, measured),
        draws_needed(printed, measured),
        detail,
    )


def verdict(claim: Claim, measured: Measured) -> str:
    """The verdict, by the definitions in the docstring of this module."""
    where = position(claim.printed, measured)
    if where == OPEN:
        return UNDECIDED
    if where == INSIDE:
        return CONFIRMED if detectable(claim.printed, measured) <= 2.0 * claim.printed.half_width else UNDECIDED
    if claim.config.obtained.samples is None or claim.config.obtained.method != "monte-carlo":
        return REFUTED
    error = source_error(claim, measured)
    if error is None:
        return UNDECIDED  # a simulated number cannot be judged without the standard deviation of one draw
    away, slack = abs(claim.printed.value - measured.value), measured.bound
    if away + slack <= SOURCE_BOUND * error:
        return IMPRECISE
    return REFUTED if away - slack > SOURCE_BOUND * error else UNDECIDED


def position(printed: RoundingInterval, measured: Measured) -> str:
    """The position of [value − bound, value + bound] relative to the interval of the printed value.

    An exact value is a tie if an end of the interval lies within its proven bounds, or within float64 precision if
    there are none. Then both roundings are correct.
    """
    if not measured.is_known:
        return OPEN
    if measured.exact and _is_tie(printed, measured):
        return INSIDE
    low, high = measured.ends
    if printed.low <= low and high <= printed.high:
        return INSIDE
    return OUTSIDE if high < printed.low or low > printed.high else OPEN


def _is_tie(printed: RoundingInterval, measured: Measured) -> bool:
    ends = (printed.low, printed.high)
    if measured.enclosure is None:
        value = Fraction(measured.value)
        return any(abs(value - end) <= TIE * abs(value) for end in ends)
    low, high = measured.ends
    return any(low <= end <= high for end in ends) and (high - low) * TIE_RATIO <= printed.high - printed.low


def detectable(printed: RoundingInterval, measured: Measured) -> float:
    """The smallest error of a printed number that is certain to be detected.

    Half a unit of the last digit plus our error bound, counted twice for sampled values.
    """
    return printed.half_width + (1.0 if measured.exact else 2.0) * measured.slack


def source_error(claim: Claim, measured: Measured) -> float | None:
    """Standard error of the source's simulation; None if it used none, or its size is unknown."""
    obtained = claim.config.obtained
    if obtained.method != "monte-carlo" or obtained.samples is None or measured.unit_error is None:
        return None
    return measured.unit_error / math.sqrt(obtained.samples)


def should_print(printed: RoundingInterval, measured: Measured) -> str | None:
    """Our value with the decimals of the printed value, or fewer if our bound requires it."""
    if printed.decimals is None:
        return f"{measured.value:.10g}" if measured.exact else None
    if not measured.is_known:
        return None
    if not math.isfinite(measured.value) and measured.enclosure is not None:
        return measured.enclosure.text(DIGITS)
    for decimals in range(printed.decimals, min(0, printed.decimals) - 1, -1):
        ends = {rounded(end, decimals) for end in measured.ends}
        if len(ends) == 1:
            return ends.pop()
    return None


def draws_needed(printed: RoundingInterval, measured: Measured) -> int | None:
    """Draws for which half a unit of the last printed digit is two standard errors; None if no number is enough."""
    if printed.decimals is None or measured.unit_error is None:
        return None
    root = PRINTED_SE_PER_HALF_UNIT * measured.unit_error / printed.half_width
    return max(1, math.ceil(root * root)) if root < 1e100 else None
