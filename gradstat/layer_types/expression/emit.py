"""Program → a plain Python function (x, p0, p1, …) → (y, dy/dx), one line per step, which numba can compile.

The code is generated from steps and numbers; it contains no character of the user's text.
"""

import hashlib
from collections.abc import Callable, Sequence
from typing import Any

from gradstat.layer_types.expression import generated
from gradstat.layer_types.expression.derivative import Program
from gradstat.layer_types.expression.tape import NUMBER, OPERATIONS, PARAMETER, X


def function_of(program: Program, names: Sequence[str], more: Sequence[int] = ()) -> Callable[..., Any]:
    """The function of a program; its arguments after x are the parameters in the order of `names`.

    It returns the values of further steps, `more`, after y and dy/dx.
    """
    return made("f", source(program, names, more))


def source(program: Program, names: Sequence[str], more: Sequence[int] = ()) -> str:
    """The body of the function: arguments and lines."""
    steps = program.tape.steps
    words: dict[int, str] = {}
    lines = []
    for index in program.tape.reached(program.value, program.slope, *more):
        step = steps[index]
        if step.operation == X:
            words[index] = "x"
        elif step.operation == NUMBER:
            words[index] = f"({float(step.payload)!r})"
        elif step.operation == PARAMETER:
            words[index] = f"p{names.index(str(step.payload))}"
        else:
            words[index] = f"v{index}"
            written = OPERATIONS[step.operation].source.format(*(words[i] for i in step.arguments))
            lines.append(f"    v{index} = {written}\n")
    arguments = ", ".join(["x", *(f"p{i}" for i in range(len(names)))])
    results = ", ".join(words[index] for index in (program.value, program.slope, *more))
    return f"({arguments}):\n{''.join(lines)}    return {results}\n"


def made(prefix: str, body: str) -> Callable[..., Any]:
    """The function with this body, in the module `generated`, named by the hash of the body.

    Created once per process.
    """
    name = f"{prefix}_{hashlib.sha256(body.encode()).hexdigest()[:32]}"
    if not hasattr(generated, name):
        exec(compile(f"def {name}{body}", "<gradstat expression>", "exec"), vars(generated))
    function: Callable[..., Any] = getattr(generated, name)
    return function
