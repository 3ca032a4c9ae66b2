"""TOML → typed run configuration. Every mistake becomes one line: file, key, the value, the allowed values."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple, get_args, get_origin

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    WithJsonSchema,
    model_validator,
)
from pydantic.config import JsonDict
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails, core_schema

from gradstat.distributions import DISTRIBUTIONS, NORMAL, OF_UPSTREAM
from gradstat.errors import Mistakes, UsageError, closest, quoted
from gradstat.estimators import DEFAULT_SEED, ESTIMATORS, MC
from gradstat.limits import MISTAKES
from gradstat.toml_file import COUNTS, FEWEST, MOST, Override, apply_override, check_purpose, count, read_toml, toml

LARGEST_SEED = 2**64 - 1


class Strict(BaseModel):
    """A table without unknown keys, silent conversions or later changes.

    A field's description names its allowed values.
    """

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False)


class NameIn:
    """Annotates a field whose value is the name of a record in this table."""

    def __init__(self, table: Mapping[str, Any]) -> None:
        self.table = table

    def __get_pydantic_core_schema__(self, source: Any, handler: Any) -> core_schema.CoreSchema:
        return core_schema.literal_schema(list(self.table))


MEAN: Any = Field(default=0.0, ge=-1e30, le=1e30, description="a number from -1e30 to 1e30")
STD: Any = Field(default=1.0, ge=1e-30, le=1e30, description="a number above 0, from 1e-30 to 1e30")


class InputConfig(Strict):
    """The [input] table: assumptions about x."""

    distribution: Annotated[str, NameIn(DISTRIBUTIONS)] = NORMAL.name
    mean: float = MEAN
    std: float = STD
    correlation: float = Field(default=0.0, gt=-1.0, lt=1.0, description="a number between -1 and 1")


class UpstreamConfig(Strict):
    """The [upstream] table: assumptions about dy, which has zero mean and unit variance."""

    distribution: Annotated[str, NameIn(OF_UPSTREAM)] = NORMAL.name
    correlation: float = Field(default=0.0, ge=0.0, le=1.0, description="a number from 0 to 1")


def one_line(text: str) -> str:
    """The text with each run of white space replaced by one blank."""
    return " ".join(text.split())


def single_line(text: str) -> str:
    """The text as one line. ValueError if it is too long or contains control characters."""
    line = one_line(text)
    if not line.isprintable() or len(line) > LONGEST_TEXT:
        raise ValueError("not a line of text")
    return line


LONGEST_TEXT = 2000
Text = Annotated[str, AfterValidator(single_line)]
TEXT = f"text in quotes, up to {LONGEST_TEXT} characters, no control characters"
Printed = Literal["forward_mean", "forward_std", "backward_mean", "backward_std"]


class LayerConfig(Strict):
    """A [[layer]] table: a layer by name or as an expression. Keys not listed here are parameters of the layer."""

    model_config = ConfigDict(
        extra="allow",
        json_schema_extra={"required": [], "anyOf": [{"required": ["name"]}, {"required": ["expression"]}]},
    )

    name: str = Field(description='the name of a layer, e.g. "relu"')
    expression: Annotated[str, AfterValidator(one_line)] | None = Field(
        default=None, description='a formula of x, e.g. "x * sigmoid(1.702 * x)"'
    )
    input: InputConfig | None = Field(default=None, description='a table, e.g. { distribution = "laplace" }')
    upstream: UpstreamConfig | None = Field(default=None, description='a table, e.g. { distribution = "laplace" }')
    sweep: dict[str, Annotated[list[Any], Field(min_length=1)]] = Field(
        default_factory=dict, description="a list of at least one value per parameter, e.g. { kernel_size = [2, 3] }"
    )
    printed: dict[Printed, Text] = Field(
        default_factory=dict,
        description='published numbers, digit by digit, in quotes, e.g. { backward_std = "0.2123" }',
    )

    @model_validator(mode="before")
    @classmethod
    def _named(cls, data: Any) -> Any:
        """Set the name of an expression, which the table does not give."""
        return {"name": "expression"} | data if isinstance(data, dict) and "expression" in data else data

    @property
    def params(self) -> dict[str, Any]:
        """The parameters of the layer, without defaults."""
        return dict(self.model_extra or {})


_COUNT_SCHEMA = {
    "anyOf": [
        {"type": "number", "multipleOf": 1, "minimum": FEWEST, "maximum": MOST},  # 1e8 is a float in TOML
        {"type": "string", "pattern": r"^([0-9_]+(\.[0-9_]*)?([eE]\+?[0-9]+)?[kKMGT]?|[0-9]+\*\*[0-9]+)$"},
    ]
}
Count = Annotated[
    int, BeforeValidator(count), Field(ge=FEWEST, le=MOST, description=COUNTS), WithJsonSchema(_COUNT_SCHEMA)
]
_EXCLUSIVE: JsonDict = {"anyOf": [{"required": ["samples", target]} for target in ("rel_error", "target_error")]}


class RunConfig(Strict):
    """The configuration of a run."""

    model_config = ConfigDict(json_schema_extra={"not": _EXCLUSIVE})

    seed: int = Field(default=DEFAULT_SEED, ge=0, le=LARGEST_SEED, description="a whole number from 0 to 2**64 - 1")
    samples: Count = 10_000_000
    rel_error: float | None = Field(default=None, gt=0.0, lt=1.0, description="a number between 0 and 1, e.g. 1e-4")
    target_error: float | None = Field(default=None, gt=0.0, description="a number above 0, e.g. 1e-4")
    max_samples: Count = 10**10
    estimator: Annotated[str, NameIn(ESTIMATORS)] = MC.name
    input: InputConfig = Field(default=InputConfig(), description="a table: [input]")
    upstream: UpstreamConfig = Field(default=UpstreamConfig(), description="a table: [upstream]")
    layer: list[LayerConfig] = Field(min_length=1, description="one table or more, in double brackets: [[layer]]")

    @property
    def precise(self) -> bool:
        """True if a target decides the number of draws."""
        return self.rel_error is not None or self.target_error is not None

    def described(self) -> dict[str, Any]:
        """The configuration for the result file: all keys except those that this run does not use."""
        idle = ("samples",) if self.precise else ("rel_error", "target_error", "max_samples")
        return {key: value for key, value in self.model_dump(mode="json").items() if key not in idle}


def load(path: Path, overrides: Sequence[Override] = ()) -> RunConfig:
    """The configuration in `path` with the overrides applied in order."""
    return of_document(read_toml(path), overrides, path)


def of_document(document: dict[str, Any], overrides: Sequence[Override], source: Path | str) -> RunConfig:
    """The configuration in a table with the overrides applied; messages name `source`."""
    check_purpose(document, "run", source)
    for override in overrides:
        apply_override(document, override)
    resolve_target(document, [override.key for override in overrides], source)
    try:
        return RunConfig.model_validate(document)
    except ValidationError as error:
        mistakes = Mistakes()
        for mistake in describe_errors(error):
            key = f"{mistake.key}."
            blame = [o.typed for o in overrides if f"{o.key}.".startswith(key) or key.startswith(f"{o.key}.")]
            where = blame[-1] if blame else str(source)  # for an argument of Python's run(), the message is enough
            mistakes.add(mistake.error(*([where] if where else [])))
        mistakes.check()
        raise


TARGETS = ("rel_error", "target_error")


def resolve_target(document: dict[str, Any], given: Sequence[str], source: Path | str) -> None:
    """`samples` and a target are exclusive. Options replace the file's choice."""
    if "samples" not in given and any(key in given for key in TARGETS):
        document.pop("samples", None)
    elif "samples" in given and not any(key in given for key in TARGETS):
        for key in TARGETS:
            document.pop(key, None)
    target = next((key for key in TARGETS if key in document), None)
    if target and "samples" in document:
        place = "options" if {"samples", target} <= set(given) else source
        raise UsageError(f"{place}: samples and {target} exclude each other; max_samples limits the draws for a target")
    if target is None and "max_samples" in given:
        raise UsageError(
            "max_samples limits the draws for a target, and no target is set; add --rel-error 1e-4, or use -n"
        )


