"""The evaluating stage: four ways to answer the same held-out inputs, each measured once.

RUN/evaluation/<variant>.json keeps a variant's report and every prediction. Seconds per answer are
the wall clock of a batch divided by its answers, loading excluded.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict

from OnPolicyDistill.datasets.answers import read_label
from OnPolicyDistill.datasets.labelled import LabelledItem, labels_of
from OnPolicyDistill.evaluation.classification import ClassificationReport, Prediction, classify
from OnPolicyDistill.evaluation.heldout import derive_seed
from OnPolicyDistill.files import write_text_atomically
from OnPolicyDistill.generation.loop import generate
from OnPolicyDistill.generation.request import GenerationHooks, GenerationRequest
from OnPolicyDistill.generation.sampling import SamplingSettings
from OnPolicyDistill.models.policy import Policy
from OnPolicyDistill.trainers.answers import AnsweringStage, render, reply_of

Variant = Literal["teacher_with_prompt", "student_with_prompt", "student_before", "student_after"]
VARIANTS: tuple[Variant, ...] = (
    "teacher_with_prompt",
    "student_with_prompt",
    "student_before",
    "student_after",
)


class MeasuredVariant(BaseModel):
    """A variant's file."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    report: ClassificationReport
    predictions: tuple[Prediction, ...]


@dataclass(frozen=True, slots=True)
class HowToAnswer:
    """With the prompt or without, how long, and how freely."""

    prompt: str | None
    max_tokens: int
    temperature: float


def is_measured(stage: AnsweringStage, variant: Variant) -> bool:
    """Whether the variant's file is there; it is written as a whole."""
    return _file(stage, variant).is_file()


def measure_variant(stage: AnsweringStage, variant: Variant, policy: Policy) -> None:
    """Let a policy answer the held-out inputs as this variant does, unless it has.

    Raises:
        StoppedError: a stop was asked for; the variant is measured again later.
    """
    if is_measured(stage, variant):
        return
    settings, items = stage.questions.settings, stage.questions.items["held_out"]
    how = _how(stage, variant)
    predictions: list[Prediction] = []
    for start in range(0, len(items), settings.rows_per_step):
        predictions += _answer(stage, policy, items[start : start + settings.rows_per_step], how)
        detail = f"{variant.replace('_', ' ').capitalize()}."
        stage.reporter.phase("evaluating", detail, len(predictions), len(items))
    teacher = _teachers(stage)
    labels = settings.labels or labels_of(items)
    report = classify(variant, predictions, labels, teacher)
    measured = MeasuredVariant(report=report, predictions=tuple(predictions))
    file = _file(stage, variant)
    file.parent.mkdir(exist_ok=True)
    write_text_atomically(file, measured.model_dump_json(indent=1))


def read_variant(stage: AnsweringStage, variant: Variant) -> MeasuredVariant:
    """Read what was measured."""
    return MeasuredVariant.model_validate_json(_file(stage, variant).read_bytes())


def summary(stage: AnsweringStage) -> dict[str, float]:
    """The figures of all measured variants, for a run's last event."""
    figures: dict[str, float] = {}
    for variant in VARIANTS:
        if not is_measured(stage, variant):
            continue
        report = read_variant(stage, variant).report
        named = {
            "accuracy": report.accuracy,
            "macro_f1": report.macro_f1,
            "parse_rate": report.parse_rate,
            "teacher_agreement": report.teacher_agreement,
            "seconds_per_answer": report.seconds_per_answer,
            "tokens_per_answer": report.tokens_per_answer,
        }
        figures |= {f"{variant}_{k}": value for k, value in named.items() if value is not None}
    return figures


def _how(stage: AnsweringStage, variant: Variant) -> HowToAnswer:
    settings, prompt = stage.questions.settings, stage.questions.prompt
    if variant == "teacher_with_prompt":
        return HowToAnswer(prompt, settings.max_thinking_tokens, settings.teacher_temperature)
    if variant == "student_with_prompt":
        return HowToAnswer(prompt, settings.max_thinking_tokens, 0.0)
    longest = settings.max_answer_tokens
    if settings.target == "thinking":
        longest = settings.max_thinking_tokens
    return HowToAnswer(None, longest, 0.0)


def _answer(
    stage: AnsweringStage, policy: Policy, items: Sequence[LabelledItem], how: HowToAnswer
) -> list[Prediction]:
    settings = stage.questions.settings
    asked = [render(policy, item.text, how.prompt) for item in items]
    request = GenerationRequest(
        prompts=[ids for ids, _ in asked],
        seeds=[derive_seed(settings.seed, "variant", item.index) for item in items],
        stop_ids=policy.stop_ids,
        vocab_size=policy.vocab_size,
        max_tokens=how.max_tokens,
        sampling=SamplingSettings(temperature=how.temperature),
        max_rows=settings.rows_per_step,
    )
    started = time.perf_counter()
    rollouts = generate(policy.model, request, GenerationHooks(should_stop=stage.stop))
    seconds = (time.perf_counter() - started) / len(items)
    predictions = []
    for item, rollout, (_, opened) in zip(items, rollouts, asked, strict=True):
        reply = reply_of(policy, rollout, opened)
        predictions.append(
            Prediction(
                index=item.index,
                text=item.text,
                gold=item.gold,
                predicted=read_label(reply, settings.labels, settings.answer_prefix),
                reply=reply,
                num_tokens=len(rollout.completion_ids),
                seconds=seconds,
                finish_reason=rollout.finish_reason,
            )
        )
    return predictions


def _teachers(stage: AnsweringStage) -> tuple[Prediction, ...] | None:
    if not is_measured(stage, "teacher_with_prompt"):
        return None
    return read_variant(stage, "teacher_with_prompt").predictions


def _file(stage: AnsweringStage, variant: Variant) -> Path:
    return stage.run.path / "evaluation" / f"{variant}.json"
