"""The prompts of a run in token ids: those to train on, and those held out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from OnPolicyDistill.datasets.order import drawn_evenly
from OnPolicyDistill.datasets.prompts import load_prompts
from OnPolicyDistill.evaluation.heldout import HeldOut
from OnPolicyDistill.methods import facts_of
from OnPolicyDistill.models.policy import Policy, encode_prompt
from OnPolicyDistill.rollout import EncodedPrompt
from OnPolicyDistill.runs.reporting import Reporter
from OnPolicyDistill.settings.distillation import DistillationSettings
from OnPolicyDistill.settings.grpo import GrpoSettings
from OnPolicyDistill.training.files import LengthLimit, leave_out_long, named_file

# Reads a prompt file as the student will see it.
Encode = Callable[[Path], tuple[EncodedPrompt, ...]]
# Settings of a method that reads prompts, which come back with the steps that follow from them.
Prompted = TypeVar("Prompted", DistillationSettings, GrpoSettings)


@dataclass(frozen=True, slots=True)
class Prompts:
    """Both sides of a run's prompts."""

    train: tuple[EncodedPrompt, ...]
    held_out: HeldOut


def read_prompts(
    settings: Prompted, encode: Encode, reporter: Reporter
) -> tuple[Prompts, Prompted]:
    """Read and tokenize both prompt files; also the settings that know how many steps there are.

    Raises:
        ConfigError: the config names no file.
        DatasetError: a file cannot be used; names file and line.
    """
    facts = facts_of(settings)
    file = named_file(facts, "prompts", settings.prompts)
    prompts = encode(file)
    settings = settings.settled(len(prompts))
    if settings.num_epochs is not None:
        detail = f"{len(prompts)} prompts, {settings.rows_per_step} a step."
        reporter.phase("loading", detail, num_steps=settings.num_steps)
    file = named_file(facts, "validation_prompts", settings.validation_prompts)
    available = encode(file)
    return Prompts(prompts, _draw_held_out(available, settings)), settings


def encode_prompts(
    policy: Policy, file: Path, max_tokens: int, reporter: Reporter
) -> tuple[EncodedPrompt, ...]:
    """Tokenize a prompt file; prompts that are too long are left out and counted.

    Raises:
        DatasetError: a line cannot be read, or every prompt is too long.
    """
    encoded = [
        EncodedPrompt(
            p.index,
            tuple(encode_prompt(policy, p.messages, p.tools)),
            p.text,
            p.answer,
            p.grader,
            p.extras,
        )
        for p in load_prompts(file).prompts
    ]
    return short_prompts(encoded, max_tokens, file, reporter)


def short_prompts(
    encoded: Sequence[EncodedPrompt], max_tokens: int, file: Path, reporter: Reporter
) -> tuple[EncodedPrompt, ...]:
    """Prompts of a file that are short enough; the others are left out and counted.

    Raises:
        DatasetError: every prompt is too long.
    """
    limit = LengthLimit(max_tokens, "max_prompt_tokens", "prompts_left_out", "prompts")
    return leave_out_long(encoded, lambda prompt: len(prompt.ids), limit, file, reporter)


def _draw_held_out(
    available: tuple[EncodedPrompt, ...], settings: DistillationSettings | GrpoSettings
) -> HeldOut:
    wanted = max(1, round(settings.eval_fraction * len(available)))
    wanted = min(wanted, settings.eval_prompts or wanted)
    places = drawn_evenly(len(available), wanted, settings.seed)
    return HeldOut(
        tuple(available[place] for place in places),
        settings.max_generation_tokens,
        settings.rows_per_step,
        settings.seed,
        num_available=len(available),
    )
