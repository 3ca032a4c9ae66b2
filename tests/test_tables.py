"""Tables of constants: every format reads back to the referee's numbers; a committed table is checked to the digit."""

import csv
import io
import json
import math
import re
import shutil
import subprocess
import sys
import tomllib
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from gradstat.cli.app import start
from gradstat.constants import catalogue as constants
from gradstat.constants.catalogue import Column, Computed, ConstantTable, Entry
from gradstat.constants.gain import Constant
from gradstat.constants.literals import report, right_digits
from gradstat.layer_types.case import Case
from gradstat.layer_types.elementwise import ACTIVATIONS
from gradstat.layer_types.record import BACKWARD, Exact, Row
from gradstat.layer_types.registry import find
from gradstat.layer_types.statistics import UNSAMPLED, exact_value
from gradstat.text.formats import CODE, FORMATS, TABLES, render_text
from gradstat.text.machine import identifier
from gradstat.text.uncertain import Uncertain

NAMES = list(constants.tables())
SUFFIXES = [FORMATS[name].suffix for name in (*TABLES, *CODE) if FORMATS[name].text]
CLAIMS = Path(__file__).parents[1] / "configs" / "claims"
TEX = next((engine for engine in ("tectonic", "pdflatex", "xelatex", "lualatex") if shutil.which(engine)), "")


@pytest.fixture(scope="module")
def everything() -> list[Computed]:
    return [constants.compute(table) for table in constants.tables().values()]


@cache
def exact_row(layer: str, params: str, direction: str, cell: str) -> Exact | None:
    """Straight from the layer's record."""
    case = Case(find(layer), json.loads(params))
    row: Row = next(row for row in case.shape.rows if (row.direction, row.cell) == (direction, cell))
    return case.exact(row)


def referee(entry: Entry, column: Column) -> float:
    cell = entry.cell if column.direction == BACKWARD else "all"
    exact = exact_row(entry.layer, json.dumps(entry.params), column.direction, cell)
    assert exact is not None
    if column.statistic in UNSAMPLED:
        bounds = Case(find(entry.layer), entry.params).unsampled(column.statistic)
        assert bounds is not None
        return float(bounds)
    value = exact_value(column.statistic, exact)
    assert value is not None
    return value


def same(read: float | None, exact: float) -> bool:
    """To the last bit; 0 for what is rounding beside 1."""
    if read is None or math.isinf(exact):
        return read is None or math.isinf(read)
    return read == 0.0 if abs(exact) < 1e-13 else read == exact


def every_number(computed: list[Computed]) -> list[tuple[ConstantTable, Entry, Column]]:
    return [(c.table, entry, column) for c in computed for entry, _ in c.lines() for column in c.table.columns]


# What is in them ---------------------------------------------------------------------------------------------------


def test_names_are_unique(everything: list[Computed]) -> None:
    for c in everything:
        assert len({entry.name for entry in c.table.entries}) == len(c.table.entries)
    header = render_text(report(everything), "c")
    macros = re.findall(r"^#define (\w+) ", header, re.MULTILINE)
    infinite = header.count(": ∞, ")
    assert infinite == 2 + 6  # gains that divide by 0, slopes without bound
    assert len(macros) == len(set(macros)) == len(every_number(everything)) - infinite


def test_pytorch_has_every_activation() -> None:
    names = [entry.name for entry in constants.tables()["pytorch"].entries]
    assert [name for name in names if "(" not in name] == ["linear", *list(ACTIVATIONS)[1:]]
    assert {"gelu(tanh)", "gelu(quick)"} < set(names)


def test_published_numbers_are_those_of_the_claims() -> None:
    for name in ("nfnets", "e3nn"):
        claims = tomllib.loads((CLAIMS / f"{name}.toml").read_text(encoding="utf-8"))["claim"]
        claimed = {claim["value"] for claim in claims}
        assert {entry.published for entry in constants.tables()[name].entries} - {""} == claimed


def test_timm_has_the_numbers_of_nfnets_under_its_own_names() -> None:
    """timm/models/nfnet.py: softsign, no glu; nn.GELU is exact where jax.nn.gelu is an approximation."""
    nfnets = {entry.name: entry for entry in constants.tables()["nfnets"].entries}
    timm = {entry.name: entry for entry in constants.tables()["timm"].entries}
    assert set(timm) == set(nfnets) - {"glu", "soft_sign"} | {"softsign"}
    assert (nfnets["gelu"].params, timm["gelu"].params) == ({"approximate": "tanh"}, {})
    assert {e.published for e in timm.values()} == {e.published for e in nfnets.values()} - {nfnets["glu"].published}


