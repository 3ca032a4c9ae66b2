"""Constants where they stand: annotations in code, number literals of languages, fixes, and hostile files."""

import math
import os
import re
import subprocess
import tracemalloc
from collections.abc import Callable
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from scipy import integrate, special

import gradstat
from gradstat.cli.app import start
from gradstat.errors import MalformedClaim, UsageError
from gradstat.limits import TEXT
from gradstat.verification.annotations import claims_in, table_of
from gradstat.verification.files import configured, load
from gradstat.verification.number_literals import last_number, rewritten

# The constants, by quadrature of this test's own

FUNCTIONS: dict[str, tuple[Callable[[float], float], Callable[[float], float]]] = {
    "relu": (lambda x: max(x, 0.0), lambda x: float(x > 0.0)),
    "gelu": (lambda x: x * special.ndtr(x), lambda x: special.ndtr(x) + x * density(x)),
    "silu": (lambda x: x * special.expit(x), lambda x: special.expit(x) * (1.0 + x * special.expit(-x))),
    "tanh": (math.tanh, lambda x: 1.0 / math.cosh(x) ** 2),
    "sigmoid": (special.expit, lambda x: special.expit(x) * special.expit(-x)),
    "elu": (lambda x: x if x > 0.0 else math.expm1(x), lambda x: 1.0 if x > 0.0 else math.exp(x)),
    "hardtanh": (lambda x: min(max(x, -1.0), 1.0), lambda x: float(abs(x) < 1.0)),
    "leaky": (lambda x: x if x > 0.0 else 0.2 * x, lambda x: 1.0 if x > 0.0 else 0.2),
}


def density(x: float) -> float:
    return math.exp(-0.5 * x * x) / math.sqrt(2.0 * math.pi)


@cache
def moment(name: str, part: int, power: int, std: float) -> float:
    def integrand(z: float) -> float:
        return float(FUNCTIONS[name][part](std * z)) ** power * density(z)

    pieces = sorted((-12.0, -1.0 / std, 0.0, 1.0 / std, 12.0))
    parts = [integrate.quad(integrand, a, b, epsabs=1e-15, epsrel=1e-13)[0] for a, b in pairwise(pieces)]
    return math.fsum(parts)


def constant(name: str, direction: str, statistic: str, std: float = 1.0) -> float:
    mean = moment(name, 0, 1, std) if direction == "forward" else 0.0
    second = moment(name, int(direction == "backward"), 2, std)
    root = math.sqrt(second - mean**2)
    return {
        "mean": mean,
        "rms": math.sqrt(second),
        "std": root,
        "gain_std": 1 / root,
        "gain_rms": 1 / math.sqrt(second),
    }[statistic]


def c(name: str, direction: str, statistic: str, digits: int, std: float = 1.0, scale: float = 1.0) -> str:
    """A constant with so many digits after the point."""
    return f"{scale * constant(name, direction, statistic, std):.{digits}f}"


# A repository of five languages with forty annotated constants


