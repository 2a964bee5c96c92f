"""Events: the append-only log of a run, one JSON object a line, numbered without gaps.

After a `run_resumed` at step s, what stands earlier in the file for steps > s was undone by the
resume and happens again: the later line counts.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from OnPolicyDistill.faces import Phase

PICTURE_DIGEST_PATTERN = r"^[0-9a-f]{32}$"
FinishedBecause = Literal["completed", "plateau", "stopped"]
# Beyond 2^53 a number is not exact in JSON, nor in a browser.
Step = Annotated[int, Field(ge=0, le=2**53)]

# Code of the warning that opens a session after a crash in the middle of a line.
TORN_LINE_REPAIRED = "torn_line_repaired"


class EventBase(BaseModel):
    """Fields of every event: its number in the file and the wall-clock time (Unix seconds)."""

    # A number that is not finite would be written as null and make the log unreadable.
    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        allow_inf_nan=False,
        json_schema_serialization_defaults_required=True,
    )

    seq: int = Field(0, ge=0, description="Position in the log, from 0, without gaps.")
    time: float = Field(0.0, description="Wall-clock time, Unix seconds; set when written.")


class Machine(BaseModel):
    """What a run ran on."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    platform: str
    processor: str
    memory_gb: float
    python: str
    mlx: str
    mlx_lm: str
    program: str = ""  # our own version; logs of earlier versions do not say


class DataFile(BaseModel):
    """A file that the settings name under `key`, and what it held when the run began."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    key: str
    path: str
    num_bytes: int
    sha256: str = Field(description="Of its bytes; of a set in several files, of all in order.")


class RunStarted(EventBase):
    """The first event of every run."""

    kind: Literal["run_started"] = "run_started"
    run_id: str
    method: str
    num_steps: int = Field(description="Steps in all; 0 where the rows decide, not yet known.")
    config_hash: str
    machine: Machine
    files: tuple[DataFile, ...] = Field((), description="Logs of earlier versions have none.")


class PhaseChanged(EventBase):
    """The run does something else now; `detail` is one sentence for people."""

    kind: Literal["phase_changed"] = "phase_changed"
    phase: Phase
    step: Step
    detail: str = ""
    done: int | None = Field(None, description="Units done, where the phase can count them.")
    total: int | None = Field(None, description="Units in all, where the phase can count them.")
    num_steps: int | None = Field(
        None, description="How many steps the run takes, where that became known only now."
    )


class Check(BaseModel):
    """One measured claim of the proof of learning."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, json_schema_serialization_defaults_required=True
    )

    name: str
    passed: bool
    measured: float | None = Field(description="Null where it came out as no finite number.")
    limit: float
    bound: Literal["above", "at_most"] | None = None  # logs of earlier versions do not say
    claim: str
    figures: dict[str, float] = Field({}, description="What else was measured with it, by name.")
    advice: str = Field("", description="Where it failed: the likely cause, and what to do.")

    @classmethod
    def above(cls, name: str, claim: str, measured: float, limit: float) -> Self:
        """Judge a number that must exceed its limit; one that is not finite never does."""
        finite = measured if math.isfinite(measured) else None
        passed = finite is not None and finite > limit
        return cls(
            name=name, passed=passed, measured=finite, limit=limit, bound="above", claim=claim
        )

    @classmethod
    def at_most(
        cls,
        name: str,
        claim: str,
        measured: float,
        limit: float,
        figures: Mapping[str, float] | None = None,
    ) -> Self:
        """Judge a number that may not exceed its limit; one that is not finite always does."""
        finite = measured if math.isfinite(measured) else None
        bound = limit if math.isfinite(limit) else 0.0
        return cls(
            name=name,
            passed=finite is not None and finite <= bound,
            measured=finite,
            limit=bound,
            bound="at_most",
            claim=claim,
            figures={key: value for key, value in (figures or {}).items() if math.isfinite(value)},
        )

    @property
    def measured_in_words(self) -> str:
        """What was measured and the figures beside it, such as `0.03 (p99 0.1, max 0.14)`."""
        words = "not a number" if self.measured is None else f"{self.measured:.3g}"
        beside = ", ".join(f"{name} {value:.3g}" for name, value in self.figures.items())
        return f"{words} ({beside})" if beside else words

    @property
    def limit_in_words(self) -> str:
        """The limit with its direction, such as `above 1e-06`."""
        words = {"above": "must be above ", "at_most": "may be ", None: "limit "}
        return f"{words[self.bound]}{self.limit:.3g}{' at most' if self.bound == 'at_most' else ''}"


class SelfTestFinished(EventBase):
    """The proof of learning: each check with what it measured."""

    kind: Literal["self_test_finished"] = "self_test_finished"
    passed: bool
    checks: tuple[Check, ...]


class StepFinished(EventBase):
    """One optimizer step with its metrics (see runs/metrics.py for keys and units)."""

    kind: Literal["step_finished"] = "step_finished"
    step: Step
    metrics: dict[str, float]