def test_series_is_the_closing_table(everything: list[Computed]) -> None:
    lines = render_text(report(everything[:1]), "md").replace("≈", "").splitlines()  # numeric or proven
    assert lines[2] == "|  | Conv/IP | ReLU | Sigmoid | 3×3 Max Pooling | 3×3 Ave Pooling | Dropout, keep 1/2 |"
    assert lines[4] == "| forward mean, E[y] | 0 | 0.3989422804 | 0.5 | 1.485013162 | 0 | 0 |"
    assert lines[5].startswith("| forward std, σ[y] | 1 | 0.5838193701 | 0.2082763449 | 0.5977903699 | 0.3333333333 |")
    assert lines[6].startswith(
        "| backward std, σ[dx] | 1 | 0.7071067812 | 0.2117456997 | 0.3333333333 | 0.1111111111 |"
    )


def test_nfnets_stand_next_to_the_published(everything: list[Computed]) -> None:
    text = render_text(report([c for c in everything if c.table.name == "nfnets"]), "md")
    assert "| silu | 1.787187222 | 1.7881293296813965 | 3 |" in text
    assert "| leaky_relu | 1.704831627 | 1.70590341091156 | 2 |" in text


def test_right_digits() -> None:
    pi = Uncertain(math.pi)
    for published, digits in {"3.1": 2, "3.2": 1, "3.1415927": 8, "3.1415926": 7, "2.9": 1, "9": 0}.items():
        assert right_digits(published, pi) == digits


def test_sampled_numbers_show_their_error() -> None:
    table = ConstantTable("own", "a test", (Column("forward", "std"),), (Entry("a", "relu"), Entry("b", "relu")))
    values = (
        (Constant("forward", "std", Uncertain(0.58381937, 2e-5)),),
        (Constant("forward", "std", Uncertain(0.5838193701)),),
    )
    text = {name: render_text(report([Computed(table, values)]), name) for name in ("md", "python", "c", "json", "csv")}
    assert "| a | 0.58382 ± 0.00002 |" in text["md"]
    assert '"a": 0.58381937,  # ± 2e-05' in text["python"]
    assert "(0.58381937) /* ± 2e-05 */" in text["c"]
    assert [row["value_se"] for row in json.loads(text["json"])["rows"]] == [2e-5, 0.0]
    assert ",0.58381937,2e-05," in text["csv"]
    assert "standard error of 16,777,216 draws, seed 20160328" in text["md"]


# Round trips -------------------------------------------------------------------------------------------------------


def test_python_reads_back(everything: list[Computed]) -> None:
    scope: dict[str, Any] = {}
    exec(render_text(report(everything), "python"), scope)
    for table, entry, column in every_number(everything):
        read = scope[identifier(table.name, column.key)][entry.name]
        assert isinstance(read, float)
        assert same(read, referee(entry, column)), (table.name, entry.name, column)


def test_json_reads_back(everything: list[Computed]) -> None:
    rows = json.loads(render_text(report(everything), "json"))["rows"]
    for (table, entry, column), row in zip(every_number(everything), rows, strict=True):
        assert same(row["value"], referee(entry, column)), (table.name, entry.name, column)
        assert (row["table"], row["name"], row["layer"], row["params"]) == (
            table.name, entry.name, entry.layer, entry.params,
        )  # fmt: skip


def test_csv_reads_back(everything: list[Computed]) -> None:
    rows = list(csv.DictReader(io.StringIO(render_text(report(everything), "csv"))))
    for (table, entry, column), row in zip(every_number(everything), rows, strict=True):
        assert (row["table"], row["name"], row["statistic"]) == (table.name, entry.name, column.statistic)
        assert same(float(row["value"]) if row["value"] else None, referee(entry, column))


