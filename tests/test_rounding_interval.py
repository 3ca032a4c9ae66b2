"""RoundingInterval numbers: their intervals in exact arithmetic, and what is not a number."""

import math
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gradstat.errors import UsageError
from gradstat.verification.rounding_interval import evaluate, parse, rounded

INTERVALS = {
    "0.5": ("0.45", "0.55"),
    "0.50": ("0.495", "0.505"),
    "0.2123": ("0.21225", "0.21235"),
    "1e-3": ("0.0005", "0.0015"),
    "1.0e-3": ("0.00095", "0.00105"),
    "1e3": ("500", "1500"),
    "12E+2": ("1150", "1250"),
    "-0": ("-0.5", "0.5"),
    "-1.5": ("-1.55", "-1.45"),
    "+2.": ("1.5", "2.5"),
    ".5": ("0.45", "0.55"),
    " 7 ": ("6.5", "7.5"),
    "1.0507009873554804934193349852946": (
        "1.05070098735548049341933498529455",
        "1.05070098735548049341933498529465",
    ),
}
EXPRESSIONS = {
    "5/3": 5.0 / 3.0,
    "sqrt(1/2)": math.sqrt(0.5),
    "sqrt(1/2-1/(2*pi))": math.sqrt(0.5 - 0.5 / math.pi),
    "-(e**2)": -math.exp(2.0),
    "2**0.5": math.sqrt(2.0),
    "1.0507009873554804934193349852946/1": 1.0507009873554805,
    "1/1": 1.0,
    "07/2": 3.5,
    "--3": None,  # neither a decimal number nor wrong: minus minus three
}
HOSTILE = [
    *("", " ", "abc", "__import__('os').system('x')", "1 if 1 else 2", "[1]", "1_000", "0x10", "1j", "'1'", "True"),
    *("nan", "inf", "-inf", "1e", "e1 1", "1 2", "2pi", "pi(1)", "sqrt", "sqrt()", "sqrt(1,2)", "sqrt(x=1)", "1;2"),
    *("sqrt(-1)", "(-8)**(1/3)", "1/0", "0**-1", "9**9**9**9", "10**400", "10**(-400)", "1e999999", "1e99999/1"),
    *(
        "0.3**9999999999",
        "(" * 150 + "1" + ")" * 49,
        "(" * 90 + "1",
        "1" * 201,
        "1or 2",
        "٣",
        "½",
        "1\n+\n",
        "0/0",
    ),
]


@pytest.mark.parametrize("text", INTERVALS)
def test_interval_of_a_decimal_number_is_exact(text: str) -> None:
    printed, (low, high) = parse(text), INTERVALS[text]
    assert (printed.low, printed.high) == (Fraction(low), Fraction(high))
    assert printed.value == float(Decimal(text.strip()))
    assert printed.half_width == pytest.approx(float(Fraction(high) - Fraction(low)) / 2, rel=1e-15)


@pytest.mark.parametrize("text", [text for text, value in EXPRESSIONS.items() if value is not None])
def test_expression_is_its_value_to_1e_12(text: str) -> None:
    printed, value = parse(text), EXPRESSIONS[text]
    assert value is not None
    assert printed.value == pytest.approx(value, rel=4e-16)
    assert printed.decimals is None
    assert printed.half_width == pytest.approx(1e-12 * abs(value), rel=1e-12)
    assert evaluate(text) == printed.value


def test_zero_as_an_expression_has_room() -> None:
    assert (parse("0/1").low, parse("0/1").high) == (Fraction(-1, 10**12), Fraction(1, 10**12))
    assert parse("--3").value == 3.0


@pytest.mark.parametrize("text", HOSTILE)
def test_what_is_no_number_is_refused_in_one_line(text: str) -> None:
    with pytest.raises(UsageError) as refused:
        parse(text)
    assert "\n" not in str(refused.value)
    assert len(str(refused.value)) < 320


@given(st.floats(-1e6, 1e6), st.integers(0, 8))
def test_a_value_lies_in_the_interval_of_its_own_rounding(value: float, decimals: int) -> None:
    printed = parse(rounded(value, decimals))
    assert printed.low <= Fraction(value) <= printed.high
    assert printed.decimals == decimals
    for unit in (-1, 1):
        other = parse(str(Decimal(printed.text) + unit * Decimal(1).scaleb(-decimals)))
        assert not other.low < Fraction(value) < other.high


@pytest.mark.parametrize(
    ("value", "decimals", "text"),
    [
        (0.21174, 4, "0.2117"),
        (-1e-9, 3, "0.000"),
        (2345.6, -2, "23e2"),
        (2.0, 2, "2.00"),
        (1e15, 20, f"1{'0' * 15}.{'0' * 20}"),
    ],
)
def test_rounded(value: float, decimals: int, text: str) -> None:
    assert rounded(value, decimals) == text
