"""A policy answers labelled items with the project's own generation loop, timed by the wall clock.

The generation loop refills rows as they finish, so that no short answer waits for a long one, and
reads a prompt that all items share once. An answer's seconds are those since the answer before it
ended: their mean is the wall clock of all decoding over the number of answers. Loading is not part
of them, nor is a warm-up of two tokens for the first batch, in which kernels are compiled.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from OnPolicyDistill.datasets.labelled import THINKING_OPENS, LabelledItem, parse_label
from OnPolicyDistill.evaluation.free_answers import KnownGrading, given_answer
from OnPolicyDistill.evaluation.labelled_report import Prediction
from OnPolicyDistill.generation.loop import generate, stream
from OnPolicyDistill.generation.request import NO_HOOKS, GenerationHooks, GenerationRequest
from OnPolicyDistill.generation.sampling import SamplingSettings
from OnPolicyDistill.models.picture_prompts import encode_seen
from OnPolicyDistill.models.policy import Message, Policy, decode
from OnPolicyDistill.seeds import derive_seed

WARM_UP_TOKENS = 2
PREVIEW_CHARACTERS = 48


@dataclass(frozen=True, slots=True)
class AnswerRules:
    """How items are asked and how replies are read; `prompt` is a system prompt."""

    labels: tuple[str, ...]
    answer_prefix: str
    grading: KnownGrading = "labels"
    prompt: str | None = None
    max_answer_tokens: int = 2048
    temperature: float = 0.0
    batch_size: int = 8
    seed: int = 0


def answer_items(
    policy: Policy,
    items: Sequence[LabelledItem],
    rules: AnswerRules,
    hooks: GenerationHooks = NO_HOOKS,
) -> Iterator[Prediction]:
    """Yield the answer to every item, each as it ends; the order is that of ending.

    Raises:
        StoppedError: `hooks.should_stop` said so; what was yielded is complete.
        DatasetError: the chat template refuses the prompt, or a picture cannot be read.
        ModelError: an item has pictures, and the policy reads words alone.
    """
    if not items:
        return
    opening = policy.chat_template.opening().rstrip()
    thought = THINKING_OPENS if opening.endswith(THINKING_OPENS) else ""
    first = _request(policy, items[: rules.batch_size], rules)
    generate(policy.model, replace(first, max_tokens=WARM_UP_TOKENS), hooks)
    request = _request(policy, items, rules)
    completions: list[list[int]] = [[] for _ in items]
    since = time.perf_counter()
    for token in stream(policy.model, request, hooks):
        ids = completions[token.prompt_index]
        ids.append(token.id)
        if token.finish_reason is None:
            continue
        item, reply = items[token.prompt_index], decode(policy, ids)
        until = time.perf_counter()
        yield Prediction(
            index=item.index,
            text=item.text,
            gold=item.gold,
            predicted=predicted_of(item, thought, reply, rules),
            reply=reply,
            num_tokens=len(ids),
            seconds=until - since,
            finish_reason=token.finish_reason,
        )
        since = time.perf_counter()


def live_line(prediction: Prediction, num_right: int, num_graded: int) -> str:
    """One line on an answer: text, gold, predicted, and the accuracy so far."""
    text = " ".join(prediction.text.split())
    preview = text if len(text) <= PREVIEW_CHARACTERS else text[: PREVIEW_CHARACTERS - 1] + "…"
    said = prediction.predicted or "(unparseable)"
    if prediction.gold is None:
        return f"{preview!r} -> {said}"
    verdict = "ok" if prediction.predicted == prediction.gold else "wrong"
    accuracy = 100 * num_right / num_graded
    return (
        f"{preview!r} gold {prediction.gold}, predicted {said}: {verdict} (so far {accuracy:.1f} %)"
    )


def predicted_of(item: LabelledItem, thought: str, reply: str, rules: AnswerRules) -> str | None:
    """The label of a reply; of a free answer the gold one where it is right, else its own."""
    grading = "boxed" if item.grader is not None and item.gold is not None else rules.grading
    if grading == "labels":
        return parse_label(thought + reply, rules.labels, rules.answer_prefix)
    return given_answer(grading, thought, reply, item.gold or "", rules.answer_prefix)


def _request(
    policy: Policy, items: Sequence[LabelledItem], rules: AnswerRules
) -> GenerationRequest:
    return GenerationRequest(
        prompts=[
            encode_seen(policy, _messages(item, rules.prompt), item.pictures) for item in items
        ],
        seeds=[derive_seed(rules.seed, "answers", item.index) for item in items],
        stop_ids=policy.stop_ids,
        vocab_size=policy.vocab_size,
        max_tokens=rules.max_answer_tokens,
        sampling=SamplingSettings(temperature=rules.temperature),
        max_rows=rules.batch_size,
    )


def _messages(item: LabelledItem, prompt: str | None) -> list[Message]:
    user: Message = {"role": "user", "content": item.content}
    return [user] if prompt is None else [{"role": "system", "content": prompt}, user]
