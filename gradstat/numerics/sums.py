"""Partial sums of one row over one block: lanes of values → sums about a centre.

Four columns of lanes are summed in registers over a batch and then added to memory. Because of these two levels,
rounding errors grow with the square root of the number of batches, not of draws. A centre of 0 saves a third of the
work: v − c is v, and only positive values have to be counted.
"""

# Kernel code: numba infers the types.
# mypy: disable-error-code="no-untyped-def,no-untyped-call"

import math
from functools import reduce
from operator import add

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from gradstat.numerics.draws import LANES
from gradstat.numerics.jit import inline
from gradstat.numerics.kernel_math import log_positive
from gradstat.numerics.simd import INT, Registers, constant, lanes, load, pointer, splat, store

COLUMNS = 4  # one AVX2 register: wider ones would not leave room for all sums
# Rows of `partial`: Σd, Σd², Σd³, Σd⁴, Σ|v|, Σ|d|, Σ sign d, Σ d|d|, #(v = 0), #(d = 0), with d = v − centre; then of
# the peaks max |d| of whole batches their number, Σ ln peak, Σ ln² peak; min and max of the batch and of all batches.
NAMES = ("d", "d2", "d3", "d4", "abs", "deviation", "sign", "square", "zeros", "ties")
PEAKS, LOG_PEAKS, SQUARED_LOG_PEAKS, BATCH_MIN, BATCH_MAX, MIN, MAX = range(len(NAMES), len(NAMES) + 7)
SUMS = MAX + 1
# Rows of `totals`, where a draw has several slots: Σ over draws of T₁, T₂, T_a, T_d, of products of two, and max T₂.
TOTALLED = ("d", "d2", "abs", "deviation")
PRODUCTS = (("d", "d"), ("d", "d2"), ("d2", "d2"), ("abs", "abs"), ("deviation", "deviation"), ("d", "deviation"))
LARGEST = len(TOTALLED) + len(PRODUCTS)
TOTALS = LARGEST + 1

COUNTS = ("above", "ties", "zeros")  # d > 0, d = 0, v = 0
REGISTERS = (*(name for name in NAMES if name != "sign"), "min", "max", "above")
SMALLEST_PEAK = 1e-300  # a smaller one may be subnormal, which log_positive does not take
UNCENTRED = 4  # vectors at once in the loop over |v| and zeros, for its sums would wait for each other


def sweep(about_0, totalled):
    """The intrinsic for rows whose centre is 0 or not, and whose draws have several slots or one."""

    def typing(typingctx, values, slots, count, lanes, centre, partial, totals):
        signature = types.void(values, slots, count, lanes, centre, partial, totals)

        def generate(context, builder, signature, arguments):
            values, slots, partial, totals = (pointer(context, builder, signature, arguments, i) for i in (0, 1, 5, 6))
            count, draws, centre = arguments[2:5]
            row = Row(builder, values, slots, count, centre, about_0, totalled)
            step = COLUMNS if about_0 or totalled else COLUMNS * UNCENTRED
            whole = builder.and_(draws, ir.Constant(INT, -step))
            row.sweep(ir.Constant(INT, 0), whole, COLUMNS, partial, totals)
            row.sweep(whole, draws, 1, partial, totals)
            return context.get_dummy_value()

        return signature, generate

    return intrinsic(typing)