class RolloutSampled(EventBase):
    """A rollout of this step was written to rollouts.jsonl at this byte offset."""

    kind: Literal["rollout_sampled"] = "rollout_sampled"
    step: Step
    offset: int
    prompt: str
    completion: str
    num_tokens: int
    mean_divergence: float | None = None  # none where nothing was compared with a teacher
    reward: float | None = None  # none where nothing graded it


class TeacherFigures(BaseModel):
    """What an evaluation measured on the prompts of one of several teachers.

    `teacher_accuracy` is the teacher's own, where it writes answers and its prompts have them.
    """

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        allow_inf_nan=False,
        json_schema_serialization_defaults_required=True,
    )

    name: str
    num_prompts: int
    metrics: dict[str, float]
    intervals: dict[str, tuple[float, float]] = {}
    teacher_accuracy: float | None = None


class EvaluationFinished(EventBase):
    """Held-out metrics at a step; step 0 is the student before training.

    `intervals` are 95 % intervals over the prompts, low and high by metric key. `is_best` says that
    `best` points here; `improved` that the metric is better than ever before beyond chance.
    `by_teacher` are the same figures on each teacher's prompts, where there are several.
    """

    kind: Literal["evaluation_finished"] = "evaluation_finished"
    step: Step
    metrics: dict[str, float]
    intervals: dict[str, tuple[float, float]] = {}
    num_prompts: int | None = None
    num_available: int | None = None  # prompts in the file, of which those were drawn
    is_best: bool = False
    improved: bool | None = None  # logs of earlier versions do not say
    by_teacher: tuple[TeacherFigures, ...] = ()


class CheckpointSaved(EventBase):
    """A checkpoint that a resume can start from."""

    kind: Literal["checkpoint_saved"] = "checkpoint_saved"
    step: Step
    path: str
    num_bytes: int
    is_best: bool = False


class Warned(EventBase):
    """Something a person should know; `action` says what can be done."""

    kind: Literal["warning"] = "warning"
    step: Step
    code: str
    message: str
    action: str = ""


class RunPaused(EventBase):
    """The run left memory as it was asked to, and can be resumed from its last checkpoint."""

    kind: Literal["run_paused"] = "run_paused"
    step: Step
    reason: str = ""


class RunResumed(EventBase):
    """The run goes on from the checkpoint of this step; later steps above were undone."""

    kind: Literal["run_resumed"] = "run_resumed"
    step: Step
    machine: Machine


class RunFinished(EventBase):
    """The run is complete; `report` holds the final numbers, `intervals` those that have one.

    `by_teacher` are the best checkpoint's figures on the prompts of each of several teachers.
    """

    kind: Literal["run_finished"] = "run_finished"
    step: Step
    because: FinishedBecause
    report: dict[str, float]
    intervals: dict[str, tuple[float, float]] = {}
    by_teacher: tuple[TeacherFigures, ...] = ()


class RunFailed(EventBase):
    """The run ended with an error that the user can read."""

    kind: Literal["run_failed"] = "run_failed"
    step: Step
    code: str
    message: str
    action: str = ""


Event = Annotated[
    RunStarted
    | PhaseChanged
    | SelfTestFinished
    | StepFinished
    | RolloutSampled
    | EvaluationFinished
    | CheckpointSaved
    | Warned
    | RunPaused
    | RunResumed
    | RunFinished
    | RunFailed,
    Field(discriminator="kind"),
]

EVENT: TypeAdapter[Event] = TypeAdapter(Event)


def step_of(event: Event | None) -> int:
    """The step a run was at when an event was written; 0 before its first one."""
    return 0 if event is None or isinstance(event, RunStarted | SelfTestFinished) else event.step


class Token(BaseModel):
    """A candidate token of one position with its probability."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    text: str
    probability: float


class RolloutRecord(BaseModel):
    """A line of rollouts.jsonl: parallel lists, one entry a completion token.

    `index` is the place among the step's recorded completions, of which several may have the same
    prompt. `divergence` is the trained divergence at the loss temperature (nats); logprobs are at
    temperature 1. Where nobody scored against a teacher, what comes from one is absent. `pictures`
    are those of the prompt, in order; small copies may lie in the run's folder under these names.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    step: int
    index: int
    source: Literal["student", "teacher"]
    prompt: str
    prompt_index: int | None = None  # its place in the file; earlier logs do not say
    completion: str
    finish_reason: Literal["stop", "length"]
    token_ids: tuple[int, ...]
    token_texts: tuple[str, ...]
    student_logprobs: tuple[float, ...]
    teacher_logprobs: tuple[float, ...] | None = None
    divergence: tuple[float, ...] | None = None
    student_top: tuple[tuple[Token, ...], ...] = ()
    teacher_top: tuple[tuple[Token, ...], ...] = ()
    reward: float | None = None  # none where nothing could grade it, or nothing was asked to
    rewards: dict[str, float | None] = {}  # by name, before their weights
    advantage: float | None = None
    pictures: tuple[Annotated[str, Field(pattern=PICTURE_DIGEST_PATTERN)], ...] = ()

    @property
    def mean_divergence(self) -> float | None:
        """Mean of `divergence` over the completion; None where none was measured."""
        values = self.divergence
        return None if values is None else sum(values) / max(len(values), 1)
