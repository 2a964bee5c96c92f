"""The generating stage: a teacher with its prompt answers every input, batch by batch.

Batches are cut by the order of the inputs alone, so a run that was killed makes the same batches
again and gets the same bits. The prompt that all inputs share is read once.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import JsonValue

from OnPolicyDistill.datasets.answers import (
    CONVERSATION_FILES,
    IDENTITY_FILE,
    REJECTS_FILE,
    SAMPLES_FILE,
    Accepted,
    Answer,
    AnswerStore,
    Split,
    accept,
    conversation_line,
    identity_of,
    keep_pictures,
    read_label,
    write_lines,
)
from OnPolicyDistill.datasets.labelled import LabelledItem
from OnPolicyDistill.errors import ConfigError, DatasetError
from OnPolicyDistill.files import write_text_atomically
from OnPolicyDistill.generation.loop import generate
from OnPolicyDistill.generation.prefill import Prefix, read_prefix
from OnPolicyDistill.generation.request import GenerationRequest
from OnPolicyDistill.generation.sampling import SamplingSettings
from OnPolicyDistill.models.policy import Policy
from OnPolicyDistill.runs.directory import RunDirectory, find_run
from OnPolicyDistill.seeds import derive_seed
from OnPolicyDistill.settings.prompt_distillation import PromptDistillationSettings
from OnPolicyDistill.trainers.prompt_distillation.inputs import SPLITS, Inputs, render, reply_of
from OnPolicyDistill.training.work import Work

REJECT_ALARM = 0.2
PREFIX_SAMPLE = 32


@dataclass(frozen=True, slots=True)
class Try:
    """One try of one sample of one input."""

    item: LabelledItem
    sample: int
    attempt: int = 0


@dataclass(frozen=True, slots=True)
class Asked:
    """Who is asked: a teacher that has read what its prompts begin with, about one split."""

    teacher: Policy
    prefix: Prefix
    split: Split


def folder_of(run: RunDirectory) -> Path:
    """Where a run's answers are."""
    return run.path / "generated"


def is_generated(run: RunDirectory) -> bool:
    """Whether all conversations are written."""
    return all((folder_of(run) / name).is_file() for name in CONVERSATION_FILES.values())


def prepare_answers(work: Work, inputs: Inputs) -> None:
    """Take the answers of another run where the config names one, before any model is loaded.

    Raises:
        ConfigError: that run asked something else, or has not finished asking.
    """
    own = folder_of(work.run)
    own.mkdir(parents=True, exist_ok=True)
    identity = identity_of(inputs.items, inputs.prompt, inputs.settings)
    origin = inputs.settings.generated_from
    if origin is not None and not is_generated(work.run):
        folder = _other_folder(work.run, origin)
        _refuse_other_inputs(folder, identity, origin)
        shutil.copyfile(folder / SAMPLES_FILE, own / SAMPLES_FILE)
        write_conversations(work, inputs, AnswerStore(own))
    write_text_atomically(own / IDENTITY_FILE, json.dumps(identity, indent=1))


