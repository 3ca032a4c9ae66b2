"""Configuration → cases. All layers, swept parameters and assumptions are checked before anything is sampled."""

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from pydantic import ValidationError

from gradstat.assumptions import Input, Upstream
from gradstat.config import InputConfig, LayerConfig, RunConfig, UpstreamConfig, describe_error
from gradstat.errors import Mistakes, UsageError, advice, quoted, within
from gradstat.layer_types.case import Case
from gradstat.layer_types.record import Layer, Params
from gradstat.layer_types.registry import names, resolve
from gradstat.limits import CASES


def cases(config: RunConfig, source: str = "configuration") -> list[Case]:
    """Every case of a configuration, in its order; UsageError names each layer with a mistake."""
    found: list[Case] = []
    mistakes = Mistakes()
    for number, layer in enumerate(config.layer, 1):
        with mistakes.collected(), within(source, f"layer {number}"):
            found.extend(cases_of(layer, config))
        with within(source):
            CASES.check(len(found))
    mistakes.check()
    return found


def distinct(cases: Sequence[Case]) -> tuple[list[Case], list[int]]:
    """The different cases in order of first appearance, and for each case the index of its equal among them."""
    keys = [(case.layer.name, case.params_json, case.x, case.dy) for case in cases]
    firsts: dict[Any, Case] = {}
    for key, case in zip(keys, cases, strict=True):
        firsts.setdefault(key, case)
    indices = {key: index for index, key in enumerate(firsts)}
    return list(firsts.values()), [indices[key] for key in keys]


def one_case(table: dict[str, Any], x: Mapping[str, Any] | None, dy: Mapping[str, Any] | None) -> Case:
    """The case of one [[layer]] table under these assumptions; UsageError for a mistake in it."""
    assumed = {key: dict(value) for key, value in (("input", x), ("upstream", dy)) if value}
    try:
        config = RunConfig.model_validate({"layer": [table], **assumed})
    except ValidationError as error:
        raise UsageError(describe_error(error).message) from None
    (case,) = cases_of(config.layer[0], config)
    return case


def table_of(case: Case) -> dict[str, Any]:
    """The [[layer]] table of a case."""
    name = {} if "expression" in case.given else {"name": case.layer.name}
    return {**name, **case.given, "input": asdict(case.x), "upstream": asdict(case.dy)}


def cases_of(layer: LayerConfig, config: RunConfig) -> Iterator[Case]:
    """One case per combination of swept values, the last parameter varying fastest."""
    record, implied = record_of(layer)
    check_keys(record, layer)
    check_count(layer)
    x, dy = input_of(layer.input or config.input), upstream_of(layer.upstream or config.upstream)
    for values in itertools.product(*layer.sweep.values()):
        given = {**implied, **layer.params} | dict(zip(layer.sweep, values, strict=True))
        case = Case(record, given, x, dy)
        case.check()
        if layer.expression is not None:
            from gradstat.layer_types.expression.layer import check

            check(record, case.params, x)
        yield case


def record_of(layer: LayerConfig) -> tuple[Layer, Params]:
    """The layer of a [[layer]] table, and the parameters that its name implies.

    For an expression, the parameters of the new layer are the other keys of the table.
    """
    if layer.expression is None:
        return resolve(layer.name)
    if layer.name in names():
        raise UsageError(f"name = {layer.name!r} is a layer of gradstat; an expression needs another name, or none")
    from gradstat.layer_types.expression.layer import expression_layer

    record = expression_layer(layer.expression, tuple(layer.params | layer.sweep), layer.name)
    return record, {"expression": layer.expression}


def check_keys(record: Layer, layer: LayerConfig) -> None:
    """Raise UsageError for unknown keys, and for keys that contradict each other."""
    parameters = [parameter.name for parameter in record.parameters]
    allowed = f"parameters: {', '.join(parameters) or 'none'}"
    for key in layer.sweep:
        if key not in parameters:
            raise UsageError(
                f"{record.name}: sweep has the unknown parameter '{key}'; {advice(key, parameters, allowed)}"
            )
        if key in layer.params:
            raise UsageError(f"{record.name}: {key} is given both alone and in sweep; keep one of the two")
    for key in layer.params:
        if key not in parameters:
            common = list(LayerConfig.model_fields)
            otherwise = f"{allowed}; keys of every layer: {', '.join(common)}"
            raise UsageError(f"{record.name}: unknown key '{key}'; {advice(key, parameters + common, otherwise)}")
    if layer.sweep and layer.printed:
        raise UsageError(
            f"{record.name}: printed numbers belong to one case; leave sweep out, or write one [[layer]] per case"
        )


def check_count(layer: LayerConfig) -> None:
    """Raise UsageError if the sweeps of a layer make more cases than a run may have."""
    count = math.prod(map(len, layer.sweep.values()))
    if count > CASES.most:
        raise UsageError(f"{quoted(layer.name)}: its sweep makes {count:,} cases; at most {CASES.most:,} are allowed")


def input_of(config: InputConfig) -> Input:
    """The assumptions about x in a configuration."""
    return Input(**config.model_dump())


def upstream_of(config: UpstreamConfig) -> Upstream:
    """The assumptions about dy in a configuration."""
    return Upstream(**config.model_dump())
