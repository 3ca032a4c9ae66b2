"""Numbers show the digits that their error supports; tables fit their terminal and lose nothing without saying so."""

import math
import re

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from gradstat.text.tables import Column, Report, Table, Terminal, _points, as_text, records
from gradstat.text.uncertain import Uncertain, exact, signed

# Digits -----------------------------------------------------------------------------------------------------------

values = st.floats(-1e12, 1e12) | st.floats(-1e-3, 1e-3) | st.floats(-10, 10)
errors = st.floats(1e-14, 1e9) | st.floats(1e-9, 1.0)


@given(values, errors)
@example(9.9999999e-5, 9.9999999e-5)
@example(0.0, 0.0195)
@example(999999.7, 0.4)
def test_error_supports_every_digit(value: float, error: float) -> None:
    """The text lies within a third of the error of the value, its last digit is not below a tenth of the error."""
    assume(abs(value) / error < 1e13)
    shown_value, shown_error = Uncertain(value, error).parts
    assert abs(float(shown_value) - value) <= error / 3
    assert abs(float(shown_error) - error) <= error / 3
    digits, _, exponent = shown_value.partition("e")
    last = 10.0 ** (int(exponent or 0) - len(digits.partition(".")[2]))
    assert last >= error / 20
    assert len(re.sub(r"\D", "", shown_error.partition("e")[0]).lstrip("0")) <= 2
    assert not re.match(r"-0(\.0*)?$", digits)


@given(values, errors, st.floats(1.0, 1e6))
def test_more_error_never_shows_more_digits(value: float, error: float, factor: float) -> None:
    def last_place(number: Uncertain) -> float:
        digits, _, exponent = number.parts[0].partition("e")
        return 10.0 ** (int(exponent or 0) - len(digits.partition(".")[2]))

    assume(abs(value) / error < 1e13)
    assert last_place(Uncertain(value, error * factor)) >= 0.999 * last_place(Uncertain(value, error))


@pytest.mark.parametrize(
    ("value", "error", "text"),
    [
        (0.211734, 0.00005, "0.21173 ± 0.00005"),
        (0.211734, 0.00015, "0.21173 ± 0.00015"),
        (0.211734, 0.0002, "0.2117 ± 0.0002"),
        (-0.00001, 0.0003, "0.0000 ± 0.0003"),
        (0.00001, 0.00007, "0.00001 ± 0.00007"),
        (123456.0, 300.0, "1.235e+05 ± 0.003e+05"),
        (1.5e-20, 2.2e-22, "1.50e-20 ± 0.02e-20"),
        (0.5, 0.0, "0.5"),
        (0.5, None, "0.5"),
        (math.inf, 1.0, "overflow"),
        (1.0, math.nan, "overflow"),
        (math.inf, None, "∞"),
        (0.125, 1e-20, "0.125"),  # softmax: below the rounding of a float
        (1 / 3, 1e-20, "0.333333333333333"),
    ],
)
def test_value_with_error(value: float, error: float | None, text: str) -> None:
    assert Uncertain(value, error).text == text


@given(st.floats(allow_nan=False))
def test_literal_reads_back_to_the_same_float(value: float) -> None:
    read = eval(Uncertain(value, 0.1).literal)
    assert isinstance(read, float)
    assert read == value


def test_exact_values_and_scores() -> None:
    assert exact(1 / 3) == "0.3333333333"
    assert exact(0.5) == "0.5"
    assert exact(1e-17, scale=1.0) == "0"
    assert exact(1e-20, scale=1e-20) == "1e-20"
    assert [signed(z) for z in (1.44, -0.01, 0.0, -2.25)] == ["+1.4", "+0.0", "+0.0", "-2.2"]


# Tables -----------------------------------------------------------------------------------------------------------

NAMES = Table(
    [Column("layer", wrap=28), Column("q"), Column("x", align="decimal"), Column("more", priority=1)],
    [("linear(in_features=8, out_features=4)", "E[y]", Uncertain(0.123), "word"), ("relu", "E[y]", 7.0, None)],
)


def text(table: Table, width: int, color: bool = False) -> str:
    return as_text(Report([table]), Terminal(width, color))