def repository() -> dict[str, str]:
    python = f"""\
RELU = {c("relu", "forward", "gain_rms", 9)}  # gradstat: relu forward gain_rms
GELU = {c("gelu", "forward", "gain_rms", 10)}    # gradstat: gelu forward gain_rms
LEAKY: float = {c("leaky", "backward", "gain_std", 8)};  # gradstat: leaky_relu(negative_slope=0.2) backward gain_std
y = 2 * scale(x, by={c("tanh", "forward", "std", 7)})  # gradstat: tanh forward std
KAIMING = math.sqrt(2)  # gradstat: relu forward gain_rms
SHIFT = -{c("sigmoid", "forward", "mean", 1)}  # gradstat: `-sigmoid(x)` forward mean
WIDE = {c("tanh", "forward", "rms", 6, 2.0)}  # gradstat: tanh forward rms, input(std=2)
NOISY = 1.5937  # gradstat: tanh forward gain_rms, monte-carlo 1e6 draws, expect imprecise
NONE = 1.0  # an ordinary comment that mentions gradstat
# gradstat: KEY forward gain_std
_gammas = dict(
    relu={c("relu", "forward", "gain_std", 7)},  # the usual one: 1.5
    gelu={c("gelu", "forward", "gain_std", 5)}, silu={c("silu", "forward", "gain_std", 6)},
    tanh={c("tanh", "forward", "gain_std", 4)},
    none=3.5,  # gradstat: skip
)
AFTER = dict(relu=3.0)
"""
    cpp = f"""\
constexpr float kRelu = std::sqrt(2.0f);  // gradstat: relu forward gain_rms
constexpr double kSilu{{{c("silu", "forward", "gain_rms", 11)}}};\t// gradstat: silu forward gain_rms
static const float kElu = {c("elu", "forward", "gain_std", 6)}f; /* gradstat: elu forward gain_std */
double mean() {{ return {c("gelu", "forward", "mean", 7)}; }}  // gradstat: gelu forward mean
// gradstat: KEY backward rms
const std::map<std::string, float> kSlopes = {{
    {{"sigmoid", {c("sigmoid", "backward", "rms", 7)}f}},
    {{"tanh", {c("tanh", "backward", "rms", 6)}f}},
    {{"silu", {c("silu", "backward", "rms", 6)}f}},
}};
float other = 0.5f;
"""
    big = c("hardtanh", "forward", "rms", 2, scale=1e4)
    rust = f"""\
pub const SIGMOID: f64 = {c("sigmoid", "forward", "gain_std", 8)}; // gradstat: sigmoid forward gain_std
pub const TANH: f32 = {c("tanh", "backward", "gain_rms", 6)}_f32; // gradstat: tanh backward gain_rms
pub const HARD: f64 = {c("hardtanh", "forward", "rms", 9)}f64; // gradstat: hardtanh forward rms
pub const BIG: f64 = {big[0]}_{big[1:]}; // gradstat: hardtanh forward rms * 1e4
// gradstat: KEY forward rms
fn rms(name: &str) -> f64 {{
    match name {{
        "relu" => {c("relu", "forward", "rms", 8)},
        "gelu" => {c("gelu", "forward", "rms", 8)},
        "elu" => {c("elu", "forward", "rms", 8)},
    }}
}}
"""
    julia = f"""\
const GELU = {c("gelu", "backward", "rms", 7)}f0  # gradstat: gelu backward rms
const ELU = {c("elu", "backward", "std", 8)[1:]}  # gradstat: elu backward std
const RATIO = 1 / sqrt(2)  # gradstat: relu backward std
const SMALL = {c("hardtanh", "backward", "std", 6, scale=1e3)}e-3  # gradstat: hardtanh backward std
# gradstat: KEY forward mean
const MEANS = Dict(
    "relu" => {c("relu", "forward", "mean", 7)},
    :gelu => {c("gelu", "forward", "mean", 6)},
    "elu" => {c("elu", "forward", "mean", 9)},
    "silu" => {c("silu", "forward", "mean", 8)},
)
"""
    ratio = constant("tanh", "backward", "std") / constant("tanh", "forward", "std")
    tex = f"""\
The gain of SiLU is ${c("silu", "forward", "gain_rms", 5)}$. % gradstat: silu forward gain_rms
That of tanh is {c("tanh", "forward", "gain_rms", 4)} % gradstat: tanh forward gain_rms
\\begin{{tabular}}{{lr}} % the table of the appendix
The slope of relu: \\verb|0x1.6a09e6p-1| % gradstat: relu backward rms
Swish of 1: {c("silu", "forward", "std", 6)} % gradstat: `x * sigmoid(beta * x)`(beta=1) forward std
Its ratio: {ratio:.6f}. % gradstat: tanh backward.std / forward.std
In Fortran: {c("gelu", "backward", "gain_std", 8)}D0 % gradstat: gelu backward gain_std, id fortran
"""
    return {"gains.py": python, "src/gains.cpp": cpp, "src/gains.rs": rust, "gains.jl": julia, "paper.tex": tex}


CLAIMS_OF_REPOSITORY = 40
# The claims whose last digit is changed, by file and what stands before the number on its line.
WRONG = [
    ("gains.py", "GELU = "),
    ("gains.py", "WIDE = "),
    ("gains.py", "silu="),
    ("src/gains.cpp", "kElu = "),
    ("src/gains.cpp", '{"tanh", '),
    ("src/gains.rs", "BIG: f64 = "),
    ("src/gains.rs", '"gelu" => '),
    ("gains.jl", "const ELU = "),
    ("gains.jl", "SMALL = "),
    ("paper.tex", "In Fortran: "),
]


