"""The interface for the progress of long calls. Does not import numba."""

import warnings
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gradstat.runs.status import Status


class Progress:
    """Receives the events of a long call.

    This class ignores all events except warnings; subclasses override methods.
    """

    verbose = False  # True: the call computes notes about each layer

    def compiling(self) -> AbstractContextManager[None]:
        """A context for compiling kernels, in which an exception raised by a signal handler could crash LLVM."""
        return nullcontext()

    def saving(self) -> AbstractContextManager[None]:
        """A context for saving an interrupted run."""
        return nullcontext()

    def update(self, status: "Status") -> None:
        """Called when more draws are finished."""

    def finished(self, text: str, done: int, total: int) -> None:
        """`done` of `total` equal parts of a call are finished; `text` names the last one."""

    def note(self, text: str) -> None:
        """A line about a finished step."""

    def message(self, text: str) -> None:
        """A line about the next step, for example the folder from which a run resumes."""

    def warn(self, text: str) -> None:
        """A line about a problem that does not end the call."""
        warnings.warn(text, stacklevel=2)

    def close(self) -> None:
        """Called when the sampling has ended: remove the bar."""


SILENT = Progress()
