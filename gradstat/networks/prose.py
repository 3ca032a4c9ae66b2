"""Numbers, lists of names, tables and paragraphs as a page and a summary spell them."""

import math
import textwrap
from collections.abc import Iterable, Sequence

from gradstat.networks.growth import mean_and_error
from gradstat.networks.randomness import Array
from gradstat.text.uncertain import Uncertain

NOTHING = "–"
ROUNDING = 1e-9  # an error below this share of the value is what floats make of numbers that are the same
WIDTH = 120


def shown(value: float, error: float) -> str:
    """`2.36 ± 0.03`; without an error where the number is the same in every network; – where there is none."""
    if math.isnan(value):
        return NOTHING
    if math.isinf(value):
        return "∞"
    return f"{value:.4g}" if error <= ROUNDING * abs(value) else Uncertain(value, error).text


def over_networks(values: Array) -> str:
    """Mean and standard error of one number of each network."""
    return shown(*mean_and_error(values))


def listed(names: Iterable[str]) -> str:
    """`relu, tanh and selu`; `none` where there is none."""
    words = list(names)
    return "none" if not words else words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table in Markdown."""
    lines = [header, ["---"] * len(header), *rows]
    return "".join("| " + " | ".join(line) + " |\n" for line in lines)


def bullets(sentences: Iterable[str]) -> str:
    """A list in Markdown."""
    return "".join(textwrap.fill(f"* {sentence}", WIDTH, subsequent_indent="  ") + "\n" for sentence in sentences)


def paragraph(text: str) -> str:
    """Lines of one width."""
    return textwrap.fill(text, WIDTH) + "\n"
