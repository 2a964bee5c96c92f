"""What to change so that a run fits, tried out one change at a time, and what to be warned of."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue, ValidationError

from OnPolicyDistill.errors import ModelError
from OnPolicyDistill.methods import FACTS, RunKind
from OnPolicyDistill.planning.calibration import Calibration
from OnPolicyDistill.planning.chips import Chip
from OnPolicyDistill.planning.looks import with_looks, with_pictures
from OnPolicyDistill.planning.memory import forecast_memory, peak
from OnPolicyDistill.planning.models import describe_model
from OnPolicyDistill.planning.rates import endless_warmup
from OnPolicyDistill.planning.time import RunSeconds, corrected, forecast_time
from OnPolicyDistill.planning.workload import Workload
from OnPolicyDistill.registry import find_model
from OnPolicyDistill.runs.wording import describe_pace

Verdict = Literal["fits", "tight", "does_not_fit"]

# The forecast is good to about a tenth, so the last tenth of the limit is called tight.
COMFORTABLE_SHARE = 0.92
FEW_STEPS_PER_MINUTE = 5
NOTHING_HELPS = (
    "No change of these settings makes it fit: choose smaller models, or quantized forms of them."
)
SHORT_COMPLETION = 256
LEAST_COMPLETIONS = 4
LEAST_SAVING = 0.98
# What may be halved more than once on the way to a run that fits.
HALVED_AGAIN = {"batch_size", "num_completions"}
# What a setting of on-policy distillation is called by methods that have none of that name.
OTHER_NAMES = {"max_generation_tokens": "max_answer_tokens"}


class Advice(BaseModel):
    """What to change, and its effect; `changes` are settings of the method's block."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    message: str
    changes: dict[str, JsonValue]
    verdict: Verdict = Field(description="The verdict with these changes and no others.")
    needed_gb: float
    step_seconds: float


@dataclass(frozen=True, slots=True)
class Change:
    """A change that is worth trying."""

    message: str
    changes: dict[str, JsonValue]
    changed: Workload


@dataclass(frozen=True, slots=True)
class Circumstances:
    """What a run has to do with beside its settings: where it runs, and what no change lowers.

    `limit` and `least_bytes` are bytes; the latter are of the stages in which a model only answers.
    """

    chip: Chip
    limit: int
    learned: Calibration
    least_bytes: int = 0

    def needed(self, work: Workload) -> int:
        """Bytes of the phase that needs most."""
        phases = with_pictures(work, forecast_memory(work))
        return max(peak(phases).total, self.least_bytes)

    def times(self, work: Workload) -> RunSeconds:
        """Times on the chip, as earlier runs correct them."""
        times = corrected(forecast_time(work, self.chip), self.learned)
        return with_looks(work, times, self.chip)


def verdict_of(needed: int, limit: int) -> Verdict:
    """Compare bytes with the bytes that may be used."""
    if needed > limit:
        return "does_not_fit"
    return "fits" if needed <= COMFORTABLE_SHARE * limit else "tight"


def advise(work: Workload, here: Circumstances, method: RunKind) -> Iterator[Advice]:
    """Yield changes with which a run fits that does not fit comfortably.

    Each of them is enough alone. Where none is, they are taken together, those that save most
    first, until it fits; where all together are not enough, there is nothing to advise.
    """
    needed = here.needed(work)
    if verdict_of(needed, here.limit) == "fits":
        return
    helping = [
        change
        for change in _own_changes(work, method)
        if here.needed(change.changed) < min(LEAST_SAVING * needed, here.limit + 1)
    ]
    for change in helping or taken_together(work, here, method):
        total = here.needed(change.changed)
        yield Advice(
            message=change.message,
            changes=in_words_of(method, change.changes),
            verdict=verdict_of(total, here.limit),
            needed_gb=round(total / 1e9, 2),
            step_seconds=round(here.times(change.changed).step.total, 3),
        )


def taken_together(work: Workload, here: Circumstances, method: RunKind) -> Iterator[Change]:
    """One change made of several with which the run fits, if there is one.

    Each setting is changed once, but rows are halved as often as that saves something.
    """
    made: dict[tuple[str, ...], Change] = {}
    while (needed := here.needed(work)) > here.limit:
        left = [
            change
            for change in _own_changes(work, method)
            if tuple(change.changes) not in made or change.changes.keys() & HALVED_AGAIN
        ]
        best = min(left, key=lambda change: here.needed(change.changed), default=None)
        if best is None or here.needed(best.changed) >= LEAST_SAVING * needed:
            return
        made[tuple(best.changes)], work = best, best.changed
    if made:
        messages = " ".join(change.message for change in made.values())
        changes = {key: value for one in made.values() for key, value in one.changes.items()}
        yield Change(messages, changes, work)


def _own_changes(work: Workload, method: RunKind) -> Iterator[Change]:
    """Changes of settings that the method has, which its other settings allow."""
    own = FACTS[method].settings.model_fields.keys()
    for change in _changes(work):
        changes = in_words_of(method, change.changes)
        if changes.keys() <= own and _is_allowed(work, method, changes):
            yield change


def _is_allowed(work: Workload, method: RunKind, changes: Mapping[str, JsonValue]) -> bool:
    """Whether the settings do not contradict the changes, as rewards do that count tokens."""
    try:
        FACTS[method].settings.model_validate({**work.settings.model_dump(), **changes})
    except ValidationError:
        return False
    return True


