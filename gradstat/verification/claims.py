"""Claims: published numbers in TOML files, each with its source, its definition and the expected verdict."""

import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, ValidationError

from gradstat.config import TEXT, InputConfig, Strict, Text, UpstreamConfig, describe_error
from gradstat.errors import MalformedClaim, Mistakes, UsageError, quoted, unknown, within
from gradstat.layer_types.case import Case
from gradstat.layer_types.from_config import input_of, upstream_of
from gradstat.layer_types.record import ALL, Row
from gradstat.layer_types.registry import case_of
from gradstat.layer_types.statistics import STATISTICS
from gradstat.toml_file import InvalidToml, check_purpose, parse_toml, read_text
from gradstat.verification.rounding_interval import RoundingInterval, evaluate, evaluate_exactly, parse

MATRICES = ("windows", "tap_factor")  # statistics of a strided map whose value is a matrix, rows separated by `;`
VERDICTS = ("confirmed", "imprecise", "refuted", "undecided")
Key = tuple[Any, ...]
_HEADER = re.compile(r"^[ \t]*\[\[\s*claim\s*\]\]", re.MULTILINE)


class Obtained(Strict):
    """How the source obtained its number, and the size of its simulation if it used one."""

    method: Literal["monte-carlo", "closed-form", "quadrature", "unknown"] = "unknown"
    samples: int | None = Field(default=None, ge=2, le=10**18, description="a whole number from 2 to 1e18")


class ClaimConfig(Strict):
    """One `[[claim]]` table."""

    id: str = Field(pattern=r"^[A-Za-z0-9._-]{1,100}$", description="1 to 100 letters, digits, dots, - and _")
    source: Text = Field(min_length=1, description=f"who printed the number: {TEXT}")
    url: Text = Field(default="", pattern=r"^(https?://[^\s<>]+)?$", description='an address, e.g. "https://arxiv.org"')
    locator: Text = Field(default="", description=TEXT)
    definition: Text = Field(default="", description=TEXT)
    layer: str = Field(description='the name of a layer, e.g. "relu"')
    params: dict[str, Any] = Field(default_factory=dict, description="a table of the layer's parameters")
    input: InputConfig = InputConfig()
    upstream: UpstreamConfig = UpstreamConfig()
    direction: Literal["forward", "backward"]
    cell: str = Field(default=ALL, description='a cell, e.g. "(0, 1)", or "all"')
    statistic: str = Field(description="a name out of `gradstat list statistics`")
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
class Claim:
    """A claim with its parsed layer, statistic and value."""

    config: ClaimConfig
    path: Path
    line: int

    @property
    def id(self) -> str:
        return self.config.id

    @property
    def place(self) -> str:
        """`file:line`."""
        return f"{self.path}:{self.line}"

    @property
    def is_matrix(self) -> bool:
        """True if the value is a matrix of counts or factors."""
        return self.config.statistic in MATRICES

    @cached_property
    def case(self) -> Case:
        """The layer with its parameters and assumptions."""
        c = self.config
        return case_of(c.layer, c.params, input_of(c.input), upstream_of(c.upstream))

    @cached_property
    def row(self) -> Row:
        """The row of the layer that the claim is about."""
        rows = {row.cell: row for row in self.case.shape.rows if row.direction == self.config.direction}
        if self.config.cell not in rows:
            raise UsageError(unknown(f"cell of {self.case.label} {self.config.direction}", self.config.cell, rows))
        return rows[self.config.cell]

    @cached_property
    def key(self) -> Key:
        """The key of its row."""
        return key_of(self.case, self.row)

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
        """The same as the number that was written, to 60 digits."""
        return evaluate_exactly(str(self.config.scale))

    def check(self) -> None:
        """Raise UsageError for a claim that cannot be checked."""
        _ = self.case.shape
        if self.is_matrix:
            return
        if self.config.statistic not in STATISTICS:
            raise UsageError(unknown("statistic", self.config.statistic, (*STATISTICS, *MATRICES)))
        _ = self.row, self.printed
        if not 1e-100 <= abs(self.scale) <= 1e100:
            raise UsageError(f"scale = {self.scale:g} is not allowed; expected a number from 1e-100 to 1e100")


def key_of(case: Case, row: Row) -> Key:
    """The key of a row: layer, parameters, assumptions, direction and cell."""
    return case.layer.name, case.params_json, case.x, case.dy, row.direction, row.cell


def load(paths: Sequence[Path]) -> list[Claim]:
    """All claims of some files and folders, in order; UsageError names file and line of a malformed one."""
    claims: dict[str, Claim] = {}
    for path in _files(paths):
        for claim in _read(path):
            if claim.id in claims:
                message = f"id {claim.id!r} is already used at {claims[claim.id].place}"
                raise MalformedClaim(claim.path, claim.line, message)
            claims[claim.id] = claim
    return list(claims.values())


def _files(paths: Sequence[Path]) -> Iterator[Path]:
    for path in paths:
        if not os.path.isdir(path):  # Path.is_dir raises OSError for a name that is too long
            yield path
            continue
        found = sorted(path.glob("*.toml"))
        if not found:
            raise UsageError(f"{path}: there is no .toml file in this folder")
        yield from found


def _read(path: Path) -> Iterator[Claim]:
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
            with within(*_name(table)):
                claim = _claim(table, path, line)
        except UsageError as error:
            mistakes.add(MalformedClaim(path, line, str(error)))
        else:
            yield claim
    mistakes.check()


def _claim(table: Any, path: Path, line: int) -> Claim:
    """The claim in a table; UsageError if it cannot be checked."""
    try:
        claim = Claim(ClaimConfig.model_validate(table), path, line)
    except ValidationError as error:
        raise describe_error(error, ClaimConfig).error() from None
    claim.check()
    return claim


def _lines(text: str, tables: Sequence[Any]) -> list[int]:
    """The line of each claim: that of its header, or of its id if claims are written as an array."""
    starts = [match.start() for match in _HEADER.finditer(text)]
    if len(starts) != len(tables):
        found = [re.search(rf"""id\s*=\s*["']{re.escape(_id(table))}["']""", text) for table in tables]
        starts = [match.start() if match else 0 for match in found]
    return [text.count("\n", 0, start) + 1 for start in starts]


def _id(table: Any) -> str:
    return str(table.get("id", "")) if isinstance(table, dict) else ""


def _name(table: Any) -> tuple[str, ...]:
    """The place of a claim in messages, `claim 'relu-std'`; empty without a valid id."""
    return (f"claim {quoted(_id(table))}",) if _id(table) else ()