# Mistakes -----------------------------------------------------------------------------------------------------------

NO_LAYER = "there is no [[layer]]; add one table with a name for each layer to sample"
_TABLES: dict[str | int, type[BaseModel]] = {"layer": LayerConfig, "input": InputConfig, "upstream": UpstreamConfig}

_ALTERNATIVES = ("float", "int", "str")  # pydantic appends the name of the type that it tried


class Mistake(NamedTuple):
    """A mistake in a table: its dotted key, the message, and its place, for example `layer 3`."""

    key: str
    message: str
    place: tuple[str, ...] = ()

    def error(self, *place: object) -> UsageError:
        """The mistake as an error; `place` locates the table."""
        return UsageError(self.message, place=(*map(str, place), *self.place))


def describe_error(error: ValidationError, model: type[BaseModel] = RunConfig) -> Mistake:
    """The first mistake in a table of this model."""
    return describe_errors(error, model)[0]


def describe_errors(error: ValidationError, model: type[BaseModel] = RunConfig) -> list[Mistake]:
    """Every mistake in a table of this model, one per key.

    Unknown keys come first. A missing key is left out if an unknown key is a misspelling of it.
    """
    details = sorted(error.errors(include_url=False), key=lambda each: each["type"] != "extra_forbidden")
    unknown: dict[Any, list[str]] = {}  # keys by their table
    for each in details:
        if each["type"] == "extra_forbidden":
            unknown.setdefault(each["loc"][:-1], []).append(str(each["loc"][-1]))
    mistakes: dict[str, Mistake] = {}
    for each in details[: MISTAKES.most]:
        if each["type"] == "missing" and not isinstance(each["input"], Mapping):
            continue  # the place of a list, for one of several lengths that it may have
        if each["type"] == "missing" and closest(str(each["loc"][-1]), unknown.get(each["loc"][:-1], ())):
            continue
        mistake = _described(each, model)
        mistakes.setdefault(mistake.key, mistake)
    return list(mistakes.values())


