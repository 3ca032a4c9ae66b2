"""What came out: who keeps which direction in range, and what each post's own scheme does."""

from collections.abc import Sequence

from gradstat.networks.growth import EXPLODING, STABLE, UNDECIDED
from gradstat.networks.outcome import Combination, Outcome, everything
from gradstat.networks.price import turned
from gradstat.networks.prose import bullets, listed, over_networks, paragraph, table

POSTS = {"forward": "Post I", "backward": "Post II"}
ALIKE = 1.2  # an effective rank below it: the samples of a batch have become one
TOUCHING = (
    "Forward scaling holds σ only to first order. For ReLU behind a linear layer of unit rows, the mean square q of a "
    "layer's input becomes q + (√q − 1)²·E[y]²/σ[y]²: 1 is a fixed point, but every fluctuation of a network of finite "
    "width, up or down, makes q larger, and nothing brings it back."
)


def answer(outcomes: Sequence[Outcome]) -> str:
    """Who keeps both directions, and where scaling separately is better or worse than each post alone."""
    schemes = list(dict.fromkeys(c.scheme for c in everything(outcomes)))
    both = {scheme: [c.network.name for c in _of(outcomes, scheme) if _keeps_both(c)] for scheme in schemes}
    total = max(len(_of(outcomes, scheme)) for scheme in schemes)
    rows = [[scheme, f"{len(both[scheme])} of {total}", listed(both[scheme])] for scheme in schemes]
    rows.sort(key=lambda row: -len(both[row[0]]))
    found = table(["scheme", "both directions in range", "for"], rows)
    if sentences := [*_separate(outcomes, both), *_alike(outcomes)]:
        found += "\n" + bullets(sentences)
    return found


def _separate(outcomes: Sequence[Outcome], both: dict[str, list[str]]) -> list[str]:
    """What separate scaling adds, what it does not repair, and its price in one sentence."""
    own = _of(outcomes, "separate")
    if not own:
        return []
    held = [c for c in own if c.growth(False).verdict == STABLE]
    lost = [c.network.name for c in own if c.growth(True).verdict != STABLE]
    posts = [scheme for scheme in POSTS if scheme in both]
    alone = {name for scheme in posts for name in both[scheme]}
    sentences = [f"Scaled separately, the gradient stays in range in {len(held)} of {len(own)} networks."]
    if posts:
        only = [name for name in both["separate"] if name not in alone]
        instead = [name for name in lost if name in alone]
        sentences[0] += f" Both directions do where {listed(posts)} alone fail: {listed(only)}."
        if lost:
            sentences.append(
                f"It does not repair the signal, whose scaling is post I's: out of range for {listed(lost)}. "
                f"Of these, one post alone keeps both directions for {listed(instead)}."
            )
    whole = sorted((c.whole[0], c.network.name) for c in own)
    (low, worst), (high, best) = whole[0], whole[-1]
    bent = [c.network.name for c in own if turned(c)]
    where = f", except where paths join ({listed(bent)})" if bent else ""
    sentences.append(
        f"It changes the length of each layer's gradient and not its direction{where}. All layers together, the cosine "
        f"of the scaled and the true gradient is from {low:.2g} ({worst}) to {high:.2g} ({best})."
    )
    return sentences


def _alike(outcomes: Sequence[Outcome]) -> list[str]:
    """In range is not enough where every sample comes out the same."""
    found: dict[str, list[str]] = {}
    for one in everything(outcomes):
        if _keeps_both(one) and one.last("rank")[0] < ALIKE:
            found.setdefault(one.network.name, []).append(one.scheme)
    if not found:
        return []
    names = "; ".join(f"{name} under {listed(schemes)}" for name, schemes in found.items())
    return [f"In range, but all samples of a batch come out alike (effective rank under {ALIKE:g}): {names}."]


