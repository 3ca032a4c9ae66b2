"""The tasks of an experiment.

A task is one network or one prediction; its answer does not depend on the process that runs it.
"""

import math
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gradstat.errors import UsageError, printable, within
from gradstat.networks.config import PropagateConfig
from gradstat.networks.network import Network, build, bytes_needed, scalings
from gradstat.networks.randomness import NETWORK_STREAM_VERSION
from gradstat.networks.schemes import SCHEMES
from gradstat.numerics.draws import STREAM_VERSION

VERSION = 2  # of the content of a part and of its computation
PREDICTION = -1  # the number of the prediction task
Answer = dict[str, Any]  # the answer of a task, as JSON


@dataclass(frozen=True)
class Task:
    """Network `number` of an architecture under a scheme; the prediction if the number is −1."""

    architecture: int  # index among the networks of the configuration
    network: str
    scheme: str
    number: int

    @property
    def name(self) -> str:
        """The name of the file that saves its answer."""
        what = "prediction" if self.number == PREDICTION else f"{self.number:05d}"
        return f"{self.architecture:03d}-{self.scheme}-{what}"

    @property
    def description(self) -> str:
        """`network 3`, counted from 1."""
        return "prediction" if self.number == PREDICTION else f"network {self.number + 1}"


class Experiment:
    """A configuration with its networks built and checked, and its tasks."""

    def __init__(self, config: PropagateConfig, source: str = "configuration") -> None:
        self.config, self.source = config, source
        self.networks: list[Network] = build(config, source)
        for network in self.networks:
            with within(source, f"network {network.name!r}"):  # before anything is computed
                check_memory(network, config.batch)
                for scheme in config.schemes:
                    scalings(network, SCHEMES[scheme])

    @property
    def title(self) -> str:
        """The printable name of the configuration file, without folder and suffix."""
        return printable(Path(self.source).stem)

    def tasks(self) -> Iterator[Task]:
        """Every task, the networks of one architecture and scheme together."""
        for index, network in enumerate(self.networks):
            for scheme in self.config.schemes:
                for number in range(PREDICTION, self.config.networks):
                    yield Task(index, network.name, scheme, number)

    @property
    def run_key(self) -> dict[str, Any]:
        """The values that determine the numbers of a task: without the number of networks and the list of schemes."""
        config = self.config.model_dump(mode="json", exclude={"networks", "schemes"})
        streams = [STREAM_VERSION, NETWORK_STREAM_VERSION]
        return {"version": VERSION, "streams": streams, "configuration": config}

    @property
    def bytes_per_process(self) -> int:
        """Lower bound on the memory of one worker process."""
        return max(bytes_needed(network, self.config.batch) for network in self.networks)


def memory_of_machine() -> int:
    """Bytes of main memory."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def check_memory(network: Network, batch: int) -> None:
    """Raise UsageError if the memory of this machine cannot hold one network."""
    need, have = bytes_needed(network, batch), memory_of_machine()
    if need > have:
        raise UsageError(
            f"its weights and signals need {need / 2**30:.3g} GiB at least; this machine has {have / 2**30:.3g} GiB",
            "use fewer features, fewer levels or a smaller batch",
        )


def execute(experiment: Experiment, task: Task) -> Answer:
    """Figures of every node by path, and for a network the cosine of the scaled and true gradient of all weights."""
    from gradstat.networks.passes import measure
    from gradstat.networks.prediction import predict

    network, scheme = experiment.networks[task.architecture], SCHEMES[task.scheme]
    config = experiment.config
    if task.number == PREDICTION:
        return {"figures": predict(network, scheme, config.batch)}
    measured = measure(network, scheme, config.seed, task.number, config.batch)
    return {"figures": measured.figures, "whole_cosine": measured.whole_cosine}


ROUNDING = 1e-6
RANGES = {  # of figures that are not NaN, which means undefined; infinity is an overflow
    **dict.fromkeys(("y_std", "dx_std", "dx_mad", "dw_std", "dw_mad", "ratio"), (0.0, math.inf)),
    "dead": (0.0, 1.0),
    "rank": (1.0 - ROUNDING, math.inf),
    "cosine": (-1.0 - ROUNDING, 1.0 + ROUNDING),
}


def check_answer(experiment: Experiment, task: Task, answer: Any) -> None:
    """Raise ValueError unless the answer has the numbers that `execute` gives for this task, and nothing else."""
    from gradstat.networks.passes import STATISTICS
    from gradstat.networks.prediction import PREDICTED

    predicts = task.number == PREDICTION
    names = set(PREDICTED if predicts else STATISTICS)
    paths = {node.path for node in experiment.networks[task.architecture].rows()}
    keys = {"figures"} if predicts else {"figures", "whole_cosine"}
    figures = answer["figures"] if isinstance(answer, dict) and answer.keys() == keys else None
    if (
        not isinstance(figures, dict)
        or figures.keys() != paths
        or not all(isinstance(row, dict) and row.keys() == names for row in figures.values())
        or not all(type(value) is float for row in figures.values() for value in row.values())
        or not (predicts or type(answer["whole_cosine"]) is float)
    ):
        raise ValueError("does not contain the figures of this task")
    cosine = () if predicts else (("cosine", answer["whole_cosine"]),)
    for name, value in (*cosine, *(figure for row in figures.values() for figure in row.items())):
        least, most = RANGES.get(name, (-math.inf, math.inf))
        if value < least or value > (experiment.config.batch + ROUNDING if name == "rank" else most):
            raise ValueError(f"has a {name} out of range")
