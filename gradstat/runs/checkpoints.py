"""Saves finished nodes every few seconds; the next process with the same run key resumes from them.

Nothing is written in the first FIRST seconds of a run, unless it is interrupted. All files are deleted after the
result is delivered.
"""

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from gradstat.estimation.merge_tree import MergeTree
from gradstat.estimation.run import Checkpointer
from gradstat.estimation.segments import Segment, SegmentSnapshot, snapshot
from gradstat.estimation.tasks import Finished
from gradstat.runs.folder import RunFolder, run_id
from gradstat.runs.nodes import decode, encode
from gradstat.runs.validation import check_part

FIRST, EVERY = 5.0, 2.0  # seconds before the first save, and between two saves: the most that a kill loses
SPARING = 200  # pause between two saves, in durations of a save: saving takes half a percent of the time
Warn = Callable[[str], None]


def checkpointer_of(run_key: Any, shard: tuple[int, int] | None, warn: Warn) -> "FolderCheckpointer":
    """The checkpointer of a run. Each shard has its own folder, because shards run simultaneously."""
    part = f"-{shard[0]}of{shard[1]}" if shard else ""
    return FolderCheckpointer(RunFolder(f"{run_id(run_key)}{part}", run_key), warn)


class FolderCheckpointer(Checkpointer):
    """Saves the finished nodes of one run in its folder.

    `warn` is called with a line for each unusable file or folder.
    """

    def __init__(self, folder: RunFolder, warn: Warn) -> None:
        self.folder, self._warn = folder, warn
        self._saved: dict[str, SegmentSnapshot] = {}
        self._unsaved: dict[str, tuple[Segment, MergeTree]] = {}
        self._names: list[str] = []
        self._begin = self._last = self._due = 0.0
        self._refused = False
        self.saves, self.seconds = 0, 0.0  # number of saves and their duration
        self._lock = threading.Lock()

    def open(self, fresh: bool) -> bool:
        """Read what an earlier process saved, or delete it; True if there is something to continue from.

        UsageError if another process is sampling the same run.
        """
        if not self.folder.exists():
            return False
        try:
            self.folder.open()
            for name in self.folder.names() if fresh else []:
                self.folder.remove(name)
        except OSError as error:  # the parts can still be read: each is written atomically
            self._refuse(error)
        for name in [] if fresh else self.folder.names():
            self._read(name)
        return bool(self._saved)

    @property
    def lasted(self) -> bool:
        """True once sampling has lasted FIRST seconds."""
        return self._last - self._begin >= FIRST

    @property
    def holds(self) -> bool:
        """True if there are parts to continue from."""
        return bool(self.folder.exists() and self.folder.names())

    def finished(self, segment: Segment) -> Sequence[Finished]:
        """The largest saved nodes within the segment, without overlaps. The first call starts the clock of the run."""
        if not self._begin:
            self._begin = self._last = time.monotonic()
            self._due = self._begin + FIRST
        chosen_nodes: list[Finished] = []
        ends: list[tuple[int, int]] = []
        for node in sorted(self._nodes(segment), key=lambda node: -node.draws):
            first, last = node.node[1] << node.node[0], (node.node[1] + 1) << node.node[0]
            if all(last <= other or end <= first for other, end in ends):
                chosen_nodes.append(node)
                ends.append((first, last))
        return chosen_nodes

    def keep(self, segment: Segment, tree: MergeTree) -> None:
        """Register finished nodes, and save them if a save is due."""
        self._unsaved[self._name(segment)] = segment, tree
        self._last = time.monotonic()
        if self._last >= self._due:
            self.save()

    def save(self) -> None:
        """Write the finished nodes that are not yet saved. A write error gives one warning."""
        with self._lock:  # after a second Ctrl-C, a thread of the engine may still be saving
            self._save()

    def _save(self) -> None:
        start = time.monotonic()
        try:
            for name, (segment, tree) in list(self._unsaved.items()):
                self.folder.write(name, encode(self._run, snapshot(segment, tree)))
                del self._unsaved[name]
        except OSError as error:
            self._refuse(error)
        now = time.monotonic()
        self._due = now + max(EVERY, SPARING * (now - start))
        self.saves, self.seconds = self.saves + 1, self.seconds + now - start

    def forget(self, segments: Sequence[Segment]) -> None:
        """Delete the parts of a delivered result, and those of shorter runs with the same key."""
        shorter = [
            name
            for name, part in self._saved.items()
            if any(part.case_indices == s.case_indices and part.blocks.samples <= s.blocks.samples for s in segments)
        ]
        try:
            for name in (*map(self._name, segments), *shorter):
                self.folder.remove(name)
        except OSError as error:
            self._refuse(error)
        self._unsaved.clear()

    @property
    def _run(self) -> str:
        return self.folder.folder.name

    def _name(self, segment: Segment) -> str:
        return run_id([segment.case_indices, segment.blocks.samples])

    def _read(self, name: str) -> None:
        try:
            self._saved[name] = decode(self._run, self.folder.read(name))
        except ValueError as error:
            self._warn(f"{self.folder.path(name)}: {error}; its draws are sampled again")

    def _nodes(self, segment: Segment) -> Iterator[Finished]:
        """The saved nodes that have the cases, blocks and centres of this segment, and sums that they can have."""
        centres = segment.group.centres.tobytes()
        for name, part in self._saved.items():
            if part.case_indices != segment.case_indices or not part.blocks.same_layout_as(segment.blocks):
                continue
            try:
                check_part(part, segment)
                if np.array(part.centres).tobytes() != centres:
                    raise ValueError("has other centres")
            except ValueError as error:
                self._warn(f"{self.folder.path(name)}: {error}; its draws are sampled again")
                continue
            yield from (node for node in part.nodes if segment.blocks.draws(node.node) == node.draws)

    def _refuse(self, error: OSError) -> None:
        if not self._refused:
            self._refused = True
            reason = error.strerror or str(error)
            self._warn(f"warning: {self.folder.folder} cannot be written ({reason}): no checkpoints are saved")