def verdicts(outcomes: Sequence[Outcome]) -> str:
    """A matrix of architectures × schemes, then who keeps both, and among them who keeps the samples apart."""
    rows, sentences = [], []
    schemes = list(dict.fromkeys(c.scheme for c in everything(outcomes)))
    for outcome in outcomes:
        for name in outcome.names():
            own = {c.scheme: c for c in outcome.combinations if c.network.name == name}
            rows.append([outcome.title, name, *(_words(own[s]) if s in own else "" for s in schemes)])
            if both := [c for c in own.values() if _keeps_both(c)]:
                sentences.append(f"{name}: {_ranks(both)}.")
    found = table(["", "network", *schemes], rows)
    if sentences:
        title = "Where both are in range, how many directions the samples of a batch span at the top:"
        found += f"\n{paragraph(title)}\n{bullets(sentences)}"
    return found


def _ranks(both: Sequence[Combination]) -> str:
    """From the scheme that keeps the samples apart to the one that does not."""
    ranked = sorted(both, key=lambda one: -one.last("rank")[0])
    return f"of {both[0].batch}, " + ", ".join(f"{one.last('rank')[0]:.3g} under {one.scheme}" for one in ranked)


def _words(one: Combination) -> str:
    if _keeps_both(one):
        return "**both**"
    words = {STABLE: "in range", UNDECIDED: "undecided"}
    up, down = one.growth(True).verdict, one.growth(False).verdict
    return f"y {words.get(up, up)}, dx {words.get(down, down)}"


def articles(outcomes: Sequence[Outcome]) -> list[str]:
    """What each post's own scheme does in its own direction, and in the other one."""
    rows = [
        [
            post,
            one.network.name,
            over_networks(one.end(True)),
            one.growth(True).verdict,
            over_networks(one.end(False)),
            one.growth(False).verdict,
        ]
        for scheme, post in POSTS.items()
        for one in _of(outcomes, scheme)
    ]
    if not rows:
        return []
    parts = [table(["", "network", "σ[y] at the top", "forward", "σ[dx] at the bottom", "backward"], rows)]
    for scheme, post in POSTS.items():
        if own := _of(outcomes, scheme):
            parts.append(paragraph(_kept(post, scheme, own)))
    if any(c.growth(True).verdict == EXPLODING for c in _of(outcomes, "forward")):
        parts.append(paragraph(TOUCHING))
    return parts + _remark(outcomes)


def _kept(post: str, scheme: str, own: Sequence[Combination]) -> str:
    forward = scheme == "forward"
    mine, other = ("signal", "gradient") if forward else ("gradient", "signal")
    held = [c.network.name for c in own if c.growth(forward).verdict == STABLE]
    lost = [f"{c.network.name} ({c.growth(forward).verdict})" for c in own if c.network.name not in held]
    besides = [c.network.name for c in own if c.growth(not forward).verdict == STABLE]
    but = f", not for {listed(lost)}" if lost else ""
    return (
        f"{post} scales by the {scheme} constants. The {mine} stays in range for {listed(held)}{but}; the {other}, "
        f"which it does not look at, for {listed(besides)}."
    )


def _remark(outcomes: Sequence[Outcome]) -> list[str]:
    """Post II fears that sigmoid and tanh leave the signal uncontrolled under backward scaling."""
    named = [c for c in _of(outcomes, "backward") if c.network.name in ("sigmoid", "tanh")]
    if not named:
        return []
    found = [f"{c.network.name} {over_networks(c.end(True))}" for c in named]
    grows = [f"{c.network.name} {c.growth(False).rate:.4f}" for c in named]
    return [
        paragraph(
            "Post II remarks that sigmoid and tanh suit backward scaling badly, since the forward scale is then not "
            f"controlled. Measured σ[y] at the top: {listed(found)}: saturation controls it. What the smaller input "
            "does change is the gradient, because the slope is taken where the signal is: per level it is multiplied "
            f"by {listed(grows)}."
        )
    ]


def _of(outcomes: Sequence[Outcome], scheme: str) -> list[Combination]:
    return [c for c in everything(outcomes) if c.scheme == scheme]


def _keeps_both(one: Combination) -> bool:
    return one.growth(True).verdict == one.growth(False).verdict == STABLE
