"""Claims: published numbers in TOML files, each with its source, its definition and the expected verdict."""

import bisect
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationError, WithJsonSchema, field_validator

from gradstat.assumptions import Input, Upstream
from gradstat.config import MEAN, STD, TEXT, InputConfig, Strict, Text, UpstreamConfig, describe_error
from gradstat.errors import MalformedClaim, Mistakes, UsageError, quoted, unknown, within
from gradstat.layer_types.case import EXPRESSION, Case
from gradstat.layer_types.from_config import input_of, upstream_of
from gradstat.layer_types.record import ALL, Layer, Row
from gradstat.layer_types.registry import resolve
from gradstat.layer_types.statistics import KNOWN
from gradstat.layer_types.unsampled import check_unsampled
from gradstat.solving.request import placeholders, wanted_of
from gradstat.solving.solve import problem_of
from gradstat.toml_file import InvalidToml, check_purpose, parse_toml, read_text
from gradstat.verification.combinations import Combination, combination
from gradstat.verification.rounding_interval import RoundingInterval, evaluate, evaluate_exactly, parse

MATRICES = ("windows", "tap_factor")  # statistics of a strided map whose value is a matrix, rows separated by `;`
VERDICTS = ("confirmed", "imprecise", "refuted", "undecided")
NUMBERS = ("mean", "std", "correlation")  # values of input or upstream that may be arithmetic in quotes
Key = tuple[Any, ...]
_HEADER = re.compile(r"^[ \t]*\[\[\s*claim\s*\]\]", re.MULTILINE)
_IDS = re.compile(r"""id\s*=\s*["'](?P<id>[^"'\n]*)["']""")
HEADER = re.compile(rb"^[ \t]*\[*[ \t]*claim[ \t]*[\]=]", re.MULTILINE)  # a claims table or array in TOML


class Obtained(Strict):
    """How the source obtained its number, and the size of its simulation if it used one."""

    method: Literal["monte-carlo", "closed-form", "quadrature", "unknown"] = "unknown"
    samples: int | None = Field(default=None, ge=2, le=10**18, description="a whole number from 2 to 1e18")


class SolveConfig(Strict):
    """Equations whose solution is the claimed number."""

    unknowns: list[Text] = Field(
        alias="for", min_length=1, max_length=8, description='a name such as "input.std", or a list of names'
    )
    such_that: list[Text] = Field(
        min_length=1, max_length=8, description='a list of equations, e.g. ["forward.std = 1"]'
    )

    @property
    def name(self) -> str:
        """The first unknown, whose value is claimed."""
        return self.unknowns[0].partition("=")[0].strip()

    @field_validator("unknowns", "such_that", mode="before")
    @classmethod
    def _as_list(cls, value: Any) -> Any:
        return [value] if isinstance(value, str) else value


ARITHMETIC = WithJsonSchema({"anyOf": [{"type": "number"}, {"type": "string"}]})  # strings are evaluated before


class ClaimInput(InputConfig):
    """What is assumed of x. In a file, mean and std may be arithmetic in quotes, e.g. "sqrt(2)"."""

    mean: Annotated[float, ARITHMETIC] = MEAN
    std: Annotated[float, ARITHMETIC] = STD


class ClaimConfig(Strict):
    """One `[[claim]]` table."""

    id: str = Field(pattern=r"^[A-Za-z0-9._-]{1,100}$", description="1 to 100 letters, digits, dots, - and _")
    source: Text = Field(min_length=1, description=f"who printed the number: {TEXT}")
    url: Text = Field(default="", pattern=r"^(https?://[^\s<>]+)?$", description='an address, e.g. "https://arxiv.org"')
    locator: Text = Field(default="", description=TEXT)
    definition: Text = Field(default="", description=TEXT)
    layer: str = Field(default="", description='the name of a layer, e.g. "relu"')
    expression: Text | None = Field(
        default=None, description='a formula of x instead of a layer, e.g. "x * sigmoid(x)"'
    )
    params: dict[str, Any] = Field(
        default_factory=dict, description='a table of parameters: numbers, or arithmetic in quotes, e.g. "sqrt(2)"'
    )
    input: ClaimInput = ClaimInput()
    upstream: UpstreamConfig = UpstreamConfig()
    direction: Literal["forward", "backward"] | None = Field(default=None, description='"forward" or "backward"')
    cell: str = Field(default=ALL, description='a cell, e.g. "(0, 1)", or "all"')
    statistic: str = Field(
        default="",
        description='a name out of `gradstat list statistics`, or arithmetic, e.g. "forward.std / backward.std"',
    )
    solve: SolveConfig | None = Field(
        default=None, description='a table, e.g. { for = "input.std", such_that = ["forward.std = 1"] }'
    )
    scale: float | int | str = Field(default=1.0, description='a number, or arithmetic in quotes, e.g. "sqrt(2)"')
    value: str = Field(description='the number as it is printed, in quotes, e.g. "0.2123"')
    obtained: Obtained = Field(
        default=Obtained(), description='a table, e.g. { method = "monte-carlo", samples = 1000 }'
    )
    expect: Literal["confirmed", "imprecise", "refuted"] = "confirmed"


