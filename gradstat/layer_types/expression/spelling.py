"""Tape → the text of an expression, which the parser converts back to the same steps."""

from collections import Counter
from collections.abc import Iterator

from gradstat.arithmetic import COMPARISONS
from gradstat.layer_types.expression.functions import RAISED
from gradstat.layer_types.expression.tape import NUMBER, PARAMETER, Call, Tape, X

OR, AND, COMPARISON, SUM, PRODUCT, SIGN, POWER, ATOM = range(8)  # precedence of a text, increasing
BINDING = {"or": OR, "and": AND, "+": SUM, "-": SUM, "*": PRODUCT, "/": PRODUCT, "negative": SIGN, "power": POWER}
LONGEST_REPEATED = 24  # characters: a longer text that is used again gets a name
Text = tuple[str, int]


def spelled(tape: Tape, root: int) -> str:
    """The text of a step; numbers as `repr` writes them, repeated parts as (t1 := …) and t1."""
    return _Speller(tape, root).text(root)[0]


class _Speller:
    def __init__(self, tape: Tape, root: int) -> None:
        self.tape = tape
        self.names: dict[int, str] = {}
        self.uses = Counter[int]()
        seen = {root}
        queue = [root]
        while queue:
            for part in parts(tape, queue.pop()):
                self.uses[part] += 1
                if part not in seen:
                    seen.add(part)
                    queue.append(part)
        self.taken = {str(step.payload) for step in tape.steps if step.operation == PARAMETER}

    def text(self, index: int) -> Text:
        """The text of a step, and its precedence."""
        if index in self.names:
            return self.names[index], ATOM
        text, binding = self.whole(index)
        if self.uses[index] < 2 or len(text) <= LONGEST_REPEATED or self.is_condition(index):
            return text, binding
        number = len(self.names) + 1
        while f"t{number}" in self.taken:
            number += 1
        self.names[index] = f"t{number}"
        self.taken.add(f"t{number}")
        return f"(t{number} := {text})", ATOM

    def is_condition(self, index: int) -> bool:
        return self.tape.steps[index].operation in ("and", "or", *COMPARISONS)

    def whole(self, index: int) -> Text:
        step, call = self.tape.steps[index], self.tape.calls.get(index)
        if call is not None and call.name == RAISED:
            return self.raised(*call.arguments), POWER
        if call is not None:
            return self.called(call), ATOM
        if step.operation == X:
            return "x", ATOM
        if step.operation == NUMBER:
            return repr(step.payload), SIGN if str(step.payload).startswith("-") else ATOM
        if step.operation == PARAMETER:
            return str(step.payload), ATOM
        if step.operation == "negative":
            return f"-{self.at_least(step.arguments[0], SIGN)}", SIGN
        if step.operation == "power":
            return self.raised(*step.arguments), POWER
        if step.operation in BINDING or step.operation in COMPARISONS:
            binding = BINDING.get(step.operation, COMPARISON)
            first = self.at_least(step.arguments[0], binding + (binding == COMPARISON))
            return f"{first} {step.operation} {self.at_least(step.arguments[1], binding + 1)}", binding
        return self.called(Call(step.operation, step.arguments)), ATOM

    def raised(self, base: int, exponent: int) -> str:
        return f"{self.at_least(base, ATOM)} ** {self.at_least(exponent, SIGN)}"

    def at_least(self, index: int, binding: int) -> str:
        text, tightness = self.text(index)
        return text if tightness >= binding else f"({text})"

    def called(self, call: Call) -> str:
        arguments = [self.text(argument)[0] for argument in call.arguments]
        options = [
            f'{name}="{value}"' if isinstance(value, str) else f"{name}={self.text(value)[0]}"
            for name, value in call.options
        ]
        return f"{call.name}({', '.join(arguments + options)})"


def parts(tape: Tape, index: int) -> Iterator[int]:
    """The steps that occur in the text of this step."""
    call = tape.calls.get(index)
    if call is None:
        yield from tape.steps[index].arguments
    else:
        yield from call.arguments
        yield from (value for _, value in call.options if isinstance(value, int))
