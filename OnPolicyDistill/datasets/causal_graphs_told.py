"""Causal graphs and questions about them in words: premise, hypothesis, derivation, answer.

Names come from several topics and sentences in several wordings, so that neither says anything of
the answer. All of a premise is told in one wording, its arrows in any order.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from OnPolicyDistill.datasets.causal_graphs import (
    Graph,
    Path,
    Question,
    Verdict,
    judge,
    paths_between,
)

YES, NO = "yes", "no"
ANSWER_PREFIX = "Final Answer:"

TOPICS: dict[str, tuple[str, ...]] = {
    "letters": ("A", "B", "C", "D", "E", "F"),
    "health": ("diet", "sleep", "stress", "exercise", "mood", "fever", "pulse", "appetite"),
    "garden": ("rain", "shade", "mulch", "moss", "frost", "growth", "bloom", "harvest"),
    "machine": ("load", "heat", "wear", "noise", "speed", "leakage", "pressure", "vibration"),
    "market": ("price", "demand", "supply", "income", "rent", "debt", "credit", "trade"),
    "invented": ("blick", "dax", "fep", "kiki", "lum", "toma", "wug", "zorp"),
}
FRAMES = (
    "{names} are all the variables of a closed system. {arrows}",
    "There are {number} variables, {names}, and no hidden ones. {arrows}",
    "Consider {names}, which nothing else has an influence on. {arrows}",
)
# Of the easy level: an arrow is one word, so that a model of three layers can read it.
PAIRS_OF_LETTERS = "Each pair is an arrow from its first letter to its second: {arrows}."
ARROWS = (
    "{cause} causes {effect}.",
    "{cause} has a direct effect on {effect}.",
    "{effect} depends directly on {cause}.",
    "There is an arrow from {cause} to {effect}.",
)
GROUPED = "The direct causes of {effect} are {causes}."
SINGLE = "The direct cause of {effect} is {causes}."
LEFT_ASIDE = (
    "Any direct effect aside, {x} and {y} are {asked} given {given}.",
    "Apart from any arrow between them, {x} and {y} are {asked} once {given} is known.",
    "If no arrow ran between {x} and {y}, they would be {asked} given {given}.",
)
Judging = Callable[[Graph, Path, tuple[int, ...]], Verdict]
NUMBERS = {3: "three", 4: "four", 5: "five", 6: "six"}
INSTRUCTION = f'Is it right? End with "{ANSWER_PREFIX} {YES}" or "{ANSWER_PREFIX} {NO}".'


@dataclass(frozen=True, slots=True)
class Wording:
    """How one premise and its hypotheses are told; `names` are those of nodes 0, 1 and so on.

    `arrows` is a place in ARROWS, or the place behind the last one: causes listed by effect.
    """

    topic: str
    names: tuple[str, ...]
    frame: int
    arrows: int
    left_aside: int
    is_about_dependence: bool
    is_plain: bool = False

    @property
    def asked(self) -> str:
        """What the hypothesis says that the two variables are."""
        return "dependent" if self.is_about_dependence else "independent"


def draw_wording(
    chance: random.Random, num_nodes: int, topics: Sequence[str], plain: bool = False
) -> Wording:
    """Draw names and sentences; `plain` takes the first sentence of each kind."""
    topic = chance.choice(topics)
    return Wording(
        topic=topic,
        names=tuple(chance.sample(TOPICS[topic], num_nodes)),
        frame=0 if plain else chance.randrange(len(FRAMES)),
        arrows=0 if plain else chance.randrange(len(ARROWS) + 1),
        left_aside=0 if plain else chance.randrange(len(LEFT_ASIDE)),
        is_about_dependence=chance.random() < 0.5,
        is_plain=plain,
    )


def call_first(question: Question, wording: Wording) -> Wording:
    """The same wording with the first two names of its topic for the variables asked about."""
    first, second, *rest = TOPICS[wording.topic]
    free = iter([name for name in wording.names if name in rest] + rest)
    named = {question.x: first, question.y: second}
    taken: list[str] = []
    for node in range(len(wording.names)):
        name = named.get(node) or next(one for one in free if one not in taken)
        taken.append(name)
    return replace(wording, names=tuple(taken))


def tell_premise(graph: Graph, wording: Wording, chance: random.Random) -> str:
    """All of a graph in words, its variables and arrows in any order."""
    names = wording.names
    if wording.is_plain:
        pairs = [names[a] + names[b] for a, b in graph.edges]
        return PAIRS_OF_LETTERS.format(arrows=", ".join(chance.sample(pairs, len(pairs))))
    if wording.arrows < len(ARROWS):
        sentence = ARROWS[wording.arrows]
        told = [sentence.format(cause=names[a], effect=names[b]) for a, b in graph.edges]
    else:
        told = [_told_causes(graph, effect, names, chance) for effect in _effects(graph)]
    arrows = " ".join(_capital(sentence) for sentence in chance.sample(told, len(told)))
    mentioned = _listed(chance.sample(names, len(names)))
    return _capital(
        FRAMES[wording.frame].format(
            names=mentioned, number=NUMBERS[graph.num_nodes], arrows=arrows
        )
    )


def tell_hypothesis(question: Question, wording: Wording) -> str:
    """What is to be judged."""
    x, y = wording.names[question.x], wording.names[question.y]
    given = [wording.names[node] for node in question.given]
    sentence = LEFT_ASIDE[wording.left_aside]
    if len(given) > 1:
        sentence = sentence.replace("{given} is", "{given} are")
    return _capital(
        sentence.format(x=x, y=y, asked=wording.asked, given=_listed(given) or "nothing")
    )


def prompt_of(premise: str, hypothesis: str) -> str:
    """What a policy is asked."""
    return f"Premise: {premise}\nHypothesis: {hypothesis}\n{INSTRUCTION}"


def answer_to(is_independent: bool, wording: Wording) -> str:
    """`yes` where the hypothesis is right, else `no`."""
    return YES if is_independent != wording.is_about_dependence else NO


def final_answer(answer: str) -> str:
    """The line that a completion ends with."""
    return f"{ANSWER_PREFIX} {answer}"


def derive(
    graph: Graph, question: Question, names: Sequence[str], judging: Judging = judge
) -> tuple[str, bool]:
    """A derivation path by path, up to the first that is open, and whether it says independent.

    It is true where `judging` is.
    """
    lines = []
    # The shortest first, then by name: an order that can be read off the words.
    paths = paths_between(graph, question.x, question.y)
    for path in sorted(paths, key=lambda path: (len(path), [names[node] for node in path])):
        verdict = judging(graph, path, question.given)
        lines.append(f"Path {_drawn(graph, verdict, names)}: {_reason(verdict, names)}.")
        if verdict.is_open:
            lines.append("So they are dependent.")
            return "\n".join(lines), False
    lines.append("No path is open, so they are independent.")
    return "\n".join(lines), True


def _drawn(graph: Graph, verdict: Verdict, names: Sequence[str]) -> str:
    """A path with its arrows: `A -> C <- B`."""
    drawn = names[verdict.path[0]]
    for before, node in zip(verdict.path, verdict.path[1:], strict=False):
        arrow = "->" if (before, node) in graph.edges else "<-"
        drawn += f" {arrow} {names[node]}"
    return drawn


def _reason(verdict: Verdict, names: Sequence[str]) -> str:
    if verdict.node is None:
        return "nothing on it is given, open"
    name = names[verdict.node]
    if not verdict.is_open:
        told = f"nothing tells of the common effect {name}" if verdict.is_collider else ""
        return f"{told or f'{name} is given'}, closed"
    assert verdict.told_by is not None
    told_by = "is given" if verdict.told_by == verdict.node else f"has {names[verdict.told_by]}"
    return f"the common effect {name} {told_by}{'' if told_by == 'is given' else ' given'}, open"


def _told_causes(graph: Graph, effect: int, names: Sequence[str], chance: random.Random) -> str:
    causes = [names[a] for a, b in graph.edges if b == effect]
    sentence = GROUPED if len(causes) > 1 else SINGLE
    mentioned = _listed(chance.sample(causes, len(causes)))
    return sentence.format(effect=names[effect], causes=mentioned)


def _effects(graph: Graph) -> list[int]:
    return sorted({effect for _, effect in graph.edges})


def _listed(names: Sequence[str]) -> str:
    """`A`, `A and B`, `A, B and C`."""
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)


def _capital(sentence: str) -> str:
    return sentence[:1].upper() + sentence[1:]
