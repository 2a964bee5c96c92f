"""What a student writes to the first held-out conversations, to be seen beside what is given.

Fine-tuning measures a loss on given completions and writes nothing, and a loss tells a person
little. So an evaluation lets the student answer a few of them too, greedily, and as long as the
given answers are at most: what that costs does not grow with the file.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from OnPolicyDistill.datasets.assistant_turns import CLOSES
from OnPolicyDistill.datasets.conversations import Conversation, read_conversations
from OnPolicyDistill.datasets.messages import Message, is_learned
from OnPolicyDistill.datasets.prompts import content_text
from OnPolicyDistill.generation.loop import generate
from OnPolicyDistill.generation.request import GenerationHooks, GenerationRequest
from OnPolicyDistill.generation.sampling import GREEDY
from OnPolicyDistill.models.policy import Policy, decode
from OnPolicyDistill.rollout import EncodedPrompt
from OnPolicyDistill.runs.held_out_answers import (
    MOST_SHOWN_TOKENS,
    NO_ANSWERS,
    NUM_KEPT,
    HeldOutAnswers,
    first_of,
)
from OnPolicyDistill.training.conversation_rows import ConversationRow

# 1.0 where what was said is right beside what is given, 0.0 where it is wrong, None: not known.
Mark = Callable[[str, str], float | None]


@dataclass(frozen=True, slots=True)
class ShownPrompts:
    """The first held-out prompts with the answers that their lines give."""

    prompts: tuple[EncodedPrompt, ...] = ()
    max_tokens: int = 1


NOTHING_SHOWN = ShownPrompts()


def shown_of_file(policy: Policy, file: Path, rows: Sequence[ConversationRow]) -> ShownPrompts:
    """The first answers of a file's first conversations, of which `rows` are left."""
    return shown_of(policy, rows, _questions(file, {row.conversation for row in _first_rows(rows)}))


def shown_of(
    policy: Policy, rows: Sequence[ConversationRow], questions: Mapping[int, str]
) -> ShownPrompts:
    """The first answers of the first conversations; `questions` by line are as people read them."""
    prompts, longest = [], 1
    for row in _first_rows(rows):
        given = _first_answer(row)
        longest = max(longest, len(given))
        ids = row.token_ids[: row.learned[0]]
        wanted = decode(policy, given).strip()
        line = row.conversation
        prompts.append(EncodedPrompt(line, ids, questions.get(line, ""), wanted))
    return ShownPrompts(tuple(prompts), min(longest, MOST_SHOWN_TOKENS))


def same_words(said: str, given: str) -> float | None:
    """Right where an answer is the given one word for word, thoughts aside; else nobody knows."""
    return 1.0 if _behind_thought(said) == _behind_thought(given) else None


def _behind_thought(text: str) -> str:
    return text.rpartition(CLOSES)[2].strip()


def answer_shown(
    policy: Policy, shown: ShownPrompts, hooks: GenerationHooks, mark: Mark = same_words
) -> HeldOutAnswers:
    """Greedy answers with their marks."""
    if not shown.prompts:
        return NO_ANSWERS
    request = GenerationRequest(
        prompts=[prompt.ids for prompt in shown.prompts],
        seeds=[0] * len(shown.prompts),
        stop_ids=policy.stop_ids,
        vocab_size=policy.vocab_size,
        max_tokens=shown.max_tokens,
        sampling=GREEDY,
        max_rows=len(shown.prompts),
    )
    rollouts = generate(policy.model, request, hooks)
    said = [decode(policy, rollout.completion_ids).strip() for rollout in rollouts]
    return first_of(
        (prompt.index, prompt.text, prompt.answer, text, mark(text, prompt.answer or ""))
        for prompt, text in zip(shown.prompts, said, strict=True)
    )


def _first_rows(rows: Sequence[ConversationRow]) -> list[ConversationRow]:
    """The first row of each of the first conversations."""
    found: dict[int, ConversationRow] = {}
    for row in rows:
        found.setdefault(row.conversation, row)
        if len(found) == NUM_KEPT:
            break
    return list(found.values())


def _first_answer(row: ConversationRow) -> tuple[int, ...]:
    """Token ids that are learned one behind the other from the first on."""
    start = row.learned[0]
    places = enumerate(row.learned, start)
    length = next((place - start for place, learned in places if place != learned), None)
    return row.token_ids[start : start + (len(row.learned) if length is None else length)]


def _questions(file: Path, lines: set[int]) -> dict[int, str]:
    """What the first learned answer of some lines replies to; nothing behind them is read."""
    found: dict[int, str] = {}
    for one in read_conversations(file):
        if len(found) == len(lines):
            break
        if isinstance(one, Conversation) and one.line in lines:
            found[one.line] = first_question(one.messages)
    return found


def first_question(messages: Sequence[Message]) -> str:
    """What the first learned answer of a conversation replies to, as people read it."""
    answers = (
        place
        for place, message in enumerate(messages)
        if message["role"] == "assistant" and is_learned(message)
    )
    place = next(answers, 0)
    return content_text(messages[place - 1].get("content")) if place else ""
