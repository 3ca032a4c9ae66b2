"""What is assumed of a layer's input x and of the gradient dy that arrives from above."""

from dataclasses import asdict, dataclass

from gradstat.distributions import DISTRIBUTIONS, NORMAL, Distribution


@dataclass(frozen=True)
class Input:
    """x: its distribution with this mean and standard deviation; ρ^|distance| between positions of a window.

    Where x is not normal, ρ is the correlation of the normal scores (a Gaussian copula).
    """

    distribution: str = NORMAL.name
    mean: float = 0.0
    std: float = 1.0
    correlation: float = 0.0

    @property
    def law(self) -> Distribution:
        """The record of its distribution."""
        return DISTRIBUTIONS[self.distribution]

    @property
    def is_normal(self) -> bool:
        """True if weighted sums of independent x are of the distribution of x, which holds for the normal alone."""
        return self.law is NORMAL

    @property
    def lowest(self) -> float:
        """The smallest x there is; −∞ where there is none."""
        return self.mean + self.std * self.law.lowest

    def label(self) -> str:
        """`normal(0, 1)`, with the correlation where there is one."""
        return _label(asdict(self))


@dataclass(frozen=True)
class Upstream:
    """dy: zero mean and unit variance; `correlation` between outputs, 1.0 where all receive the same dy.

    Laplace dy with a correlation strictly between 0 and 1 is the weighted sum of a shared and an own Laplace number,
    which is not itself Laplace; the referee treats it as that sum.
    """

    distribution: str = NORMAL.name
    correlation: float = 0.0

    @property
    def law(self) -> Distribution:
        """The record of its distribution."""
        return DISTRIBUTIONS[self.distribution]

    @property
    def is_normal(self) -> bool:
        """True if weighted sums of dy are of the distribution of dy, which holds for the normal alone."""
        return self.law is NORMAL

    def label(self) -> str:
        """`normal(0, 1)`, with the correlation where there is one."""
        return _label({"mean": 0.0, "std": 1.0} | asdict(self))


def _label(fields: dict[str, object]) -> str:
    tail = f", correlation={fields['correlation']:g}" if fields["correlation"] else ""
    return f"{fields['distribution']}({fields['mean']:g}, {fields['std']:g}{tail})"
