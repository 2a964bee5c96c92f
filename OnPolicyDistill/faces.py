"""What the page of a run shows: its phases, charts, tabs, stages and report, as plain values.

Methods choose among these faces (methods.py); metrics are named by key (runs/metrics.py).
"""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

CurveRole = Literal["student", "teacher", "evaluation", "shuffled", "blank"]
Report = Literal["distance", "loss", "answers", "sight", "reward"]
Tab = Literal["overview", "rollouts", "checkpoints", "log", "config"]
Stage = Literal["generate", "train", "evaluate"]
Phase = Literal[
    "loading", "self_test", "generating", "sampling", "scoring", "learning", "evaluating", "saving"
]


class Shown(BaseModel):
    """Frozen, strict, and all fields present in what is sent."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, json_schema_serialization_defaults_required=True
    )


class PhaseWords(Shown):
    """Something that a run does for a while, as its log and as people call it."""

    phase: Phase
    title: str


class ChartedMetric(Shown):
    """A curve: a metric, whose it is, and a label where the metric's title would not do."""

    key: str
    role: CurveRole
    label: str | None = None


class MainChart(Shown):
    """The large chart of a run that learns."""

    title: str
    name: str
    metrics: tuple[ChartedMetric, ...]


class Face(Shown):
    """What there is to see of a run: what it measures, and nothing that it does not."""

    main: MainChart | None = Field(None, description="Null for a run that trains nothing.")
    small: tuple[tuple[ChartedMetric, ...], ...] = Field((), description="Charts by their curves.")
    report: Report
    proves: bool = Field(False, description="It stands for a proof of learning before it trains.")
    tabs: tuple[Tab, ...]
    stages: tuple[Stage, ...] = Field((), description="In order, where a run has more than one.")


def _curve(key: str, label: str | None = None) -> ChartedMetric:
    return ChartedMetric(key=key, role="student", label=label)


def _held_out(key: str, label: str) -> ChartedMetric:
    return ChartedMetric(key=key, role="evaluation", label=label)


_SPEED = ((_curve("tokens_per_second"),), (_curve("peak_memory_gb"),))

DISTANCE = Face(
    main=MainChart(
        title="Divergence from the teacher",
        name="Divergence",
        metrics=(
            _curve("divergence", "Training"),
            _held_out("eval_reverse_kl", "Held-out reverse KL"),
            _held_out("eval_off_policy_reverse_kl", "Held-out reverse KL, off-policy"),
        ),
    ),
    small=(
        (_curve("loss"),),
        (
            _curve("agreement", "Rollouts"),
            _held_out("eval_agreement", "Held out"),
            _held_out("eval_off_policy_agreement", "Held out, off-policy"),
        ),
        (_curve("entropy"),),
        (_curve("grad_norm"),),
        (_curve("completion_tokens"),),
        (_curve("truncated_share"),),
        *_SPEED,
        (ChartedMetric(key="teacher_cache_hit_rate", role="teacher"),),
    ),
    report="distance",
    proves=True,
    tabs=("overview", "rollouts", "checkpoints", "log", "config"),
)

# Accuracy comes first where there is something to see: a divergence can fall while sight does not
# improve, and only the controls tell.
SIGHT = DISTANCE.model_copy(
    update={
        "small": (
            (
                _held_out("eval_accuracy", "With the picture"),
                ChartedMetric(
                    key="eval_accuracy_shuffled", role="shuffled", label="Another picture"
                ),
                ChartedMetric(key="eval_accuracy_blank", role="blank", label="Blank picture"),
            ),
            *DISTANCE.small,
            (_held_out("eval_closed_thoughts", "Thoughts that close"),),
            (_curve("picture_cache_hit_rate"),),
        ),
        "report": "sight",
    }
)

LOSS = Face(
    main=MainChart(
        title="Loss",
        name="Loss",
        metrics=(_curve("loss", "Training"), _held_out("eval_loss", "Held out")),
    ),
    small=(
        (_curve("grad_norm"),),
        (_curve("learning_rate"),),
        (_curve("step_seconds"),),
        *_SPEED,
        (_curve("process_memory_gb"),),
    ),
    report="loss",
    proves=True,
    tabs=("overview", "checkpoints", "log", "config"),
)

REWARD = Face(
    main=MainChart(
        title="Reward",
        name="Reward",
        metrics=(_curve("reward", "Training"), _held_out("eval_reward", "Held out")),
    ),
    small=(
        (_held_out("eval_accuracy", "Held out"),),
        (_curve("reward_std"),),
        (_curve("dead_share"),),
        (_curve("entropy"),),
        (_curve("completion_tokens"),),
        (_curve("truncated_share"),),
        (_curve("logprob_gap"),),
        (_curve("unscorable_share"),),
        (_curve("grad_norm"),),
        *_SPEED,
    ),
    report="reward",
    proves=True,
    tabs=("overview", "rollouts", "checkpoints", "log", "config"),
)

# A loss that falls with any picture has learned words alone, so both curves share a chart.
SURGERY = LOSS.model_copy(
    update={
        "main": MainChart(
            title="Loss",
            name="Loss",
            metrics=(
                _curve("loss", "Training"),
                _held_out("eval_loss", "Held out"),
                _held_out("eval_shuffled_loss", "Held out, another picture"),
            ),
        ),
        "small": (*LOSS.small, (_curve("picture_cache_hit_rate"),)),
    }
)

ANSWERS = Face(report="answers", tabs=("overview", "log", "config"))


def rewarded(face: Face, kinds: tuple[str, ...], has_reference: bool, moves_on: bool) -> Face:
    """Add what only some runs have: several rewards, a reference, updates on older completions."""
    charts = [] if len(kinds) == 1 else [tuple(_curve(f"reward_{kind}") for kind in kinds)]
    if has_reference:
        charts.append((_curve("reference_kl"),))
    if moves_on:
        shares = {"clipped_low_share": "From below", "clipped_high_share": "From above"}
        charts.append(tuple(_curve(key, label) for key, label in shares.items()))
    return face.model_copy(update={"small": (*face.small, *charts)})


def at_temperature(face: Face, temperature: float) -> Face:
    """Say on the main chart at which temperature training compares: held-out numbers use 1."""
    if face.main is None or temperature == 1:
        return face
    metrics = tuple(
        _curve(curve.key, f"Training, T = {temperature:g}") if curve.key == "divergence" else curve
        for curve in face.main.metrics
    )
    main = face.main.model_copy(update={"metrics": metrics})
    return face.model_copy(update={"main": main})
