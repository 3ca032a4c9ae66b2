"""Layers that draw noise: the dropout family and rrelu.

Dropout: each input, or all inputs of a channel or sample together, are kept with probability 1 − p. A kept input
becomes c·x + d, a dropped one e. Plain and inverted dropout differ in c; alpha_dropout also shifts, so that SELU's
activations keep their mean and variance.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any, Generic, TypeVar

from gradstat.assumptions import Input, Upstream
from gradstat.layer_types.exact import inputs, upstream
from gradstat.layer_types.exact.enclosure import Enclosure, decimal, enclosure
from gradstat.layer_types.record import (
    DROP_PROBABILITY,
    FLAG,
    FORWARD,
    PROBABILITY,
    REAL,
    Domain,
    Exact,
    Layer,
    Parameter,
    Params,
    Row,
    Shape,
    whole,
)

ALPHA = 1.7580993408473766  # −(SELU's limit at −∞), to PyTorch's digits
LARGEST_SIZE = 4096


Number = TypeVar("Number")


@dataclass(frozen=True)
class Mask(Generic[Number]):
    """y = scale·x + shift with probability 1 − p, else `dropped`; dx = scale·dy or 0."""

    p: Number
    scale: Number
    shift: Number
    dropped: Number


def dropout_kernel(constants: Any, x: Any, dy: Any, noise: Any, y: Any, dx: Any) -> None:
    """r = [u ≥ p]·scale, one u for all slots; y = r·x, dx = r·dy."""
    p, scale = constants[0], constants[1]
    for slot in range(x.shape[0]):
        for lane in range(x.shape[1]):
            r = scale if noise[0, lane] >= p else 0.0
            y[slot, lane] = r * x[slot, lane]
            dx[slot, lane] = r * dy[slot, lane]


def alpha_dropout_kernel(constants: Any, x: Any, dy: Any, noise: Any, y: Any, dx: Any) -> None:
    """y = scale·x + shift if u ≥ p, else `dropped`, one u for all slots."""
    p, scale, shift, dropped = constants[0], constants[1], constants[2], constants[3]
    for slot in range(x.shape[0]):
        for lane in range(x.shape[1]):
            kept = noise[0, lane] >= p
            y[slot, lane] = scale * x[slot, lane] + shift if kept else dropped
            dx[slot, lane] = scale * dy[slot, lane] if kept else 0.0


def plain_mask(params: Params) -> Mask[float]:
    """Scale 1/(1 − p), or 1 where not inverted; with p = 1, y = 0."""
    p = float(params["p"])
    if p == 1.0:
        return Mask(p, 0.0, 0.0, 0.0)
    return Mask(p, 1.0 / (1.0 - p) if params["inverted"] else 1.0, 0.0, 0.0)


def proven_plain_mask(params: Params) -> Mask[Enclosure]:
    """The same with p as the decimal number that was given."""
    p = decimal(params["p"])
    if (1 - p).is_zero:
        return Mask(p, enclosure(0), enclosure(0), enclosure(0))
    return Mask(p, 1 / (1 - p) if params["inverted"] else enclosure(1), enclosure(0), enclosure(0))


def alpha_mask(params: Params) -> Mask[float]:
    """a(x + αp) or −aα(1 − p), a = 1/√((1 + α²p)(1 − p)): mean 0 and variance 1 stay."""
    p = float(params["p"])
    a = 1.0 / math.sqrt((ALPHA * ALPHA * p + 1.0) * (1.0 - p))
    return Mask(p, a, a * ALPHA * p, -a * ALPHA * (1.0 - p))


def proven_alpha_mask(params: Params) -> Mask[Enclosure]:
    """The same with p and α as the decimal numbers that are written."""
    p, alpha = decimal(params["p"]), decimal(ALPHA)
    a = 1 / ((alpha.squared() * p + 1) * (1 - p)).root()
    return Mask(p, a, a * alpha * p, -a * alpha * (1 - p))


def exact(mask: Mask[Enclosure], row: Row, x: Input, dy: Upstream) -> Exact:
    """A mixture of two: variance (1 − p)(c²σ² + p(cμ + d − e)²), and (1 − p)c² for dx."""
    keep = 1 - mask.p
    if keep.is_zero:
        return Exact.proven(enclosure(0), enclosure(0), enclosure(0), enclosure(0))
    if row.direction != FORWARD:
        square = keep * mask.scale.squared()
        spread = keep * mask.scale * upstream.abs_mean(dy)
        return Exact.proven(enclosure(0), square, spread, spread, upstream.kurtosis(dy) / keep)
    kept = mask.scale * inputs.mean(x) + mask.shift
    mean = keep * kept + mask.p * mask.dropped
    var = keep * (mask.scale.squared() * inputs.variance(x) + mask.p * (kept - mask.dropped).squared())
    size = inputs.distance(x, -mask.shift / mask.scale)
    deviation = inputs.distance(x, (mean - mask.shift) / mask.scale)
    spread = keep * mask.scale * size + mask.p * abs(mask.dropped)
    return Exact.proven(mean, var, spread, keep * mask.scale * deviation + mask.p * abs(mask.dropped - mean))


def mask_shape(size: int) -> Shape:
    """`size` values that share one mask; several of them lie on a map."""
    return replace(Shape.pooled(size, size, noise=1), grid=(size,) if size > 1 else ())


def family(
    name: str,
    torch: str,
    *,
    mask: Callable[[Params], Mask[float]] = plain_mask,
    size: int | None = None,
    what: str = "",
    aliases: tuple[str, ...] = (),
) -> Layer:
    """The record of one dropout layer; with a `size`, `size` values share one mask and are pooled."""
    alpha = mask is alpha_mask
    parameters = [Parameter("p", 0.5, PROBABILITY if alpha else DROP_PROBABILITY)]
    if not alpha:
        parameters.append(Parameter("inverted", True, FLAG))
    if size is not None:
        parameters.append(Parameter("size", size, whole(1, LARGEST_SIZE)))

    def constants(params: Params) -> tuple[float, ...]:
        own = mask(params)
        return (own.p, own.scale, own.shift, own.dropped) if alpha else (own.p, own.scale)

    def referee(params: Params, row: Row, x: Input, dy: Upstream) -> Exact:
        return exact((proven_alpha_mask if alpha else proven_plain_mask)(params), row, x, dy)

    plain = "y = r·x, r = 1/(1 − p) with probability 1 − p, else 0 (r = 1 if not inverted)"
    affine = f"y = a(x + αp) with probability 1 − p, else −aα(1 − p); a = 1/√((1 + α²p)(1 − p)), α = {ALPHA:.4f}…"
    return Layer(
        name=name,
        formula=(affine if alpha else plain) + (f"; one mask for {what}" if what else ""),
        backward="dx = a·dy if kept, else 0" if alpha else "dx = r·dy",
        torch=torch,
        kernel=lambda params: alpha_dropout_kernel if alpha else dropout_kernel,
        elementwise=False,
        referee=referee,
        referee_words="closed form",
        parameters=tuple(parameters),
        aliases=aliases,
        shape=lambda params: mask_shape(params.get("size", 1)),
        constants=constants,
    )


CHANNEL = "the `size` positions of a channel"
DROPOUT = family("dropout", "torch.nn.functional.dropout")
DROPOUT1D = family("dropout1d", "torch.nn.functional.dropout1d", size=4, what=CHANNEL)
DROPOUT2D = family(
    "dropout2d",
    "torch.nn.functional.dropout2d",
    size=4,
    what=CHANNEL,
    aliases=("channel_dropout", "feature_dropout", "spatial_dropout"),
)
DROPOUT3D = family("dropout3d", "torch.nn.functional.dropout3d", size=8, what=CHANNEL)
ALPHA_DROPOUT = family("alpha_dropout", "torch.nn.functional.alpha_dropout", mask=alpha_mask)
FEATURE_ALPHA_DROPOUT = family(
    "feature_alpha_dropout", "torch.nn.functional.feature_alpha_dropout", mask=alpha_mask, size=4, what=CHANNEL
)
DROP_PATH = family(
    "drop_path",
    "torchvision.ops.stochastic_depth",
    size=4,
    what="the `size` values of a sample",
    aliases=("stochastic_depth",),
)


def rrelu_kernel(constants: Any, x: Any, dy: Any, noise: Any, y: Any, dx: Any) -> None:
    """slope = 1 for x > 0, else lower + (upper − lower)·u; y = slope·x, dx = slope·dy."""
    lower, width = constants[0], constants[1]
    for lane in range(x.shape[1]):
        slope = 1.0 if x[0, lane] > 0.0 else lower + width * noise[0, lane]
        y[0, lane] = slope * x[0, lane]
        dx[0, lane] = slope * dy[0, lane]


def rrelu_referee(params: Params, row: Row, x: Input, dy: Upstream) -> Exact | None:
    """Given x ≤ 0, y is uniform between lower·x and upper·x: integrals of powers of x over both half lines."""
    from gradstat.layer_types.exact.leaky import gradient_of_leaky, leaky  # loads flint

    lower, upper = proven_slopes(params)
    return leaky(lower, upper, x) if row.direction == FORWARD else gradient_of_leaky(lower, upper, x, dy)


def slopes(params: Params) -> tuple[float, float]:
    """The range of the slope; outside training, only its middle."""
    lower, upper = float(params["lower"]), float(params["upper"])
    middle = 0.5 * (lower + upper)
    return (lower, upper) if params["training"] else (middle, middle)


def proven_slopes(params: Params) -> tuple[Fraction, Fraction]:
    """The same as fractions: 0.125 is 1/8, and the default upper slope is 1/3."""
    from gradstat.layer_types.exact.constants import fraction  # loads flint

    lower, upper = fraction(params["lower"]), fraction(params["upper"])
    middle = (lower + upper) / 2
    return (lower, upper) if params["training"] else (middle, middle)


def rrelu_constants(params: Params) -> tuple[float, float]:
    """(lower, upper − lower)."""
    lower, upper = slopes(params)
    return lower, upper - lower


RRELU = Layer(
    name="rrelu",
    formula="y = x if x > 0 else a·x, a uniform on (lower, upper), or its middle outside training",
    backward="dx = dy if x > 0 else a·dy",
    torch="torch.nn.functional.rrelu",
    kernel=lambda params: rrelu_kernel,
    elementwise=False,
    referee=rrelu_referee,
    referee_words="proven integral",
    parameters=(
        Parameter("lower", 1.0 / 8.0, REAL),
        Parameter("upper", 1.0 / 3.0, REAL),
        Parameter("training", True, FLAG),
    ),
    constraint=Domain("lower ≤ upper", lambda params: params["lower"] <= params["upper"]),
    shape=lambda params: Shape(noise=1),
    constants=rrelu_constants,
)

STOCHASTIC = (RRELU, DROPOUT, DROPOUT1D, DROPOUT2D, DROPOUT3D, ALPHA_DROPOUT, FEATURE_ALPHA_DROPOUT, DROP_PATH)
