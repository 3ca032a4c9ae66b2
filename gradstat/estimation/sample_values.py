"""Individual values of a run's first draws, for histograms."""

import numpy as np

from gradstat.errors import UsageError
from gradstat.estimation.groups import Array, Group
from gradstat.estimation.mc_kernel import run_block
from gradstat.estimation.program import add_layer, values_program
from gradstat.layer_types.case import Case
from gradstat.layer_types.record import FORWARD, MOST_KEPT, Row
from gradstat.numerics.draws import LANES


def values(case: Case, row: Row, draws: int, seed: int) -> Array:
    """values[slot, draw] of `row` for the first draws of a run with this seed, rounded up to whole batches."""
    if case.shape.is_large:
        weights = case.shape.stream.weights if case.shape.stream else case.shape.noise
        raise UsageError(
            f"{case.label}: {weights} weights of a draw; at most {MOST_KEPT} are allowed for single values"
        )
    group = Group([case])
    program = values_program(group)
    add_layer(program, group, 0)
    state, wanted = program.state(seed, 0), program.y if row.direction == FORWARD else program.dx
    batches = []
    for batch in range(-(-draws // LANES)):
        numbers = program.room()
        run_block(program.table, program.marks, numbers, state, batch, LANES)
        batches.append(program.rows(numbers, wanted)[list(row.slots)])
    return np.concatenate(batches, axis=1)
