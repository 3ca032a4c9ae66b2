"""What a run says of itself on stderr while it lasts."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from gradstat.cli import progress
from gradstat.cli.progress import TerminalProgress
from gradstat.estimation.engines import threads
from gradstat.estimation.estimators import MC
from gradstat.estimation.groups import Group
from gradstat.estimation.merge_tree import MergeTree
from gradstat.estimation.run import execute, plan
from gradstat.estimation.segments import Segment
from gradstat.layer_types.case import Case
from gradstat.layer_types.registry import LAYERS
from gradstat.runs.status import Status
from tests.commands import Command

Run = Callable[..., list[str]]
LINE = r"gradstat: (?P<percent>[\d.]+) %, (?P<rate>\S+) draws/s, {error}, (?P<left>\d+) s left"


@pytest.fixture
def run(cli: Command) -> Run:
    """Runs two groups of layers; the lines on stderr."""
    Path("c.toml").write_text("".join(f'[[layer]]\nname = "{name}"\n' for name in ("relu", "tanh", "max_pool2d")))

    def call(*options: str) -> list[str]:
        outcome = cli("run", "c.toml", "-j", "1", "-o", "out.csv", "--format", "csv", *options)
        assert outcome.code == 0
        return outcome.err.splitlines()

    return call


def matches(error: str, lines: list[str]) -> list[re.Match[str]]:
    """Every line, each of which has to be one of progress with this error."""
    found = [re.fullmatch(LINE.format(error=error), line) for line in lines]
    assert None not in found
    return [match for match in found if match is not None]


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if every block took longer than a minute."""
    monkeypatch.setattr(progress, "PATIENCE", 0.0)
    monkeypatch.setattr(progress, "LONGEST", 0.0)


def test_a_short_run_says_nothing(run: Run) -> None:
    assert run("-n", "1e6") == []


@pytest.mark.usefixtures("impatient")
def test_a_long_run_tells_how_it_goes(run: Run) -> None:
    lines = matches(r"relative error (?P<error>\S+)", run("-n", "2e6"))
    assert len(lines) > 10
    percents, errors = ([float(line[name]) for line in lines] for name in ("percent", "error"))
    assert percents == sorted(percents)
    assert percents[-1] == 100.0
    assert errors[0] > 1.5 * errors[5]  # more draws, smaller error
    assert all(1e5 < float(line["rate"]) < 1e10 for line in lines)


@pytest.mark.usefixtures("impatient")
def test_the_error_stands_beside_its_target(run: Run) -> None:
    lines = matches(r"error (?P<error>\S+) of 0.001", run("--rel-error", "1e-3"))
    assert min(float(line["error"]) for line in lines) < 1e-3 < float(lines[0]["error"])


@pytest.mark.usefixtures("impatient")
def test_quiet_is_quiet(run: Run) -> None:
    assert run("-n", "2e6", "-q") == []


def test_verbose_has_a_line_per_layer(run: Run) -> None:
    head, *layers, tail = run("-n", "1e6", "-v")
    assert head.endswith("2 groups of layers share their draws; kernels are ready")
    words = [re.sub(r"gradstat: [\d.]+ s, ", "", line) for line in layers]
    assert words == [
        "1 of 2: relu: 1,000,000 draws, relative error 0.0011",
        "1 of 2: tanh: 1,000,000 draws, relative error 0.001",
        "2 of 2: max_pool2d(kernel_size=2): 1,000,000 draws, relative error 0.00074",
    ]
    assert tail.startswith("gradstat: wrote out.csv")


@pytest.mark.usefixtures("impatient")
def test_speed_and_time_left_are_those_of_this_process(capsys: pytest.CaptureFixture[str]) -> None:
    """An earlier process drew half of the draws. On a clock of our own, a block takes ten seconds."""
    now = [100.0]
    status = Status(TerminalProgress(quiet=False, verbose=True), clock=lambda: now[0])
    group = Group([Case(LAYERS["relu"])])
    segment = Segment(group, (0,), group.blocks(8 * group.block_draws), MC)
    assert status.percent == ""
    status.planned([segment], None)
    status.begin(segment, 4 * group.block_draws)
    assert status.percent == "50.0 %"
    (part,) = execute(plan(group.cases, [group], 1000, 1, 1, threads), 1, 1, threads)
    tree = MergeTree()
    tree.add((0, 0), part.nodes[0].accumulators)
    now[0] += 10.0
    status.done(segment, tree, group.block_draws)
    assert status.percent == "62.5 %"
    assert re.search(r"62\.5 %, 2\.6e\+04 draws/s, relative error \S+, 30 s left", capsys.readouterr().err)


@pytest.mark.parametrize(
    ("seconds", "words"), [(0.2, "0 s"), (42.4, "42 s"), (120.0, "2 min"), (5000.0, "83 min"), (12_240.0, "3.4 h")]
)
def test_durations(seconds: float, words: str) -> None:
    assert progress.duration(seconds) == words
