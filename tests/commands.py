"""A command of gradstat, run in this process: what it left on its streams, and its exit code."""

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Outcome:
    """Exit code, stdout and stderr of a command."""

    code: int
    out: str
    err: str

    def line(self) -> str:
        """The one line on stderr, without the name of the program."""
        assert self.err.count("\n") == 1, self.err
        assert self.err.startswith("gradstat: ")
        assert "Traceback" not in self.err
        return self.err.removeprefix("gradstat: ").strip()


Command = Callable[..., Outcome]
