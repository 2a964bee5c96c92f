"""The places a run passes: its beginning or return, evaluations, checkpoints, and its end.

Every trainer takes its own steps and measures its own metrics; what comes between them is here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from OnPolicyDistill.config import num_steps_of, settings_of
from OnPolicyDistill.errors import ConfigError, DivergedError, StoppedError
from OnPolicyDistill.optim.stopping import Progress, Verdict, judge
from OnPolicyDistill.runs.checkpoints import (
    TrainingState,
    directory_bytes,
    discard_checkpoints_after,
    list_checkpoints,
    point,
    prune_checkpoints,
    read_state,
    save_checkpoint,
)
from OnPolicyDistill.runs.directory import RunDirectory, config_hash
from OnPolicyDistill.runs.events import (
    CheckpointSaved,
    EvaluationFinished,
    FinishedBecause,
    RunFinished,
    RunResumed,
    RunStarted,
)
from OnPolicyDistill.runs.log import last_event, read_events
from OnPolicyDistill.runs.reporting import Reporter, describe_machine
from OnPolicyDistill.settings.training import OptimizerSettings


def begin(run: RunDirectory, reporter: Reporter, checkpoint: Path | None) -> TrainingState:
    """Announce a run, or its return to a checkpoint; gives the state to start from.

    Raises:
        ConfigError: the run's settings changed since the checkpoint.
    """
    config = run.config()
    settings = settings_of(config)
    state = TrainingState(
        step=0, config_hash=config_hash(config), seed=settings.seed, data_cursor=0, num_tokens=0
    )
    if checkpoint is None and last_event(run.events_file) is None:
        reporter.emit(
            RunStarted(
                run_id=run.run_id,
                method=config.method,
                num_steps=num_steps_of(config),
                config_hash=state.config_hash,
                machine=describe_machine(),
            )
        )
        return state
    if checkpoint is not None:
        state = _matching_state(run, checkpoint, state.config_hash)
        point(run, "last", checkpoint)
        if is_best(state):
            # A crash between a checkpoint and its link left `best` at an older one.
            point(run, "best", checkpoint)
    discard_checkpoints_after(run, state.step)
    reporter.step = state.step
    reporter.emit(RunResumed(step=state.step, machine=describe_machine()))
    return state


@dataclass(frozen=True, slots=True)
class Journey:
    """What a trainer brings along: where it reports, how it steps, evaluates and saves.

    `take_step` gives the state after one more step; `evaluate` gives the state that knows the
    evaluation, and what to make of it. Both may raise StoppedError, which undoes nothing: the
    state before them still holds.
    """

    run: RunDirectory
    reporter: Reporter
    settings: OptimizerSettings
    take_step: Callable[[TrainingState], TrainingState]
    evaluate: Callable[[TrainingState], tuple[TrainingState, Verdict]]
    save_arrays: Callable[[Path], None]


def _nothing_more() -> dict[str, float]:
    return {}


def learn_until_done(
    journey: Journey,
    state: TrainingState,
    conclude: Callable[[], dict[str, float]] = _nothing_more,
) -> None:
    """Step, evaluate and save until the steps are used up, nothing improves, or a stop is asked.

    `conclude` works once everything is learned and saved; its figures go into the last event.

    Raises:
        StoppedError: the run was paused; its checkpoint is written.
    """
    settings, run, reporter = journey.settings, journey.run, journey.reporter
    verdict: Verdict = "waiting"
    try:
        while True:
            if is_evaluation_due(settings, state):
                state, verdict = journey.evaluate(state)
            if is_checkpoint_due(settings, state, verdict):
                save(journey, state)
            if verdict == "plateau" or state.step == settings.num_steps:
                break
            state, verdict = journey.take_step(state), "waiting"
    except StoppedError:
        save(journey, state)
        if run.control().action == "pause":
            raise
        finish(run, reporter, state, "stopped", {})
    else:
        because: FinishedBecause = "plateau" if verdict == "plateau" else "completed"
        finish(run, reporter, state, because, conclude())


def is_evaluation_due(settings: OptimizerSettings, state: TrainingState) -> bool:
    """Whether the state is at a step that is evaluated and has not been yet."""
    at_milestone = state.step % settings.eval_every == 0 or state.step == settings.num_steps
    return at_milestone and state.evaluated_step != state.step


def is_checkpoint_due(settings: OptimizerSettings, state: TrainingState, verdict: Verdict) -> bool:
    """Whether a checkpoint is written now: every so often, at the end, and of each new best."""
    if state.step == 0:
        return False
    at_milestone = state.step % settings.checkpoint_every == 0 or state.step == settings.num_steps
    return at_milestone or verdict in ("improved", "plateau")


def is_best(state: TrainingState) -> bool:
    """Whether the state is the best that was evaluated so far."""
    return state.evaluated_step == state.step and state.evaluations_since_best == 0


def take_evaluation(
    reporter: Reporter,
    state: TrainingState,
    metrics: dict[str, float],
    key: str,
    patience: int,
) -> tuple[TrainingState, Verdict]:
    """Report held-out metrics, of which `key` (lower is better) decides what is best.

    Raises:
        DivergedError: the run is far worse than it began, evaluation after evaluation.
    """
    before = Progress(
        state.first_metric,
        state.best_metric,
        state.evaluations_since_best,
        state.evaluations_far_off,
    )
    after, verdict = judge(before, metrics[key], patience)
    improved = verdict == "improved"
    reporter.emit(EvaluationFinished(step=state.step, metrics=metrics, is_best=improved))
    if verdict == "diverged":
        raise DivergedError(
            f"After {state.step} steps {key} is {metrics[key]:.4g}, and it began at "
            f"{after.first:.4g}: the student is moving away.",
            "Lower learning_rate; the best checkpoint is kept.",
        )
    update = {
        "first_metric": after.first,
        "best_metric": after.best,
        "evaluations_since_best": after.since_best,
        "evaluations_far_off": after.far_off,
        "evaluated_step": state.step,
    }
    return state.model_copy(update=update), verdict


def save(journey: Journey, state: TrainingState) -> None:
    """Write a checkpoint of the state unless it is there; the best one so far is pointed at."""
    run, reporter = journey.run, journey.reporter
    if state.step == 0 or any(int(path.name) == state.step for path in list_checkpoints(run)):
        return
    reporter.phase("saving", f"Writing checkpoint {state.step}.")
    path = save_checkpoint(run, state, journey.save_arrays)
    if is_best(state):
        point(run, "best", path)
    prune_checkpoints(run, journey.settings.keep_checkpoints)
    reporter.emit(
        CheckpointSaved(
            step=state.step,
            path=str(path.relative_to(run.path)),
            num_bytes=directory_bytes(path),
            is_best=is_best(state),
        )
    )
    reporter.sync()


def finish(
    run: RunDirectory,
    reporter: Reporter,
    state: TrainingState,
    because: FinishedBecause,
    figures: Mapping[str, float],
) -> None:
    """Write the last event, with held-out metrics before training, at the best step and now.

    `figures` are added as they are.
    """
    evaluations: dict[int, dict[str, float]] = {}
    best = 0
    for event in read_events(run.events_file):
        if event.kind == "run_resumed":
            evaluations = {step: e for step, e in evaluations.items() if step <= event.step}
        if event.kind == "evaluation_finished":
            evaluations[event.step] = event.metrics
            best = event.step if event.is_best else best
    report = {"train_seconds": state.train_seconds, "trained_tokens": float(state.num_tokens)}
    if evaluations:
        moments = {"before": min(evaluations), "best": best, "after": max(evaluations)}
        report["best_step"] = float(best)
        for moment, step in moments.items():
            report |= {f"{moment}_{k}": v for k, v in evaluations.get(step, {}).items()}
    reporter.emit(RunFinished(step=state.step, because=because, report=report | dict(figures)))


def _matching_state(run: RunDirectory, checkpoint: Path, expected_hash: str) -> TrainingState:
    state = read_state(checkpoint)
    if state.config_hash != expected_hash:
        raise ConfigError(
            f"The settings of {run.run_id} changed since checkpoint {checkpoint.name} was written.",
            "Restore its config.yaml, or start a new run that continues from the checkpoint.",
        )
    return state
