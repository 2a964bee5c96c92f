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

from pydantic import BaseModel, ConfigDict, TypeAdapter

from OnPolicyDistill.distributed.ranks import this_process
from OnPolicyDistill.files import disk_errors
from OnPolicyDistill.generation.loop import generate
from OnPolicyDistill.generation.request import GenerationHooks, GenerationRequest
from OnPolicyDistill.generation.sampling import SamplingSettings
from OnPolicyDistill.models.pieces import one_thread_if_small
from OnPolicyDistill.models.policy import Policy
from OnPolicyDistill.rollout import EncodedPrompt, Rollout
from OnPolicyDistill.runs.log import repair_torn_line
from OnPolicyDistill.seeds import derive_seed
from OnPolicyDistill.settings.distillation import DistillationSettings
from OnPolicyDistill.training.teacher_order import places_of_rows, runs_of_one_teacher, turned
from OnPolicyDistill.training.work import Work

COMPLETIONS_FILE = "completions.jsonl"

Source = Literal["student", "teacher"]

ROLLOUTS = TypeAdapter(list[Rollout])


@dataclass(frozen=True, slots=True)
class Row:
    """One row of a step: its number in the run, its prompt, and whose completion it is.

    `is_fresh` says that the student completes it now; any other completion comes again.
    """

    number: int
    prompt: EncodedPrompt
    source: Source
    is_fresh: bool


def rows_of_step(
    settings: DistillationSettings, prompts: Sequence[EncodedPrompt], step: int
) -> list[Row]:
    """Rows of step `step` (from 1): every prompt once an epoch, in an order of its own."""
    size = settings.rows_per_step
    rows = []
    numbers = range((step - 1) * size, step * size)
    for number, place in zip(numbers, places_of_rows(settings, prompts, numbers), strict=True):
        prompt = prompts[place]
        source: Source = "teacher" if _is_teachers(settings, number, prompt) else "student"
        is_fresh = source == "student" and not uses_fixed_rollouts(settings)
        rows.append(Row(number, prompt, source, is_fresh))
    return turned(settings, rows, step)


def _is_teachers(settings: DistillationSettings, number: int, prompt: EncodedPrompt) -> bool:
    """Spread the teacher's share evenly: over rows, or over prompts where those are fixed."""
    counter = prompt.index if uses_fixed_rollouts(settings) else number
    share = 1.0 - settings.on_policy_fraction
    return math.floor((counter + 1) * share) > math.floor(counter * share)


def uses_fixed_rollouts(settings: DistillationSettings) -> bool:
    """Whether the student's completions are made once, before it learns."""
    return settings.fixed_rollouts or not settings.keep_teacher_loaded


def complete_rows(
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
        max_rows=settings.rows_per_step,
    )

    def named(rollout: Rollout) -> Rollout:
        prompt = rows[rollout.prompt_index].prompt
        return replace(rollout, prompt_index=prompt.index, teacher=prompt.teacher)

    told = replace(hooks, finished=lambda rollout: hooks.finished(named(rollout)))
    with one_thread_if_small(policy.model, min(len(rows), request.max_rows)):
        return [named(rollout) for rollout in generate(policy.model, request, told)]


def complete_together(
    policy: Policy, rows: Sequence[Row], settings: DistillationSettings, hooks: GenerationHooks
) -> list[Rollout]:
    """Complete rows that every rank will need: each its share, and all of them get all."""
    ranks = this_process()
    own = complete_rows(policy, ranks.own(rows), settings, hooks)
    return ranks.together(own, ROLLOUTS)


@dataclass(frozen=True, slots=True)
class MicroBatch:
    """Rows of one forward and backward pass: fresh completions first, then kept ones.

    `is_reused` says that an earlier step learned from them already.
    """

    fresh: list[Rollout]
    kept: list[Rollout]
    is_reused: bool = False

    @property
    def rollouts(self) -> list[Rollout]:
        """All rows, in the order of their targets."""
        return self.fresh + self.kept

    @property
    def num_tokens(self) -> int:
        """Completion tokens: the micro-batch's share of the step's normalizer."""
        return sum(len(rollout.completion_ids) for rollout in self.rollouts)


def in_micro_batches(
    rows: Sequence[Row],
    fresh: Sequence[Rollout],
    store: CompletionStore,
    settings: DistillationSettings,
) -> list[MicroBatch]:
    """Put a step's completions together: `fresh` those of its fresh rows, the store has the rest.

    `settings.batch_size` rows are one micro-batch, whose rows have one teacher. Those of the store
    are cut where fresh ones were stopped.
    """
    sampled, size, longest = iter(fresh), settings.batch_size, settings.max_generation_tokens
    completed = [
        (row, next(sampled) if row.is_fresh else shortened(store.get(row), longest)) for row in rows
    ]
    return [
        MicroBatch(
            fresh=[rollout for row, rollout in part if row.is_fresh],
            kept=[rollout for row, rollout in part if not row.is_fresh],
        )
        for run in runs_of_one_teacher(completed, lambda pair: pair[0].prompt.teacher)
        for part in (run[start : start + size] for start in range(0, len(run), size))
    ]


def shortened(rollout: Rollout, longest: int) -> Rollout:
    """A rollout as if its completion had been cut at `longest` tokens."""
    if len(rollout.completion_ids) <= longest:
        return rollout
    return replace(
        rollout,
        completion_ids=rollout.completion_ids[:longest],
        logprobs=rollout.logprobs[:longest],
        finish_reason="length",
        top_logprobs=rollout.top_logprobs[:longest],
    )


def first_epoch(settings: DistillationSettings, prompts: Sequence[EncodedPrompt]) -> list[Row]:
    """Rows of the first epoch, or of as much of it as the run will use: one a prompt."""
    rows: list[Row] = []
    for step in range(1, settings.num_steps + 1):
        rows.extend(rows_of_step(settings, prompts, step))
        if len(rows) >= len(prompts):
            break
    return rows[: len(prompts)]


def make_completions(
    source: Source,
    policy: Policy,
    rows: Sequence[Row],
    store: CompletionStore,
    settings: DistillationSettings,
    work: Work,
) -> None:
    """Let a policy complete, of rows that come again, those that are its own.

    They are saved group by group, so that an interruption costs at most one group.
    """
    own = [row for row in rows if row.source == source]
    size = 4 * settings.rows_per_step
    for start in range(0, len(own), size):
        missing = store.missing(source, own[start : start + size])
        store.add(source, complete_together(policy, missing, settings, work.hooks))
        done = min(start + size, len(own))
        work.reporter.phase("generating", f"Completions of the {source}.", done, len(own))


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
        """This source's rows whose prompt has no completion of it yet, each prompt once."""
        unseen = {row.prompt.index: row for row in reversed(rows) if row.source == source}
        return [
            row
            for index, row in sorted(unseen.items(), key=lambda item: item[1].number)
            if (source, index) not in self._known
        ]

    def get(self, row: Row) -> Rollout:
        """Return the completion of a row's prompt; it must have been added."""
        return self._known[(row.source, row.prompt.index)]

    def add(self, source: Source, rollouts: Sequence[Rollout]) -> None:
        """Keep completions, on disk first."""
        if not rollouts:
            return
        stored = [StoredCompletion(source=source, rollout=rollout) for rollout in rollouts]
        lines = [line.model_dump_json() + "\n" for line in stored]
        with disk_errors(self._path), self._path.open("a", encoding="utf-8") as stream:
            stream.write("".join(lines))
        for rollout in rollouts:
            self._known[(source, rollout.prompt_index)] = rollout
