"""The tasks of an experiment: one network, or one prediction, each of which gives the same bytes wherever it is run."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from gradstat.errors import UsageError
from gradstat.networks.config import PropagateConfig
from gradstat.networks.network import Network, build, bytes_kept, label, scalings
from gradstat.networks.randomness import NETWORK_STREAM_VERSION
from gradstat.networks.schemes import SCHEMES
from gradstat.numerics.draws import STREAM_VERSION

VERSION = 1  # of what a part holds and how it is computed
PREDICTION = -1  # the number of the task that predicts


@dataclass(frozen=True)
class Task:
    """Network `number` of an architecture under a scheme; the prediction where the number is −1."""

    architecture: int  # its place among the networks of the configuration
    network: str
    scheme: str
    number: int

    @property
    def name(self) -> str:
        """The name of its part."""
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
            try:  # what cannot be done is said before anything is computed
                check_memory(network, config.batch)
                for scheme in config.schemes:
                    scalings(network, SCHEMES[scheme])
            except UsageError as error:
                raise UsageError(f"{source}: network {network.name!r}: {error}") from None

    def tasks(self) -> Iterator[Task]:
        """Every task, the networks of one architecture and scheme together."""
        for place, network in enumerate(self.networks):
            for scheme in self.config.schemes:
                for number in range(PREDICTION, self.config.networks):
                    yield Task(place, network.name, scheme, number)

    @property
    def document(self) -> dict[str, Any]:
        """What the numbers of a task depend on: not how many networks or schemes are asked for."""
        config = self.config.model_dump(mode="json", exclude={"networks", "schemes"})
        streams = [STREAM_VERSION, NETWORK_STREAM_VERSION]
        return {"version": VERSION, "streams": streams, "configuration": config}

    def labels(self, task: Task) -> list[str]:
        """The names of the blocks, in the order of the rows."""
        return [label(node) for node in self.networks[task.architecture].rows()]


def check_memory(network: Network, batch: int) -> None:
    """UsageError where the memory of this machine cannot hold one network."""
    need, have = bytes_kept(network, batch), os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    if need > have:
        raise UsageError(
            f"its weights and signals take {need / 2**30:.3g} GiB at least, and this machine has {have / 2**30:.3g}",
            "fewer features, fewer levels or a smaller batch need less",
        )


def execute(experiment: Experiment, task: Task) -> dict[str, Any]:
    """What a task computes: figures by path, and of a network the cosine of the whole gradient."""
    from gradstat.networks.passes import measure
    from gradstat.networks.prediction import predict

    network, scheme = experiment.networks[task.architecture], SCHEMES[task.scheme]
    config = experiment.config
    if task.number == PREDICTION:
        return {"figures": predict(network, scheme, config.batch)}
    measured = measure(network, scheme, config.seed, task.number, config.batch)
    return {"figures": measured.figures, "whole_cosine": measured.whole_cosine}
