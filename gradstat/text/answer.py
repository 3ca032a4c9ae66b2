"""Base class of return values: they can be printed, shown in a notebook, saved, and converted to a data frame."""

import shutil
from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from gradstat.text.formats import TABLES, check, save
from gradstat.text.html import fragment
from gradstat.text.tables import Report, Terminal, as_text

if TYPE_CHECKING:
    import pandas as pd


class Answer(ABC):
    """A return value. `print` shows the table that the command prints, fitted to the width of the terminal."""

    formats: Sequence[str] = TABLES  # the formats that `save` writes

    @abstractmethod
    def report(self) -> Report:
        """The tables and rows, which every format is rendered from."""

    def to_pandas(self) -> "pd.DataFrame":
        """A data frame in full precision. An uncertain number has two columns, NAME and NAME_se."""
        import pandas as pd

        return pd.DataFrame(self.report().records())

    def save(self, path: str | Path) -> None:
        """Write a file atomically; its suffix chooses the format."""
        check([Path(path)], self.formats)
        save(self.report(), Path(path), self.formats)

    def __repr__(self) -> str:
        return as_text(self.report(), Terminal(shutil.get_terminal_size().columns)).rstrip("\n")

    def _repr_html_(self) -> str:
        return fragment(self.report())
