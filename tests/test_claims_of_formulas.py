"""Claims about formulas, arithmetic of statistics, and arithmetic in what a claim assumes."""

import math
from pathlib import Path
from typing import Any

import pytest

from gradstat.errors import UsageError
from gradstat.verification.claims import Claim
from gradstat.verification.combinations import Term, combination
from gradstat.verification.files import load
from gradstat.verification.sequential import measure, sample
from gradstat.verification.verify import verify

SEED = 20160328
F_STD, B_STD, F_MEAN = Term("forward", "std"), Term("backward", "std"), Term("forward", "mean")
VALUES = {F_STD: 0.7, B_STD: 1.3, F_MEAN: -0.4}


def claims_of(folder: Path, *bodies: str) -> list[Claim]:
    tables = [f'[[claim]]\nid = "c{i}"\nsource = "s"\n{body}\n' for i, body in enumerate(bodies)]
    path = folder / "claims.toml"
    path.write_text("\n".join(tables), encoding="utf-8")
    return load([path])


def verdicts(folder: Path, *bodies: str) -> list[str]:
    return [outcome.verdict for outcome in verify(claims_of(folder, *bodies), SEED, quick=True)]


# Arithmetic of statistics


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("forward.std / backward.std", 0.7 / 1.3),
        ("1 / forward.std", 1 / 0.7),
        ("-forward.mean", 0.4),
        ("sqrt(forward.std * backward.std)", math.sqrt(0.7 * 1.3)),
        ("(3 + sqrt(17)) / 2 - forward.std ** 2 / backward.std", (3 + math.sqrt(17)) / 2 - 0.49 / 1.3),
        ("forward.std ** -0.25 + pi * e", 0.7**-0.25 + math.pi * math.e),
        ("2 ** backward.std - forward.mean * forward.mean", 2**1.3 - 0.16),
        ("std", 0.7),
    ],
)
def test_value_and_derivatives_of_a_combination(text: str, value: float) -> None:
    c = combination(text, "forward")
    assert c.at(VALUES)[0] == pytest.approx(value, rel=1e-14)
    for term, slope in c.at(VALUES)[1].items():
        near = [c.at(VALUES | {term: VALUES[term] + side})[0] for side in (-1e-6, 1e-6)]
        assert slope == pytest.approx((near[1] - near[0]) / 2e-6, rel=1e-8)


def test_a_combination_without_a_value_is_nan() -> None:
    for text in (
        "1 / (forward.std - forward.std)",
        "sqrt(forward.mean)",
        "forward.mean ** 0.5",
        "9 ** 9 ** (9 * forward.std)",
    ):
        assert not math.isfinite(combination(text).at(VALUES)[0]), text


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("forward.sdt", "unknown statistic 'sdt'; did you mean 'std'?"),
        ("upward.std", "unknown direction 'upward'"),
        ("forward.std /", "it ends where a number, a name or '(' was expected"),
        ("forward.std.real + 1", "unexpected character '.' at character 12"),
        ("__import__('os')", "is not arithmetic of statistics"),
        ("abs(forward.std)", "is not arithmetic of statistics"),
        ("sqrt(2)", "the arithmetic contains no statistic of the layer"),
        ("std + 1", "std: its direction is missing"),
        ("forward.std if forward.std else 1", "found 'if' where an operator was expected"),
        ("(" * 150, "nested deeper than 50"),
        ("forward.std" + "+1" * 100, "at most 200 are allowed"),
        ("forward.std + windows", "unknown statistic 'windows'"),
    ],
)
def test_what_is_no_combination(text: str, message: str) -> None:
    with pytest.raises(UsageError, match=message.replace("(", r"\(").replace("?", r"\?")):
        combination(text)


# Claims


def test_a_ratio_is_decided_and_one_digit_more_or_less_is_refuted(tmp_path: Path) -> None:
    """hardtanh: σ[dx]/σ[y] = 1.15017022296…"""
    body = 'layer = "hardtanh"\nstatistic = "backward.std / forward.std"\nvalue = "{}"'
    values = ("1.15017022296", "1.15017022297", "1.15017022295")
    assert verdicts(tmp_path, *(body.format(value) for value in values)) == ["confirmed", "refuted", "refuted"]


def test_a_formula_is_a_claim_with_parameters(tmp_path: Path) -> None:
    """The mean of a·max(x, 0) at σ = √2 is a·√2/√(2π)."""
    body = 'expression = "a * max(x, 0)"\nparams = {{ a = "{}" }}\ninput = {{ std = "sqrt(2)" }}\n'
    rest = 'direction = "forward"\nstatistic = "mean"\nvalue = "{}"'
    bodies = [
        body.format(a) + rest.format(value) for a, value in (("1/2", "0.2821"), ("3/2", "0.8463"), ("1", "0.5643"))
    ]
    assert verdicts(tmp_path, *bodies) == ["confirmed", "confirmed", "refuted"]


