"""The page for readers of the articles: what was asked, the answer, the pictures, the whole table.

Every number and every list of names in it is taken from the outcomes; the sentences around them hold for any.
"""

from collections.abc import Sequence
from pathlib import Path

from gradstat.networks import findings, parting, price
from gradstat.networks.growth import RANGE
from gradstat.networks.outcome import Outcome
from gradstat.networks.prose import bullets, paragraph, table
from gradstat.networks.summary import HEADER, cells, notes

ASKED = (
    'Post I of "Normalizing All Layers" divides each layer by its forward σ, post II by its backward σ. Post II ends '
    "with a question: would it be better to scale the two passes separately, though that contradicts back-propagation? "
    '"We should carefully examine it through experiment." This page is that experiment.'
)


def page(outcomes: Sequence[Outcome], pictures: Sequence[Path]) -> str:
    """The whole page in Markdown."""
    sections = {
        "## The answer": [findings.answer(outcomes), _method(outcomes)],
        "## Direction by direction": [findings.verdicts(outcomes)],
        "## What the articles got right": findings.articles(outcomes),
        "## The price of separate scaling": price.price(outcomes),
        "## Where prediction and measurement part": parting.parting(outcomes),
    }
    parts = ["# Scale the forward and the backward pass separately?\n", paragraph(ASKED)]
    for title, own in sections.items():
        parts += [f"{title}\n", *own] if own else []
    for number, outcome in enumerate(outcomes):
        parts += _whole(outcome, pictures[number] if number < len(pictures) else None)
    parts.append(paragraph(f"Made by `{outcomes[0].provenance['command']}`; no number on this page is typed by hand."))
    return "\n".join(parts)


def _method(outcomes: Sequence[Outcome]) -> str:
    shapes = []
    for outcome in outcomes:
        one = outcome.combinations[0]
        size = "×".join(map(str, one.network.features))
        levels = " or ".join(map(str, sorted({c.network.depth for c in outcome.combinations})))
        depth = f"{one.networks} networks of {levels} levels"
        shapes.append(f"{outcome.title}: {depth}, {size} features, batch {one.batch}")
    return paragraph(
        "Random networks are drawn, the same draws for every scheme; x ~ N(0, I) passes up, dy ~ N(0, I) passes down, "
        f"and every layer is measured ({'; '.join(shapes)}). A direction is in range, or stable, where the 95 % "
        f"interval of its growth stays within {RANGE:g}× over the whole depth."
    )


def _whole(outcome: Outcome, picture: Path | None) -> list[str]:
    """Every scheme of one configuration, with its picture."""
    parts = [f"## {outcome.title}\n"]
    if picture is not None:
        parts.append(
            f"![σ against depth, both directions, all schemes: {outcome.title}]({picture.as_posix()})\n\n"
            + paragraph(f"Lines: measured. Rings: predicted from single layers. Grey: in range, within {RANGE:g}×.")
        )
    return [*parts, table(HEADER, [cells(one) for one in outcome.combinations]), bullets(notes(outcome))]
