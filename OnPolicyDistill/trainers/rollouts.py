"""Which completions a step of distillation learns from.

Every row of a run has a number, from 0; it decides the row's prompt, its random seed and whose
completion it is, so a resumed run needs no more than the number of its step.

- fresh rows: the student completes the prompt now;
- teacher rows (`on_policy_fraction` below 1): the teacher's own completion, made once a prompt;
- fixed rows (`fixed_rollouts`, or a teacher that is unloaded): one completion a prompt, made by the
  student before it learned anything, used again every epoch.

Completions that are used again are kept in `completions.jsonl` of the run, so that a resumed run
learns from the same ones.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict

from OnPolicyDistill.datasets.order import row_at
from OnPolicyDistill.evaluation.heldout import EncodedPrompt, derive_seed
from OnPolicyDistill.files import disk_errors
from OnPolicyDistill.generation.loop import generate
from OnPolicyDistill.generation.request import GenerationHooks, GenerationRequest
from OnPolicyDistill.generation.sampling import SamplingSettings
from OnPolicyDistill.models.policy import Policy
from OnPolicyDistill.rollout import Rollout
from OnPolicyDistill.runs.log import repair_torn_line
from OnPolicyDistill.settings.distillation import DistillationSettings

Source = Literal["student", "teacher"]


@dataclass(frozen=True, slots=True)
class Row:
    """One row of a step: its number in the run, its prompt, and whose completion it is."""

    number: int
    prompt: EncodedPrompt
    is_teachers: bool


def rows_of_step(
    settings: DistillationSettings, prompts: Sequence[EncodedPrompt], step: int
) -> list[Row]:
    """Rows of step `step` (from 1): every prompt once an epoch, in an order of its own."""
    size = settings.rows_per_step
    rows = []
    for number in range((step - 1) * size, step * size):
        prompt = prompts[row_at(number, len(prompts), settings.seed)]
        rows.append(Row(number, prompt, _is_teachers(settings, number, prompt)))
    return rows


def _is_teachers(settings: DistillationSettings, number: int, prompt: EncodedPrompt) -> bool:
    """Spread the teacher's share evenly: over rows, or over prompts where those are fixed."""
    counter = prompt.index if uses_fixed_rollouts(settings) else number
    share = 1.0 - settings.on_policy_fraction
    return math.floor((counter + 1) * share) > math.floor(counter * share)


def uses_fixed_rollouts(settings: DistillationSettings) -> bool:
    """Whether the student's completions are made once, before it learns."""
    return settings.fixed_rollouts or not settings.keep_teacher_loaded


def sample(
    policy: Policy, rows: Sequence[Row], settings: DistillationSettings, hooks: GenerationHooks
) -> list[Rollout]:
    """Complete the rows' prompts with a policy; `prompt_index` is the prompt's own."""
    if not rows:
        return []
    wants_top = settings.teacher_targets == "top_k"
    request = GenerationRequest(
        prompts=[row.prompt.ids for row in rows],
        seeds=[derive_seed(settings.seed, "rollout", row.number) for row in rows],
        stop_ids=policy.stop_ids,
        vocab_size=policy.vocab_size,
        max_tokens=settings.max_generation_tokens,
        sampling=SamplingSettings(
            temperature=settings.generation_temperature, top_p=settings.top_p
        ),
        num_top_logprobs=min(settings.top_k, policy.vocab_size) if wants_top else 0,
        max_rows=settings.batch_size * settings.gradient_accumulation_steps,
    )
    rollouts = generate(policy.model, request, hooks)
    return [
        replace(rollout, prompt_index=row.prompt.index)
        for row, rollout in zip(rows, rollouts, strict=True)
    ]


class StoredCompletion(BaseModel):
    """A line of completions.jsonl."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    source: Source
    rollout: Rollout


class CompletionStore:
    """Completions that are used again, by whose they are and prompt; appended to a file."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._known: dict[tuple[Source, int], Rollout] = {}
        repair_torn_line(path)
        if path.exists():
            for line in path.read_text(encoding="utf-8").splitlines():
                stored = StoredCompletion.model_validate_json(line)
                rollout = stored.rollout
                self._known[(stored.source, rollout.prompt_index)] = rollout

    def missing(self, source: Source, rows: Sequence[Row]) -> list[Row]:
        """Rows whose prompt has no completion of this source yet, each prompt once."""
        unseen = {row.prompt.index: row for row in reversed(rows)}
        return [
            row
            for index, row in sorted(unseen.items(), key=lambda item: item[1].number)
            if (source, index) not in self._known
        ]

    def get(self, source: Source, row: Row) -> Rollout:
        """Return the completion of a row's prompt; it must have been added."""
        return self._known[(source, row.prompt.index)]

    def add(self, source: Source, rollouts: Sequence[Rollout]) -> None:
        """Keep completions, on disk first."""
        stored = [StoredCompletion(source=source, rollout=rollout) for rollout in rollouts]
        lines = [line.model_dump_json() + "\n" for line in stored]
        with disk_errors(self._path), self._path.open("a", encoding="utf-8") as stream:
            stream.write("".join(lines))
        for rollout in rollouts:
            self._known[(source, rollout.prompt_index)] = rollout