def test_the_cut_normal_distribution_is_a_ratio_of_a_value_and_its_slope(tmp_path: Path) -> None:
    """σ of N(0, 1) cut to (−2, 2) is √(1 − 4·φ(2)/(2Φ(2) − 1))."""
    inside = math.erf(math.sqrt(2.0))
    cut = math.sqrt(1.0 - 4.0 * math.exp(-2.0) / math.sqrt(2.0 * math.pi) / inside)
    body = 'expression = "where(abs(x) < 2, x, 0)"\nstatistic = "forward.std / backward.std"\nvalue = "{:.9f}"'
    assert verdicts(tmp_path, body.format(cut), body.format(cut + 2e-9)) == ["confirmed", "refuted"]


def test_errors_of_sampled_terms_add_up(tmp_path: Path) -> None:
    """|sampled − exact| within 5 errors for 20 seeds, and the error is the sum of those of the terms."""
    body = 'layer = "hardtanh"\nstatistic = "{}"\nvalue = "1.15"\ndirection = "forward"'
    texts = ("backward.std / forward.std", "backward.std / 1", "1 / forward.std")
    ratio, over, under = claims_of(tmp_path, *(body.format(text) for text in texts))
    for seed in range(20):
        samples = sample([ratio], lambda case: 2**14, seed, 1)
        measured = measure(ratio, samples)
        assert abs(measured.value - 1.150170222963877) < 5.0 * measured.error
        parts = measure(over, samples), measure(under, samples)
        expected = parts[0].error * parts[1].value + parts[1].error * parts[0].value
        assert measured.error == pytest.approx(expected, rel=1e-12)
        assert measured.unit_error == pytest.approx(measured.error * 2**7, rel=1e-12)


def test_a_source_with_draws_of_its_own_is_imprecise(tmp_path: Path) -> None:
    body = 'layer = "hardtanh"\nstatistic = "backward.std / forward.std"\nvalue = "{}"\n'
    obtained = 'obtained = { method = "monte-carlo", samples = 1_000_000 }'
    assert verdicts(tmp_path, body.format("1.149") + obtained, body.format("1.149")) == ["imprecise", "refuted"]
    assert verdicts(tmp_path, body.format("1.139") + obtained) == ["refuted"]


MISTAKES: list[tuple[str, str]] = [
    ('statistic = "mean"\nvalue = "1"\ndirection = "forward"', "either a layer or an expression"),
    (
        'layer = "relu"\nexpression = "x"\nstatistic = "mean"\nvalue = "1"\ndirection = "forward"',
        "either a layer or an",
    ),
    ('layer = "relu"\nstatistic = "mean"\nvalue = "1"', "direction is missing"),
    ('expression = "x * tanhh(x)"\nstatistic = "forward.std / 2"\nvalue = "1"', "did you mean 'tanh'"),
    ('expression = "log(x)"\nstatistic = "forward.std / 2"\nvalue = "1"', "'log(x)' is nan at x = "),
    ('expression = "a * x"\nstatistic = "forward.std / 2"\nvalue = "1"', "unknown name 'a'"),
    (
        'layer = "relu"\nstatistic = "forward.std / 2"\nvalue = "1"\ninput = { std = "sqrt(" }',
        "input.std: value 'sqrt('",
    ),
    ('layer = "elu"\nparams = { alpha = "x" }\nstatistic = "forward.std / 2"\nvalue = "1"', "alpha: value 'x'"),
    ('layer = "gelu"\nparams = { approximate = "tan" }\nstatistic = "forward.std / 2"\nvalue = "1"', "approximate"),
]


@pytest.mark.parametrize(("body", "message"), MISTAKES, ids=[message for _, message in MISTAKES])
def test_mistakes_name_the_line(tmp_path: Path, body: str, message: str) -> None:
    with pytest.raises(UsageError) as caught:
        claims_of(tmp_path, body)
    assert message in str(caught.value)
    assert "claims.toml:1: claim 'c0': " in str(caught.value)


def test_words_stay_words(tmp_path: Path) -> None:
    body = (
        'layer = "gelu"\nparams = { approximate = "tanh" }\ndirection = "forward"\nstatistic = "mean"\nvalue = "0.2820"'
    )
    (claim,) = claims_of(tmp_path, body)
    params: dict[str, Any] = dict(claim.case.params)
    assert params == {"approximate": "tanh"}
