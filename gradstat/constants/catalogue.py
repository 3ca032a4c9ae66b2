"""The tables of constants that papers and libraries publish. Each is a record, with the names that its source uses."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Any

from gradstat.constants.gain import Constant, answers, definition
from gradstat.errors import UsageError, unknown
from gradstat.layer_types.case import Case
from gradstat.layer_types.elementwise import ACTIVATIONS
from gradstat.layer_types.record import ALL, BACKWARD, FORWARD
from gradstat.layer_types.registry import find

Params = Mapping[str, Any]
ALPHA = 1.6732632423543772848170429916717  # of SELU, with the digits of its source


@dataclass(frozen=True)
class Column:
    """One statistic in one direction; backward statistics are those of the entry's cell."""

    direction: str
    statistic: str

    @property
    def key(self) -> str:
        """The name, for example `forward_gain_std`."""
        return f"{self.direction}_{self.statistic}"

    @property
    def description(self) -> str:
        """The formula, for example `1/σ[y]`."""
        return definition(self.statistic, self.direction)


@dataclass(frozen=True)
class Entry:
    """One layer under the name that the source uses, with the number that the source publishes, if any."""

    name: str
    layer: str
    params: Params = field(default_factory=dict)
    cell: str = ALL
    published: str = ""


@dataclass(frozen=True)
class ConstantTable:
    """A table: its name, entries and columns; `across` if the source has one column per entry."""

    name: str
    description: str
    columns: tuple[Column, ...]
    entries: tuple[Entry, ...]
    across: bool = False


@dataclass(frozen=True)
class Computed:
    """A table with its numbers, one row per entry."""

    table: ConstantTable
    values: tuple[tuple[Constant, ...], ...]

    def lines(self) -> Iterator[tuple[Entry, tuple[Constant, ...]]]:
        """Every entry with its numbers, in the order of the columns."""
        return zip(self.table.entries, self.values, strict=True)

    @property
    def has_published(self) -> bool:
        """True if the source publishes numbers to compare with."""
        return any(entry.published for entry in self.table.entries)


FP_MEAN, FP_STD = Column(FORWARD, "mean"), Column(FORWARD, "std")
FP_GAIN_STD, FP_GAIN_RMS = Column(FORWARD, "gain_std"), Column(FORWARD, "gain_rms")
FP_LIPSCHITZ = Column(FORWARD, "lipschitz")
BP_STD, BP_RMS = Column(BACKWARD, "std"), Column(BACKWARD, "rms")
BP_GAIN_STD, BP_GAIN_RMS = Column(BACKWARD, "gain_std"), Column(BACKWARD, "gain_rms")

SERIES = (
    Entry("Conv/IP", "linear", {"in_features": 8, "out_features": 8}),
    Entry("ReLU", "relu"),
    Entry("Sigmoid", "sigmoid"),
    Entry("3×3 Max Pooling", "max_pool2d", {"kernel_size": 3}),
    Entry("3×3 Ave Pooling", "avg_pool2d", {"kernel_size": 3}),
    Entry("Dropout, keep 1/2", "dropout", {"p": 0.5, "inverted": False}),
)
NFNETS = (
    Entry("identity", "identity", published="1.0"),
    Entry("celu", "celu", published="1.270926833152771"),
    Entry("elu", "elu", published="1.2716004848480225"),
    Entry("gelu", "gelu", {"approximate": "tanh"}, published="1.7015043497085571"),
    Entry("glu", "glu", published="1.8484294414520264"),
    Entry("leaky_relu", "leaky_relu", published="1.70590341091156"),
    Entry("log_sigmoid", "logsigmoid", published="1.9193484783172607"),
    Entry("log_softmax", "log_softmax", {"n": 256}, published="1.0002083778381348"),
    Entry("relu", "relu", published="1.7139588594436646"),
    Entry("relu6", "relu6", published="1.7131484746932983"),
    Entry("selu", "selu", published="1.0008515119552612"),
    Entry("sigmoid", "sigmoid", published="4.803835391998291"),
    Entry("silu", "silu", published="1.7881293296813965"),
    Entry("soft_sign", "softsign", published="2.338853120803833"),
    Entry("softplus", "softplus", published="1.9203323125839233"),
    Entry("tanh", "tanh", published="1.5939117670059204"),
)
# The numbers of NFNets under the names of torch.nn, without glu. timm uses them for the exact GELU.
TIMM = tuple(
    replace(entry, name=entry.name.replace("soft_", "soft"), params={} if entry.layer == "gelu" else entry.params)
    for entry in NFNETS
    if entry.name != "glu"
)
E3NN = (
    Entry("silu", "silu", published="1.6791767923989418"),
    Entry("sigmoid", "sigmoid", published="1.8467055342154763"),
    Entry("SmoothLeakyReLU", "smooth_leaky_relu", {"negative_slope": 0.2}, published="1.531320475574866"),
    Entry("tanh", "tanh"),
    Entry("relu", "relu"),
    Entry("gelu", "gelu"),
    Entry("abs", "abs"),
    Entry("softplus", "softplus"),
    Entry("ShiftedSoftPlus", "shifted_softplus"),
)
KAIMING = (
    *(Entry(name, layer) for name, layer in (("linear", "identity"), ("relu", "relu"), ("relu6", "relu6"))),
    *(Entry(f"leaky_relu({a:g})", "leaky_relu", {"negative_slope": a}) for a in (0.01, 0.1, 0.2)),
    Entry("prelu(0.25)", "prelu", {"weight": 0.25}),
    *(
        Entry(name, name)
        for name in ("elu", "selu", "gelu", "silu", "mish", "softplus", "sigmoid", "tanh", "hardswish")
    ),
)
SELU = (
    Entry("elu(alpha01)", "elu", {"alpha": ALPHA}),  # mean 0 confirms alpha01, and then 1/σ is lambda01
    Entry("selu", "selu"),  # mean 0 and σ 1
)
CELLS = (ALL, "(0, 0)", "(0, 1)", "(1, 0)", "(1, 1)")
FLAT = {"in_channels": 1, "out_channels": 1, "weight": "flat", "normalize": "fan_in"}
NOT_BOUNDED = ("telu", "bent_identity", "snake")  # sup |f′| of these is not known
STRIDED = {
    "flat conv 3×3/2": ("conv2d", FLAT),
    "average pooling 3×3/2": ("avg_pool2d", {}),
    "max pooling 3×3/2": ("max_pool2d", {}),
}


