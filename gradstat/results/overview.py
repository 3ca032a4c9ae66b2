"""The report of a result, and its table for people."""

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pydantic import ValidationError

from gradstat.config import RunConfig
from gradstat.errors import UsageError
from gradstat.estimation.significance import beyond, bound_of
from gradstat.estimators import ESTIMATORS
from gradstat.layer_types.case import USUAL, assumptions_label, label_of
from gradstat.layer_types.from_config import cases_of
from gradstat.layer_types.record import ALL, FORWARD
from gradstat.layer_types.registry import LAYERS
from gradstat.results.result import Result
from gradstat.results.schema import EXACT_REASON, KINDS, NO_ERROR_BAR, SHOWN
from gradstat.results.store import to_parquet
from gradstat.text.tables import NARROWEST, Column, Report, Table
from gradstat.text.uncertain import LEGEND, NUMERIC, OVERFLOW, Uncertain, signed

STATISTICS = {"mean": "E", "std": "σ", "mad": "MAD"}
COLUMNS = (
    Column("layer", wrap=NARROWEST, code=True),
    Column("quantity"),
    Column("cell", idle=(ALL,)),
    Column("windows", idle=("",), priority=2),
    Column("printed", idle=("",), priority=1),
    Column("estimate", align="decimal"),
    Column("exact", align="decimal", idle=(None,)),
    Column("z", align="decimal", show=signed, idle=(None,)),
)
NAMED = 3  # rows that a note names

Row = Mapping[str, Any]


def report(result: Result) -> Report:
    """A result for people, and all its columns but the raw accumulators for programs."""
    rows = [{**row, "params": json.loads(row["params"])} for row in result.rows()]
    data = Table([Column(name) for name in SHOWN], [[row[name] for name in SHOWN] for row in rows])
    facts = {"provenance": result.provenance}
    title = "What layers do to the scale of signal and gradient"
    return Report([overview(result)], data, title, facts=facts, own={"parquet": lambda: to_parquet(result)})


def overview(result: Result) -> Table:
    """One line for each of E, σ and MAD of y and dx: published number, estimate, exact value and z."""
    rows, printed = result.rows(), printed_numbers(result)
    shared = {(row["input"], row["upstream"]) for row in rows}
    assumed = next(iter(shared)) if len(shared) == 1 else USUAL
    lines = [line for row in rows for line in _lines(row, printed, assumed)]
    scores = [line[-1] for line in lines]
    bound = bound_of(scores)
    wrong = frozenset((i, "z") for i, z in enumerate(scores) if z is not None and beyond(z, bound))
    notes = _notes(rows, assumed, exact_known=any(z is not None for z in scores))
    return Table(COLUMNS, lines, notes=notes, wrong=wrong)


def _lines(row: Row, printed: Mapping[Any, str], assumed: tuple[str, str]) -> Iterator[tuple[Any, ...]]:
    """One line per statistic of a row."""
    for name, letter in STATISTICS.items():
        yield (
            label(row, assumed),
            f"{letter}[{'y' if row['direction'] == FORWARD else 'dx'}]",
            row["cell"],
            "" if row["windows"] is None or (row["windows"], row["cell"]) == (1.0, ALL) else f"{row['windows']:g}",
            printed.get((*_key(row), name), "") if row["cell"] == ALL else "",
            Uncertain(row[name], row[f"{name}_se"], kind="" if math.isfinite(row[name]) else OVERFLOW),
            exact_cell(name, row),
            row.get(f"z_{name}"),
        )


def exact_cell(name: str, row: Row) -> Uncertain | None:
    """The exact value of a row as a cell of a table; None if it is not known."""
    value, kind, std = row[f"exact_{name}"], row[KINDS[f"exact_{name}"]], row["exact_std"]
    if kind is None:
        return None
    scale = std if kind == NUMERIC and std is not None and math.isfinite(std) else 0.0
    return Uncertain(math.nan if value is None else value, scale=scale, kind=kind)


def label(row: Row, assumed: tuple[str, str] = USUAL) -> str:
    """`max_pool2d(kernel_size=3), x ~ laplace(0, 1)`: the label of a row, without the assumptions in `assumed`."""
    layer = LAYERS.get(row["layer"])
    layer_label = label_of(row["layer"], json.loads(row["params"]), layer.parameters if layer else ())
    return layer_label + assumptions_label(row["input"], row["upstream"], assumed)


def printed_numbers(result: Result) -> dict[Any, str]:
    """The published numbers of the configuration: layer, params, input, upstream, direction, statistic → number."""
    try:
        config = RunConfig.model_validate(result.provenance.get("configuration"))
        layers = [(layer.printed, next(cases_of(layer, config))) for layer in config.layer if layer.printed]
    except (ValidationError, UsageError):  # the configuration of a gradstat with other layers
        return {}
    return {
        (case.layer.name, case.params_json, case.x.label(), case.dy.label(), *key.split("_")): number
        for printed, case in layers
        for key, number in printed.items()
    }


def _key(row: Row) -> tuple[str, ...]:
    return tuple(row[name] for name in ("layer", "params", "input", "upstream", "direction"))


def _notes(rows: Sequence[Row], assumed: tuple[str, str], exact_known: bool) -> tuple[str, ...]:
    if not rows:
        return ("no rows",)
    draws, seeds = sorted({row["n"] for row in rows}), sorted({row["seed"] for row in rows})
    span = f"{draws[0]:,}" if len(draws) == 1 else f"{draws[0]:,} to {draws[-1]:,}"
    first = f"{span} draws per layer, {'seed' if len(seeds) == 1 else 'seeds'} {', '.join(map(str, seeds))}"
    meaning = "± is one standard error"
    spreads = {spread for row in rows if (spread := _spread(row))}
    if spreads:
        meaning += f", from the spread of {' or '.join(f'{count} {units}' for count, units in sorted(spreads))}"
    if exact_known:
        meaning += "; z = (estimate − exact) / standard error, as a normal score"
    about = f"{first}; x ~ {assumed[0]}, dy ~ {assumed[1]}"
    missing = [f"± ?: no error bar: {line}" for line in _by_reason(rows, NO_ERROR_BAR)]
    numeric = any(row[kind] == NUMERIC for row in rows for kind in KINDS.values())
    return about, meaning, *([LEGEND] if numeric else []), *_by_reason(rows, EXACT_REASON), *missing


def _by_reason(rows: Sequence[Row], column: str) -> Iterator[str]:
    """Each reason in a column, with the rows that have it."""
    reasons: dict[str, dict[str, None]] = {}  # the cells of a layer have one name
    for row in rows:
        if row[column]:
            name = f"{label(row)} {'y' if row['direction'] == FORWARD else 'dx'}"
            reasons.setdefault(row[column], {})[name] = None
    for reason, unique in reasons.items():
        names = list(unique)
        shown = ", ".join(names[:NAMED]) + (f" and {len(names) - NAMED} more" if len(names) > NAMED else "")
        yield f"{reason}: {shown}"


def _spread(row: Row) -> tuple[int, str] | None:
    """The number and kind of units whose spread gives the error of a row; None for infinite degrees of freedom."""
    estimator, units = ESTIMATORS[row["estimator"]], row["acc_draws"]
    return (round(units), estimator.units) if math.isfinite(estimator.degrees(units)) else None
