"""A run of method evaluation: variants answer the same labelled items, one after the other.

RUN/evaluation/<nn>_<variant>.jsonl   answers, one Prediction a line, appended as they come
RUN/evaluation/report.json            EvaluationReport, and a heat map beside it

A stopped run goes on with the first item that has no answer yet.
"""

from __future__ import annotations

import random
import re
from dataclasses import dataclass
from pathlib import Path

from OnPolicyDistill.adapters.files import load_adapter
from OnPolicyDistill.config import EvaluationConfig
from OnPolicyDistill.datasets.labelled import LabelledItem, labels_of, load_items
from OnPolicyDistill.errors import ConfigError, InputError
from OnPolicyDistill.evaluation.answering import AnswerRules, answer_items, live_line
from OnPolicyDistill.evaluation.classification import classify
from OnPolicyDistill.evaluation.data_files import data_files
from OnPolicyDistill.evaluation.free_answers import KnownGrading, grading_of
from OnPolicyDistill.evaluation.intervals import Bounds, wilson_interval
from OnPolicyDistill.evaluation.labelled_files import Answered, write_evaluation
from OnPolicyDistill.evaluation.labelled_report import (
    FOLDER,
    ClassificationReport,
    Prediction,
    read_predictions,
)
from OnPolicyDistill.files import append_whole, disk_errors
from OnPolicyDistill.generation.request import GenerationHooks
from OnPolicyDistill.memory import memory_metrics, reset_peak
from OnPolicyDistill.models.loading import load_policy, unload
from OnPolicyDistill.models.picture_prompts import refuse_blind
from OnPolicyDistill.models.policy import Policy
from OnPolicyDistill.runs.directory import RunDirectory
from OnPolicyDistill.runs.events import EvaluationFinished, RunFinished
from OnPolicyDistill.runs.log import repair_torn_line
from OnPolicyDistill.runs.reporting import (
    Observer,
    Reporter,
    StopRequest,
    announce,
    occupying,
)
from OnPolicyDistill.settings.evaluation import EvaluationSettings, VariantSettings


@dataclass(frozen=True, slots=True)
class Assignment:
    """What all variants of a run have in common."""

    run: RunDirectory
    settings: EvaluationSettings
    items: list[LabelledItem]
    labels: tuple[str, ...]
    grading: KnownGrading
    reporter: Reporter
    stop: StopRequest


def evaluate_run(
    run: RunDirectory,
    observer: Observer | None = None,
    stop: StopRequest | None = None,
    checkpoint: Path | None = None,
) -> None:
    """Answer what is not answered yet and write the report; `checkpoint` means nothing here.

    Raises:
        StoppedError: a stop was asked for; the answers so far are kept.
        DistillError: anything else that ends the run, in words; it is in the event log as well.
    """
    with occupying(run, observer, stop) as (reporter, asked):
        assignment = _assigned(run, reporter, asked)
        announce(reporter, run.config(), data_files)
        _evaluate(assignment)


def _assigned(run: RunDirectory, reporter: Reporter, stop: StopRequest) -> Assignment:
    config = run.config()
    if not isinstance(config, EvaluationConfig):
        raise ConfigError("This run is no evaluation.", "Start it with: opd train.")
    settings = config.evaluation
    if settings.inputs is None or not settings.variants:
        raise ConfigError("An evaluation needs inputs and a variant.", "Name both.")
    items = load_items(Path(settings.inputs).expanduser(), sees=True)
    models = dict.fromkeys(variant.model for variant in settings.variants)
    refuse_blind(models, (source for item in items for source in item.pictures))
    if settings.max_samples is not None and settings.max_samples < len(items):
        drawn = random.Random(settings.seed).sample(items, settings.max_samples)
        items = sorted(drawn, key=lambda item: item.index)
    grading = grading_of(settings.grading, settings.labels, items)
    if not settings.labels and not labels_of(items):
        raise ConfigError("No item has a gold label.", "Name the labels.")
    labels = (settings.labels or labels_of(items)) if grading == "labels" else ()
    return Assignment(run, settings, items, labels, grading, reporter, stop)


def _evaluate(assignment: Assignment) -> None:
    settings, reporter = assignment.settings, assignment.reporter
    (assignment.run.path / FOLDER).mkdir(exist_ok=True)
    answers: dict[str, list[Prediction]] = {}
    files = []
    loaded: tuple[tuple[str, str | None], Policy] | None = None
    for number, variant in enumerate(settings.variants, start=1):
        file = assignment.run.path / FOLDER / _file_name(number, variant.name)
        files.append(file.name)
        done, memory = _kept(file), {}
        if len(done) < len(assignment.items):
            loaded = _loaded(loaded, variant, assignment)
            reset_peak()
            _answer(loaded[1], variant, file, done, assignment)
            memory = memory_metrics()
        answers[variant.name] = done
        reporter.step = number
        is_free = assignment.grading != "labels"
        report = classify(variant.name, done, assignment.labels, is_free=is_free)
        reporter.emit(
            EvaluationFinished(
                step=number,
                metrics={**variant_metrics(report), **memory},
                intervals=variant_intervals(report),
                num_prompts=report.num_items,
            )
        )
    if loaded is not None:
        unload(loaded[1])
    _finish(assignment, answers, tuple(files))