def planted(text: str, before: str) -> tuple[str, int, int]:
    """The text with another last digit in the number after `before`, and the number's line and column."""
    start = text.index(before) + len(before)
    number = re.match(r"[0-9_.]*[0-9]", text[start:])
    assert number is not None
    end = start + number.end()
    digit = (int(text[end - 1]) + 1) % 10
    line = text.count("\n", 0, start) + 1
    return f"{text[: end - 1]}{digit}{text[end:]}", line, start - text.rfind("\n", 0, start)


def write_repository(folder: Path) -> set[str]:
    """The repository with its ten wrong constants; `file:line:column` of each."""
    texts, places = repository(), set()
    for name, before in WRONG:
        texts[name], line, column = planted(texts[name], before)
        places.add(f"{name}:{line}:{column}")
    for name, text in texts.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")
    return places


def git(folder: Path, *arguments: str) -> str:
    identity = ["-c", "user.name=t", "-c", "user.email=t@example.org"]
    done = subprocess.run(["git", *identity, *arguments], cwd=folder, check=True, capture_output=True, text=True)
    return done.stdout


def test_ten_wrong_constants_of_forty_are_found_and_fixed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    monkeypatch.chdir(tmp_path)
    places = write_repository(tmp_path)
    git(tmp_path, "init", "-q")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-qm", "constants")

    assert start(["verify", ".", "--quick", "--format", "concise"]) == 1
    *lines, counts = capsys.readouterr().out.splitlines()
    assert counts.startswith(f"{CLAIMS_OF_REPOSITORY} claims: ")
    assert {re.match(r"[^:]*:\d+:\d+", line)[0] for line in lines} == places  # type: ignore[index]
    assert all("refuted, expected confirmed" in line for line in lines)

    assert start(["verify", ".", "--quick", "--diff"]) == 1
    shown = capsys.readouterr().out
    assert len(re.findall(r"(?m)^\+(?!\+\+)", shown)) == len(WRONG)
    assert git(tmp_path, "status", "--porcelain") == ""

    assert start(["verify", ".", "--quick", "--fix"]) == 0
    assert "fixed 10 numbers in 5 files" in capsys.readouterr().err
    for name, text in repository().items():
        assert (tmp_path / name).read_text(encoding="utf-8") == text
    assert start(["verify", ".", "--quick"]) == 0
    words = git(tmp_path, "diff", "--word-diff=porcelain", "--word-diff-regex=[0-9]|[^0-9]")
    changed = re.findall(r"(?m)^[+-](?!\+\+|--)(.*)$", words)
    assert len(changed) == 2 * len(WRONG)
    assert all(re.fullmatch("[0-9]", word) for word in changed)


def test_a_right_repository_has_nothing_wrong(tmp_path: Path) -> None:
    """The negative control of the test above."""
    for name, text in repository().items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text, encoding="utf-8")
    verification = gradstat.verify(tmp_path, quick=True)
    assert verification.ok
    assert len(verification) == CLAIMS_OF_REPOSITORY
    assert verification.fixes().diff() == ""


# Number literals

LITERALS = [
    ("GAIN = 1.5335", "1.5335", "1.5335"),
    ("float g = 1.5f;", "1.5f", "1.5"),
    ("x = 1_000.5", "1_000.5", "1000.5"),
    ("x = 1'000.5;", "1'000.5", "1000.5"),
    ("x = 1.5e0", "1.5e0", "1.5e0"),
    ("x = 1.5E-03", "1.5E-03", "1.5e-3"),
    ("x = 0x1.8p0", "0x1.8p0", "0x1.8p0"),
    ("x = .5", ".5", ".5"),
    ("x = 5.", "5.", "5."),
    ("x = 1.5D0", "1.5D0", "1.5e0"),
    ("x = 1.5f0", "1.5f0", "1.5e0"),
    ("x: f32 = 1.5f32;", "1.5f32", "1.5"),
    ("x = 1.5_dp", "1.5_dp", "1.5"),
    ("x = 1.5L;", "1.5L", "1.5"),
    ("x = -1.5", "-1.5", "-1.5"),
    ("f(x) - 1.5", "1.5", "1.5"),
    ("f(-1.5, a)", "-1.5", "-1.5"),
    ("x = std::sqrt(2.0f);", "std::sqrt(2.0f)", "sqrt(2.0)"),
    ("x = math.sqrt(2)", "math.sqrt(2)", "sqrt(2)"),
    ("return (np.sqrt(2 / (1 + 0.2 ** 2)))", "(np.sqrt(2 / (1 + 0.2 ** 2)))", "(sqrt(2 / (1 + 0.2 ** 2)))"),
    ("x = 5 / 3", "5 / 3", "5 / 3"),
    ('"tanh": 5.0 / 3,', "5.0 / 3", "5.0 / 3"),
    ("Tanh => 5. / 3.,", "5. / 3.", "5. / 3."),
    ("x = 1.5 / 3", "3", "3"),
    ("silu(x) * 1.6765", "1.6765", "1.6765"),
    ('gain("relu", 1.4142)', "1.4142", "1.4142"),
    ("GAIN_2 = v1.5x + 1.25", "1.25", "1.25"),
    ("x2 = y3", None, None),
    ("", None, None),
]