def _described(mistake: ErrorDetails, model: type[BaseModel]) -> Mistake:
    """The message of gradstat for a mistake that pydantic reports."""
    where = tuple(part for part in mistake["loc"] if part != "[key]" and "tuple[" not in str(part))
    if not where:
        text = f"{toml(mistake['input'])} is not a table; write its keys below a [[header]], e.g. key = value"
        return Mistake("", text)
    if where[-1] in _ALTERNATIVES and mistake["type"] != "extra_forbidden":
        where = where[:-1]
    for part in where[:-1]:
        model = _TABLES.get(part) or _inner(model, part)
    place = (f"layer {int(where[1]) + 1}",) if len(where) > 1 and where[0] == "layer" else ()
    inner = where[2:] if place else where
    key, last, value = ".".join(map(str, inner)), str(where[-1]), mistake["input"]
    if mistake["type"] == "extra_forbidden":
        message = f"unknown key {quoted(key)}; {_suggest(last, key, model)}"
    elif mistake["type"] == "missing":
        message = NO_LAYER if model is RunConfig and last == "layer" else _missing(last, value)
    elif place and not inner:
        message = f"{toml(value)} is not a table with a name; write [[layer]] and below it name = {toml(value)}"
    else:
        field = model.model_fields[next(str(p) for p in reversed(where) if p in model.model_fields)]
        message = _not_allowed(key, value, mistake, field)
    return Mistake(".".join(map(str, where)), message, place)


def _inner(model: type[BaseModel], part: str | int) -> type[BaseModel]:
    """The model of a nested table; `model` itself if the key is not a table."""
    field = model.model_fields.get(str(part))
    kind = field.annotation if field else None
    return kind if isinstance(kind, type) and issubclass(kind, BaseModel) else model


def _not_allowed(key: str, value: Any, mistake: Any, field: FieldInfo) -> str:
    """`input.std = -1 is not allowed; expected a number above 0`."""
    if mistake["type"] != "literal_error":
        return f"{key} = {toml(value)} is not allowed; expected {field.description or 'a table'}"
    if "[key]" in mistake["loc"]:
        return f"unknown key {quoted(key)}; known: {', '.join(_choices(field))}"
    return f"{key} = {toml(value)} is not allowed; expected one of {', '.join(map(toml, _choices(field)))}"


def _choices(field: FieldInfo) -> tuple[str, ...]:
    """The allowed values of a field, or of its keys."""
    tables = [names.table for names in field.metadata if isinstance(names, NameIn)]
    of_keys = get_origin(field.annotation) is dict
    return tuple(tables[0]) if tables else get_args(get_args(field.annotation)[0] if of_keys else field.annotation)


def _missing(name: str, table: Any) -> str:
    close = closest(name, table)
    example = ', e.g. name = "relu"' if name == "name" else ""
    advice = f"is {quoted(close)} a misspelling of it?" if close else f"add one{example}"
    return f"{name} is missing; {advice}"


def _suggest(name: str, key: str, model: type[BaseModel]) -> str:
    """The closest key of this table, otherwise of another table, otherwise all keys of this table."""
    prefix = key.removesuffix(name)
    if close := closest(name, model.model_fields):
        return f"did you mean {quoted(prefix + close)}?"
    elsewhere = {field: f"{table}.{field}" for table in ("upstream", "input") for field in _TABLES[table].model_fields}
    if not prefix and (close := closest(name, elsewhere)):
        return f"did you mean {quoted(elsewhere[close])}?"
    return f"known: {', '.join(prefix + field for field in model.model_fields)}"
