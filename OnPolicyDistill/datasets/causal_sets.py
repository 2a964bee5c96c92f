"""The causal task as files: balanced prompts with answers, and no graph in two of them.

Questions come in pairs about one graph in one wording: the same premise, the same number of given
variables, both about neighbours or both not, and one is right and the other wrong. Every rule that
looks at no more than that is right half of the time, within neighbours and within all others.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import cycle
from pathlib import Path

from OnPolicyDistill.datasets.causal_graphs import (
    FEWEST_NODES,
    MOST_NODES,
    Graph,
    Question,
    Split,
    draw_graph,
    judge,
    questions_of,
    split_of,
)
from OnPolicyDistill.datasets.causal_graphs_told import (
    TOPICS,
    Judging,
    Wording,
    answer_to,
    call_first,
    derive,
    draw_wording,
    final_answer,
    prompt_of,
    tell_hypothesis,
    tell_premise,
)
from OnPolicyDistill.errors import DatasetError
from OnPolicyDistill.files import write_text_atomically

# A set that finds nothing new for so many pairs has no more to find.
MOST_FRUITLESS = 2000
# Where so many graphs in a row cannot be asked about, none can.
MOST_DRAWN = 20_000


@dataclass(frozen=True, slots=True)
class Level:
    """How hard the task is: graphs, given variables, and how much the words differ."""

    sizes: range
    most_edges: int
    most_given: int
    topics: tuple[str, ...]
    plain: bool


LEVELS: dict[str, Level] = {
    "easy": Level(range(3, 6), 5, 1, ("letters",), True),
    "full": Level(range(FEWEST_NODES, MOST_NODES + 1), 15, 2, tuple(TOPICS), False),
}


@dataclass(frozen=True, slots=True)
class CausalExample:
    """A question of the task in words, and its right answer, `yes` or `no`."""

    graph: Graph
    question: Question
    wording: Wording
    prompt: str
    answer: str

    def completion(self, thinking: bool, judging: Judging = judge) -> str:
        """The completion, behind its derivation in `<think>` where that is wanted.

        It is right where `judging` paths is.
        """
        derived, is_independent = derive(self.graph, self.question, self.wording.names, judging)
        said = final_answer(answer_to(is_independent, self.wording))
        return f"<think>\n{derived}\n</think>\n\n{said}" if thinking else said

    def line(self, thinking: bool) -> dict[str, object]:
        """The example as a line of a file: a prompt, a conversation and a labelled item in one.

        `source` names the graph, so that whatever splits by source keeps graphs together.
        """
        return {
            "prompt": self.prompt,
            "completion": self.completion(thinking),
            "answer": self.answer,
            "label": self.answer,
            "source": self.graph.name,
            "adjacent": self.question.is_adjacent,
            "asked": self.wording.asked,
            "num_nodes": self.graph.num_nodes,
            "num_given": len(self.question.given),
        }


def generate_causal(seed: int, split: Split, level: Level) -> Iterator[tuple[CausalExample, ...]]:
    """Yield pairs of a `yes` and a `no` without end, about neighbours and others in turns."""
    chance = random.Random(f"causal {seed} {split}")
    for adjacent in cycle((True, False)):
        graph, yes, no = _draw_pair(chance, split, level, adjacent)
        wording = draw_wording(chance, graph.num_nodes, level.topics, level.plain)
        premise = tell_premise(graph, wording, chance)
        pair = []
        for drawn in (yes, no):
            question = drawn if chance.random() < 0.5 else replace(drawn, x=drawn.y, y=drawn.x)
            if level.plain:
                wording = call_first(question, wording)
                premise = tell_premise(graph, wording, chance)
            prompt = prompt_of(premise, tell_hypothesis(question, wording))
            answer = answer_to(question.is_independent, wording)
            pair.append(CausalExample(graph, question, wording, prompt, answer))
        yield tuple(pair)


def distinct_causal(seed: int, split: Split, count: int, level: Level) -> list[CausalExample]:
    """The first examples of a part, no prompt twice, in a shuffled order.

    Answers are balanced exactly, within neighbours and within others, where `count` is a multiple
    of four.

    Raises:
        DatasetError: the part has not that many prompts.
    """
    found: dict[str, CausalExample] = {}
    wanted = {True: (count + 2) // 4 * 2, False: count - (count + 2) // 4 * 2}
    fruitless = 0
    for pair in generate_causal(seed, split, level):
        if not any(wanted.values()):
            break
        adjacent = pair[0].question.is_adjacent
        if wanted[adjacent] == 0 or any(one.prompt in found for one in pair):
            fruitless += 1
            if fruitless > MOST_FRUITLESS:
                raise _exhausted(split)
            continue
        fruitless = 0
        kept = pair[: wanted[adjacent]]
        wanted[adjacent] -= len(kept)
        found |= {one.prompt: one for one in kept}
    examples = list(found.values())
    random.Random(f"causal order {seed} {split}").shuffle(examples)
    return examples


def write_causal(
    folder: Path,
    sizes: Mapping[Split, int],
    level: Level = LEVELS["full"],
    seed: int = 0,
    thinking: bool = False,
) -> dict[Split, Path]:
    """Write `train.jsonl`, `validation.jsonl` and `test.jsonl`; none of size 0.

    With `thinking` completions begin with a derivation. The same arguments write the same bytes.

    Raises:
        DatasetError: a part has not that many prompts.
        DiskFullError: there is no room for them.
    """
    folder.mkdir(parents=True, exist_ok=True)
    files: dict[Split, Path] = {}
    for split, size in sizes.items():
        if size:
            lines = [one.line(thinking) for one in distinct_causal(seed, split, size, level)]
            files[split] = folder / f"{split}.jsonl"
            text = "".join(json.dumps(line) + "\n" for line in lines)
            write_text_atomically(files[split], text)
    return files


def _draw_pair(
    chance: random.Random, split: Split, level: Level, adjacent: bool
) -> tuple[Graph, Question, Question]:
    """A graph of the part, and two questions that differ in nothing but what they ask of it."""
    for _ in range(MOST_DRAWN):
        graph = draw_graph(chance, level.sizes, level.most_edges)
        if split_of(graph) != split:
            continue
        asked = [q for q in questions_of(graph, level.most_given) if q.is_adjacent == adjacent]
        num_given = chance.randrange(level.most_given + 1)
        alike = [question for question in asked if len(question.given) == num_given]
        right = [question for question in alike if question.is_independent]
        wrong = [question for question in alike if not question.is_independent]
        if right and wrong:
            return graph, chance.choice(right), chance.choice(wrong)
    raise _exhausted(split)


def _exhausted(split: Split) -> DatasetError:
    message = f"There are not that many different prompts for the {split} file."
    return DatasetError(message, "Ask for fewer, or for the full level.")
