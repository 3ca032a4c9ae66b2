"""The kernel of mc: it draws one block, passes each batch to every layer of a group, and accumulates every row.

What it does for a batch is in the table of a program (see `program.py`).
"""

# Kernel code: numba infers the types.
# mypy: disable-error-code="no-untyped-def,no-untyped-call"

from numba import types

from gradstat.estimation.steps import BATCH, DRAWS
from gradstat.numerics.bits import call_step
from gradstat.numerics.draws import LANES
from gradstat.numerics.jit import compiled, inline

STEP_WIDTH = 10  # integers of a step: its address and its arguments
TABLE, NUMBERS, STATE = types.int64[::1], types.float64[::1], types.int64[::1]


@inline
def run_steps(table, first, end, numbers, state):
    """Run the steps at the places [first, end) of a table."""
    for step in range(first, end, STEP_WIDTH):
        call_step(table[step], state, table, step, numbers)


@inline
def begin_batch(batch, first, draws, state):
    """Set the number of a batch, and its draws: 1024, but those that are left in the last batch of a block."""
    state[BATCH] = batch
    left = draws - (batch - first) * LANES
    state[DRAWS] = LANES if left > LANES else left


# table, places of its parts, numbers, state, first batch, draws
@compiled(types.void(TABLE, TABLE, NUMBERS, STATE, types.int64, types.int64))
def run_block(table, marks, numbers, state, first, draws):
    """Run a program over draws [1024·first, 1024·first + draws)."""
    for batch in range(first, first + (draws + LANES - 1) // LANES):
        begin_batch(batch, first, draws, state)
        run_steps(table, marks[0], table.shape[0], numbers, state)