def _loaded(
    loaded: tuple[tuple[str, str | None], Policy] | None,
    variant: VariantSettings,
    assignment: Assignment,
) -> tuple[tuple[str, str | None], Policy]:
    """The variant's policy; equal neighbours share one, others never meet in memory."""
    key = (variant.model, variant.adapter)
    if loaded is not None and loaded[0] == key:
        return loaded
    if loaded is not None:
        unload(loaded[1])
    whose = "" if variant.name == variant.model else f" for {variant.name}"
    assignment.reporter.phase("loading", f"Loading {variant.model}{whose}.")
    settings = assignment.settings
    policy = load_policy(variant.model, settings.mixed_precision, settings)
    if variant.adapter is not None:
        policy = load_adapter(policy, Path(variant.adapter).expanduser())[0]
    return key, policy


def _answer(
    policy: Policy,
    variant: VariantSettings,
    file: Path,
    done: list[Prediction],
    assignment: Assignment,
) -> None:
    """Answer the items that are not in `done`; each answer is on disk before it is told."""
    settings = assignment.settings
    rules = AnswerRules(
        labels=assignment.labels,
        answer_prefix=settings.answer_prefix,
        grading=assignment.grading,
        prompt=None if variant.prompt is None else read_prompt(Path(variant.prompt)),
        max_answer_tokens=variant.max_answer_tokens,
        temperature=settings.temperature,
        batch_size=settings.batch_size,
        seed=settings.seed,
    )
    known = {prediction.index for prediction in done}
    waiting = [item for item in assignment.items if item.index not in known]
    hooks = GenerationHooks(should_stop=assignment.stop)
    with file.open("ab", buffering=0) as stream:
        for prediction in answer_items(policy, waiting, rules, hooks):
            with disk_errors(file):
                append_whole(stream.fileno(), prediction.model_dump_json().encode() + b"\n")
            done.append(prediction)
            graded = [p for p in done if p.gold is not None]
            right = sum(p.predicted == p.gold for p in graded)
            line = f"{variant.name}: {live_line(prediction, right, len(graded))}"
            assignment.reporter.phase("evaluating", line, len(done), len(assignment.items))


def _finish(
    assignment: Assignment, answers: dict[str, list[Prediction]], files: tuple[str, ...]
) -> None:
    report = write_evaluation(
        assignment.run.path / FOLDER,
        Answered(
            run_id=assignment.run.run_id,
            inputs=str(assignment.settings.inputs),
            labels=assignment.labels,
            teacher=assignment.settings.teacher,
            answers=answers,
            files=files,
            seed=assignment.settings.seed,
            grading=assignment.grading,
        ),
    )
    last = report.variants[-1]
    assignment.reporter.emit(
        RunFinished(step=len(report.variants), because="completed", report=variant_metrics(last))
    )


def variant_metrics(report: ClassificationReport) -> dict[str, float]:
    """A variant's numbers by metric key."""
    metrics = {
        "eval_accuracy": report.accuracy,
        "eval_macro_f1": report.macro_f1,
        "eval_parse_rate": report.parse_rate,
        "eval_teacher_agreement": report.teacher_agreement,
        "eval_seconds_per_answer": report.seconds_per_answer,
        "eval_tokens_per_answer": report.tokens_per_answer,
        "eval_truncated_share": report.truncated_share,
    }
    return {key: value for key, value in metrics.items() if value is not None}


def variant_intervals(report: ClassificationReport) -> dict[str, Bounds]:
    """Intervals of a variant's shares of items, by metric key."""
    shares = {
        "eval_parse_rate": report.parse_rate,
        "eval_teacher_agreement": report.teacher_agreement,
        "eval_truncated_share": report.truncated_share,
    }
    found = {
        key: wilson_interval(round(share * report.num_items), report.num_items)
        for key, share in shares.items()
        if share is not None
    }
    if report.interval is not None:
        found["eval_accuracy"] = report.interval
    return {key: (interval.low, interval.high) for key, interval in found.items()}


def read_prompt(path: Path) -> str:
    """Read a system prompt.

    Raises:
        InputError: the file is missing, empty or no text.
    """
    try:
        text = path.expanduser().read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"The prompt {path} cannot be read.", "Check the path.") from error
    if not text:
        raise InputError(f"The prompt {path} is empty.", "Write one, or name none.")
    return text


def _kept(file: Path) -> list[Prediction]:
    repair_torn_line(file)
    return read_predictions(file) if file.is_file() else []


def _file_name(number: int, name: str) -> str:
    return f"{number:02d}_{re.sub(r'[^a-z0-9-]+', '_', name.lower())[:60]}.jsonl"
