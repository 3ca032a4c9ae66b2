"""Reading TOML files, overriding keys, spelling values in messages, and parsing numbers of draws."""

import difflib
import json
import math
import re
import tomllib
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple

from gradstat.errors import UnreadableFile, UsageError, within
from gradstat.input_files import input_name, read_bytes
from gradstat.limits import KEY_DEPTH, KEYS, LIST_ITEMS, TABLE_KEYS, TEXT

FEWEST, MOST = 2, 10**15
COUNTS = "a whole number from 2 to 1e15, e.g. 1000, 1e8, 100M or 2**27"
_COUNT = re.compile(r"(?P<number>[0-9]{1,20}(\.[0-9]*)?([eE]\+?[0-9]{1,2})?)(?P<suffix>[kKMGT]?)")
_POWER = re.compile(r"(?P<base>[0-9]{1,5})\*\*(?P<power>[0-9]{1,2})")
_SUFFIXES = {"": 1, "k": 10**3, "K": 10**3, "M": 10**6, "G": 10**9, "T": 10**12}
_PART = r"""(?:[\w-]+|"[^"\n]*"|'[^'\n]*')[ \t]*"""
_DEEP_KEY = re.compile(rf"(?:^|[\[{{,])[ \t]*(?:{_PART}\.[ \t]*){{{KEY_DEPTH.most}}}", re.MULTILINE)
_PLACE_IN_TOML = re.compile(r" \(at line (\d+), column (\d+)\)")


class InvalidToml(UsageError):
    """A file that is not TOML. Before Python 3.14 tomllib gives the position of the error only in its message."""

    def __init__(self, path: Path, reason: str) -> None:
        at = _PLACE_IN_TOML.search(reason)
        self.line, column = map(int, at.groups()) if at else (1, 1)
        reason = reason[: at.start()] if at else reason
        self.message = f"not valid TOML: {reason[:1].lower()}{reason[1:]}"
        super().__init__(self.message, place=(f"{input_name(path)}:{self.line}:{column}",))


class Override(NamedTuple):
    """A value that replaces the file's: its dotted key, and the text of the option."""

    key: str
    value: Any
    typed: str


def read_toml(path: Path) -> dict[str, Any]:
    """The parsed file; UsageError or UnreadableFile with one line otherwise."""
    return parse_toml(read_text(path), path)


def read_text(path: Path) -> str:
    """The text of a TOML file, or of standard input if the path is `-`."""
    name = input_name(path)
    try:
        content = read_bytes(path)
    except FileNotFoundError:
        raise UsageError(f"{path}: there is no such file", _closest_file(path)) from None
    except IsADirectoryError:
        raise UsageError(f"{path}: is a directory; name a configuration in it, a .toml file") from None
    except (OSError, ValueError) as error:
        raise UnreadableFile(f"{path}: cannot be read: {getattr(error, 'strerror', None) or error}") from None
    if len(content) > TEXT.most:
        raise UsageError(f"{name}: is larger than {TEXT.most >> 20} MiB, the limit for a configuration")
    if content.startswith(b"PAR1"):
        raise UsageError(f"{name}: is a result, not a configuration", f"gradstat show {path}")
    try:
        return content.decode("utf-8-sig").replace("\r\n", "\n")
    except UnicodeDecodeError:
        raise UsageError(f"{name}: is not UTF-8 text; a configuration is a TOML file in UTF-8") from None


def parse_toml(text: str, path: Path) -> dict[str, Any]:
    """The parsed text of a file; UsageError if it is not TOML, or too deep or too long for a configuration."""
    with within(input_name(path)):
        if _DEEP_KEY.search(text):  # tomllib takes quadratic time and memory
            raise UsageError(f"a dotted key has more than {KEY_DEPTH.most} parts")
        KEYS.check(text.count("=") + text.count("[") + text.count("{"))
    try:
        document = tomllib.loads(text)
    except (ValueError, RecursionError) as error:  # ValueError also for an integer of more than 4300 digits
        raise InvalidToml(path, " ".join(str(error).split()).partition(";")[0]) from None
    with within(input_name(path)):
        check_sizes(document)
    return document


