"""The provenance of an experiment: configuration, versions, machine and time."""

from datetime import UTC, datetime
from typing import Any

from gradstat.networks.tasks import Experiment
from gradstat.results.provenance import cpu, git_revision, versions
from gradstat.runs.folder import run_id


def provenance(experiment: Experiment, workers: int) -> dict[str, Any]:
    """The JSON document that is saved with the results."""
    return {
        **experiment.run_key,
        "configuration": experiment.config.model_dump(mode="json"),
        "run_id": run_id(experiment.run_key),
        "versions": versions(),
        "cpu": cpu(),
        "workers": workers,
        "git_revision": git_revision(),
        "utc": datetime.now(UTC).isoformat(timespec="seconds"),
    }