def _pytorch() -> tuple[Entry, ...]:
    """Every activation, with the names of torch.nn.init.calculate_gain and torch.nn.functional."""
    names = {"identity": "linear"}
    entries = []
    for layer in ACTIVATIONS.values():
        entries.append(Entry(names.get(layer.name, layer.name), layer.name))
        for parameter in layer.parameters:  # the variants of a formula, such as gelu's tanh
            others = [word for word in parameter.domain.choices if word != parameter.default]
            entries += [Entry(f"{layer.name}({word})", layer.name, {parameter.name: word}) for word in others]
    return tuple(entries)


def _bounded() -> tuple[Entry, ...]:
    """Every activation whose sup |f′| is known."""
    return tuple(Entry(name, name) for name in ACTIVATIONS if name not in NOT_BOUNDED)


def _strided() -> tuple[Entry, ...]:
    """Every cell of the repeating pattern, and all cells pooled."""
    return tuple(
        Entry(f"{name}, {cell}", layer, {**params, "kernel_size": 3, "stride": 2}, cell)
        for name, (layer, params) in STRIDED.items()
        for cell in CELLS
    )


@cache
def tables() -> dict[str, ConstantTable]:
    """Every table by its name."""
    largest = tuple(Entry(str(n), "max_pool1d", {"kernel_size": n}) for n in range(2, 50))
    records = (
        ConstantTable(
            "series",
            "Wang 2016, Normalizing All Layers (II): the closing table",
            (FP_MEAN, FP_STD, BP_STD),
            SERIES,
            across=True,
        ),
        ConstantTable(
            "pytorch",
            "torch.nn.init.calculate_gain, for every activation",
            (FP_GAIN_RMS, FP_GAIN_STD, BP_GAIN_RMS, BP_GAIN_STD),
            _pytorch(),
        ),
        ConstantTable("nfnets", "Brock et al. 2021, NFNets: nonlinearities", (FP_GAIN_STD,), NFNETS),
        ConstantTable("timm", "timm: _nonlin_gamma", (FP_GAIN_STD,), TIMM),
        ConstantTable("e3nn", "e3nn: normalize2mom; published: fairchem's activations", (FP_GAIN_RMS,), E3NN),
        ConstantTable("kaiming", "He et al. 2015: gains by the second moment", (FP_GAIN_RMS, BP_GAIN_RMS), KAIMING),
        ConstantTable(
            "selu",
            "Klambauer et al. 2017: the moments that alpha01 and lambda01 give",
            (FP_MEAN, FP_STD, FP_GAIN_STD, BP_RMS),
            SELU,
        ),
        ConstantTable("lipschitz", "Lipschitz constants of activations", (FP_LIPSCHITZ,), _bounded()),
        ConstantTable(
            "order-statistics", "The largest of n values: max pooling over n inputs", (FP_MEAN, FP_STD), largest
        ),
        ConstantTable(
            "stride", "Wang 2016 (III), Stride: 3×3 windows with stride 2, per cell", (BP_STD, BP_GAIN_STD), _strided()
        ),
    )
    return {table.name: table for table in records}


def chosen(names: Sequence[str]) -> list[ConstantTable]:
    """The tables with these names, or all tables if there are no names; UsageError for an unknown name."""
    by_name = tables()
    for name in names:
        if name not in by_name:
            raise UsageError(unknown("table", name, by_name))
    return [by_name[name] for name in dict.fromkeys(names or by_name)]


def compute(table: ConstantTable, jobs: int = 0, digits: int | None = None) -> Computed:
    """Compute every number of a table: exact if an exact value is known, otherwise sampled."""

    def row(entry: Entry) -> tuple[Constant, ...]:
        keys = [(c.direction, c.statistic, entry.cell if c.direction == BACKWARD else ALL) for c in table.columns]
        return tuple(answers(Case(find(entry.layer), entry.params), keys, jobs, digits))

    return Computed(table, tuple(map(row, table.entries)))
