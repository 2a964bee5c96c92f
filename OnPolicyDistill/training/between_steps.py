"""Evaluations and checkpoints, which come between steps: when they are due and what they leave."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path

from OnPolicyDistill.errors import DivergedError
from OnPolicyDistill.evaluation.intervals import Bounds, Measured, paired_change
from OnPolicyDistill.optim.stopping import Evaluated, Progress, Verdict, judge
from OnPolicyDistill.runs.checkpoints import (
    TrainingState,
    directory_bytes,
    list_checkpoints,
    point,
    prune_checkpoints,
    save_checkpoint,
)
from OnPolicyDistill.runs.directory import RunDirectory
from OnPolicyDistill.runs.events import (
    CheckpointSaved,
    EvaluationFinished,
    FinishedBecause,
    RunFinished,
    TeacherFigures,
)
from OnPolicyDistill.runs.held_out_answers import write_answers
from OnPolicyDistill.runs.history import fold
from OnPolicyDistill.runs.log import read_events
from OnPolicyDistill.runs.metrics import METRICS
from OnPolicyDistill.runs.prompt_values import read_values, write_values
from OnPolicyDistill.runs.reporting import Reporter
from OnPolicyDistill.settings.training import OptimizerSettings


def is_evaluation_due(settings: OptimizerSettings, state: TrainingState) -> bool:
    """Whether the state is at a step that is evaluated and has not been yet."""
    is_its_step = state.step % settings.eval_every == 0 or state.step == settings.num_steps
    return is_its_step and state.evaluated_step != state.step


def is_checkpoint_due(
    settings: OptimizerSettings, state: TrainingState, verdict: Verdict, minutes: float
) -> bool:
    """Whether a checkpoint is written now: every so often, at the end, and where `best` moves.

    `minutes` have gone by since the last one. They decide what is kept, never what is learned.
    """
    if state.step == 0:
        return False
    is_its_step = state.step % settings.checkpoint_every == 0 or state.step == settings.num_steps
    is_time = 0 < settings.checkpoint_minutes <= minutes
    return is_its_step or is_time or verdict in ("improved", "equal", "plateau")


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
    """Keep and report an evaluation, of which the metric `key` decides what is best.

    Raises:
        DivergedError: the run is far worse than it began, evaluation after evaluation.
    """
    run, values, metrics = reporter.run, measured.values, measured.metrics
    write_values(run, state.step, values)
    write_answers(run, state.step, measured.answers)

    @cache
    def change_since(step: int) -> Bounds | None:
        return paired_change(read_values(run, step), values, key, settings.seed)

    better = METRICS[key].better
    assert better != "neither", f"{key} cannot say what is best"
    after, verdict = judge(
        _progress(state),
        Evaluated(state.step, metrics[key], better, change_since),
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
            by_teacher=measured.by_teacher,
        )
    )
    if verdict == "diverged":
        raise DivergedError(
            f"{METRICS[key].title}, held out, is {metrics[key]:.4g} after {state.step} steps, "
            f"and it began at {after.first:.4g}: the student gets worse instead of better.",
            "Lower learning_rate; the best checkpoint is kept.",
        )
    update = {
        "first_metric": after.first,
        "best_metric": metrics[key] if is_now_best else state.best_metric,
        "best_step": after.best_step,
        "improved_step": after.improved_step,
        "leading_step": after.leading_step,
        "leading_metric": after.leading,
        "evaluations_since_best": after.since_improved,
        "evaluations_far_off": after.far_off,
        "evaluated_step": state.step,
        "loss_tokens": chosen_tokens(metrics) or state.loss_tokens,
    }
    return state.model_copy(update=update), verdict


def chosen_tokens(metrics: Mapping[str, float]) -> int | None:
    """How many positions an evaluation found worth learning, where it was to choose."""
    chosen = metrics.get("eval_loss_tokens")
    return None if chosen is None else int(chosen)


def _progress(state: TrainingState) -> Progress:
    return Progress(
        first=state.first_metric,
        best_step=state.best_step,
        improved_step=state.improved_step,
        leading_step=state.leading_step,
        leading=state.leading_metric,
        since_improved=state.evaluations_since_best,
        far_off=state.evaluations_far_off,
    )


def write_checkpoint(
    reporter: Reporter,
    state: TrainingState,
    settings: OptimizerSettings,
    write_arrays: Callable[[Path], None],
) -> None:
    """Write a checkpoint of the state unless it is there; the best one so far is pointed at."""
    run = reporter.run
    if state.step == 0 or any(int(path.name) == state.step for path in list_checkpoints(run)):
        point_best(run, state)
        return
    reporter.phase("saving", f"Writing checkpoint {state.step}.")
    path = save_checkpoint(run, state, write_arrays)
    if is_best(state):
        point(run, "best", path)
    prune_checkpoints(run, settings.keep_checkpoints, settings.is_scheduled)
    reporter.emit(
        CheckpointSaved(
            step=state.step,
            path=str(path.relative_to(run.path)),
            num_bytes=directory_bytes(path),
            is_best=is_best(state),
        )
    )
    reporter.sync()


def point_best(run: RunDirectory, state: TrainingState) -> None:
    """Point `best` at the checkpoint of the best step, where there is one."""
    for path in list_checkpoints(run):
        if int(path.name) == state.best_step:
            point(run, "best", path)


def write_end(
    reporter: Reporter,
    state: TrainingState,
    because: FinishedBecause,
    figures: Mapping[str, float],
) -> None:
    """Write the last event, with held-out metrics before training and after it.

    `after` is what is exported, `last` the last step. `figures` are added as they are.
    """
    history = fold(read_events(reporter.run.events_file))
    report = {"train_seconds": state.train_seconds, "trained_tokens": float(state.num_tokens)}
    intervals: dict[str, Bounds] = {}
    by_teacher: tuple[TeacherFigures, ...] = ()
    if history.evaluations:
        first, after = history.evaluations[0], history.after
        best = history.best or first
        assert after is not None
        report |= {"best_step": float(best.step), "after_step": float(after.step)}
        by_teacher = best.by_teacher
        moments = {"before": first, "best": best, "after": after, "last": history.last}
        for moment, event in moments.items():
            assert event is not None
            report |= {f"{moment}_{key}": value for key, value in event.metrics.items()}
            intervals |= {f"{moment}_{key}": bounds for key, bounds in event.intervals.items()}
    reporter.emit(
        RunFinished(
            step=state.step,
            because=because,
            report=report | dict(figures),
            intervals=intervals,
            by_teacher=by_teacher,
        )
    )
