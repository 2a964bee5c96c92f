"""Prompts with pictures in token ids: words from the template, places from the run's book."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import JsonValue

from OnPolicyDistill.datasets.pictures import open_picture
from OnPolicyDistill.datasets.prompts import Prompt, content_text, load_prompts
from OnPolicyDistill.errors import DatasetError, ModelError
from OnPolicyDistill.models.policy import Policy, encode_picture_prompt
from OnPolicyDistill.models.seeing import SeeingModel
from OnPolicyDistill.pictures import PictureBook, Sight
from OnPolicyDistill.rollout import EncodedPrompt
from OnPolicyDistill.runs.reporting import Reporter
from OnPolicyDistill.settings.vlm_distillation import VlmDistillationSettings
from OnPolicyDistill.stopping import check_stop
from OnPolicyDistill.training.prompts import short_prompts

# How many prompts are opened between two words about it.
PROMPTS_PER_WORD = 100
# Answers about pictures are written in a box unless a line names another grader.
DEFAULT_GRADER = "boxed"
BOX = "\\boxed"

Message = Mapping[str, JsonValue]


@dataclass(frozen=True, slots=True)
class PicturePrompts:
    """How a run reads prompts with pictures: its settings, its book, and where it reports."""

    settings: VlmDistillationSettings
    book: PictureBook
    reporter: Reporter

    def encode(self, policy: Policy, file: Path) -> tuple[EncodedPrompt, ...]:
        """Open every picture of a prompt file and tokenize its prompts as a policy sees them.

        Prompts that are too long are left out and counted; a picture is never cut.

        Raises:
            ModelError: the policy does not see.
            DatasetError: a line or a picture cannot be read, has too many pictures, or every
                prompt is too long; names file and line.
        """
        if policy.sight is None:
            raise ModelError(
                f"{policy.name} is a text model: it sees no pictures.",
                "Name a vision-language model, such as qwen3-vl-4b-thinking.",
            )
        found = load_prompts(file, sees=True).prompts
        encoded = []
        for done, prompt in enumerate(found):
            check_stop()
            if done % PROMPTS_PER_WORD == 0:
                detail = f"Opening the pictures of {file.name}."
                self.reporter.phase("loading", detail, done, len(found))
            encoded.append(self._encoded(policy, policy.sight, prompt, file))
        return short_prompts(encoded, self.settings.max_prompt_tokens, file, self.reporter)

    def _encoded(self, policy: Policy, sight: Sight, prompt: Prompt, file: Path) -> EncodedPrompt:
        most = self.settings.max_pictures
        if len(prompt.pictures) > most:
            raise DatasetError(
                f"the prompt has {len(prompt.pictures)} pictures, and max_pictures is {most}.",
                "Raise max_pictures, or take the line out.",
                file,
                prompt.line,
            )
        pictures = [open_picture(source, sight) for source in prompt.pictures]
        messages = with_instruction(prompt.messages, self.settings.instruction)
        ids = encode_picture_prompt(policy, messages, pictures, self.book, prompt.tools)
        grader = str(prompt.extras.get("grader") or DEFAULT_GRADER)
        return EncodedPrompt(prompt.index, ids, prompt.text, prompt.answer, grader)


def picture_metrics(policy: Policy) -> dict[str, float]:
    """What a step reports of the pictures that a policy looked at before, and of those kept."""
    return policy.model.shelf.metrics() if isinstance(policy.model, SeeingModel) else {}


def with_instruction(messages: Sequence[Message], instruction: str | None) -> tuple[Message, ...]:
    """Messages whose last one ends with the instruction, unless it asks for a box itself."""
    *before, last = messages
    content = last.get("content")
    if instruction is None or BOX in content_text(content):
        return tuple(messages)
    added = f"\n{instruction}"
    if isinstance(content, list):
        part: JsonValue = {"type": "text", "text": added}
        return (*before, {**last, "content": [*content, part]})
    return (*before, {**last, "content": f"{content}{added}"})
