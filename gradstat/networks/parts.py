"""What is finished of an experiment: one file per task in results/<run id>/, whole or not at all."""

import json
from pathlib import Path
from typing import Any

from gradstat.errors import UsageError
from gradstat.networks.tasks import Experiment, Task
from gradstat.runs.folder import KEY, SUFFIX, home, run_id, seal, unseal
from gradstat.text.files import whole


class Parts:
    """The folder of an experiment. Several processes may share it: a part has the same bytes whoever writes it."""

    def __init__(self, experiment: Experiment) -> None:
        self.question = experiment.document
        self.folder = home() / run_id(self.question)

    def prepare(self, fresh: bool = False) -> None:
        """Make the folder, or with `fresh` remove the parts in it; `run.json` is its key.

        UsageError where that is impossible.
        """
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            if fresh:
                for path in sorted(self.folder.glob(f"*{SUFFIX}")):
                    path.unlink(missing_ok=True)
            self._write(self.folder / KEY, json.dumps(self.question, indent=1, ensure_ascii=False) + "\n")
        except OSError as error:
            reason = error.strerror or str(error)
            raise UsageError(f"{self.folder}: cannot be made or written: {reason}; run in another folder") from None

    def write(self, task: Task, answer: dict[str, Any]) -> None:
        """Keep the answer of a task; UsageError where the disk does not take it."""
        try:
            self._write(self._path(task), seal(json.dumps(answer)))
        except OSError as error:
            reason = error.strerror or str(error)
            raise UsageError(
                f"{self._path(task)}: cannot be written: {reason}",
                "what is finished is kept: make room, and the same command continues",
            ) from None

    def _write(self, path: Path, text: str) -> None:
        with whole(path) as temporary:
            temporary.write_text(text, encoding="utf-8")

    def read(self, task: Task) -> dict[str, Any] | None:
        """The answer of a finished task, None where there is none; ValueError where the file is damaged."""
        try:
            answer: dict[str, Any] = json.loads(unseal(self._path(task).read_bytes().decode(errors="replace")))
        except FileNotFoundError:
            return None
        except OSError as error:
            raise ValueError(error.strerror or str(error)) from None
        return answer

    def name(self, task: Task) -> str:
        """The path of a task's part, as a message shows it."""
        return str(self._path(task))

    def _path(self, task: Task) -> Path:
        return self.folder / f"{task.name}{SUFFIX}"
