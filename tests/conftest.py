"""What every test module shares."""

import os
import signal
import warnings
from pathlib import Path

# One thread of BLAS in each process of pytest-xdist: more of them wait for each other. Before NumPy is loaded.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import pytest
from hypothesis import settings

from gradstat.cli.app import start
from tests.commands import Command, Outcome

# A shell starts what it puts into the background deaf to Ctrl-C, and children inherit that: the tests send SIGINT.
signal.signal(signal.SIGINT, signal.default_int_handler)

# The same examples everywhere and always: a test that fails has found something.
settings.register_profile("fixed", derandomize=True, deadline=None, database=None)
settings.load_profile("fixed")


@pytest.fixture
def cli(capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Command:
    """Runs a command in this process, in an empty folder of its own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(warnings, "showwarning", warnings.showwarning)  # `start` replaces it

    def run(*arguments: object) -> Outcome:
        capfd.readouterr()
        code = start([str(argument) for argument in arguments])
        return Outcome(code, *capfd.readouterr())

    return run