@pytest.mark.parametrize(("line", "text", "value"), LITERALS, ids=[line for line, _, _ in LITERALS])
def test_the_number_that_ends_a_line(line: str, text: str | None, value: str | None) -> None:
    literal = last_number(line)
    if text is None:
        assert literal is None
        return
    assert literal is not None
    assert (literal.text, literal.value) == (text, value)
    assert line[literal.start : literal.end] == text


@pytest.mark.parametrize(
    ("literal", "number", "expected"),
    [
        ("1.50f", "1.53", "1.53f"),
        ("-1.50", "-1.53", "-1.53"),
        (".50", "0.53", ".53"),
        ("0.99", "1.01", "1.01"),
        ("1.50e-3", "0.00153", "1.53e-3"),
        ("1.50D+01", "15.3", "1.53D+01"),
        ("1_000.25", "1234.56", "1_234.56"),
        ("1'000.25", "999.56", "999.56"),
        ("1.50", "-1.53", "-1.53"),
        ("15e1", "1.6e2", "16e1"),
        ("1.5_f32", "1.6", "1.6_f32"),
        ("1.50f0", "1.5335304", "1.5335304f0"),
    ],
)
def test_a_literal_keeps_its_notation(literal: str, number: str, expected: str) -> None:
    assert rewritten(literal, number) == expected


# The text of an annotation


def test_the_parts_of_an_annotation() -> None:
    assert table_of("gelu forward gain_rms") == {"layer": "gelu", "direction": "forward", "statistic": "gain_rms"}
    text = "max_pool2d(kernel_size=[2, 2], stride=2) backward std * sqrt(2)"
    text += ", input(std=2, distribution=laplace), cell (0, 1)"
    assert table_of(text) == {
        "layer": "max_pool2d",
        "params": {"kernel_size": [2, 2], "stride": 2},
        "direction": "backward",
        "statistic": "std",
        "scale": "sqrt(2)",
        "input": {"std": 2, "distribution": "laplace"},
        "cell": "(0, 1)",
    }
    text = "`max(x, 0, a)`(a=sqrt(2)) 1 / forward.var, monte-carlo 1_000_000 draws, expect imprecise, id mine"
    assert table_of(text) == {
        "expression": "max(x, 0, a)",
        "params": {"a": "sqrt(2)"},
        "statistic": "1 / forward.var",
        "obtained": {"method": "monte-carlo", "samples": 10**6},
        "expect": "imprecise",
        "id": "mine",
    }


MISTAKES = [
    ("x = 1.5  # gradstat: sigmiod forward std", "unknown layer 'sigmiod'; did you mean 'sigmoid'?"),
    ("x = 1.5  # gradstat: gelu forward sdt", "unknown statistic 'sdt'; did you mean 'std'?"),
    ("x = 1.5  # gradstat: gelu std", "expected a direction and a statistic"),
    ("x = 1.5  # gradstat:", "expected a layer, a formula in backquotes or KEY"),
    ("x = 1.5  # gradstat: gelu forward std, expct imprecise", "expected input(…), upstream(…)"),
    ("x = 1.5  # gradstat: gelu forward std, expect nothing", "expect"),
    ("x = 1.5  # gradstat: elu(alpha) forward std", "'alpha': expected name=value"),
    ("x = 1.5  # gradstat: elu(alpha=1, alpha=2) forward std", "alpha is given twice"),
    ("x = 1.5  # gradstat: elu(alpha=(1 forward std", "'(' is never closed"),
    ("x = 1.5  # gradstat: `x * tahn(x)` forward std", "did you mean 'tanh'"),
    ("x = 1.5  # gradstat: `__import__('os').system('touch owned')` forward std", "unexpected character"),
    ("x = y  # gradstat: gelu forward std", "there is no number before it on its line"),
    ("x = 1.5  # gradstat: KEY forward std", "put it on a separate line"),
    ("# gradstat: KEY forward std\nx = y", "there are no numbers with keys below it"),
    ("# gradstat: KEY forward std\nx = {'gleu': 1.5}", "gleu: unknown layer 'gleu'"),
    ("x = 1.5  # gradstat: gelu forward std, id a b", 'id = "a b"'),
    ("x = 1.5  # gradstat: gelu forward std" + "," * 2000, "at most 1000 are allowed"),
]