def test_columns_of_numbers_are_aligned() -> None:
    assert _points(["1.25", "-10.5", "3", "–"]) == ["  1.25", "-10.5 ", "  3   ", "  –   "]
    assert _points([]) == []
    column = Column("x", "", align="decimal")
    numbers = [Uncertain(1.25, 0.1), Uncertain(-31.0, 2.0), Uncertain(0.5), None]
    rows = text(Table([column], [[number] for number in numbers]), 80).splitlines()
    assert rows == ["  1.25 ± 0.10", "-31    ± 2", "  0.5", "  –"]


def test_a_narrow_table_drops_its_optional_column_then_puts_names_above() -> None:
    assert text(NAMES, 50).splitlines() == [
        "layer                            q     x      more",
        "─" * 50,
        "linear(in_features=8,            E[y]  0.123  word",
        "  out_features=4)",
        "relu                             E[y]  7      –",
    ]
    assert text(NAMES, 42).splitlines()[:4] == [
        "layer                          q     x",
        "─" * 42,
        "linear(in_features=8,          E[y]  0.123",
        "  out_features=4)",
    ]
    assert text(NAMES, 30).splitlines() == [
        "q     x",
        "───────────",
        "linear(in_features=8,",
        "  out_features=4)",
        "E[y]  0.123",
        "relu",
        "E[y]  7",
        "left out at 30 columns: more;",
        "every other format has them",
    ]


def test_widths_from_30_columns_on_hold_every_line() -> None:
    for width in range(30, 120):
        lines = text(NAMES, width).splitlines()
        assert max(map(len, lines)) <= width
        assert any("0.123" in line for line in lines)
        assert ("word" in text(NAMES, width)) != ("left out" in text(NAMES, width))


def test_texts_of_several_columns_share_the_room() -> None:
    words = "one two three four five six seven"
    table = Table([Column("a"), Column("b", wrap=8), Column("c", wrap=8)], [("x", words, words), ("y", "short", words)])
    lines = text(table, 40).splitlines()
    assert [line.replace("─", "") for line in lines] == [
        "a  b                   c",
        "",
        "x  one two three four  one two three",
        "     five six seven      four five six",
        "                         seven",
        "y  short               one two three",
        "                         four five six",
        "                         seven",
    ]


def test_a_repeated_name_stands_once() -> None:
    table = Table([Column("layer"), Column("x")], [("relu", 1), ("relu", 2), ("elu", 3), ("relu", 4)])
    assert text(table, 80).splitlines()[2:] == ["relu   1", "       2", "elu    3", "relu   4"]


def test_what_a_check_did_not_pass_is_red_on_a_terminal_with_colors() -> None:
    table = Table([Column("layer"), Column("z")], [("relu", 9.0), ("elu", 1.0)], wrong=frozenset({(0, "z")}))
    assert "\x1b[31m9\x1b[0m" in text(table, 80, color=True)
    assert "\x1b[31m1" not in text(table, 80, color=True)
    assert "\x1b" not in text(table, 80)


def test_idle_columns_are_left_out_for_people_only() -> None:
    table = Table([Column("a"), Column("cell", idle=("all", None))], [("x", "all"), ("y", None)])
    assert text(table, 80).splitlines() == ["a", "─", "x", "y"]
    assert records(table) == [{"a": "x", "cell": "all"}, {"a": "y", "cell": None}]
    assert "cell" in text(Table(table.columns, [*table.rows, ("z", "(0)")]), 80)


def test_records_are_complete_and_finite() -> None:
    columns = [Column("p"), Column("x"), Column("v", people=False)]
    rows = [({"k": 1, "inf": math.inf}, Uncertain(1 / 3, 0.1), math.nan), (None, None, True)]
    assert records(Table(columns, rows)) == [
        {"p": {"k": 1, "inf": None}, "x": 1 / 3, "x_se": 0.1, "v": None},
        {"p": None, "x": None, "x_se": None, "v": True},
    ]
    assert "v" not in text(Table(columns, rows), 80).splitlines()[0].split()


def test_text_never_steers_a_terminal_or_a_workflow() -> None:
    table = Table([Column("a", "")], [["::error::x"], ["\x1b[31mred"]], title="::set-output name=x", notes=["##[add]"])
    lines = text(table, 80).splitlines()
    assert not any(line.startswith(("::", "##[")) for line in lines)
    assert "\x1b" not in "".join(lines)
