"""A configuration → networks: trees of nodes with shapes and sites of draws, and their scalings by a scheme."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from gradstat.errors import UsageError, within
from gradstat.layer_types.case import Case
from gradstat.layer_types.record import ALL, BACKWARD, FORWARD
from gradstat.layer_types.registry import find as find_layer
from gradstat.networks.blocks import kind_of
from gradstat.networks.config import NetworkConfig, PropagateConfig, networks_of, stages_of
from gradstat.networks.operations import Features, Operation
from gradstat.networks.randomness import MOST_SITES
from gradstat.networks.schemes import Constants, Scheme


@dataclass(frozen=True)
class Leaf:
    """One operation. `level` counts repetitions of stages from the input, `path` is the position in the tree."""

    path: str
    level: int
    site: int
    operation: Operation


@dataclass(frozen=True)
class Residual:
    """y = x + weight·branch(x)."""

    path: str
    level: int
    weight: float
    branch: "tuple[Node, ...]"

    @property
    def constants(self) -> Constants:
        """√(1 + weight²) forward and backward, exact; dx is the sum over the two paths."""
        case = Case(find_layer("residual"), {"tau": self.weight, "normalized": False})
        rows = {row.direction: case.exact(row) for row in case.shape.rows if row.cell == ALL}
        y, dx = rows[FORWARD], rows[BACKWARD]
        assert y is not None  # both are closed forms
        assert dx is not None
        return Constants(y.mean, math.sqrt(y.var), math.sqrt(2.0 * dx.var))


Node = Leaf | Residual


@dataclass(frozen=True)
class Scaling:
    """y = (f(x) − shift)/divisor and dx = gradient_scale·f′(x)·dy/divisor: what a scheme does to one node.

    `weight_std` is σ of its weights; `normalized` says which of them have exactly that rms: rows, columns or both.
    """

    shift: float = 0.0
    divisor: float = 1.0
    gradient_scale: float = 1.0
    weight_std: float = 1.0
    normalized: str = ""


@dataclass(frozen=True)
class Network:
    """An architecture: its name, the shape of one sample of x, and its nodes."""

    name: str
    features: Features
    nodes: tuple[Node, ...]

    @property
    def depth(self) -> int:
        """The number of levels."""
        return self.nodes[-1].level

    def rows(self) -> list[Node]:
        """Every node in the order of results: a residual follows its branch."""
        return list(_flat(self.nodes))


def _flat(nodes: Sequence[Node]) -> Iterator[Node]:
    for node in nodes:
        if isinstance(node, Residual):
            yield from _flat(node.branch)
        yield node


def bytes_needed(network: Network, batch: int) -> int:
    """Lower bound on the memory of both passes: weights, what the backward pass needs, and the matrices of a rank."""
    operations = [node.operation for node in network.rows() if isinstance(node, Leaf)]
    weights = sum(math.prod(operation.draws) for operation in operations if operation.fans is not None)
    return 8 * (weights + batch * sum(operation.kept for operation in operations) + 2 * batch**2)


def label(node: Node) -> str:
    """`relu`, `linear(512)`, `residual(0.2)`."""
    return f"residual({node.weight:g})" if isinstance(node, Residual) else node.operation.label


def build(config: PropagateConfig, source: str) -> list[Network]:
    """Every network of a configuration; UsageError names file, network, stage and block."""
    with within(source):
        networks = [network for table in networks_of(config) for network in _expanded(table, config)]
    names = [network.name for network in networks]
    if twice := [name for name in names if names.count(name) > 1]:
        raise UsageError(f"{source}: two networks are named {twice[0]!r}; give each a name")
    return networks


def _expanded(table: NetworkConfig, config: PropagateConfig) -> Iterator[Network]:
    """One network per activation, or one."""
    for activation in table.activations or [""]:
        name = " ".join(word for word in (table.name, activation) if word) or "network"
        with within(f"network {name!r}"):
            network = _Builder(activation).network(name, table, config.features)
        yield network


class _Builder:
    """Builds one network and numbers its sites."""

    def __init__(self, activation: str) -> None:
        self.activation, self.site = activation, 0

    def network(self, name: str, table: NetworkConfig, features: Features) -> Network:
        nodes: list[Node] = []
        level, shape = 0, features
        for number, stage in enumerate(stages_of(table), 1):
            for _ in range(stage.repeat):
                level += 1
                with within(f"stage {number}"):
                    grown, shape = self.sequence(stage.blocks, shape, level, str(level))
                nodes += grown
        return Network(name, features, tuple(nodes))

    def sequence(
        self, tables: Sequence[dict[str, Any]], shape: Features, level: int, path: str
    ) -> tuple[list[Node], Features]:
        """The nodes of a sequence of blocks, and the features of the last one."""
        nodes: list[Node] = []
        for number, table in enumerate(tables, 1):
            with within(f"block {number}"):
                node, shape = self.node(table, shape, level, f"{path}.{number}")
            nodes.append(node)
        return nodes, shape

    def node(self, table: dict[str, Any], shape: Features, level: int, path: str) -> tuple[Node, Features]:
        kind = kind_of(table)
        given = {key: value for key, value in table.items() if key != "kind"}
        if kind.others and self.activation and "name" not in given and "expression" not in given:
            given["name"] = self.activation
        params = kind.resolve(given)
        if kind.build is None:
            branch, end = self.sequence(params["branch"], shape, level, path)
            if end != shape:
                change = f"the branch maps {_shape(shape)} features to {_shape(end)}"
                raise UsageError(f"{change}; a residual branch must keep the number of features")
            return Residual(path, level, float(params["weight"]), tuple(branch)), shape
        operation = kind.build(params, shape)
        site, self.site = self.site, self.site + 1
        if self.site > MOST_SITES:
            raise UsageError(f"a network has more than {MOST_SITES} blocks")
        return Leaf(path, level, site, operation), operation.features


def _shape(features: Features) -> str:
    return "×".join(map(str, features))


def scalings(network: Network, scheme: Scheme) -> dict[str, Scaling]:
    """The scaling of every node by path; UsageError if the exact value of a constant that it needs is unknown."""
    return {node.path: _scaling(node, scheme) for node in network.rows()}


def _scaling(node: Node, scheme: Scheme) -> Scaling:
    fans = node.operation.fans if isinstance(node, Leaf) else None
    if fans is not None:
        weight_std = scheme.weight_std(fans)
        forward = weight_std * math.sqrt(fans.inputs)
        linear = Constants(0.0, forward, weight_std * math.sqrt(fans.outputs) * fans.backward)
        return Scaling(
            gradient_scale=scheme.gradient_scale(linear), weight_std=weight_std, normalized=scheme.normalized
        )
    if not scheme.centred:
        return Scaling()
    constants = node.constants if isinstance(node, Residual) else node.operation.constants
    if constants is None or not min(constants.forward, constants.backward) > 0.0:
        raise UsageError(
            f"{label(node)}: the scheme {scheme.name!r} needs exact E[y], σ[y] and σ[dx] above 0, which are unknown",
            "the schemes none, xavier and he need no constants",
        )
    return Scaling(constants.mean, scheme.divisor(constants), scheme.gradient_scale(constants))