@pytest.mark.skipif(not shutil.which("gcc"), reason="no gcc here")
def test_c_header_compiles_and_reads_back(everything: list[Computed], tmp_path: Path) -> None:
    header = render_text(report(everything), "c")
    (tmp_path / "constants.h").write_text(header, encoding="utf-8")
    macros = re.findall(r"^#define (\w+) \(", header, re.MULTILINE)
    body = "\n".join(f'    printf("{name} %.17g\\n", {name});' for name in macros)
    include = '#include "constants.h"\n'
    (tmp_path / "main.c").write_text(f"{include}{include}#include <stdio.h>\nint main(void) {{\n{body}\n}}\n")
    options = ["-std=c99", "-Wall", "-Wextra", "-Werror", "-pedantic"]
    subprocess.run(["gcc", *options, "main.c", "-o", "main"], cwd=tmp_path, check=True, timeout=60)
    printed = subprocess.run([tmp_path / "main"], capture_output=True, text=True, check=True, timeout=60).stdout
    found = {name: float(value) for name, value in (line.split() for line in printed.splitlines())}
    for table, entry, column in every_number(everything):
        exact = referee(entry, column)
        name = identifier("gradstat", table.name, entry.name, column.key)
        assert math.isinf(exact) if name not in found else same(found[name], exact)


def test_latex_is_balanced(everything: list[Computed]) -> None:
    text = render_text(report(everything), "latex")
    assert text.count(r"\begin{tabular}") == text.count(r"\end{tabular}") == len(NAMES)
    assert text.count(r"\toprule") == text.count(r"\midrule") == text.count(r"\bottomrule") == len(NAMES)
    lines = [line for line in text.splitlines() if not line.startswith("%")]
    assert all(ord(character) < 128 for line in lines for character in line)
    assert all(line.count("$") % 2 == 0 and not re.search(r"(?<!\\)_(?![^$]*\$)", line) for line in lines)


@pytest.mark.skipif(not TEX, reason="no TeX engine here (tectonic, pdflatex, xelatex or lualatex)")
def test_latex_compiles(everything: list[Computed], tmp_path: Path) -> None:
    body = render_text(report(everything), "latex")
    document = f"\\documentclass{{article}}\\usepackage{{booktabs}}\\begin{{document}}\n{body}\\end{{document}}\n"
    (tmp_path / "main.tex").write_text(document, encoding="utf-8")
    options = [] if TEX == "tectonic" else ["-interaction=nonstopmode", "-halt-on-error"]
    subprocess.run([TEX, *options, "main.tex"], cwd=tmp_path, check=True, timeout=120, capture_output=True)


# The command -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_check_sees_one_digit(suffix: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / f"table{suffix}"
    assert start(["tables", "timm", "selu", "-o", str(path)]) == 0
    assert start(["tables", "timm", "selu", "--check", str(path)]) == 0
    committed = path.read_text(encoding="utf-8")
    assert committed.count("1.787187222") >= 1
    path.write_text(committed.replace("1.787187222", "1.787187223", 1), encoding="utf-8")
    assert capsys.readouterr().err == ""
    assert start(["tables", "timm", "selu", "--check", str(path)]) == 1
    message = capsys.readouterr().err
    line = next(n for n, text in enumerate(committed.splitlines(), 1) if "1.787187222" in text)
    assert message.startswith(f"gradstat: {path}:{line}: found ")
    assert "1.787187223" in message
    assert "1.787187222" in message
    assert message.count("\n") == 1


def test_check_forgives_another_version_but_no_missing_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "table.py"
    assert start(["tables", "selu", "-o", str(path)]) == 0
    text = path.read_text(encoding="utf-8")
    path.write_text(re.sub(r"gradstat \d\S*:", "gradstat 9.9.9:", text), encoding="utf-8")
    assert start(["tables", "selu", "--check", str(path)]) == 0
    path.write_text(text + "X = 1\n", encoding="utf-8")
    assert start(["tables", "selu", "--check", str(path)]) == 1
    assert "'X = 1'" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["nfnet"], 2, "did you mean 'nfnets'?"),
        (["selu", "-o", "table.xls"], 2, "unknown suffix '.xls'"),
        (["selu", "--check", "nowhere.py"], 4, "there is no such file"),
        (["selu", "--format", "yaml"], 2, "unknown format 'yaml'"),
    ],
)
def test_mistakes_are_one_line(arguments: list[str], code: int, words: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert start(["tables", *arguments]) == code
    message = capsys.readouterr().err
    assert words in message
    assert message.count("\n") == 1


def test_all_tables_need_no_compiler() -> None:
    code = (
        "import sys; from gradstat.cli.app import start; assert start(['tables']) == 0;"
        "print({'numba', 'llvmlite', 'pandas', 'pyarrow'} & set(sys.modules), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "set()\n")
    assert done.stdout.count("## ") == len(NAMES)
