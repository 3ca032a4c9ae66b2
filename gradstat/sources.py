"""Conversion of names, formulas, cases and tables to cases."""

import functools
import os
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from gradstat import Assumption, File, shipped
from gradstat.errors import UsageError, unknown
from gradstat.layer_types import registry
from gradstat.layer_types.case import Case

FILES = (".toml", ".parquet")


def case_of(
    layer_or_formula: str | Case | Callable[..., Any],
    x: Assumption | None,
    dy: Assumption | None,
    parameters: Assumption,
) -> Case:
    """The case of a name, formula or function with its parameters and assumptions; a case is returned unchanged."""
    if callable(layer_or_formula):
        layer_or_formula, parameters = formula_of(layer_or_formula, parameters), {}
    if not isinstance(layer_or_formula, str):
        if x or dy or parameters:
            raise UsageError("a case already has parameters and assumptions; pass them to gradstat.layer")
        return layer_or_formula
    given = {name: _plain(value) for name, value in parameters.items()}
    if not (x or dy or _is_formula(layer_or_formula)):  # importing pydantic takes longer than computing the answer
        case = registry.case_of(layer_or_formula, given)
        case.check()
        return case
    from gradstat.layer_types.from_config import one_case

    return one_case({**given, **table_of(layer_or_formula)}, x, dy)


def formula_of(function: Callable[..., Any], parameters: Assumption) -> str:
    """The formula of a function of x; its other arguments have these values."""
    from gradstat.layer_types.expression.callables import expression_of

    return expression_of(functools.partial(function, **parameters) if parameters else function)


def source_of(source: File | Case) -> Path | list[Case]:
    """The source of a picture: the path of a result, or cases."""
    if not isinstance(source, Case) and (not isinstance(source, str) or source == "-" or source.endswith(FILES)):
        from gradstat.runs.request import request

        path = Path(source)
        return request(path, {}, ())[1] if path.suffix == ".toml" else path
    return [case_of(source, None, None, {})]


def named(configuration: File | Sequence[str | Case | Mapping[str, Any]], command: str) -> Path | list[dict[str, Any]]:
    """The path of a file or of a shipped configuration; a list of layers becomes their [[layer]] tables."""
    if isinstance(configuration, str | os.PathLike):
        try:
            return shipped.resolve(Path(configuration), command)
        except UsageError:
            name = os.fspath(configuration)
            if registry.is_name(name):
                raise UsageError(f"{name}: is a layer, not a configuration", f"gradstat gain {name}") from None
            raise
    return list(map(table_of, configuration))


def table_of(item: str | Case | Mapping[str, Any] | Callable[..., Any]) -> dict[str, Any]:
    """The [[layer]] table of a name, formula, function, case or mapping."""
    if callable(item):
        return {"expression": formula_of(item, {})}
    if isinstance(item, str):
        return {"expression" if _is_formula(item) else "name": item}
    if isinstance(item, Mapping):
        return {key: _plain(value) for key, value in item.items()}
    from gradstat.layer_types import from_config

    return from_config.table_of(item)


def _is_formula(text: str) -> bool:
    """True for `x` and for every text that is not a name."""
    return text == "x" or re.fullmatch(r"\w[\w.-]*", text) is None or text[0].isdigit()


def _plain(value: Any) -> Any:
    """The value in a type of TOML: NumPy's numbers become Python's, tuples become lists."""
    if isinstance(value, tuple | list):
        return [_plain(inner) for inner in value]
    return value.item() if hasattr(value, "item") else value


DIALECT = "https://json-schema.org/draft/2020-12/schema"


def schema_of(what: str) -> dict[str, Any]:
    """The JSON Schema of a configuration (`run`) or of a file of claims (`claims`); UsageError for another name."""
    if what == "run":
        from gradstat.config import RunConfig

        model = RunConfig.model_json_schema()
    elif what == "claims":
        from gradstat.verification.claims import ClaimsFile

        model = ClaimsFile.model_json_schema()
    else:
        raise UsageError(unknown("schema", what, ("run", "claims")))
    schema = {"$schema": DIALECT} | model
    for name, key in (("LayerConfig", "name"), ("ClaimConfig", "layer")):
        if definition := schema["$defs"].get(name):
            definition["properties"][key]["examples"] = list(registry.LAYERS)  # a suggestion: aliases are allowed
    return schema
