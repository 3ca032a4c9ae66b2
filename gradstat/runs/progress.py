"""What a long call reports while it lasts. Importing this needs no compiler."""

import warnings
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gradstat.runs.status import Status


class Progress:
    """Receives what a long call reports, one event at a time. This class ignores all but warnings: override methods."""

    verbose = False  # True: notes are wanted

    def compiling(self) -> AbstractContextManager[None]:
        """Entered while kernels are compiled, when an exception raised by a signal handler could crash LLVM."""
        return nullcontext()

    def saving(self) -> AbstractContextManager[None]:
        """Entered while an interrupted run is saved."""
        return nullcontext()

    def update(self, status: "Status") -> None:
        """More draws are finished."""

    def finished(self, text: str, done: int, total: int) -> None:
        """`done` of `total` equal parts of a call are finished; `text` names the last one."""

    def note(self, text: str) -> None:
        """A line about a finished step."""

    def message(self, text: str) -> None:
        """A line about what is going to be done, as the folder that a run continues from."""

    def warn(self, text: str) -> None:
        """A line about what went wrong without ending the call."""
        warnings.warn(text, stacklevel=2)

    def close(self) -> None:
        """The sampling has ended: a bar can go."""


SILENT = Progress()
