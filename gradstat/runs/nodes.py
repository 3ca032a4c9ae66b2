"""Finished nodes of a run as one line of JSON, for checkpoints and shards. Floats keep every bit."""

import base64
import json
from collections.abc import Sequence
from dataclasses import asdict, astuple
from typing import Any

import numpy as np

from gradstat.estimation.blocks import Blocks
from gradstat.estimation.segments import SegmentSnapshot
from gradstat.estimation.tasks import Finished
from gradstat.layer_types.case import Case
from gradstat.numerics.draws import STREAM_VERSION

FLOAT = np.dtype("<f8")


def run_key(cases: Sequence[Case], seed: int, estimator: str) -> dict[str, Any]:
    """The values that determine the digits of a run, as JSON.

    Without number of draws, threads, engine and output files.
    """
    return {
        "stream_version": STREAM_VERSION,
        "estimator": estimator,
        "seed": seed,
        "cases": [[case.layer.name, case.params, asdict(case.x), asdict(case.dy)] for case in cases],
    }


def encode(run: str, snapshot: SegmentSnapshot) -> str:
    """One line: the run, the indices of the cases, the blocks, the nodes, and the accumulators of all nodes."""
    rows = [node.accumulators for node in snapshot.nodes]
    packed = np.concatenate(rows).astype(FLOAT).tobytes() if rows else b""
    blocks = snapshot.blocks
    return json.dumps(
        {
            "run": run,
            "places": snapshot.case_indices,
            "blocks": list(astuple(blocks)),
            "centres": snapshot.centres,
            "nodes": [[*node.node, node.draws] for node in snapshot.nodes],
            "accumulators": base64.b64encode(packed).decode(),
        }
    )


def decode(run: str, line: str) -> SegmentSnapshot:
    """The snapshot that `encode` was given; ValueError if it belongs to another run or is malformed."""
    try:
        document = json.loads(line)
        if document["run"] != run:
            raise ValueError("a part of another run")
        nodes = [(int(level), int(index), int(draws)) for level, index, draws in document["nodes"]]
        packed = np.frombuffer(base64.b64decode(document["accumulators"], validate=True), FLOAT).astype(np.float64)
        centres = tuple(float(centre) for centre in document["centres"])
        rows = list(packed.reshape(len(nodes), len(centres), -1)) if nodes else []
        blocks = Blocks(*(int(number) for number in document["blocks"]))
        case_indices = tuple(int(index) for index in document["places"])
    except (KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ValueError(f"not a part of a run ({error})") from None
    finished = [Finished((level, index), row, draws) for (level, index, draws), row in zip(nodes, rows, strict=True)]
    return SegmentSnapshot(case_indices, blocks, centres, tuple(finished))