class ClaimsFile(Strict):
    """A claims file."""

    claim: list[ClaimConfig] = Field(min_length=1, description="one table or more, in double brackets: [[claim]]")


@dataclass(frozen=True)
class Position:
    """The position of a claimed number in a text file.

    Its column from 1, its first byte `start`, and the file's content.
    """

    column: int
    start: int
    literal: str
    content: bytes = field(repr=False)
    fixable: bool = True  # True for a decimal number, whose digits can be replaced


@dataclass(frozen=True)
class Claim:
    """A claim with its parsed layer, statistic and value."""

    config: ClaimConfig
    path: Path
    line: int
    position: Position | None = None  # of a number in code; None in a claims file

    @property
    def id(self) -> str:
        return self.config.id

    @property
    def column(self) -> int | None:
        """The column of a number in code; None in a claims file."""
        return self.position.column if self.position else None

    @property
    def place(self) -> str:
        """`file:line`, and the column in code."""
        return f"{self.path}:{self.line}" + (f":{self.position.column}" if self.position else "")

    @property
    def is_matrix(self) -> bool:
        """True if the value is a matrix of counts or factors."""
        return self.config.statistic in MATRICES

    @cached_property
    def case(self) -> Case:
        """The layer with its parameters and assumptions."""
        c = self.config
        x, dy = input_of(c.input), upstream_of(c.upstream)
        if c.expression is None:
            layer, implied = resolve(c.layer)
            return Case(layer, {**implied, **_settled(layer, c.params)}, x, dy)
        own = placeholders(c.expression, wanted_of(c.solve.unknowns), c.params) if c.solve else {}
        return _formula_case(c.expression, json.dumps({**c.params, **own}), x, dy)

    @property
    def subject(self) -> str:
        """The layer, or the formula."""
        return self.config.layer or str(self.config.expression)

    @cached_property
    def combination(self) -> Combination:
        """The claimed statistic, or arithmetic of several statistics."""
        return combination(self.config.statistic, self.config.direction or "")

    @cached_property
    def rows(self) -> dict[str, Row]:
        """The row of each direction that the claim is about."""
        directions = {term.direction for term in self.combination.terms}
        return {direction: self._row(direction) for direction in sorted(directions)}

    def _row(self, direction: str) -> Row:
        rows = {row.cell: row for row in self.case.shape.rows if row.direction == direction}
        if self.config.cell not in rows:
            raise UsageError(unknown(f"cell of {self.case.label} {direction}", self.config.cell, rows))
        return rows[self.config.cell]

    @cached_property
    def keys(self) -> dict[str, Key]:
        """The key of the row of each direction."""
        return {direction: key_of(self.case, row) for direction, row in self.rows.items()}

    @cached_property
    def printed(self) -> RoundingInterval:
        """The printed value, and the interval of values that round to it."""
        return parse(self.config.value)

    @cached_property
    def scale(self) -> float:
        """The factor between gradstat's statistic and the printed number."""
        scale = self.config.scale
        with within("scale"):
            return scale if isinstance(scale, float) else evaluate(str(scale))

    @property
    def exact_scale(self) -> Fraction:
        """The factor with 60 digits."""
        return evaluate_exactly(str(self.config.scale))

    def check(self) -> None:
        """Raise UsageError for a claim that cannot be checked."""
        if (self.config.expression is None) == (not self.config.layer):
            raise UsageError("a claim is about either a layer or an expression; give one of the two")
        self.case.check()
        if (self.config.solve is None) == (not self.config.statistic):
            raise UsageError("a claim is about either a statistic or the solution of equations; give one of the two")
        if self.is_matrix:
            return
        if self.config.solve is not None:
            self._check_solution(self.config.solve)
            return
        plain = re.fullmatch(r"\w*", self.config.statistic)
        if plain and self.config.statistic not in KNOWN:
            raise UsageError(unknown("statistic", self.config.statistic, (*KNOWN, *MATRICES)))
        if plain and self.config.direction is None:
            raise UsageError("direction is missing; expected 'forward' or 'backward'")
        _ = self.rows, self.printed
        for term in self.combination.unsampled:
            check_unsampled(self.case, term.direction, term.statistic)
        self._check_scale()

    def _check_solution(self, request: SolveConfig) -> None:
        if self.config.direction is not None or self.config.cell != ALL:
            raise UsageError("solve: direction and cell are not allowed; equations name forward.STATISTIC themselves")
        _ = self.printed
        with within("solve"):
            problem_of(self.case, wanted_of(request.unknowns), request.such_that)
        self._check_scale()

    def _check_scale(self) -> None:
        if not 1e-100 <= abs(self.scale) <= 1e100:
            raise UsageError(f"scale = {self.scale:g} is not allowed; expected a number from 1e-100 to 1e100")