@pytest.mark.parametrize(("text", "message"), MISTAKES, ids=[message for _, message in MISTAKES])
def test_mistakes_name_file_and_line(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "a.py"
    path.write_text(f"\n{text}\n", encoding="utf-8")
    with pytest.raises(MalformedClaim) as caught:
        load([path])
    text = str(caught.value)
    assert re.match(rf"{re.escape(str(path))}:[23]: annotation: ", text)
    assert message in text
    assert text.isprintable()
    assert not Path("owned").exists()


# Files


RIGHT, BAD = "0.3989", "0.3988"  # the mean of relu
LINE = "# gradstat: relu forward mean"


@pytest.mark.parametrize(
    "content",
    [
        f"a = {BAD}  {LINE}".encode(),  # no newline at the end
        f"\ufeffa = {BAD}  {LINE}\r\nb = 2\r\n".encode(),
        f"# caf\xe9\na = '\xfc', {BAD}  {LINE}\n".encode("latin-1"),
        f"# ünïcödé ✓\nα = {BAD}  {LINE}  \r\n\r\n\r\n".encode(),
        f"a = {BAD}  {LINE}\rb = 1\r".encode(),
        f"a = {BAD}  {LINE}\n\x0c\x1b[31m\n".encode(),
        f"<!-- x --> {BAD} <!-- gradstat: relu forward mean -->\n".encode(),
        f"local a = {BAD} -- gradstat: relu forward mean\n".encode(),
        f"a = {BAD} ; gradstat: relu forward mean\n".encode(),
        f"let a = {BAD} (* gradstat: relu forward mean *)\n".encode(),
        b"x" * 10**6 + f" {BAD} {LINE}\n".encode(),
    ],
    ids=range(11),
)
def test_a_fix_changes_the_digits_and_nothing_else(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes(content)
    path.chmod(0o640)
    verification = gradstat.verify(path, quick=True)
    assert [outcome.verdict for outcome in verification] == ["refuted"]
    verification.fixes().write()
    assert path.read_bytes() == content.replace(BAD.encode(), RIGHT.encode())
    assert path.stat().st_mode & 0o777 == 0o640
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.txt"]
    assert gradstat.verify(path, quick=True).ok


def test_claims_in_toml_are_fixed_too(tmp_path: Path) -> None:
    claim = (
        '[[claim]]\nid = "{}"\nsource = "s"\nlayer = "relu"\ndirection = "forward"\nstatistic = "mean"\nvalue = "{}"\n'
    )
    path = tmp_path / "claims.toml"
    path.write_bytes(b"# kept\r\n" + (claim.format("a", RIGHT) + claim.format("b", BAD)).encode())
    gradstat.verify(path, quick=True).fixes(digits=6).write()
    assert path.read_bytes() == b"# kept\r\n" + (claim.format("a", RIGHT) + claim.format("b", "0.398942")).encode()


def test_what_cannot_be_fixed_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    monkeypatch.chdir(tmp_path)
    Path("a.py").write_text(f"a = math.sqrt(3)  # gradstat: relu forward gain_rms\nb = {BAD}  {LINE}\n")
    assert start(["verify", "a.py", "--quick", "--fix", "-q"]) == 1
    error = capsys.readouterr().err
    assert "a.py:1:5: a.py-1-5: not fixed: math.sqrt(3) is not a decimal number" in error
    assert "fixed 1 number in 1 file" in error
    assert Path("a.py").read_text().endswith(f"b = {RIGHT}  {LINE}\n")


def test_a_file_that_changed_meanwhile_is_left_alone(tmp_path: Path) -> None:
    paths = [tmp_path / name for name in ("a.py", "b.py")]
    for path in paths:
        path.write_text(f"a = {BAD}  {LINE}\n")
    fixes = gradstat.verify(tmp_path, quick=True).fixes()
    paths[1].write_text(f"b = {BAD}  {LINE}\n")
    with pytest.raises(UsageError, match=r"b.py: has changed since it was read; nothing was written"):
        fixes.write()
    assert [path.read_text()[0] for path in paths] == ["a", "b"]
    assert all(BAD in path.read_text() for path in paths)


def test_folders_are_walked_and_what_is_no_text_is_left_out(tmp_path: Path) -> None:
    outside = tmp_path / "outside.py"
    outside.write_text(f"a = {RIGHT}  {LINE}\n")
    root = tmp_path / "root"
    for folder in (root / ".git", root / "node_modules", root / "a" / "b"):
        folder.mkdir(parents=True)
        (folder / "a.py").write_text(f"a = {RIGHT}  {LINE}\n")
    (root / "binary").write_bytes(b"\0" + f"a = {RIGHT}  {LINE}\n".encode())
    (root / "large.py").write_bytes(b" " * TEXT.most + f"\na = {RIGHT}  {LINE}\n".encode())
    (root / "other.toml").write_text("[tool]\nname = 1\n")
    (root / "out.py").symlink_to(outside)
    (root / "loop").symlink_to(root)
    os.mkfifo(root / "pipe")
    assert [claim.path for claim in load([root])] == [root / "a" / "b" / "a.py"]
    for path, message in (
        ("binary", "is a binary file"),
        ("large.py", "is larger than 16 MiB"),
        ("no.py", "no such file"),
    ):
        with pytest.raises(UsageError, match=message):
            load([root / path])
    (root / "empty.py").write_text("a = 1\n")
    with pytest.raises(UsageError, match="contains no claims"):
        load([root / "empty.py"])


def test_a_pyproject_names_the_paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert configured(Path()) == []
    Path("pyproject.toml").write_text('[tool.gradstat]\npaths = ["src"]\n')
    Path("src").mkdir()
    Path("src/a.py").write_text(f"a = {RIGHT}  {LINE}\n")
    assert configured(Path()) == [Path("src")]
    assert len(gradstat.verify(quick=True)) == 1
    for wrong in ('paths = "src"', "paths = [1]"):
        Path("pyproject.toml").write_text(f"[tool.gradstat]\n{wrong}\n")
        with pytest.raises(UsageError, match=r"expected paths = \["):
            configured(Path())


# Hostile files


def test_what_a_file_says_reaches_no_terminal_and_no_workflow(tmp_path: Path, monkeypatch: Any, capsys: Any) -> None:
    monkeypatch.chdir(tmp_path)
    name = "a\x1b[31m,::error::x\n.py"
    Path(name).write_text(f"::error::owned {BAD}  {LINE}, id x\n\x1b[31m = {BAD} {LINE}, source ::error::y\n")
    for shown in ("github", "concise", "table", "json"):
        assert start(["verify", ".", "--quick", "--format", shown]) == 1
        output = capsys.readouterr().out
        assert "\x1b" not in output
        assert "\x07" not in output
        if shown in ("github", "concise"):
            lines = output.splitlines()
            assert len(lines) == 3
            assert all(line.startswith("::error file=a") for line in lines[:2]) == (shown == "github")


def test_ten_thousand_annotations_and_a_line_of_a_megabyte_take_little_memory(tmp_path: Path) -> None:
    """Reading 10,000 annotations, a line of 10 MB with 10,000 of them, and 10,000 brackets: below 100 MB together."""
    many = f"a = {RIGHT}  {LINE}\n".encode() * 10_000
    wide = (f"1.5 {LINE} " * 10_000 + "(" * 10**6 + "9" * 10**6).encode()
    table = b"# gradstat: KEY forward mean\n" + b"{" * 10_000 + b"\n" + b"'relu': 0.3989,\n" * 1000
    tracemalloc.start()
    assert len(list(claims_in(Path("a"), many))) == 10_000
    with pytest.raises(MalformedClaim, match="at most 1000 are allowed"):
        list(claims_in(Path("a"), wide))
    assert len(list(claims_in(Path("a"), table))) == 1000
    assert tracemalloc.get_traced_memory()[1] < 100 * 2**20
    tracemalloc.stop()


@pytest.mark.parametrize(("page", "claims"), [("constants-in-code.md", 11), ("annotated-files.md", 25)])
def test_the_examples_of_the_documentation_are_right(page: str, claims: int) -> None:
    verification = gradstat.verify(Path(__file__).parents[1] / "docs" / page)
    assert verification.ok
    assert len(verification) == claims
