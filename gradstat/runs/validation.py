"""What a file must say before its nodes are used: the blocks, the centres and the sums that the plan of the run has.

Checkpoints and shards pass here, and nothing of them enters a kernel before. A kernel has no checks of its own.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from gradstat.errors import UsageError
from gradstat.estimation.blocks import Blocks
from gradstat.estimation.estimators import Estimator
from gradstat.estimation.groups import Group, with_equal_draws
from gradstat.estimation.merge_tree import Accumulators
from gradstat.estimation.segments import Segment, SegmentSnapshot, segments
from gradstat.estimation.tasks import Finished
from gradstat.layer_types.case import Case
from gradstat.numerics import columns as c

# Moments of values up to this size are finite: 10¹⁵ draws of 10⁴ slots sum fourth powers of T₂ to less than 10³⁰⁸.
OVERFLOW = 1e70
NEVER_NEGATIVE = [c.M2, c.ABS, c.DEVIATION, c.ZEROS, c.T2, c.TA, c.TD, c.C11, c.C22, c.CAA, c.CDD]
NEVER_NEGATIVE += [c.TIES, c.PEAKS, c.SQUARED_LOG_PEAKS, c.LARGEST_T2]
AT_MOST_COUNT = [c.SIGN, c.ZEROS, c.TIES, c.PEAKS]
MOST_DRAWS = 2 * 10**15  # rqmc rounds 10¹⁵ up
MOST_RANDOMIZATIONS = 64
OTHER_CONFIGURATION = "its nodes do not match its configuration"
ROUNDING = 1e-9  # relative: sums of floats, and their merges, are this exact


def planned(
    cases: Sequence[Case], parts: Sequence[SegmentSnapshot], samples: int | None, estimator: Estimator
) -> list[Segment]:
    """The segments of a run of these cases; ValueError if they are not those of the parts.

    `samples` is None for a target, which decides the draws of each case; the parts say what it decided.
    """
    draws: dict[int, int] = {}
    for part in parts:
        if not all(index < len(cases) for index in part.case_indices):
            raise ValueError(OTHER_CONFIGURATION)
        for index in part.case_indices:
            asked = requested(part.blocks) if samples is None else samples
            draws[id(cases[index])] = max(draws.get(id(cases[index]), 0), asked)
    if len(draws) != len(cases):
        raise ValueError(OTHER_CONFIGURATION)
    groups = [Group(members, ()) for members in with_equal_draws(cases)]
    return list(segments(cases, groups, lambda case: draws[id(case)], estimator))


def requested(blocks: Blocks) -> int:
    """A number of draws that has these blocks: rqmc rounds 64·2ᵏ − 1 up to 64 randomizations."""
    return blocks.samples - (blocks.samples == MOST_RANDOMIZATIONS * blocks.unit_draws)


def check_shard(parts: Sequence[SegmentSnapshot], plan: Sequence[Segment], index: int, of: int) -> None:
    """Raise ValueError unless the parts are those of shard `index` of `of` in this plan."""
    if [part.case_indices for part in parts] != [segment.case_indices for segment in plan]:
        raise ValueError(OTHER_CONFIGURATION)
    for part, segment in zip(parts, plan, strict=True):
        try:
            own = segment.shard(index, of)
        except UsageError as error:
            raise ValueError(str(error)) from None
        if part.blocks != own.blocks:
            raise ValueError("its blocks are not those of its shard")
        check_part(part, own)
        if sum(node.draws for node in part.nodes) != own.blocks.total:
            raise ValueError("it does not contain all of its draws")


def check_part(part: SegmentSnapshot, segment: Segment) -> None:
    """Raise ValueError unless the nodes of a part are blocks of the segment, with sums that such blocks can have."""
    rows = len(segment.group.rows)
    if len(part.centres) != rows:
        raise ValueError("its rows are not those of its layers")
    ends = -1
    for node in sorted(part.nodes, key=lambda node: node.node[1] << node.node[0]):
        level, number = node.node
        if level > segment.blocks.stop_level or part.blocks.draws(node.node) != node.draws:
            raise ValueError("its nodes are not blocks of its run")
        if number << level < ends:
            raise ValueError("its nodes overlap")
        ends = (number + 1) << level
        check_sums(node, np.array(part.centres), segment.group.slots_of_rows)


def check_sums(node: Finished, centres: Accumulators, slots: Any) -> None:
    """Raise ValueError unless the accumulators of a node are [row, WIDTH], and some sample of its draws has them."""
    rows = node.accumulators
    if rows.dtype != np.float64 or rows.shape != (len(centres), c.WIDTH):
        raise ValueError("its accumulators have another shape")
    if not np.array_equal(rows[:, c.CENTRE], centres, equal_nan=True):
        raise ValueError("its accumulators have other centres")
    of_slots = node.draws * (slots > 1)  # rows of one slot count no draws
    if not (rows[:, c.COUNT] == node.draws * slots).all() or not (rows[:, c.DRAWS] == of_slots).all():
        raise ValueError("its accumulators count other draws")
    with np.errstate(all="ignore"):
        problem = next(filter(None, map(_first_problem, rows)), "")
    if problem:
        raise ValueError(problem)


def _first_problem(row: Accumulators) -> str:
    """Why no sample has these sums; empty if one may have them. Of values beyond OVERFLOW only counts are checked."""
    count, low, high = float(row[c.COUNT]), float(row[c.MIN]), float(row[c.MAX])
    counts = row[AT_MOST_COUNT]
    if not (np.abs(counts) <= count).all() or not (counts == np.floor(counts)).all():
        return "its counts are out of range"
    size = max(abs(low), abs(high), abs(float(row[c.CENTRE])))
    if not size < OVERFLOW:
        return ""
    if not np.isfinite(row).all():
        return "its sums are not finite"
    if (row[NEVER_NEGATIVE] < 0.0).any():
        return "it has a negative sum of squares or of absolute values"
    slack = ROUNDING * size
    mean = float(row[c.CENTRE] + row[c.SHIFT])
    if not low <= high or not low - slack <= mean <= high + slack:
        return "its mean is not between its smallest and its largest value"
    reach = high - low + slack
    most = 1.0 + ROUNDING
    if row[c.M2] > most * count * reach**2 or abs(row[c.M4]) > most * count * reach**4:
        return "its moments are larger than its values"
    if row[c.ABS] > most * count * size or abs(row[c.SIGNED_SQUARE]) > most * count * (2.0 * size) ** 2:
        return "its sums are larger than its values"
    return ""


def whole(value: Any, least: int, most: int) -> int:
    """A whole number of a file; ValueError if it is anything else, or out of range."""
    if type(value) is not int or not least <= value <= most:
        raise ValueError("a number is out of range")
    return value


def blocks_of(numbers: Any) -> Blocks:
    """The blocks that five numbers of a file describe; ValueError if there are no such blocks."""
    if not isinstance(numbers, list) or len(numbers) != 5:
        raise ValueError("its blocks are not five numbers")
    samples, length, first, last, unit = (whole(number, 0, MOST_DRAWS) for number in numbers)
    if samples < 2 or length < 1 or not first <= last <= -(-samples // length) or (unit and unit % length):
        raise ValueError("its blocks are out of range")
    return Blocks(samples, length, first, last, unit)