@lru_cache(maxsize=1024)
def _formula_case(text: str, params: str, x: Input, dy: Upstream) -> Case:
    """The case of a formula, checked to be finite."""
    from gradstat.layer_types.expression.layer import check, expression_layer

    given = json.loads(params)
    layer = expression_layer(text, tuple(given))
    case = Case(layer, {EXPRESSION: text} | _settled(layer, given), x, dy)
    check(layer, case.params, x)
    return case


def _settled(layer: Layer, params: Mapping[str, Any]) -> dict[str, Any]:
    """The parameters, with arithmetic in quotes as numbers unless the text itself is an allowed value."""
    domains = {parameter.name: parameter.domain for parameter in layer.parameters}
    settled: dict[str, Any] = {}
    for name, value in params.items():
        if isinstance(value, str) and name in domains and not domains[name].contains(value):
            value = _number(name, value)
        settled[name] = value
    return settled


def _number(name: str, text: str) -> float:
    with within(name):
        return evaluate(text)


def _numbers(table: Any) -> Any:
    """The table of a claim, with arithmetic in quotes as numbers in the assumptions about x and dy."""
    if not isinstance(table, dict):
        return table
    settled = dict(table)
    for name in ("input", "upstream"):
        if isinstance(part := table.get(name), dict):
            settled[name] = {
                key: _number(f"{name}.{key}", value) if isinstance(value, str) and key in NUMBERS else value
                for key, value in part.items()
            }
    return settled


def key_of(case: Case, row: Row) -> Key:
    """The key of a row: layer, parameters, assumptions, direction and cell."""
    return case.layer.name, case.params_json, case.x, case.dy, row.direction, row.cell


def read(path: Path) -> Iterator[Claim]:
    """The claims of a TOML file, in order; UsageError names file and line of a malformed claim."""
    text = read_text(path)
    try:
        document = parse_toml(text, path)
    except InvalidToml as error:
        raise MalformedClaim(path, error.line, error.message) from None
    check_purpose(document, "verify", path)
    tables = document.get("claim")
    if set(document) != {"claim"} or not isinstance(tables, list) or not tables:
        found = "none" if tables == [] else ", ".join(map(quoted, document)) or "nothing"
        raise MalformedClaim(path, 1, f"expected [[claim]] tables and nothing else, found: {found}")
    mistakes = Mistakes()
    for table, line in zip(tables, _lines(text, tables), strict=True):
        try:
            claim = claim_of(table, path, line)
        except MalformedClaim as error:
            mistakes.add(error)
        else:
            yield claim
    mistakes.check()


def claim_of(table: Any, path: Path, line: int, position: Position | None = None) -> Claim:
    """The claim of one table; MalformedClaim with its line for a mistake in it."""
    try:
        with within(*_name(table)):
            return _claim(table, path, line, position)
    except UsageError as error:
        raise MalformedClaim(path, line, str(error)) from None


def _claim(table: Any, path: Path, line: int, position: Position | None) -> Claim:
    """The claim in a table; UsageError if it cannot be checked."""
    try:
        claim = Claim(ClaimConfig.model_validate(_numbers(table)), path, line, position)
    except ValidationError as error:
        raise describe_error(error, ClaimConfig).error() from None
    claim.check()
    return claim


def _lines(text: str, tables: Sequence[Any]) -> list[int]:
    """The line of each claim: that of its header, or of its id if claims are written as an array."""
    starts = [match.start() for match in _HEADER.finditer(text)]
    if len(starts) != len(tables):
        places: dict[str, int] = {}
        for match in _IDS.finditer(text):
            places.setdefault(match["id"], match.start())
        starts = [places.get(_id(table), 0) for table in tables]
    breaks = [match.start() for match in re.finditer("\n", text)]
    return [bisect.bisect_left(breaks, start) + 1 for start in starts]


def _id(table: Any) -> str:
    return str(table.get("id", "")) if isinstance(table, dict) else ""


def _name(table: Any) -> tuple[str, ...]:
    """The place of a claim in messages, `claim 'relu-std'`; empty without a valid id."""
    return (f"claim {quoted(_id(table))}",) if _id(table) else ()
