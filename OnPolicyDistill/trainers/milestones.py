"""The places a run passes: its beginning or return, evaluations, checkpoints, and its end.

Every trainer takes its own steps and measures its own metrics; what comes between them is here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from time import monotonic

from OnPolicyDistill.config import num_steps_of, settings_of
from OnPolicyDistill.errors import ConfigError, DivergedError, StoppedError
from OnPolicyDistill.evaluation.intervals import Bounds, Measured, paired_change
from OnPolicyDistill.optim.stopping import Evaluated, Progress, Verdict, judge
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
from OnPolicyDistill.runs.history import fold
from OnPolicyDistill.runs.log import last_event, read_events
from OnPolicyDistill.runs.prompt_values import discard_values_after, read_values, write_values
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
    discard_checkpoints_after(run, state.step)
    # A crash between a checkpoint and its link, or what was discarded, left `best` elsewhere.
    _point_best(run, state)
    discard_values_after(run, state.step)
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
    saved_at = monotonic()
    try:
        while True:
            if is_evaluation_due(settings, state):
                state, verdict = journey.evaluate(state)
            minutes = (monotonic() - saved_at) / 60
            if is_checkpoint_due(settings, state, verdict, minutes):
                save(journey, state)
                saved_at = monotonic()
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


def is_checkpoint_due(
    settings: OptimizerSettings, state: TrainingState, verdict: Verdict, minutes: float
) -> bool:
    """Whether a checkpoint is written now: every so often, at the end, and where `best` moves.

    `minutes` have gone by since the last one. They decide what is kept, never what is learned.
    """
    if state.step == 0:
        return False
    at_milestone = state.step % settings.checkpoint_every == 0 or state.step == settings.num_steps
    is_time = 0 < settings.checkpoint_minutes <= minutes
    return at_milestone or is_time or verdict in ("improved", "equal", "plateau")


def is_best(state: TrainingState) -> bool:
    """Whether the state is the one that `best` points at."""
    return state.evaluated_step == state.step == state.best_step


def take_evaluation(
    reporter: Reporter,
    state: TrainingState,
    measured: Measured,
    key: str,
    settings: OptimizerSettings,
) -> tuple[TrainingState, Verdict]:
    """Keep and report an evaluation, of which `key` (lower is better) decides what is best.

    Raises:
        DivergedError: the run is far worse than it began, evaluation after evaluation.
    """
    run, values, metrics = reporter.run, measured.values, measured.metrics
    write_values(run, state.step, values)

    @cache
    def change_since(step: int) -> Bounds | None:
        return paired_change(read_values(run, step), values, key, settings.seed)

    after, verdict = judge(
        _progress(state),
        Evaluated(state.step, metrics[key], change_since),
        settings.early_stop_patience,
        settings.best_of_equals,
    )
    is_now_best = after.best_step == state.step
    reporter.emit(
        EvaluationFinished(
            step=state.step,
            metrics=metrics,
            intervals=measured.intervals,
            num_prompts=len(values.prompts),
            num_available=values.num_available,
            is_best=is_now_best,
            improved=verdict == "improved",
        )
    )
    if verdict == "diverged":
        raise DivergedError(
            f"After {state.step} steps {key} is {metrics[key]:.4g}, and it began at "
            f"{after.first:.4g}: the student is moving away.",
            "Lower learning_rate; the best checkpoint is kept.",
        )
    update = {
        "first_metric": after.first,
        "best_metric": metrics[key] if is_now_best else state.best_metric,
        "best_step": after.best_step,
        "improved_step": after.improved_step,
        "lowest_step": after.lowest_step,
        "lowest_metric": after.lowest,
        "evaluations_since_best": after.since_improved,
        "evaluations_far_off": after.far_off,
        "evaluated_step": state.step,
    }
    return state.model_copy(update=update), verdict


def _progress(state: TrainingState) -> Progress:
    return Progress(
        first=state.first_metric,
        best_step=state.best_step,
        improved_step=state.improved_step,
        lowest_step=state.lowest_step,
        lowest=state.lowest_metric,
        since_improved=state.evaluations_since_best,
        far_off=state.evaluations_far_off,
    )


def save(journey: Journey, state: TrainingState) -> None:
    """Write a checkpoint of the state unless it is there; the best one so far is pointed at."""
    run, reporter = journey.run, journey.reporter
    if state.step == 0 or any(int(path.name) == state.step for path in list_checkpoints(run)):
        _point_best(run, state)
        return
    reporter.phase("saving", f"Writing checkpoint {state.step}.")
    path = save_checkpoint(run, state, journey.save_arrays)
    if is_best(state):
        point(run, "best", path)
    prune_checkpoints(run, journey.settings.keep_checkpoints, journey.settings.is_milestone)
    reporter.emit(
        CheckpointSaved(
            step=state.step,
            path=str(path.relative_to(run.path)),
            num_bytes=directory_bytes(path),
            is_best=is_best(state),
        )
    )
    reporter.sync()


def _point_best(run: RunDirectory, state: TrainingState) -> None:
    """Point `best` at the checkpoint of the best step, where there is one."""
    for path in list_checkpoints(run):
        if int(path.name) == state.best_step:
            point(run, "best", path)


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
    history = fold(read_events(run.events_file))
    report = {"train_seconds": state.train_seconds, "trained_tokens": float(state.num_tokens)}
    intervals: dict[str, Bounds] = {}
    if history.evaluations:
        first = history.evaluations[0]
        best = history.best or first
        report["best_step"] = float(best.step)
        for moment, event in (("before", first), ("best", best), ("after", history.after)):
            assert event is not None
            report |= {f"{moment}_{key}": value for key, value in event.metrics.items()}
            intervals |= {f"{moment}_{key}": bounds for key, bounds in event.intervals.items()}
    reporter.emit(
        RunFinished(
            step=state.step, because=because, report=report | dict(figures), intervals=intervals
        )
    )


def _matching_state(run: RunDirectory, checkpoint: Path, expected_hash: str) -> TrainingState:
    state = read_state(checkpoint)
    if state.config_hash != expected_hash:
        raise ConfigError(
            f"The settings of {run.run_id} changed since checkpoint {checkpoint.name} was written.",
            "Restore its config.yaml, or start a new run that continues from the checkpoint.",
        )
    return state
