"""The table of schemes: how weights are drawn, what y is shifted and divided by, what the gradient is scaled by.

Every constant of a scheme is the exact value of the single layer for x, dy ~ N(0, I).
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

from gradstat.errors import UsageError, unknown


@dataclass(frozen=True)
class Fans:
    """The numbers of weights per output (`inputs`) and per input (`outputs`).

    `backward` is σ[dx] if the weights of each input have norm 1. A stride makes it smaller than 1, since each input
    then meets only some of its weights (post III).
    """

    inputs: int
    outputs: int
    backward: float = 1.0
    taps: int = 1  # weights between two channels


@dataclass(frozen=True)
class Constants:
    """E[y], σ[y] and σ[dx] of a layer for x, dy ~ N(0, I)."""

    mean: float
    forward: float
    backward: float


@dataclass(frozen=True)
class Scheme:
    """One way to scale a network. If `centred`, layers without weights become y = (f(x) − E[f])/divisor."""

    name: str
    description: str
    weight_std: Callable[[Fans], float]  # σ of one weight
    normalized: str = ""  # rows, columns or both: which weights have exactly norm 1, instead of on average
    centred: bool = False
    divisor: Callable[[Constants], float] = lambda constants: 1.0  # of y
    gradient_scale: Callable[[Constants], float] = lambda constants: 1.0  # of dx, in the backward pass only


def over_fan_in(fans: Fans) -> float:
    """1/√fan_in: Σw² of an output is 1."""
    return 1.0 / math.sqrt(fans.inputs)


def over_fan_out(fans: Fans) -> float:
    """1/(√fan_out·σ[dx]): σ[dx] is 1; without a stride, Σw² of an input is 1."""
    return 1.0 / (math.sqrt(fans.outputs) * fans.backward)


SCHEMES: dict[str, Scheme] = {
    scheme.name: scheme
    for scheme in (
        Scheme("none", "W ~ N(0, 1/fan_in), activations as they are", over_fan_in),
        Scheme(
            "xavier",
            "W ~ N(0, 2/(fan_in + fan_out)), activations as they are",
            lambda fans: math.sqrt(2.0 / (fans.inputs + fans.outputs)),
        ),
        Scheme("he", "W ~ N(0, 2/fan_in), activations as they are", lambda fans: math.sqrt(2.0) * over_fan_in(fans)),
        Scheme(
            "forward",
            "post I: unit rows over fan_in, (y − E[y])/σ[y]",
            over_fan_in,
            normalized="rows",
            centred=True,
            divisor=lambda c: c.forward,
        ),
        Scheme(
            "backward",
            "post II: unit rows over fan_out, (y − E[y])/σ[dx]",
            over_fan_out,
            normalized="columns",
            centred=True,
            divisor=lambda c: c.backward,
        ),
        Scheme(
            "separate",
            "forward constants forward; backward, dx is multiplied by σ[y]/σ[dx]",
            over_fan_in,
            normalized="rows",
            centred=True,
            divisor=lambda c: c.forward,
            gradient_scale=lambda c: c.forward / c.backward,
        ),
        Scheme(
            "geometric",
            "the geometric mean of forward and backward",
            lambda fans: math.sqrt(over_fan_in(fans) * over_fan_out(fans)),
            normalized="both",
            centred=True,
            divisor=lambda c: math.sqrt(c.forward * c.backward),
        ),
    )
}


def find(name: str) -> Scheme:
    """The scheme of this name; UsageError with the closest name if there is none."""
    if name not in SCHEMES:
        raise UsageError(unknown("scheme", name, SCHEMES))
    return SCHEMES[name]