class Row:
    """Writes the loops over the draws of one batch."""

    def __init__(self, builder, values, slots, count, centre, about_0, totalled):
        self.builder, self.values, self.slots, self.count = builder, values, slots, count
        self.centre, self.about_0, self.totalled = centre, about_0, totalled

    def sweep(self, first, end, width, partial, totals):
        """Lanes [first, end), `width` side by side, into the first `width` columns."""
        builder = self.builder
        start = {name: constant(builder, 0 if name in COUNTS else 0.0, width) for name in REGISTERS}
        ends = {"min": BATCH_MIN, "max": BATCH_MAX}
        start |= {name: load(builder, self.place(partial, row), width) for name, row in ends.items()}
        start |= {"largest": load(builder, self.place(totals, LARGEST), width)} if self.totalled else {}
        sums = Registers(builder, start)
        products = Registers(builder, dict.fromkeys(PRODUCTS, constant(builder, 0.0, width)))
        with lanes(builder, first, end, width) as lane:
            if self.totalled:
                self.draws(lane, width, sums, products)
            else:
                self.centred(self.value(builder.load(self.slots), lane, width), sums, sums)
        if not (self.totalled or self.about_0):
            side_by_side = UNCENTRED if width > 1 else 1
            with lanes(builder, first, end, width * side_by_side) as lane:
                places = [builder.add(lane, ir.Constant(INT, i * width)) for i in range(side_by_side)]
                self.uncentred([self.value(builder.load(self.slots), place, width) for place in places], sums, sums)
        seen = builder.mul(builder.udiv(builder.sub(end, first), ir.Constant(INT, width)), self.count)
        found = self.found(sums, splat(builder, seen, width))
        for row, name in enumerate(NAMES):
            self.leave(found[name], partial, row)
        for name, row in ends.items():
            self.leave(sums[name], partial, row, add=False)
        if self.totalled:
            for row, vector in enumerate([*(found[name] for name in TOTALLED), *(products[i] for i in PRODUCTS)]):
                self.leave(vector, totals, row)
            self.leave(sums["largest"], totals, LARGEST, add=False)

    def draws(self, lane, width, sums, products):
        """`width` draws of several slots: each slot, then the products of the draws' totals."""
        builder = self.builder
        of_draw = Registers(builder, dict.fromkeys(TOTALLED, constant(builder, 0.0, width)))
        with cgutils.for_range(builder, self.count, intp=INT) as loop:
            v = self.value(builder.load(builder.gep(self.slots, [loop.index])), lane, width)
            self.centred(v, sums, of_draw)
            if not self.about_0:
                self.uncentred([v], sums, of_draw)
        if self.about_0:
            of_draw["abs"] = of_draw["deviation"]
        for name in TOTALLED:
            sums[name] = sums[name] + of_draw[name]
        for a, b in PRODUCTS:
            products[a, b] = of_draw[a].fma(of_draw[b], products[a, b])
        sums["largest"] = (of_draw["d2"] > sums["largest"]).select(of_draw["d2"], sums["largest"])

    def centred(self, v, sums, linear):
        """The sums over d = v − centre, and the extremes; those in TOTALLED go to `linear`."""
        d = v if self.about_0 else v - splat(self.builder, self.centre, v.width)
        d2, size = d * d, abs(d)
        linear["d"] = linear["d"] + d
        linear["d2"] = linear["d2"] + d2
        linear["deviation"] = linear["deviation"] + size
        sums["d3"] = d2.fma(d, sums["d3"])
        sums["d4"] = d2.fma(d2, sums["d4"])
        sums["square"] = d.fma(size, sums["square"])
        sums["above"] = sums["above"] - (d > 0.0).minus_one()
        sums["ties"] = sums["ties"] - d.equals(0.0).minus_one()
        sums["min"] = (v < sums["min"]).select(v, sums["min"])
        sums["max"] = (v > sums["max"]).select(v, sums["max"])

    def uncentred(self, values, sums, linear):
        """Σ|v| and the zeros."""
        linear["abs"] = linear["abs"] + reduce(add, [abs(v) for v in values])
        sums["zeros"] = sums["zeros"] - reduce(add, [v.equals(0.0).minus_one() for v in values])

    def found(self, sums, seen):
        """The sums by name, as floats. The count below the centre is the rest of the other two counts."""
        found = {name: sums[name] for name in REGISTERS}
        if self.about_0:
            found["abs"], found["zeros"] = found["deviation"], found["ties"]
        sign = found["above"] + found["above"] + found["ties"] - seen
        counts = {"sign": sign, "zeros": found["zeros"], "ties": found["ties"]}
        return found | {name: count.to_float() for name, count in counts.items()}

    def value(self, slot, lane, width):
        """Load `width` values of a slot."""
        place = self.builder.add(self.builder.mul(slot, ir.Constant(INT, LANES)), lane)
        return load(self.builder, self.builder.gep(self.values, [place]), width)

    def leave(self, vector, table, row, add=True):
        """Store a vector in a row of a table, or add it to that row."""
        place = self.place(table, row)
        store(load(self.builder, place, vector.width) + vector if add else vector, place)

    def place(self, table, row):
        """The address of a row's first column."""
        return self.builder.gep(table, [ir.Constant(INT, row * COLUMNS)])


one, one_about_0 = sweep(False, False), sweep(True, False)
several, several_about_0 = sweep(False, True), sweep(True, True)


@inline
def reset(partial, totals):
    """Empty sums."""
    partial[:] = 0.0
    partial[BATCH_MIN], partial[BATCH_MAX] = math.inf, -math.inf
    partial[MIN], partial[MAX] = math.inf, -math.inf
    totals[:] = 0.0


@inline
def end_batch(whole, centre, partial):
    """The extremes of a batch into those of all, and the peak of a whole batch into its sums.

    Comparisons instead of `min` and `max`, which numba compiles as functions of their own.
    """
    peak = 0.0
    for column in range(COLUMNS):
        low, high = partial[BATCH_MIN, column], partial[BATCH_MAX, column]
        if low < partial[MIN, column]:
            partial[MIN, column] = low
        if high > partial[MAX, column]:
            partial[MAX, column] = high
        partial[BATCH_MIN, column], partial[BATCH_MAX, column] = math.inf, -math.inf
        for distance in (high - centre, centre - low):
            if distance > peak:
                peak = distance
    if whole and SMALLEST_PEAK < peak < math.inf:
        size = log_positive(peak)
        partial[PEAKS, 0] += 1.0
        partial[LOG_PEAKS, 0] += size
        partial[SQUARED_LOG_PEAKS, 0] += size * size


@inline
def accumulate(values, slots, lanes, centre, partial, totals):
    """Add the first `lanes` draws of one batch of a row, values[slot, lane], to its partial sums and totals."""
    count = slots.shape[0]
    if count > 1:
        if centre == 0.0:
            several_about_0(values, slots, count, lanes, centre, partial, totals)
        else:
            several(values, slots, count, lanes, centre, partial, totals)
    elif centre == 0.0:
        one_about_0(values, slots, count, lanes, centre, partial, totals)
    else:
        one(values, slots, count, lanes, centre, partial, totals)
    end_batch(lanes == LANES, centre, partial)
