"""What a distillation run works on besides models: prompts, held-out prompts, kept completions."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from OnPolicyDistill.datasets.order import drawn_evenly
from OnPolicyDistill.datasets.prompts import load_prompts
from OnPolicyDistill.errors import ConfigError, DatasetError
from OnPolicyDistill.evaluation.heldout import EncodedPrompt, HeldOut, complete
from OnPolicyDistill.generation.request import GenerationHooks
from OnPolicyDistill.generation.sampling import SamplingSettings
from OnPolicyDistill.models.policy import Policy, encode_prompt
from OnPolicyDistill.rollout import Rollout
from OnPolicyDistill.runs.directory import RunDirectory
from OnPolicyDistill.runs.reporting import Reporter, StopRequest
from OnPolicyDistill.settings.distillation import DistillationSettings
from OnPolicyDistill.teacher.scoring import EXACT, Teacher
from OnPolicyDistill.trainers.rollouts import CompletionStore, Row, Source, rows_of_step, sample

COMPLETIONS_FILE = "completions.jsonl"
PROBE_ROWS = 4


@dataclass(frozen=True, slots=True)
class Materials:
    """Prompts in token ids, the held-out set, and completions that are used again."""

    settings: DistillationSettings
    prompts: tuple[EncodedPrompt, ...]
    held_out: HeldOut
    store: CompletionStore
    reporter: Reporter
    hooks: GenerationHooks

    def make_completions(self, source: Source, policy: Policy) -> None:
        """Make one completion for every prompt of the first epoch that this source completes.

        They are saved group by group, so that an interruption costs at most one group.
        """
        is_teachers = source == "teacher"
        rows = [row for row in self.first_epoch() if row.is_teachers == is_teachers]
        size = 4 * self.settings.batch_size * self.settings.gradient_accumulation_steps
        for start in range(0, len(rows), size):
            missing = self.store.missing(source, rows[start : start + size])
            if missing:
                self.store.add(source, sample(policy, missing, self.settings, self.hooks))
            done = min(start + size, len(rows))
            self.reporter.phase("generating", f"Completions of the {source}.", done, len(rows))

    def first_epoch(self) -> list[Row]:
        """Rows of the first epoch, or of as much of it as the run will use: one a prompt."""
        rows: list[Row] = []
        for step in range(1, self.settings.num_steps + 1):
            rows.extend(rows_of_step(self.settings, self.prompts, step))
            if len(rows) >= len(self.prompts):
                break
        return rows[: len(self.prompts)]

    def kept(self, row: Row) -> Rollout:
        """The completion of a row that is used again each epoch."""
        return self.store.get("teacher" if row.is_teachers else "student", row)

    def keep_scores(self, teacher: Teacher) -> HeldOut:
        """Score whatever will be asked for into the cache, before the teacher is unloaded.

        Returns the held-out set with the teacher's own completions, on which the student is
        measured from then on.

        Raises:
            RunError: the cache is too small.
        """
        rows = self.first_epoch()
        rollouts = [self.kept(row) for row in rows]

        def progress(done: int) -> None:
            self.reporter.phase("scoring", "Scores for the cache.", done, len(rollouts))

        own = complete(teacher.policy, self.held_out, SamplingSettings(), self.hooks)
        teacher.keep(own, EXACT)
        teacher.keep(rollouts[:PROBE_ROWS], EXACT)
        teacher.keep(rollouts, progress=progress)
        return replace(self.held_out, fixed=tuple(own))


def gather_materials(
    run: RunDirectory,
    settings: DistillationSettings,
    student: Policy,
    reporter: Reporter,
    stop: StopRequest,
) -> Materials:
    """Read and tokenize the prompt files of a run.

    Raises:
        ConfigError: the config names no file.
        DatasetError: a file cannot be used; names file and line.
    """
    prompts = _encoded(student, "prompts", settings.prompts, settings, reporter)
    settings = settings.settled(len(prompts))
    if settings.num_epochs is not None:
        detail = f"{len(prompts)} prompts, {settings.rows_per_step} a step."
        reporter.phase("loading", detail, num_steps=settings.num_steps)
    held = _encoded(student, "validation_prompts", settings.validation_prompts, settings, reporter)
    wanted = max(1, round(settings.eval_fraction * len(held)))
    wanted = min(wanted, settings.eval_prompts or wanted)
    rows = settings.batch_size * settings.gradient_accumulation_steps
    drawn = tuple(held[place] for place in drawn_evenly(len(held), wanted, settings.seed))
    held_out = HeldOut(
        drawn, settings.max_generation_tokens, rows, settings.seed, num_available=len(held)
    )
    store = CompletionStore(run.path / COMPLETIONS_FILE)
    hooks = GenerationHooks(should_stop=stop)
    return Materials(settings, prompts, held_out, store, reporter, hooks)


def _encoded(
    policy: Policy,
    key: str,
    file: str | None,
    settings: DistillationSettings,
    reporter: Reporter,
) -> tuple[EncodedPrompt, ...]:
    """Tokenize a prompt file; prompts that are too long are left out and counted."""
    if file is None:
        raise ConfigError(
            f"The config names no {key} file.",
            f"Set distillation.{key} to a JSONL file of prompts.",
            ((f"distillation.{key}", "a file of prompts is required to train"),),
        )
    limit = settings.max_prompt_tokens
    prompt_set = load_prompts(Path(file))
    encoded = [
        EncodedPrompt(p.index, tuple(encode_prompt(policy, p.messages)), p.text, p.answer)
        for p in prompt_set.prompts
    ]
    short = tuple(prompt for prompt in encoded if len(prompt.ids) <= limit)
    if not short:
        raise DatasetError(
            f"all {len(encoded)} prompts are longer than {limit} tokens.",
            "Raise max_prompt_tokens or shorten them.",
            Path(file),
        )
    if len(short) < len(encoded):
        reporter.warn(
            "prompts_left_out",
            f"{len(encoded) - len(short)} of {len(encoded)} prompts of {file} are longer than "
            f"{limit} tokens and were left out.",
            "Raise max_prompt_tokens to use them.",
        )
    return short