def check_sizes(document: dict[str, Any]) -> None:
    """Raise UsageError for a table or list with more entries than any command takes: each would cost a check."""
    inner: list[Any] = [document]
    while inner:
        value = inner.pop()
        if isinstance(value, dict):
            TABLE_KEYS.check(len(value))
            inner.extend(value.values())
        elif isinstance(value, list):
            LIST_ITEMS.check(len(value))
            inner.extend(value)


# The table that a file of each command holds, and what such a file is.
PURPOSES = {
    "layer": ("run", "a configuration of layers"),
    "claim": ("verify", "a file of claims"),
    "network": ("propagate", "a configuration of networks"),
}


def check_purpose(document: Mapping[str, Any], command: str, source: Path | str) -> None:
    """Raise UsageError for a file that another command reads."""
    purposes = [PURPOSES[key] for key in PURPOSES if key in document]
    if purposes and command not in [other for other, _ in purposes]:
        other, description = purposes[0]
        raise UsageError(f"{source}: is {description}", f"gradstat {other} {source}")


def parse_override(text: str) -> Override:
    """`input.std=2` → key and value; a value that is not TOML is text."""
    key, _, value = (part.strip() for part in text.partition("="))
    if not re.fullmatch(r"[\w-]+(\.[\w-]+)*", key) or not value:
        raise UsageError(f"--set {text}: expected key=value, for example --set input.std=2")
    if key.partition(".")[0] == "layer":
        raise UsageError(f"--set {text}: layers cannot be overridden; edit them in the file")
    try:
        document = tomllib.loads(f"value = {value}")
    except (ValueError, RecursionError):
        document = {"value": value}
    return Override(key, document["value"] if len(document) == 1 else value, f"--set {text}")


def apply_override(document: dict[str, Any], override: Override) -> None:
    """Set a dotted key, creating missing tables."""
    *tables, last = override.key.split(".")
    for table in tables:
        document = document.setdefault(table, {})
        if not isinstance(document, dict):
            raise UsageError(f"{override.typed}: {table} is a value, not a table, and has no keys")
    document[last] = override.value


def toml(value: Any) -> str:
    """A value in TOML notation, cut to a readable length."""
    if isinstance(value, dict):
        text = f"{{ {', '.join(f'{key} = {toml(inner)}' for key, inner in value.items())} }}"
    elif isinstance(value, list):
        text = f"[{', '.join(map(toml, value))}]"
    elif isinstance(value, float) and not math.isfinite(value):
        text = str(value)
    elif isinstance(value, str | bool | int | float):
        text = json.dumps(value, ensure_ascii=False)
    else:
        text = str(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def count(value: Any) -> Any:
    """A whole number from 100, 1e8, "1e8", "100M", "10_000" or "2**27"; other values are returned unchanged."""
    if isinstance(value, float) and value.is_integer():
        return int(value)
    text = re.sub(r"(?<=[0-9])_(?=[0-9])", "", value.strip()) if isinstance(value, str) else ""
    if match := _POWER.fullmatch(text):
        return int(match["base"]) ** int(match["power"])
    if match := _COUNT.fullmatch(text):
        number = Decimal(match["number"]) * _SUFFIXES[match["suffix"]]
        return int(number) if number == int(number) else value
    return value


def draws(name: str, value: Any) -> int:
    """A number of draws; UsageError if `value` is not one."""
    number = count(value)
    if not isinstance(number, int) or not FEWEST <= number <= MOST:
        raise UsageError(f"{name} = {toml(value)} is not allowed; expected {COUNTS}")
    return number


def _closest_file(path: Path) -> str:
    """The most similar name in the same folder, or the folder's configurations."""
    try:
        names = sorted(entry.name for entry in path.parent.iterdir())
    except OSError:
        return f"nor is there a directory {path.parent}" if str(path.parent) != "." else ""
    configurations = [name for name in names if name.endswith(".toml")]
    if close := difflib.get_close_matches(path.name, configurations or names, n=1):
        return f"did you mean {path.parent / close[0]}?"
    where = "this folder" if path.parent == Path() else str(path.parent)
    return f"configurations in {where}: {', '.join(configurations[:5])}" if configurations else ""
