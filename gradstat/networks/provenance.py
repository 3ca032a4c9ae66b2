"""Where an experiment comes from: its configuration, versions, machine, time."""

from datetime import UTC, datetime
from typing import Any

from gradstat.networks.tasks import Experiment
from gradstat.results.provenance import cpu, git_revision, versions
from gradstat.runs.folder import run_id


def provenance(experiment: Experiment, workers: int, command: str) -> dict[str, Any]:
    """The document kept with the results."""
    return {
        **experiment.document,
        "configuration": experiment.config.model_dump(mode="json"),
        "run_id": run_id(experiment.document),
        "command": command,
        "versions": versions(),
        "cpu": cpu(),
        "workers": workers,
        "git_revision": git_revision(),
        "utc": datetime.now(UTC).isoformat(timespec="seconds"),
    }