def in_words_of(method: RunKind, changes: Mapping[str, JsonValue]) -> dict[str, JsonValue]:
    """Name changes as the method's own block does."""
    own = FACTS[method].settings.model_fields
    return {
        key if key in own else OTHER_NAMES.get(key, key): value for key, value in changes.items()
    }


def warn(work: Workload, times: RunSeconds, needed: int, limit: int) -> Iterator[str]:
    """Yield what the user should know before starting, in words."""
    if needed > limit:
        yield (
            f"The run needs {needed / 1e9:.1f} GB and may use {limit / 1e9:.1f} GB: macOS would "
            "end it without a message."
        )
    yield from _cache_warnings(work)
    d = work.student.dimensions
    if 0 < d.max_positions < work.row_tokens:
        yield (
            f"{work.student.name} knows {d.max_positions} positions; prompt and completion "
            f"need {work.row_tokens}."
        )
    known = find_model(work.student.name)
    # What ships is known to be done within the limits of its presets, which are tests.
    is_shipped = known is not None and known.folder is not None
    if 0 < work.completion_tokens < SHORT_COMPLETION and not is_shipped:
        yield (
            f"Completions are cut at {work.completion_tokens} tokens; a longer answer has no "
            "end to learn. Watch the truncated share."
        )
    yield from _thinking_warnings(work)
    yield from _speed_warnings(work, times)
    warmup = endless_warmup(work.settings)
    if warmup is not None:
        yield f"{warmup.message} {warmup.fix}"


def _cache_warnings(work: Workload) -> Iterator[str]:
    needed, held = work.cache_bytes_needed, work.cache_bytes
    if work.distillation is None or needed <= held:
        return
    sizes = f"the scores need {needed / 1e6:.0f} MB, teacher_cache_size_mb is {held / 1e6:.0f}"
    if not work.distillation.keep_teacher_loaded:
        yield (
            f"The cache cannot hold all scores, so the run will be refused: {sizes}. Raise it, "
            "use teacher_targets: top_k, or fewer prompts."
        )
    else:
        yield f"The cache is too small to help from the second epoch on: {sizes}."


def _thinking_warnings(work: Workload) -> Iterator[str]:
    known = find_model(work.student.name)
    thinks = known is not None and known.chat.thinking != "never" and known.folder is None
    if thinks and 0 < work.completion_tokens < 2048:
        yield (
            f"{work.student.name} thinks before it answers; with {work.completion_tokens} tokens "
            "most completions will be cut."
        )


def _speed_warnings(work: Workload, times: RunSeconds) -> Iterator[str]:
    if work.teacher is None:
        return
    pace = 60 / max(times.step.total, 1e-9)
    if pace < FEW_STEPS_PER_MINUTE and not work.teacher.dimensions.num_experts:
        yield (
            f"{describe_pace(times.step.total)} by forecast. A mixture-of-experts teacher, a "
            "packed student and shorter completions, as in the preset fast_mac, are several times "
            "faster."
        )


def _changes(work: Workload) -> Iterator[Change]:
    settings = work.settings
    if not settings.grad_checkpoint:
        message = "Recompute activations in the backward pass."
        yield _with(work, message, {"grad_checkpoint": True})
    if settings.batch_size > 1:
        size = settings.batch_size // 2
        times = settings.gradient_accumulation_steps * 2
        rows = size * work.rows_per_prompt
        message = f"Learn {rows} rows at a time; the step stays as large."
        yield _with(work, message, {"batch_size": size, "gradient_accumulation_steps": times})
    if work.groups is not None and work.groups.num_completions > LEAST_COMPLETIONS:
        half = work.groups.num_completions // 2
        message = f"Compare {half} completions a prompt, which tells them apart less well."
        yield _with(work, message, {"num_completions": half})
    if work.completion_tokens > 0:
        half = max(work.completion_tokens // 2, 1)
        message = f"Stop completions at {half} tokens."
        yield _with(work, message, {"max_generation_tokens": half})
    yield from _changes_of_teacher(work)


def _changes_of_teacher(work: Workload) -> Iterator[Change]:
    """Where several take turns, or all are served, no single teacher could be another one."""
    d = work.distillation
    if d is None or work.teacher is None or d.teachers:
        return
    if d.keep_teacher_loaded:
        message = "Score first, then unload the teacher."
        yield _with(work, message, {"keep_teacher_loaded": False})
    for form in ("8bit", "4bit"):
        yield from _quantized(work, form)


def _with(work: Workload, message: str, changes: dict[str, JsonValue]) -> Change:
    settings = work.settings.model_copy(update=changes)
    distillation = work.distillation and work.distillation.model_copy(update=changes)
    changed = replace(work, settings=distillation or settings, distillation=distillation)
    if work.groups is not None:
        now = settings.model_dump()
        groups = replace(
            work.groups,
            max_tokens=now["max_generation_tokens"],
            num_completions=now["num_completions"],
        )
        changed = replace(changed, groups=groups)
    return Change(message, changes, changed)


def _quantized(work: Workload, form: str) -> Iterator[Change]:
    """A quantized form of the teacher, where the registry knows one and it is smaller."""
    assert work.teacher is not None
    known = find_model(work.teacher.name)
    if known is None or form not in known.forms or int(form.removesuffix("bit")) >= known.bits:
        return
    name = f"{known.alias}-{form}"
    try:
        teacher = describe_model(name)
    except ModelError:
        return
    message = f"Use the teacher in {form}: a slightly different teacher; measure how different."
    yield Change(message, {"teacher_model": name}, replace(work, teacher=teacher))
