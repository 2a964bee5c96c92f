"""What an export is measured on: a run's own validation file, or another one.

Conversations bring their completions along; of prompts and inputs the adapter samples some. Right
answers are marked as the run's evaluations mark them. Nothing is invented: without a file there is
nothing to measure on, and that is said.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TypeVar

from OnPolicyDistill.datasets.conversations import load_conversations
from OnPolicyDistill.datasets.kinds import SetKind, kind_of
from OnPolicyDistill.datasets.labelled import (
    THINKING_OPENS,
    LabelledItem,
    labels_of,
    load_items,
    parse_label,
)
from OnPolicyDistill.datasets.order import drawn_evenly
from OnPolicyDistill.datasets.prompts import Prompt, load_prompts
from OnPolicyDistill.errors import InputError
from OnPolicyDistill.evaluation.heldout import Answer
from OnPolicyDistill.grading.boxed import grade_boxed
from OnPolicyDistill.methods import RunSettings, facts_of
from OnPolicyDistill.models.picture_prompts import encode_seen
from OnPolicyDistill.models.policy import Message, Policy, decode
from OnPolicyDistill.rewards.chosen import RIGHT, ChosenReward, choose_rewards
from OnPolicyDistill.rollout import EncodedPrompt, Rollout
from OnPolicyDistill.runs.wording import describe_drawn
from OnPolicyDistill.settings.evaluation import EvaluationSettings
from OnPolicyDistill.settings.grpo import GrpoSettings
from OnPolicyDistill.settings.measuring import MeasureSettings
from OnPolicyDistill.settings.prompt_distillation import PromptDistillationSettings
from OnPolicyDistill.settings.sft import SftSettings
from OnPolicyDistill.settings.vlm_distillation import VlmDistillationSettings
from OnPolicyDistill.training.completions import completion_of
from OnPolicyDistill.training.conversation_rows import ConversationRow, encode_conversation
from OnPolicyDistill.training.pictured_prompts import DEFAULT_GRADER, with_instruction

Mark = Callable[[Policy, EncodedPrompt, Rollout], float | None]
T = TypeVar("T")
NO_FILE = "There is no held-out file: the run has none."


@dataclass(frozen=True, slots=True)
class HeldOutText:
    """Rows whose completions are given, or prompts that wait for some, and how they are marked.

    `in_words` says what they are; `max_answer_tokens` is how long a marked completion may be.
    """

    in_words: str
    rows: tuple[ConversationRow, ...] = ()
    prompts: tuple[EncodedPrompt, ...] = ()
    mark: Mark | None = None
    max_answer_tokens: int = 0


def held_out_file(settings: RunSettings | None) -> Path:
    """The validation file of a run.

    Raises:
        InputError: it has none, or it is gone.
    """
    part = None
    if settings is not None:
        values = settings.model_dump()
        keys = [each.key for each in facts_of(settings).files if each.part == "validation"]
        part = next((values[key] for key in keys if values[key] is not None), None)
    if part is None:
        raise InputError(NO_FILE, "Name one: --prompts FILE.")
    file = Path(str(part))
    if not file.exists():
        raise InputError(
            f"The run's held-out file {file.name} is gone.", "Name one: --prompts FILE."
        )
    return file


def read_held_out(
    policy: Policy, settings: RunSettings | None, file: Path | None, measuring: MeasureSettings
) -> HeldOutText:
    """Read a file as the policy sees it: the one that is named, or else the run's own.

    Raises:
        InputError: there is no file.
        DatasetError: it cannot be read, or fewer than two of its rows can be used.
        ModelError: it shows pictures, and the policy reads words alone.
    """
    chosen = held_out_file(settings) if file is None else file
    match _kind(settings, chosen, is_named=file is not None):
        case "conversations":
            return _conversations(policy, settings, chosen, measuring)
        case "prompts":
            return _prompts(policy, settings, chosen, measuring)
        case _:
            return _inputs(policy, settings, chosen, measuring)


def _kind(settings: RunSettings | None, file: Path, is_named: bool) -> SetKind:
    if settings is None or is_named:
        return kind_of(file)
    return next(each.holds for each in facts_of(settings).files if each.part == "validation")


def _conversations(
    policy: Policy, settings: RunSettings | None, file: Path, measuring: MeasureSettings
) -> HeldOutText:
    thinking = settings.thinking if isinstance(settings, SftSettings) else "keep"
    found = load_conversations(file, sees=policy.sight is not None)
    drawn = _drawn(found, measuring)
    rows = [row for one in drawn for row in encode_conversation(policy, one, thinking)]
    short = [row for row in rows if len(row.token_ids) <= measuring.max_row_tokens]
    said = _in_words(len({row.conversation for row in short}), len(found), "conversations", file)
    return HeldOutText(f"the given completions of {said}", rows=tuple(short))


def _prompts(
    policy: Policy, settings: RunSettings | None, file: Path, measuring: MeasureSettings
) -> HeldOutText:
    found = load_prompts(file, sees=policy.sight is not None).prompts
    drawn = [_encoded(policy, settings, prompt) for prompt in _drawn(found, measuring)]
    prompts = tuple(each for each in drawn if len(each.ids) <= measuring.max_row_tokens)
    said = _in_words(len(prompts), len(found), "prompts", file)
    answers = [prompt.answer for prompt in found if prompt.answer is not None]
    mark: Mark | None = _mark_answer if answers else None
    if isinstance(settings, GrpoSettings) and answers:
        rewards = choose_rewards(settings.rewards, answers)
        reward = next(one for one in rewards if one.kind == settings.grading_kind)
        mark = partial(_mark_by_reward, reward=reward, max_tokens=settings.max_generation_tokens)
    return HeldOutText(
        f"completions that the adapter sampled of {said}",
        prompts=prompts,
        mark=mark,
        max_answer_tokens=_longest_answer(settings, measuring),
    )


def _encoded(policy: Policy, settings: RunSettings | None, prompt: Prompt) -> EncodedPrompt:
    messages: tuple[Message, ...] = prompt.messages
    grader = prompt.grader
    if isinstance(settings, VlmDistillationSettings):
        messages = with_instruction(messages, settings.instruction)
        grader = str(prompt.extras.get("grader") or DEFAULT_GRADER)
    ids = encode_seen(policy, messages, prompt.pictures)
    return EncodedPrompt(prompt.index, ids, prompt.text, prompt.answer, grader, prompt.extras)


def _inputs(
    policy: Policy, settings: RunSettings | None, file: Path, measuring: MeasureSettings
) -> HeldOutText:
    found = load_items(file, sees=policy.sight is not None)
    items = {item.index: item for item in _drawn(found, measuring)}
    prompts = []
    for item in items.values():
        asked: list[Message] = [{"role": "user", "content": item.content}]
        ids = encode_seen(policy, asked, item.pictures)
        if len(ids) <= measuring.max_row_tokens:
            prompts.append(EncodedPrompt(item.index, ids, item.text, item.gold))
    labels, prefix = labels_of(found), EvaluationSettings().answer_prefix
    if isinstance(settings, PromptDistillationSettings):
        labels, prefix = settings.labels or labels, settings.answer_prefix
    is_labelled = any(item.gold is not None for item in items.values())
    mark = partial(_mark_label, items=items, labels=labels, prefix=prefix)
    return HeldOutText(
        "completions that the adapter sampled of "
        + _in_words(len(prompts), len(found), "inputs", file),
        prompts=tuple(prompts),
        mark=mark if is_labelled else None,
        max_answer_tokens=_longest_answer(settings, measuring),
    )


def _mark_answer(policy: Policy, prompt: EncodedPrompt, rollout: Rollout) -> float | None:
    if prompt.answer is None:
        return None
    opened = policy.chat_template.opening().rstrip().endswith(THINKING_OPENS)
    return Answer(prompt, rollout, decode(policy, rollout.completion_ids), opened).mark()


def _mark_by_reward(
    policy: Policy,
    prompt: EncodedPrompt,
    rollout: Rollout,
    reward: ChosenReward,
    max_tokens: int,
) -> float | None:
    grade = reward.grade(completion_of(policy, prompt, rollout, max_tokens))
    return None if grade is None else float(grade >= RIGHT)


def _mark_label(
    policy: Policy,
    prompt: EncodedPrompt,
    rollout: Rollout,
    items: dict[int, LabelledItem],
    labels: Sequence[str],
    prefix: str,
) -> float | None:
    item = items[prompt.index]
    if item.gold is None:
        return None
    opened = policy.chat_template.opening().rstrip().endswith(THINKING_OPENS)
    reply = decode(policy, rollout.completion_ids)
    if item.grader is not None:
        return float(grade_boxed(reply, item.gold, thought_opened=opened).mark)
    return float(
        parse_label((THINKING_OPENS if opened else "") + reply, labels, prefix) == item.gold
    )


def _longest_answer(settings: RunSettings | None, measuring: MeasureSettings) -> int:
    """How long a completion may be that is marked: as long as in the run's own evaluations."""
    if isinstance(settings, PromptDistillationSettings):
        thinks = settings.target == "thinking"
        return settings.max_thinking_tokens if thinks else settings.max_answer_tokens
    if isinstance(settings, GrpoSettings | VlmDistillationSettings):
        return settings.max_generation_tokens
    return measuring.max_tokens


def _drawn(found: Sequence[T], measuring: MeasureSettings) -> list[T]:
    wanted = min(measuring.num_prompts, len(found))
    return [found[place] for place in drawn_evenly(len(found), wanted, measuring.seed)]


def _in_words(num_drawn: int, num_available: int, noun: str, file: Path) -> str:
    """What is measured on.

    Raises:
        InputError: an interval over so few would pretend to be one.
    """
    if num_drawn < 2:
        raise InputError(
            f"{file.name} has {num_drawn} held-out {noun} that are short enough, and a mean needs "
            "two to have an interval.",
            "Name another file: --prompts FILE.",
        )
    return describe_drawn(num_drawn, num_available, f"{noun} of {file.name}")
