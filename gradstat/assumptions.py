"""Assumptions about a layer's input x and about dy, the gradient that the layer receives."""

from dataclasses import asdict, dataclass

from gradstat.distributions import DISTRIBUTIONS, NORMAL, Distribution


@dataclass(frozen=True)
class Input:
    """The distribution, mean and std of x, and its correlation ρ^|distance| between the positions of a window.

    If x is not normal, ρ is the correlation of the normal scores (a Gaussian copula).
    """

    distribution: str = NORMAL.name
    mean: float = 0.0
    std: float = 1.0
    correlation: float = 0.0

    @property
    def law(self) -> Distribution:
        """The record of the distribution."""
        return DISTRIBUTIONS[self.distribution]

    @property
    def is_normal(self) -> bool:
        """True if weighted sums of independent x have the distribution of x: for the normal distribution only."""
        return self.law is NORMAL

    @property
    def lowest(self) -> float:
        """The smallest possible x; −∞ if x is not bounded below."""
        return self.mean + self.std * self.law.lowest

    def label(self) -> str:
        """`normal(0, 1)`, with the correlation if it is not 0."""
        return _label(asdict(self))


@dataclass(frozen=True)
class Upstream:
    """The distribution of dy (zero mean, unit variance), and the correlation between outputs: 1.0 if all dy are equal.

    Laplace dy with a correlation strictly between 0 and 1 is the weighted sum of two Laplace numbers: one that all
    outputs share and one per output. The sum is not Laplace; the exact values are those of the sum.
    """

    distribution: str = NORMAL.name
    correlation: float = 0.0

    @property
    def law(self) -> Distribution:
        """The record of the distribution."""
        return DISTRIBUTIONS[self.distribution]

    @property
    def is_normal(self) -> bool:
        """True if weighted sums of dy have the distribution of dy: for the normal distribution only."""
        return self.law is NORMAL

    def label(self) -> str:
        """`normal(0, 1)`, with the correlation if it is not 0."""
        return _label({"mean": 0.0, "std": 1.0} | asdict(self))


def _label(fields: dict[str, object]) -> str:
    tail = f", correlation={fields['correlation']:g}" if fields["correlation"] else ""
    return f"{fields['distribution']}({fields['mean']:g}, {fields['std']:g}{tail})"