def generate_answers(work: Work, inputs: Inputs, teacher: Policy) -> None:
    """Let the teacher answer what is not answered yet, and write what is to be learned.

    Raises:
        StoppedError: a stop was asked for; at most a batch is lost.
        DatasetError: no answer was accepted.
    """
    settings = inputs.settings
    store = AnswerStore(folder_of(work.run))
    size = max(1, settings.rows_per_step // settings.num_samples)
    batches = [
        (split, inputs.items[split][start : start + size])
        for split in SPLITS
        for start in range(0, len(inputs.items[split]), size)
    ]
    whole = {
        (split, item.index)
        for split, batch in batches
        if all(_is_answered(store.of(split, each.index), settings) for each in batch)
        for item in batch
    }
    store.keep_only(lambda split, index: (split, index) in whole)
    prefix = _read_prompt(inputs, teacher)
    total, done = sum(len(batch) for _, batch in batches), 0
    for split, batch in batches:
        if (split, batch[0].index) not in whole:
            work.stop.check()
            store.add(_answer_batch(work, inputs, Asked(teacher, prefix, split), batch))
        done += len(batch)
        detail = f"The teacher {teacher.name} answers with its prompt."
        work.reporter.phase("generating", detail, done, total)
    write_conversations(work, inputs, store)


def write_conversations(work: Work, inputs: Inputs, store: AnswerStore) -> None:
    """Choose what is learned from the answers; rejects are kept with their reason.

    Raises:
        DatasetError: nothing was accepted.
    """
    settings = inputs.settings
    found: dict[Split, list[dict[str, JsonValue]]] = {"train": [], "held_out": []}
    rejects: list[dict[str, JsonValue]] = []
    for split in SPLITS:
        for item in inputs.items[split]:
            answers = store.of(split, item.index)
            chosen = accept(answers, settings.acceptance) if answers else "never answered"
            if isinstance(chosen, Accepted):
                pictures = keep_pictures(folder_of(work.run), item)
                found[split].append(conversation_line(item, chosen, settings, pictures))
                continue
            reject: dict[str, JsonValue] = {
                "split": split,
                "index": item.index,
                "text": item.text,
                "gold": item.gold,
                "reason": chosen,
                "replies": [answer.reply for answer in answers],
            }
            rejects.append(reject)
    write_lines(folder_of(work.run) / REJECTS_FILE, rejects)
    _warn_of_rejects(work, inputs, [str(reject["reason"]) for reject in rejects])
    if not found["train"]:
        first = rejects[0]["reason"]
        raise DatasetError(
            f"None of the teacher's answers was accepted: {first}.",
            "Read generated/rejects.jsonl; check labels, answer_prefix and max_thinking_tokens.",
        )
    for split in reversed(SPLITS):
        write_lines(folder_of(work.run) / CONVERSATION_FILES[split], found[split])


def _read_prompt(inputs: Inputs, teacher: Policy) -> Prefix:
    """Read what inputs from all over the file share; a batch that shares less reads its own."""
    items = inputs.items["train"]
    some = items[:: max(1, len(items) // PREFIX_SAMPLE)]
    prompts = [render(teacher, item, inputs.prompt)[0] for item in some]
    return read_prefix(teacher.model, prompts)


def _answer_batch(
    work: Work, inputs: Inputs, asked: Asked, batch: Sequence[LabelledItem]
) -> list[Answer]:
    settings = inputs.settings
    tries = [Try(item, sample) for item in batch for sample in range(settings.num_samples)]
    found: list[Answer] = []
    while tries:
        answers = _answer(work, inputs, asked, tries)
        found += answers
        tries = [
            Try(one.item, one.sample, one.attempt + 1)
            for one, answer in zip(tries, answers, strict=True)
            if answer.label is None and one.attempt < settings.max_retries
        ]
    return sorted(found, key=lambda answer: (answer.index, answer.sample, answer.attempt))


def _answer(work: Work, inputs: Inputs, asked: Asked, tries: Sequence[Try]) -> list[Answer]:
    settings, teacher = inputs.settings, asked.teacher
    rendered = [render(teacher, one.item, inputs.prompt) for one in tries]
    request = GenerationRequest(
        prompts=[ids for ids, _ in rendered],
        seeds=[_seed(settings, asked.split, one) for one in tries],
        stop_ids=teacher.stop_ids,
        vocab_size=teacher.vocab_size,
        max_tokens=settings.max_thinking_tokens,
        sampling=SamplingSettings(temperature=settings.teacher_temperature),
        max_rows=settings.rows_per_step,
        prefix=asked.prefix,
    )
    rollouts = generate(teacher.model, request, work.hooks)
    answers = []
    for one, rollout, (_, opened) in zip(tries, rollouts, rendered, strict=True):
        reply = reply_of(teacher, rollout, opened)
        answers.append(
            Answer(
                split=asked.split,
                index=one.item.index,
                sample=one.sample,
                attempt=one.attempt,
                reply=reply,
                label=read_label(reply, settings.labels, settings.answer_prefix),
                finish_reason=rollout.finish_reason,
                num_tokens=len(rollout.completion_ids),
            )
        )
    return answers


def _seed(settings: PromptDistillationSettings, split: Split, one: Try) -> int:
    purpose = f"answer_{split}_{one.sample}_{one.attempt}"
    return derive_seed(settings.seed, purpose, one.item.index)


def _is_answered(answers: Sequence[Answer], settings: PromptDistillationSettings) -> bool:
    last = {answer.sample: answer for answer in answers}
    return len(last) == settings.num_samples and all(
        answer.label is not None or answer.attempt == settings.max_retries
        for answer in last.values()
    )


def _warn_of_rejects(work: Work, inputs: Inputs, reasons: Sequence[str]) -> None:
    total = sum(len(items) for items in inputs.items.values())
    if len(reasons) > REJECT_ALARM * total:
        work.reporter.warn(
            "answers_rejected",
            f"{len(reasons)} of {total} inputs have no accepted answer; the first: {reasons[0]}.",
            "Read generated/rejects.jsonl; check labels, answer_prefix and max_thinking_tokens.",
        )


def _other_folder(run: RunDirectory, origin: str) -> Path:
    named = Path(origin).expanduser()
    found = named if named.is_dir() else find_run(run.path.parent.parent, origin).path
    return found / "generated"


def _refuse_other_inputs(folder: Path, identity: dict[str, str], origin: str) -> None:
    field = "prompt_distillation.generated_from"
    identity_file = folder / IDENTITY_FILE
    if not (folder / CONVERSATION_FILES["train"]).is_file() or not identity_file.is_file():
        message = f"{origin} has no finished answers."
        raise ConfigError(message, "Resume that run first.", ((field, message),))
    theirs = json.loads(identity_file.read_text(encoding="utf-8"))
    different = [name for name, mark in identity.items() if theirs.get(name) != mark]
    if different:
        message = f"{origin} was asked something else: its {' and '.join(different)} differ."
        raise ConfigError(message, "Use the same files, or generate anew.", ((field, message),))
