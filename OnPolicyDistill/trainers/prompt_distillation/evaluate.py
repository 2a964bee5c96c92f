"""The evaluating stage: four ways to answer the same held-out inputs, each measured once.

RUN/evaluation/<variant>.json keeps a variant's report and every prediction, report.json compares
those measured so far.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from OnPolicyDistill.datasets.answers import read_label
from OnPolicyDistill.datasets.labelled import THINKING_OPENS, labels_of
from OnPolicyDistill.evaluation.answering import AnswerRules, answer_items
from OnPolicyDistill.evaluation.classification import classify
from OnPolicyDistill.evaluation.labelled_files import Answered, write_evaluation
from OnPolicyDistill.evaluation.labelled_report import MeasuredVariant, Prediction
from OnPolicyDistill.files import write_text_atomically
from OnPolicyDistill.models.policy import Policy
from OnPolicyDistill.runs.directory import RunDirectory
from OnPolicyDistill.settings.prompt_distillation import PromptDistillationSettings
from OnPolicyDistill.trainers.prompt_distillation.inputs import Inputs
from OnPolicyDistill.training.work import Work

Variant = Literal["teacher_with_prompt", "student_with_prompt", "student_before", "student_after"]
VARIANTS: tuple[Variant, ...] = (
    "teacher_with_prompt",
    "student_with_prompt",
    "student_before",
    "student_after",
)


def is_measured(run: RunDirectory, variant: Variant) -> bool:
    """Whether the variant's file is there; it is written as a whole."""
    return _file(run, variant).is_file()


def measure_variant(work: Work, inputs: Inputs, variant: Variant, policy: Policy) -> None:
    """Let a policy answer the held-out inputs as this variant does, unless it has.

    Raises:
        StoppedError: a stop was asked for; the variant is measured again later.
    """
    if is_measured(work.run, variant):
        return
    settings, items = inputs.settings, inputs.items["held_out"]
    how = _how(inputs, variant)
    graded = {item.index for item in items if item.grader is not None}
    predictions: list[Prediction] = []
    for prediction in answer_items(policy, items, how, work.hooks):
        is_graded = prediction.index in graded
        free = prediction if is_graded else _with_free_label(prediction, policy, settings)
        predictions.append(free)
        if len(predictions) % how.batch_size == 0 or len(predictions) == len(items):
            detail = f"{variant.replace('_', ' ').capitalize()}."
            work.reporter.phase("evaluating", detail, len(predictions), len(items))
    teacher = _teachers(work.run)
    labels = settings.labels or labels_of(items)
    report = classify(variant, predictions, labels, teacher)
    measured = MeasuredVariant(report=report, predictions=tuple(predictions))
    file = _file(work.run, variant)
    file.parent.mkdir(exist_ok=True)
    write_text_atomically(file, measured.model_dump_json(indent=1))
    _compare(work.run, inputs, labels)


def read_variant(run: RunDirectory, variant: Variant) -> MeasuredVariant:
    """Read what was measured."""
    return MeasuredVariant.model_validate_json(_file(run, variant).read_bytes())


def summary(run: RunDirectory) -> dict[str, float]:
    """The figures of all measured variants, for a run's last event."""
    figures: dict[str, float] = {}
    for variant in VARIANTS:
        if not is_measured(run, variant):
            continue
        report = read_variant(run, variant).report
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


def _compare(run: RunDirectory, inputs: Inputs, labels: tuple[str, ...]) -> None:
    """Write the report on all variants measured so far."""
    measured = [variant for variant in VARIANTS if is_measured(run, variant)]
    settings = inputs.settings
    answered = Answered(
        run_id=run.run_id,
        inputs=str(settings.validation_inputs or settings.inputs),
        labels=labels,
        teacher="teacher_with_prompt" if "teacher_with_prompt" in measured else None,
        answers={variant: read_variant(run, variant).predictions for variant in measured},
        files=tuple(_file(run, variant).name for variant in measured),
        seed=settings.seed,
    )
    write_evaluation(run.path / "evaluation", answered)


def _how(inputs: Inputs, variant: Variant) -> AnswerRules:
    settings, prompt = inputs.settings, inputs.prompt
    long = "with_prompt" in variant or settings.target == "thinking"
    return AnswerRules(
        labels=settings.labels or (),
        answer_prefix=settings.answer_prefix,
        prompt=prompt if "with_prompt" in variant else None,
        max_answer_tokens=settings.max_thinking_tokens if long else settings.max_answer_tokens,
        temperature=settings.teacher_temperature if variant == "teacher_with_prompt" else 0.0,
        batch_size=settings.rows_per_step,
        seed=settings.seed,
    )


def _with_free_label(
    prediction: Prediction, policy: Policy, settings: PromptDistillationSettings
) -> Prediction:
    """Without labels any text behind the thinking is the answer."""
    if settings.labels is not None:
        return prediction
    opened = policy.chat_template.opening().rstrip().endswith(THINKING_OPENS)
    reply = (THINKING_OPENS if opened else "") + prediction.reply
    label = read_label(reply, None, settings.answer_prefix)
    return prediction.model_copy(update={"predicted": label})


def _teachers(run: RunDirectory) -> tuple[Prediction, ...] | None:
    if not is_measured(run, "teacher_with_prompt"):
        return None
    return read_variant(run, "teacher_with_prompt").predictions


def _file(run: RunDirectory, variant: Variant) -> Path:
    return run.path / "evaluation" / f"{variant}.json"
