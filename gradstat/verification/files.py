"""The files that contain claims: TOML files, and other text files with annotations in comments."""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from gradstat.errors import GradstatError, MalformedClaim, UnreadableFile, UsageError, within
from gradstat.input_files import is_stdin, read_bytes
from gradstat.limits import CLAIMS, KERNELS, TEXT
from gradstat.toml_file import parse_toml
from gradstat.verification.annotations import claims_in
from gradstat.verification.claims import HEADER, Claim, read

SKIPPED = frozenset((".git", ".hg", ".svn", ".venv", "venv", "node_modules", "__pycache__", ".tox", ".mypy_cache"))
BINARY = 8192  # a NUL in this number of first bytes marks a binary file


def load(paths: Sequence[Path]) -> list[Claim]:
    """All claims of some files and folders, in order; UsageError names file and line of a malformed claim."""
    claims: dict[str, Claim] = {}
    formulas: set[str | None] = set()
    for path in paths:
        for claim in _claims(path):
            if claim.id in claims:
                message = f"id {claim.id!r} is already used at {claims[claim.id].place}"
                raise MalformedClaim(claim.path, claim.line, message)
            claims[claim.id] = claim
            formulas |= {claim.config.expression} - {None}
            with within(path):
                CLAIMS.check(len(claims))
                KERNELS.check(len(formulas))
    if not claims:
        raise UsageError(
            f"{', '.join(map(str, paths))}: contains no claims; expected a file of [[claim]] tables, or code "
            "with comments such as: # gradstat: gelu forward gain_rms"
        )
    return list(claims.values())


def configured(folder: Path) -> list[Path]:
    """The paths in `[tool.gradstat]` of the folder's pyproject.toml; empty if it has none."""
    path = folder / "pyproject.toml"
    try:
        document = parse_toml(read_bytes(path).decode("utf-8"), path)
    except (OSError, ValueError, GradstatError):  # no such file, or one that is not valid TOML
        return []
    table = document.get("tool", {}).get("gradstat", {}) if isinstance(document.get("tool", {}), dict) else {}
    paths = table.get("paths", []) if isinstance(table, dict) else None
    if not isinstance(paths, list) or not all(isinstance(name, str) and name for name in paths):
        raise UsageError(f'{path}: [tool.gradstat]: expected paths = ["src", ...]')
    return [folder / name for name in paths]


def _claims(path: Path) -> Iterator[Claim]:
    if is_stdin(path):
        yield from read(path)
    elif os.path.isdir(path):  # Path.is_dir raises OSError for a name that is too long
        for inner in walk(path):
            content = content_of(inner)
            if len(content) <= TEXT.most and b"\0" not in content[:BINARY]:
                yield from _claims_of(inner, content, explicit=False)
    elif path.suffix == ".toml" and not os.path.isfile(path):
        yield from read(path)  # raises UsageError with the reason
    else:
        content = content_of(path)
        if len(content) > TEXT.most:
            raise UsageError(f"{path}: is larger than {TEXT.most >> 20} MiB")
        if b"\0" in content[:BINARY]:
            raise UsageError(f"{path}: is a binary file; expected TOML, or another text file")
        yield from _claims_of(path, content, explicit=True)


def _claims_of(path: Path, content: bytes, explicit: bool) -> Iterator[Claim]:
    """The claims of a file: a TOML file of claims, or annotations."""
    if path.suffix == ".toml" and (HEADER.search(content) or (explicit and b"gradstat:" not in content)):
        yield from read(path)
    else:
        yield from claims_in(path, content)


def walk(folder: Path) -> Iterator[Path]:
    """The regular files below a folder, in order: without links to other folders and SKIPPED folders."""
    root = os.path.realpath(folder)
    for here, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if name not in SKIPPED)
        for name in sorted(names):
            path = os.path.join(here, name)
            real = os.path.realpath(path)
            if os.path.isfile(path) and (not os.path.islink(path) or os.path.commonpath([root, real]) == root):
                yield Path(path)


def content_of(path: Path) -> bytes:
    """The bytes of a file, at most one more than TEXT allows."""
    try:
        return read_bytes(path)
    except FileNotFoundError:
        raise UsageError(f"{path}: there is no such file or folder") from None
    except (OSError, ValueError) as error:
        raise UnreadableFile(f"{path}: cannot be read: {getattr(error, 'strerror', None) or error}") from None
