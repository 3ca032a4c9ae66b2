"""A task samples one group of cases. It pickles to names and numbers, and rebuilds its kernels when unpickled."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from gradstat.assumptions import Input, Upstream
from gradstat.estimation.blocks import Block
from gradstat.estimation.groups import Group
from gradstat.estimation.mc_kernel import run_block
from gradstat.estimation.merge_tree import ROOT, Accumulators, MergeTree, Node
from gradstat.estimation.program import Program, block_program
from gradstat.estimation.stream_kernel import run_streamed
from gradstat.layer_types.case import EXPRESSION, Case
from gradstat.layer_types.expression.layer import expression_layer
from gradstat.layer_types.registry import find
from gradstat.numerics.draws import LANES
from gradstat.numerics.moments import finish_rows

Done = Callable[
    [Node, Accumulators, int], None
]  # called with a node, its accumulators [row, WIDTH] and its number of draws


class Finished(NamedTuple):
    """A finished node of the merge tree, and its number of draws."""

    node: Node
    accumulators: Accumulators
    draws: int


@dataclass(frozen=True)
class Spec:
    """The names and numbers from which another process rebuilds a case."""

    layer: str
    params: dict[str, Any]
    x: Input
    dy: Upstream

    @classmethod
    def of(cls, case: Case) -> "Spec":
        """The description of a case."""
        return cls(case.layer.name, dict(case.params), case.x, case.dy)

    def case(self) -> Case:
        """The case; UsageError for a layer that is not registered in this process."""
        if EXPRESSION not in self.params:
            return Case(find(self.layer), self.params, self.x, self.dy)
        names = tuple(name for name in self.params if name != EXPRESSION)
        return Case(expression_layer(self.params[EXPRESSION], names, self.layer), self.params, self.x, self.dy)


class Task:
    """The draws of one group under one seed, on one stream, about fixed centres."""

    def __init__(self, group: Group, seed: int, stream: int) -> None:
        self._group, self.seed, self.stream = group, seed, stream
        self.specs = tuple(Spec.of(case) for case in group.cases)
        self.centres = tuple(group.centres.tolist())
        self.stop_level = ROOT  # of the merge tree: nodes at this level are not merged
        self._program = self._block_program()

    def _block_program(self) -> Program | None:
        return block_program(self._group)

    def __reduce__(self) -> tuple[Any, ...]:
        return rebuilt, (self.specs, self.seed, self.stream, self.centres)

    def block(self, block: Block) -> Accumulators:
        """The accumulators [row, WIDTH] of one block. Releases the GIL; safe to call from several threads."""
        group, program = self._group, self._program
        assert program is not None
        numbers = program.room()
        drawn = (program.state(self.seed, self.stream), block.first // LANES, block.draws)
        if group.streams is None:
            run_block(program.table, program.marks, numbers, *drawn)
        else:
            rows = [program.rows(numbers, places) for places in (program.x, program.dy, program.y, program.dx)]
            addresses, shapes, _, constants = group.arrays[:4]
            run_streamed(
                group.streams, addresses, shapes, constants, program.table, program.marks, numbers, *drawn, *rows
            )
        out = group.empty()[2]
        finish_rows(*program.results(numbers), block.draws, group.slots_of_rows, group.centres, out)
        return out

    def range(self, blocks: Sequence[Block]) -> list[Finished]:
        """The nodes of these blocks, sampled one after another: O(log n) nodes for n consecutive blocks."""
        tree = MergeTree(self.stop_level)
        for block in blocks:
            tree.add(block.node, self.block(block))
        return [
            Finished((level, index), accumulators, sum(b.draws for b in blocks if b.number >> level == index))
            for (level, index), accumulators in tree.nodes.items()
        ]


def prepare(group: Group) -> None:
    """Compile the kernels that sample a group about centres of 0."""
    block_program(group)
    (run_block if group.streams is None else run_streamed).prepare()


def rebuilt(specs: Sequence[Spec], seed: int, stream: int, centres: Sequence[float]) -> Task:
    """Rebuild a task from its description."""
    group = Group([spec.case() for spec in specs])
    group.centres[:] = centres
    return Task(group, seed, stream)
