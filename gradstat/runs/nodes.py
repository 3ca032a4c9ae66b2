"""Finished nodes of a run as one line of JSON, for checkpoints and shards. Floats keep every bit."""

import base64
import json
from collections.abc import Sequence
from dataclasses import asdict, astuple
from typing import Any

import numpy as np

from gradstat.estimation.merge_tree import ROOT
from gradstat.estimation.segments import SegmentSnapshot
from gradstat.estimation.tasks import Finished
from gradstat.layer_types.case import Case
from gradstat.limits import CASES
from gradstat.numerics.columns import WIDTH
from gradstat.numerics.draws import STREAM_VERSION
from gradstat.runs.validation import MOST_DRAWS, blocks_of, whole

FLOAT = np.dtype("<f8")


def run_key(cases: Sequence[Case], seed: int, estimator: str) -> dict[str, Any]:
    """The values that determine the digits of a run, as JSON.

    Number of draws, threads, engine and output files are not among them.
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
    """The snapshot that `encode` was given; ValueError if it belongs to another run or is malformed.

    Types and ranges of all numbers hold. Whether they fit the plan of the run is for `validation` to decide.
    """
    try:
        document = json.loads(line)
        if document["run"] != run:
            raise ValueError("a part of another run")
        nodes = [_node(numbers) for numbers in document["nodes"]]
        packed = np.frombuffer(base64.b64decode(document["accumulators"], validate=True), FLOAT).astype(np.float64)
        centres = document["centres"]
        if not isinstance(centres, list) or not all(type(centre) is float for centre in centres):
            raise ValueError("its centres are not numbers")
        rows = list(packed.reshape(len(nodes), len(centres), WIDTH)) if nodes else []
        blocks = blocks_of(document["blocks"])
        case_indices = tuple(whole(index, 0, CASES.most) for index in document["places"])
    except (KeyError, TypeError, AttributeError, RecursionError):
        raise ValueError("not a part of a run") from None
    finished = [Finished((level, index), row, draws) for (level, index, draws), row in zip(nodes, rows, strict=True)]
    return SegmentSnapshot(case_indices, blocks, tuple(centres), tuple(finished))


def _node(numbers: Any) -> tuple[int, int, int]:
    """Level, index and draws of a node; ValueError if there is no such node."""
    level, index, draws = numbers
    return whole(level, 0, ROOT), whole(index, 0, MOST_DRAWS), whole(draws, 1, MOST_DRAWS)
