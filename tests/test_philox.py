"""Philox against the known answers of its authors, two published streams, and plain Python integers. Nothing random."""

from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest

from gradstat.numerics.philox import LOW, U64, WEYL_0, WEYL_1, philox4x32, philox_round
from tests import kernels, naive

DATA = Path(__file__).parent / "data" / "philox"


def known_answers(rounds: int) -> list[tuple[list[int], list[int], list[int]]]:
    lines = [line.split() for line in (DATA / "kat_vectors.txt").read_text().splitlines()]
    ours = [words for name, count, *words in lines if name == "philox4x32" and int(count) == rounds]
    answers = [[int(word, 16) for word in words] for words in ours]
    return [(words[:4], words[4:6], words[6:]) for words in answers]


def words_of(counter: list[int]) -> tuple[int, int, int, int]:
    a, b, c, d = counter
    return a, b, c, d


def pair_of(key: list[int]) -> tuple[int, int]:
    first, second = key
    return first, second


def seven_rounds(counter: list[int], key: list[int]) -> list[int]:
    words, round_of = [U64(c) for c in counter], cast(Any, philox_round)
    k0, k1 = (U64(k) for k in key)
    for _ in range(7):
        words = round_of(*words, k0, k1)
        k0, k1 = (k0 + WEYL_0) & LOW, (k1 + WEYL_1) & LOW
    return [int(word & LOW) for word in words]


def ten_rounds(counter: list[int], key: list[int]) -> list[int]:
    return [int(word) for word in philox4x32(*map(U64, counter), *map(U64, key))]


@pytest.mark.parametrize(("counter", "key", "answer"), known_answers(10))
def test_ten_rounds(counter: list[int], key: list[int], answer: list[int]) -> None:
    assert ten_rounds(counter, key) == answer
    assert list(naive.philox4x32(words_of(counter), pair_of(key))) == answer


@pytest.mark.parametrize(("counter", "key", "answer"), known_answers(7))
def test_seven_rounds(counter: list[int], key: list[int], answer: list[int]) -> None:
    assert seven_rounds(counter, key) == answer
    assert list(naive.philox4x32(words_of(counter), pair_of(key), rounds=7)) == answer


def test_there_are_three_vectors_of_each() -> None:
    assert [len(known_answers(rounds)) for rounds in (7, 10)] == [3, 3]


def test_a_slip_is_caught() -> None:
    """Negative control: the two halves of the key, or of the counter, in the wrong order."""
    counter, key, answer = known_answers(10)[2]
    assert ten_rounds(counter, key[::-1]) != answer
    assert ten_rounds(counter[2:] + counter[:2], key) != answer


@pytest.mark.parametrize("number", [1, 2])
def test_a_published_stream_of_1000_words(number: int) -> None:
    head, *lines = (DATA / f"philox4x32-testset-{number}.csv").read_text().splitlines()
    expected = [int(line.split(",")[1], 16) for line in lines]
    seed = np.random.SeedSequence(int(head.split(",")[1], 16)).generate_state(1, np.uint64)[0]
    key = [int(seed) & naive.MASK, int(seed) >> 32]
    words = [word for i in range(1, 251) for word in ten_rounds([i, 0, 0, 0], key)]
    assert len(expected) == 1000
    assert words == expected


@pytest.mark.parametrize("seed", [0, 1, 2**32, 2**64 - 1])
@pytest.mark.parametrize("batch", [0, 1, 2**23 - 1, 2**23, 2**40])
@pytest.mark.parametrize(("slot", "stream"), [(0, 0), (8, 2), (4095, 18)])
def test_every_lane_has_the_words_of_its_address(seed: int, batch: int, slot: int, stream: int) -> None:
    """512·2²³ is 2³²: there the block number carries into the second word of the counter."""
    words = kernels.words(seed, batch, slot, stream)
    for lane in (0, 1, 510, 511, 512, 513, 1023):
        assert tuple(words[:, lane]) == naive.words(seed, 1024 * batch + lane, slot, stream)
