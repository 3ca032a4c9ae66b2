"""What of a result is shown as text: columns of strings for people, made from a result's rows."""

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from gradstat.assumptions import Input, Upstream
from gradstat.config import RunConfig
from gradstat.errors import UsageError
from gradstat.estimation.student import DEGREES
from gradstat.layer_types.case import Case
from gradstat.layer_types.from_config import cases_of
from gradstat.layer_types.record import ALL, FORWARD
from gradstat.layer_types.registry import LAYERS
from gradstat.results.store import Result
from gradstat.text.uncertain import exact, signed, with_error

COLUMNS = ("layer", "quantity", "cell", "windows", "printed", "estimate", "exact", "z")
STATISTICS = {"mean": "E", "std": "σ", "mad": "MAD"}
UNKNOWN = "–"
SPOKEN = ("kernel_size", "p")  # parameters that people name even where they are the default
_DEFAULTS = (Input().label(), Upstream().label())

Row = Mapping[str, Any]


@dataclass(frozen=True)
class View:
    """A table of text: column names, rows of cells (layer first), and the lines below."""

    columns: tuple[str, ...]
    rows: list[tuple[str, ...]]
    notes: tuple[str, ...]


def overview(result: Result) -> View:
    """E, σ and MAD of y and dx: what was printed where the configuration says so, our estimate, the exact value, z.

    A column is left out where it would tell nothing.
    """
    rows, printed = result.rows(), printed_numbers(result)
    shared = {(row["input"], row["upstream"]) for row in rows}
    assumed = next(iter(shared)) if len(shared) == 1 else _DEFAULTS
    lines = [line for row in rows for line in _lines(row, printed, assumed)]
    told = [True, True, *([any(line[i] != idle for line in lines) for i, idle in IDLE.items()])]
    shown = [i for i in range(len(COLUMNS)) if told[i]]
    return View(
        tuple(COLUMNS[i] for i in shown),
        [tuple(line[i] for i in shown) for line in lines],
        _notes(rows, assumed, exact_known=told[COLUMNS.index("z")]),
    )


IDLE = {2: ALL, 3: "", 4: "", 5: None, 6: UNKNOWN, 7: UNKNOWN}  # column → the cell that tells nothing


def _lines(row: Row, printed: Mapping[Any, str], assumed: tuple[str, str]) -> Iterator[tuple[str, ...]]:
    """One line per statistic of a row."""
    for name, letter in STATISTICS.items():
        value, z = row.get(f"exact_{name}"), row.get(f"z_{name}")
        yield (
            title(row, assumed),
            f"{letter}[{'y' if row['direction'] == FORWARD else 'dx'}]",
            row["cell"],
            "" if row["windows"] is None or (row["windows"], row["cell"]) == (1.0, ALL) else f"{row['windows']:g}",
            printed.get((*_key(row), name), "") if row["cell"] == ALL else "",
            with_error(row[name], row[f"{name}_se"]),
            UNKNOWN if value is None else exact(value, row["exact_std"] or 0.0),
            UNKNOWN if z is None else signed(z),
        )


def title(row: Row, assumed: tuple[str, str] = _DEFAULTS) -> str:
    """`max_pool2d(kernel_size=3)`, without defaults; and what is assumed of x and dy where that is not `assumed`."""
    layer = LAYERS.get(row["layer"])
    usual = {} if layer is None else {parameter.name: json.dumps(parameter.default) for parameter in layer.parameters}
    inner = ", ".join(
        f"{key}={_word(value)}"
        for key, value in json.loads(row["params"]).items()
        if value is not None and (key in SPOKEN or json.dumps(value) != usual.get(key))
    )
    words = [f"{row['layer']}({inner})" if inner else str(row["layer"])]
    words += [f"x ~ {row['input']}"] if row["input"] != assumed[0] else []
    words += [f"dy ~ {row['upstream']}"] if row["upstream"] != assumed[1] else []
    return ", ".join(words)


def title_of(case: Case) -> str:
    """The same of a case."""
    x, dy = case.x.label(), case.dy.label()
    return title({"layer": case.layer.name, "params": case.params_json, "input": x, "upstream": dy})


def printed_numbers(result: Result) -> dict[Any, str]:
    """What the configuration says a text prints: layer, params, input, upstream, direction, statistic → number."""
    try:
        config = RunConfig.model_validate(result.provenance.get("configuration"))
        layers = [(layer.printed, next(cases_of(layer, config))) for layer in config.layer if layer.printed]
    except (ValidationError, UsageError):  # the configuration of a gradstat that knew other layers
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
    spreads = {round(row["acc_draws"]) for row in rows if math.isfinite(DEGREES[row["estimator"]](row["acc_draws"]))}
    if spreads:
        meaning += f", from the spread of {' or '.join(map(str, sorted(spreads)))} randomizations"
    if exact_known:
        meaning += "; z = (estimate − exact) / standard error" + (", as a normal score" if spreads else "")
    return f"{first}; x ~ {assumed[0]}, dy ~ {assumed[1]}", meaning


def _word(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)
