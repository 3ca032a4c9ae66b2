"""Real processes of gradstat at little cost: a server that has imported everything forks one for each command.

`python -m tests.launcher` is the server. A request is one line of JSON on its stdin, an answer one line on its stdout.
"""

import json
import os
import resource
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
WARM = (b"relu", b"sigmoid", b"max_pool2d")  # compiled once, for all


class Launcher:
    """Starts commands, each in a folder."""

    def __init__(self) -> None:
        environment = {key: value for key, value in os.environ.items() if key != "GRADSTAT_RESULTS"}
        self._server = subprocess.Popen(
            [sys.executable, "-m", "tests.launcher"],
            cwd=ROOT,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def start(self, arguments: Sequence[str], folder: Path, **how: float) -> int:
        """The process id of a new command. See `child` for how."""
        return int(self._ask({"arguments": list(arguments), "folder": str(folder), "how": how}))

    def wait(self, process: int) -> int:
        """Its exit code once it ends, the negative signal where one ended it."""
        return int(self._ask({"wait": process}))

    def run(self, arguments: Sequence[str], folder: Path, **how: float) -> tuple[int, str]:
        """The exit code and what was said on stderr."""
        code = self.wait(self.start(arguments, folder, **how))
        return code, (folder / "stderr").read_text()

    def close(self) -> None:
        """The server ends."""
        assert self._server.stdin is not None
        assert self._server.stdout is not None
        self._server.stdin.close()
        self._server.wait(timeout=60)
        self._server.stdout.close()

    def _ask(self, request: dict[str, Any]) -> str:
        assert self._server.stdin is not None
        assert self._server.stdout is not None
        self._server.stdin.write(json.dumps(request) + "\n")
        self._server.stdin.flush()
        return self._server.stdout.readline()


def serve() -> None:
    """Import and compile once, then fork."""
    from gradstat.cli.app import start
    from gradstat.runs import shards as merging  # noqa: F401

    with tempfile.NamedTemporaryFile(suffix=".toml") as file:
        file.write(b"".join(b"[[layer]]\nname = '%s'\n" % name for name in WARM))
        file.flush()
        start(["run", file.name, "-n", "4096", "-q"])
    for line in sys.stdin:
        request = json.loads(line)
        if "wait" in request:
            _, status = os.waitpid(request["wait"], 0)
            answer = os.waitstatus_to_exitcode(status)
        else:
            answer = os.fork()
            if answer == 0:
                child(request["arguments"], request["folder"], **request["how"])
        print(answer, flush=True)


def child(arguments: Sequence[str], folder: str, every: float = 0.0, pause: float = 0.0, limit: int = -1) -> None:
    """The command, in a process that is like one from the shell.

    It saves `every` so many seconds, by default all the time, and pauses after it; no file may exceed `limit` bytes.
    """
    from gradstat.cli.app import start
    from gradstat.runs import checkpoints

    os.chdir(folder)
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        flags = os.O_RDONLY if number == 0 else os.O_WRONLY | os.O_CREAT | os.O_TRUNC
        os.dup2(os.open(os.devnull if number == 0 else name, flags, 0o644), number)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    checkpoints.FIRST = checkpoints.EVERY = every
    checkpoints.SPARING = 0
    if pause:
        save = checkpoints.FolderCheckpointer.save

        def slow(self: checkpoints.FolderCheckpointer) -> None:
            save(self)
            time.sleep(pause)

        checkpoints.FolderCheckpointer.save = slow  # type: ignore[method-assign]
    if limit >= 0:
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
    code = start(arguments)
    sys.stdout.flush()
    os._exit(code)


if __name__ == "__main__":
    serve()
