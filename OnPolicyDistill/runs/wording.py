"""Models, metrics and durations as people read them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import assert_never

from OnPolicyDistill.methods import RunSettings
from OnPolicyDistill.runs.events import EvaluationFinished, TeacherFigures
from OnPolicyDistill.runs.metrics import METRICS
from OnPolicyDistill.settings.distillation import DistillationSettings
from OnPolicyDistill.settings.evaluation import EvaluationSettings
from OnPolicyDistill.settings.grpo import GrpoSettings
from OnPolicyDistill.settings.projector import ProjectorSettings
from OnPolicyDistill.settings.prompt_distillation import PromptDistillationSettings
from OnPolicyDistill.settings.sft import SftSettings

# What a person reads first of an evaluation; a run has those of its method.
HEADLINE_METRICS = (
    "eval_reverse_kl",
    "eval_off_policy_reverse_kl",
    "eval_loss",
    "eval_agreement",
    "eval_off_policy_agreement",
    "eval_accuracy",
)
SHORT_NAMES = {
    "eval_reverse_kl": "reverse KL",
    "eval_off_policy_reverse_kl": "reverse KL off-policy",
    "eval_off_policy_agreement": "agreement off-policy",
    "eval_loss": "held-out loss",
    "eval_agreement": "agreement",
    "eval_accuracy": "task accuracy",
}

CHOSEN_ON_SAME = (
    "`best` was chosen on the prompts it is measured on, so its own figures flatter it a little."
)


def describe_intervals(event: EvaluationFinished) -> str:
    """Over what an evaluation's intervals are; empty where it has none."""
    if not event.intervals or event.num_prompts is None:
        return ""
    prompts = describe_drawn(event.num_prompts, event.num_available, "prompts")
    return f"95 % intervals over {prompts}."


def format_metric(key: str, value: float) -> str:
    """A metric's value as people read it: shares in %, the rest with its unit's precision."""
    unit = METRICS[key].unit if key in METRICS else ""
    if unit == "share":
        return f"{100 * value:.1f} %"
    if unit in ("tokens", "tok/s", "MB", "entries"):
        return f"{value:,.1f}"
    if unit.startswith("nats"):
        return f"{value:.4f}"
    return f"{value:.4g}"


def describe_value(key: str, value: float) -> str:
    """A metric's value in a sentence, with its unit."""
    unit = METRICS[key].unit
    return format_metric(key, value) + ("" if unit in ("", "share") else f" {unit}")


def format_interval(key: str, interval: tuple[float, float]) -> str:
    """A metric's interval as people read it, the unit once."""
    low, high = (format_metric(key, bound) for bound in interval)
    return f"{low.removesuffix(' %')} to {high}"


def format_change(key: str, before: float, after: float) -> str:
    """How a metric changed: points for shares, % for the rest."""
    if key in METRICS and METRICS[key].unit == "share":
        return f"{100 * (after - before):+.1f} points"
    return f"{100 * (after - before) / abs(before):+.1f} %" if before else ""


def tabulate_teachers(figures: Sequence[TeacherFigures]) -> list[list[str]]:
    """What was measured on the prompts of each of several teachers; a header and a row each."""
    keys = ("eval_reverse_kl", "eval_reverse_kl_bound", "eval_agreement", "eval_accuracy")
    shown = [key for key in keys if any(key in one.metrics for one in figures)]
    is_marked = any(one.teacher_accuracy is not None for one in figures)
    header = ["teacher", "prompts", *(METRICS[key].title for key in shown)]
    rows = [header + ["its own accuracy"] * is_marked]
    for one in figures:
        cells = [_with_interval(one, key) for key in shown]
        if is_marked:
            own = one.teacher_accuracy
            cells.append("" if own is None else format_metric("eval_accuracy", own))
        rows.append([one.name, str(one.num_prompts), *cells])
    return rows


def _with_interval(figures: TeacherFigures, key: str) -> str:
    if key not in figures.metrics:
        return ""
    interval = figures.intervals.get(key)
    behind = "" if interval is None else f" ({format_interval(key, interval)})"
    return format_metric(key, figures.metrics[key]) + behind


def describe_drawn(num_drawn: int, num_available: int | None, noun: str) -> str:
    """How many of a file's rows are used and how they were chosen."""
    if num_available is None or num_drawn == num_available:
        return f"{num_drawn:,} {noun}"
    return f"{num_drawn:,} of {num_available:,} {noun}, drawn evenly over the file by the seed"


def format_seconds(seconds: float) -> str:
    """A duration as people say it, of weeks as days."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest:02d} s"
    hours = minutes // 60
    if hours < 48:
        return f"{hours} h {minutes % 60:02d} min"
    return f"{hours // 24} days {hours % 24} h"


def describe_pace(step_seconds: float) -> str:
    """How fast steps follow each other; slow ones by what one of them takes."""
    if step_seconds > 60:
        return f"A step every {format_seconds(step_seconds)}"
    return f"About {60 / max(step_seconds, 1e-9):.1f} steps a minute"


def describe_models(settings: RunSettings) -> str:
    """Who learns, and from whom; of paths only the last part."""
    match settings:
        case DistillationSettings():
            return f"{_short(settings.student_model)} learns from {_teacher_of(settings)}"
        case SftSettings():
            source = settings.conversations or "conversations"
            return f"{_short(settings.model)} learns from {_short(source)}"
        case PromptDistillationSettings():
            return _describe_prompted(settings)
        case GrpoSettings():
            rewards = " and ".join(reward.kind for reward in settings.rewards)
            return f"{_short(settings.model)} learns from rewards: {rewards}"
        case ProjectorSettings(grafted_model=None):
            tower = _short(settings.vision_model)
            return f"{_short(settings.language_model)} learns to see with the tower of {tower}"
        case ProjectorSettings():
            return f"{_short(str(settings.grafted_model))} learns to see"
        case EvaluationSettings():
            names = ", ".join(variant.name for variant in settings.variants) or "no variants"
            return f"{names} on {_short(settings.inputs or 'no items')}"
        case _:
            assert_never(settings)


def _teacher_of(settings: DistillationSettings) -> str:
    if settings.teachers:
        names = [t.name if t.student_copy is None else "itself" for t in settings.teachers]
        return ", ".join(names[:-1]) + (" and " if names[1:] else "") + names[-1]
    if settings.is_served:
        return f"{_short(settings.teacher_name)} at {settings.teacher_endpoint.base}"
    worn = "" if settings.teacher_adapter is None else " with an adapter"
    return f"{_short(settings.teacher_model)}{worn}"


def _describe_prompted(settings: PromptDistillationSettings) -> str:
    teacher = "itself" if settings.is_self_distillation else _short(settings.teacher_model)
    prompt = _short(settings.teacher_prompt or "a prompt")
    return f"{_short(settings.student_model)} learns from {teacher} with {prompt}"


def _short(name: str) -> str:
    path = Path(name)
    return path.name if path.is_absolute() else name
